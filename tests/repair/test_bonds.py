"""Hunks that only make sense together move together; others do not."""

from __future__ import annotations

import pytest

from zwarm_ci.repair.bonds import Bonds, parses
from zwarm_ci.repair.hunks import Hunk, Span


def _hunk(added: str, removed: str = "", start: int = 0, path: str = "a.py") -> Hunk:
    new, old = (tuple(line.encode() + b"\n" for line in text.splitlines()) for text in (added, removed))
    return Hunk(path, Span(start, len(new)), old, new)


def test_undoing_a_definition_undoes_its_uses_but_not_the_reverse() -> None:
    bonds = Bonds(
        [_hunk("def fresh(a):\n    return a"), _hunk("x = fresh(1)", "x = 1", 9), _hunk("y = 3", "y = 2", 20)]
    )
    assert bonds.closed([0]) == {0, 1}
    assert bonds.closed([1]) == {1}
    assert bonds.closed([2]) == {2}


def test_undoing_a_use_of_what_was_deleted_brings_the_definition_back() -> None:
    bonds = Bonds([_hunk("", "def stale(a):\n    return a"), _hunk("x = 1", "x = stale(1)", 9)])
    assert bonds.closed([1]) == {0, 1}
    assert bonds.closed([0]) == {0}


@pytest.mark.parametrize(
    ("definition", "use"),
    [
        ("from money import cents", "total = cents(a)"),
        ("import decimal as d", "total = d.Decimal(a)"),
        ("LIMIT = 3", "if a > LIMIT:\n    pass"),
        ("class Shop:\n    pass", "s = Shop()"),
        ("function fresh(a) { return a }", "let x = fresh(1)"),
        ("fn fresh(a: i32) -> i32 { a }", "let x = fresh(1);"),
        ("func fresh(a int) int { return a }", "x := fresh(1)"),
    ],
)
def test_definitions_in_several_forms_and_languages(definition: str, use: str) -> None:
    assert Bonds([_hunk(definition), _hunk(use, "", 9)]).closed([0]) == {0, 1}


def test_chains_are_followed() -> None:
    bonds = Bonds([_hunk("def one():\n    pass"), _hunk("def two():\n    one()", "", 5), _hunk("two()", "", 9)])
    assert bonds.closed([0]) == {0, 1, 2}


def test_pieces_that_do_not_parse_alone_are_tied() -> None:
    text = b"a = 1\n2\nz = 3\n"
    opening, closing, other = _hunk("a = 1", "a = ["), _hunk("", "]", 2), _hunk("z = 3", "z = 4", 2)
    bonds = Bonds([opening, closing, other])
    bonds.tie_what_does_not_parse(lambda _: text)
    assert bonds.closed([0]) == {0, 1}
    assert bonds.closed([1]) == {0, 1}
    assert bonds.closed([2]) == {2}


def test_files_that_do_not_parse_today_are_left_alone() -> None:
    bonds = Bonds([_hunk("def broken(", "x = 1")])
    bonds.tie_what_does_not_parse(lambda _: b"def broken(\n")
    assert bonds.closed([0]) == {0}
    assert not parses(b"def broken(\n")
    assert not parses(b"\0")
