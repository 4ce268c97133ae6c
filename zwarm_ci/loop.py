"""One turn and one verification (`attempt`), and turns, fresh sessions and rungs until green or out of budget (`solve`).

The only room where an executor's work meets the judge. What the executor says of itself is never believed.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from zwarm_ci import pricing, suspicion
from zwarm_ci.briefing import Lesson, first_message, next_message
from zwarm_ci.bystanders import Bystanders, Turn
from zwarm_ci.errors import InterruptedRunError, LimitError, ZwarmError
from zwarm_ci.executors.base import Conduct, Order, Report, State, Workbench
from zwarm_ci.journal import Journal
from zwarm_ci.private import Worktree
from zwarm_ci.proc import Halt
from zwarm_ci.scrub import decode, one_line
from zwarm_ci.sessions import Meta, Store, watch
from zwarm_ci.stop import STOP
from zwarm_ci.task import Endpoint, Task, Usage
from zwarm_ci.till import Rung, Till
from zwarm_ci.verdict import Attempt, Status, TaskOutcome, Verdict
from zwarm_ci.verify.judge import Court, judge

Tell = Callable[[str], None]
CUT = "the run was interrupted before this task's end"
_COHORT = 500  # ids asked for at once; more than that is a suite, and runs as one
_WAITS = 3  # times that one session waits for a provider
_LONGEST_WAIT = 300.0  # seconds; who is told to wait longer goes on with the next rung
_SAID_NOTHING = frozenset({"no_changes", "executor_failed", "timed_out", "blocked"})  # of the failure, that is
_JUDGED = frozenset(
    {"still_failing", "regressed", "tampered", "unverifiable"}
)  # verification itself said no to the tree
_OUT_OF_MONEY = "a limit on money ended its calls (raise budget.usd, budget.task_usd or budget.day_usd)"
_USUAL_WAIT = 20.0  # where the provider does not say how long


@dataclass(frozen=True, slots=True)
class Shop:
    """What solving any task of a run needs. Times in seconds. `conducts`: how each CLI is to behave, by its adapter's name."""

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
    till: Till
    conducts: Mapping[str, Conduct] = field(default_factory=dict)
    bystanders: Bystanders = field(init=False)

    def __post_init__(self) -> None:
        court = self.court
        object.__setattr__(self, "bystanders", Bystanders(court.trees, court.checks, court.base))

    def cohort(self, check: str) -> tuple[str, ...]:
        """The red ids of a check that can be asked for together; one that hangs would hold up the others."""
        return tuple(f.id for f in self.court.baseline.failures(check) if "timed out" not in f.message)[:_COHORT]


@dataclass(slots=True)
class _Case:
    """A task while it is worked on. `refused` are trees that verification said no to; `idle`: why rungs were passed over.

    `broke`: which limit of money ended paid work on it. `draft`: the last tree that lacks nothing but its proof, and `lacking` the
    attempt that made it.
    """

    task: Task
    tell: Tell
    attempts: list[Attempt] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    lessons: list[Lesson] = field(default_factory=list)
    idle: list[str] = field(default_factory=list)
    broke: str = ""
    draft: str = ""
    lacking: Attempt | None = None
    tree: str = ""
    report: Report | None = None
    verdict: Verdict | None = None

    @property
    def cost(self) -> float:
        return pricing.total(a.cost_usd for a in self.attempts)


@dataclass(slots=True)
class _Seat:
    """One session while it lasts: where it works, and what its next turn goes on from."""

    meta: Meta
    worktree: Worktree
    endpoint: Endpoint | None
    native: str = ""
    total: Usage = Usage()
    waits: int = 0


@dataclass(frozen=True, slots=True)
class Solved:
    """A task's end with the tree that was accepted ("" = none) and its evidence; `draft`: a tree that lacks its proof alone."""

    outcome: TaskOutcome
    tree: str = ""
    evidence: str = ""
    draft: str = ""


def solve(shop: Shop, task: Task, tell: Tell) -> Solved:
    """Rungs in order, fresh sessions on each, turns in each, until a verdict accepts a patch, or a limit or a stop of the run ends it."""
    case = _Case(task, tell)
    try:
        return _climb(shop, case)
    except InterruptedRunError:
        return _cut(case, "interrupted", CUT)
    except LimitError as error:
        return _cut(case, "over_budget", error.line)
    except ZwarmError as error:
        return _cut(case, "executor_failed", error.line)


def _cut(case: _Case, status: Status, reason: str) -> Solved:
    """The end of a task that something else ended; what its turns cost is kept, and what they came to."""
    outcome = TaskOutcome(case.task, status, reason, cost_usd=case.cost, attempts=tuple(case.attempts))
    return Solved(outcome, draft=case.draft)


def _climb(shop: Shop, case: _Case) -> Solved:
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


def _may_begin(shop: Shop, rung: Rung, case: _Case) -> bool:
    """Whether a session of this rung may begin. Without money left there are still the rungs that cost nothing."""
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


def _session(shop: Shop, rung: Rung, case: _Case) -> Literal["accepted", "again", "next rung"]:
    """One session of several turns; `again`: a fresh one may do better."""
    meta = shop.store.create(
        run=shop.run, task=case.task.id, executor=rung.executor.name, model=rung.model, title=case.task.title
    )
    folder = shop.scratch / meta.id
    worktree = shop.court.trees.repo.worktree(shop.court.base, folder / (shop.workbench.top.name or "repository"))
    seat = _Seat(
        meta, worktree, shop.till.open(rung, meta.id, case.task.id, (worktree.path, shop.store.folder(meta.id)))
    )
    message, turn = first_message(case.task, case.lessons), 0
    try:
        while turn < shop.turns:
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
        shop.till.shut(rung, meta.id)
        shutil.rmtree(folder, ignore_errors=True)


def _over(rung: Rung, case: _Case, turn: int) -> Literal["go on", "again", "next rung"]:
    """What comes after a turn that was not accepted. Who leaves a task in words undone, asked twice, was understood: nothing is red."""
    last = [a.verdict for a in case.attempts[-min(turn, 2) :]]
    status = last[-1]
    if status == "attributed":
        return "next rung" if rung.executor.deterministic else "again"
    if status == "no_changes":
        if last == ["no_changes"] * 2 and not case.task.failures:
            return "next rung"
        return "again" if rung.executor.deterministic else "go on"
    return "again" if status in {"executor_failed", "timed_out", "over_budget", "blocked"} else "go on"


def _waited(shop: Shop, case: _Case, seat: _Seat, asked: float) -> bool:
    """Wait as long as the provider says; False where that is too long or was done often enough.

    Raises:
        InterruptedRunError: the run was stopped meanwhile. LimitError: it has not so much time left.
    """
    seat.waits += 1
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


def attempt(shop: Shop, rung: Rung, case: _Case, seat: _Seat, turn: int, message: str) -> None:
    """One turn of a session and one verification of what it left."""
    task, session = case.task, seat.meta.id
    status: Status
    shop.journal.write("turn_started", task=task.id, session=session, turn=turn, executor=rung.executor.name)
    case.tell(f"{rung.name}: turn {turn}")
    seat.meta = shop.store.move(seat.meta, "running", turn=turn)
    try:
        before = shop.bystanders.begin()
        report = _booked(shop, rung, case, seat, _turn(shop, rung, case, seat, turn, message))
    except ZwarmError as error:  # a stop of the run, or trouble of ours; what the provider counted until then is kept
        state: State = "interrupted" if isinstance(error, InterruptedRunError) else "failed"
        report = _booked(shop, rung, case, seat, Report(state, error.line, lower_bound=rung.paid))
        status = "interrupted" if state == "interrupted" else "executor_failed"
        case.attempts.append(_attempt(rung, session, turn, report, Verdict(status, error.line)))
        raise
    try:
        changed = shop.court.trees.repo.mend()  # before git is asked anything in what the session could reach
        tree = seat.worktree.tree()
        said = suspicion.said(rung.executor.name, shop.store.turn_file(seat.meta, turn))
        seen = shop.bystanders.compare(before, Turn(seat.worktree.path, tree, said, report.left))
        verdict = suspicion.tampered(changed, seen)
        if verdict is None:
            judged = _verdict(shop, case, report, tree, claims=not rung.executor.deterministic)
            verdict = suspicion.believed(judged, seen, shop.bystanders)
    except ZwarmError as error:  # the turn has been paid for; it stays in the record
        status = "interrupted" if isinstance(error, InterruptedRunError) else "executor_failed"
        case.attempts.append(_attempt(rung, session, turn, report, Verdict(status, error.line)))
        raise
    case.report, case.verdict, case.tree = report, verdict, tree
    if verdict.status in _JUDGED:
        case.refused.append(tree)
    if not verdict.accepted and not report.trouble:
        case.lessons.append(_lesson(shop, rung, report, verdict, tree))
    shop.journal.write("verdict", task=task.id, session=session, turn=turn, status=verdict.status, tree=tree)
    case.attempts.append(_attempt(rung, session, turn, report, verdict))
    if verdict.draft:
        case.draft, case.lacking = tree, case.attempts[-1]


def _booked(shop: Shop, rung: Rung, case: _Case, seat: _Seat, report: Report) -> Report:
    """The report of a turn with what it cost; written down before anything else happens."""
    report = shop.till.account(rung, seat.meta.id, case.task.id, report)
    seat.native, seat.total = report.native or seat.native, report.total if report.total.total else seat.total
    seat.meta = shop.store.close_turn(seat.meta, report)
    shop.court.trees.ledger.spend(0.0, runs=report.suite_runs)
    shop.journal.write(
        "turn_ended", task=case.task.id, session=seat.meta.id, turn=seat.meta.turn, state=report.state, cost_usd=report.cost_usd
    )  # fmt: skip
    return report


def _attempt(rung: Rung, session: str, turn: int, report: Report, verdict: Verdict) -> Attempt:
    return Attempt(
        session, turn, rung.executor.name, rung.model, verdict.status, verdict.reason, report.usage, report.cost_usd,
        report.provider_cost_usd, report.seconds, verdict.seconds, report.denials, verdict.findings, verdict.checks,
    )  # fmt: skip


def _lesson(shop: Shop, rung: Rung, report: Report, verdict: Verdict, tree: str) -> Lesson:
    repo = shop.court.trees.repo
    patch = decode(repo.patch(repo.tree_of(shop.court.base), tree)) if verdict.status in _JUDGED else ""
    return Lesson(rung.name, verdict.status, verdict.reason, patch, report.origin, verdict.draft)


def _turn(shop: Shop, rung: Rung, case: _Case, seat: _Seat, turn: int, message: str) -> Report:
    meta, halt = seat.meta, Halt()
    scratch = shop.scratch / f"{meta.id}-tmp{turn}"
    scratch.mkdir(parents=True, exist_ok=True)
    timeout = min(shop.timeout, shop.court.trees.ledger.left())
    bench = replace(shop.workbench, cohort=shop.cohort(case.task.check))
    order = Order(
        meta.id, turn, rung.model, case.task, message, seat.worktree.path, bench, shop.store.folder(meta.id), scratch,
        timeout, shop.silence, tuple(case.refused), seat.native, seat.total, seat.endpoint,
        shop.conducts.get(rung.executor.name, Conduct()), shop.till.room(case.task.id) if rung.paid else None, halt,
    )  # fmt: skip
    with shop.store.recording(meta, turn) as keep, watch.heeding(shop.store, meta.id, halt.set):
        told = ""

        def on_line(line: bytes) -> None:
            nonlocal told
            keep(line)
            said = rung.executor.headline(line)
            if said and said != told:  # a command is said when it begins, not again when it ends
                told = said
                case.tell(f"{rung.executor.name}: {said}")

        report = rung.executor.turn(order, on_line)
    shutil.rmtree(scratch, ignore_errors=True)
    return report


def _verdict(shop: Shop, case: _Case, report: Report, tree: str, *, claims: bool) -> Verdict:
    """What became of the turn: trouble of the executor's, nothing done, or the judge's word.

    `claims`: the executor's message is a model's, which may say anything.
    """
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
        nothing = "the session changed nothing"
        said = f"{nothing}; it said: {one_line(report.message)}" if report.message else nothing
        return Verdict("no_changes", said if claims else report.message or nothing)
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
    said, claimed = case.report.message, case.report.method == "model"
    reason = said if said and not claimed else "; it said: ".join(filter(None, (case.verdict.reason, one_line(said))))
    outcome = TaskOutcome(
        case.task, "fixed", reason, case.report.method, case.report.origin, review=review,
        cost_usd=case.cost, attempts=tuple(case.attempts),
    )  # fmt: skip
    return Solved(outcome, case.tree, case.verdict.evidence)


def _given_up(case: _Case) -> TaskOutcome:
    """The end of a task without an accepted patch: what its draft lacks, where there is one, else the last word.

    Where the last turn had nothing new, that is why the one before was refused.
    """
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
