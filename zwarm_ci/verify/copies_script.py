"""Copies of tests in JavaScript and TypeScript that write down what they look at, with their own inputs and with others.

Nothing is run here. In a copy a test's function runs as it is and eight times with other inputs: its literals, the variables of the
loop that it stands in, the rows that it is given. Assertions note what they look at and hold nothing. A copied test always fails; its
message holds what was noted (`checks/probe/zwarm_ci_script.js`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from zwarm_ci.checks.base import PROBE
from zwarm_ci.verify.copies import NONCE
from zwarm_ci.verify.reading import javascript
from zwarm_ci.verify.reading.base import TestCase
from zwarm_ci.verify.reading.javascript_body import looked_at
from zwarm_ci.verify.reading.javascript_imports import take_imports
from zwarm_ci.verify.reading.javascript_syntax import opened, statement_end, title_of
from zwarm_ci.verify.reading.phrases import Segment, arguments, chain
from zwarm_ci.verify.reading.tokens import Source, tokenize

SCRIPT = frozenset({".js", ".mjs", ".cjs", ".ts", ".mts", ".cts"})
_MOST = 12  # assertions of one test that are noted
_MODULES = frozenset({"require", "import", "from"})  # before a text that names a module, and is no input
_PLACE = re.compile(r"\\?\$\\?\{.*?\\?\}|%[a-z]|\\?\$[\w.]+")  # what a title fills in, as `re.escape` leaves it
_Range = tuple[int, int]
_Edit = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class _Test:
    """A test's call: its chain, the function that it runs, that one's handle and body.

    `worked_out`: its title is more than a text.
    """

    case: TestCase
    parts: Sequence[Segment]
    whole: _Range
    handle: str
    body: _Range
    worked_out: bool


def copied(text_of: Callable[[str], str], files: Sequence[str], targets: Sequence[str]) -> dict[str, str]:
    """Path -> text of the copies of the targets' files, of those that hold a target with inputs of its own."""
    found: dict[str, str] = {}
    for path in dict.fromkeys(t.partition("::")[0] for t in targets):
        if PurePosixPath(path).suffix in SCRIPT and path in files:
            names = {t.partition("::")[2].replace(" > ", "::") for t in targets if t.startswith(f"{path}::")}
            if made := rewritten(text_of(path), path, names):
                found[path] = made
    return found


def rewritten(text: str, path: str, names: set[str]) -> str:
    """A test file whose tests of these names (`suite::title`) tell what they look at; "" where none of them has inputs of its own."""
    src = tokenize(text, "javascript")
    if not src.whole:
        return ""
    known: dict[str, str] = {}
    begin = 0
    while begin < len(src.tokens):
        end = max(statement_end(src, begin, len(src.tokens)), begin + 1)
        take_imports(src, begin, end, {}, known)
        begin = end
    lines: dict[int, list[int]] = {}
    for at, token in enumerate(src.tokens):
        if token.kind == "name":
            lines.setdefault(token.line, []).append(at)
    edits: list[_Edit] = []
    done = 0
    for case in javascript.read(path, text).cases:
        found = _found(src, lines.get(case.line, ()), case)
        if not found or found.whole[0] < done or not any(_titled(found, name) for name in names):
            continue
        if made := list(_edits(src, found, known)):
            edits += made
            done = found.whole[1]
    if not edits:
        return ""
    for first, last, said in sorted(edits, reverse=True):
        text = f"{text[:first]}{said}{text[last:]}"
    return f"{text}\n{(PROBE / 'zwarm_ci_script.js').read_text().replace('zwarm_ci_nonce', NONCE)}"


def _titled(test: _Test, name: str) -> bool:
    """Whether a test's name may be what its title as written becomes, with what a loop or a table fills in."""
    suites, _, title = test.case.name.rpartition("::")
    if test.case.name == name:
        return True
    filled = ".*" if test.worked_out else _PLACE.sub(".*", re.escape(title))
    pattern = f"{_PLACE.sub('.*', re.escape(suites))}::{filled}" if suites else filled
    return ".*" in pattern and re.fullmatch(pattern, name) is not None


def _found(src: Source, names: Sequence[int], case: TestCase) -> _Test | None:
    """The call that a test is, which begins with one of these tokens; None where it cannot be told, or where it runs beside others."""
    for at in names:
        if src.at(at - 1) in {".", "?."}:
            continue
        parts, _ = chain(src, at)
        inner = arguments(src, parts[-1].call)
        if len(inner) > 1 and case.name.endswith(title_of(src, *inner[0])):
            whole = next((i for i in reversed(inner) if src.find(*i, "=>", "function") >= 0), None)
            if whole is None or any(p.name == "concurrent" for p in parts):
                return None
            handle, body = opened(src, whole)
            worked_out = src.tokens[inner[0][0]].kind == "name" or inner[0][1] - inner[0][0] > 1
            return _Test(case, parts, whole, handle, body, worked_out)
    return None


def _loops(src: Source, at: int) -> Iterator[str]:
    """The variables of `for (const … of …)` and of callbacks of `forEach` in which a token stands."""
    for opening, closing in src.close.items():
        if src.at(opening) != "(" or opening > at:
            continue
        if src.at(opening - 1) == "for" and src.at(opening + 1) in {"const", "let", "var"}:
            of = src.find(opening + 1, closing, "of")
            end = (
                src.after(closing + 1)
                if src.at(closing + 1) == "{"
                else statement_end(src, closing + 1, len(src.tokens))
            )
            if of > 0 and closing < at < end:
                yield from _bound(src, opening + 2, of)
        elif src.at(opening - 1) == "forEach" and opening < at < closing:
            arrow = src.find(opening + 1, closing, "=>")
            if 0 < arrow < at:
                yield from _bound(src, opening + 1, arrow)


def _bound(src: Source, first: int, last: int) -> Iterator[str]:
    """The names that a pattern binds."""
    for at in range(first, last):
        if src.tokens[at].kind == "name" and src.at(at + 1) in {",", "]", "}", ")", "=>", "of"}:
            yield src.at(at)


def _edits(src: Source, test: _Test, known: Mapping[str, str]) -> Iterator[_Edit]:
    """What makes a test run with its own and with other inputs; nothing where it has none, or looks at nothing."""
    seen = list(_assertions(src, test, known))
    gone = [r for at, end, subject in seen for r in ((at, subject[0]), (subject[1], end))]
    inputs = [at for at in _literals(src, test.body) if not any(first <= at < last for first, last in gone)]
    rows = any(p.name == "each" for p in test.parts)
    loops = ", ".join(dict.fromkeys(_loops(src, test.parts[0].at)))
    if not seen or not (inputs or loops or rows):
        return
    for at in inputs:
        yield src.tokens[at].start, src.tokens[at].start, f"{NONCE}_other("
        yield _end(src, at), _end(src, at), ")"
    for number, (at, end, subject) in enumerate(seen):
        label = hashlib.sha256(f"{test.case.name} {number}".encode()).hexdigest()[:8]
        waits = "async " if any(t.text == "await" for t in src.tokens[subject[0] : subject[1]]) else ""
        yield src.tokens[at].start, src.tokens[subject[0]].start, f'{NONCE}_saw("{label}", {waits}() => ('
        yield _end(src, subject[1] - 1), _end(src, end - 1), "))"
    first, last = src.tokens[test.whole[0]].start, _end(src, test.whole[1] - 1)
    yield first, first, f"async function (...zs) {{ await {NONCE}(({loops}) => ("
    yield last, last, f"), this, zs, [{loops}], {str(rows).lower()}); }}"


def _end(src: Source, at: int) -> int:
    return src.tokens[at].start + len(src.tokens[at].text)


def _assertions(src: Source, test: _Test, known: Mapping[str, str]) -> Iterator[tuple[int, int, _Range]]:
    """The token ranges of a test's assertions and of what they look at."""
    at, count = test.body[0], 0
    while at < test.body[1] and count < _MOST:
        if src.tokens[at].kind == "name" and src.at(at - 1) not in {".", "?."}:
            parts, end = chain(src, at)
            if subject := looked_at(src, parts, test.handle, known):
                yield at, end, subject
                at, count = end, count + 1
                continue
        at += 1


def _literals(src: Source, body: _Range) -> Iterator[int]:
    """Indices of the texts and numbers in a test that may be inputs: no names of modules or properties, no parts of templates."""
    for at in range(*body):
        token, before = src.tokens[at], src.at(at - 1)
        if token.kind not in {"string", "number", "template"} or src.at(at + 1) == ":":
            continue
        of_a_module = before in _MODULES or (before == "(" and src.at(at - 2) in _MODULES)
        of_a_property = before == "[" and (src.tokens[at - 2].kind == "name" or src.at(at - 2) in {")", "]"})
        tagged = token.kind == "template" and (src.tokens[at - 1].kind == "name" or before in {")", "]"})
        if not (of_a_module or of_a_property or tagged or (token.kind == "template" and "${" in token.text)):
            yield at
