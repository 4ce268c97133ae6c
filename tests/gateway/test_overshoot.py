"""Parallel sessions and one limit: it is not passed by a cent."""

from __future__ import annotations

from decimal import Decimal

import overshoot
import pytest


@pytest.mark.parametrize("limit", [Decimal("0.20"), Decimal("0.0317")])
def test_eight_sessions_do_not_pass_the_limit(limit: Decimal, capsys: pytest.CaptureFixture[str]) -> None:
    assert overshoot.main(["--limit", str(limit)]) == 0
    said = capsys.readouterr().out
    assert "over $0.000000" in said.splitlines()[0]
    assert said.endswith("ok\n")


def test_the_limit_is_used_and_everybody_is_told() -> None:
    result = overshoot.with_gateway(8, Decimal("0.20"))
    assert result.spent <= result.limit
    assert result.spent > result.limit * Decimal("0.9")
    assert result.denied == 8


def test_without_it_the_limit_is_passed() -> None:
    """Else the comparison shows nothing."""
    assert overshoot.without_gateway(8, Decimal("0.20")).over > 0
