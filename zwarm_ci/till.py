"""What a run pays: the gateway's count where calls go through it, the CLIs' own figures where they use a login.

Limits are asked before a session begins; with the gateway also before each call, there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from zwarm_ci import pricing
from zwarm_ci.errors import ZwarmError
from zwarm_ci.executors.base import Executor, Report
from zwarm_ci.gateway.client import Gateway, Metered
from zwarm_ci.purse import Purse
from zwarm_ci.task import Endpoint, Usage

_NOTHING = Metered()
#: For the estimate alone: what a turn of a coding session of middle length uses.
_USUAL_TURN = Usage(input_tokens=15_000, cache_read_tokens=120_000, output_tokens=5_000)


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of the ladder: an executor and the model it is asked for ("" = its default). `paid`: its calls cost money."""

    executor: Executor
    model: str = ""
    paid: bool = False

    @property
    def name(self) -> str:
        """As the ladder names it."""
        return f"{self.executor.name}:{self.model}".rstrip(":")


def unpriced(rung: Rung, models: pricing.Registry) -> str:
    """Why a rung's cost cannot be limited: nobody knows its price; "" = somebody does."""
    if not rung.paid or pricing.cost(rung.model, Usage(1, 1, 1, 1), models) is not None:
        return ""
    name = rung.model or f"the default model of {rung.executor.name}"
    return f'the price of {name} is unknown, so no budget can be kept (give [models."{rung.model}"] its prices)'


class Till:
    """The money of one run. Safe to use from several threads.

    `ask` is called once, before the first paid session, with a line that says estimate and ceiling; False = nothing is paid for.
    `free`: it is a replay, which costs nothing.
    """

    def __init__(
        self,
        purse: Purse,
        models: pricing.Registry,
        gateway: Gateway | None = None,
        ask: Callable[[str], bool] | None = None,
        *,
        free: bool = False,
    ) -> None:
        self._purse, self._models, self._gateway, self._ask, self._free = purse, models, gateway, ask, free
        self._known: dict[str, Metered] = {}
        self._lock = threading.Lock()
        self._answer: bool | None = None
        self._excluded: dict[str, str] = {}
        self._said: list[str] = []
        self._gone = ""

    def allows(self, rung: Rung, task: str) -> str:
        """Why no session of this rung may begin for this task; "" = it may.

        Raises:
            LimitError: nothing is left to spend.
        """
        if why := self._excluded.get(rung.name, ""):
            return why
        if rung.paid and self._gone and self._metered(rung):
            return self._gone
        if not rung.paid or self._free:
            return ""
        if not self._asked(rung):
            return "paying was not agreed to"
        self._purse.require(task)
        return unpriced(rung, self._models)

    def exclude(self, rung: Rung, why: str) -> None:
        """No further session of this rung in this run: its provider will not have us."""
        self._excluded[rung.name] = why

    def open(self, rung: Rung, session: str, task: str, places: Sequence[Path]) -> Endpoint | None:
        """Where the calls of a session go, its folders known; None = to the CLI's own login."""
        if self._gateway is None or not self._metered(rung):
            return None
        if session not in self._known:  # its earlier turns were counted in another process, by a gateway that is shared
            self._known[session] = self._gateway.usage(session)
        return self._gateway.open(session, task=task, adapter=rung.executor.name, model=rung.model, places=places)

    def room(self, task: str) -> float | None:
        """Dollars that a CLI which limits itself may spend; None = no limit."""
        room = self._purse.room(task)
        return float(room) if room.is_finite() else None

    def account(self, rung: Rung, session: str, task: str, report: Report) -> Report:
        """The report of a turn with what it used and cost, by the count that is believed."""
        if not rung.paid:
            return report
        metered = self._gateway is not None and self._metered(rung)
        counted = self._by_gateway(session, report) if metered else self._by_cli(rung, task, report)
        self._compare(rung, counted)
        return counted

    def shut(self, rung: Rung, session: str) -> None:
        """The session is over: its token opens nothing any more."""
        if self._gateway is not None and self._metered(rung) and not self._gone:
            try:
                self._gateway.shut(session)
            except ZwarmError as error:
                self._lost(error)

    def _lost(self, error: ZwarmError) -> None:
        """The gateway has ended under us: no paid session begins any more, what was verified is still delivered."""
        self._gone = error.line
        self._said.append(f"{error.line}; what is said of usage and cost is a lower bound")

    @property
    def notes(self) -> tuple[str, ...]:
        """What the report should say of the money."""
        counted: tuple[str, ...] = ()
        if self._gateway is not None and not self._gone:
            try:
                counted = self._gateway.totals().notes
            except ZwarmError as error:
                self._lost(error)
        return tuple(dict.fromkeys((*self._said, *self._purse.notes, *counted)))

    def close(self) -> None:
        """End the gateway."""
        if self._gateway is not None:
            self._gateway.close()

    def _metered(self, rung: Rung) -> bool:
        return self._gateway is not None and rung.executor.name in self._gateway.providers

    def _asked(self, rung: Rung) -> bool:
        with self._lock:
            if self._answer is None:
                self._answer = self._ask is None or self._ask(self.question(rung))
            return self._answer

    def question(self, rung: Rung) -> str:
        """What is asked before the first paid session: what a turn usually costs, and what may be spent at most."""
        usual = pricing.cost(rung.model, _USUAL_TURN, self._models)
        said = f"about {pricing.format_cost(usual)} a turn ({_USUAL_TURN.total // 1000}k tokens, most of them cached)"
        limits, today = self._purse.limits, pricing.format_cost(self._purse.spent_today())
        figures = (
            (limits.run, "in this run"),
            (limits.task, "for each task"),
            (limits.day, f"today, {today} of it spent"),
        )
        most = [f"{pricing.format_cost(limit)} {what}" for limit, what in figures if limit is not None]
        return f"{rung.name} costs {said}; at most {', '.join(most) or 'without a limit'}. Go on?"

    def _by_gateway(self, session: str, report: Report) -> Report:
        assert self._gateway is not None
        before = self._known.get(session, _NOTHING)
        try:
            now = self._gateway.usage(session)
        except ZwarmError as error:
            self._lost(error)
            return replace(report, cost_usd=report.provider_cost_usd, lower_bound=True)
        self._known[session] = now
        earlier = dict(before.usage)
        models = tuple((model, used - earlier.get(model, Usage())) for model, used in now.usage)
        unpriced = now.unpriced_tokens - before.unpriced_tokens
        trouble = "budget" if now.over > before.over else report.trouble
        if trouble == "budget" and now.over == before.over:
            trouble = ""  # the gateway refused something that nobody may ask for
        if trouble == "outage" and now.calls == before.calls and now.denied == before.denied:
            trouble = ""  # no provider was asked anything: the silence is the CLI's own
        return replace(
            report,
            usage=sum((used for _, used in models), Usage()),
            models=models,
            cost_usd=None if unpriced else float(now.cost_usd - before.cost_usd),
            lower_bound=now.unmetered > before.unmetered,
            trouble=trouble,
            retry_after=report.retry_after or now.retry_after,
            message=now.denial if trouble == "budget" and report.state != "completed" else report.message,
        )

    def _by_cli(self, rung: Rung, task: str, report: Report) -> Report:
        used = report.models or (((rung.model, report.usage),) if report.usage.total else ())
        costs = [(model or rung.model, tokens) for model, tokens in used if tokens.total]
        priced = [pricing.cost(model, tokens, self._models, summed=True) for model, tokens in costs]
        for (_, tokens), cost in zip(costs, priced, strict=True):
            if cost is None:
                self._purse.unpriced(task, tokens.total)
            else:
                self._purse.book(task, cost)
        known = sum((c for c in priced if c is not None), Decimal(0))
        return replace(report, cost_usd=None if None in priced else float(known))

    def _compare(self, rung: Rung, report: Report) -> None:
        ours, theirs = report.cost_usd, report.provider_cost_usd
        if ours is None or theirs is None or report.lower_bound or not ours:
            return
        if pricing.differs(Decimal(repr(ours)), theirs):
            said = (
                f"{rung.executor.name} counts {pricing.format_cost(theirs)} where we count {pricing.format_cost(ours)}"
            )
            names = [name for name, used in report.models if name and used.total] or [rung.model]
            sources = ", ".join(f"{name}: {pricing.price_source(name, self._models)}" for name in names)
            self._said.append(f"{said}; ours holds ({sources})")
