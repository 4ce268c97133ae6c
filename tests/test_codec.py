"""Dataclasses to JSON and back, whatever is in them; what is something else is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pytest

from zwarm_ci.baseline import Baseline
from zwarm_ci.codec import from_data, to_data
from zwarm_ci.executors.base import Report
from zwarm_ci.github.issue import Comment, Issue
from zwarm_ci.selection import Request
from zwarm_ci.staffing import Means
from zwarm_ci.task import Failure, Origin, Place, Usage
from zwarm_ci.verdict import CheckResult, GuardFinding, Verdict

FAILURE = Failure(
    "tests", "t::a\udcff", "E", "det\x00ail", Place("a.py", 3), "E", fixable=True, frames=(Place("b.py"),)
)
RESULT = CheckResult(
    "tests", "pytest", None, ("a",), ("b",), (), 1.5, (FAILURE,), canary=False, lines={"a.py": (1, 2)}, edited=("x",)
)
VALUES = [
    Report("completed", "done", "model", Origin("a", "b", "c", ("d",)), usage=Usage(1, 2), models=(("m", Usage(3)),), cost_usd=None),
    Verdict("fixed", "good", (GuardFinding("g", "review", "p", None, "d"),), (RESULT,), '{"a": 1}'),
    Baseline((RESULT,), {("tests", "b"): (1, 2)}, {("tests", ""): "why"}, unsteady=frozenset({("tests", "b"), ("a", "c")})),
    Request("run", Path("/x"), config_file=Path("c.toml"), means=Means(replay=Path("r")), revert=None, sets=("a=1",)),
    Issue("title", "body", labels=("a",), comments=(Comment("t", "l", 7, "User", "OWNER"),)),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda v: type(v).__name__)
def test_what_is_written_is_read(value: Any) -> None:
    assert from_data(type(value), json.loads(json.dumps(to_data(value)))) == value


@dataclass(frozen=True)
class Odd:
    """One field of each kind."""

    money: Decimal = Decimal("0.10")
    share: float = 1
    word: Literal["a", "b"] = "a"
    maybe: int | None = None
    rows: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    pair: tuple[str, int] = ("x", 1)
    flag: bool = False
    anything: Any = None


def test_what_is_left_out_is_as_if_it_were_not_said() -> None:
    assert from_data(Odd, {}) == Odd()
    assert from_data(Odd, {"anything": {"a": [1]}}).anything == {"a": [1]}


@pytest.mark.parametrize(
    "data",
    [
        [], None, {"new": 1}, {"money": "x"}, {"money": 1}, {"share": "1"}, {"share": True}, {"word": "c"}, {"maybe": "1"}, {"maybe": True},
        {"rows": {"a": [1]}}, {"rows": [["a", ["1"]]]}, {"rows": [["a"]]}, {"pair": ["x"]}, {"pair": ["x", 1, 2]}, {"flag": 1}, {"pair": "x1"},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_something_else_is_refused(data: Any) -> None:
    with pytest.raises(ValueError):
        from_data(Odd, data)


def test_what_cannot_be_written_down_is_said() -> None:
    with pytest.raises(TypeError, match="object cannot be written down"):
        to_data(Odd(anything=object()))
