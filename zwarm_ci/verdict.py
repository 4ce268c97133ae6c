"""Nouns of the judgement: what a check said, what a guard found, what became of a task and of the run.

`Outcome` is the record (outcome.json); every report is a pure function of it. Times are seconds, money US dollars.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from zwarm_ci.task import Failure, Origin, Task, Usage

SCHEMA = 1  # 1: first published form of outcome.json and of evidence

Status = Literal[
    "fixed",
    "flaky",
    "already_green",
    "no_changes",
    "tampered",
    "still_failing",
    "regressed",
    "unverifiable",
    "over_budget",
    "timed_out",
    "executor_failed",
    "blocked",
    "attributed",
    "conflict",
    "interrupted",
]
#: Statuses after which nothing remains to be done for the task.
SOLVED: frozenset[Status] = frozenset({"fixed", "already_green", "flaky"})
RunStatus = Literal["green", "fixed", "partly_fixed", "not_fixed", "stopped", "blocked", "interrupted"]
Method = Literal["fixer", "revert", "known_error", "template", "model"]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one run of one check said.

    Attributes:
        name: the check's name.
        command: the command as a person would type it.
        exit_code: of the process; None where it never ran or was ended by us.
        passed: ids, in the order in which they ran.
        failed: ids, likewise.
        skipped: ids, likewise.
        seconds: wall time.
        failures: one per failed id, with place and bounded detail.
        trouble: why the result cannot be believed (empty = it can); starts with environment, credentials, cell, runner or check.
        timed_out: ended by the check's own time limit.
        canary: True = the test that must fail was seen failing in this process; False = it was asked for and not seen; None = this kind has none.
        foreign: files of the original checkout, rather than this tree, that the run imported.
        modules: test modules (or the like) that were collected without error; a collection error's id is its module.
        log: path of the whole log, relative to the run's folder or absolute; empty = none kept.
        shadowed: packages of the tree in whose place an installed one of the same name was imported.
        altered: the runner's own functions whose code at the end is not what it was at the start.
        lines: path of the tree -> line numbers that ran, for the files that were asked for; absent = it cannot be told.
        edited: files of the tree that the run changed or made; they are put back.
        left: names of the processes that the run left running when it ended by itself; they are ended.
        undoomed: targets of which no doomed copy could be made; for them the canary alone speaks.
    """

    name: str
    command: str
    exit_code: int | None
    passed: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    seconds: float = 0.0
    failures: tuple[Failure, ...] = ()
    trouble: str = ""
    timed_out: bool = False
    canary: bool | None = None
    foreign: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    log: str = ""
    shadowed: tuple[str, ...] = ()
    altered: tuple[str, ...] = ()
    lines: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    undoomed: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def green(self) -> bool:
        """Ran, can be believed, and nothing failed."""
        return not self.trouble and not self.failed and not self.timed_out and self.exit_code == 0

    def state(self, test_id: str) -> Literal["passed", "failed", "skipped", "absent"]:
        """What became of one id. A module's id (a collection error before) passes if it was collected and nothing in it failed."""
        if test_id in self.failed:
            return "failed"
        if test_id in self.passed:
            return "passed"
        if test_id in self.skipped:
            return "skipped"
        if test_id in self.modules:
            inside = f"{test_id}::"
            return "failed" if any(i.startswith(inside) for i in self.failed) else "passed"
        return "absent"

    def failure(self, test_id: str) -> Failure | None:
        """The failure of one id."""
        return next((f for f in self.failures if f.id == test_id), None)


@dataclass(frozen=True, slots=True)
class GuardFinding:
    """What a guard saw in a patch or in the runs; `refuse` ends it, `review` goes to a person. `allow` says how to allow it."""

    guard: str
    level: Literal["refuse", "review"]
    path: str
    line: int | None
    detail: str
    allow: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judge's word on one patch against one base. Only `verify.judge` makes one.

    `draft`: nothing speaks against the patch but that the proof which was asked for is missing.
    """

    status: Status
    reason: str
    findings: tuple[GuardFinding, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    evidence: str = ""  # canonical JSON, see verify/evidence.py
    seconds: float = 0.0
    draft: bool = False

    @property
    def accepted(self) -> bool:
        """Whether the patch may be delivered."""
        return self.status == "fixed"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One turn of one session and what verification said of it."""

    session: str
    turn: int
    executor: str
    model: str
    verdict: Status
    reason: str = ""
    usage: Usage = Usage()
    cost_usd: float | None = 0.0
    provider_cost_usd: float | None = None
    executor_seconds: float = 0.0
    verify_seconds: float = 0.0
    denials: int = 0
    guards: tuple[GuardFinding, ...] = ()
    checks: tuple[CheckResult, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskOutcome:
    """What became of a task."""

    task: Task
    status: Status
    reason: str
    method: Method | None = None
    origin: Origin | None = None
    patch: str | None = None
    commit: str | None = None
    evidence: str | None = None
    review: tuple[GuardFinding, ...] = ()
    cost_usd: float = 0.0
    attempts: tuple[Attempt, ...] = ()

    @property
    def solved(self) -> bool:
        """Whether nothing remains to be done."""
        return self.status in SOLVED

    def with_status(self, status: Status, reason: str) -> TaskOutcome:
        """The same task with another end; a patch that is no longer offered goes with it."""
        return replace(self, status=status, reason=reason, commit=None)


@dataclass(frozen=True, slots=True)
class Seconds:
    """Where the time went."""

    wall: float = 0.0
    executor: float = 0.0
    verify: float = 0.0
    checks: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The record of a run. `base` is what was repaired, `source_head` the user's HEAD; they differ for a snapshot."""

    run: str
    command: str
    source_head: str
    base: str
    status: RunStatus
    exit_code: int
    reason: str
    branch: str | None = None
    head: str | None = None
    before: tuple[CheckResult, ...] = ()
    after: tuple[CheckResult, ...] = ()
    tasks: tuple[TaskOutcome, ...] = ()
    usage: Usage = Usage()
    cost_usd: float = 0.0
    unpriced_tokens: int = 0
    seconds: Seconds = Seconds()
    suite_runs: int = 0
    limits: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def in_short(outcome: Outcome) -> dict[str, float | str | None]:
    """The figures of a run that a list of runs shows."""
    return {
        "tasks": len(outcome.tasks),
        "solved": sum(t.solved for t in outcome.tasks),
        "cost_usd": outcome.cost_usd,
        "seconds": outcome.seconds.wall,
        "branch": outcome.branch,
    }


def spent(outcomes: Iterable[TaskOutcome]) -> Usage:
    """Tokens of all attempts."""
    total = Usage()
    for outcome in outcomes:
        for made in outcome.attempts:
            total += made.usage
    return total


def count(outcomes: Iterable[TaskOutcome]) -> dict[Status, int]:
    """How many tasks ended in each status, in order of first appearance."""
    totals: dict[Status, int] = {}
    for outcome in outcomes:
        totals[outcome.status] = totals.get(outcome.status, 0) + 1
    return totals
