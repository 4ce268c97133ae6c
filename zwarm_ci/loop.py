"""One turn and one verification (`attempt`), and turns, fresh sessions and rungs until green or out of budget (`solve`).

The only room where an executor's work meets the judge. What the executor says of itself is never believed.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from zwarm_ci.errors import InterruptedRunError, LimitError
from zwarm_ci.executors.base import Executor, Order, Report, Workbench
from zwarm_ci.journal import Journal
from zwarm_ci.private import Worktree
from zwarm_ci.sessions import Meta, Store
from zwarm_ci.task import Task, Usage
from zwarm_ci.verdict import Attempt, Status, TaskOutcome, Verdict
from zwarm_ci.verify.judge import Court, judge

Tell = Callable[[str], None]
_COHORT = 500  # ids asked for at once; more than that is a suite, and runs as one


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of the ladder: an executor and the model it is asked for ("" = its default)."""

    executor: Executor
    model: str = ""


@dataclass(frozen=True, slots=True)
class Shop:
    """What solving any task of a run needs. Times in seconds."""

    court: Court
    ladder: tuple[Rung, ...]
    store: Store
    journal: Journal
    workbench: Workbench
    run: str
    scratch: Path
    turns: int
    sessions: int
    timeout: float
    silence: float

    def cohort(self, check: str) -> tuple[str, ...]:
        """The red ids of a check that can be asked for together; one that hangs would hold up the others."""
        return tuple(f.id for f in self.court.baseline.failures(check) if "timed out" not in f.message)[:_COHORT]


@dataclass(slots=True)
class _Case:
    """A task while it is worked on. `refused` are trees that verification said no to."""

    task: Task
    tell: Tell
    attempts: list[Attempt] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    tree: str = ""
    report: Report | None = None
    verdict: Verdict | None = None

    @property
    def cost(self) -> float:
        return sum(a.cost_usd or 0.0 for a in self.attempts)


@dataclass(frozen=True, slots=True)
class Solved:
    """A task's end with the tree that was accepted ("" = none) and its evidence."""

    outcome: TaskOutcome
    tree: str = ""
    evidence: str = ""


def solve(shop: Shop, task: Task, tell: Tell) -> Solved:
    """Rungs in order, fresh sessions on each, turns in each, until a verdict accepts a patch or a limit of the run is reached.

    Raises:
        InterruptedRunError: the run was stopped.
    """
    case = _Case(task, tell)
    try:
        return _climb(shop, case)
    except LimitError as error:
        outcome = TaskOutcome(task, "over_budget", error.line, cost_usd=case.cost, attempts=tuple(case.attempts))
        return Solved(outcome)


def _climb(shop: Shop, case: _Case) -> Solved:
    for rung in shop.ladder:
        # A deterministic executor would say the same again in a fresh session; its turns carry what was refused.
        for _ in range(1 if rung.executor.deterministic else shop.sessions):
            if _session(shop, rung, case):
                return _accepted(case)
            if rung.executor.deterministic and case.report and case.report.attributed:
                break
    return Solved(_given_up(case))


def _session(shop: Shop, rung: Rung, case: _Case) -> bool:
    """One session of several turns; True = a patch was accepted."""
    meta = shop.store.create(run=shop.run, task=case.task.id, executor=rung.executor.name, model=rung.model)
    folder = shop.scratch / meta.id
    worktree = shop.court.trees.repo.worktree(shop.court.base, folder / (shop.workbench.top.name or "repository"))
    message = case.task.text
    try:
        for turn in range(1, shop.turns + 1):
            shop.court.trees.ledger.require()
            meta = attempt(shop, rung, case, meta, worktree, turn, message)
            assert case.verdict is not None
            if case.verdict.accepted:
                return True
            if case.verdict.status in {
                "no_changes",
                "attributed",
                "executor_failed",
                "timed_out",
                "over_budget",
                "blocked",
            }:
                return False
            message = (
                f"Verification in a clean checkout refused the change: {case.verdict.reason}\nMake another change."
            )
        return False
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def attempt(shop: Shop, rung: Rung, case: _Case, meta: Meta, worktree: Worktree, turn: int, message: str) -> Meta:
    """One turn of a session and one verification of what it left."""
    shop.journal.write("turn_started", task=case.task.id, session=meta.id, turn=turn, executor=rung.executor.name)
    case.tell(f"{rung.executor.name}: turn {turn}")
    meta = shop.store.move(meta, "running", turn=turn)
    try:
        report = _turn(shop, rung, case, meta, worktree, turn, message)
    except InterruptedRunError:
        shop.store.move(meta, "interrupted")
        raise
    meta = shop.store.move(meta, report.state, reason=report.message)
    shop.court.trees.ledger.spend(0.0, runs=report.suite_runs)
    shop.journal.write(
        "turn_ended", task=case.task.id, session=meta.id, turn=turn, state=report.state, cost_usd=report.cost_usd
    )
    tree = worktree.tree()
    verdict = _verdict(shop, case, report, tree)
    case.report, case.verdict, case.tree = report, verdict, tree
    if not verdict.accepted:
        case.refused.append(tree)
    shop.journal.write("verdict", task=case.task.id, session=meta.id, turn=turn, status=verdict.status, tree=tree)
    case.attempts.append(
        Attempt(
            meta.id,
            turn,
            rung.executor.name,
            rung.model,
            verdict.status,
            verdict.reason,
            report.usage,
            report.cost_usd,
            report.provider_cost_usd,
            report.seconds,
            verdict.seconds,
            report.denials,
            verdict.findings,
            verdict.checks,
        )
    )
    return meta


def _turn(shop: Shop, rung: Rung, case: _Case, meta: Meta, worktree: Worktree, turn: int, message: str) -> Report:
    scratch = shop.scratch / f"{meta.id}-tmp{turn}"
    scratch.mkdir(parents=True)
    timeout = min(shop.timeout, shop.court.trees.ledger.left())
    bench = replace(shop.workbench, cohort=shop.cohort(case.task.check))
    order = Order(
        meta.id, turn, rung.model, case.task, message, worktree.path, bench, shop.store.folder(meta.id), scratch,
        timeout, shop.silence, tuple(case.refused),
    )  # fmt: skip
    with shop.store.turn_file(meta, turn).open("wb") as file:

        def on_line(line: bytes) -> None:
            file.write(line + b"\n")
            file.flush()
            if said := rung.executor.headline(line):
                case.tell(f"{rung.executor.name}: {said}")

        report = rung.executor.turn(order, on_line)
    shutil.rmtree(scratch, ignore_errors=True)
    return report


def _verdict(shop: Shop, case: _Case, report: Report, tree: str) -> Verdict:
    """What became of the turn: trouble of the executor's, nothing done, or the judge's word."""
    ends: dict[str, Status] = {
        "failed": "executor_failed", "killed": "executor_failed", "timed_out": "timed_out", "blocked": "blocked",
        "interrupted": "interrupted",
    }  # fmt: skip
    if report.state == "timed_out" and not shop.court.trees.ledger.left():
        return Verdict("over_budget", "the time limit of the run ended the turn (raise budget.minutes)")
    if report.state != "completed":
        return Verdict(ends[report.state], report.message)
    if report.attributed:
        return Verdict("attributed", report.message)
    repo = shop.court.trees.repo
    if tree == repo.tree_of(shop.court.base):
        return Verdict("no_changes", report.message or "the session changed nothing")
    if tree in case.refused:
        return Verdict("no_changes", "the session offered a change that was refused before")
    case.tell("verifying in a clean worktree")
    try:
        return judge(shop.court, case.task, tree)
    except LimitError as error:  # the turn has been paid for; it stays in the record
        return Verdict("over_budget", error.line)


def _accepted(case: _Case) -> Solved:
    assert case.verdict is not None
    assert case.report is not None
    review = tuple(f for f in case.verdict.findings if f.level == "review")
    outcome = TaskOutcome(
        case.task, "fixed", case.report.message or case.verdict.reason, case.report.method, case.report.origin, review=review,
        cost_usd=case.cost, attempts=tuple(case.attempts),
    )  # fmt: skip
    return Solved(outcome, case.tree, case.verdict.evidence)


def _given_up(case: _Case) -> TaskOutcome:
    """The end of a task without an accepted patch: the last word, or, where the last turn had nothing new, why the one before was refused."""
    last = case.attempts[-1]
    refused = [a for a in case.attempts if a.verdict != "no_changes"]
    telling = refused[-1] if last.verdict == "no_changes" and refused else last
    origin = case.report.origin if case.report and last.verdict == "attributed" else None
    outcome = TaskOutcome(
        case.task, telling.verdict, telling.reason, origin=origin, cost_usd=case.cost, attempts=tuple(case.attempts)
    )
    return replace(outcome, review=telling.guards)


def spent(outcomes: tuple[TaskOutcome, ...]) -> Usage:
    """Tokens of all attempts."""
    total = Usage()
    for outcome in outcomes:
        for made in outcome.attempts:
            total += made.usage
    return total
