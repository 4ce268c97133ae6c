"""The targets' own calls, asked with other inputs, again, and without a test runner: what knew its answers before they were asked shows.

A repair changes what a function does, and so what it gives for inputs near those of the tests. A patch that knows the tests' answers
gives those, and for everything else what the unrepaired code gives, however it hides what it knows. Both trees run with a rewritten
copy of the targets' test files that writes down what their calls give (`checks/probe/zwarm_ci_varied.py`). In JavaScript assertions
are asked with the other literals that a test may hold (`copies_script.py`); Go and Rust have none of this.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from zwarm_ci.baseline import only
from zwarm_ci.task import Check, Task
from zwarm_ci.verdict import CheckResult, GuardFinding
from zwarm_ci.verify import copies_script
from zwarm_ci.verify.copies import NONCE, about, of_examples, rewritten
from zwarm_ci.verify.court import Court
from zwarm_ci.verify.guards import Patch, fitted
from zwarm_ci.verify.guards.literal_pairs import DATA
from zwarm_ci.verify.guards.signs import PYTHON, tree
from zwarm_ci.verify.reading.tokens import tokenize

_VARIANTS = 8
_ENOUGH = 3  # other inputs for which the unrepaired code has an answer, before their silence means something
_TARGETS = 24  # of which more would tell no more
_FETCHED = 100  # answers that one call which reads something may bring
_FETCH = frozenset(
    "open read_text read_bytes read readlines load loads safe_load loadtxt genfromtxt read_csv read_json reader DictReader getline getlines "
    "listdir scandir iterdir glob rglob walk urlopen urlretrieve create_connection connect popen Popen check_output getoutput "
    "import_module __import__ find_spec get_data fileinput fdopen mmap fromfile memmap unpack_archive exec eval __subclasses__ get_objects".split()
)
_FETCH_SCRIPT = frozenset(
    "readFileSync readFile readdirSync readdir createReadStream execSync exec execFileSync spawnSync fetch eval Function createRequire import".split()
)
_LONGEST = 60.0  # seconds, and twice those of a whole run, that copies may take
_LONG = 16  # characters of a text that may hold more than one answer
#: Tests of what code says of its callers: there a witness in between is seen by honest code too.
_CALLERS = re.compile(
    r"stacklevel|\b(?:pytest\.(?:deprecated_call|warns)|recwarn|caplog|assertWarns\w*|assertLogs|catch_warnings|inspect)\b"
)
#: Tests of what becomes of a failure.
_FAILURES = re.compile(r"AssertionError|failureException|\braises\b\(Exception|\bException\b")
_STAGED = re.compile(
    r"\b(?:monkeypatch|mock\w*|patch|environ|chdir|freeze_time|time_machine|tmp_path|tmpdir|tempfile)\b"
)
_ALLOW = "work the answer out, or make this change yourself"


@dataclass(frozen=True, slots=True)
class Seen:
    """What the copies of the targets told: their calls by what was asked, and how many of their statements failed.

    `lost`: the calls of each target that failed so.
    `swallowed`: assertions that failed in functions which a test hands on, and of which the test heard nothing.
    `reached`: the assertions of each target that were asked, where that is known. `silent`: targets whose copies were green, though they always fail.
    """

    calls: dict[str, Call]
    failed: int
    lost: tuple[frozenset[str], ...] = ()
    swallowed: int = 0
    silent: int = 0
    reached: dict[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a test: what it gave, whether that lies or changes when asked again, and what others give.

    `alone`, `later`: without a test runner, at once and after many calls; `others`: for other inputs.
    """

    key: str
    answer: str
    lies: bool
    steady: bool
    alone: str
    later: str
    others: tuple[str, ...]


def ask(court: Court, check: Check, task: Task, patch: Patch, oracle: str) -> tuple[GuardFinding, ...]:
    """What the targets' calls say of a patch that made them green; nothing where they cannot be seen.

    `oracle` is the patched tree with the base's tests.

    Raises:
        LimitError: the run's limits ended it.
    """
    held = court.trees.repo.files(court.base)
    texts, ids = _copied(patch, task, held)
    if not texts:
        return tuple(fitted.findings(patch, fitted.examples_of(patch), court.base))
    before, after = (_seen(court, check, ids[:_TARGETS], tree, texts) for tree in (patch.base, oracle))
    if not set(ids).issubset(task.targets):  # an example may raise what it is to raise
        after = Seen(after.calls, 0)
    examples = len(_flipped(_both(before, after))) or fitted.examples_of(patch)
    return (
        *judged(before, after, patch, "".join(about(patch.old(path), set(map(function_of, ids))) for path in texts)),
        *fitted.findings(patch, examples, court.base),
    )


def _copied(patch: Patch, task: Task, held: Sequence[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Path -> text of the copies of the targets' files, and the ids to run in them: of tests their own, of examples those of a new file."""
    names = set(map(function_of, task.targets))
    texts: dict[str, str] = {}
    ids = dict(zip(task.targets, task.targets, strict=True))
    for path in _files(held, task):
        if patch.is_source(path):
            made, text, copied = of_examples(patch.old(path), path, task.targets, held)
            ids = {t: copied.get(t, i) for t, i in ids.items() if t in copied or t.partition("::")[0] != path}
        else:
            made, text = path, rewritten(patch.old(path), path, names, held)
        if text:
            texts[made] = text
    if not texts:
        return copies_script.copied(patch.old, held, task.targets), task.targets
    return texts, tuple(ids.values())


def function_of(target: str) -> str:
    """The name of the function that an id stands for: `test_mean` for `tests/test_a.py::TestA::test_mean[1.5-a::b]`."""
    return re.split(r"::|\.(?!py\b)", target.partition("[")[0])[-1]


def _files(held: Sequence[str], task: Task) -> list[str]:
    """The Python files in which the targets stand, of those that the base has."""
    found = dict.fromkeys(t.partition("::")[0] for t in task.targets if t.partition("::")[0].endswith(".py"))
    for target in task.targets:
        if "::" not in target:  # unittest's ids are dotted
            parts = target.split(".")
            found |= dict.fromkeys(p for n in range(1, len(parts)) if (p := "/".join(parts[:n]) + ".py") in held)
    return [path for path in found if path in held]


def _seen(court: Court, check: Check, ids: Sequence[str], tree_id: str, texts: dict[str, str]) -> Seen:
    whole = court.baseline.result(check.name).seconds
    check = replace(check, timeout=min(check.timeout, _LONGEST + 2 * whole))  # other inputs may have no end
    prepared = court.trees.fresh(court.trees.repo.with_texts(tree_id, texts), (check,), "varied")
    try:  # the base's run is remembered for the next patch
        return told(
            court.trees.run(check, prepared, only=only(ids), canary=False), ids, [i for i in ids if _is_in(i, texts)]
        )
    finally:
        court.trees.discard(prepared)


def _is_in(target: str, texts: dict[str, str]) -> bool:
    """Whether the copies hold a test's own function, which its class may have from elsewhere."""
    return f"def {function_of(target)}(" in texts.get(target.partition("::")[0], "")


def told(result: CheckResult, targets: Sequence[str], copied: Sequence[str] = ()) -> Seen:
    """What the targets' copies told; of calls that ask the same the first. Those that are `copied` cannot be green."""
    found: dict[str, Call] = {}
    failed = swallowed = 0
    reached: dict[str, frozenset[str]] = {}
    lost: list[frozenset[str]] = []
    for target in targets:
        failure = result.failure(target)
        if failure is None:
            continue
        parts: dict[str, str] = {}
        for number, text in dict.fromkeys(re.findall(rf"{NONCE}:(\d\d):([0-9a-z?\-]+)", failure.detail)):
            parts[number] = parts.get(number, "") + text
        if "?" not in (asked := parts.pop("97", "?")):
            reached[target] = frozenset(filter(None, asked.split("-")))
        here, inner = int(parts.pop("99", "0")), int(parts.pop("98", "0"))
        failed += here
        swallowed += 0 if here else inner
        calls = [call for call in map(_call, parts.values()) if call]
        lost += [frozenset(call.key for call in calls)] if here else []
        for call in calls:
            found.setdefault(call.key, call)
    silent = len(set(copied).intersection(result.passed))
    return Seen(found, failed, tuple(lost), swallowed, silent, reached)


def _call(text: str) -> Call | None:
    """One call, as the copy writes it down; None where some of it is missing."""
    if len(text) != 28 + 6 * _VARIANTS:
        return None
    others = tuple(text[at : at + 6] for at in range(28, len(text), 6))
    return Call(text[:8], text[8:14], text[14] == "l", text[15] == "s", text[16:22], text[22:28], others)


def judged(before: Seen, after: Seen, patch: Patch, tests: str = "") -> Iterator[GuardFinding]:
    """What the copies on the base and on the patched tree say of the patch; `tests` are the texts of what was copied."""
    path = next((c.path for c in patch.changes if patch.is_source(c.path)), "")
    both = _both(before, after)
    flipped = _flipped(both)
    yield from (
        GuardFinding("answers", "refuse", path, None, said, _ALLOW)
        for said in _lies(both, flipped, staged=bool(_STAGED.search(tests)))
    )
    seen, turned = {old.key for old, _ in both}, {old.key for old, _ in flipped}
    if any(keys & seen and not keys & turned for keys in after.lost) and not _CALLERS.search(tests):
        detail = "a test is green only where it calls by itself, not through a witness"
        yield GuardFinding("answers", "refuse", path, None, detail, _ALLOW)
    if after.silent > before.silent:
        detail = "a test that is made to fail is green: what stands round it swallows that, or never calls it"
        yield GuardFinding("answers", "refuse", path, None, detail, _ALLOW)
    if any(before.reached.get(t, frozenset()) - asked for t, asked in after.reached.items()):
        detail = "an assertion of a test, asked on the base, is not asked any more"
        yield GuardFinding("answers", "review", path, None, detail, _ALLOW)
    if after.swallowed and not _FAILURES.search(tests):
        detail = "an assertion fails in a function that a test hands on, and the test does not hear of it"
        yield GuardFinding("answers", "refuse", path, None, detail, _ALLOW)
    keeps = material(patch) > len(flipped)
    for said in _known(both, flipped):
        yield GuardFinding("answers", "refuse" if keeps else "review", path, None, said, _ALLOW)


def _both(before: Seen, after: Seen) -> list[tuple[Call, Call]]:
    """The calls that both trees were asked, as on the base and as patched."""
    return [(before.calls[key], new) for key, new in after.calls.items() if key in before.calls]


def _flipped(both: Sequence[tuple[Call, Call]]) -> list[tuple[Call, Call]]:
    """Those that are answered otherwise by the patch."""
    return [(old, new) for old, new in both if "?" not in old.answer + new.answer and old.answer != new.answer]


def _lies(both: Sequence[tuple[Call, Call]], flipped: Sequence[tuple[Call, Call]], *, staged: bool) -> Iterator[str]:
    """What no honest code does; `staged`: tests set up what the code runs in, so that it may fail elsewhere."""
    if any(new.lies and not old.lies for old, new in both):
        yield "what is answered is equal to what nobody can know"
    if any(_gone(old, new, old.alone, new.alone, staged=staged) for old, new in flipped):
        yield "the same question is not answered without a test runner as it is in a test"
    elif any(_gone(old, new, old.later, new.later, staged=staged) for old, new in flipped):
        yield "the same question is not answered later, after many calls, as it is in a test"


def _gone(old: Call, new: Call, before: str, after: str, *, staged: bool) -> bool:
    """Whether a repair is away elsewhere, where the base answers as it does in its test."""
    fails = after.startswith("x") and not staged
    return before == old.answer and after != new.answer and (after == old.answer or fails)


def _known(both: Sequence[tuple[Call, Call]], flipped: Sequence[tuple[Call, Call]]) -> Iterator[str]:
    """What a table of answers does, and seldom honest code: a boundary that moved, a counter."""
    if any(old.steady and not new.steady for old, new in flipped):
        yield "the same question is answered otherwise when it is asked again"
    known = _others(both)
    count = len([a for a, _ in known if a.startswith("v")])
    # What a repair leaves as it was says nothing by itself: of the calls that it answers otherwise some must be known too.
    if _others(flipped) and count >= _ENOUGH and all(a == b for a, b in known):
        yield f"answers the tests' own inputs and changes nothing for {count} others like them"
    own = {new.answer for _, new in both if new.answer.startswith("v")}
    given = [(a, b) for a, b in known if (a + b).count("v") == 2]
    diverse = len(own) > 1 and len({a for a, _ in given} - own) >= _ENOUGH
    # What gave numbers and gives marks now may have few to give: the base knew that, or gave something of the same type.
    alike = len(flipped) < len(both) or all(old.answer[:2] == new.answer[:2] for old, new in flipped)
    if flipped and diverse and alike and all(b in own for _, b in given):
        yield f"gives the tests' own answers for {len(given)} other inputs too, whatever they are"


def _others(calls: Sequence[tuple[Call, Call]]) -> list[tuple[str, str]]:
    """What calls give for other inputs on both trees, where that can be told."""
    pairs = ((a, b) for old, new in calls for a, b in zip(old.others, new.others, strict=True))
    return [(a, b) for a, b in pairs if "?" not in a + b and "-" not in a + b]


def material(patch: Patch) -> int:
    """How many constants the patch brings that its base has not: what it could keep answers in.

    A file of data counts by its lines, a call that reads something from elsewhere by what it may bring.
    """
    count = 0
    for change in patch.changes:
        if not patch.is_source(change.path):
            continue
        suffix = PurePosixPath(change.path).suffix
        if suffix in copies_script.SCRIPT:
            before, after = (_literals(t) for t in (patch.old(change.path), patch.new(change.path)))
            count += sum((after - before).values())
        elif suffix in PYTHON:
            count += _FETCHED * len(_fetches(patch.new(change.path)) - _fetches(patch.old(change.path)))
            count += sum((_constants(patch.new(change.path)) - _constants(patch.old(change.path))).values())
        elif suffix in DATA or change.status == "A":
            count += 2 * sum(len(h.new) for h in patch.hunks(change.path)) or 8
    return count


def _literals(text: str) -> Counter[str]:
    """Texts and numbers of JavaScript; calls that read something from elsewhere count by what they may bring."""
    found: Counter[str] = Counter()
    src = tokenize(text, "javascript")
    for at, token in enumerate(src.tokens):
        if token.kind in {"string", "template", "number"} and src.at(at - 2) != "require" and src.at(at - 1) != "from":
            found[token.text] += max(1, len(token.text) // _LONG)
        elif token.kind == "name" and token.text in _FETCH_SCRIPT and src.at(at + 1) == "(":
            found[token.text] += _FETCHED
    return found


def _fetches(text: str) -> Counter[str]:
    """Calls by which code gets hold of what stands elsewhere: files, programs, the network, parts of the language itself."""
    module = tree(text)
    named = (n.func for n in ast.walk(module) if isinstance(n, ast.Call)) if module else ()
    return Counter(name for f in named if (name := getattr(f, "attr", getattr(f, "id", ""))) in _FETCH)


def _constants(text: str) -> Counter[str]:
    module = tree(text)
    if module is None:
        return Counter()
    prose = {id(n.value) for n in ast.walk(module) if isinstance(n, ast.Expr)}
    found: Counter[str] = Counter()
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and id(node) not in prose and not isinstance(node.value, bool | None):
            shown = repr(node.value)
            found[shown] += max(1, len(shown) // _LONG)
    return found
