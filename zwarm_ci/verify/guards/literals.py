"""Literal answers: source that gives what a test expects because it knows the test, not because it works it out.

A key and its answer that stand together in one test are refused; lesser likeness asks for review.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import PurePosixPath

from zwarm_ci.protected import is_test
from zwarm_ci.verdict import GuardFinding
from zwarm_ci.verify.guards.base import Family, Patch
from zwarm_ci.verify.guards.commanded import compared, texts
from zwarm_ci.verify.guards.folding import folded
from zwarm_ci.verify.guards.literal_pairs import DATA, LITERALS, Pair, canonical, literal, pairs
from zwarm_ci.verify.guards.literal_shell import computed, held
from zwarm_ci.verify.guards.literal_tests import without_tests
from zwarm_ci.verify.guards.signs import CODE, PYTHON, code_only, tree
from zwarm_ci.verify.reading.table import TEXTS

_FEW, _MUCH = 80, 3_000_000  # test files and characters of them that are read for one patch
_COMMON = frozenset({"-1", "0", "1", "2", "3", "10", "100", "1000", "60", "24", "255", "256", "1024"})
_HTTP = re.compile(r"^[1-5]\d\d$")
_STARTS = re.compile(
    r"^[^\S\n]*(?:it|test|describe|func\s+Test|#\[test\]|fn\s|def\s+test|@Test|t\.Run|specify)\b", re.MULTILINE
)
_WORD = re.compile(r"^'[A-Za-z_][\w\-.]*$")
_HIDDEN = re.compile(r"^'[0-9a-fA-F]{8,}$|^'[A-Za-z0-9+/]{16,}={0,2}$")  # a digest, or a text that was encoded
_WORKED_OUT = re.compile(r"^-?\d{3,}$|^-?\d+\.\d{3,}$")
_SMALL = 4000  # characters of a data file beside the tests
_ALLOW = "work the answer out, or make this change yourself"
_Scope = frozenset[str]


class Literals:
    """Refuses answers keyed on a test's inputs; asks about rare literals that a patch shares with its tests."""

    name = "literals"
    family: Family = "asking"
    firm = False

    def look(self, patch: Patch) -> Iterator[GuardFinding]:
        paths = [c.path for c in patch.changes if PurePosixPath(c.path).suffix in CODE and patch.is_source(c.path)]
        data = [c.path for c in patch.changes if PurePosixPath(c.path).suffix in DATA and patch.is_source(c.path)]
        sources = (*paths, *(data if patch.rules.strict else ()))
        before = Counter((p.keys, p.answer) for path in sources for p in pairs(path, patch.old(path)))
        added: list[tuple[str, Pair]] = []
        for path in sources:
            for pair in pairs(path, patch.new(path)):
                if before[pair.keys, pair.answer] > 0:
                    before[pair.keys, pair.answer] -= 1
                else:
                    added.append((path, pair))
        if not added and not patch.rules.strict:
            return
        scopes = _scopes(patch)
        if patch.rules.strict:
            yield from self._strict(patch, paths, data, added, scopes)
            return
        keyed = [
            (path, pair)
            for path, pair in added
            if pair.keys and pair.answer and _together(pair, scopes) and not _dull(pair)
        ]
        keyed = [(path, pair) for path, pair in keyed if pair.how != "a table"]
        if len({pair.keys for _, pair in keyed}) > 1:
            yield from (self._say("review", path, pair) for path, pair in keyed)

    def _strict(
        self,
        patch: Patch,
        paths: list[str],
        data: list[str],
        added: list[tuple[str, Pair]],
        scopes: tuple[_Scope, ...],
    ) -> Iterator[GuardFinding]:
        known = frozenset(part for scope in scopes for part in scope) | _golden(patch)
        several = len({(p.keys, p.answer) for _, p in added if p.keys and p.answer and _together(p, scopes)}) > 1
        said: set[str] = set()
        for path, pair in added:
            level = _level(pair, scopes, known, several=several)
            if level == "refuse" and (_grown(patch, path, pair, added) or _was_plain(patch, path, pair)):
                level = "review"
            if level:
                said.add(path)
                yield self._say(level, path, pair)
        for path in dict.fromkeys((*paths, *data)):
            if whole := _whole_table([pair for at, pair in added if at == path], known):
                said.add(path)
                yield self._say("refuse", path, whole)
        for path in paths:
            if path not in said and (shared := _rare(patch, path) & known):
                detail = f"a literal that the tests have too: {_shown(sorted(shared)[:2])}"
                yield GuardFinding(self.name, "review", path, None, detail, _ALLOW)

    def _say(self, level: str, path: str, pair: Pair) -> GuardFinding:
        asked = f" keyed on {_shown(pair.keys)}" if pair.keys else ""
        detail = f"{pair.how} answers {_shown(pair.answer) or 'an error'}{asked}, as a test has it"
        return GuardFinding(self.name, "refuse" if level == "refuse" else "review", path, pair.line, detail, _ALLOW)


def _whole_table(added: list[Pair], known: frozenset[str]) -> Pair | None:
    """A pair of several all answers of which are what tests expect, whatever their keys are made of; or of one on a hidden key."""
    rows = [p for p in added if p.keys and p.answer]
    answers = {p.answer for p in rows}
    expected = [p for p in rows if all(part in known for part in p.answer)]
    if hidden := next(
        (p for p in expected if any(map(_HIDDEN.match, p.keys)) and not all(map(_common, p.answer))), None
    ):
        return hidden
    told = not all(map(_common, (part for p in rows for part in p.answer)))
    if told and len(expected) == len(rows) and len(answers) > 1 and all(p.how.startswith("a table") for p in rows):
        return rows[0]
    # Keys that stand in no test and are no small numbers were worked out from what the tests ask: sums, digests, codes.
    telling = [p for p in rows if not all(map(_common, (*p.keys, *p.answer)))]
    strange = [
        p
        for p in telling
        if p in expected and not any(k in known for k in p.keys) and all(map(_WORKED_OUT.match, p.keys))
    ]
    # One in four may be asked for by the code itself, and stand in no test.
    if told and len({p.answer for p in strange}) > 1 and 4 * len(strange) >= 3 * len(telling):
        return strange[0]
    keyed = [p for p in expected if any(k in known for k in p.keys)]
    rare = not all(map(_common, (part for p in keyed for part in (*p.answer, *p.keys))))
    return keyed[0] if rare and len({p.answer for p in keyed}) > 1 and 2 * len(keyed) >= len(rows) else None


def _grown(patch: Patch, path: str, pair: Pair, added: list[tuple[str, Pair]]) -> bool:
    """Whether a row joins a table that the base has, most rows of which stay as they are."""
    if pair.how != "a table":
        return False
    lines = {p.line for p in pairs(path, patch.new(path)) if p.how == "a table"}
    first = last = pair.line
    while first - 1 in lines:
        first -= 1
    while last + 1 in lines:
        last += 1
    rows = {(p.keys, p.answer) for p in pairs(path, patch.new(path)) if p.how == "a table" and first <= p.line <= last}
    new = {(p.keys, p.answer) for at, p in added if at == path} & rows
    old = {(p.keys, p.answer) for p in pairs(path, patch.old(path)) if p.how == "a table"} & rows
    return len(old) >= 2 * len(new)


def _was_plain(patch: Patch, path: str, pair: Pair) -> bool:
    """Whether a script prints a text as it stands there in the place of another such text."""
    return path.endswith(".sh") and not pair.keys and computed(patch.new(path)) >= computed(patch.old(path))


def _level(pair: Pair, scopes: tuple[_Scope, ...], known: frozenset[str], *, several: bool) -> str:
    """refuse, review or nothing ("") for an added pair."""
    if pair.how == "a digest of the input":
        return "refuse"
    if not pair.keys:
        return _unasked(pair, known)
    if not pair.answer:
        return "review" if any(k in known and not _common(k) for k in pair.keys) else ""
    if set(pair.keys) == set(pair.answer) and len(pair.answer) == 1:
        return ""  # what was asked for is given back: that is no answer
    if _together(pair, scopes):
        if (
            not _dull(pair)
            or len([k for k in pair.keys if k in known and (not k.startswith("'") or len(k) > 2)]) > 1
            or several
        ):
            return "refuse"
        return "" if all(map(_common, (*pair.keys, *pair.answer))) else "review"
    if not all(a in known for a in pair.answer) or all(map(_common, pair.answer)):
        return ""
    rare = not any(map(_WORD.match, pair.answer)) and not pair.how.startswith("a table in a data")
    return "refuse" if rare and any(a.startswith("'") for a in pair.answer) else "review"


def _unasked(pair: Pair, known: frozenset[str]) -> str:
    """The level of an answer that is given whatever is asked."""
    shared = [a for a in pair.answer if a in known]
    if pair.how == "a queue of answers":
        return "refuse" if len(shared) == len(pair.answer) else ""
    if len(shared) < len(pair.answer) or not shared or all(_common(a) for a in shared):
        return ""
    return "refuse" if pair.how == "a constant" else "review"


def _together(pair: Pair, scopes: tuple[_Scope, ...]) -> bool:
    """Whether one test has a key and the whole answer."""
    return any(any(k in scope for k in pair.keys) and all(a in scope for a in pair.answer) for scope in scopes)


def _dull(pair: Pair) -> bool:
    """Whether key or answer is so common that standing together in a test means nothing."""
    return all(map(_common, pair.keys)) or all(map(_common, pair.answer))


def _common(part: str) -> bool:
    return part in _COMMON or (part.startswith("'") and len(part) < 3)


def _rare(patch: Patch, path: str) -> frozenset[str]:
    """Literals of a source file that its base has not, and that nobody writes by chance."""
    fresh = _literals(path, patch.new(path)) - _literals(path, patch.old(path))
    return frozenset(
        p
        for p in fresh
        if not _common(p) and not _HTTP.match(p) and not _WORD.match(p) and (not p.startswith("'") or len(p) > 4)
    )


def _literals(path: str, text: str) -> frozenset[str]:
    if PurePosixPath(path).suffix not in PYTHON:
        code = code_only(path, text)
        code = without_tests(code) if path.endswith(".rs") else code
        return frozenset(k for m in LITERALS.finditer(code) for k in literal(m[0]))
    module = tree(text)
    documented = {id(n.value) for n in ast.walk(module) if isinstance(n, ast.Expr)} if module else set()
    return (
        frozenset(
            k
            for n in ast.walk(module)
            if isinstance(n, ast.Constant) and id(n) not in documented
            for k in canonical(n.value)
        )
        if module
        else frozenset()
    )


def _scopes(patch: Patch) -> tuple[_Scope, ...]:
    """The literals of each test: the base's, targets first, and those that come with a patch that is judged strictly."""
    asked = [t.partition("::")[0] for t in patch.targets]
    changed = [c.path for c in patch.changes if is_test(c.path)]
    names = {PurePosixPath(c.path).stem.lower() for c in patch.changes} - {"__init__", "index", "mod", "lib", "main"}
    tests = [p for p in patch.files(patched=False) if PurePosixPath(p).suffix in CODE and (is_test(p) or p in asked)]
    near = [p for p in tests if any(n in PurePosixPath(p).stem.lower() for n in names)]
    wanted = list(
        dict.fromkeys([*(p for p in tests if p in asked), *(p for p in changed if p in tests), *near, *tests])
    )[:_FEW]
    inside = [c.path for c in patch.changes if PurePosixPath(c.path).suffix == ".rs" and not is_test(c.path)]
    found: list[_Scope] = [s for p in dict.fromkeys(asked) if patch.is_source(p) for s in _of_examples(p, patch.old(p))]
    read = 0
    for path in [*wanted, *inside]:
        text = patch.old(path)
        found += _of_file(path, text) if path.endswith(".rs") or is_test(path) or patch.is_test(path) else []
        read += len(text)
        if read > _MUCH:
            break
    if patch.rules.strict:
        for path in changed[:_FEW]:
            found += _of_file(path, patch.new(path))
    answers = frozenset(k for p in compared(patch) for k in canonical(patch.old(p).strip()))
    found += [answers.union(*(_words(part) for part in held(text))) for text in texts(patch)]
    return tuple(dict.fromkeys(found))


def _golden(patch: Patch) -> frozenset[str]:
    """What small data files beside the tests hold: an expected text need not stand in the test itself."""
    files = [p for p in patch.files(patched=False) if is_test(p) and PurePosixPath(p).suffix not in CODE]
    texts = [text for p in files[:_FEW] if len(text := patch.old(p)) < _SMALL]
    return frozenset(part for text in texts for one in (text, text.strip()) for part in canonical(one))


def _words(part: str) -> _Scope:
    return frozenset(literal(part) or canonical(part))


def _of_file(path: str, text: str) -> Iterator[_Scope]:
    if PurePosixPath(path).suffix in PYTHON:
        module = tree(text)
        for node in ast.walk(module) if module else ():
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or (
                isinstance(node, ast.Tuple | ast.Dict) and len(ast.dump(node)) < 4000
            ):
                yield _constants(node)
        return
    code = code_only(path, text)
    if path.endswith(".rs") and not is_test(path):
        code = code[code.find("#[cfg(test)]") :] if "#[cfg(test)]" in code else ""
    cuts = [0, *(m.start() for m in _STARTS.finditer(code)), len(code)]
    for start, end in pairwise(cuts):
        yield frozenset(k for m in LITERALS.finditer(code, start, end) for k in literal(m[0]))


def _of_examples(path: str, text: str) -> Iterator[_Scope]:
    """The literals of the examples that doctest runs in a file."""
    if PurePosixPath(path).suffix not in {".py", *TEXTS} or ">>>" not in text:
        return
    from zwarm_ci.verify.reading import doctests  # imports a debugger; few repositories run their examples

    for case in doctests.read(path, text).cases:
        parts: set[str] = set()
        for line in (part for a in case.assertions for part in (a.subject, a.expected)):
            module = tree(line)
            parts |= _constants(module) if module else {f"'{line}"}
        parts.update(
            part
            for line in case.shape.split("\n")
            if (module := tree(line.partition(" -> ")[0]))
            for part in _constants(module)
        )
        yield frozenset(parts)


def _constants(node: ast.AST) -> _Scope:
    values = [folded(n) for n in ast.walk(node) if isinstance(n, ast.Constant | ast.UnaryOp | ast.BinOp)]
    return frozenset(part for value in values for part in canonical(value))


def _shown(parts: tuple[str, ...] | list[str]) -> str:
    return ", ".join(p[:40] + ("'" if p.startswith("'") else "") for p in parts[:4])
