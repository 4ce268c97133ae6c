"""Turns, fresh sessions and rungs until a patch is accepted or something runs out (`solve`). A turn itself is `attempt`'s."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from typing import Literal

from zwarm_ci.attempt import Case, Seat, Shop, Tell, attempt, book_lost
from zwarm_ci.briefing import first_message, next_message
from zwarm_ci.errors import InterruptedRunError, LimitError, ZwarmError
from zwarm_ci.scrub import one_line
from zwarm_ci.sessions import Meta
from zwarm_ci.stop import STOP
from zwarm_ci.task import Task
from zwarm_ci.till import Rung
from zwarm_ci.verdict import Status, TaskOutcome

__all__ = ["CUT", "Shop", "Solved", "Tell", "attempt", "solve"]

CUT = "the run was interrupted before this task's end"
_WAITS = 3  # times that one session waits for a provider
_LONGEST_WAIT = 300.0  # seconds; who is told to wait longer goes on with the next rung
_SAID_NOTHING = frozenset({"no_changes", "executor_failed", "timed_out", "blocked"})  # of the failure, that is
_OUT_OF_MONEY = "a limit on money ended its calls (raise budget.usd, budget.task_usd or budget.day_usd)"
_USUAL_WAIT = 20.0  # where the provider does not say how long


@dataclass(frozen=True, slots=True)
class Solved:
    """A task's end with the tree that was accepted ("" = none) and its evidence; `draft`: a tree that lacks its proof alone.

    `onto`: the commit that it stands on, where that is not the base but the base with patches that were merged before.
    """

    outcome: TaskOutcome
    tree: str = ""
    evidence: str = ""
    draft: str = ""
    onto: str = ""


def solve(shop: Shop, task: Task, tell: Tell) -> Solved:
    """Rungs in order, fresh sessions on each, turns in each, until a verdict accepts a patch, or a limit or a stop of the run ends it."""
    case = Case(task, tell, list(shop.past.turns.get(task.id, ())))
    try:
        return _climb(shop, case)
    except InterruptedRunError:
        return _cut(case, "interrupted", CUT)
    except LimitError as error:
        return _cut(case, "over_budget", error.line)
    except ZwarmError as error:
        return _cut(case, "executor_failed", error.line)


def _cut(case: Case, status: Status, reason: str) -> Solved:
    """The end of a task that something else ended; what its turns cost is kept, and what they came to."""
    book_lost(case)
    outcome = TaskOutcome(case.task, status, reason, cost_usd=case.cost, attempts=tuple(case.attempts))
    return Solved(outcome, draft=case.draft)


def _climb(shop: Shop, case: Case) -> Solved:
    for rung in shop.ladder:
        # A deterministic executor would say the same again in a fresh session; its turns carry what was refused.
        for _ in range(1 if rung.executor.deterministic else shop.sessions):
            if not _may_begin(shop, rung, case):
                break
            ended = _session(shop, rung, case)
            if ended == "accepted":
                return _accepted(case)
            if ended == "next rung":
                break
    return _cut(case, "over_budget", case.broke) if case.broke else Solved(_given_up(case), draft=case.draft)


def _may_begin(shop: Shop, rung: Rung, case: Case) -> bool:
    """Whether a session of this rung may begin. Without money left there are still the rungs that cost nothing."""
    if known := case.next_known:
        return known.rung == rung.name  # it was asked when its session began
    if rung.paid and case.broke:
        return False
    try:
        why = shop.till.allows(rung, case.task.id)
    except LimitError as error:
        case.broke = error.line
        return False
    if why:
        case.idle.append(f"{rung.name}: {why}")
    return not why


def _session(shop: Shop, rung: Rung, case: Case) -> Literal["accepted", "again", "next rung"]:
    """One session of several turns; `again`: a fresh one may do better."""
    seat = Seat(_meta(shop, rung, case))
    message, turn = first_message(case.task, case.lessons), 0
    try:
        while turn < shop.turns:
            if not case.next_known:
                shop.court.trees.ledger.require()
            turn += 1
            attempt(shop, rung, case, seat, turn, message)
            assert case.verdict is not None
            assert case.report is not None
            if case.verdict.accepted:
                return "accepted"
            trouble = case.report.trouble
            if trouble == "budget":
                case.broke = _OUT_OF_MONEY if case.report.state == "completed" else case.report.message
                return "next rung"
            if trouble in {"rate_limit", "outage"}:
                if not _waited(shop, case, seat, case.report.retry_after):
                    return "next rung"
                turn -= 1  # the provider's trouble is no attempt of ours
                continue
            if trouble == "credentials":
                shop.till.exclude(rung, case.report.message)
                return "next rung"
            if (end := _over(rung, case, turn)) != "go on":
                return end
            message = next_message(case.lessons[-1], in_words=not case.task.failures)
        return "again"
    finally:
        if seat.meta.live:
            shop.store.move(seat.meta, "interrupted", reason="the run ended before its turn did")
        shop.till.shut(rung, seat.meta.id)
        shutil.rmtree(shop.scratch / seat.meta.id, ignore_errors=True)


def _meta(shop: Shop, rung: Rung, case: Case) -> Meta:
    """A new session, or the one that the run had begun here when it was cut off."""
    if case.past and case.past[0].rung == rung.name:
        return shop.store.load(case.past[0].session)
    return shop.store.create(
        run=shop.run, task=case.task.id, executor=rung.executor.name, model=rung.model, title=case.task.title
    )


def _over(rung: Rung, case: Case, turn: int) -> Literal["go on", "again", "next rung"]:
    """What comes after a turn that was not accepted. Who leaves a task in words undone, asked twice, was understood: nothing is red."""
    last = [a.verdict for a in case.attempts if a.verdict != "interrupted"][-min(turn, 2) :]
    status = last[-1]
    if status == "attributed":
        return "next rung" if rung.executor.deterministic else "again"
    if status == "no_changes":
        if last == ["no_changes"] * 2 and not case.task.failures:
            return "next rung"
        return "again" if rung.executor.deterministic else "go on"
    return "again" if status in {"executor_failed", "timed_out", "over_budget", "blocked"} else "go on"


def _waited(shop: Shop, case: Case, seat: Seat, asked: float) -> bool:
    """Wait as long as the provider says; False where that is too long or was done often enough.

    Raises:
        InterruptedRunError: the run was stopped meanwhile. LimitError: it has not so much time left.
    """
    seat.waits += 1
    if known := case.next_known:
        return known.session == seat.meta.id
    seconds = asked or _USUAL_WAIT
    if seat.waits > _WAITS or seconds > _LONGEST_WAIT:
        return False
    ledger = shop.court.trees.ledger
    if seconds > ledger.left():
        raise LimitError(
            f"a provider is to be waited for {seconds:.0f} s, and the run has {ledger.left():.0f} s left",
            remedy="raise budget.minutes",
        )
    case.tell(
        f"the provider asks to wait {seconds:.0f} s" if asked else f"the provider is busy; again in {seconds:.0f} s"
    )
    STOP.wait(seconds)
    return True


def _accepted(case: Case) -> Solved:
    assert case.verdict is not None
    assert case.report is not None
    review = tuple(f for f in case.verdict.findings if f.level == "review")
    said, claimed = case.report.message, case.report.method == "model"
    reason = said if said and not claimed else "; it said: ".join(filter(None, (case.verdict.reason, one_line(said))))
    outcome = TaskOutcome(
        case.task, "fixed", reason, case.report.method, case.report.origin, review=review,
        cost_usd=case.cost, attempts=tuple(case.attempts),
    )  # fmt: skip
    return Solved(outcome, case.tree, case.verdict.evidence)


def _given_up(case: Case) -> TaskOutcome:
    """The end of a task without an accepted patch: what its draft lacks, where there is one, else the last word.

    Where the last turn had nothing new, that is why the one before was refused.
    """
    book_lost(case)
    if not case.attempts:
        return TaskOutcome(
            case.task, "blocked", "; ".join(dict.fromkeys(case.idle)) or "no rung of the ladder was tried"
        )
    last = case.attempts[-1]
    refused = [a for a in case.attempts if a.verdict not in _SAID_NOTHING]
    telling = case.lacking or (refused[-1] if last.verdict in _SAID_NOTHING and refused else last)
    named = [lesson.origin for lesson in case.lessons if lesson.origin]
    origin = named[-1] if named and telling.verdict == "attributed" else None
    reason = "; ".join((telling.reason, *dict.fromkeys(case.idle)))
    outcome = TaskOutcome(
        case.task, telling.verdict, reason, origin=origin, cost_usd=case.cost, attempts=tuple(case.attempts)
    )
    return replace(outcome, review=telling.guards)
