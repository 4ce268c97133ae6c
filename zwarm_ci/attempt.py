"""One turn of a session and one verification of what it left, or what is known of both from before the run was cut off.

The only room where an executor's work meets the judge. What the executor says of itself is never believed.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from zwarm_ci import pricing, proc, suspicion
from zwarm_ci.briefing import Lesson
from zwarm_ci.bystanders import Bystanders
from zwarm_ci.bystanders import Turn as Observed
from zwarm_ci.codec import to_data
from zwarm_ci.errors import InterruptedRunError, LimitError, ZwarmError
from zwarm_ci.executors.base import Conduct, Order, Report, State, Workbench
from zwarm_ci.journal import Journal
from zwarm_ci.past import Left, Past, Turn
from zwarm_ci.private import PrivateRepository, Worktree
from zwarm_ci.proc import Halt
from zwarm_ci.scrub import decode, one_line
from zwarm_ci.sessions import Meta, Store, watch
from zwarm_ci.task import Endpoint, Task, Usage
from zwarm_ci.till import Rung, Till
from zwarm_ci.verdict import Attempt, Status, Verdict
from zwarm_ci.verify.judge import Court, judge

Tell = Callable[[str], None]
LOST = "the run was cut off in this turn"
_COHORT = 500  # ids asked for at once; more than that is a suite, and runs as one
_JUDGED = frozenset(
    {"still_failing", "regressed", "tampered", "unverifiable"}
)  # verification itself said no to the tree


@dataclass(frozen=True, slots=True)
class Shop:
    """What solving any task of a run needs. Times in seconds.

    `conducts`: how each CLI is to behave, by its adapter's name. `past`: what the run had done before it was cut off.
    """

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
    past: Past = Past()
    bystanders: Bystanders = field(init=False)

    def __post_init__(self) -> None:
        court = self.court
        object.__setattr__(self, "bystanders", Bystanders(court.trees, court.checks, court.base))

    def cohort(self, check: str) -> tuple[str, ...]:
        """The red ids of a check that can be asked for together; one that hangs would hold up the others."""
        return tuple(f.id for f in self.court.baseline.failures(check) if "timed out" not in f.message)[:_COHORT]


@dataclass(slots=True)
class Case:
    """A task while it is worked on. `refused` are trees that verification said no to; `idle`: why rungs were passed over.

    `broke`: which limit of money ended paid work on it. `draft`: the last tree that lacks nothing but its proof, and `lacking` the
    attempt that made it. `past`: turns that are known from before and were not told again yet.
    """

    task: Task
    tell: Tell
    past: list[Turn] = field(default_factory=list)
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

    @property
    def next_known(self) -> Turn | None:
        """The next turn of which there is something to be told; None = from now on everything is new."""
        return next((turn for turn in self.past if turn.finished), None)


@dataclass(slots=True)
class Seat:
    """One session while it lasts: where it works (None = it has not begun here), and what its next turn goes on from.

    `tree`: what its last turn left, where that turn is known from before; "" = the base.
    """

    meta: Meta
    worktree: Worktree | None = None
    endpoint: Endpoint | None = None
    native: str = ""
    total: Usage = Usage()
    waits: int = 0
    tree: str = ""

    @property
    def place(self) -> Worktree:
        """Its worktree, once it has one."""
        assert self.worktree is not None
        return self.worktree


def attempt(shop: Shop, rung: Rung, case: Case, seat: Seat, turn: int, message: str) -> None:
    """One turn of a session and one verification of what it left."""
    status: Status
    known = _known(case, seat, turn)
    report, left = _recalled(seat, known) if known else _made(shop, rung, case, seat, turn, message)
    try:
        verdict = known.verdict if known else None
        if verdict is None:
            verdict = _judged(shop, rung, case, report, left)
            shop.journal.write(
                "verdict", task=case.task.id, session=seat.meta.id, turn=turn, status=verdict.status, tree=left.tree,
                **shop.court.trees.ledger.figures(), document=to_data(verdict),
            )  # fmt: skip
    except ZwarmError as error:  # the turn has been paid for; it stays in the record
        status = "interrupted" if isinstance(error, InterruptedRunError) else "executor_failed"
        case.attempts.append(_attempt(rung, seat.meta.id, turn, report, Verdict(status, error.line)))
        raise
    case.report, case.verdict, case.tree = report, verdict, left.tree
    if verdict.status in _JUDGED:
        case.refused.append(left.tree)
    if not verdict.accepted and not report.trouble:
        case.lessons.append(_lesson(shop, rung, report, verdict, left.tree))
    case.attempts.append(_attempt(rung, seat.meta.id, turn, report, verdict))
    if verdict.draft:
        case.draft, case.lacking = left.tree, case.attempts[-1]


def _known(case: Case, seat: Seat, turn: int) -> Turn | None:
    """This turn, where it was finished before the run was cut off. Turns that were not are booked, for they may have cost something.

    Raises:
        ZwarmError: what is known is another turn than this one.
    """
    book_lost(case)
    if not case.past:
        return None
    known = case.past.pop(0)
    if (known.session, known.number) != (seat.meta.id, turn):
        raise ZwarmError(
            f"turn {turn} of session {seat.meta.id} is not what the run's journal knows of", remedy="start the run anew"
        )
    return known


def book_lost(case: Case) -> None:
    """Put the turns that were cut off, up to the next one that is known, among the attempts: they may have cost something."""
    while case.past and not case.past[0].finished:
        turn = case.past.pop(0)
        executor, _, model = turn.rung.partition(":")
        lost = turn.report or Report("interrupted", LOST, cost_usd=None if turn.paid else 0.0)
        made = Attempt(
            turn.session, turn.number, executor, model, "interrupted", LOST, lost.usage, lost.cost_usd, lost.provider_cost_usd,
            lost.seconds, denials=lost.denials,
        )  # fmt: skip
        case.attempts.append(made)


def _recalled(seat: Seat, known: Turn) -> tuple[Report, Left]:
    """A turn that was finished before."""
    assert known.report is not None
    assert known.left is not None
    report = known.report
    seat.native, seat.total = report.native or seat.native, report.total if report.total.total else seat.total
    seat.tree = known.left.tree
    return report, known.left


def _made(shop: Shop, rung: Rung, case: Case, seat: Seat, turn: int, message: str) -> tuple[Report, Left]:
    """A turn, made now, and what it left; on disk as soon as it is known."""
    status: Status
    settle(shop, rung, case, seat)
    shop.journal.write(
        "turn_started",
        task=case.task.id,
        session=seat.meta.id,
        turn=turn,
        executor=rung.executor.name,
        rung=rung.name,
        paid=rung.paid,
        metered=seat.endpoint is not None,
    )
    case.tell(f"{rung.name}: turn {turn}")
    seat.meta = shop.store.move(seat.meta, "running", turn=turn)
    try:
        before = shop.bystanders.begin()
        report = _booked(shop, rung, case, seat, _turn(shop, rung, case, seat, turn, message))
    except ZwarmError as error:  # a stop of the run, or trouble of ours; what the provider counted until then is kept
        state: State = "interrupted" if isinstance(error, InterruptedRunError) else "failed"
        report = _booked(shop, rung, case, seat, Report(state, error.line, lower_bound=rung.paid))
        status = "interrupted" if state == "interrupted" else "executor_failed"
        case.attempts.append(_attempt(rung, seat.meta.id, turn, report, Verdict(status, error.line)))
        raise
    try:
        with proc.finishing():  # it has been paid for, so what it came to is kept although the run is stopped
            mended = shop.court.trees.repo.mend()  # before git is asked anything in what the session could reach
            tree = seat.place.tree()
            said = suspicion.said(rung.executor.name, shop.store.turn_file(seat.meta, turn))
            seen = shop.bystanders.compare(before, Observed(seat.place.path, tree, said, report.left))
            left = Left(tree, mended, seen)
            keep_work(shop.journal, shop.court.trees.repo, shop.court.base, case.task.id, seat.meta.id, turn, left)
    except ZwarmError as error:
        case.attempts.append(_attempt(rung, seat.meta.id, turn, report, Verdict("executor_failed", error.line)))
        raise
    return report, left


def settle(shop: Shop, rung: Rung, case: Case, seat: Seat) -> None:
    """Give a session its worktree, as its last turn left it, and where its calls go."""
    if seat.worktree is not None:
        return
    repo, session = shop.court.trees.repo, seat.meta.id
    seat.worktree = repo.worktree(shop.court.base, shop.scratch / session / (shop.workbench.top.name or "repository"))
    if seat.tree:
        seat.worktree.reset(seat.tree)
    seat.endpoint = shop.till.open(rung, session, case.task.id, (seat.worktree.path, shop.store.folder(session)))


def keep_work(
    journal: Journal, repo: PrivateRepository, base: str, task: str, session: str, turn: int, left: Left
) -> None:
    """Write down what a turn left, what its tree has beyond the base first: a run that goes on has a new private repository."""
    pack = None
    if journal.keeps:
        pack = journal.keep(f"{session}-{secrets.token_hex(4)}.pack", repo.pack(repo.as_commit(left.tree), base))
    journal.write("turn_left", task=task, session=session, turn=turn, tree=left.tree, pack=pack, document=to_data(left))


def _judged(shop: Shop, rung: Rung, case: Case, report: Report, left: Left) -> Verdict:
    """The word on what a turn left: of who looks for tampering, then of the judge."""
    verdict = suspicion.tampered(left.mended, left.seen)
    if verdict is not None:
        return verdict
    shop.bystanders.begin()  # nothing new where a turn was made here; else what the checks run with is seen for the first time
    judged = _verdict(shop, case, report, left.tree, claims=not rung.executor.deterministic)
    return suspicion.believed(judged, left.seen, shop.bystanders)


def _booked(shop: Shop, rung: Rung, case: Case, seat: Seat, report: Report) -> Report:
    """The report of a turn with what it cost; written down before anything else happens."""
    report = shop.till.account(rung, seat.meta.id, case.task.id, report)
    seat.native, seat.total = report.native or seat.native, report.total if report.total.total else seat.total
    seat.meta = shop.store.close_turn(seat.meta, report)
    shop.court.trees.ledger.spend(0.0, runs=report.suite_runs)
    shop.journal.write(
        "turn_ended", task=case.task.id, session=seat.meta.id, turn=seat.meta.turn, state=report.state, cost_usd=report.cost_usd,
        document=to_data(report),
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


def _turn(shop: Shop, rung: Rung, case: Case, seat: Seat, turn: int, message: str) -> Report:
    meta, halt = seat.meta, Halt()
    scratch = shop.scratch / f"{meta.id}-tmp{turn}"
    scratch.mkdir(parents=True, exist_ok=True)
    timeout = min(shop.timeout, shop.court.trees.ledger.left())
    bench = replace(shop.workbench, cohort=shop.cohort(case.task.check))
    order = Order(
        meta.id, turn, rung.model, case.task, message, seat.place.path, bench, shop.store.folder(meta.id), scratch,
        timeout, shop.silence, tuple(case.refused), seat.native, seat.total, seat.endpoint,
        shop.conducts.get(rung.executor.name, Conduct()), shop.till.room(case.task.id) if rung.paid else None, halt=halt,
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


def _verdict(shop: Shop, case: Case, report: Report, tree: str, *, claims: bool) -> Verdict:
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
