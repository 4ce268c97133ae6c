"""Model registry: names, aliases, adapter, dated prices; what tokens cost and how money is written.

Money is `Decimal` US dollars, prices are per million tokens. Buckets of `Usage` are disjoint, so no token is paid twice.
What the table lacks is looked up in the data that the `genai-prices` package carries, where it is installed; its updater is
never started, nothing here asks the network.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any, Literal, TypeVar

from zwarm_ci.task import Usage

T = TypeVar("T")
_MILLION = Decimal(1_000_000)
#: A prefix counts as a model's name only where one of these follows (`gpt-5.1-codex-2026-01`, not `gpt-5.1-codexfoo`).
_BOUNDARY = "-@:."
#: A version's day at the end of an id: `-2026-01-01` as OpenAI writes it, `-20250929` as Anthropic does.
_DATED = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{8})$")
#: Whose price list holds for an adapter's models, by its name in genai-prices.
_VENDORS = {"codex": "openai", "claude": "anthropic"}
_TOLERANCE = Decimal("0.01")  # two figures of one bill that are further apart than this share are worth a word
_WIDE = Context(prec=400)  # quantize refuses what has more digits than its context; 400 hold every float


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One model and what it costs.

    Attributes:
        canonical: the name that its adapter's program takes.
        adapter: `codex` or `claude`.
        input, output: dollars per million uncached input and output tokens.
        cached, cache_write: for tokens read from and written to the provider's cache; None = as `input`.
        as_of: the day on which these prices were known to hold; None = the user's own figures.
    """

    canonical: str
    adapter: str
    input: Decimal
    output: Decimal
    cached: Decimal | None = None
    cache_write: Decimal | None = None
    aliases: tuple[str, ...] = ()
    description: str = ""
    is_default: bool = False
    as_of: date | None = None


@dataclass(frozen=True, slots=True)
class ModelOverride:
    """A `[models."name"]` entry of the settings: a new model, or figures that replace an entry's own. None = as it was."""

    name: str
    adapter: str | None = None
    aliases: tuple[str, ...] | None = None
    input: Decimal | None = None
    output: Decimal | None = None
    cached: Decimal | None = None
    cache_write: Decimal | None = None


def _codex(name: str, prices: tuple[str, str, str], as_of: date, description: str, *aliases: str) -> ModelInfo:
    """An OpenAI model; `prices` = input, cached input, output. Cache writes cost what input costs."""
    fresh, cached, output = map(Decimal, prices)
    return ModelInfo(name, "codex", fresh, output, cached, None, aliases, description, as_of=as_of)


def _claude(name: str, prices: tuple[str, str], as_of: date, description: str, *aliases: str) -> ModelInfo:
    """An Anthropic model; `prices` = input, output. Cache reads cost 0.1 and five-minute writes 1.25 of input, as its price page says."""
    fresh, output = map(Decimal, prices)
    cached, write = fresh * Decimal("0.1"), fresh * Decimal("1.25")
    return ModelInfo(name, "claude", fresh, output, cached, write, aliases, description, as_of=as_of)


def _default(model: ModelInfo) -> ModelInfo:
    return replace(model, is_default=True)


_AUTUMN_25 = date(2025, 11, 24)
#: The table of the system that this one continues, then full ids whose price differs from what their prefix would say.
TABLE: tuple[ModelInfo, ...] = (
    _default(
        _codex(
            "gpt-5.1-codex-mini",
            ("0.25", "0.025", "2.00"),
            _AUTUMN_25,
            "Fast, cost-effective coding model",
            "codex-mini",
            "mini",
        )
    ),
    _codex(
        "gpt-5.1-codex",
        ("1.25", "0.125", "10.00"),
        _AUTUMN_25,
        "Full Codex model with extended reasoning",
        "codex",
        "codex-full",
    ),
    _codex(
        "gpt-5.1-codex-max",
        ("1.25", "0.125", "10.00"),
        _AUTUMN_25,
        "Maximum context Codex model",
        "codex-max",
        "max",
    ),
    _default(
        _claude(
            "sonnet",
            ("3.00", "15.00"),
            _AUTUMN_25,
            "Balanced Claude model for most tasks",
            "claude-sonnet",
            "claude-4-sonnet",
        )
    ),
    _claude("opus", ("15.00", "75.00"), date(2025, 8, 5), "Most capable Claude model", "claude-opus", "claude-4-opus"),
    # The figures of Claude 3 Haiku, hence the day of its launch; later ones have their own entry below.
    _claude(
        "haiku", ("0.25", "1.25"), date(2024, 3, 13), "Fast, lightweight Claude model", "claude-haiku", "claude-4-haiku"
    ),
    _codex("gpt-5-codex", ("1.25", "0.125", "10.00"), _AUTUMN_25, "Codex model before 5.1"),
    _codex("codex-mini-latest", ("1.50", "0.375", "6.00"), _AUTUMN_25, "The o4-mini of the first Codex CLI"),
    _claude("claude-opus-4-5", ("5.00", "25.00"), _AUTUMN_25, "Opus since 4.5, at a third of the price before"),
    _claude("claude-haiku-4-5", ("1.00", "5.00"), _AUTUMN_25, "Haiku 4.5"),
)


@dataclass(frozen=True, slots=True)
class Registry:
    """Models by name.

    Raises:
        ValueError: two models share a name or alias, or an adapter has not exactly one default.
    """

    models: tuple[ModelInfo, ...]
    _names: dict[str, ModelInfo] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names: dict[str, ModelInfo] = {}
        for model in self.models:
            for name in (model.canonical, *model.aliases):
                other = names.setdefault(_fold(name), model)
                if other is not model:
                    raise ValueError(f"`{name}` names both {other.canonical} and {model.canonical}")
        for adapter in sorted({m.adapter for m in self.models}):
            defaults = [m.canonical for m in self.models if m.adapter == adapter and m.is_default]
            if len(defaults) != 1:
                raise ValueError(
                    f"{adapter} needs exactly one default model, has {len(defaults)}: {', '.join(defaults)}"
                )
        object.__setattr__(self, "_names", names)

    def resolve(self, name: str, *, family: bool = True) -> ModelInfo | None:
        """The model that `name` means, see `resolve_model`; without `family` only one that is named so, a day at the end aside."""
        wanted = _fold(name)
        if wanted in self._names:
            return self._names[wanted]
        if not family:
            return self._names.get(_DATED.sub("", wanted))
        prefixes = [n for n in self._names if wanted.startswith(n) and wanted[len(n)] in _BOUNDARY]
        return self._names[max(prefixes, key=len)] if prefixes else None


def _fold(name: str) -> str:
    return name.strip().lower()


BUILT_IN = Registry(TABLE)


def registry(overrides: Iterable[ModelOverride]) -> Registry:
    """The built-in registry with the user's entries merged in; an entry's prices replace, its aliases add.

    Raises:
        ValueError: an alias is taken, or a new model lacks its adapter or a price (an unknown price is not a price of 0).
    """
    models = {m.canonical: m for m in BUILT_IN.models}
    for entry in overrides:
        same = next((m for m in models if _fold(m) == _fold(entry.name)), None)
        models[same or entry.name] = _replaced(models[same], entry) if same else _added(entry)
    return Registry(tuple(models.values()))


def _replaced(model: ModelInfo, entry: ModelOverride) -> ModelInfo:
    if entry.adapter is not None and entry.adapter != model.adapter:
        raise ValueError(f"{model.canonical} belongs to {model.adapter}, not to {entry.adapter}")
    prices = (entry.input, entry.output, entry.cached, entry.cache_write)
    return replace(
        model,
        aliases=(*model.aliases, *(a for a in entry.aliases or () if a not in model.aliases)),
        input=_given(entry.input, model.input),
        output=_given(entry.output, model.output),
        cached=_given(entry.cached, model.cached),
        cache_write=_given(entry.cache_write, model.cache_write),
        as_of=model.as_of if prices == (None,) * len(prices) else None,
    )


def _given(value: T | None, before: T) -> T:
    return before if value is None else value


def _added(entry: ModelOverride) -> ModelInfo:
    if entry.adapter not in list_adapters():
        raise ValueError(f"{entry.name} needs an adapter: one of {', '.join(list_adapters())}")
    if entry.input is None or entry.output is None:
        raise ValueError(f"{entry.name} needs both prices, input and output (per million tokens)")
    return ModelInfo(
        entry.name, entry.adapter, entry.input, entry.output, entry.cached, entry.cache_write, entry.aliases or ()
    )


def resolve_model(name: str, models: Registry = BUILT_IN) -> ModelInfo | None:
    """The model that `name` means: a name or alias in any case, else the longest one that is a prefix at a boundary.

    None = unknown, whose price is unknown too. A full id (`claude-sonnet-4-5`) stays what a program has to be started with.
    """
    return models.resolve(name)


def get_adapter_for_model(name: str, models: Registry = BUILT_IN) -> str | None:
    """The adapter whose program runs this model."""
    model = models.resolve(name)
    return model.adapter if model else None


def get_default_model(adapter: str, models: Registry = BUILT_IN) -> str | None:
    """The canonical name of an adapter's default model; None for an adapter that is unknown."""
    return next((m.canonical for m in models.models if m.adapter == adapter and m.is_default), None)


def list_models(adapter: str | None = None, models: Registry = BUILT_IN) -> list[ModelInfo]:
    """All models, or one adapter's, in the order of the table."""
    return [m for m in models.models if adapter in {None, m.adapter}]


def list_adapters(models: Registry = BUILT_IN) -> list[str]:
    """Adapters by name."""
    return sorted({m.adapter for m in models.models})


def cost(
    model: str, usage: Usage, models: Registry = BUILT_IN, *, summed: bool = False, hour_writes: int = 0
) -> Decimal | None:
    """What `usage` costs in dollars at the price of `model`, the one that answered; None where that price is unknown.

    Reasoning tokens are a part of the output and are paid there. `summed`: these are several calls, so a surcharge on long
    calls is left out, for their lengths are not known. `hour_writes`: how many of the tokens written to the cache are kept
    for an hour, where the answer says it (Anthropic's `ephemeral_1h_input_tokens`); all others pay the five-minute price.
    """
    found = _priced(model, models, 0 if summed else usage.total - usage.output_tokens)
    if found is None:
        return None
    info = found[0]
    hourly = min(hour_writes, usage.cache_write_tokens)
    paid: Sequence[tuple[int, Decimal | None]] = (
        (usage.input_tokens, info.input),
        (usage.cache_read_tokens, info.cached),
        (usage.cache_write_tokens - hourly, info.cache_write),
        (hourly, _hour_write(info)),
        (usage.output_tokens, info.output),
    )
    return sum((tokens * _given(price, info.input) for tokens, price in paid), Decimal(0)) / _MILLION


def price_source(model: str, models: Registry = BUILT_IN) -> str:
    """Where the price of `model` comes from: `settings`, `table as of DATE`, `genai-prices VERSION`; "" = it is unknown."""
    found = _priced(model, models, 0)
    return found[1] if found else ""


def worst_price(model: str, models: Registry = BUILT_IN) -> tuple[Decimal, Decimal] | None:
    """The most that a million tokens can cost: sent (uncached, cached or written to the cache, long calls included), and answered."""
    found = [_priced(model, models, tokens) for tokens in (0, _LONGEST)]
    infos = [entry[0] for entry in found if entry]
    if not infos:
        return None
    sent = (price for i in infos for price in (i.input, i.cached, i.cache_write, _hour_write(i)) if price is not None)
    return max(sent), max(info.output for info in infos)


def differs(ours: Decimal | None, theirs: Decimal | float | None) -> bool:
    """Whether the provider's own figure is further from ours than one per cent; an unknown one differs from nothing."""
    if ours is None or theirs is None:
        return False
    other = theirs if isinstance(theirs, Decimal) else Decimal(repr(float(theirs)))
    return abs(ours - other) > _TOLERANCE * max(ours, other)


_LONGEST = 10**12  # input tokens of a call: beyond every step of a price list


def _hour_write(info: ModelInfo) -> Decimal | None:
    """Tokens kept in the cache for an hour cost twice the input at Anthropic (its price page), elsewhere what any write costs."""
    return max(info.input * 2, _given(info.cache_write, info.input)) if info.adapter == "claude" else info.cache_write


def _priced(model: str, models: Registry, sent: int) -> tuple[ModelInfo, str] | None:
    """The entry whose prices hold for a call of `sent` input tokens to `model`, and where it comes from.

    The user's word comes first, then the table's on this very model (its day aside), then what genai-prices knows of it, then
    the table's on the family whose name the model begins with.
    """
    own, exact = models.resolve(model), models.resolve(model, family=False)
    if own and (own.as_of is None or own is exact):
        return own, f"table as of {own.as_of}" if own.as_of else "settings"
    if listed := _listed(_fold(model)):
        return _at(listed, sent), f"genai-prices {listed.version}"
    return (own, f"table as of {own.as_of}") if own else None


@dataclass(frozen=True, slots=True)
class _Listed:
    """What genai-prices says of a model. `price`: its ModelPrice, whose figures may have steps by a call's input tokens."""

    name: str
    adapter: str
    price: Any
    version: str


@functools.cache
def _listed(name: str) -> _Listed | None:
    try:
        import genai_prices
    except ImportError:  # an extra
        return None
    for ref in dict.fromkeys((name, _DATED.sub("", name))):
        for adapter, vendor in _VENDORS.items():
            try:
                found = genai_prices.calc_price(genai_prices.Usage(input_tokens=1), ref, provider_id=vendor)
            except LookupError:
                continue
            price = found.model_price
            if price.input_mtok is not None and price.output_mtok is not None:
                return _Listed(ref, adapter, price, genai_prices.__version__)
    return None


def _at(listed: _Listed, sent: int) -> ModelInfo:
    fresh, output, cached, write = (
        _step(getattr(listed.price, f"{kind}_mtok"), sent) for kind in ("input", "output", "cache_read", "cache_write")
    )
    assert fresh is not None
    assert output is not None
    return ModelInfo(listed.name, listed.adapter, fresh, output, cached, write)


def _step(price: Any, sent: int) -> Decimal | None:
    """A price, or that of the highest step which a call of `sent` tokens passes: it holds for all its tokens."""
    if price is None or isinstance(price, Decimal):
        return price
    passed: list[Decimal] = [tier.price for tier in price.tiers if sent > tier.start]
    return passed[-1] if passed else Decimal(price.base)


def total(costs: Iterable[float | None]) -> float:
    """The sum of costs, each as it is written, so that no digit comes of binary fractions; unknown ones count nothing."""
    return float(sum((Decimal(repr(cost)) for cost in costs if cost), Decimal(0)))


def format_cost(amount: Decimal | float | None) -> str:
    """Dollars for people: `?` = unknown; four decimals below a cent, three below a dollar, else two.

    The decimals are those of the rounded amount, so 0.00999999 is `$0.010` and 0.9996 `$1.00`; what is not nothing never
    reads as nothing.

    Raises:
        ValueError: a negative amount, or none that is a number.
    """
    if amount is None:
        return "?"
    money = amount if isinstance(amount, Decimal) else Decimal(repr(float(amount)))
    if not money.is_finite() or money < 0:
        raise ValueError(f"not an amount of money: {amount}")
    if money == 0:
        return "$0.00"
    steps: tuple[tuple[Literal[4, 3], Decimal], ...] = ((4, Decimal("0.01")), (3, Decimal(1)))
    for decimals, below in steps:
        rounded = _rounded(money, decimals)
        if rounded < below:
            return f"${rounded}" if rounded else "<$0.0001"
    return f"${_rounded(money, 2)}"


def _rounded(money: Decimal, decimals: int) -> Decimal:
    return money.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP, context=_WIDE)
