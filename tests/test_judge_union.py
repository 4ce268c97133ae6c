"""Several patches together: which of them is set aside where their union is worse than the base, and what remains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.told import ADD, DOUBLE, FAILURE, GREEN, RED, TASK, Room, Told, result
from zwarm_ci.baseline import Baseline
from zwarm_ci.integrate import Union, settle, targets_green
from zwarm_ci.loop import Solved
from zwarm_ci.verdict import CheckResult, TaskOutcome

#: One line a patch, far enough apart that all of them apply together.
FILES = {f"m{n}.py": "X = 0\n" for n in range(5)}


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Room:
    return Room.make(tmp_path_factory.mktemp("union"), FILES)


def union_of(room: Room, wrong: Callable[[frozenset[int]], bool]) -> tuple[Union, Told]:
    """The union of five patches, each with a target of its own; DOUBLE is red where `wrong` says so of the patches in a tree."""
    own = [f"tests/test_m.py::test_{n}" for n in range(5)]

    def answer(tree: str, ids: tuple[str, ...]) -> CheckResult:
        inside = frozenset(n for n in range(5) if room.repo.read(tree, f"m{n}.py") == b"X = 1\n")
        red = [own[n] for n in range(5) if n not in inside] + [DOUBLE] * wrong(inside)
        return result(passed=tuple(i for i in (ADD, DOUBLE, *own) if i not in red), failed=tuple(red))

    court, told = room.court(answer=answer, baseline=Baseline((answer(room.base, ()),)))
    union = Union(replace(court, checks=court.checks[:1]), room.repo.tree_of(room.base))
    for n in range(5):
        task = replace(TASK, id=f"tests-{n}", failures=(replace(FAILURE, id=own[n]),))
        union.add(Solved(TaskOutcome(task, "fixed", ""), room.tree({f"m{n}.py": "X = 1\n"}), ""))
    told.runs.clear()
    return union, told


@pytest.mark.parametrize("bad", range(5))
def test_the_patch_that_is_wrong_by_itself_is_set_aside_with_few_runs(room: Room, bad: int) -> None:
    union, told = union_of(room, lambda inside: bad in inside)
    _, outcomes = settle(union)
    assert [o.status for o in outcomes] == ["regressed" if n == bad else "fixed" for n in range(5)]
    assert room.repo.read(union.tree, f"m{bad}.py") == b"X = 0\n"
    assert all(room.repo.read(union.tree, f"m{n}.py") == b"X = 1\n" for n in range(5) if n != bad)
    assert len(told.runs) <= 14


def test_of_two_that_do_not_go_together_the_later_goes(room: Room) -> None:
    union, _ = union_of(room, lambda inside: {1, 3} <= inside)
    _, outcomes = settle(union)
    assert [o.status for o in outcomes] == ["fixed", "fixed", "fixed", "conflict", "fixed"]
    assert "verified alone, not together" in outcomes[3].reason


def test_what_is_wrong_together_and_twice_is_set_aside_until_it_is_right(room: Room) -> None:
    union, _ = union_of(room, lambda inside: bool({0, 4} & inside))
    results, outcomes = settle(union)
    assert [o.status for o in outcomes] == ["regressed", "fixed", "fixed", "fixed", "regressed"]
    assert results[0].state(DOUBLE) == "passed"


def test_a_union_that_is_right_is_run_once_and_kept(room: Room) -> None:
    union, told = union_of(room, lambda inside: False)
    _, outcomes = settle(union)
    assert [o.status for o in outcomes] == ["fixed"] * 5
    assert [r.tree for r in told.runs] == [union.tree]


def test_a_task_is_green_on_a_tree_where_each_target_passes_in_a_run_that_counts() -> None:
    two = replace(TASK, failures=(FAILURE, replace(FAILURE, id=DOUBLE)))
    assert targets_green(GREEN, two, is_test=True)
    for odd in (RED, result(passed=(ADD,)), result(trouble="x"), result(timed_out=True), result(canary=False)):
        assert not targets_green(odd, two, is_test=True)
    assert targets_green(result(passed=()), two, is_test=False)
    assert not targets_green(RED, two, is_test=False)
