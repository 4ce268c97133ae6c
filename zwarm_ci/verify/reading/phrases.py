"""What the readers of JavaScript, Go and Rust share: calls as chains, tables, constants, and how much a comparison holds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from zwarm_ci.verify.reading.base import EXACT, PART, TRUTH, VACUOUS, Assertion, Note, TestCase
from zwarm_ci.verify.reading.tokens import Source

_CONSTANTS = frozenset("true false null undefined nil None NaN [ ] { } ( ) , : - ! () ;".split())
_LITERALS = frozenset({"number", "string", "regex"})
_NUMBER = re.compile(r"^-?[\d_]+(?:\.[\d_]+)?(?:[eE][+-]?\d+)?")
#: Functions that hold something by their name: helpers of the tests themselves.
HOLDS = re.compile(r"^_?(?:assert|expect|check|verify|should|validate|ensure|must)(?=[A-Z_\d]|$)")


@dataclass(slots=True)
class Found:
    """What of one test was read so far; see `TestCase`."""

    assertions: list[Assertion] = field(default_factory=list)
    off: list[Note] = field(default_factory=list)
    swallows: list[Note] = field(default_factory=list)
    doubles: list[Note] = field(default_factory=list)
    ranges: list[Note] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)

    def case(self, name: str, line: int, shape: str) -> TestCase:
        """The test that it is."""
        return TestCase(
            name, line, tuple(self.assertions), tuple(self.off), tuple(self.swallows), tuple(self.doubles),
            tuple(self.rows), tuple(self.ranges), shape,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a chain: a member (`name`), and the token range of its arguments where it is called."""

    name: str
    at: int
    call: tuple[int, int] | None = None


def chain(src: Source, at: int) -> tuple[list[Segment], int]:
    """The chain of members and calls that begins with the name at `at`, and the index after it."""
    parts = [Segment(src.at(at), at)]
    at += 1
    while at < len(src.tokens):
        text = src.at(at)
        if text in {".", "?.", "::"} and at + 1 < len(src.tokens) and src.tokens[at + 1].kind == "name":
            parts.append(Segment(src.at(at + 1), at + 1))
            at += 2
        elif text == "(":
            called = (at + 1, src.end(at))
            parts[-1:] = (
                [replace(parts[-1], call=called)] if parts[-1].call is None else [parts[-1], Segment("", at, called)]
            )
            at = src.after(at)
        elif src.tokens[at].kind == "template" and src.language == "javascript":
            parts[-1:] = (
                [replace(parts[-1], call=(at, at + 1))]
                if parts[-1].call is None
                else [parts[-1], Segment("", at, (at, at + 1))]
            )
            at += 1
        elif text == "[" and src.language == "javascript" and src.tokens[at].line == src.tokens[at - 1].line:
            at = src.after(at)
        elif text == "<" and src.language != "go" and (close := _generics(src, at)):
            at = close
        elif text in {"!", "?", "?."} and src.at(at + 1) in {".", "(", "["} and src.language != "go":
            at += 1
        else:
            break
    return parts, at


def _generics(src: Source, at: int) -> int:
    """The index of the parenthesis after type arguments that begin at `at`; 0 where they are none."""
    depth = 0
    for index in range(at, min(at + 80, len(src.tokens))):
        text = src.at(index)
        depth += {"<": 1, ">": -1, ">>": -2}.get(text, 0)
        if depth <= 0:
            return index + 1 if src.at(index + 1) == "(" else 0
        if text in {";", "&&", "||", "=="}:
            return 0
    return 0


def arguments(src: Source, call: tuple[int, int] | None) -> list[tuple[int, int]]:
    """The ranges of a call's arguments."""
    return src.split(*call) if call else []


def constant(src: Source, first: int, last: int) -> bool:
    """Whether nothing but literals stands there."""
    return first < last and all(t.kind in _LITERALS or t.text in _CONSTANTS for t in src.tokens[first:last])


def number(src: Source, first: int, last: int) -> float | None:
    """The number that is all that stands there."""
    said = src.canon(first, last)
    found = _NUMBER.match(said)
    try:
        return float(found[0].replace("_", "")) if found and len(said) - found.end() <= 4 else None
    except ValueError:
        return None


def held(src: Source, first: int, last: int) -> tuple[str, str, int]:
    """Subject, expectation and strength of a condition that a test wants true."""
    if constant(src, first, last) or _always(src, first, last):
        return src.canon(first, last), "", VACUOUS
    for signs, strength in ((("===", "=="), EXACT), (("!==", "!=", "<", ">", "<=", ">="), PART)):
        if (at := src.find(first, last, *signs)) >= 0:
            left, right = src.canon(first, at), src.canon(at + 1, last)
            if left == right or (constant(src, first, at) and constant(src, at + 1, last)):
                return left, right, VACUOUS
            return left, src.at(at) + right, TRUTH if left.startswith("typeof") else strength
    said = src.canon(first, last)
    partly = any(
        word in said
        for word in (
            "includes(",
            "contains(",
            "Contains(",
            ".test(",
            "matches!",
            "startsWith(",
            "starts_with(",
            "HasPrefix(",
            "is_err(",
        )
    )
    return said, "", PART if partly else TRUTH


def _always(src: Source, first: int, last: int) -> bool:
    """`x || true`, `x or a constant`: no input makes it false."""
    at = src.find(first, last, "||")
    return at >= 0 and any(src.canon(a, b) in {"true", "1", "!false", "!0"} for a, b in src.split(first, last, "||"))


def compared(
    src: Source, text: str, line: int, left: tuple[int, int], right: tuple[int, int], strength: int
) -> Assertion:
    """An assertion that holds one thing against another."""
    subject, expected = src.canon(*left), src.canon(*right)
    empty = subject == expected or (constant(src, *left) and constant(src, *right))
    return Assertion(line, text, subject, expected, VACUOUS if empty else strength)


def rows_of(src: Source, opening: int) -> tuple[str, ...]:
    """The elements of the list that a bracket opens."""
    return tuple(src.canon(a, b) for a, b in src.split(opening + 1, src.end(opening)))


Tables = dict[str, list[tuple[int, tuple[str, ...]]]]


def nearest(tables: Tables, name: str, at: int) -> tuple[str, ...]:
    """The rows of the table of this name that is declared last before a token; many functions may have one of the same name."""
    known = tables.get(name, [])
    return next((rows for index, rows in reversed(known) if index <= at), known[0][1] if known else ())


def numbered(cases: Iterable[TestCase]) -> tuple[TestCase, ...]:
    """The cases in order of their lines, with two of one name told apart."""
    seen: dict[str, int] = {}
    found = []
    for case in sorted(cases, key=lambda c: c.line):
        seen[case.name] = seen.get(case.name, 0) + 1
        found.append(replace(case, name=f"{case.name}#{seen[case.name]}") if seen[case.name] > 1 else case)
    return tuple(found)


def outside(first: int, last: int, spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """What is left of [first, last) without these ranges."""
    for begin, end in sorted(spans):
        if first < begin:
            yield first, begin
        first = max(first, end)
    if first < last:
        yield first, last
