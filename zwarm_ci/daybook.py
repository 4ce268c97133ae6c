"""The file in which all runs below one state folder keep what a day has cost, and what their calls under way may still cost.

One JSON file, changed under a lock and written whole. A file that cannot be understood is never written over: it is the
only record of money spent, so whoever needs it has to look at it first. Money is `Decimal` US dollars, as text.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from zwarm_ci.errors import ZwarmError
from zwarm_ci.files import locked, write_atomic
from zwarm_ci.reap import start_time

SCHEMA = 1  # 1: first form; `days` {day: dollars}, `holds` and `lost` {key: {day, amount, owner}}
_KEPT = 400  # days that stay in the file: a year to look back on; a day is one line
_NOTHING = Decimal(0)


class UnusableError(ZwarmError):
    """The file cannot be read, understood or written; what was spent on a day is not known."""


@dataclass(frozen=True, slots=True)
class Held:
    """Money set aside by one process for one call."""

    day: str
    amount: Decimal
    owner: str


@dataclass(slots=True)
class Page:
    """The file's content while it is locked. `orphans`: dollars of holds whose process died, counted as spent just now."""

    days: dict[str, Decimal] = field(default_factory=dict)
    holds: dict[str, Held] = field(default_factory=dict)
    lost: dict[str, Held] = field(default_factory=dict)
    orphans: Decimal = _NOTHING
    changed: bool = False

    def spent(self, day: date) -> Decimal:
        """Dollars booked on `day`."""
        return self.days.get(day.isoformat(), _NOTHING)

    def held(self, day: date) -> Decimal:
        """Dollars set aside on `day`, by whomever."""
        return sum((h.amount for h in self.holds.values() if h.day == day.isoformat()), _NOTHING)

    def hold(self, key: str, day: date, amount: Decimal) -> None:
        """Set money aside."""
        self.holds[key] = Held(day.isoformat(), amount, owner())
        self.changed = True

    def settle(self, key: str, day: date, cost: Decimal) -> None:
        """Book the real cost; where somebody took us for dead and booked the hold, put that right."""
        self.holds.pop(key, None)
        lost = self.lost.pop(key, None)
        self.book(day, cost - (lost.amount if lost else _NOTHING))
        self.changed = True

    def book(self, day: date, cost: Decimal) -> None:
        """Add to a day."""
        if cost:
            self.days[day.isoformat()] = max(_NOTHING, self.spent(day) + cost)
            self.changed = True

    def sweep(self) -> None:
        """Count holds of dead processes as spent, for nobody knows better. A process that cannot be seen from here is not dead."""
        for key, held in list(self.holds.items()):
            if not _lives(held.owner):
                self.lost[key] = self.holds.pop(key)
                self.book(date.fromisoformat(held.day), held.amount)
                self.orphans += held.amount
                self.changed = True

    def text(self) -> str:
        """As JSON, with the newest days only."""
        days = sorted(self.days)[-_KEPT:]
        oldest = days[0] if days else ""
        return json.dumps(
            {
                "schema": SCHEMA,
                "days": {day: format(self.days[day], "f") for day in days},
                "holds": _texts(self.holds, oldest),
                "lost": _texts(self.lost, max(days, default="")),  # who comes back after midnight comes too late
            },
            indent=1,
        )


def _texts(holds: dict[str, Held], oldest: str) -> dict[str, dict[str, str]]:
    return {
        key: {"day": h.day, "amount": format(h.amount, "f"), "owner": h.owner}
        for key, h in holds.items()
        if h.day >= oldest
    }


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Page]:
    """The page, alone; what was changed on it is written when the block is left without an error.

    Raises:
        UnusableError: the file cannot be locked, read, understood or written. It is as it was.
    """
    remedy = f"look at {path}, then remove it: what was spent today counts from 0 again"
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(path.with_name(f".{path.name}.lock")))
            page = _read(path)
        except OSError as error:
            raise UnusableError(f"{path}: {error.strerror or error}", remedy="make it readable and writable") from error
        except (ValueError, KeyError, TypeError, AttributeError, InvalidOperation) as error:
            raise UnusableError(f"{path} is not a ledger of ours", remedy=remedy) from error
        page.sweep()
        yield page
        if page.changed:
            try:
                write_atomic(path, page.text())
            except OSError as error:
                said = f"{path} cannot be written: {error.strerror or error}"
                raise UnusableError(said, remedy="make room for it, and let it be written") from error


def _read(path: Path) -> Page:
    try:
        data = json.loads(path.read_bytes())
    except FileNotFoundError:
        return Page()
    if data["schema"] != SCHEMA:
        raise ValueError(data["schema"])
    days = {date.fromisoformat(day).isoformat(): _money(amount) for day, amount in data["days"].items()}
    return Page(days, _holds(data["holds"]), _holds(data["lost"]))


def _holds(data: dict[str, dict[str, Any]]) -> dict[str, Held]:
    return {
        key: Held(date.fromisoformat(h["day"]).isoformat(), _money(h["amount"]), _owner_text(h["owner"]))
        for key, h in data.items()
    }


def _money(text: Any) -> Decimal:
    """A finite amount of at least 0 that was written as text.

    Raises:
        TypeError, ValueError, InvalidOperation: it is something else.
    """
    if not isinstance(text, str):
        raise TypeError(text)
    amount = Decimal(text)
    if not amount.is_finite() or amount < 0:
        raise ValueError(text)
    return amount


def _owner_text(text: Any) -> str:
    if not isinstance(text, str):
        raise TypeError(text)
    _, pid, _ = text.split()
    int(pid)
    return text


def owner() -> str:
    """This process: the world that its number counts in, its number, its start time."""
    return f"{_world()} {os.getpid()} {start_time(os.getpid())}"


def _world() -> str:
    """This boot and this PID namespace; a process of another container is not dead because we cannot see it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{os.stat('/proc/self/ns/pid').st_ino}"  # noqa: PTH116 - follows the link to the namespace
    except OSError:
        return "unknown/0"


def _lives(who: str) -> bool:
    world, pid, start = who.split()
    if world != _world():
        return world.partition("/")[0] == _world().partition("/")[0]  # another boot's processes are all dead
    return start_time(int(pid)) == start
