"""The scripted model server speaks both providers' protocols, breaks off as it is told, and its own count is right."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from tests.fakemodel import (
    Call,
    Cut,
    Derived,
    Drop,
    Edit,
    Gate,
    Item,
    Pace,
    Reply,
    Scenario,
    Script,
    Server,
    Shell,
    Stall,
    Status,
    StreamError,
    Tool,
    Write,
    key_hash,
    refusing,
    scenario,
    serve,
)
from zwarm_ci.task import Usage

PATHS = {"openai": "/v1/responses", "anthropic": "/v1/messages?beta=true"}
USAGE = Usage(500, 400, 100, 50, 10)
both = pytest.mark.parametrize("provider", PATHS)


def body(provider: str, text: str = "repair it", **more: Any) -> dict[str, Any]:
    said = [{"role": "user", "content": [{"type": "text", "text": text}]}]
    return {"model": "m-1", "stream": True, "input" if provider == "openai" else "messages": said, **more}


@contextmanager
def asked(
    server: Server, provider: str, asks: dict[str, Any], *, session: str = "c1"
) -> Iterator[http.client.HTTPResponse]:
    """The answer's beginning; the rest is for the caller to read."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    with closing(connection):
        headers = {"session-id": session, "authorization": "Bearer sk-secret", "content-type": "application/json"}
        connection.request("POST", PATHS[provider], json.dumps(asks), headers)
        yield connection.getresponse()


def events(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in data.decode().splitlines() if line.startswith("data: ")]


def ask(
    server: Server, provider: str, *, session: str = "c1", text: str = "repair it", **more: Any
) -> list[dict[str, Any]]:
    with asked(server, provider, body(provider, text, **more), session=session) as answer:
        assert answer.status == 200
        return events(answer.read())


def said(provider: str, stream: list[dict[str, Any]]) -> str:
    """The text that a client would put together."""
    if provider == "openai":
        return "".join(e["delta"] for e in stream if e["type"] == "response.output_text.delta")
    return "".join(e["delta"].get("text", "") for e in stream if e["type"] == "content_block_delta")


@both
def test_replies_come_in_their_order_for_each_conversation(provider: str) -> None:
    with serve(scenario(Reply("first words"), Reply("second"))) as server:
        assert [said(provider, ask(server, provider, session=s)) for s in ("a", "b", "a", "a")] == [
            "first words",
            "first words",
            "second",
            "(the script is used up)",
        ]
        assert [(r.conversation, r.reply, r.complete) for r in server.turns] == [
            ("a", 0, True),
            ("b", 0, True),
            ("a", 1, True),
            ("a", 2, True),
        ]


@both
def test_a_script_is_chosen_by_the_users_first_text(provider: str) -> None:
    scripts = (Script([Reply("one")], "alpha"), Script([Reply("two")], "beta", loop=True))
    with serve(Scenario(scripts)) as server:
        assert said(provider, ask(server, provider, session="b", text="about beta")) == "two"
        assert said(provider, ask(server, provider, session="a", text="about alpha")) == "one"
        assert said(provider, ask(server, provider, session="b", text="now alpha")) == "two"


@both
def test_usage_is_told_as_the_provider_tells_it(provider: str) -> None:
    with serve(scenario(Reply("x", usage=USAGE))) as server:
        stream = ask(server, provider)
        if provider == "openai":
            told = stream[-1]["response"]["usage"]
            assert (told["input_tokens"], told["output_tokens"], told["total_tokens"]) == (1000, 50, 1050)
            assert told["input_tokens_details"] == {"cached_tokens": 400, "cache_write_tokens": 100}
            assert told["output_tokens_details"] == {"reasoning_tokens": 10}
            assert server.billed("c1") == server.told() == USAGE
        else:
            told = stream[0]["message"]["usage"]
            assert (told["input_tokens"], told["cache_read_input_tokens"], told["cache_creation_input_tokens"]) == (
                500,
                400,
                100,
            )
            assert [told["output_tokens"], stream[-2]["usage"]["output_tokens"]] == [1, 50]
            assert server.billed("c1") == server.told() == Usage(500, 400, 100, 50, 0)
        assert server.billed("another") == Usage()


@both
def test_usage_follows_from_the_request(provider: str) -> None:
    with serve(scenario(Reply("x", usage=Derived()), Reply("y", usage=Derived(0.5, 0.5, unlimited=9)))) as server:
        limit: dict[str, Any] = {"max_output_tokens" if provider == "openai" else "max_tokens": 77}
        ask(server, provider, **limit)
        sent = len(json.dumps(body(provider, **limit)))
        assert server.billed() == Usage(sent, output_tokens=77)
        ask(server, provider)
        assert server.turns[1].usage == Usage(len(json.dumps(body(provider))) // 2, output_tokens=4)


def test_claude_falls_back_to_one_document() -> None:
    reply = Reply("words", [Shell("ls")], reasoning="hm", usage=USAGE)
    with serve(scenario(reply)) as server, asked(server, "anthropic", body("anthropic", stream=False)) as answer:
        message = json.loads(answer.read())
        assert [b["type"] for b in message["content"]] == ["thinking", "text", "tool_use"]
        assert message["content"][2]["input"]["command"] == "ls"
        assert (message["stop_reason"], message["usage"]["output_tokens"]) == ("tool_use", 50)
        assert message["content"][0]["thinking"] == "hm"


def test_calls_are_mapped_to_the_tools_on_offer() -> None:
    calls: list[Call] = [
        Shell("ls"),
        Write("a.py", "x\ny\n"),
        Edit("a.py", "x", "z"),
        Tool("peek", {"id": 1}, "mcp__zwarm"),
    ]
    offers = {
        "functions": [{"type": "function", "name": "exec_command"}],
        "free": [{"type": "function", "name": "exec_command"}, {"type": "custom", "name": "apply_patch"}],
        "scripted": [{"type": "custom", "name": "exec"}],
    }
    got: dict[str, list[dict[str, Any]]] = {}
    with serve(scenario(Reply("", [*calls, Item({"type": "web_search_call", "status": "completed"})]))) as server:
        for name, tools in offers.items():
            stream = ask(server, "openai", session=name, tools=tools)
            got[name] = stream[-1]["response"]["output"]
    assert [i["type"] for i in got["functions"]] == ["function_call"] * 4 + ["web_search_call"]
    assert "apply_patch <<" in json.loads(got["functions"][1]["arguments"])["cmd"]
    assert got["free"][1]["input"] == "*** Begin Patch\n*** Add File: a.py\n+x\n+y\n*** End Patch\n"
    assert got["free"][2]["input"] == "*** Begin Patch\n*** Update File: a.py\n@@\n-x\n+z\n*** End Patch\n"
    assert got["scripted"][0]["input"].startswith('const r = await tools.exec_command({"cmd": "ls"})')
    assert (got["free"][3]["namespace"], got["free"][3]["arguments"]) == ("mcp__zwarm", '{"id": 1}')


@both
@pytest.mark.parametrize("code", [400, 401, 429, 500])
def test_an_error_is_told_so_often_and_uses_up_no_reply(provider: str, code: int) -> None:
    with serve(scenario(Reply("after all", fault=Status(code, 1.5, message="no"), times=2))) as server:
        for _ in range(2):
            with asked(server, provider, body(provider)) as answer:
                assert (answer.status, answer.headers["retry-after"]) == (code, "1.5")
                assert json.loads(answer.read())["error"]["message"] == "no"
        assert said(provider, ask(server, provider)) == "after all"
        assert server.billed() == Usage(100, output_tokens=10)


@both
def test_a_cut_stream_has_no_end_mark_unless_it_is_told_to(provider: str) -> None:
    with serve(scenario(Reply("x y z", fault=Cut(3)), Reply("x y z", fault=Cut(2, clean=True)))) as server:
        with asked(server, provider, body(provider)) as answer, pytest.raises(http.client.IncompleteRead) as cut:
            answer.read()
        assert len(events(cut.value.partial)) == 3
        ask(server, provider)  # the reply itself
        assert len(ask(server, provider)) == 2
        first = server.turns[0]
        assert first.complete is False
        assert first.usage == Usage(100, output_tokens=10)
        assert first.told == (None if provider == "openai" else Usage(100, output_tokens=1))


@both
@pytest.mark.parametrize("after", [None, 1])
def test_a_stall_lasts_until_the_client_leaves(provider: str, after: int | None) -> None:
    with serve(scenario(Reply("x", fault=Stall(after)))) as server:
        address = ("127.0.0.1", server.port)
        with socket.create_connection(address, timeout=20) as client:
            text = json.dumps(body(provider)).encode()
            client.sendall(
                b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s"
                % (PATHS[provider].encode(), len(text), text)
            )
            server.wait(lambda log: len(log) == 1)
            got = b""
            while after and got.count(b"data: ") < after:
                got += client.recv(65536)
            client.settimeout(0)
            with pytest.raises(BlockingIOError):
                client.recv(1)
            assert (b"200 OK" in got, len(events(got))) == (after is not None, after or 0)
        server.wait(lambda log: log[0].left)
        assert not server.turns[0].complete


def test_closing_ends_a_stall() -> None:
    with serve(scenario(Reply("x", fault=Stall()))) as server:
        client = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        client.sendall(b"POST /v1/responses HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")
        server.wait(lambda log: len(log) == 1)
    with closing(client):
        assert client.recv(10) == b""


@both
def test_a_drop_is_a_reset(provider: str) -> None:
    with serve(scenario(Reply("x", fault=Drop()))) as server, pytest.raises(ConnectionError):
        ask(server, provider)


@both
def test_an_error_inside_the_stream(provider: str) -> None:
    with serve(scenario(Reply("x", fault=StreamError("overloaded_error", "busy")))) as server:
        last = ask(server, provider)[-1]
        assert last["type"] == ("response.failed" if provider == "openai" else "error")
        assert "busy" in json.dumps(last)


@both
def test_the_limit_on_length_is_told(provider: str) -> None:
    with serve(scenario(Reply("x", truncated=True))) as server:
        stream = ask(server, provider)
        if provider == "openai":
            assert (stream[-1]["type"], stream[-1]["response"]["status"]) == ("response.incomplete", "incomplete")
        else:
            assert stream[-2]["delta"]["stop_reason"] == "max_tokens"
        assert server.told() == server.billed()


@both
def test_a_body_leaves_piece_by_piece_as_the_gate_lets_it(provider: str) -> None:
    gate = Gate()
    with (
        serve(scenario(Reply("x", pace=Pace(gate, 7)))) as server,
        closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)) as wire,
    ):
        wire.request("POST", PATHS[provider], json.dumps(body(provider)))
        answer = wire.getresponse()
        gate.step(2)
        assert len(answer.read(14)) == 14
        assert not gate.passed(), "it did not wait for its steps"
        sent = server.turns[0].sent
        assert [len(s.data) for s in sent] == [7, 7]
        assert sent[0].at <= sent[1].at <= time.monotonic()
        gate.open()
        rest = answer.read()
        assert b"".join(s.data for s in server.turns[0].sent)[14:] == rest


@both
def test_headers_wait_for_the_gate(provider: str) -> None:
    gate = Gate()
    with (
        serve(scenario(Reply("x", hold=gate))) as server,
        closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)) as wire,
    ):
        wire.request("POST", PATHS[provider], json.dumps(body(provider)))
        server.wait(lambda log: len(log) == 1)
        assert server.turns[0].status == 0
        gate.step()
        assert wire.getresponse().read()


@both
def test_a_compressed_body(provider: str) -> None:
    with serve(scenario(Reply("some words", gzip=True))) as server, asked(server, provider, body(provider)) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        assert said(provider, events(gzip.decompress(answer.read()))) == "some words"


def test_keys_are_kept_as_hashes_and_strangers_are_known() -> None:
    with serve(scenario(Reply("x"))) as server:
        ask(server, "openai")
        assert server.turns[0].key == key_hash("sk-secret")
        assert "sk-secret" not in repr(server.requests)
        with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)) as wire:
            for method, path, headers in (
                ("GET", "/v1/responses", {"upgrade": "websocket", "connection": "Upgrade"}),
                ("HEAD", "/", {}),
                ("GET", "/v1/models", {}),
                ("POST", "/v1/messages/count_tokens", {}),
                ("GET", "/elsewhere", {}),
            ):
                wire.request(method, path, "{}" if method == "POST" else None, headers)
                wire.getresponse().read()
        with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)) as wire:
            wire.set_tunnel("api.example.org", 443)
            with pytest.raises(OSError, match="403"):
                wire.request("GET", "/")
        assert [r.kind for r in server.requests] == [
            "turn", "websocket", "root", "models", "count_tokens", "unknown", "connect",
        ]  # fmt: skip


def test_what_is_no_turn_uses_up_no_reply() -> None:
    title: dict[str, Any] = {"output_config": {"format": {"schema": {"properties": {"title": {}}}}}}
    with serve(scenario(Reply("the turn", expect="repair"))) as server:
        assert "title" in said("anthropic", ask(server, "anthropic", **title))
        with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)) as wire:
            headers = {"session-id": "c1", "x-codex-turn-metadata": '{"request_kind": "compaction"}'}
            wire.request("POST", "/v1/responses", json.dumps(body("openai")), headers)
            wire.getresponse().read()
        assert said("anthropic", ask(server, "anthropic")) == "the turn"
        assert [r.kind for r in server.requests] == ["side", "compaction", "turn"]
        assert server.turns[0].expected is True
        assert server.billed("c1") == Usage(300, output_tokens=30)


def test_a_refused_connection() -> None:
    with refusing() as url:
        port = int(url.rpartition(":")[2])
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)


def test_what_is_said_in_a_conversation_is_told_apart_by_who_said_it() -> None:
    asks = {
        "model": "m",
        "stream": True,
        "instructions": "be brief",
        "input": [
            {"role": "developer", "content": [{"type": "input_text", "text": "the rules"}]},
            {"role": "user", "content": [{"type": "input_text", "text": "one"}]},
            {"role": "assistant", "content": [{"type": "output_text", "text": "done"}]},
            {"type": "function_call_output", "call_id": "c", "output": "tool text"},
            {"role": "user", "content": "two"},
        ],
    }
    with serve(scenario(Reply("x"))) as server, asked(server, "openai", asks) as answer:
        answer.read()
        assert server.turns[0].users == ("one", "two")
        assert server.turns[0].instructions == "be brief\nthe rules"
