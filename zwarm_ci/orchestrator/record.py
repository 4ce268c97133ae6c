"""What sessions came to, as a run's record tells it: turns as attempts, accepted patches as tasks, and what is left of the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from zwarm_ci import pricing
from zwarm_ci.integrate import targets_green
from zwarm_ci.orchestrator.state import Delegated, State, Totals
from zwarm_ci.plan import make_tasks
from zwarm_ci.scrub import one_line
from zwarm_ci.task import Failure, Task, Usage
from zwarm_ci.verdict import Attempt, CheckResult, Method, Status, TaskOutcome, Verdict
from zwarm_ci.verify.judge import Court

_ENDS: dict[str, Status] = {
    "failed": "executor_failed", "killed": "interrupted", "timed_out": "timed_out", "interrupted": "interrupted",
    "blocked": "blocked",
}  # fmt: skip
_UNASKED = "runner: nobody asked to have it verified"


@dataclass(frozen=True, slots=True)
class Judged:
    """A task and the judge's word on a tree that was offered for it; `failures` are the errors that speak against it."""

    task: Task
    verdict: Verdict
    failures: tuple[Failure, ...] = ()


def attempts_of(session: Delegated, verdict: Verdict | None = None) -> tuple[Attempt, ...]:
    """The turns of a session, each with what it used; `verdict` is the whole of its last verification."""
    made, before = [], _NOTHING
    for totals in session.totals:
        made.append(_attempt(session, totals, before, verdict if totals is session.totals[-1] else None))
        before = totals
    return tuple(made)


_NOTHING = Totals(0, "", "", Usage(), 0.0, 0, 0, 0.0)


def _attempt(session: Delegated, now: Totals, before: Totals, verdict: Verdict | None) -> Attempt:
    heard = [h for h in session.hearings if h.turn == now.turn]
    status: Status = heard[-1].status if heard else _ENDS.get(now.state, "unverifiable")
    reason = heard[-1].reason if heard else now.reason if now.state in _ENDS else _UNASKED
    priced = now.unpriced_tokens == before.unpriced_tokens
    return Attempt(
        session.id, now.turn, session.executor, session.model, status, one_line(reason, 500), now.usage - before.usage,
        round(now.cost_usd - before.cost_usd, 9) if priced else None, None, now.seconds, sum(h.seconds for h in heard),
        now.denials - before.denials, verdict.findings if verdict else (), verdict.checks if verdict else (),
    )  # fmt: skip


def line_of(state: State, session: Delegated) -> list[Delegated]:
    """The sessions whose work this one did again, the first of them first, and itself."""
    found = [session]
    while found[0].replaces and len(found) <= len(state.sessions):
        found.insert(0, state.session(found[0].replaces))
    return found


def outcomes_of(state: State, session: Delegated, judged: Sequence[Judged]) -> Iterator[tuple[TaskOutcome, Verdict]]:
    """A task of the record for each check that a verified patch was held to; what its turns used is counted in the first."""
    earlier = [a for one in line_of(state, session)[:-1] for a in attempts_of(one)]
    for number, one in enumerate(judged):
        turns = (*earlier, *attempts_of(session, one.verdict))
        if number:
            turns = tuple(
                replace(a, usage=Usage(), cost_usd=0.0, executor_seconds=0.0, verify_seconds=0.0) for a in turns
            )
        review = tuple(f for f in one.verdict.findings if f.level == "review")
        yield TaskOutcome(
            one.task, one.verdict.status, one.verdict.reason, _method(session), review=review,
            cost_usd=pricing.total(a.cost_usd for a in turns), attempts=turns,
        ), one.verdict  # fmt: skip


def _method(session: Delegated) -> Method:
    return "fixer" if session.executor == "embedded" else "model"


def remaining(
    court: Court, after: Sequence[CheckResult], done: Sequence[TaskOutcome], state: State, used: set[str]
) -> Iterator[TaskOutcome]:
    """What was red on the base and is no task of an accepted patch, grouped by cause; `used` learns whose turns are told with it."""
    named = {(o.task.check, target) for o in done for target in o.task.targets}
    results = {r.name: r for r in after}
    for task in make_tasks(court.checks, court.baseline, (), court.rules.protect):
        if any((task.check, target) in named for target in task.targets):
            continue
        if targets_green(results[task.check], task, is_test=court.check(task.check).is_test):
            yield TaskOutcome(task, "already_green", "an accepted patch makes it pass")
            continue
        own = [s for s in state.sessions if s.id not in used and _is_about(s, task)]
        used |= {s.id for s in own}
        turns = tuple(a for s in own for a in attempts_of(s))
        status: Status = (
            turns[-1].verdict if turns and turns[-1].verdict not in {"fixed", "interrupted"} else "still_failing"
        )
        reason = turns[-1].reason if turns else "no session was asked to repair it"
        yield TaskOutcome(
            task, status, reason, cost_usd=pricing.total(a.cost_usd for a in turns), attempts=turns
        )  # fmt: skip


def _is_about(session: Delegated, task: Task) -> bool:
    return session.expects is None or any(
        e == task.check or any(target == e or target.startswith(e) for target in task.targets) for e in session.expects
    )


def whole(
    state: State, court: Court | None, done: Sequence[TaskOutcome], used: set[str], host: Sequence[Attempt], words: str
) -> TaskOutcome | None:
    """The run's own task: planning, and sessions whose work nobody took; None where there is nothing to tell of it.

    It is done when everything else is and the orchestrator's `exit` was allowed; with nothing accepted and nothing red it is not.
    """
    rest = [s for s in state.sessions if s.id not in used]
    turns = (*host, *(a for s in rest for a in attempts_of(s)))
    red = any(o.task.failures for o in done)
    nothing = not state.accepted and not red and bool(words or rest)
    if not (turns or nothing):
        return None
    status: Status = "already_green"
    reason = "planned and delegated; the patches are those of the other tasks"
    if not state.exited:
        status = "interrupted"
        reason = f"the orchestrator did not come to its end: {host[-1].reason if host else 'it was cut off'}"
    elif nothing:
        status, reason = "no_changes", "no patch was accepted"
    title = one_line(words or f"{state.asked.command}: {len(state.sessions)} sessions", 70)
    check = court.checks[0].name if court else ""
    task = Task("task-0", title, "", check, (), words)
    return TaskOutcome(task, status, reason, cost_usd=pricing.total(a.cost_usd for a in turns), attempts=turns)
