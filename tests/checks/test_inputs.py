"""Other inputs than a test's, and what a call is said to have given (`checks/probe/zwarm_ci_inputs.py`, `zwarm_ci_answers.py`)."""

from __future__ import annotations

import datetime as dt
import importlib
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from zwarm_ci.checks.base import PROBE


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> tuple[ModuleType, ModuleType]:
    monkeypatch.syspath_prepend(str(PROBE))
    return importlib.import_module("zwarm_ci_inputs"), importlib.import_module("zwarm_ci_answers")


@pytest.mark.parametrize(
    "value",
    [
        3,
        2.5,
        "two words",
        b"abc",
        dt.date(2026, 2, 28),
        dt.datetime(2026, 2, 28, 4, 5, tzinfo=dt.UTC),
        dt.timedelta(minutes=5),
        Decimal("1.10"),
        Fraction(1, 3),
        [1, {"a": (2, "b")}],
    ],
)
def test_each_kind_of_input_has_eight_others(value: Any, probe: tuple[ModuleType, ModuleType]) -> None:
    inputs, _ = probe
    said = [inputs.said(v) for v in inputs.variants([[value], {}])]
    assert len(said) == 8
    assert inputs.said([[value], {}]) not in said
    assert len(set(said)) >= 6


def test_a_file_is_varied_by_what_stands_in_it(tmp_path: Path, probe: tuple[ModuleType, ModuleType]) -> None:
    inputs, _ = probe
    file = tmp_path / "rows.txt"
    file.write_text("one 1\ntwo 2\n")
    others = [v[0][0] for v in inputs.variants([[file], {}])]
    assert {o.name for o in others} == {"rows.txt"}
    assert len({o.read_text() for o in others} - {file.read_text()}) >= 6
    assert file.read_text() == "one 1\ntwo 2\n"


class _Box:
    def __init__(self) -> None:
        self.held = [1, 2]

    def drop(self) -> None:
        self.held.pop()

    def keep(self) -> None:
        pass


def test_what_a_call_does_to_its_owner_and_its_arguments_is_given_too(probe: tuple[ModuleType, ModuleType]) -> None:
    _, answers = probe
    asked: list[Any] = [[], {}]
    assert answers.answer(_Box().drop, asked) != answers.answer(_Box().keep, asked)
    rows: list[Any] = [[[3, 1, 2]], {}]
    assert answers.answer(lambda x: x.sort(), rows) != answers.answer(lambda x: x.reverse(), rows)
    assert rows == [[[3, 1, 2]], {}]
