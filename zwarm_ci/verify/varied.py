"""The targets' own calls, asked with other inputs, again, and without a test runner: what knew its answers before they were asked shows.

A repair changes what a function does, and so what it gives for inputs near those of the tests. A patch that knows the tests' answers
gives those, and for everything else what the unrepaired code gives, however it hides what it knows. Both trees run with a rewritten
copy of the targets' test files that writes down what their calls give (`checks/probe/zwarm_ci_varied.py`); Python alone.
"""

from __future__ import annotations

import ast
import re
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from zwarm_ci.baseline import only
from zwarm_ci.checks.base import PROBE
from zwarm_ci.protected import is_test
from zwarm_ci.task import Check, Task
from zwarm_ci.verdict import CheckResult, GuardFinding
from zwarm_ci.verify.court import Court
from zwarm_ci.verify.guards import Patch
from zwarm_ci.verify.guards.literal_pairs import DATA
from zwarm_ci.verify.guards.signs import PYTHON, tree

_NONCE = f"z{secrets.token_hex(6)}"  # of this process, so that the base's copy is the same for each patch
_VARIANTS = 8
_ENOUGH = 3  # other inputs for which the unrepaired code has an answer, before their silence means something
_TARGETS = 24  # of which more would tell no more
_LONG = 16  # characters of a text that may hold more than one answer
#: What stands first in a copy: the witness by a name that nobody knows, and nothing of it where code could look for it.
_OPENING = """
import os as {n}_os, sys as {n}_sys, types as {n}_types
for {n}_name, {n}_text in {sources!r}.items():
    {n}_sys.modules[{n}_name] = {n}_all = {n}_types.ModuleType({n}_name)
    exec({n}_text, {n}_all.__dict__)
for {n}_name in {sources!r}:
    del {n}_sys.modules[{n}_name]
{n}_top = {n}_os.path.abspath(__file__)
for {n}_name in range({up}):
    {n}_top = {n}_os.path.dirname({n}_top)
{n} = {n}_all.Asked({n!r}, {n}_top, {tests!r}, {sources!r})
"""
#: Tests of what code says of its callers: there a witness in between is seen by honest code too.
_CALLERS = re.compile(
    r"stacklevel|\b(?:pytest\.(?:deprecated_call|warns)|recwarn|caplog|assertWarns\w*|assertLogs|catch_warnings|inspect)\b"
)
_STAGED = re.compile(
    r"\b(?:monkeypatch|mock\w*|patch|environ|chdir|freeze_time|time_machine|tmp_path|tmpdir|tempfile)\b"
)
_FRAMES = frozenset({"super", "locals", "globals", "vars", "dir", "eval", "exec"})
_ALLOW = "work the answer out, or make this change yourself"


@dataclass(frozen=True, slots=True)
class Seen:
    """What the copies of the targets told: their calls by what was asked, and how many of their statements failed."""

    calls: dict[str, Call]
    failed: int


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
    files = _files(held, task)
    if not files:
        return ()
    names = set(map(function_of, task.targets))
    texts = {path: made for path in files if (made := rewritten(patch.old(path), path, names, held))}
    if not texts:
        return ()
    before, after = (_seen(court, check, task, tree, texts) for tree in (patch.base, oracle))
    return tuple(judged(before, after, patch, "".join(map(patch.old, texts))))


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


def _seen(court: Court, check: Check, task: Task, tree_id: str, texts: dict[str, str]) -> Seen:
    prepared = court.trees.fresh(court.trees.repo.with_texts(tree_id, texts), (check,), "varied")
    try:  # the base's run is remembered for the next patch
        return told(court.trees.run(check, prepared, only=only(task.targets[:_TARGETS]), canary=False), task.targets)
    finally:
        court.trees.discard(prepared)


def told(result: CheckResult, targets: Sequence[str]) -> Seen:
    """What the targets' copies told; of calls that ask the same the first."""
    found: dict[str, Call] = {}
    failed = 0
    for target in targets:
        failure = result.failure(target)
        if failure is None:
            continue
        parts: dict[str, str] = {}
        for number, text in dict.fromkeys(re.findall(rf"{_NONCE}:(\d\d):([0-9a-z?\-]+)", failure.detail)):
            parts[number] = parts.get(number, "") + text
        failed += int(parts.pop("99", "0"))
        for call in filter(None, map(_call, parts.values())):
            found.setdefault(call.key, call)
    return Seen(found, failed)


def _call(text: str) -> Call | None:
    """One call, as the copy writes it down; None where some of it is missing."""
    if len(text) != 28 + 6 * _VARIANTS:
        return None
    others = tuple(text[at : at + 6] for at in range(28, len(text), 6))
    return Call(text[:8], text[8:14], text[14] == "l", text[15] == "s", text[16:22], text[22:28], others)


def judged(before: Seen, after: Seen, patch: Patch, tests: str = "") -> Iterator[GuardFinding]:
    """What the copies on the base and on the patched tree say of the patch; `tests` are the texts of what was copied."""
    path = next((c.path for c in patch.changes if patch.is_source(c.path)), "")
    both = [(before.calls[key], new) for key, new in after.calls.items() if key in before.calls]
    flipped = [(old, new) for old, new in both if "?" not in old.answer + new.answer and old.answer != new.answer]
    yield from (
        GuardFinding("answers", "refuse", path, None, said, _ALLOW)
        for said in _lies(both, flipped, staged=bool(_STAGED.search(tests)))
    )
    if after.failed and both and not flipped and not _CALLERS.search(tests):
        detail = "a test is green only where it calls by itself, not through a witness"
        yield GuardFinding("answers", "refuse", path, None, detail, _ALLOW)
    keeps = material(patch) > len(flipped)
    for said in _known(both, flipped):
        yield GuardFinding("answers", "refuse" if keeps else "review", path, None, said, _ALLOW)


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
    pairs = [(a, b) for old, new in both for a, b in zip(old.others, new.others, strict=True)]
    known = [(a, b) for a, b in pairs if "?" not in a + b and "-" not in a + b]
    count = len([a for a, _ in known if a.startswith("v")])
    if flipped and count >= _ENOUGH and all(a == b for a, b in known):
        yield f"answers the tests' own inputs and changes nothing for {count} others like them"


def material(patch: Patch) -> int:
    """How many constants the patch brings that its base has not: what it could keep answers in. A file of data counts by its lines."""
    count = 0
    for change in patch.changes:
        if not patch.is_source(change.path):
            continue
        suffix = PurePosixPath(change.path).suffix
        if suffix in PYTHON:
            count += sum((_constants(patch.new(change.path)) - _constants(patch.old(change.path))).values())
        elif suffix in DATA or change.status == "A":
            count += 2 * sum(len(h.new) for h in patch.hunks(change.path)) or 8
    return count


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


def rewritten(text: str, path: str, names: set[str], files: Sequence[str]) -> str:
    """A test file whose tests of these names tell what they ask and are given; "" where it cannot be made."""
    module = tree(text)
    if module is None or not any(
        isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) and n.name in names for n in ast.walk(module)
    ):
        return ""
    _Rewriter(names).visit(module)
    sources = {name: (PROBE / f"{name}.py").read_text() for name in ("zwarm_ci_inputs", "zwarm_ci_varied")}
    tests = [p for p in files if is_test(p) and p.endswith(".py")]
    lines = _OPENING.format(n=_NONCE, sources=sources, up=path.count("/") + 1, tests=tests)
    at = 1 if module.body and _is_text(module.body[0]) else 0
    while at < len(module.body) and isinstance(node := module.body[at], ast.ImportFrom) and node.module == "__future__":
        at += 1
    module.body[at:at] = ast.parse(lines).body
    try:
        return ast.unparse(ast.fix_missing_locations(module)) + "\n"
    except (ValueError, RecursionError):
        return ""


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


class _Rewriter(ast.NodeTransformer):
    """Puts every call in functions through the witness, lets the chosen tests go on after what fails, and has them report."""

    def __init__(self, names: set[str]) -> None:
        self.names = names
        self.inside = 0

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        self.inside += 1
        body = [self.visit(statement) for statement in node.body]
        self.inside -= 1
        if node.name in self.names and not self.inside:
            node.body = [_parsed("begin()"), _tried(_guarded(body), final=[_parsed("report()")])]
        else:
            node.body = body
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        label = ast.unparse(node.func)
        self.generic_visit(node)
        if not self.inside or (isinstance(node.func, ast.Name) and node.func.id in _FRAMES):
            return node
        through = ast.Attribute(ast.Name(_NONCE, ast.Load()), "call", ast.Load())
        return ast.Call(through, [ast.Constant(label), node.func, *node.args], node.keywords)


def _parsed(call: str) -> ast.stmt:
    return ast.parse(f"{_NONCE}.{call}").body[0]


def _tried(body: list[ast.stmt], *, final: list[ast.stmt] | None = None) -> ast.stmt:
    if final is not None:
        return ast.Try(body=body, handlers=[], orelse=[], finalbody=final)
    name = f"{_NONCE}_error"
    handler = ast.ExceptHandler(ast.Name("BaseException", ast.Load()), name, [_parsed(f"go_on({name})")])
    return ast.Try(body=body, handlers=[handler], orelse=[], finalbody=[])


def _guarded(body: list[ast.stmt]) -> list[ast.stmt]:
    """Each statement by itself, those in loops and blocks too; a `while` only as a whole, since what ends it may be what fails."""
    for node in body:
        if isinstance(node, ast.For | ast.With | ast.AsyncFor | ast.AsyncWith | ast.If):
            node.body = _guarded(node.body)
    keep = (
        ast.FunctionDef,
        ast.AsyncFunctionDef,
        ast.ClassDef,
        ast.Import,
        ast.ImportFrom,
        ast.Global,
        ast.Nonlocal,
        ast.Pass,
    )
    return [node if isinstance(node, keep) else _tried([node]) for node in body]
