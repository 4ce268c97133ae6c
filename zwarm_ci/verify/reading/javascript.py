"""Tests in JavaScript and TypeScript: jest, vitest, mocha with chai or node:assert, node:test, ava, tape."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from zwarm_ci.verify.reading.base import Note, TestCase, TestFile
from zwarm_ci.verify.reading.javascript_body import SHADOWS, Body, body_of
from zwarm_ci.verify.reading.javascript_imports import SUITES, TESTS, take_imports
from zwarm_ci.verify.reading.javascript_syntax import declared, opened, statement_end, title_of
from zwarm_ci.verify.reading.phrases import Segment, Tables, arguments, chain, nearest, numbered, outside, rows_of
from zwarm_ci.verify.reading.tokens import Source, tokenize

_SUITE_OWNERS = frozenset("t tap QUnit Deno tape suite".split())
_MODIFIERS = frozenset(
    "only skip todo failing fails fixme skipIf runIf if each for concurrent serial sequential parallel slow cb describe macro shuffle timeout "
    "retries expect test".split()
) | {""}
_OFF = frozenset("skip todo failing fails fixme skipIf runIf if".split())
_ROOTS = {
    **dict.fromkeys("fit ftest fdescribe".split(), "only"),
    **dict.fromkeys("xit xtest xspecify xdescribe xcontext".split(), "skip"),
}  # fmt: skip
_MANY_NESTED = 60  # suites in suites; more is no test file of a person


@dataclass(slots=True)
class _Reading:
    """What has been found so far."""

    src: Source
    cases: list[TestCase] = field(default_factory=list)
    only: list[Note] = field(default_factory=list)
    off: list[Note] = field(default_factory=list)
    subjects: dict[str, tuple[str, ...]] = field(default_factory=dict)
    helpers: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)  # local name -> suite, test, assert or an assertion's name
    arrays: Tables = field(default_factory=dict)
    deep: bool = False


@dataclass(frozen=True, slots=True)
class _Around:
    """What the suites around a test give it."""

    name: str = ""
    off: tuple[Note, ...] = ()
    rows: tuple[str, ...] = ()
    handle: str = "t"
    depth: int = 0


def read(path: str, text: str) -> TestFile:
    """The tests in `text`; unreadable where brackets, strings or comments are not closed (markup in JSX may hold lone ones)."""
    src = tokenize(text, "javascript")
    if not src.whole and not path.lower().endswith(("x", ".js")):
        return TestFile(readable=False)
    if not src.whole and not re.search(r"</?[A-Za-z>]", text):
        return TestFile(readable=False)
    reading = _Reading(src)
    for at, token in enumerate(src.tokens):
        _array(reading, at, token.text)
    _range(reading, 0, len(src.tokens), _Around())
    if reading.deep:
        return TestFile(readable=False)
    return TestFile(numbered(reading.cases), tuple(reading.only), tuple(reading.off), reading.subjects, reading.helpers)


def _array(reading: _Reading, at: int, text: str) -> None:
    """Remember `const cases = [ … ]`, wherever it stands."""
    src = reading.src
    if text not in {"const", "let", "var"} or at + 2 >= len(src.tokens):
        return
    opening = src.find(at + 2, min(at + 40, len(src.tokens)), "=") + 1
    if opening and src.at(opening) in {"[", "{"}:
        reading.arrays.setdefault(src.at(at + 1), []).append((at, rows_of(src, opening)))


def _range(reading: _Reading, first: int, last: int, around: _Around) -> None:
    """The statements of a file or of a suite's body."""
    shared = Body()
    begin, found = first, len(reading.cases)
    while begin < last:
        end = statement_end(reading.src, begin, last)
        _holder(reading, begin, end)
        begin = max(end, begin + 1)
    begin = first
    while begin < last:
        end = statement_end(reading.src, begin, last)
        if reading.src.at(begin) != ";":
            _read_statement(reading, begin, end, around, shared)
        begin = max(end, begin + 1)
    # What replaces or silences something for all tests beside it is said of each of them.
    for number in range(found, len(reading.cases)):
        case = reading.cases[number]
        reading.cases[number] = replace(
            case,
            off=(*case.off, *shared.off),
            swallows=(*case.swallows, *shared.swallows),
            doubles=(*case.doubles, *shared.doubles),
        )


def _holder(reading: _Reading, begin: int, end: int) -> None:
    """Remember a function of the file's own that asserts: a call of it holds something."""
    src = reading.src
    name = declared(src, begin)
    if not name or name in reading.names or name in SHADOWS:
        return
    texts = {t.text for t in src.tokens[begin:end] if t.kind == "name" or t.text == "=>"}
    if texts & {"=>", "function"} and texts & {"expect", "assert", "should", "equal"}:
        reading.names[name] = "="


def _read_statement(reading: _Reading, begin: int, end: int, around: _Around, shared: Body) -> None:
    src = reading.src
    if take_imports(src, begin, end, reading.subjects, reading.names):
        return
    spans: list[tuple[int, int]] = []
    rows = around.rows + _looped(reading, begin, end)
    inner = replace(around, rows=rows)
    at = begin
    while at < end:
        if src.tokens[at].kind == "name" and src.at(at - 1) not in {".", "?.", "function"}:
            parts, after = chain(src, at)
            if _is_case(reading, parts, around.handle):
                _case(reading, parts, inner)
                spans.append((at, after))
                at = after
                continue
        at += 1
    loose = list(outside(begin, end, spans))
    said = "".join(src.canon(a, b) for a, b in loose if src.canon(a, b) not in {"", "await"})
    if not said:
        return
    reading.helpers[_key(src, begin, said)] = said
    name = declared(src, begin)
    if name in SHADOWS and name not in reading.names and ("=>" in said or "function" in said):
        reading.off.append(Note(src.tokens[begin].line, f"{name} is the file's own"))
    if re.match(
        r"(?:global|globalThis|window)\.(?:expect|assert|it|test|describe)=|expect\.extend\(\{(?:to|not)|assert\.\w+=[^=]",
        said,
    ):
        reading.off.append(Note(src.tokens[begin].line, said))
    if not name:
        found = body_of(src, iter(loose), "", {}, frozenset(n for names in reading.subjects.values() for n in names))
        shared.doubles += found.doubles
        shared.swallows += found.swallows
        shared.off += [n for n in found.off if n.text.startswith("process.exit")]


def _looped(reading: _Reading, begin: int, end: int) -> tuple[str, ...]:
    """The table that a statement runs its tests over: `for (… of T)`, `T.forEach(…)`."""
    src = reading.src
    at = begin + 2 if src.at(begin) == "for" else begin
    stop = src.end(begin + 1) if src.at(begin) == "for" else end
    if src.at(begin) == "for":
        at = src.find(at, stop, "of") + 1
        if not at:
            return ()
    if src.at(at) in {"[", "{"}:
        loops = src.at(begin) == "for" or src.at(src.after(at) + 1) in {"forEach", "map"}
        return rows_of(src, at) if loops else ()
    if src.tokens[at].kind != "name":
        return ()
    parts, _ = chain(src, at)
    if src.at(begin) != "for" and parts[-1].name not in {"forEach", "map"}:
        return ()
    inner = (
        src.canon(*parts[1].call) if parts[0].name == "Object" and len(parts) > 1 and parts[1].call else parts[0].name
    )
    return nearest(reading.arrays, inner, begin)


def _is_case(reading: _Reading, parts: list[Segment], handle: str) -> bool:
    """Whether a chain is a test or a suite: called by a known name, with something to run, or with a title alone."""
    src, root = reading.src, parts[0]
    called = _running(src, parts).call
    if not called:
        return False
    members = [p.name for p in parts[1:]]
    if root.name in _SUITE_OWNERS | {handle} and members and members[0] in {"test", "only", "skip", "todo"}:
        inner = arguments(src, called)
        return _function(src, inner) >= 0 and len(inner) > 1
    if root.name not in SUITES | TESTS and reading.names.get(root.name) not in {"suite", "test"}:
        return False
    if members and members[0] in {
        "run",
        "before",
        "after",
        "beforeEach",
        "afterEach",
        "use",
        "mock",
        "extend",
        "step",
        "setTimeout",
        "info",
        "teardown",
    }:
        return False
    inner = arguments(src, called)
    if not inner:
        return False
    first = src.tokens[inner[0][0]]
    return _function(src, inner) >= 0 or first.kind in {"string", "template"} or len(inner) > 1


def _running(src: Source, parts: list[Segment]) -> Segment:
    """The call that is given what to run; `.timeout(…)` may follow it."""
    return next((p for p in reversed(parts) if p.call and _function(src, arguments(src, p.call)) >= 0), parts[-1])


def _function(src: Source, inner: list[tuple[int, int]]) -> int:
    """The number of the argument that is the function to run, or -1."""
    for number in range(len(inner) - 1, -1, -1):
        first, last = inner[number]
        if src.find(first, last, "=>", "function") >= 0:
            return number
    return -1


def _case(reading: _Reading, parts: list[Segment], around: _Around) -> None:
    src, root = reading.src, parts[0]
    inner = arguments(src, _running(src, parts).call)
    line = src.tokens[root.at].line
    which = _function(src, inner)
    title = inner[0] if which != 0 else (0, 0)
    name = "::".join(filter(None, (around.name, title_of(src, *title) or "(no title)")))
    words = [_ROOTS.get(root.name, ""), *(p.name for p in parts[1:])]
    options = [i for i in inner[1:] if src.at(i[0]) == "{"]
    for option in options:
        at = next(
            (
                k
                for k in ("skip", "todo", "only", "fails")
                if (n := src.find(option[0] + 1, option[1] - 1, k)) >= 0 and src.at(n + 2) != "false"
            ),
            "",
        )
        words.append(at)
    modifiers = "".join(
        src.canon(p.at - 1, p.at) + p.name + ("(" + src.canon(*p.call) + ")" if p.call and p is not parts[-1] else "")
        for p in parts[1:]
        if p.name in _OFF
    )
    off = [Note(line, f".{w}{modifiers if w in _OFF else ''}") for w in words if w in _OFF]
    if "only" in words:
        reading.only.append(Note(line, f"only: {name}"))
    rows = around.rows
    if each := next((p for p in parts if p.name in {"each", "for"} and p.call), None):
        rows += _rows(reading, each.call or (0, 0))
    is_suite = root.name in SUITES or reading.names.get(root.name) == "suite"
    handle, body = opened(src, inner[which]) if which >= 0 else ("", (0, 0))
    if around.depth > _MANY_NESTED:
        reading.deep = True
        return
    if is_suite and body != (0, 0):
        _range(reading, *body, _Around(name, (*around.off, *off), rows, around.handle, around.depth + 1))
        return
    if which < 0 and len(inner) == 1 and not off:
        off.append(Note(line, "nothing to run"))
    _test(reading, (name, line, rows), (*around.off, *off), (inner, title, which), handle, body, around)


def _test(
    reading: _Reading, head: tuple[str, int, tuple[str, ...]], off: tuple[Note, ...], args: tuple[list[tuple[int, int]], tuple[int, int], int],
    handle: str, body: tuple[int, int], around: _Around,
) -> None:  # fmt: skip
    """Add a test; tests in it are tests of their own, and not its."""
    src, (name, line, rows), (inner, title, which) = reading.src, head, args
    spans: list[tuple[int, int]] = []
    at = body[0]
    while at < body[1]:
        if (
            src.tokens[at].kind == "name"
            and src.at(at - 1) not in {".", "?."}
            and src.at(at) in _SUITE_OWNERS | {handle} | SUITES | TESTS
        ):
            parts, after = chain(src, at)
            if _is_case(reading, parts, handle) and _function(src, arguments(src, parts[-1].call)) >= 0:
                _case(reading, parts, _Around(name, off, (), handle or around.handle, around.depth + 1))
                spans.append((at, after))
                at = after
                continue
        at += 1
    whole = inner[which] if which >= 0 else (0, 0)
    ranges = list(outside(*(whole if whole != (0, 0) else (inner[0][0], inner[-1][1])), spans))
    imported = frozenset(n for names in reading.subjects.values() for n in names)
    found = body_of(src, iter(ranges), handle, reading.names, imported)
    found.off += _early(src, body, handle)
    rows += tuple(
        row
        for at in range(*body)
        if src.at(at) == "of" or (src.at(at + 1) == "." and src.at(at + 2) == "forEach")
        for row in _table(reading, at + (src.at(at) == "of"))
    )
    shape = "".join(src.canon(*i) + "," for i in inner if i not in (title, whole)) + "".join(
        src.canon(a, b) for a, b in ranges
    )
    marks = "".join(sorted(n.text for n in off))
    case = TestCase(
        name, line, tuple(found.assertions), (*off, *found.off), tuple(found.swallows), tuple(found.doubles)
    )
    reading.cases.append(replace(case, rows=rows, ranges=tuple(found.ranges), shape=marks + shape))


def _table(reading: _Reading, at: int) -> tuple[str, ...]:
    """The rows of the list that a loop in a test goes over."""
    return rows_of(reading.src, at) if reading.src.at(at) == "[" else nearest(reading.arrays, reading.src.at(at), at)


def _early(src: Source, body: tuple[int, int], handle: str) -> list[Note]:
    """A `return` or a callback that ends a test before its last statements."""
    at, notes = body[0], []
    while at < body[1]:
        text = src.at(at)
        end = statement_end(src, at, body[1])
        more = end < body[1] and any(t.kind == "name" for t in src.tokens[end : body[1]])
        if more and (
            text in {"return", "throw"}
            or (handle and src.canon(at, end) in {f"{handle}()", f"{handle}.end()", f"{handle}(null)"})
        ):
            notes.append(Note(src.tokens[at].line, f"{src.canon(at, end)} before the end"))
            break
        at = max(end, at + 1)
    return notes


def _rows(reading: _Reading, call: tuple[int, int]) -> tuple[str, ...]:
    src = reading.src
    token = src.tokens[call[0]] if call[0] < len(src.tokens) else None
    if token and token.kind == "template":
        return tuple(re.sub(r"\s+", "", row) for row in token.text.strip("`").split("\n")[1:] if row.strip())
    if src.at(call[0]) == "[":
        return rows_of(src, call[0])
    return nearest(reading.arrays, src.at(call[0]), call[0])


def _key(src: Source, begin: int, said: str) -> str:
    return declared(src, begin) or said[:80]
