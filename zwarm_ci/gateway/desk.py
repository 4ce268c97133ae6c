"""The sessions of a run, each with its token and its count; asks the purse before a call and books it afterwards.

Lives in the gateway's event loop. The purse may wait for a file of other processes, so it is asked in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, TypeVar

from zwarm_ci import pricing
from zwarm_ci.errors import LimitError
from zwarm_ci.gateway import admit
from zwarm_ci.gateway.admit import Ask, Price, RefusedError
from zwarm_ci.gateway.figures import Metered, Totals
from zwarm_ci.gateway.meter import Reading
from zwarm_ci.pricing import Registry
from zwarm_ci.purse import Hold, Purse
from zwarm_ci.task import Usage

T = TypeVar("T")
Count = Callable[[Ask], Awaitable[int | None]]

_NOTHING = Decimal(0)
_BYTES_A_TOKEN = 4  # of English and code, as both vendors' pages say; for estimates only, never for a bound
_ENDING = 5.0  # seconds that `usage` waits for calls that are about to be booked


@dataclass(slots=True, eq=False)
class Session:
    """One session's count. `digest` is that of the token that opens it now; b"" = none does."""

    name: str
    task: str
    adapter: str
    model: str
    places: tuple[str, ...] = ()
    digest: bytes = b""
    calls: int = 0
    denied: int = 0
    over: int = 0
    retry_after: float = 0.0
    denial: str = ""
    used: dict[str, Usage] = field(default_factory=dict)
    cost: Decimal = _NOTHING
    unpriced: int = 0
    unmetered: int = 0
    request_bytes: int = 0
    ratio: dict[str, float] = field(default_factory=dict)
    open: set[asyncio.Task[Any]] = field(default_factory=set)
    ending: set[asyncio.Task[None]] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class Ticket:
    """A call that was let through: what goes out, and the money that is set aside for it (None = it costs nothing)."""

    session: Session
    ask: Ask
    hold: Hold | None
    sent: bool = False


class Desk:
    """All sessions of one run.

    Args:
        free: what is called costs nothing (a replay).
    """

    def __init__(
        self, purse: Purse, models: Registry, *, unpriced_ok: bool, hosted_ok: bool, free: bool = False
    ) -> None:
        self._purse, self.models = purse, models
        self._unpriced_ok, self._hosted_ok, self._free = unpriced_ok, hosted_ok, free
        limits = purse.limits
        self._limited = not free and any(x is not None for x in (limits.run, limits.task, limits.day))
        self.sessions: dict[str, Session] = {}
        self._by_digest: dict[bytes, Session] = {}
        self._under_way = 0
        self._settled = asyncio.Event()
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "purse")

    def open(self, name: str, task: str, adapter: str, model: str, places: tuple[str, ...]) -> str:
        """The token of a session; an earlier one opens nothing any more."""
        session = self.sessions.setdefault(name, Session(name, task, adapter, model))
        self._by_digest.pop(session.digest, None)
        session.task, session.adapter, session.model, session.places = task, adapter, model, places
        token = f"zw-{secrets.token_urlsafe(32)}"
        session.digest = _digest(token)
        self._by_digest[session.digest] = session
        return token

    def session_of(self, token: str) -> Session | None:
        """Whose token it is. Found by its hash, so that how long it takes says nothing about another one's bytes."""
        digest = _digest(token)
        session = self._by_digest.get(digest)
        return session if session is not None and hmac.compare_digest(session.digest, digest) else None

    async def shut(self, name: str) -> None:
        """The session's token opens nothing any more; calls under way are cut off, booked and waited for."""
        session = self.sessions.get(name)
        if session is None:
            return
        self._by_digest.pop(session.digest, None)
        session.digest = b""
        for task in tuple(session.open):
            task.cancel()
        await _all(session.open)
        await _all(session.ending)

    async def end(self) -> None:
        """Shut every session."""
        for name in tuple(self.sessions):
            await self.shut(name)
        self._thread.shutdown(wait=False)  # it may wait for a file that another process holds

    def deny(self, session: Session | None, text: str, *, over: bool = False) -> str:
        """Count a refusal, `over` = by a limit; the text as the CLI gets it."""
        said = text if text.startswith("zwarm-ci: ") else f"zwarm-ci: {text}"
        if session is not None:
            session.denied += 1
            session.over += over
            session.denial = said
        return said

    async def admit(self, session: Session, ask: Ask, count: Count) -> Ticket:
        """Set money aside for a call at worst, and clamp its answer to what there is.

        Where there is too little only because other calls are under way, it waits until they are booked.

        Raises:
            RefusedError: the bound cannot be kept for this request, or its model has no price.
            LimitError: a limit is reached.
        """
        admit.inspect(ask, limited=self._limited, hosted_ok=self._hosted_ok)
        if self._free:
            return Ticket(session, ask, None)
        async with self._turn:  # in order, so that a large call is not overtaken for ever
            hold, ask = await self._hold(session, ask, count)
        self._under_way += 1
        return Ticket(session, ask, hold)

    def _price(self, ask: Ask) -> Price:
        price = admit.price_of(ask, self.models)
        if price is None and self._limited and not self._unpriced_ok:
            name = f'[models."{ask.model}"]'
            raise RefusedError(
                f"the price of {ask.model} is unknown, so no limit on its cost can be kept; give it in {name}"
            )
        return price or Price(_NOTHING, _NOTHING)

    async def _hold(self, session: Session, ask: Ask, count: Count) -> tuple[Hold, Ask]:
        asked = False
        while True:
            price, least = self._price(ask), min(ask.most, admit.FLOOR)
            enough = min(ask.most, admit.DECENT) if self._under_way else least
            self._settled.clear()
            try:
                hold = await self._held(session, price.cost(ask.most), price.cost(enough))
            except LimitError:
                room = await self._in_thread(lambda: self._free_of_holds(session.task))
                if room >= price.cost(least) and (self._under_way or enough > least):
                    if self._under_way:
                        await self._settled.wait()
                    continue
                if asked or (tokens := await count(ask)) is None:
                    raise
                asked, ask = True, admit.counted(ask, tokens)
            else:
                return hold, admit.clamp(ask, price.affords(hold.amount, ask.most))

    async def _held(self, session: Session, amount: Decimal, least: Decimal) -> Hold:
        """A hold that is given back where the client goes away while it is made."""
        work = asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: self._purse.hold(session.task, amount, least=least)
        )
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            self._spawn(session, self._give_back(work))
            raise

    async def _give_back(self, work: asyncio.Future[Hold]) -> None:
        with contextlib.suppress(LimitError):
            hold = await work
            await self._in_thread(lambda: self._purse.settle(hold, _NOTHING))

    def _free_of_holds(self, task: str) -> Decimal:
        """What there would be if every call under way cost nothing."""
        limits, purse = self._purse.limits, self._purse
        left = [limits.run - purse.spent()] if limits.run is not None else []
        left += [limits.task - purse.spent(task)] if limits.task is not None else []
        left += [limits.day - purse.spent_today()] if limits.day is not None else []
        return min(left, default=Decimal("Infinity"))

    def settle(self, ticket: Ticket, reading: Reading | None) -> None:
        """Book a call when it is over; `reading` None = nothing of it reached the provider, or it refused."""
        session = ticket.session
        model, usage, guessed = _verdict(ticket, reading)
        if usage.total:
            session.used[model] = session.used.get(model, Usage()) + usage
        if guessed:
            session.unmetered += 1
        elif reading is not None and usage.total:
            fed = usage.total - usage.output_tokens
            session.ratio[ticket.ask.model] = fed / max(1, len(ticket.ask.raw))
        hours = reading.hour_writes if reading else 0
        cost = (
            pricing.cost(model, usage, self.models, hour_writes=hours) if usage.total and not self._free else _NOTHING
        )
        if cost is None:
            session.unpriced += usage.total
        elif reading is not None and not self._free:
            cost += reading.searches * admit.SEARCH_PRICE
        session.cost += cost or _NOTHING
        if ticket.hold is not None:
            self._spawn(session, self._book(session.task, ticket.hold, cost, usage))

    async def _book(self, task: str, hold: Hold, cost: Decimal | None, usage: Usage) -> None:
        def book() -> None:
            if cost is None:  # nobody knows; the most that it can have been stays taken off
                self._purse.unpriced(task, usage.total)
            self._purse.settle(hold, hold.amount if cost is None else cost)

        try:
            await self._in_thread(book)
        finally:
            self._under_way -= 1
            self._settled.set()

    def _spawn(self, session: Session, work: Coroutine[Any, Any, None]) -> None:
        """Do something that goes on although the connection it belongs to is gone."""
        task = asyncio.get_running_loop().create_task(work)
        session.ending.add(task)
        task.add_done_callback(session.ending.discard)

    def later(self, session: Session, work: Coroutine[Any, Any, None]) -> None:
        """Something that belongs to the end of a call, such as keeping its exchange."""
        self._spawn(session, work)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def usage(self, name: str) -> Metered:
        """A session's count so far, calls that are at their end included."""
        session = self.sessions.get(name)
        if session is None:
            return Metered()
        await asyncio.sleep(0)  # connections that were closed before we were asked are told of it first
        await _all(session.ending, _ENDING)
        return Metered(
            session.calls, session.denied, tuple(sorted(session.used.items())), session.cost, session.unpriced, session.unmetered,
            session.denial, session.request_bytes, self._free, session.over, session.retry_after,
        )  # fmt: skip

    async def totals(self) -> Totals:
        """All sessions together."""
        sessions = self.sessions.values()
        for session in tuple(sessions):
            await _all(session.ending, _ENDING)
        return Totals(
            _NOTHING if self._free else self._purse.spent(),
            await self._in_thread(self._purse.spent_today),
            sum(s.unpriced for s in sessions), sum(s.calls for s in sessions), sum(s.denied for s in sessions),
            sum(s.unmetered for s in sessions), tuple(self._purse.notes),
        )  # fmt: skip


def _verdict(ticket: Ticket, reading: Reading | None) -> tuple[str, Usage, bool]:
    """Which model answered, what it used, and whether that is our estimate."""
    model = (reading.model if reading else "") or ticket.ask.model
    if reading is None or reading.known:
        return model, reading.usage if reading else Usage(), False
    if reading.failed and not reading.streamed and not reading.begun:
        return model, Usage(), False  # refused inside of the stream, before anything was made
    usage = reading.usage
    if not reading.begun:
        ratio = ticket.session.ratio.get(ticket.ask.model, 1 / _BYTES_A_TOKEN)
        usage = Usage(input_tokens=round(len(ticket.ask.raw) * ratio))
    guess = max(usage.output_tokens, -(-reading.streamed // _BYTES_A_TOKEN))
    return model, replace(usage, output_tokens=guess), True


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


async def _all(tasks: set[asyncio.Task[Any]] | set[asyncio.Task[None]], seconds: float | None = None) -> None:
    if tasks:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait(tuple(tasks), timeout=seconds)
