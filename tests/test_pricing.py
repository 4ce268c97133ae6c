"""Models and money: the table, names that mean a model and names that do not, costs, and how money is written."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zwarm_ci import pricing
from zwarm_ci.pricing import ModelOverride, Registry, cost, format_cost, resolve_model
from zwarm_ci.task import Usage

#: canonical, adapter, aliases, input, output, cached, default: the table that the project started from.
UPSTREAM = [
    ("gpt-5.1-codex-mini", "codex", ("codex-mini", "mini"), "0.25", "2.00", "0.025", True),
    ("gpt-5.1-codex", "codex", ("codex", "codex-full"), "1.25", "10.00", "0.125", False),
    ("gpt-5.1-codex-max", "codex", ("codex-max", "max"), "1.25", "10.00", "0.125", False),
    ("sonnet", "claude", ("claude-sonnet", "claude-4-sonnet"), "3.00", "15.00", "0.30", True),
    ("opus", "claude", ("claude-opus", "claude-4-opus"), "15.00", "75.00", "1.50", False),
    ("haiku", "claude", ("claude-haiku", "claude-4-haiku"), "0.25", "1.25", "0.025", False),
]


@pytest.mark.parametrize(("name", "adapter", "aliases", "fresh", "output", "cached", "default"), UPSTREAM)
def test_the_table(
    name: str, adapter: str, aliases: tuple[str, ...], fresh: str, output: str, cached: str, *, default: bool
) -> None:
    model = resolve_model(name)
    assert model
    assert (model.canonical, model.adapter, model.aliases, model.is_default) == (name, adapter, aliases, default)
    assert (model.input, model.output, model.cached) == (Decimal(fresh), Decimal(output), Decimal(cached))
    assert all(resolve_model(alias) is model for alias in aliases)
    assert model.as_of is not None


def test_claudes_cache_is_priced_as_its_vendor_says() -> None:
    for model in pricing.list_models("claude"):
        assert model.cached == model.input / 10
        assert model.cache_write == model.input * Decimal("1.25")


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("  Mini ", "gpt-5.1-codex-mini"),
        ("GPT-5.1-CODEX-MAX", "gpt-5.1-codex-max"),
        ("gpt-5.1-codex-max-2026-01", "gpt-5.1-codex-max"),
        ("gpt-5.1-codex-mini-2026-01", "gpt-5.1-codex-mini"),
        ("gpt-5.1-codex@2026", "gpt-5.1-codex"),
        ("gpt-5.1-codex:high", "gpt-5.1-codex"),
        ("gpt-5.1-codexfoo", None),
        ("opusculum", None),
        ("claude-sonnet-4-5", "sonnet"),
        ("claude-sonnet-4-5-20250929", "sonnet"),
        ("claude-opus-4-1-20250805", "opus"),
        ("claude-opus-4-5-20251101", "claude-opus-4-5"),
        ("claude-haiku-4-5", "claude-haiku-4-5"),
        ("claude-4-haiku", "haiku"),
        ("gpt-5-codex", "gpt-5-codex"),
        ("codex-mini-latest", "codex-mini-latest"),
        ("gpt-5.1", None),
        ("claude", None),
        ("", None),
        ("-", None),
    ],
)
def test_names(name: str, canonical: str | None) -> None:
    model = resolve_model(name)
    assert (model and model.canonical) == canonical
    assert (pricing.get_adapter_for_model(name) is None) == (canonical is None)


def test_an_id_with_another_price_is_not_its_prefix() -> None:
    old, new = resolve_model("haiku"), resolve_model("claude-haiku-4-5-20251001")
    assert old
    assert new
    assert (old.input, new.input) == (Decimal("0.25"), Decimal(1))


def test_adapters_and_their_defaults() -> None:
    assert pricing.list_adapters() == ["claude", "codex"]
    assert pricing.get_default_model("codex") == "gpt-5.1-codex-mini"
    assert pricing.get_default_model("claude") == "sonnet"
    assert pricing.get_default_model("embedded") is None
    both = pricing.list_models("codex") + pricing.list_models("claude")
    assert sorted(m.canonical for m in both) == sorted(m.canonical for m in pricing.list_models())
    assert pricing.list_models() is not pricing.list_models()


@pytest.mark.parametrize(
    ("model", "usage", "dollars"),
    [
        # 1M input of which 900k cached: 0.1 x 0.25 + 0.9 x 0.025; charging the cached ones twice would make 0.2725
        ("mini", Usage(input_tokens=100_000, cache_read_tokens=900_000), "0.0475"),
        ("mini", Usage(output_tokens=1_000_000, reasoning_tokens=900_000), "2"),
        ("mini", Usage(cache_write_tokens=1_000_000), "0.25"),
        ("sonnet", Usage(cache_read_tokens=1_000_000), "0.3"),
        ("sonnet", Usage(cache_write_tokens=1_000_000), "3.75"),
        ("opus", Usage(1, 1, 1, 1, 1), "0.00011025"),
        ("mini", Usage(), "0"),
        ("gpt-9", Usage(1), None),
    ],
)
def test_costs(model: str, usage: Usage, dollars: str | None) -> None:
    assert cost(model, usage) == (None if dollars is None else Decimal(dollars))


def test_a_price_of_zero_is_a_price() -> None:
    free = pricing.registry([ModelOverride("sonnet", cached=Decimal(0))])
    assert cost("sonnet", Usage(cache_read_tokens=1_000_000), free) == 0


@given(st.builds(Usage, *[st.integers(0, 10**9)] * 4), st.builds(Usage, *[st.integers(0, 10**9)] * 4))
def test_costs_add_up(one: Usage, other: Usage) -> None:
    for model in ("mini", "opus"):
        total, first, second = cost(model, one + other), cost(model, one), cost(model, other)
        assert total is not None
        assert first is not None
        assert second is not None
        assert total == first + second


# --------------------------------------------------------------------------------------------------------------- money


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, "?"),
        (0, "$0.00"),
        (0.0, "$0.00"),
        (Decimal("0.000"), "$0.00"),
        (-0.0, "$0.00"),
        (1e-5, "<$0.0001"),
        (0.0000499, "<$0.0001"),
        (0.00005, "$0.0001"),
        (0.0012, "$0.0012"),
        (0.00994, "$0.0099"),
        (0.00999999, "$0.010"),
        (0.00995, "$0.010"),
        (0.01, "$0.010"),
        (0.0475, "$0.048"),
        (0.9994, "$0.999"),
        (0.9996, "$1.00"),
        (1, "$1.00"),
        (1.005, "$1.01"),
        (Decimal("2.675"), "$2.68"),
        (1234567.891, "$1234567.89"),
        (1e300, "$" + str(int(Decimal("1e300"))) + ".00"),
    ],
)
def test_money(amount: Decimal | float | None, text: str) -> None:
    assert format_cost(amount) == text


@pytest.mark.parametrize("amount", [-0.01, Decimal("-1e-9"), float("nan"), float("inf"), Decimal("NaN"), float("-inf")])
def test_what_is_no_money(amount: Decimal | float) -> None:
    with pytest.raises(ValueError, match="not an amount of money"):
        format_cost(amount)


@given(st.decimals(0, 10**6, places=7))
def test_money_never_reads_as_nothing_and_never_drifts(amount: Decimal) -> None:
    text = format_cost(amount)
    assert (text == "$0.00") == (amount == 0)
    if not text.startswith("<"):
        shown = Decimal(text.removeprefix("$"))
        decimals = len(text.partition(".")[2])
        assert abs(shown - amount) <= Decimal(1).scaleb(-decimals) / 2
        assert decimals == (4 if 0 < shown < Decimal("0.01") else 3 if 0 < shown < 1 else 2)


# ------------------------------------------------------------------------------------------------------------ overrides


def test_an_override_replaces_figures_and_adds_names() -> None:
    models = pricing.registry([ModelOverride("SONNET", input=Decimal(4), aliases=("mine", "claude-sonnet"))])
    model = models.resolve("mine-2027")
    assert model
    assert (model.canonical, model.input, model.output, model.as_of) == ("sonnet", Decimal(4), Decimal(15), None)
    assert model.aliases == ("claude-sonnet", "claude-4-sonnet", "mine")
    before = resolve_model("sonnet")
    assert before
    assert before.input == 3
    assert resolve_model("mine") is None


def test_a_new_model_is_priced() -> None:
    models = pricing.registry([ModelOverride("gpt-6", "codex", ("six",), Decimal(2), Decimal(8))])
    assert cost("six", Usage(input_tokens=500_000, cache_read_tokens=500_000, output_tokens=1_000_000), models) == 10
    assert pricing.get_default_model("codex", models) == "gpt-5.1-codex-mini"
    assert "gpt-6" in [m.canonical for m in pricing.list_models("codex", models)]


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (
            [ModelOverride("x", "codex", ("mini",), Decimal(1), Decimal(1))],
            "`mini` names both gpt-5.1-codex-mini and x",
        ),
        ([ModelOverride("Codex", "codex", (), Decimal(1), Decimal(1))], "`Codex` names both gpt-5.1-codex and Codex"),
        ([ModelOverride("sonnet", aliases=("opus",))], "`opus` names both sonnet and opus"),
        ([ModelOverride("sonnet", adapter="codex")], "sonnet belongs to claude, not to codex"),
        ([ModelOverride("x", "codex", input=Decimal(1))], "x needs both prices"),
        ([ModelOverride("x", "gemini", (), Decimal(1), Decimal(1))], "x needs an adapter: one of claude, codex"),
    ],
)
def test_overrides_that_contradict(entries: list[ModelOverride], said: str) -> None:
    with pytest.raises(ValueError, match=r"names both|belongs to|needs") as caught:
        pricing.registry(entries)
    assert said in str(caught.value)


def test_each_adapter_has_exactly_one_default() -> None:
    first, *rest = pricing.TABLE
    with pytest.raises(ValueError, match="codex needs exactly one default model, has 0"):
        Registry((replace(first, is_default=False), *rest))
    with pytest.raises(ValueError, match="codex needs exactly one default model, has 2"):
        Registry((first, replace(rest[0], is_default=True), *rest[1:]))


def test_nothing_but_the_table_knows_a_price() -> None:
    package = Path(pricing.__file__).parent
    names = [m.canonical for m in pricing.TABLE if "-" in m.canonical]
    elsewhere = [
        p.name for p in package.rglob("*.py") if p.name != "pricing.py" and any(n in p.read_text() for n in names)
    ]
    assert elsewhere == []
