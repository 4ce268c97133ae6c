"""Tokens that a scripted call costs: given by the script, or derived from the request as a model would use them at most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from zwarm_ci.task import Usage

#: What a call costs for which the script says nothing.
PLAIN = Usage(input_tokens=100, output_tokens=10)


@dataclass(frozen=True, slots=True)
class Derived:
    """Usage from the request: a byte of the body is at most one token, and the answer is at most as long as was asked for.

    Attributes:
        input_share: input tokens a byte of the body, at most 1. output_share: of the limit that the request names, at most 1.
        unlimited: output tokens where the request names no limit.
    """

    input_share: float = 1.0
    output_share: float = 1.0
    unlimited: int = 32_000

    def of(self, body_bytes: int, limit: int | None) -> Usage:
        """The usage of a request of `body_bytes` with output limit `limit`."""
        most = self.unlimited if limit is None else limit
        return Usage(input_tokens=int(body_bytes * self.input_share), output_tokens=int(most * self.output_share))


def usage_of(usage: Usage | Derived, body_bytes: int, body: dict[str, Any]) -> Usage:
    """What a call with this body costs."""
    if isinstance(usage, Usage):
        return usage
    limit = body.get("max_tokens", body.get("max_output_tokens"))
    return usage.of(body_bytes, limit if isinstance(limit, int) else None)


def openai(usage: Usage) -> dict[str, Any]:
    """As OpenAI writes it: input with its cached parts in it."""
    entire = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    details = {"cached_tokens": usage.cache_read_tokens}
    if usage.cache_write_tokens:
        details["cache_write_tokens"] = usage.cache_write_tokens
    return {
        "input_tokens": entire,
        "input_tokens_details": details,
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": entire + usage.output_tokens,
    }


def anthropic(usage: Usage) -> dict[str, Any]:
    """As Anthropic writes it: three disjoint parts of the input; reasoning is not told apart."""
    return {
        "input_tokens": usage.input_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "cache_creation": {"ephemeral_5m_input_tokens": usage.cache_write_tokens, "ephemeral_1h_input_tokens": 0},
        "output_tokens": usage.output_tokens,
        "service_tier": "standard",
    }


def total(usages: list[Usage]) -> Usage:
    """The sum."""
    whole = Usage()
    for usage in usages:
        whole += usage
    return whole
