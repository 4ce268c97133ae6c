"""From facts to the record: tasks for what cannot be repaired, the run's status, exit code and one-line reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from zwarm_ci import pricing
from zwarm_ci.baseline import Baseline
from zwarm_ci.budget import Ledger
from zwarm_ci.loop import CUT
from zwarm_ci.plan import make_task
from zwarm_ci.task import Check, Failure, Task
from zwarm_ci.verdict import CheckResult, Outcome, RunStatus, Seconds, TaskOutcome, count, spent

MAX_TASKS = "--max-tasks"


@dataclass(slots=True)
class Facts:
    """What is known of a run so far; filled in as the story goes, so that an early end has a record too.

    `elsewhere`, `runs_elsewhere`: time and check processes of other machines that worked for it.
    """

    run: str
    command: str
    source_head: str
    base: str
    ledger: Ledger
    strict_flaky: bool = False
    limits: dict[str, float] = field(default_factory=dict)
    before: tuple[CheckResult, ...] = ()
    after: tuple[CheckResult, ...] = ()
    tasks: tuple[TaskOutcome, ...] = ()
    planned: tuple[Task, ...] = ()
    branch: str | None = None
    head: str | None = None
    notes: tuple[str, ...] = ()
    stopped: str = ""
    elsewhere: Seconds = Seconds()
    runs_elsewhere: int = 0


def unrepairable(checks: Sequence[Check], baseline: Baseline) -> tuple[TaskOutcome, ...]:
    """Outcomes of what no session is started for: flaky ids, ids red for the environment's sake, checks that cannot be believed."""
    found: list[TaskOutcome] = []
    for check in checks:
        result = baseline.result(check.name)
        flaky = [f for f in result.failures if baseline.is_flaky(check.name, f.id)]
        for number, failure in enumerate(flaky, 1):
            passes, runs = baseline.flaky[(check.name, failure.id)]
            reason = f"red once, then passed {passes} of {runs} times in fresh processes on the same commit; nothing was spent on it"
            found.append(TaskOutcome(make_task(f"{check.name}-flaky-{number}", check, [failure]), "flaky", reason))
        reasons: dict[str, list[Failure]] = {}
        for failure in result.failures:
            if why := baseline.environment.get((check.name, failure.id)):
                reasons.setdefault(why, []).append(failure)
        for (name, test_id), why in baseline.environment.items():
            if name == check.name and result.state(test_id) == "skipped":
                reasons.setdefault(why, []).append(Failure(check.name, test_id, "skipped"))
        trouble = baseline.environment.get((check.name, ""), result.trouble)
        if trouble:
            reasons.setdefault(trouble, [Failure(check.name, f"{check.name}::run", trouble)])
        for number, (why, failures) in enumerate(reasons.items(), 1):
            found.append(
                TaskOutcome(make_task(f"{check.name}-unverifiable-{number}", check, failures), "unverifiable", why)
            )
    return tuple(found)


def revealed(checks: Sequence[Check], baseline: Baseline, after: Sequence[CheckResult]) -> tuple[TaskOutcome, ...]:
    """Outcomes of ids that are red on the final tree and could not run on the base: nothing was tried for them."""
    found = []
    for check, result in zip(checks, after, strict=True):
        before = baseline.result(check.name)
        failures = [f for f in result.failures if before.state(f.id) == "absent"]
        if check.is_test and failures and not before.trouble:
            reason = "red, and could not run before: what hid it is repaired; run again on the new branch"
            found.append(TaskOutcome(make_task(f"{check.name}-revealed", check, failures), "still_failing", reason))
    return tuple(found)


def limit_of(outcomes: Sequence[TaskOutcome]) -> str:
    """The limit that kept a task from its end; "" = none did, or just `--max-tasks`."""
    cut = (o.reason for o in outcomes if o.status == "over_budget" and not o.reason.startswith(MAX_TASKS))
    return next(cut, "")


def not_begun(task: Task, most: int) -> TaskOutcome:
    """What becomes of a task beyond `--max-tasks`."""
    return TaskOutcome(task, "over_budget", f"{MAX_TASKS} {most}: not begun")


def conclude(facts: Facts, *, interrupted: int = 0, blocked: str = "") -> Outcome:
    """The record of a run; `interrupted` is the exit code of a signal (130, 143), `blocked` why nothing could begin."""
    if interrupted:  # else a report of it would have no failure at all
        known = {t.task.id for t in facts.tasks}
        cut = (TaskOutcome(t, "interrupted", CUT) for t in facts.planned if t.id not in known)
        facts.tasks = (*facts.tasks, *cut)
    status, code, reason = _end(facts, interrupted, blocked)
    reason = "; ".join((reason, *(note for note in facts.notes if note.startswith("not applied"))))
    attempts = [a for t in facts.tasks for a in t.attempts]
    seconds = Seconds(
        wall=round(facts.elsewhere.wall + facts.ledger.elapsed(), 3),
        executor=round(sum(a.executor_seconds for a in attempts), 3),
        verify=round(sum(a.verify_seconds for a in attempts), 3),
        checks=round(facts.elsewhere.checks + facts.ledger.check_seconds, 3),
    )
    usage = spent(facts.tasks)
    return Outcome(
        facts.run, facts.command, facts.source_head, facts.base, status, code, reason, facts.branch, facts.head, facts.before,
        facts.after, facts.tasks, usage, pricing.total(t.cost_usd for t in facts.tasks),
        sum(a.usage.total for a in attempts if a.cost_usd is None), seconds, facts.runs_elsewhere + facts.ledger.suite_runs, facts.limits,
        facts.notes,
    )  # fmt: skip


def _end(facts: Facts, interrupted: int, blocked: str) -> tuple[RunStatus, int, str]:
    remaining = [t for t in facts.tasks if not t.solved]
    repaired = [t for t in facts.tasks if t.status in {"fixed", "already_green"}]
    flaky = [t for t in facts.tasks if t.status == "flaky"]
    if interrupted:
        return (
            "interrupted",
            interrupted,
            "interrupted; every process of the run was ended, the repository is as it was",
        )
    if blocked:
        return "blocked", 4, blocked
    if facts.stopped:
        return "stopped", 3, facts.stopped
    said = _counted(facts.tasks)
    if remaining:
        status: RunStatus = "partly_fixed" if repaired else "not_fixed"
        return status, 1, _left(remaining, len(facts.tasks))
    if flaky and facts.strict_flaky:
        return ("partly_fixed" if repaired else "not_fixed"), 1, f"{len(flaky)} flaky (--strict-flaky): {said}"
    if repaired:
        return "fixed", 0, f"all tasks are solved: {said}{_outside(facts)}"
    if flaky:
        return "green", 0, f"nothing to repair: {said}{_outside(facts)}"
    if outside := _outside(facts):
        return "green", 0, f"nothing to repair in what was named{outside}"
    return "green", 0, "every check is green, nothing to do"


def _left(remaining: Sequence[TaskOutcome], tasks: int) -> str:
    """What remains; of a single task in words, which no red id stands for, what became of it."""
    first = remaining[0]
    if tasks == 1 and not first.task.failures:
        return f"{first.status.replace('_', ' ')}: {first.reason}"
    return f"{len(remaining)} of {tasks} tasks remain: {_counted(remaining)}"


def _outside(facts: Facts) -> str:
    """What stays red because it was not asked for."""
    asked = {(t.task.check, failure.id) for t in facts.tasks for failure in t.task.failures}
    left = sum((check.name, test_id) not in asked for check in facts.after for test_id in check.failed)
    return f"; {left} more of the ids that ran {'are' if left > 1 else 'is'} red and not part of it" if left else ""


def _counted(tasks: Sequence[TaskOutcome]) -> str:
    return ", ".join(f"{n} {status.replace('_', ' ')}" for status, n in count(tasks).items())
