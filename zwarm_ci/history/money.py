"""What it all cost: by day from the ledger that every call is booked in, by model from the sessions, by command from the runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

from zwarm_ci import daybook, staffing
from zwarm_ci.daybook import UnusableError
from zwarm_ci.history.runs import Run
from zwarm_ci.pricing import total
from zwarm_ci.sessions import Meta
from zwarm_ci.task import Usage


@dataclass(frozen=True, slots=True)
class ByModel:
    """Sessions of one executor and model. `lower_bound`: more may have been used than is known."""

    executor: str
    model: str
    sessions: int = 0
    turns: int = 0
    usage: Usage = Usage()
    cost_usd: Decimal = Decimal(0)
    unpriced_tokens: int = 0
    lower_bound: bool = False


@dataclass(frozen=True, slots=True)
class ByCommand:
    """Runs of one command."""

    command: str
    runs: int
    tasks: int
    solved: int
    cost_usd: float

    @property
    def usd_per_solved(self) -> float | None:
        """Dollars for each task that was solved; None = none was."""
        return self.cost_usd / self.solved if self.solved else None


@dataclass(frozen=True, slots=True)
class Cost:
    """Dollars by UTC day, newest first, of all that was booked; by model and by command of what is still on disk.

    `trouble`: why what was spent by day is not known; "" = it is.
    """

    days: tuple[tuple[date, Decimal], ...]
    models: tuple[ByModel, ...]
    commands: tuple[ByCommand, ...]
    trouble: str = ""

    def last(self, days: int, today: date | None = None) -> Decimal:
        """Dollars of the last so many days, today included."""
        today = today or datetime.now(UTC).date()
        return sum((usd for day, usd in self.days if 0 <= (today - day).days < days), Decimal(0))


def cost(state: Path, runs: Sequence[Run], sessions: Sequence[Meta]) -> Cost:
    """What was spent below a state folder."""
    days, trouble = _days(staffing.day_file(state))
    return Cost(days, _by_model(sessions), _by_command(runs), trouble)


def _days(file: Path) -> tuple[tuple[tuple[date, Decimal], ...], str]:
    if not file.exists():
        return (), ""
    try:
        with daybook.opened(file) as page:
            return tuple((date.fromisoformat(day), page.days[day]) for day in sorted(page.days, reverse=True)), ""
    except UnusableError as error:
        return (), error.line


def _by_model(sessions: Iterable[Meta]) -> tuple[ByModel, ...]:
    found: dict[tuple[str, str], ByModel] = {}
    for meta in sessions:
        key = meta.executor, meta.model
        one = found.get(key, ByModel(*key))
        found[key] = replace(
            one,
            sessions=one.sessions + 1,
            turns=one.turns + meta.turn,
            usage=one.usage + meta.usage,
            cost_usd=one.cost_usd + meta.cost_usd,
            unpriced_tokens=one.unpriced_tokens + meta.unpriced_tokens,
            lower_bound=one.lower_bound or meta.lower_bound,
        )
    return tuple(sorted(found.values(), key=lambda m: (-m.cost_usd, m.executor, m.model)))


def _by_command(runs: Iterable[Run]) -> tuple[ByCommand, ...]:
    groups: dict[str, list[Run]] = {}
    for run in runs:
        if run.command:
            groups.setdefault(run.command, []).append(run)
    return tuple(
        ByCommand(name, len(of), sum(r.tasks for r in of), sum(r.solved for r in of), total(r.cost_usd for r in of))
        for name, of in sorted(groups.items())
    )
