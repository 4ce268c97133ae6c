"""What is kept of the CLI that plans: its conversation's id, what its turns used. Counters go on where an earlier process left them."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

from zwarm_ci import codec, pricing
from zwarm_ci.executors.base import Report
from zwarm_ci.gateway.client import Gateway, Metered
from zwarm_ci.orchestrator.tools import Toolset
from zwarm_ci.scrub import one_line, redact
from zwarm_ci.task import Usage
from zwarm_ci.till import Rung
from zwarm_ci.verdict import Attempt, Status

#: Its session's and its task's name with the gateway, and its name in the record.
NAME = "host"
_ENDS: dict[str, Status] = {
    "completed": "already_green", "killed": "interrupted", "interrupted": "interrupted", "timed_out": "timed_out", "blocked": "blocked",
}  # fmt: skip


class Planner:
    """The planning CLI of one run, as its record and its limits see it. Safe to use from several threads.

    `native`, `total`: see `executors.base.Order`. `attempts`: its turns so far, the one under way left out.
    """

    def __init__(self, toolset: Toolset, rung: Rung, gateway: Gateway | None) -> None:
        self._toolset, self.rung, self._gateway = toolset, rung, gateway
        self._lock = threading.Lock()
        self._before = Metered()
        kept: dict[str, Any] = toolset.noted(NAME) or {}
        self.native: str = kept.get("native", "")
        self.total = codec.from_data(Usage, kept["total"]) if kept.get("total") else Usage()
        self.attempts = codec.from_data(tuple[Attempt, ...], kept.get("attempts", []))
        if under_way := kept.get(
            "turn"
        ):  # a turn that was cut off: what it had used by its last step is all that is known
            self.attempts = (*self.attempts, codec.from_data(Attempt, under_way))
        self._turn: Attempt | None = None

    @property
    def turns(self) -> int:
        """Turns begun."""
        return len(self.attempts) + (self._turn is not None)

    def begin(self) -> None:
        """A turn begins."""
        with self._lock:
            self._before = self._metered()
            model = self.rung.model
            self._turn = Attempt(NAME, self.turns + 1, self.rung.executor.name, model, "interrupted", "it was cut off")
        self.save()

    def named(self, native: str) -> None:
        """The CLI has said how its conversation is called."""
        if native and native != self.native:
            self.native = native
            self.save()

    def end(self, report: Report) -> Attempt:
        """A turn has ended; `report` has what it used by the count that is believed."""
        with self._lock:
            assert self._turn is not None
            attempt = replace(
                self._turn, verdict=_ENDS.get(report.state, "executor_failed"), reason=one_line(redact(report.message), 500),
                usage=report.usage, cost_usd=report.cost_usd, provider_cost_usd=report.provider_cost_usd,
                executor_seconds=round(report.seconds, 3), denials=report.denials,
            )  # fmt: skip
            self.attempts, self._turn = (*self.attempts, attempt), None
            self.native, self.total = report.native, report.total
        self.save()
        return attempt

    def because(self, reason: str, verdict: Status | None = None) -> None:
        """Why the last turn was the last one, and what it came to where that is not what it seemed."""
        with self._lock:
            if self.attempts:
                *earlier, last = self.attempts
                said = one_line(redact(reason), 500)
                self.attempts = (*earlier, replace(last, reason=said, verdict=verdict or last.verdict))
        self.save()

    def spent(self) -> tuple[float, int]:
        """Dollars and tokens of all turns, of the one under way as far as the gateway has counted."""
        now = self._under_way()
        made = (*self.attempts, *([now] if now else []))
        return pricing.total(a.cost_usd for a in made), sum(a.usage.total for a in made)

    def save(self) -> None:
        """Keep all of it with the run."""
        now = self._under_way()
        cost, tokens = self.spent()
        self._toolset.note(NAME, {
            "native": self.native, "total": codec.to_data(self.total), "attempts": codec.to_data(self.attempts),
            "turn": codec.to_data(now) if now else None, "cost_usd": cost, "tokens": tokens,
        })  # fmt: skip

    def _under_way(self) -> Attempt | None:
        turn = self._turn
        if turn is None or self._gateway is None:
            return turn
        now, before = self._metered(), self._before
        used = sum((u for _, u in now.usage), Usage()) - sum((u for _, u in before.usage), Usage())
        unpriced = now.unpriced_tokens > before.unpriced_tokens
        return replace(turn, usage=used, cost_usd=None if unpriced else float(now.cost_usd - before.cost_usd))

    def _metered(self) -> Metered:
        return self._gateway.usage(NAME) if self._gateway is not None else Metered()
