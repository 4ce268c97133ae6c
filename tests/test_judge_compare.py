"""A run of the patched tree held against the base's: each way in which it can be worse, and none in which it is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.told import ADD, CHECK, DOUBLE, FIXED, GREEN, LINT, RED, TASK, Room, result
from zwarm_ci.baseline import Baseline
from zwarm_ci.task import Check
from zwarm_ci.verdict import CheckResult, GuardFinding
from zwarm_ci.verify.compare import came, compare, curious, must_pass, untouched_runner, worse
from zwarm_ci.verify.court import Rejected
from zwarm_ci.verify.guards import Rules
from zwarm_ci.verify.judge import judge, judge_union, refuse

NEW = "tests/test_calc.py::test_new"
EASED = Rules(strict=False)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Room:
    return Room.make(tmp_path_factory.mktemp("compare"))


def status(act: Callable[[], Any]) -> str:
    """The status that it is rejected with; "" = it is not."""
    try:
        act()
    except Rejected as no:
        return no.status
    return ""


@pytest.mark.parametrize(
    ("now", "check", "cut", "said"),
    [
        (GREEN, CHECK, False, ""),
        (RED, CHECK, False, "still_failing"),
        (result(trouble="runner: x"), CHECK, False, "unverifiable"),
        (result(passed=()), CHECK, False, "still_failing"),
        (result(passed=(), skipped=(ADD,)), CHECK, False, "still_failing"),
        (result(passed=()), CHECK, True, ""),
        (result(passed=(), canary=None), LINT, False, ""),
        (result(failed=(ADD,)), LINT, False, "still_failing"),
        (result(timed_out=True), CHECK, False, "still_failing"),
        (result(timed_out=True), CHECK, True, ""),
        (result(canary=False), CHECK, False, "unverifiable"),
    ],
)
def test_every_target_is_green_or_it_is_said_why_not(now: CheckResult, check: Check, cut: bool, said: str) -> None:
    assert status(lambda: must_pass(now, (ADD,), check, cut=cut)) == said


def held(
    room: Room, now: CheckResult, *again: CheckResult, check: Check = CHECK, **fields: Any
) -> tuple[GuardFinding, ...] | str:
    """What is found in a run, or the status that it is rejected with."""
    asked, moves = fields.pop("asked", ()), fields.pop("moves", False)
    court, _ = room.court(*again, **fields)
    try:
        return compare(court, check, now, room.prepared, asked=asked, moves=moves)
    except Rejected as no:
        return no.status


def levels(found: tuple[GuardFinding, ...] | str) -> list[tuple[str, str]]:
    """Guard and level of each finding."""
    return [(f.guard, f.level) for f in found if isinstance(f, GuardFinding)]


@pytest.mark.parametrize(
    ("now", "fields", "said"),
    [
        (GREEN, {}, ()),
        (result(trouble="runner: x"), {}, "unverifiable"),
        (result(trouble="runner: x"), {"before": result(trouble="environment: y")}, ()),
        (result(canary=False), {}, "unverifiable"),
        (result(passed=(ADD,)), {}, "regressed"),  # it passed before and is gone
        (result(passed=(ADD,)), {"asked": (ADD,)}, ()),  # nobody asked for it
        (result(passed=(ADD,), skipped=(DOUBLE,)), {}, "regressed"),
        (result(passed=(DOUBLE,)), {"before": result(passed=(DOUBLE,), skipped=(ADD,))}, "regressed"),  # one less in all
        (result(passed=(DOUBLE,)), {"before": result(passed=(DOUBLE,), skipped=(ADD,)), "asked": (DOUBLE,)}, ()),
        (result(failed=(NEW,)), {}, "regressed"),  # what nobody knew is red
        (result(failed=(NEW,)), {"before": result(passed=(), failed=("tests/test_calc.py",))}, ()),  # it could not be seen before
        (result(failed=(NEW,)), {"before": result(passed=(), failed=("tests::startup",))}, ()),
        (result(timed_out=True), {}, "regressed"),
        (result(passed=(), timed_out=True), {"before": result(timed_out=True)}, ()),
        (result(passed=(), failed=(NEW,), timed_out=True), {"before": result(timed_out=True)}, ()),
        (result(passed=(), failed=(ADD,), timed_out=True), {"before": result(timed_out=True)}, "regressed"),
    ],
)  # fmt: skip
def test_nothing_is_worse(room: Room, now: CheckResult, fields: dict[str, Any], said: object) -> None:
    again = [now] * 2
    assert held(room, now, *again, **fields) == said


def test_a_linters_new_complaint_is_one_and_its_old_one_may_go(room: Room) -> None:
    old = result("lint", passed=(), failed=("a.py::F401[x]",), canary=None)
    both = Baseline((RED, old))
    assert held(room, replace(old, failed=()), check=LINT, baseline=both) == ()
    assert held(room, replace(old, failed=("a.py::F401[x]", "a.py::F811[y]")), check=LINT, baseline=both) == "regressed"


def test_red_by_chance_is_shown_and_red_each_time_is_not_chance(room: Room) -> None:
    now = replace(RED, passed=(ADD,), failed=(DOUBLE,), failures=())
    found = held(room, now, GREEN, GREEN, before=GREEN)
    assert [(f.guard, f.level, f.path) for f in found if isinstance(f, GuardFinding)] == [
        ("flaky", "review", "tests/test_calc.py")
    ]
    assert held(room, now, GREEN, now, before=GREEN) == "regressed", "one of the runs again is red"
    assert held(room, now, before=GREEN, reruns=0) == "regressed"
    known = Baseline((GREEN, result("lint")), flaky={("tests", DOUBLE): (1, 2)})
    assert held(room, now, baseline=known) == ()


def test_a_moved_test_is_there_where_the_tests_are_the_patchs_own(room: Room) -> None:
    now = result(passed=(ADD, "tests/test_two.py::test_double"))
    assert held(room, now, before=GREEN) == "regressed"
    assert held(room, now, before=GREEN, moves=True) == ()
    twice = result(passed=(ADD, DOUBLE, "tests/test_b.py::test_double"))
    one = replace(now, passed=(*now.passed, NEW))
    assert held(room, one, before=twice, moves=True) == "regressed", "one came for two that went"
    assert came(GREEN, now) == ()
    assert came(GREEN, result(passed=(ADD, DOUBLE, NEW))) == (NEW,)
    assert came(replace(RED, passed=()), GREEN) == (DOUBLE,)


def test_of_a_persons_commit_a_test_that_goes_is_shown(room: Room) -> None:
    assert levels(held(room, result(passed=(ADD,)), before=GREEN, rules=EASED)) == [("runs", "review")]
    assert held(room, result(passed=(ADD, NEW)), before=GREEN, rules=EASED) == (), "another came in its place"
    broken = result(failed=(DOUBLE,), passed=(ADD,))
    assert held(room, broken, broken, broken, before=GREEN, rules=EASED) == "regressed"


def test_the_runners_code_is_the_same_but_for_what_runs_of_the_base_change(room: Room) -> None:
    odd = result(altered=("_pytest.runner.call",))
    assert held(room, odd) == "unverifiable"
    assert held(room, odd, before=replace(RED, altered=odd.altered)) == ()
    assert held(room, odd, base_runs=(odd,)) == (), "a part of the suite changes it, the whole does not"
    never = result(passed=(), failed=("tests::startup",))
    assert levels(held(room, odd, before=never)) == [("runner", "review")], "none tells what the base's plugins do"
    assert held(room, odd, before=never, base_runs=(GREEN,)) == "unverifiable"


def test_a_run_that_rewrites_the_tests_is_not_believed(room: Room) -> None:
    for path, said in {
        "tests/test_calc.py": "unverifiable",
        "tests/new_snapshot.snap": "",  # a test may make one
        "tests/conftest.py": "unverifiable",
        "pytest.ini": "unverifiable",
        "calc.py": "",
    }.items():
        court, _ = room.court()
        now = result(edited=(path,))
        assert status(lambda now=now, court=court: untouched_runner(court, CHECK, now)) == said, path  # type: ignore[misc]
    court, _ = room.court(before=replace(RED, edited=("tests/test_calc.py",)))
    untouched_runner(court, CHECK, result(edited=("tests/test_calc.py",)))


def test_what_a_run_leaves_running_is_shown(room: Room) -> None:
    assert levels(held(room, result(left=("sleep",)))) == [("runner", "review")]
    assert held(room, result(left=("sleep",)), before=replace(RED, left=("sleep",))) == ()


def test_looking_at_the_tests_counts_in_what_the_patch_changed(room: Room) -> None:
    odd = result(altered=("reads tests/test_calc.py: calc.py", "asks gc.get_objects: far.py", "_pytest.x"))
    court, _ = room.court()
    assert curious(court, CHECK, odd, ("calc.py",)) == ["reads tests/test_calc.py: calc.py"]
    assert curious(court, CHECK, odd, ("far.py", "x.py")) == ["asks gc.get_objects: far.py"]
    usual, _ = room.court(base_runs=(odd,))
    assert curious(usual, CHECK, odd, ("calc.py", "far.py")) == []
    assert held(room, result(altered=odd.altered[:2])) == (), "no part of the runner's own code"


def test_worse_names_each_id_once(room: Room) -> None:
    now = result(passed=(ADD,), failed=(DOUBLE, NEW))
    assert worse(CHECK, GREEN, now) == [DOUBLE, NEW]
    assert worse(CHECK, RED, RED) == []


def test_a_refusal_names_the_first_and_how_many_more_and_review_is_none() -> None:
    found = GuardFinding("settings", "refuse", "pytest.ini", None, "adds", "how")
    with pytest.raises(Rejected, match=r"settings: pytest\.ini adds \(and 1 more\); to allow: how") as said:
        refuse([found, found])
    assert said.value.status == "tampered"
    refuse([replace(found, level="review")])


def test_a_union_is_worse_by_what_it_breaks_and_by_targets_that_are_not_green(room: Room) -> None:
    tree = room.tree({"calc.py": FIXED})
    lint = result("lint", passed=(), canary=None)

    def said(tests: CheckResult, *more: CheckResult) -> tuple[bool, tuple[tuple[str, str], ...]]:
        court, _ = room.court(tests, *more, lint)
        _, why, red = judge_union(court, tree, (TASK,))
        return bool(why), red

    assert said(GREEN) == (False, ())
    assert said(RED) == (True, (("tests", ADD),))
    assert said(result(passed=(ADD,), failed=(DOUBLE,)), RED, result(passed=(), failed=(DOUBLE,))) == (
        True,
        (("tests", DOUBLE),),
    )
    assert said(result(trouble="runner: x"))[0], "what cannot be believed is not delivered"
    court, _ = room.court(GREEN, replace(lint, failed=("a.py::F401[x]",)))
    assert judge_union(court, tree, (TASK,))[2] == (("lint", "a.py::F401[x]"),)


def test_a_judgement_runs_the_bases_tests_and_then_what_is_delivered(room: Room) -> None:
    """The tests of the base are laid over the patch; where it brings tests, the tree to be delivered runs too, whole."""
    edited = "from calc import *\n\n\ndef test_add():\n    assert add(1, 2) == 3\n    assert add(2, 2) == 4\n"
    files = {"calc.py": FIXED, "tests/test_calc.py": edited}
    oracle, delivered, base = room.tree({"calc.py": FIXED}), room.tree(files), room.repo.tree_of(room.base)

    def runs(tree: str, ids: tuple[str, ...]) -> CheckResult:
        return GREEN if tree in {oracle, delivered} and not told.runs[-1].options.get("doom") else RED

    court, told = room.court(answer=runs, checks=(CHECK,))
    verdict = judge(court, TASK, delivered)
    assert verdict.status == "fixed", verdict.reason
    whole = [r.tree for r in told.runs if not r.only and not r.options.get("doom")]
    assert whole == [oracle, delivered]
    alone = [r.tree for r in told.runs if r.only == (ADD,) and r.options.get("again") and not r.options.get("doom")]
    assert alone[:4] == [oracle] * 2 + [delivered] * 2
    told.runs.clear()
    plain = judge(court, TASK, oracle)
    assert plain.accepted
    assert [r.tree for r in told.runs if not r.only and not r.options.get("doom")] == [oracle], (
        "nothing differs: it runs once"
    )
    assert judge(court, TASK, room.tree({"tests/test_calc.py": edited})).status == "tampered", "nothing is left of it"
    assert judge(court, TASK, base).status == "no_changes"
