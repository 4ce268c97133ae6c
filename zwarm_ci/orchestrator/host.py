"""Starts the CLI that plans and delegates, with our tools and no others, and has it go on until the run has come to its end.

It holds no key, sees no file, and its word ends nothing: a turn that ends before `exit` was accepted is gone on with, natively.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Protocol

from zwarm_ci import proc, staffing
from zwarm_ci.budget import Ledger
from zwarm_ci.errors import BlockedError, ConfigError, InterruptedRunError, LimitError
from zwarm_ci.executors.base import Order, Report, Workbench
from zwarm_ci.executors.trajectory import read_event, text_at
from zwarm_ci.orchestrator import prompts, toolspec
from zwarm_ci.orchestrator.attendant import Attendant
from zwarm_ci.orchestrator.opinion import asker
from zwarm_ci.orchestrator.planner import NAME, Planner
from zwarm_ci.orchestrator.relay import Listener
from zwarm_ci.orchestrator.seat import MARGIN, bounds, conduct, rung_of, tools
from zwarm_ci.orchestrator.tools import Toolset
from zwarm_ci.orchestrator.watchers.base import Step
from zwarm_ci.pipeline import Finished
from zwarm_ci.proc import Halt
from zwarm_ci.selection import Request
from zwarm_ci.stop import STOP
from zwarm_ci.task import Task
from zwarm_ci.till import Till

_SOCKET = "tools"
_IDLE = 2  # turns in a row without a call of a tool; a third would be no other
_OUTAGES = 3  # turns in a row that the provider cut off before a call of a tool
_PAUSE = 15.0  # seconds before a provider that is out is asked again, where it does not say
_DAY = 24 * 3600.0  # of one turn, where the run has no limit of time


class Watch(Protocol):
    """Who is told how a run goes; see `crew.Watch`."""

    def begin(self, ledger: Ledger) -> None: ...
    def stage(self, text: str) -> None: ...
    def ask(self, question: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Plan:
    """An `orchestrate` as it was asked for.

    Attributes:
        request: whose `words` are the task. resume: name of the run that goes on ("" = a new one); of the request its directory, means
            and sets count then, and its `words` are what the user says to the host, e.g. in answer to its question.
        on_step: called after each call of a tool, before its answer leaves.
    """

    request: Request
    resume: str = ""
    on_step: Callable[[Step], None] = lambda _: None


def orchestrate(plan: Plan, watch: Watch) -> Finished:
    """Have a task planned, delegated, verified and delivered.

    Raises:
        UsageError, BlockedError: before there was a run to make a record of.
    """
    request, answered = plan.request, _Once(watch.ask)
    with proc.stoppable():
        if plan.resume:
            toolset = Toolset.resume(
                request.directory, plan.resume, means=request.means, sets=request.sets, ask=answered, tell=watch.stage
            )
        else:
            toolset = Toolset.begin(request, ask=answered, tell=watch.stage)
        with contextlib.ExitStack() as end:
            end.callback(toolset.close)
            words = request.words if plan.resume else ""
            try:
                host = Host(toolset, ask=answered, tell=watch.stage, on_step=plan.on_step, words=words)
            except (ConfigError, BlockedError):
                end.close()
                if not plan.resume:
                    toolset.abandon()
                raise
            watch.begin(toolset.instance.facts.ledger)
            toolset.prepare()
            return _to_its_end(toolset, host, again=bool(plan.resume))


def _to_its_end(toolset: Toolset, host: Host, *, again: bool) -> Finished:
    """The record, however the run ends."""
    stopped = blocked = ""
    try:
        with Listener(toolset.call, host.socket):
            host.play(again=again)
    except InterruptedRunError as error:
        STOP.clear()  # sessions are to be ended and the record written; a second signal ends that too
        return toolset.finish(interrupted=error.code, host=host.planner.attempts)
    except LimitError as error:
        stopped = error.line
    except BlockedError as error:
        blocked = error.line
    state = toolset.state
    toolset.instance.facts.notes += host.notes
    if state.halted and not state.question and not state.exited:
        resume = f"; go on with: zwarm-ci orchestrate --resume {toolset.run}" if state.resumable else ""
        stopped = f"{state.halted}{resume}"
    host.close()
    leave = state.resumable and not state.question
    return toolset.finish(stopped=stopped, blocked=blocked, leave=leave, host=host.planner.attempts)


class _Once:
    """Asks a person once; the answer holds for host and sessions alike."""

    def __init__(self, ask: Callable[[str], bool]) -> None:
        self._ask = ask
        self._answer: bool | None = None
        self._lock = threading.Lock()

    def __call__(self, question: str) -> bool:
        with self._lock:
            if self._answer is None:
                self._answer = self._ask(question)
            return self._answer


class Host:
    """The planning CLI of one run.

    Raises:
        ConfigError, BlockedError: it cannot be started here, or nobody can pay for it.
    """

    def __init__(
        self,
        toolset: Toolset,
        *,
        ask: Callable[[str], bool],
        tell: Callable[[str], None],
        on_step: Callable[[Step], None] = lambda _: None,
        words: str = "",
        part: prompts.Part = "orchestrator",
    ) -> None:
        self._toolset, self._tell, self._on_step, self._words, self._part = toolset, tell, on_step, words, part
        settings = toolset.settings
        self.rung = rung_of(toolset)
        metered = staffing.gateway_for(toolset.gateway, self.rung.executor.name)
        state = toolset.folder.parent.parent
        self.planner = Planner(toolset, self.rung, toolset.gateway if metered else None)
        before = {NAME: Decimal(repr(self.planner.spent()[0])), "sessions": Decimal(repr(toolset.money().usd))}
        self._till = Till(
            staffing.purse(settings, state, before), settings.registry(), toolset.gateway, ask,
            free=toolset.instance.request.means.replay is not None,
        )  # fmt: skip
        self._halt = Halt()
        toolset.attend(
            Attendant(
                toolset, on_step=self._stepped, on_end=lambda: self._halt.set("the run is over"), spent=self.planner.spent,
                ask=asker(toolset),
            )
        )  # fmt: skip
        self._seat, self._scratch = toolset.place / "seat", toolset.place / "host"
        self._folder = toolset.folder / "orchestrator" / NAME

    @property
    def socket(self) -> Path:
        """Where the tools are served to what the CLI starts."""
        return self._toolset.place / _SOCKET

    def play(self, *, again: bool) -> None:
        """Turn after turn, until `exit` was accepted, a watcher or a limit ended the run, or somebody is to be asked.

        Raises:
            LimitError: nothing is left, or the host does not get on. BlockedError: the provider will not have us.
            InterruptedRunError: the run was stopped; nothing of the host is alive.
        """
        if self._over():
            return
        idle = outages = 0
        message = self._opening(again=again)
        while True:
            before = self._toolset.state.steps
            report = self._turn(message)
            if self._over():
                self._settle()
                return
            stirred = self._toolset.state.steps > before
            idle = 0 if stirred else idle + 1
            outages = outages + 1 if report.trouble in {"outage", "rate_limit"} and not stirred else 0
            self._judge(report, idle, outages)
            message = self._next(report)

    def say(self, message: str) -> Report:
        """One turn with these words of a person; its answer is the report's message.

        Raises:
            LimitError, BlockedError: it may not begin. InterruptedRunError: the run was stopped.
        """
        return self._turn(message)

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines for the report: who planned, by which wording of the prompt, and what there is to say of the money."""
        return (f"planned by {self.rung.name}, prompt {self._part} {prompts.version(self._part)}", *self._till.notes)

    @property
    def over(self) -> bool:
        """Whether there is nothing left to do for it: `exit` was accepted, the run was ended, or somebody is asked."""
        return self._over()

    def close(self) -> None:
        """Its token opens nothing any more."""
        self._till.shut(self.rung, NAME)

    def _settle(self) -> None:
        """Say of the last turn why it was: we ended it."""
        state = self._toolset.state
        if state.exited:
            self.planner.because(f"exit was accepted: {state.summary}", "already_green")
        else:
            self.planner.because(state.question or state.halted, "blocked" if state.question else None)

    def _over(self) -> bool:
        state = self._toolset.state
        return state.exited or bool(state.halted) or bool(state.question)

    def _judge(self, report: Report, idle: int, outages: int) -> None:
        """Whether a host whose turn ended too early may go on."""
        if report.trouble == "budget":
            raise LimitError(report.message)
        self._toolset.instance.facts.ledger.require()
        if report.trouble == "credentials":
            raise BlockedError(f"{self.rung.name}: {report.message}", remedy="see `zwarm-ci doctor`")
        if outages >= _OUTAGES:
            raise BlockedError(f"{self.rung.name}: its provider is out: {report.message}", remedy=self._resume())
        if outages:
            self._tell(f"host: {report.message}; it is asked again")
            STOP.wait(report.retry_after or _PAUSE)
        elif idle >= _IDLE:
            self.planner.because(f"it ended {idle} turns in a row without a call of a tool: {report.message}")
            raise LimitError(f"the host does not get on: {report.message}", remedy=self._resume())

    def _resume(self) -> str:
        return f"zwarm-ci orchestrate --resume {self._toolset.run}"

    def _opening(self, *, again: bool) -> str:
        on = prompts.again("a new process goes on with it", self._words)
        if again and self.planner.native:
            return on
        first = prompts.first(self._toolset.state.asked.words, datetime.now(UTC).date(), bounds(self._toolset))
        return f"{first}\n{on}" if again else first

    def _next(self, report: Report) -> str:
        """What a host is told that stopped too early; one whose memory is lost begins anew, the tools know the rest."""
        if not self.planner.native:
            return self._opening(again=True)
        if report.state == "completed":
            self._tell("host: ended its turn; the run has not ended")
            return prompts.early("; ".join(self._toolset.missing()) or "nothing but a call of `exit`")
        self._tell(f"host: {report.state.replace('_', ' ')}: {report.message}")
        return prompts.again(report.message or report.state)

    def _turn(self, message: str) -> Report:
        planner, rung = self.planner, self.rung
        if why := self._till.allows(rung, NAME):
            raise BlockedError(f"{rung.name}: {why}")
        order = self._order(message)
        planner.begin()
        report = Report("interrupted", "it was cut off", lower_bound=True)
        try:
            with self._recording(order.turn) as hear:
                report = rung.executor.turn(order, hear)
            if order.native and report.state == "failed" and not report.trouble and not report.usage.total:
                report = replace(report, native="")  # its conversation cannot be gone on with
        finally:
            planner.end(self._till.account(rung, NAME, NAME, report))
        return report

    def _order(self, message: str) -> Order:
        toolset, settings, planner = self._toolset, self._toolset.settings, self.planner
        for folder in (self._seat, self._scratch, self._folder):
            folder.mkdir(parents=True, exist_ok=True)
        left = toolset.instance.facts.ledger.require()
        task = Task(NAME, "plan and delegate", "", "", (), message)
        bench = Workbench(toolset.instance.private.path, toolset.instance.user.top, toolset.state.base, ())
        endpoint = self._till.open(self.rung, NAME, NAME, (self._seat, self._folder))
        return Order(
            NAME, planner.turns + 1, self.rung.model, task, message, self._seat, bench, self._folder, self._scratch, min(left, _DAY),
            max(settings.executor.silence, toolspec.LONGEST_SLEEP + MARGIN), native=planner.native, total=planner.total, endpoint=endpoint,
            conduct=conduct(toolset, self._part), budget_usd=self._till.room(NAME), halt=self._halt, tools=tools(toolset, self.socket),
        )  # fmt: skip

    @contextlib.contextmanager
    def _recording(self, turn: int) -> Iterator[Callable[[bytes], None]]:
        """Each raw event line of a turn, kept untouched; the conversation's name is noted as soon as it is said."""
        with (self._folder / f"turn_{turn}.jsonl").open("ab") as file:

            def hear(line: bytes) -> None:
                file.write(line + b"\n")
                file.flush()
                event = read_event(line)
                self.planner.named(text_at(event, "thread_id") or text_at(event, "session_id"))

            yield hear

    def _stepped(self, step: Step) -> None:
        self.planner.save()
        self._on_step(step)
