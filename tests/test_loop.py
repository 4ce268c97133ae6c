"""Turns, sessions and rungs with an executor that does as it is told; integration in a fixed order."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.judge import CALC, FILES, FIXED, writes
from tests.fakes.executor import Edit, Scripted
from tests.support import Repo
from tests.test_judge import Bench
from zwarm_ci.executors.base import Report, Workbench
from zwarm_ci.integrate import Union, settle
from zwarm_ci.journal import Journal, read
from zwarm_ci.loop import Shop, Solved, solve
from zwarm_ci.pricing import BUILT_IN
from zwarm_ci.purse import Limits, Purse
from zwarm_ci.sessions import Store
from zwarm_ci.task import Usage
from zwarm_ci.till import Rung, Till

TWO = {
    **FILES,
    "calc.py": CALC,
    "text.py": "def shout(s):\n    return s.lower()\n",
    "tests/test_text.py": "from text import shout\n\n\ndef test_shout():\n    assert shout('a') == 'A'\n",
}
SHOUT = TWO["text.py"].replace("lower", "upper")


def edit(files: dict[str, str], report: Report | None = None) -> Edit:
    def act(tree: Path) -> Report | None:
        writes(files)(tree)
        return report

    return act


def nothing(_: Path) -> None:
    return None


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(Repo.make(tmp_path / "repo", TWO), tmp_path)


def till(limits: Limits | None = None) -> Till:
    return Till(Purse(limits or Limits(), None), BUILT_IN)


def shop(bench: Bench, *executors: Scripted, turns: int = 2, sessions: int = 2, pays: Till | None = None) -> Shop:
    state = bench.scratch / "state"
    state.mkdir(exist_ok=True)
    workbench = Workbench(bench.store.path, bench.user.top, bench.court.base, bench.court.checks)
    ladder = tuple(Rung(e, "gpt-5.1-codex-mini", paid=True) if pays else Rung(e) for e in executors)
    return Shop(
        bench.court,
        ladder,
        Store(state),
        Journal(state / "journal.jsonl"),
        workbench,
        "r1",
        bench.scratch,
        turns,
        sessions,
        60,
        60,
        pays or till(),
    )


def solved(
    bench: Bench, *executors: Scripted, task: int = 0, turns: int = 2, sessions: int = 2, pays: Till | None = None
) -> Solved:
    shared = shop(bench, *executors, turns=turns, sessions=sessions, pays=pays)
    return solve(shared, bench.tasks[task], lambda _: None)


def test_a_turn_that_the_runs_own_limit_ended_is_over_budget(bench: Bench) -> None:
    def act(_: Path) -> Report:
        bench.court.trees.ledger.minutes = 1e-9
        return Report("timed_out", "the turn's 0 s were over")

    outcome = solved(bench, Scripted([act]), sessions=1).outcome
    assert outcome.status == "over_budget"
    assert "raise budget.minutes" in outcome.reason
    assert len(outcome.attempts) == 1


def test_the_second_turn_gets_the_exact_error_and_is_accepted(bench: Bench) -> None:
    executor = Scripted([edit({"calc.py": FIXED.replace("a * 2", "a * 3")}), edit({"calc.py": FIXED})])
    end = solved(bench, executor)
    assert end.outcome.status == "fixed"
    assert [a.verdict for a in end.outcome.attempts] == ["regressed", "fixed"]
    first, second = executor.orders
    assert first.message == bench.tasks[0].text
    assert (
        "refused the change: tests/test_calc.py::test_double passed before: AssertionError: assert 12 == 8"
        in second.message
    )
    assert second.refused
    assert second.session == first.session
    assert second.turn == 2


def test_a_session_that_lies_is_no_changes_and_a_fresh_one_follows(bench: Bench) -> None:
    liar = Scripted([nothing])
    end = solved(bench, liar)
    assert end.outcome.status == "no_changes"
    assert len({o.session for o in liar.orders}) == 2


def test_the_next_rung_is_tried_and_cost_and_usage_add_up(bench: Bench) -> None:
    paid = Report("completed", "no idea", usage=Usage(10, 1, 2, 3), cost_usd=0.25)
    first, second = Scripted([edit({}, paid)]), Scripted([edit({"calc.py": FIXED}, replace(paid, method="model"))])
    end = solved(bench, first, second, turns=1, sessions=1)
    assert end.outcome.status == "fixed"
    assert end.outcome.cost_usd == 0.5
    assert sum(a.usage.total for a in end.outcome.attempts) == 32


@pytest.mark.parametrize(
    ("report", "status"),
    [
        (Report("failed", "no result line: boom"), "executor_failed"),
        (Report("killed", "gone"), "executor_failed"),
        (Report("timed_out", "60 s"), "timed_out"),
        (Report("blocked", "needs an answer"), "blocked"),
        (Report("completed", "these 2 of 5", attributed=True), "attributed"),
    ],
)
def test_what_an_executor_reports_of_its_own_trouble(bench: Bench, report: Report, status: str) -> None:
    end = solved(bench, Scripted([edit({"calc.py": FIXED}, report)]), sessions=1)
    assert end.outcome.status == status, "a right edit of a session that failed is not believed either"
    assert end.tree == ""


def test_a_deterministic_executor_gets_one_session(bench: Bench) -> None:
    executor = Scripted(
        [edit({"calc.py": CALC + "# 1\n"}), edit({"calc.py": CALC + "# 2\n"}), edit({"calc.py": CALC + "# 3\n"})],
        deterministic=True,
    )
    end = solved(bench, executor, turns=3, sessions=5)
    assert end.outcome.status == "still_failing"
    assert len(executor.orders) == 3
    assert len({o.session for o in executor.orders}) == 1
    assert len(executor.orders[2].refused) == 2


def test_sessions_and_journal_are_on_disk(bench: Bench) -> None:
    solved(bench, Scripted([edit({"calc.py": FIXED})]))
    state = bench.scratch / "state"
    kinds = [r["kind"] for r in read(state / "journal.jsonl")]
    assert kinds == ["turn_started", "turn_ended", "turn_left", "verdict"]
    (folder,) = (state / "sessions").iterdir()
    meta = json.loads((folder / "meta.json").read_text())
    assert (meta["state"], meta["turn"], meta["executor"]) == ("completed", 1, "scripted")
    assert (folder / "turns/turn_1.jsonl").read_bytes() == b'{"type":"turn"}\n'


def test_no_turn_begins_when_the_time_is_up(bench: Bench) -> None:
    bench.trees.ledger.check_minutes = 1e-9
    executor = Scripted([edit({"calc.py": FIXED})])
    end = solved(bench, executor)
    assert end.outcome.status == "over_budget"
    assert "check-minutes" in end.outcome.reason
    assert executor.orders == []


def test_a_limit_reached_later_keeps_what_was_paid_for(bench: Bench) -> None:
    def spends(tree: Path) -> Report:
        writes({"calc.py": CALC + "# 1\n"})(tree)
        bench.trees.ledger.check_minutes = 1e-9
        return Report("completed", "x", cost_usd=0.25)

    bench.trees.ledger.check_minutes = 0
    end = solved(bench, Scripted([spends]))
    assert (end.outcome.status, end.outcome.cost_usd) == ("over_budget", 0.25)
    assert [a.verdict for a in end.outcome.attempts] == ["over_budget"]


def union(bench: Bench) -> Union:
    return Union(bench.court, bench.store.tree_of(bench.court.base))


def test_two_patches_land_in_order_and_the_union_is_verified(bench: Bench) -> None:
    both = union(bench)
    for task, files in enumerate(({"calc.py": FIXED}, {"text.py": SHOUT})):
        both.add(solved(bench, Scripted([edit(files)]), task=task))
    results, outcomes = settle(both)
    assert [o.status for o in outcomes] == ["fixed", "fixed"]
    assert results[0].green
    assert len(both.steps) == 2


def test_what_an_earlier_patch_solved_is_already_green(bench: Bench) -> None:
    both = union(bench)
    whole = {"calc.py": FIXED, "text.py": SHOUT}
    both.add(solved(bench, Scripted([edit(whole)])))
    assert both.solves(bench.tasks[1])
    end = both.add(solved(bench, Scripted([edit({"text.py": SHOUT})]), task=1))
    assert end.outcome.status == "already_green"
    _, outcomes = settle(both)
    assert [o.status for o in outcomes] == ["fixed", "already_green"]


def test_patches_on_the_same_lines_conflict(bench: Bench) -> None:
    both = union(bench)
    both.add(
        solved(bench, Scripted([edit({"calc.py": FIXED, "text.py": TWO["text.py"].replace("s.lower()", "str(s)")})]))
    )
    end = both.add(solved(bench, Scripted([edit({"text.py": SHOUT})]), task=1))
    assert end.outcome.status == "conflict"
    _, outcomes = settle(both)
    assert [o.status for o in outcomes] == ["fixed", "conflict"]


def test_the_odd_one_out_of_a_red_union_is_set_aside(tmp_path: Path) -> None:
    files = {
        **TWO,
        "mode.py": "FAST = False\n",
        "deep.py": "STRICT = False\n",
        "app.py": "from deep import STRICT\nfrom mode import FAST\n\nSLOW = not (STRICT or FAST)\n",
        "tests/test_pair.py": "from deep import STRICT\nfrom mode import FAST\n\n\ndef test_not_both():\n    assert not (FAST and STRICT)\n",
    }
    bench = Bench(Repo.make(tmp_path / "repo", files), tmp_path)
    both = union(bench)
    both.add(solved(bench, Scripted([edit({"calc.py": FIXED, "mode.py": "FAST = True\n"})])))
    both.add(solved(bench, Scripted([edit({"text.py": SHOUT, "deep.py": "STRICT = True\n"})]), task=1))
    results, outcomes = settle(both)
    assert [o.status for o in outcomes] == ["fixed", "conflict"]
    assert "verified alone, not together: regressed: tests/test_pair.py::test_not_both" in outcomes[1].reason
    assert results[0].failed == ("tests/test_text.py::test_shout",)
    assert bench.store.read(both.tree, "text.py") == TWO["text.py"].encode()


def test_a_target_that_a_later_patch_breaks_again_is_noticed(bench: Bench) -> None:
    """It was red on the base, so red again is no regression; yet its patch must not be called fixed."""
    both = union(bench)
    both.add(solved(bench, Scripted([edit({"calc.py": FIXED})])))
    breaks = {"text.py": SHOUT + "\n\nimport calc\n\ncalc.add = lambda a, b: a - b\n"}
    harm = {**breaks, "calc.py": CALC + "\n\nimport text\n"}
    both.add(solved(bench, Scripted([edit(harm)]), task=1))
    results, outcomes = settle(both)
    assert [o.status for o in outcomes] == ["fixed", "conflict"]
    assert "still red" in outcomes[1].reason
    assert not any("test_add" in i for i in results[0].failed)
