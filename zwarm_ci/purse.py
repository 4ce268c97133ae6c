"""The money ledger: what a run, its tasks and the day have spent, and what calls under way may still spend. Asked before each call.

The day's part is a file that all runs below one state folder share (`daybook`). Money is `Decimal` US dollars, days are UTC.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from zwarm_ci.daybook import Page, UnusableError, opened
from zwarm_ci.errors import LimitError
from zwarm_ci.pricing import format_cost

T = TypeVar("T")
_NOTHING = Decimal(0)
UNLIMITED = Decimal("Infinity")


@dataclass(frozen=True, slots=True)
class Limits:
    """US dollars for the run, each of its tasks and the day; None = no limit, 0 = nothing may be spent."""

    run: Decimal | None = None
    task: Decimal | None = None
    day: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """Money set aside for one call that has not ended."""

    task: str
    amount: Decimal
    day: date
    key: str = field(default_factory=lambda: secrets.token_hex(8))


@dataclass(frozen=True, slots=True)
class _Margin:
    """One limit and what counts against it."""

    limit: Decimal
    spent: Decimal
    held: Decimal
    span: str
    setting: str

    @property
    def left(self) -> Decimal:
        return max(_NOTHING, self.limit - self.spent - self.held)

    def error(self, wanted: Decimal) -> LimitError:
        held = f" and {format_cost(self.held)} is held for calls under way" if self.held else ""
        short = f", {format_cost(self.left)} is left and the next call may cost {format_cost(wanted)}" if wanted else ""
        said = f"the limit of {format_cost(self.limit)} {self.span} is reached: {format_cost(self.spent)} is spent{held}{short}"
        return LimitError(said, remedy=f"raise {self.setting}")


class Purse:
    """One ledger for everything that a run pays for. Safe in several threads; several processes may share `day_file`.

    A call is paid in two steps: `hold` sets aside the most that it can cost, or refuses; `settle` books what it did cost. So
    calls at once cannot overshoot together. Every call of a method may wait for a lock and for a disk: not for an event loop.

    `day_file` None = no day is kept; a limit of the day is then this run's alone. A day's ledger that cannot be used (garbage,
    no permission, full disk) refuses all holds where the day has a limit, and is only said (`notes`) where it has none.
    `spent`: dollars by task that were paid before, by a run that goes on. `unproven`: go on although tokens were used whose price nobody knows.
    """

    def __init__(
        self,
        limits: Limits,
        day_file: Path | None,
        *,
        today: Callable[[], date] = lambda: datetime.now(UTC).date(),
        unproven: bool = False,
        spent: Mapping[str, Decimal] = MappingProxyType({}),
    ) -> None:
        self.limits = limits
        self._day_file, self._today, self._unproven = day_file, today, unproven
        self._lock = threading.Lock()
        self._spent: dict[str, Decimal] = dict(spent)
        self._holds: dict[str, Hold] = {}
        self._unpriced = 0
        self._notes: list[str] = []

    @property
    def unpriced_tokens(self) -> int:
        """Tokens that were used and that nobody can put a price on."""
        return self._unpriced

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of these figures has to know, each once."""
        return tuple(self._notes)

    def spent(self, task: str | None = None) -> Decimal:
        """Dollars of the run, or of one task, without what is held."""
        with self._lock:
            return self._paid(task)

    def spent_today(self) -> Decimal:
        """Dollars of today over all runs that share the file, without what is held; this run's alone where there is no file to read."""
        with self._lock:
            return self._on_page(lambda page: self._paid_on(self._today(), page), needed=False)

    def room(self, task: str) -> Decimal:
        """Dollars that may still be set aside for `task`; `Infinity` without limits, never below 0.

        None is left where a day has a limit and its ledger cannot be used.
        """
        with self._lock:
            try:
                return self._on_page(lambda page: self._left(task, page))
            except UnusableError as error:
                self._say(error.line)
                return _NOTHING

    def require(self, task: str) -> Decimal:
        """Dollars left for `task`, before work whose cost is known only afterwards.

        Raises:
            LimitError: none are, or what was spent cannot be proven.
        """

        def look(page: Page | None) -> Decimal:
            tightest = self._tightest(task, page, self._today())
            if tightest and not tightest.left:
                raise tightest.error(_NOTHING)
            return tightest.left if tightest else UNLIMITED

        with self._lock:
            return self._guarded(look)

    def hold(self, task: str, amount: Decimal, *, least: Decimal | None = None) -> Hold:
        """Set `amount` aside for a call of `task`; with `least`, as much as there is room for between the two.

        Raises:
            LimitError: there is less room than that, or what was spent cannot be proven. It says which limit, what was
                spent, and which setting to raise.
            ValueError: an amount is not finite or below 0.
        """
        _sound(amount)
        wanted = amount if least is None else min(_sound(least), amount)

        def take(page: Page | None) -> Hold:
            day = self._today()
            tightest = self._tightest(task, page, day)
            if tightest and tightest.left < wanted:
                raise tightest.error(wanted)
            hold = Hold(task, min(amount, tightest.left) if tightest else amount, day)
            if page:
                page.hold(hold.key, hold.day, hold.amount)
            return hold

        with self._lock:
            hold = self._guarded(take)
            self._holds[hold.key] = hold
            return hold

    def settle(self, hold: Hold, cost: Decimal) -> None:
        """Book the real cost instead of the hold, on the hold's day; a cost above the hold is booked as it is.

        A hold is settled once: a second time books nothing.

        Raises:
            ValueError: the cost is not finite or below 0.
        """
        _sound(cost)
        with self._lock:
            if self._holds.pop(hold.key, None):
                self._pay(hold.task, cost, lambda page: page.settle(hold.key, hold.day, cost))

    def book(self, task: str, cost: Decimal) -> None:
        """Book a cost without a hold: a login's own figures, after the turn.

        Raises:
            ValueError: the cost is not finite or below 0.
        """
        _sound(cost)
        with self._lock:
            day = self._today()
            self._pay(task, cost, lambda page: page.book(day, cost))

    def unpriced(self, task: str, tokens: int) -> None:
        """Count tokens that nobody can put a price on. With limits, nothing more is held from then on, unless `unproven`."""
        with self._lock:
            self._unpriced += tokens
            if tokens:
                self._say(f"task {task} used tokens of unknown price: what was spent is a lower bound")

    def _guarded(self, work: Callable[[Page | None], T]) -> T:
        limited = any(limit is not None for limit in (self.limits.run, self.limits.task, self.limits.day))
        if limited and self._unpriced and not self._unproven:
            raise LimitError(
                f"the price of {self._unpriced} tokens is unknown, so it cannot be proven that a limit is kept",
                remedy='give the model\'s prices in [models."NAME"]',
            )
        try:
            return self._on_page(work)
        except UnusableError as error:
            raise LimitError(f"what was spent today is not known: {error.message}", remedy=error.remedy) from error

    def _on_page(self, work: Callable[[Page | None], T], *, needed: bool | None = None) -> T:
        """`work` with the day's ledger, locked; without it (None) where there is none, or none that can be used and no limit needs it."""
        if self._day_file is None:
            return work(None)
        try:
            with opened(self._day_file) as page:
                if page.orphans:
                    self._say(f"{format_cost(page.orphans)} held by a run that was killed counts as spent today")
                return work(page)
        except UnusableError as error:
            if self.limits.day is not None if needed is None else needed:
                raise
            self._say(error.line)
        return work(None)

    def _pay(self, task: str, cost: Decimal, change: Callable[[Page], None]) -> None:
        """Money is gone, whatever the disk says: booked here, and in the day's ledger as far as it can be."""
        self._spent[task] = self._spent.get(task, _NOTHING) + cost
        self._on_page(lambda page: change(page) if page else None, needed=False)

    def _paid(self, task: str | None) -> Decimal:
        return sum(self._spent.values(), _NOTHING) if task is None else self._spent.get(task, _NOTHING)

    def _paid_on(self, day: date, page: Page | None) -> Decimal:
        return page.spent(day) if page else self._paid(None)

    def _left(self, task: str, page: Page | None) -> Decimal:
        tightest = self._tightest(task, page, self._today())
        return tightest.left if tightest else UNLIMITED

    def _tightest(self, task: str, page: Page | None, day: date) -> _Margin | None:
        """The limit that leaves least; None without limits."""
        own = sum((hold.amount for hold in self._holds.values()), _NOTHING)
        tasks = sum((hold.amount for hold in self._holds.values() if hold.task == task), _NOTHING)
        today = page.held(day) if page else own
        margins = [
            _Margin(limit, spent, held, span, f"budget.{setting}")
            for limit, spent, held, span, setting in (
                (self.limits.run, self._paid(None), own, "a run", "usd"),
                (self.limits.task, self._paid(task), tasks, "a task", "task_usd"),
                (self.limits.day, self._paid_on(day, page), today, "a day", "day_usd"),
            )
            if limit is not None
        ]
        return min(margins, key=lambda margin: margin.left, default=None)

    def _say(self, note: str) -> None:
        if note not in self._notes:
            self._notes.append(note)


def _sound(amount: Decimal) -> Decimal:
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"not an amount of money: {amount}")
    return amount
