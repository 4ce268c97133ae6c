"""The toolset: every call checked, counted, journaled, answered with success or a reason, and looked at by whoever attends."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from zwarm_ci import site as places
from zwarm_ci import staffing
from zwarm_ci.config import Settings
from zwarm_ci.errors import InterruptedRunError, LimitError, RefusedError, UsageError, ZwarmError
from zwarm_ci.gateway.client import Gateway
from zwarm_ci.orchestrator import finish as ending
from zwarm_ci.orchestrator import instance as instances
from zwarm_ci.orchestrator import state as states
from zwarm_ci.orchestrator import toolspec
from zwarm_ci.orchestrator.bench import Bench
from zwarm_ci.orchestrator.desk import Answer, Desk, shown
from zwarm_ci.orchestrator.instance import Instance
from zwarm_ci.orchestrator.lost import Lost
from zwarm_ci.orchestrator.state import Call, State
from zwarm_ci.orchestrator.verdicts import Verdicts
from zwarm_ci.orchestrator.views import Views
from zwarm_ci.orchestrator.work import Sessions
from zwarm_ci.pipeline import Finished
from zwarm_ci.selection import Request
from zwarm_ci.sessions import Meta, place, watch
from zwarm_ci.sessions.place import Changed
from zwarm_ci.staffing import Means
from zwarm_ci.verdict import Attempt

_KEPT = 4000  # characters of a call that the journal keeps
#: What may still be asked when no work is done any more.
_ALWAYS = frozenset({"status"})


class Attendant(Protocol):
    """Who looks over the shoulder of whoever calls."""

    def before(self, call: Call) -> str:
        """Why this call is refused; "" = it may go on."""
        ...

    def after(self, call: Call, answer: Mapping[str, Any]) -> Sequence[str]:
        """Lines that ride on the answer."""
        ...


@dataclass(frozen=True, slots=True)
class Money:
    """What all sessions used so far: US dollars, tokens, and tokens whose price nobody knows."""

    usd: float
    tokens: int
    unpriced_tokens: int


class Toolset:
    """The tools of one run, served by this process. Safe to use from several threads.

    `max_steps`: calls over the whole run; 0 = no limit. `concludes`: `exit` writes the run's record at once, since nobody does later.
    """

    def __init__(
        self,
        run: Instance,
        *,
        ask: Callable[[str], bool] | None = None,
        attendant: Attendant | None = None,
        max_steps: int = 0,
        parallel: int = 0,
        concludes: bool = False,
        ceiling: float = toolspec.CEILING,
        person: Callable[[str], str] | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._run, self._attendant, self._max_steps, self._concludes = run, attendant, max_steps, concludes
        at_once = parallel or run.settings.orchestrator.parallel_delegations
        self.gateway = _gateway(run)
        self._desk = Desk(run, Bench(run, tell), ask or (lambda _: True), self.gateway, at_once, ceiling, person)
        self._sessions, self._verdicts = Sessions(self._desk), Verdicts(self._desk)
        self._views = Views(self._desk, max_steps)
        self._lock = threading.Lock()
        self._lost = Lost(self._desk, self._sessions)
        self._lost.adopt()
        self._tools: dict[str, Callable[[Any, Call], Answer]] = {
            "delegate": self._sessions.delegate,
            "converse": lambda args, _: self._sessions.converse(args),
            "peek_session": lambda args, _: self._sessions.peek_session(args),
            "check_session": lambda args, _: self._sessions.check_session(args),
            "get_trajectory": lambda args, _: self._sessions.get_trajectory(args),
            "list_sessions": lambda args, _: self._sessions.list_sessions(args),
            "end_session": lambda args, _: self._sessions.end_session(args),
            "wait": lambda args, _: self._sessions.wait(args),
            "sleep": lambda args, _: self._sessions.sleep(args),
            "verify": lambda args, _: self._verdicts.verify(args),
            "accept": lambda args, _: self._verdicts.accept(args),
            "bash": lambda args, _: self._views.bash(args),
            "chat": lambda args, _: self._views.chat(args),
            "status": lambda _args, _: self._views.status(self.missing()),
            "exit": self._exit,
        }

    @classmethod
    def begin(cls, request: Request, **more: Any) -> Toolset:
        """The tools of a new run; `more` as for the class.

        Raises:
            UsageError, BlockedError: what was asked for cannot be.
        """
        return cls(instances.begin(request), **more)

    @classmethod
    def resume(
        cls, directory: Path, run: str, *, means: Means | None = None, sets: Sequence[str] = (), **more: Any
    ) -> Toolset:
        """The tools of a run that nobody serves any more: its name, a prefix of it, or `latest`. `sets` are further settings.

        Raises:
            UsageError: there is none, it has ended, or somebody serves it. BlockedError: what it needs is gone.
        """
        return cls(instances.resume(directory, run, means, sets), **more)

    @property
    def run(self) -> str:
        """The run's name."""
        return self._run.site.run

    @property
    def folder(self) -> Path:
        """What the run leaves."""
        return self._run.site.folder

    @property
    def place(self) -> Path:
        """Its folder outside the repository, which nobody else may enter; survives a kill."""
        return self._run.place

    @property
    def settings(self) -> Settings:
        """The settings of its base."""
        return self._run.settings

    @property
    def state(self) -> State:
        """What is known."""
        return self._run.state

    @property
    def instance(self) -> Instance:
        """The run itself."""
        return self._run

    def money(self) -> Money:
        """What sessions used."""
        return Money(*self._desk.money())

    def missing(self) -> list[str]:
        """What `exit` lacks as far as sessions go."""
        return self._verdicts.missing()

    def red(self) -> tuple[str, ...]:
        """Ids that are red on the base, as far as that is known by now."""
        return self._desk.red()

    def looked(self) -> bool:
        """Whether it is known by now what is red on the base."""
        return self._desk.bench.ready() is not None

    def metas(self) -> list[Meta]:
        """Every session that still has a record, in the order in which they began."""
        return [meta for _, meta in self._desk.metas()]

    def seconds(self) -> float:
        """Wall time of the run, that of earlier processes included."""
        return self._run.facts.elsewhere.wall + self._run.facts.ledger.elapsed()

    def attend(self, attendant: Attendant) -> None:
        """From now on `attendant` looks at every call."""
        self._attendant = attendant

    def changed(self, session_id: str) -> list[Changed]:
        """The files that a session has changed so far."""
        return place.changed(self.patch(session_id), self._run.user)

    def patch(self, session_id: str) -> bytes:
        """What a session has changed so far, as `git apply` takes it."""
        return place.patch(self._run.store, self._run.store.load(session_id), self._run.user)

    def note(self, key: str, value: Any) -> None:
        """Keep something of somebody else's with the run; `value` is what JSON can say."""
        self._run.book.change(lambda s: replace(s, notes={**s.notes, key: states.note(value)}))

    def noted(self, key: str) -> Any:
        """What was kept under a name; None = nothing."""
        text = self.state.notes.get(key)
        return None if text is None else json.loads(text)

    def halt(self, reason: str, *, resumable: bool) -> None:
        """From now on no tool works, until somebody goes on with the run."""
        self._desk.halt(reason, resumable=resumable)

    def call(self, tool: str, args: Mapping[str, Any]) -> Answer:
        """Call a tool; the answer has `success`, and `error` and `hint` where that is false.

        Raises:
            InterruptedRunError: this process was stopped.
        """
        call = self._opened(tool, args)
        try:
            answer = {"success": True, **self._answer(call, args)}
        except InterruptedRunError:
            raise
        except ZwarmError as error:
            answer = {"success": False, "error": shown(error.message, 1500), "hint": shown(error.remedy, 1500)}
        return self._closed(call, answer)

    def _opened(self, tool: str, args: Mapping[str, Any]) -> Call:
        """Count a call and write it down before anything happens."""
        given = json.dumps(args, ensure_ascii=True, sort_keys=True, default=str)
        with self._lock:
            call = Call(self.state.steps + 1, shown(tool, 40), given, instances.now())
            self._run.book.change(lambda s: s.with_call(call))
        self._run.site.journal.write("tool_called", step=call.step, tool=call.tool, args=shown(given)[:_KEPT])
        return call

    def _closed(self, call: Call, answer: Answer) -> Answer:
        said = "" if answer["success"] else str(answer["error"])
        done = replace(call, success=bool(answer["success"]), said=said)
        if self._attendant is not None and (lines := self._attendant.after(done, answer)):
            answer = {**answer, "watchers": list(lines)}
        spec = toolspec.TOOLS.get(call.tool)
        # Nothing hangs on how a look ended, and who waits is not to wait for a disk.
        self._run.book.change(lambda s: s.with_call(done), later=spec is not None and spec.reads)
        self._run.site.journal.write("tool_answered", step=call.step, tool=call.tool, success=done.success, error=said)
        return answer

    def _answer(self, call: Call, args: Mapping[str, Any]) -> Answer:
        given = toolspec.checked(call.tool, args)
        self._require(call)
        if (again := self._lost.repeated(call, given)) is not None:
            return again
        return self._tools[call.tool](given, call)

    def _require(self, call: Call) -> None:
        """Whether tools work at all."""
        state = self.state
        if call.tool in _ALWAYS:
            return
        if state.exited or state.concluded:
            raise RefusedError("the run has ended", remedy="nothing more is to be done")
        if state.halted:
            raise LimitError(f"the run was stopped: {state.halted}", remedy="nothing more is to be done now")
        if self._max_steps and call.step > self._max_steps:
            raise LimitError(
                f"the limit of {self._max_steps} steps is reached", remedy="nothing more is to be done now"
            )
        self._run.facts.ledger.require()
        if self._attendant is not None and (why := self._attendant.before(call)):
            raise RefusedError(why, remedy="do something else")

    def _exit(self, args: toolspec.Exit, _: Call) -> Answer:
        answer = self._verdicts.exit(args)
        if answer.get("ended") and self._concludes:
            made = self.finish()
            answer |= {
                "branch": made.outcome.branch,
                "status": made.outcome.status,
                "report": str(made.folder / "summary.md"),
            }
        return answer

    def finish(
        self,
        *,
        interrupted: int = 0,
        stopped: str = "",
        blocked: str = "",
        host: Sequence[Attempt] = (),
        leave: bool = False,
    ) -> Finished:
        """End sessions that run, deliver what was accepted, write the record; see `orchestrator.finish.finish`.

        With `leave`, sessions go on: the run is to be gone on with.

        Raises:
            UsageError: that was done already. InterruptedRunError: this process was stopped meanwhile.
        """
        if self.state.concluded:
            raise UsageError(f"run {self.run} has its record already")
        for meta in () if leave else self._desk.live():
            with contextlib.suppress(UsageError):  # it has just ended by itself
                watch.kill(self._run.store, meta.id)
        self._desk.metas()
        if self.state.question and not blocked:
            blocked = self.state.halted
        return ending.finish(
            self._run, self._desk.bench, interrupted=interrupted, stopped=stopped, blocked=blocked, host=host
        )

    def prepare(self) -> None:
        """Begin to look at the base, in the background."""
        self._desk.bench.begin()

    def abandon(self) -> None:
        """Take the run back: nothing was done in it."""
        places.abandon(self._run.site)
        place.throw_away(self._run.place)

    def close(self) -> None:
        """Serve no more. Sessions go on, unless `finish` ended them; the run can be gone on with, unless it has come to its end."""
        self._desk.bench.close()
        self._run.save_clock()
        self._run.leave()
        if self.gateway is not None:
            self.gateway.leave()


def _gateway(run: Instance) -> Gateway | None:
    """The gateway of the run, serving with the run's limits; None = there are no keys for any."""
    found = staffing.gateway(run.settings, replaying=run.request.means.replay is not None, look=True)
    if found is not None and (found.providers or run.request.means.replay):
        staffing.serve(found, run.settings, run.site.folder.parent.parent, run.request.means, _spent(run))
    return found


def _spent(run: Instance) -> dict[str, Decimal]:
    """Dollars by task that earlier processes of the run spent; they count against its limits."""
    known, spent = set(run.store.ids()), {}
    for session in run.state.sessions:
        counted = session.totals[-1].cost_usd if session.totals else 0.0
        spent[session.id] = run.store.load(session.id).cost_usd if session.id in known else Decimal(repr(counted))
    host = json.loads(run.state.notes.get("host", "{}"))
    return {**spent, "host": Decimal(repr(float(host.get("cost_usd", 0.0))))}
