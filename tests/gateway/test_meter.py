"""Usage read off answers, whatever pieces they come in."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakemodel import Reply, Shell, StreamError, anthropic, openai
from zwarm_ci.gateway.meter import Api, Meter, Reading
from zwarm_ci.task import Usage

USED = Usage(120, 3000, 450, 77, 20)
_TEXT = 'a "usage": {"input_tokens": 9} in a text, é, 𝄞, \r\n\n and a \\ at its end \\'


def stream(api: Api, reply: Reply, *, end: bytes = b"\n") -> bytes:
    """An answer as the scripted server writes it."""
    told = reply.fault if isinstance(reply.fault, StreamError) else None
    usage = USED if api == "openai" else Usage(120, 3000, 450, 77)
    request = {"model": "asked", "tools": [{"name": "exec_command"}, {"name": "Bash"}]}
    module = openai if api == "openai" else anthropic
    parts = [
        event.text(n if api == "openai" else None) for n, event in enumerate(module.events(reply, request, usage, told))
    ]
    return b"".join(parts).replace(b"\n", end)


def metered(api: Api, pieces: list[bytes], *, events: bool = True) -> Reading:
    meter = Meter(api, stream=events)
    for piece in pieces:
        meter.feed(piece)
    return meter.close()


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


def spread(data: bytes) -> bytes:
    """The same events, the data of each on several lines."""
    found = []
    for line in data.decode().splitlines():
        text = json.dumps(json.loads(line[6:]), indent=1) if line.startswith("data: ") else None
        found += [f"data: {part}" for part in text.splitlines()] if text else [line]
    return "\r\n".join([*found, ""]).encode()


WHOLE: dict[str, tuple[Api, bytes]] = {
    f"{api}, lines end in {end!r}": (
        api,
        stream(api, Reply(_TEXT, [Shell("ls")], reasoning="hm", model="gave"), end=end),
    )
    for api in ("openai", "anthropic")
    for end in (b"\n", b"\r\n", b"\r")
}
WHOLE |= {
    f"{api}, data on several lines": (api, spread(stream(api, Reply(_TEXT, model="gave"))))
    for api in ("openai", "anthropic")
}


@pytest.mark.parametrize(("api", "data"), WHOLE.values(), ids=WHOLE)
def test_the_whole_answer(api: Api, data: bytes) -> None:
    reading = metered(api, [data])
    assert reading.usage == (USED if api == "openai" else Usage(120, 3000, 450, 77))
    assert reading.known
    assert reading.done
    assert not reading.failed
    assert reading.model == "gave"


@settings(deadline=None)
@given(st.sampled_from(sorted(WHOLE)), st.lists(st.integers(0, 100_000), max_size=60))
def test_any_split_gives_the_same(name: str, cuts: list[int]) -> None:
    api, data = WHOLE[name]
    assert metered(api, split(data, cuts)) == metered(api, [data])


@settings(deadline=None)
@given(st.sampled_from(sorted(WHOLE)), st.integers(0, 100_000), st.lists(st.integers(0, 100_000), max_size=20))
def test_what_was_cut_off_is_read_the_same_in_any_split(name: str, cut: int, cuts: list[int]) -> None:
    api, data = WHOLE[name]
    part = data[: cut % (len(data) + 1)]
    assert metered(api, split(part, cuts)) == metered(api, [part])


@settings(deadline=None)
@given(st.sampled_from(["openai", "anthropic"]), st.lists(st.binary(max_size=80), max_size=8), st.booleans())
def test_garbage_is_no_usage(api: Api, pieces: list[bytes], events: bool) -> None:
    reading = metered(api, pieces, events=events)
    assert reading.usage == Usage()
    assert not reading.known


@pytest.mark.parametrize(("api", "data"), WHOLE.values(), ids=WHOLE)
def test_bytes_one_by_one(api: Api, data: bytes) -> None:
    assert metered(api, [data[i : i + 1] for i in range(len(data))]) == metered(api, [data])


def test_a_stream_that_broke_off_says_what_was_known() -> None:
    whole = stream("anthropic", Reply("some words that came"))
    cut = metered("anthropic", [whole[: whole.index(b"message_delta")]])
    assert not cut.known
    assert cut.begun
    assert cut.usage == Usage(120, 3000, 450, 1)
    assert cut.streamed == len("some words that came")
    cut = metered(
        "openai", [(text := stream("openai", Reply("some words that came")))[: text.index(b"response.completed")]]
    )
    assert not cut.known
    assert not cut.begun
    assert cut.streamed == len("some words that came")


def test_anthropics_figures_replace_each_other() -> None:
    def event(kind: str, **more: Any) -> bytes:
        return f"event: {kind}\ndata: {json.dumps({'type': kind, **more})}\n\n".encode()

    start = {"model": "m", "usage": {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 1}}
    more = {"cache_creation": {"ephemeral_1h_input_tokens": 3}, "server_tool_use": {"web_search_requests": 2}}
    reading = metered("anthropic", [
        event("message_start", message=start),
        event("message_delta", delta={"stop_reason": None}, usage={"output_tokens": 40}),
        event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 60, "input_tokens": 12, **more}),
        event("message_stop"),
    ])  # fmt: skip
    assert reading.usage == Usage(12, 5, 0, 60)
    assert reading.searches == 2
    assert reading.hour_writes == 3


@pytest.mark.parametrize("api", ["openai", "anthropic"])
def test_an_error_in_the_stream(api: Api) -> None:
    reading = metered(api, [stream(api, Reply("x", fault=StreamError("overloaded_error")))])
    assert reading.failed
    assert not reading.known


def test_one_document() -> None:
    answer = {"model": "m", "usage": openai_usage(), "output": [{"type": "web_search_call"}, {"type": "message"}]}
    reading = metered("openai", split(json.dumps(answer).encode(), [3, 50, 90]), events=False)
    assert reading == Reading("m", USED, known=True, begun=True, done=True, searches=1)


def openai_usage() -> dict[str, Any]:
    details = {"cached_tokens": 3000, "cache_write_tokens": 450}
    return {
        "input_tokens": 3570,
        "input_tokens_details": details,
        "output_tokens": 77,
        "output_tokens_details": {"reasoning_tokens": 20},
    }


@pytest.mark.parametrize(
    "usage", [{"input_tokens": -5}, {"input_tokens": "9"}, {"input_tokens": True}, {"input_tokens": 1.5}, None, [], "x"]
)
def test_figures_that_are_none(usage: object) -> None:
    reading = metered("anthropic", [json.dumps({"model": "m", "usage": usage}).encode()], events=False)
    assert reading.usage == Usage()
    assert not reading.known
