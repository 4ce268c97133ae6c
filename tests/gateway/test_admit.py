"""What a call may cost at most, and what is refused because nobody could say."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.gateway.house import CLAUDE_MODEL, CODEX_MODEL, body
from zwarm_ci import pricing
from zwarm_ci.gateway import admit
from zwarm_ci.gateway.admit import Ask, RefusedError
from zwarm_ci.gateway.meter import Api
from zwarm_ci.task import Usage

MODELS = pricing.registry(())
APIS: dict[str, Api] = {"codex": "openai", "claude": "anthropic"}


def ask(adapter: str = "codex", **more: Any) -> Ask:
    return admit.read(APIS[adapter], json.dumps(body(adapter, **more)).encode())


@settings(deadline=None)
@given(
    st.sampled_from(["codex", "claude"]),
    st.text(max_size=200),
    st.integers(1, 50_000),
    st.decimals("0", "2", places=6),
    st.tuples(*(st.floats(0, 1) for _ in range(4))),
)
def test_no_answer_costs_more_than_was_set_aside(
    adapter: str, text: str, wanted: int, room: Decimal, shares: tuple[float, ...]
) -> None:
    """Tokens at most the bytes that went out, in whichever bucket; output at most what the request that went out asks for."""
    name = "max_output_tokens" if adapter == "codex" else "max_tokens"
    asked = ask(adapter, text=text, **{name: wanted})
    price = admit.price_of(asked, MODELS)
    assert price is not None
    if price.cost(1) > room:
        return
    hold = min(room, price.cost(asked.most))
    sent = admit.clamp(asked, price.affords(hold, asked.most))
    assert 1 <= json.loads(sent.raw)[name] <= wanted
    total = int(len(sent.raw) * shares[0])
    read = int(total * shares[1])
    write = int((total - read) * shares[2])
    usage = Usage(total - read - write, read, write, int(json.loads(sent.raw)[name] * shares[3]))
    cost = pricing.cost(asked.model, usage, MODELS)
    assert cost is not None
    assert cost <= hold


def test_what_is_affordable_is_not_clamped() -> None:
    asked = ask("claude")
    assert admit.clamp(asked, 1000) is asked
    assert ask().most == admit.CEILING
    assert b"max_output_tokens" not in admit.clamp(ask(), admit.CEILING).raw


def test_a_clamp_names_the_limit_of_each_provider() -> None:
    assert admit.clamp(ask("claude"), 300).body["max_tokens"] == 300
    assert admit.clamp(ask("codex"), 300).body["max_output_tokens"] == 300


@pytest.mark.parametrize(
    ("output", "thinking"),
    [
        (2000, {"type": "enabled", "budget_tokens": 1999}),
        (5000, {"type": "enabled", "budget_tokens": 4096}),
        (900, {"type": "disabled"}),
    ],
)
def test_thinking_stays_below_the_limit(output: int, thinking: dict[str, Any]) -> None:
    asked = ask("claude", max_tokens=8000, thinking={"type": "enabled", "budget_tokens": 4096})
    assert admit.clamp(asked, output).body["thinking"] == thinking


def test_an_hour_in_the_cache_is_dearer() -> None:
    parts = [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    long, short = (
        ask("claude", system=parts),
        ask("claude", system=[{**parts[0], "cache_control": {"type": "ephemeral", "ttl": "5m"}}]),
    )
    hour, five = admit.price_of(long, MODELS), admit.price_of(short, MODELS)
    assert hour is not None
    assert five is not None
    assert hour.sent == pricing.cost(CLAUDE_MODEL, Usage(cache_write_tokens=long.size), MODELS, hour_writes=long.size)
    assert hour.sent > five.sent
    quoted = ask("claude", text='"cache_control":{"ttl":"1h"')
    assert admit.price_of(quoted, MODELS) == admit.price_of(
        ask("claude", text="-" * (quoted.size - ask("claude", text="").size)), MODELS
    )


def test_an_unknown_model_has_no_price() -> None:
    assert admit.price_of(ask(), MODELS)
    assert admit.price_of(admit.read("openai", b'{"model":"somebody-s-own-7b"}'), MODELS) is None


HOSTED = {
    "web search": {"tools": [{"type": "web_search"}]},
    "an older one": {"tools": [{"type": "web_search_preview_2025_03_11"}]},
    "Anthropic's": {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
    "in a namespace": {"tools": [{"type": "namespace", "tools": [{"type": "web_search"}]}]},
    "as an item": {"input": [{"type": "additional_tools", "tools": [{"type": "code_interpreter"}]}]},
    "a remote server": {"tools": [{"type": "mcp", "server_url": "https://example.org"}]},
}


@pytest.mark.parametrize("more", HOSTED.values(), ids=HOSTED)
def test_tools_at_the_provider(more: dict[str, Any]) -> None:
    asked = admit.read("openai", json.dumps({"model": CODEX_MODEL, **more}).encode())
    with pytest.raises(RefusedError, match=r"runs at the provider.*executor\.web_search"):
        admit.inspect(asked, limited=False, hosted_ok=False)
    admit.inspect(asked, limited=False, hosted_ok=True)


ELSEWHERE = {
    "an earlier answer": {"previous_response_id": "resp_1"},
    "a prompt of the account": {"prompt": {"id": "pmpt_1"}},
    "servers": {"mcp_servers": [{"url": "https://example.org"}]},
    "a background call": {"background": True},
    "an item": {"input": [{"type": "item_reference", "id": "x"}]},
    "a picture by URL": {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "https://example.org/a.png"}]}]},
    "a file": {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]},
    "Anthropic's picture": {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "https://x.org"}}]}]},
    "in a tool's result": {"messages": [{"content": [{"type": "tool_result", "content": [{"source": {"type": "file", "file_id": "f"}}]}]}]},
    "a dear service": {"service_tier": "priority"},
    "a fast one": {"speed": "fast"},
}  # fmt: skip


@pytest.mark.parametrize("more", ELSEWHERE.values(), ids=ELSEWHERE)
def test_what_breaks_the_bound_is_refused_where_there_are_limits(more: dict[str, Any]) -> None:
    asked = admit.read("openai", json.dumps({"model": CODEX_MODEL, **more}).encode())
    with pytest.raises(RefusedError, match="no limit"):
        admit.inspect(asked, limited=True, hosted_ok=False)
    admit.inspect(asked, limited=False, hosted_ok=False)


def test_what_both_clis_really_send_is_not_refused() -> None:
    """Tools may have parameters of any name, and a picture may come along."""
    schema = {"properties": {"prompt": {"type": "string"}, "url": {"type": "string"}, "container": {"type": "file"}}}
    claude = ask("claude", tools=[{"name": "Task", "input_schema": schema}], messages=[
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "Task", "input": {"prompt": "x", "url": "u", "file_id": "y"}}]},
        {"role": "user", "content": [{"type": "image", "source": {"type": "base64", "data": "AAAA"}}, {"type": "tool_result", "content": "text"}]},
    ])  # fmt: skip
    codex = ask("codex", store=False, previous_response_id=None, tools=[{"type": "function", "parameters": schema}, {"type": "custom"}], input=[
        {"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png;base64,AAAA"}]}, {"type": "web_search_call"},
    ])  # fmt: skip
    for asked in (claude, codex):
        admit.inspect(asked, limited=True, hosted_ok=False)


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"7", b'{"model":1}', b'{"model":"m","x":NaN}', b"\xff\xfe", b"[" * 100_000, b'{"model":"m","max_output_tokens":"9"}',
            b'{"model":"m","max_output_tokens":-1}', b'{"model":"m","max_output_tokens":true}'],
)  # fmt: skip
def test_what_is_no_request(raw: bytes) -> None:
    with pytest.raises(RefusedError):
        admit.read("openai", raw)


def test_what_goes_out_is_what_was_looked_at() -> None:
    """Other readers of JSON take the first of two equal keys, or see through an escape."""
    asked = admit.read(
        "openai", b'{"model":"m","max_output_tokens":99999,"max_output_tokens":5,"\\u0070rompt":null,"input":"\\ud83d"}'
    )
    assert asked.raw == b'{"model":"m","max_output_tokens":5,"prompt":null,"input":"\\ud83d"}'


def test_a_count_of_the_providers_is_a_bound_with_some_room() -> None:
    asked = ask("claude", text="word " * 4000)
    assert admit.counted(asked, 4000).size == 4216
    assert admit.counted(asked, 10**9).size == asked.size
    assert set(json.loads(admit.counting_body(asked))) == {"model", "messages"}
