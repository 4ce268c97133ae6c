"""The tests of one file as values, whatever their language, and the Protocol of what reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

#: How much an assertion holds, from nothing to one exact value.
VACUOUS, TRUTH, PART, EXACT = 0, 1, 2, 3


@dataclass(frozen=True, slots=True)
class Note:
    """Something in a test worth naming, canonical so that it compares equal wherever it stands. `line` counts from 1.

    `over`: the texts of the assertions that are left out by it, where that is known.
    """

    line: int
    text: str
    over: tuple[str, ...] = ()

    def same(self, other: Note) -> bool:
        """Whether it says the same, on whatever line."""
        return self.text == other.text


@dataclass(frozen=True, slots=True)
class Assertion:
    """One thing that a test holds.

    Attributes:
        line: of its first token, from 1.
        text: the whole of it, canonical (white space, quotes and comments make no difference).
        subject: what is looked at, canonical: the call of the code under test, the left side of a comparison.
        expected: what it is held against, canonical; empty where there is nothing.
        strength: VACUOUS (a constant, a tautology: can never fail), TRUTH (truthy, not None, a type, does not throw), PART (contains, a
            bound, a pattern, a length, some error), EXACT (one value, one error with its message).
        tolerance: allowed difference in the assertion's own unit, where it has one.
    """

    line: int
    text: str
    subject: str = ""
    expected: str = ""
    strength: int = EXACT
    tolerance: float | None = None


@dataclass(frozen=True, slots=True)
class TestCase:
    """One test.

    Attributes:
        name: with its classes, suites or describe blocks, `::` between them.
        assertions: in order, those of nested blocks and loops too.
        off: what keeps it from running or from counting: skip, xfail, todo, ignore, an early return or a `pytest.skip()` call in it,
            a condition that can never hold around its assertions, `#[ignore]`, `t.Skip`, `it.skip`.
        swallows: what keeps a failure in it from being seen: try/except round an assertion, suppress, `.catch(() => {})`, recover.
        doubles: what replaces something of the code under test: mocks, patches, monkeypatch.setattr, jest.mock, spies that answer.
        rows: canonical rows of its parameters or table (empty = none).
        ranges: canonical extents of loops and generated inputs in it: `range(100)`, `max_examples=200`, `for i := 0; i < 10`.
        shape: canonical text of the whole test without comments and white space; equal = the same test.
    """

    name: str
    line: int
    assertions: tuple[Assertion, ...] = ()
    off: tuple[Note, ...] = ()
    swallows: tuple[Note, ...] = ()
    doubles: tuple[Note, ...] = ()
    rows: tuple[str, ...] = ()
    ranges: tuple[Note, ...] = ()
    shape: str = ""

    __test__ = False  # nothing for pytest to collect


@dataclass(frozen=True, slots=True)
class TestFile:
    """All that matters of one file with tests.

    Attributes:
        cases: in order; two of one name are numbered `name#2`.
        only: notes of what keeps all OTHER tests from running: `it.only`, `fdescribe`.
        off: of what keeps the whole file from running or counting: module marks, importorskip, `collect_ignore`, a build tag.
        subjects: module imported -> names taken from it, canonical.
        helpers: what is neither a test nor an import: fixtures, functions, classes, constants, by name -> shape.
        readable: False where it could not be parsed; the rest is then empty.
    """

    cases: tuple[TestCase, ...] = ()
    only: tuple[Note, ...] = ()
    off: tuple[Note, ...] = ()
    subjects: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    helpers: Mapping[str, str] = field(default_factory=dict)
    readable: bool = True

    __test__ = False


class Reader(Protocol):
    """Reads one language."""

    def __call__(self, path: str, text: str) -> TestFile:
        """The tests in `text`; never raises for any text."""
        ...
