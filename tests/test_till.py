"""The till with a real gateway: what it does when that dies, and with a rung that nobody knows the price of."""

from __future__ import annotations

import os
import signal
from decimal import Decimal
from pathlib import Path

import pytest

from tests.fakes.executor import Scripted
from zwarm_ci.executors.base import Report
from zwarm_ci.gateway.client import Gateway
from zwarm_ci.pricing import BUILT_IN
from zwarm_ci.purse import Limits, Purse
from zwarm_ci.task import Usage
from zwarm_ci.till import Rung, Till, unpriced

RUNG = Rung(Scripted([], name="codex"), "gpt-5.1-codex-mini", paid=True)
LIMITS = Limits(Decimal(1), Decimal(1), Decimal(1))


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    found = Gateway.start({"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"})
    found.serve(LIMITS, day_file=tmp_path / "spend.json")
    return found


def test_a_gateway_that_dies_ends_paid_work_and_nothing_else(gateway: Gateway, tmp_path: Path) -> None:
    till = Till(Purse(LIMITS, tmp_path / "spend.json"), BUILT_IN, gateway)
    assert till.allows(RUNG, "t") == ""
    endpoint = till.open(RUNG, "s", "t", (tmp_path,))
    assert endpoint
    assert endpoint.url.startswith("http://127.0.0.1:")
    os.kill(gateway.pid, signal.SIGKILL)
    os.waitpid(gateway.pid, 0)
    report = till.account(RUNG, "s", "t", Report("completed", "done", usage=Usage(10), provider_cost_usd=0.5))
    assert (report.lower_bound, report.cost_usd, report.usage) == (True, 0.5, Usage(10))
    assert "the gateway is gone" in till.allows(RUNG, "t")
    assert till.allows(Rung(Scripted([])), "t") == "", "what costs nothing goes on"
    till.shut(RUNG, "s")
    (note,) = till.notes
    assert "lower bound" in note
    till.close()


def test_a_refusal_that_is_no_limit_does_not_end_the_money(gateway: Gateway, tmp_path: Path) -> None:
    till = Till(Purse(LIMITS, tmp_path / "spend.json"), BUILT_IN, gateway)
    till.open(RUNG, "s", "t", (tmp_path,))
    report = till.account(
        RUNG, "s", "t", Report("failed", "zwarm-ci: the tool web_search runs at the provider", trouble="budget")
    )
    assert report.trouble == ""
    assert (report.cost_usd, report.usage) == (0.0, Usage())
    till.close()


def test_a_price_that_nobody_knows() -> None:
    assert unpriced(RUNG, BUILT_IN) == ""
    assert "the price of nosuch is unknown" in unpriced(Rung(RUNG.executor, "nosuch", paid=True), BUILT_IN)
    assert unpriced(Rung(RUNG.executor, "nosuch"), BUILT_IN) == ""
    free = Till(Purse(LIMITS, None), BUILT_IN, free=True)
    assert free.allows(Rung(RUNG.executor, "nosuch", paid=True), "t") == "", "a replay costs nothing"


def test_a_difference_names_the_model_that_answered() -> None:
    till = Till(Purse(LIMITS, None), BUILT_IN)
    used = Usage(1000, 0, 0, 100)
    till.account(
        RUNG,
        "s",
        "t",
        Report("completed", "done", usage=used, models=(("gpt-5.1-codex", used),), provider_cost_usd=1.0),
    )
    (note,) = till.notes
    assert note.startswith("codex counts $1.00 where we count $0.0023; ours holds (gpt-5.1-codex: table as of ")
