"""The price of the model that answered: the user's word, our table, what genai-prices carries, and the bill beside it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from decimal import Decimal

import pytest

from zwarm_ci import pricing
from zwarm_ci.pricing import ModelOverride, cost, differs, price_source, worst_price
from zwarm_ci.task import Usage

MILLION = Usage(input_tokens=1_000_000)
OUT = Usage(output_tokens=1_000_000)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    pricing._listed.cache_clear()
    yield
    pricing._listed.cache_clear()


@pytest.fixture
def _core_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices", None)


@pytest.mark.parametrize(
    ("answered", "dollars", "source"),
    [
        ("gpt-5.1-codex-mini", "2", "table as of 2025-11-24"),
        ("gpt-5.1-codex-mini-2026-01-01", "2", "table as of 2025-11-24"),
        ("opus", "75", "table as of 2025-08-05"),
        ("claude-sonnet-4-5-20250929", "15", "genai-prices"),
        ("claude-opus-4-1-20250805", "75", "genai-prices"),
        # The family's price would be 75: this one is a third of it, and the table does not name it.
        ("claude-opus-4-6", "25", "genai-prices"),
        ("claude-opus-4-6-20991231", "25", "genai-prices"),
        ("gpt-4.1-mini", "1.6", "genai-prices"),
        ("gpt-5.1-codex-max-preview", "10", "table as of 2025-11-24"),
        ("nobody-knows-it", None, ""),
        ("", None, ""),
    ],
)
def test_who_says_the_price(answered: str, dollars: str | None, source: str) -> None:
    assert cost(answered, OUT, summed=True) == (None if dollars is None else Decimal(dollars))
    said = price_source(answered)
    assert said.startswith(source)
    assert bool(said) == bool(source)
    assert said != "genai-prices", "its version is what dates it"


@pytest.mark.usefixtures("_core_only")
def test_without_the_extra_a_family_lends_its_price_and_the_rest_is_unknown() -> None:
    assert price_source("claude-opus-4-6") == "table as of 2025-08-05"
    assert cost("claude-opus-4-6", OUT) == 75
    assert cost("gpt-4.1-mini", OUT) is None
    assert worst_price("gpt-4.1-mini") is None
    assert price_source("gpt-4.1-mini") == ""


def test_the_users_word_comes_first_for_the_whole_family() -> None:
    models = pricing.registry([ModelOverride("opus", output=Decimal(7)), ModelOverride("sonnet", aliases=("mine",))])
    assert cost("claude-opus-4-6", OUT, models) == 7
    assert price_source("claude-opus-4-6", models) == "settings"
    assert price_source("mine", models) == "table as of 2025-11-24", "another name is no other price"
    local = pricing.registry([ModelOverride("gpt-4.1-mini", "codex", (), Decimal(0), Decimal(0))])
    assert cost("gpt-4.1-mini", OUT, local) == 0
    assert price_source("gpt-4.1-mini", local) == "settings"


def test_a_long_call_pays_its_step_and_a_sum_of_calls_does_not() -> None:
    short, long = Usage(input_tokens=272_000), Usage(input_tokens=200_000, cache_read_tokens=72_001)
    assert cost("gpt-5.5", short) == Decimal(272_000) * 5 / 1_000_000
    assert cost("gpt-5.5", long) == (Decimal(200_000) * 10 + Decimal(72_001) * 1) / 1_000_000
    assert cost("gpt-5.5", long, summed=True) == (Decimal(200_000) * 5 + Decimal(72_001) / 2) / 1_000_000
    assert cost("gpt-5.5", Usage(output_tokens=300_000)) == 9, "the answer's length is no step"


def test_writes_that_last_an_hour_cost_twice_the_input() -> None:
    writes = Usage(cache_write_tokens=1_000_000)
    assert cost("sonnet", writes, hour_writes=400_000) == Decimal("3.75") * 6 / 10 + Decimal(6) * 4 / 10
    assert cost("sonnet", writes, hour_writes=9_000_000) == 6, "never more than were written"
    assert cost("claude-opus-4-6", writes, hour_writes=1_000_000) == 10
    assert cost("mini", writes, hour_writes=1_000_000) == Decimal("0.25")


@pytest.mark.parametrize(
    ("model", "sent", "answered"),
    [
        ("mini", "0.25", "2"),
        ("sonnet", "6", "15"),
        ("gpt-5.5", "10", "45"),
        ("claude-opus-4-6", "10", "25"),
    ],
)
def test_the_worst_price(model: str, sent: str, answered: str) -> None:
    worst = worst_price(model)
    assert worst == (Decimal(sent), Decimal(answered))
    for usage in (MILLION, Usage(cache_write_tokens=10**6), Usage(cache_read_tokens=10**6)):
        most = cost(model, usage, hour_writes=10**6)
        assert most is not None
        assert most <= worst[0]


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        ("1", 1.01, False),
        ("1", 1.0102, True),
        ("1", 0.99, False),
        ("1", 0.9899, True),
        ("0", 0.0, False),
        ("0", 0.0001, True),
        ("0.002745", 0.002745, False),
        (None, 1.0, False),
        ("1", None, False),
    ],
)
def test_a_difference_that_is_said(ours: str | None, theirs: float | None, *, said: bool) -> None:
    assert differs(None if ours is None else Decimal(ours), theirs) == said


def test_claudes_own_sum_is_ours() -> None:
    """As Claude Code 2.1.197 printed it for this usage of claude-sonnet-4-5: total_cost_usd 0.002745."""
    usage = Usage(500, 400, 100, 50)
    assert cost("claude-sonnet-4-5", usage) == Decimal("0.002745")
