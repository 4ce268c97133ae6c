"""Bytes as they come: how fast they leave, broken answers, clients that go away, and what is booked then."""

from __future__ import annotations

import http.client
import json
import statistics
import time
from collections.abc import Callable

import pytest

from tests.fakemodel import Cut, Gate, Pace, Reply, Server, Shell, Stall, StreamError, scenario, serve
from tests.gateway.house import PATHS, Answer, body, call, dollars, gateway, opened, post
from zwarm_ci.gateway.client import Gateway
from zwarm_ci.task import Usage

ADAPTERS = ("codex", "claude")
USED = Usage(200, 0, 0, 50)
_SOON = 10.0


def until(true: Callable[[], bool], seconds: float = _SOON) -> None:
    """Wait for something that another process does, and that is seen only by looking."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_a_piece_leaves_when_it_came(adapter: str, packed: bool) -> None:
    """Each piece is read before the next one is sent, so nothing waits in a buffer. The median, for cores are shared."""
    gate = Gate()
    text = "word " * 60
    with serve(scenario(Reply(text, pace=Pace(gate, 0), gzip=packed, usage=USED))) as server, gateway(server) as ours:
        endpoint = opened(ours, adapter)
        gate.step()
        with call(endpoint, PATHS[adapter], body(adapter)) as response:
            waits: list[float] = []
            got = b""
            while b"message_stop" not in got and b"response.completed" not in got:
                piece = response.read1(65536)
                assert piece
                waits.append(time.monotonic() - server.turns[0].sent[-1].at)
                got += piece
                gate.step()
            gate.open()
            response.read()
        assert len(waits) > 60
        assert statistics.median(waits) < 0.005
        until(lambda: ours.usage("s1").total == USED)


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_single_bytes_pass_unchanged(adapter: str) -> None:
    gate = Gate()
    gate.open()
    reply = Reply("é𝄞 text", [Shell("ls")], pace=Pace(gate, 1), usage=USED)
    with serve(scenario(reply)) as server, gateway(server, dollars(run="1")) as ours:
        answer = post(opened(ours, adapter), adapter)
        assert answer.data == b"".join(piece.data for piece in server.turns[0].sent)
        assert ours.usage("s1").total == USED


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_cut_stream_is_cut_for_the_cli_too(adapter: str) -> None:
    with (
        serve(scenario(Reply("some words of it", fault=Cut(4), usage=USED))) as server,
        gateway(server, dollars(run="1")) as ours,
    ):
        endpoint = opened(ours, adapter)
        with (
            call(endpoint, PATHS[adapter], body(adapter)) as response,
            pytest.raises(http.client.IncompleteRead) as caught,
        ):
            response.read()
        assert caught.value.partial == b"".join(piece.data for piece in server.turns[0].sent)
        metered = ours.usage("s1")
        assert metered.unmetered == 1
        if adapter == "claude":
            assert metered.total.input_tokens == 200  # said at the beginning of its stream
        assert metered.total.input_tokens > 0
        assert metered.cost_usd == ours.totals().spent > 0
        assert post(endpoint, adapter).status == 200
        assert ours.usage("s1").unmetered == 1


def test_an_estimate_leans_on_what_was_measured() -> None:
    replies = (Reply("x", usage=Usage(30, 0, 0, 5)), Reply("some words", usage=Usage(30, 0, 0, 5), fault=Cut(4)))
    with serve(scenario(*replies)) as server, gateway(server) as ours:
        endpoint = opened(ours)
        post(endpoint, "codex")
        with call(endpoint, PATHS["codex"], body("codex")) as response, pytest.raises(http.client.IncompleteRead):
            response.read()
        assert ours.usage("s1").total.input_tokens == 60
        assert server.billed().input_tokens == 60


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_stream_that_ends_too_early_but_cleanly(adapter: str) -> None:
    with serve(scenario(Reply("words", fault=Cut(2, clean=True), usage=USED))) as server, gateway(server) as ours:
        answer = post(opened(ours, adapter), adapter)
        assert len(answer.events) == 2
        assert ours.usage("s1").unmetered == 1


def _leave_early(server: Server, ours: Gateway, adapter: str, *, read: bool) -> None:
    with call(opened(ours, adapter), PATHS[adapter], body(adapter)) as response:
        if read:
            assert response.read1(1)
    server.wait(lambda requests: any(r.left for r in requests), _SOON)


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_client_that_goes_away_takes_the_upstream_with_it(adapter: str) -> None:
    with (
        serve(scenario(Reply("words that came", fault=Stall(5), usage=USED))) as server,
        gateway(server, dollars(run="1")) as ours,
    ):
        _leave_early(server, ours, adapter, read=True)
        until(lambda: ours.usage("s1").unmetered == 1)
        assert ours.totals().spent == ours.usage("s1").cost_usd > 0
        if adapter == "claude":
            assert ours.usage("s1").total.input_tokens == 200
        assert post(opened(ours, adapter), adapter).status == 200


def test_a_client_that_goes_away_before_any_header() -> None:
    with serve(scenario(Reply("x", fault=Stall()))) as server, gateway(server, dollars(run="1")) as ours:
        endpoint = opened(ours)
        connection = http.client.HTTPConnection(endpoint.url.removeprefix("http://"), timeout=60)
        connection.request(
            "POST", "/v1/responses", json.dumps(body("codex")), {"authorization": f"Bearer {endpoint.token}"}
        )
        server.wait(lambda requests: len(requests) == 1, _SOON)
        connection.close()
        server.wait(lambda requests: requests[0].left, _SOON)
        until(lambda: ours.usage("s1").unmetered == 1)
        assert ours.usage("s1").cost_usd == 0
        assert ours.totals().spent == 0


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_shutting_a_session_cuts_off_what_it_has_under_way(adapter: str) -> None:
    with (
        serve(scenario(Reply("words", fault=Stall(3), usage=USED))) as server,
        gateway(server, dollars(run="1")) as ours,
    ):
        with call(opened(ours, adapter), PATHS[adapter], body(adapter)) as response:
            assert response.read1(1)
            ours.shut("s1")
            with pytest.raises((http.client.IncompleteRead, ConnectionError)):
                response.read()
        server.wait(lambda requests: requests[0].left, _SOON)
        assert ours.usage("s1").unmetered == 1


def test_usage_is_booked_when_the_cli_drops_its_connection_at_the_end() -> None:
    """As codex does, right after `response.completed`."""
    with serve(scenario(*[Reply("words", usage=USED)] * 20)) as server, gateway(server, dollars(run="1")) as ours:
        endpoint = opened(ours)
        for number in range(20):
            with call(endpoint, PATHS["codex"], body("codex")) as response:
                got = b""
                while b"response.completed" not in got:
                    got += response.read1(65536)
            assert ours.usage("s1").calls == number + 1
        until(lambda: ours.usage("s1").total == server.billed())
        assert ours.usage("s1").unmetered == 0


def test_one_document_instead_of_a_stream() -> None:
    with serve(scenario(Reply("words", usage=USED), Reply("words", usage=USED))) as server, gateway(server) as ours:
        for adapter in ADAPTERS:
            answer: Answer = post(opened(ours, adapter, session=adapter), adapter, body(adapter, stream=False))
            assert answer.headers["content-type"] == "application/json"
            assert ours.usage(adapter).total == USED
        assert server.billed() == USED + USED


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_an_error_within_the_stream(adapter: str) -> None:
    with serve(scenario(Reply("x", fault=StreamError("overloaded_error")))) as server, gateway(server) as ours:
        assert post(opened(ours, adapter), adapter).status == 200
        assert ours.usage("s1").calls == len(server.turns) == 1
