"""What the loop makes of a provider's trouble, of money that runs out, and of what failed sessions learned."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from tests.conformance.judge import FIXED
from tests.fakes.executor import Scripted
from tests.test_judge import Bench
from tests.test_loop import bench as bench  # noqa: PLC0414 - a fixture
from tests.test_loop import edit, nothing, shop, solved, till
from zwarm_ci import loop
from zwarm_ci.briefing import Lesson, first_message, next_message
from zwarm_ci.errors import BlockedError, InterruptedRunError, ZwarmError
from zwarm_ci.executors.base import Report, Trouble
from zwarm_ci.pricing import BUILT_IN
from zwarm_ci.purse import Limits, Purse
from zwarm_ci.sessions import Store
from zwarm_ci.task import Origin, Task, Usage
from zwarm_ci.till import Rung, Till

WRONG = edit({"calc.py": FIXED.replace("a * 2", "a * 3")})
RIGHT = edit({"calc.py": FIXED})
USED = Usage(1000, 0, 0, 100)


def ends(*reports: Report) -> Scripted:
    return Scripted([edit({}, report) for report in reports])


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_USUAL_WAIT", 0.01)


def test_what_a_failed_session_learned_goes_into_the_next_ones_task(bench: Bench) -> None:
    executor = Scripted([WRONG, RIGHT])
    end = solved(bench, executor, turns=1)
    assert end.outcome.status == "fixed"
    first, second = (order.message for order in executor.orders)
    assert first == bench.tasks[0].text
    assert second.startswith(first)
    assert "scripted: regressed: tests/test_calc.py::test_double passed before" in second
    assert "+    return a * 3" in second, "the refused patch itself"


def test_an_origin_that_was_named_reaches_the_next_rung(bench: Bench) -> None:
    origin = Origin("ab" * 20, "A", "Speed up", ("calc.py:3",))
    finder = ends(Report("completed", "named", attributed=True, origin=origin))
    finder.deterministic = True
    model = Scripted([RIGHT])
    assert solved(bench, finder, model).outcome.status == "fixed"
    assert len(finder.orders) == 1
    assert f"came with commit {'ab' * 6} (Speed up): calc.py:3" in model.orders[0].message


@pytest.mark.parametrize("trouble", ["rate_limit", "outage"])
def test_a_providers_trouble_is_waited_for_and_is_no_attempt(bench: Bench, trouble: Trouble) -> None:
    busy = Report(
        "failed", "429", trouble=trouble, retry_after=0.01, native="n-1", total=USED, usage=USED, cost_usd=0.5
    )
    executor = Scripted([edit({}, busy), edit({}, busy), RIGHT])
    end = solved(bench, executor, turns=1, sessions=1)
    assert end.outcome.status == "fixed"
    assert [(o.turn, o.native) for o in executor.orders] == [(1, ""), (1, "n-1"), (1, "n-1")]
    assert executor.orders[2].total == USED
    assert end.outcome.cost_usd == 1.0, "what was paid meanwhile is kept"


def test_a_right_edit_before_the_providers_trouble_is_verified_after_it(bench: Bench) -> None:
    busy = edit({"calc.py": FIXED}, Report("failed", "429", trouble="rate_limit", retry_after=0.01))
    executor = Scripted([busy, nothing])
    end = solved(bench, executor, turns=1, sessions=1)
    assert end.outcome.status == "fixed"
    assert executor.orders[1].refused == ()


def test_what_was_never_judged_is_not_called_refused(bench: Bench) -> None:
    crashed = edit({"calc.py": FIXED}, Report("failed", "crashed"))
    executor = Scripted([crashed, RIGHT])
    end = solved(bench, executor, turns=1)
    assert end.outcome.status == "fixed"
    assert "executor failed: crashed" in executor.orders[1].message
    assert "a + b" not in executor.orders[1].message.removeprefix(bench.tasks[0].text)


@pytest.mark.parametrize(
    ("error", "status", "state"),
    [
        (InterruptedRunError(), "interrupted", "interrupted"),
        (BlockedError("the gateway is gone"), "executor_failed", "failed"),
    ],
)
def test_a_turn_cut_off_keeps_what_was_paid_before(bench: Bench, error: ZwarmError, status: str, state: str) -> None:
    def cut(_: Path) -> Report:
        raise error

    executor = Scripted([edit({}, Report("failed", "crashed", usage=USED, cost_usd=0.25)), cut])
    end = solved(bench, executor, turns=1)
    assert (end.outcome.status, end.outcome.cost_usd) == (status, 0.25)
    assert [a.verdict for a in end.outcome.attempts] == ["executor_failed", status]
    assert state in {meta.state for meta in Store(bench.scratch / "state").all()[0]}


def test_a_provider_that_stays_busy_or_asks_for_too_long_changes_the_rung(bench: Bench) -> None:
    busy = ends(Report("failed", "busy", trouble="rate_limit"))
    long = ends(Report("failed", "come back tomorrow", trouble="rate_limit", retry_after=86_400))
    end = solved(bench, busy, long, Scripted([RIGHT]), turns=1)
    assert end.outcome.status == "fixed"
    assert (len(busy.orders), len(long.orders)) == (1 + loop._WAITS, 1)


def test_a_refused_key_takes_the_rung_out_of_the_run(bench: Bench) -> None:
    executor = ends(Report("failed", "401 bad key", trouble="credentials"))
    place = shop(bench, executor)
    first, second = (loop.solve(place, bench.tasks[0], lambda _: None).outcome for _ in range(2))
    assert first.status == "executor_failed"
    assert second.status == "blocked"
    assert "scripted: 401 bad key" in second.reason
    assert len(executor.orders) == 1


def test_money_that_ran_out_in_a_turn_ends_the_task_and_keeps_the_attempt(bench: Bench) -> None:
    executor = ends(
        Report("failed", "zwarm-ci: the limit of $1.00 for a task is reached", trouble="budget", cost_usd=0.9)
    )
    end = solved(bench, executor)
    assert end.outcome.status == "over_budget"
    assert "limit of $1.00" in end.outcome.reason
    assert (len(end.outcome.attempts), end.outcome.cost_usd) == (1, 0.9)


def test_without_money_the_rungs_that_cost_nothing_still_have_their_turn(bench: Bench) -> None:
    paid, free = Scripted([WRONG]), Scripted([RIGHT])
    place = shop(bench, pays=till(Limits(run=Decimal(0))))
    ladder = (Rung(paid, "gpt-5.1-codex-mini", paid=True), Rung(free))
    end = loop.solve(replace(place, ladder=ladder), bench.tasks[0], lambda _: None)
    assert end.outcome.status == "fixed"
    assert (len(paid.orders), len(free.orders)) == (0, 1)


def test_a_login_is_booked_after_each_turn_and_stops_the_next(bench: Bench) -> None:
    used = Usage(1_000_000)
    executor = ends(Report("completed", "no idea", usage=used, models=(("gpt-5.1-codex", used),), cost_usd=None))
    end = solved(bench, executor, pays=till(Limits(run=Decimal("1.25"))), turns=1, sessions=5)
    assert end.outcome.status == "over_budget"
    assert "budget.usd" in end.outcome.reason
    assert end.outcome.cost_usd == 1.25
    assert len(executor.orders) == 1


def test_a_model_without_a_price_is_not_paid_for(bench: Bench) -> None:
    executor = Scripted([RIGHT])
    place = shop(bench, pays=till(Limits(run=Decimal(9))))
    place = replace(place, ladder=(Rung(executor, "nobody-knows", paid=True),))
    end = loop.solve(place, bench.tasks[0], lambda _: None)
    assert end.outcome.status == "blocked"
    assert "the price of nobody-knows is unknown" in end.outcome.reason
    assert executor.orders == []


def test_without_consent_nothing_is_paid_for(bench: Bench) -> None:
    asked: list[str] = []

    def no(question: str) -> bool:
        asked.append(question)
        return False

    executor = Scripted([RIGHT])
    pays = Till(Purse(Limits(Decimal(10), Decimal(3), Decimal(50)), None), BUILT_IN, ask=no)
    place = shop(bench, executor, pays=pays)
    for _ in range(2):
        end = loop.solve(place, bench.tasks[0], lambda _: None)
        assert end.outcome.status == "blocked"
        assert "not agreed to" in end.outcome.reason
    (question,) = asked
    assert "at most $10.00 in this run, $3.00 for each task, $50.00 today, $0.00 of it spent" in question
    assert executor.orders == []


def test_the_session_keeps_what_it_used(bench: Bench, tmp_path: Path) -> None:
    report = Report(
        "failed", "gone", native="thread-7", total=USED, usage=USED, cost_usd=0.25, lower_bound=True, denials=2
    )
    solved(bench, ends(report), turns=1, sessions=1)
    (found,) = Store(bench.scratch / "state").all()[0]
    assert (found.native, found.usage, found.cost_usd, found.denials) == ("thread-7", USED, Decimal("0.25"), 2)
    assert found.lower_bound
    assert found.state == "failed"


def test_a_liar_is_told_that_nothing_changed(bench: Bench) -> None:
    liar = Scripted([nothing])
    assert solved(bench, liar, sessions=1).outcome.status == "no_changes"
    assert "Nothing in this folder differs" in liar.orders[1].message


def test_messages_hold_the_exact_reason_and_bounded_patches() -> None:
    task = Task("t", "title", "f", "tests", (), "Do it.")
    lessons = [Lesson(f"r{n}", "still_failing", f"E{n}\x1b[31m", "+x\n" * 5000) for n in range(6)]
    text = first_message(task, lessons)
    assert [f"E{n}" in text for n in range(6)] == [False, False, True, True, True, True]
    assert "\x1b" not in text
    assert len(text) < 20_000
    assert next_message(lessons[0]) == "Verification in a clean checkout refused the change: E0\nMake another change."
