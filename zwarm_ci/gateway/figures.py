"""What the gateway tells the run, and the JSON lines between them. Money is `Decimal` US dollars, written as text."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from zwarm_ci.errors import BlockedError, LimitError, UsageError, ZwarmError
from zwarm_ci.pricing import ModelOverride
from zwarm_ci.purse import Limits
from zwarm_ci.task import Usage

_NOTHING = Decimal(0)
_PRICES = ("input", "output", "cached", "cache_write")
_ERRORS: dict[str, type[ZwarmError]] = {c.slug: c for c in (BlockedError, LimitError, UsageError)}


@dataclass(frozen=True, slots=True)
class Metered:
    """What a session used so far, as the providers' answers said it.

    Attributes:
        calls: requests that went to the provider, side requests and token counts included. denied: those that we refused.
        usage: tokens by the model that answered, of the whole session.
        cost_usd: dollars at our prices; 0 for what was replayed.
        unpriced_tokens: those of models whose price is unknown.
        unmetered: calls whose answer broke off before it said its usage; an estimate of it is in `usage`.
        denial: our text of the last refusal, as the CLI got it.
        request_bytes: bodies as the CLI sent them, summed. replayed: nothing of it was paid for.
        retry_after: seconds that the provider asked to wait in its last answer; 0 = it did not.
        over: how many of the refusals were by a limit on money; others are requests that nobody may make.
    """

    calls: int = 0
    denied: int = 0
    usage: tuple[tuple[str, Usage], ...] = ()
    cost_usd: Decimal = _NOTHING
    unpriced_tokens: int = 0
    unmetered: int = 0
    denial: str = ""
    request_bytes: int = 0
    replayed: bool = False
    over: int = 0
    retry_after: float = 0.0

    @property
    def total(self) -> Usage:
        """Tokens of all models together."""
        return sum((used for _, used in self.usage), Usage())


@dataclass(frozen=True, slots=True)
class Totals:
    """All sessions of the run together; `spent_today` is over all runs that share the day's file. `notes` is for the report."""

    spent: Decimal = _NOTHING
    spent_today: Decimal = _NOTHING
    unpriced_tokens: int = 0
    calls: int = 0
    denied: int = 0
    unmetered: int = 0
    notes: tuple[str, ...] = ()


def line(value: dict[str, Any]) -> bytes:
    """One message."""
    return json.dumps(value, default=str).encode() + b"\n"


def data_of(value: Metered | Totals | Limits | ModelOverride) -> dict[str, Any]:
    """The fields of a dataclass, as JSON has them."""
    return dataclasses.asdict(value)


def metered(data: dict[str, Any]) -> Metered:
    """What `data_of` wrote."""
    usage = tuple((model, Usage(**used)) for model, used in data["usage"])
    return Metered(**{**data, "usage": usage, "cost_usd": Decimal(data["cost_usd"])})


def totals(data: dict[str, Any]) -> Totals:
    """What `data_of` wrote."""
    money = {name: Decimal(data[name]) for name in ("spent", "spent_today")}
    return Totals(**{**data, **money, "notes": tuple(data["notes"])})


def limits(data: dict[str, Any]) -> Limits:
    """What `data_of` wrote."""
    return Limits(**{name: None if value is None else Decimal(value) for name, value in data.items()})


def override(data: dict[str, Any]) -> ModelOverride:
    """What `data_of` wrote."""
    prices = {name: None if data[name] is None else Decimal(data[name]) for name in _PRICES}
    aliases = None if data["aliases"] is None else tuple(data["aliases"])
    return ModelOverride(**{**data, **prices, "aliases": aliases})


def fault(error: ZwarmError) -> dict[str, Any]:
    """An error as a message."""
    return {"error": error.message, "remedy": error.remedy, "slug": error.slug}


def raise_fault(answer: dict[str, Any]) -> None:
    """Raise the error that a message tells of, if it does."""
    if "error" in answer:
        raise _ERRORS.get(answer["slug"], ZwarmError)(answer["error"], remedy=answer["remedy"])
