"""Stands beside every call of a tool: has the watchers look at what there is to see, puts their words on the answer, ends what they end.

What it shows them is read from the run itself: the calls, the sessions on disk with their real differences, money, time.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from zwarm_ci import journal
from zwarm_ci.errors import InterruptedRunError, ZwarmError
from zwarm_ci.orchestrator.state import Call, Delegated
from zwarm_ci.orchestrator.tools import Toolset
from zwarm_ci.orchestrator.watchers import engaged
from zwarm_ci.orchestrator.watchers.base import Ask, FileChange, Meter, Outfit, Scene, Step, Worker
from zwarm_ci.orchestrator.watchers.differences import files_of
from zwarm_ci.orchestrator.watchers.panel import Panel
from zwarm_ci.sessions import Meta

_RECORD = "watchers.jsonl"  # beside state.json
_KEPT = 200  # steps that watchers see

Told = Callable[[Step], None]


class Attendant:
    """The watchers of a run, and who is told of each step. Safe to use from several threads: steps are looked at one after the other.

    `on_step` hears of each call when it is answered; `on_end` is called when nothing is left to be done for whoever plans: `exit` was
    accepted, a watcher or the limit of steps ended the run, or somebody is asked. Both before the answer leaves.
    `spent` gives dollars and tokens of whoever plans. `ask`: how a model is asked for its opinion; None = it cannot be.

    Raises:
        ConfigError: the settings name a watcher that there is not, or that cannot be made.
    """

    def __init__(
        self,
        toolset: Toolset,
        *,
        on_step: Told = lambda _: None,
        on_end: Callable[[], None] = lambda: None,
        spent: Callable[[], tuple[float, int]] = lambda: (0.0, 0),
        ask: Ask | None = None,
    ) -> None:
        self._toolset, self._on_step, self._on_end, self._spent = toolset, on_step, on_end, spent
        folder = toolset.folder / "orchestrator"
        watchers = engaged(Outfit(toolset.settings, ask))
        self._panel = Panel(watchers, folder / _RECORD, journal.key_of(toolset.run))
        self._steps = deque((_earlier(call) for call in toolset.state.calls), maxlen=_KEPT)
        self._seen: dict[str, tuple[int, tuple[FileChange, ...]]] = {}
        self._lock = threading.Lock()

    def before(self, call: Call) -> str:
        """Why a call is refused; "" = it is made."""
        limit = self._toolset.settings.watchers.budget.sessions
        if limit and call.tool == "delegate" and len(self._toolset.state.sessions) >= limit:
            return f"{limit} sessions were begun, and watchers.budget.sessions allows no more; go on with those that there are"
        return ""

    def after(self, call: Call, answer: Mapping[str, Any]) -> Sequence[str]:
        """The watchers' lines for an answer. A pause or abort halts the tools, then whoever plans.

        Raises:
            InterruptedRunError: the run was stopped.
        """
        step = Step(call.step, call.tool, call.args, bool(answer.get("success")), answer, call.at)
        with self._lock:
            self._steps.append(step)
            self._on_step(step)
            notes = () if self._over() else self._ruled(step)
            if self._over():
                self._on_end()
        return notes

    def _ruled(self, step: Step) -> tuple[str, ...]:
        try:
            scene = self._scene()
        except InterruptedRunError:
            raise
        except ZwarmError as error:  # who sees nothing guards nothing
            self._toolset.halt(f"the watchers cannot see what sessions did: {error.line}", resumable=True)
            return ()
        ruling = self._panel.look(scene)
        most = self._toolset.settings.orchestrator.max_steps
        if ruling.action is not None:
            self._toolset.halt(f"watcher {ruling.by}: {ruling.reason}", resumable=ruling.action == "pause")
        elif step.number >= most:
            self._toolset.halt(f"the limit of {most} steps is reached (raise --max-steps)", resumable=False)
        return ruling.notes

    def _over(self) -> bool:
        state = self._toolset.state
        return state.exited or bool(state.halted)

    def _scene(self) -> Scene:
        state = self._toolset.state
        metas = {meta.id: meta for meta in self._toolset.metas()}
        workers = tuple(self._worker(s, metas[s.id]) for s in state.sessions if s.id in metas)
        words = state.asked.words
        steps = tuple(self._steps)
        return Scene(words, steps, workers, _meters(self._toolset, self._spent(), steps[-1].number))

    def _worker(self, session: Delegated, meta: Meta) -> Worker:
        heard = session.last
        verdict = heard.status if heard is not None and heard.turn == meta.turn else ""
        closed = bool(meta.verdict or session.accepted)
        files = () if meta.live else self._files(meta)
        proven = None
        if self._toolset.looked():
            proven = session.expects != () and bool(self._toolset.red())
        return Worker(
            meta.id,
            meta.state,
            meta.turn,
            session.task,
            session.title,
            files,
            verdict,
            bool(session.accepted),
            closed,
            proven,
        )

    def _files(self, meta: Meta) -> tuple[FileChange, ...]:
        """What the session's last turn left; read once a turn."""
        known = self._seen.get(meta.id)
        if known is None or known[0] != meta.turn:
            paths = [file.path for file in self._toolset.changed(meta.id)]
            known = (meta.turn, files_of(self._toolset.patch(meta.id), paths))
            self._seen[meta.id] = known
        return known[1]


def _earlier(call: Call) -> Step:
    """A call of which the answer is not known any more."""
    return Step(call.step, call.tool, call.args, bool(call.success), {}, call.at)


def _meters(toolset: Toolset, spent: tuple[float, int], step: int) -> tuple[Meter, ...]:
    settings, state, money = toolset.settings, toolset.state, toolset.money()
    budget, more = settings.budget, settings.watchers.budget
    return (
        Meter("dollars", float(money.usd) + spent[0], budget.usd, "raise budget.usd"),
        Meter("tokens", money.tokens + spent[1], more.tokens, "raise watchers.budget.tokens"),
        Meter("minutes", toolset.seconds() / 60, budget.minutes, "raise budget.minutes"),
        Meter("steps", step, settings.orchestrator.max_steps, "raise --max-steps"),
        Meter("sessions", len(state.sessions), more.sessions, "raise watchers.budget.sessions", hard=False),
    )
