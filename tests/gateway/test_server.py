"""The gateway over HTTP: what goes through and what does not, limits, errors of the providers."""

from __future__ import annotations

import http.client
import json
import threading
import time
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.fakemodel import Derived, Drop, Gate, Reply, Server, Status, key_hash, refusing, scenario, serve
from tests.gateway import house
from tests.gateway.house import ANTHROPIC_KEY, OPENAI_KEY, body, call, dollars, gateway, opened, post
from tests.gateway.upstream import Raw, raw_server
from zwarm_ci.errors import BlockedError, UsageError, ZwarmError
from zwarm_ci.gateway.client import Gateway
from zwarm_ci.pricing import ModelOverride
from zwarm_ci.purse import Limits
from zwarm_ci.task import Usage

ADAPTERS = ("codex", "claude")
KEYS = {"codex": OPENAI_KEY, "claude": ANTHROPIC_KEY}


def endless(reply: Reply) -> Server:
    return serve(scenario(*[reply] * 200))


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_call_with_the_real_key_and_its_usage(adapter: str) -> None:
    usage = Usage(100, 30, 20, 40)
    with (
        serve(scenario(Reply("hi", usage=usage), Reply("again", usage=usage, gzip=True))) as server,
        gateway(server) as gate,
    ):
        endpoint = opened(gate, adapter)
        assert post(endpoint, adapter).events[-1] in {"response.completed", "message_stop"}
        answer = post(
            endpoint,
            adapter,
            headers={"accept-encoding": "gzip, br", "connection": "x-mine", "x-mine": "1", "cookie": "c"},
        )
        assert answer.events[-1] in {"response.completed", "message_stop"}
        assert "content-encoding" not in answer.headers
        metered = gate.usage("s1")
        assert metered.total == usage + usage == server.billed()
        assert metered.calls == 2
        assert metered.cost_usd == gate.totals().spent > 0
        assert metered.request_bytes == 2 * len(json.dumps(body(adapter)))
        for request in server.requests:
            assert request.key == key_hash(KEYS[adapter])
            assert endpoint.token not in json.dumps(request.headers)
            assert request.headers["accept-encoding"] == "identity"
            assert not {"x-mine", "cookie"} & request.headers.keys()


def test_claudes_key_header_and_its_first_question() -> None:
    with endless(Reply("hi")) as server, gateway(server) as gate:
        endpoint = opened(gate, "claude")
        with call(endpoint, "/", None, method="HEAD", token="") as response:
            assert response.status == 200
        assert post(endpoint, "claude", token="", headers={"x-api-key": endpoint.token}).status == 200
        assert [r.path for r in server.requests] == ["/v1/messages?beta=true"]


REFUSED: dict[str, tuple[str, str, int]] = {
    "a websocket": ("GET", "/v1/responses", 400),
    "another path": ("POST", "/v1/files", 404),
    "another method": ("DELETE", "/v1/models", 404),
    "a path outside": ("POST", "//evil.example.org/v1/responses", 404),
    "dots": ("POST", "/v1/../v1/responses", 404),
    "escaped": ("POST", "/v1/%72esponses", 404),
    "a proxy's": ("CONNECT", "evil.example.org:443", 404),
    "a whole URL": ("GET", "http://evil.example.org/v1/models", 404),
}


@pytest.mark.parametrize(("method", "path", "status"), REFUSED.values(), ids=REFUSED)
def test_nothing_else_goes_through(method: str, path: str, status: int) -> None:
    with endless(Reply("hi")) as server, gateway(server) as gate:
        endpoint = opened(gate)
        began = time.monotonic()
        with call(
            endpoint,
            path,
            None,
            method=method,
            headers={"connection": "Upgrade", "upgrade": "websocket"} if status == 400 else {},
        ) as response:
            assert response.status == status
        assert time.monotonic() - began < 5
        assert server.requests == []


@pytest.mark.parametrize("token", ["", "x", "zw-" + "a" * 43, "\xff\xfe", "Bearer"])
def test_a_token_that_opens_nothing(token: str) -> None:
    with endless(Reply("hi")) as server, gateway(server) as gate:
        endpoint = opened(gate)
        answer = post(endpoint, "codex", token=token)
        assert answer.status == 400
        assert answer.error.startswith("zwarm-ci: this token opens nothing")
        assert server.requests == []


def test_a_token_lives_as_long_as_its_session() -> None:
    with endless(Reply("hi")) as server, gateway(server) as gate:
        first, other = opened(gate), opened(gate, session="s2")
        second = opened(gate)
        assert post(first, "codex").status == 400
        assert post(second, "codex").status == 200
        assert post(second, "claude").error.startswith("zwarm-ci: the token is one of codex")
        gate.shut("s1")
        assert post(second, "codex").status == 400
        assert post(other, "codex").status == 200
        assert gate.usage("s1").calls == 1
        assert (gate.usage("s1").denied, gate.usage("s1").over) == (1, 0)
        assert len(server.requests) == 2


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("which", ["run", "task", "day"])
def test_past_a_limit_nothing_goes_out(adapter: str, which: str, tmp_path: Path) -> None:
    with endless(Reply("hi", usage=Derived())) as server:
        limit = Decimal(
            "0.005" if adapter == "codex" else "0.04"
        )  # enough for two answers of 1,000 tokens, and a part of one
        asked = body(adapter) | ({"max_output_tokens": 1000} if adapter == "codex" else {})
        with gateway(server, dollars(**{which: limit}), day_file=tmp_path / "day.json") as gate:
            endpoint = opened(gate, adapter)
            answers: list[house.Answer] = []
            while not answers or answers[-1].status == 200:
                answers.append(post(endpoint, adapter, asked))
            assert answers[-1].status == 400
            said = answers[-1].error
            assert said.startswith("zwarm-ci: ")
            assert f"budget.{'' if which == 'run' else which + '_'}usd" in said
            assert "spent" in said
            metered = gate.usage("s1")
            assert metered.denied == metered.over == 1
            assert metered.denial == said
            assert 0 < metered.cost_usd <= limit
            assert metered.total == server.billed()
            limits = [int(r.body.get("max_tokens") or r.body["max_output_tokens"]) for r in server.requests]
            assert limits[0] == 1000
            assert 0 < limits[-1] < 1000  # clamped to what was left
            if which == "task":
                assert post(opened(gate, adapter, session="s2", task="t2"), adapter).status == 200


def test_the_day_goes_on_over_runs(tmp_path: Path) -> None:
    with endless(Reply("hi", usage=Usage(50, 0, 0, 900))) as server:
        spent = Decimal(0)
        for _ in range(2):
            with gateway(server, dollars(day="10"), day_file=tmp_path / "day.json") as gate:
                assert post(opened(gate, "claude"), "claude").status == 200
                spent += gate.usage("s1").cost_usd
                assert gate.totals().spent_today == spent
        with gateway(server, dollars(day=spent), day_file=tmp_path / "day.json") as gate:
            assert "budget.day_usd" in post(opened(gate, "claude"), "claude").error


def test_a_call_waits_for_what_others_have_set_aside() -> None:
    hold = Gate()
    replies = (Reply("slow", usage=Usage(10, 0, 0, 10), hold=hold), Reply("quick", usage=Usage(10, 0, 0, 10)))
    with serve(scenario(*replies)) as server, gateway(server, dollars(run="0.02")) as gate:
        one, two = opened(gate, "claude"), opened(gate, "claude", session="s2")
        large = body("claude", max_tokens=100_000)  # as much as there is
        got: dict[str, int] = {}
        first = threading.Thread(target=lambda: got.update(one=post(one, "claude", large).status))
        first.start()
        server.wait(lambda requests: len(requests) == 1)
        second = threading.Thread(target=lambda: got.update(two=post(two, "claude", large).status))
        second.start()
        second.join(0.3)
        assert len(server.requests) == 1
        assert got == {}
        hold.step()
        first.join(20)
        second.join(20)
        assert got == {"one": 200, "two": 200}


def test_who_cannot_be_helped_by_waiting_does_not_wait() -> None:
    hold = Gate()
    with serve(scenario(Reply("slow", hold=hold))) as server, gateway(server, dollars(run="5", task="0.00001")) as gate:
        unlimited = opened(gate, session="s2")
        gate.shut("s2")
        del unlimited
        poor = opened(gate, session="s3", task="poor")
        assert "budget.task_usd" in post(poor, "codex").error
        hold.open()


def test_a_model_without_a_price() -> None:
    own = body("codex") | {"model": "somebody-s-own-7b"}
    with endless(Reply("hi")) as server:
        with gateway(server, dollars(run="1")) as gate:
            answer = post(opened(gate), "codex", own)
            assert answer.status == 400
            assert '[models."somebody-s-own-7b"]' in answer.error
        assert server.requests == []
        with gateway(server, dollars(run="1"), unpriced_ok=True) as gate:
            assert post(opened(gate), "codex", own).status == 200
            assert gate.usage("s1").unpriced_tokens == gate.totals().unpriced_tokens == 110
            assert gate.usage("s1").cost_usd == 0
        prices = ModelOverride("somebody-s-own-7b", "codex", input=Decimal(1), output=Decimal(2))
        with gateway(server, dollars(run="1"), models=[prices]) as gate:
            assert post(opened(gate), "codex", own).status == 200
            assert gate.usage("s1").cost_usd == Decimal("0.00012")


def test_an_answer_of_an_unknown_model_ends_what_can_be_proven() -> None:
    with endless(Reply("hi", model="changed-under-us-9")) as server, gateway(server, dollars(run="1")) as gate:
        endpoint = opened(gate)
        assert post(endpoint, "codex").status == 200
        assert gate.usage("s1").unpriced_tokens == 110
        assert "price of 110 tokens is unknown" in post(endpoint, "codex").error
        assert gate.totals().spent > 0  # what it can have cost at most


def test_the_model_that_answered_is_the_one_that_is_paid() -> None:
    with (
        endless(Reply("hi", model="claude-haiku-4-5-20251001", usage=Usage(1000, 0, 0, 1000))) as server,
        gateway(server) as gate,
    ):
        post(opened(gate, "claude"), "claude")
        assert gate.usage("s1").usage == (("claude-haiku-4-5-20251001", Usage(1000, 0, 0, 1000)),)
        assert gate.usage("s1").cost_usd == Decimal("0.006")


def test_side_requests_count() -> None:
    with endless(Reply("hi")) as server, gateway(server) as gate:
        endpoint = opened(gate, "claude")
        title = body("claude") | {"output_config": {"format": {"schema": {"properties": {"title": {}}}}}}
        assert post(endpoint, "claude", title).status == 200
        with call(endpoint, "/v1/messages/count_tokens", body("claude")) as response:
            assert response.status == 200
        with call(endpoint, "/v1/models", None, method="GET") as response:
            assert response.status == 200
        assert {r.kind for r in server.requests} >= {"count_tokens", "models"}
        assert gate.usage("s1").calls == 2
        assert gate.usage("s1").total == server.billed()


ERRORS = [Status(429, 7.0), Status(429), Status(500), Status(401), Status(529), Status(400)]


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("fault", ERRORS, ids=lambda f: f"{f.code} {f.retry_after or ''}")
def test_the_providers_errors_pass_and_cost_nothing(adapter: str, fault: Status) -> None:
    with serve(scenario(Reply("hi", fault=fault))) as server, gateway(server, dollars(run="1")) as gate:
        endpoint = opened(gate, adapter)
        answer = post(endpoint, adapter)
        assert answer.status == fault.code
        assert answer.error == f"injected {fault.code}"
        assert answer.headers.get("retry-after") == (f"{fault.retry_after:g}" if fault.retry_after else None)
        assert gate.usage("s1").cost_usd == 0
        assert gate.usage("s1").unmetered == 0
        assert post(endpoint, adapter).status == 200
        assert gate.usage("s1").total == server.billed()


def test_nobody_at_the_upstream() -> None:
    with refusing() as url, gateway(url, dollars(run="1")) as gate:
        answer = post(opened(gate), "codex")
        assert answer.status == 502
        assert answer.error.startswith("zwarm-ci: 127.0.0.1 cannot be reached")
        assert gate.totals().spent == 0
        assert gate.usage("s1").unmetered == 0


def test_a_connection_that_is_reset_before_it_answers() -> None:
    with serve(scenario(Reply("hi", fault=Drop()))) as server, gateway(server, dollars(run="1")) as gate:
        endpoint = opened(gate)
        assert post(endpoint, "codex").status == 502
        assert gate.usage("s1").cost_usd == 0
        assert gate.usage("s1").unmetered == 1
        assert post(endpoint, "codex").status == 200


ODD: dict[str, tuple[Raw, int, str]] = {
    "brotli": (Raw(headers={"content-encoding": "br"}, body=b"\x00" * 20), 502, "compressed as br"),
    "zstd": (Raw(headers={"content-encoding": "zstd"}, body=b"\x00" * 20), 502, "compressed as zstd"),
    "a redirect": (Raw(302, {"location": "http://127.0.0.1:1/evil"}), 400, "redirects"),
    "the key in an error": (
        Raw(401, {}, f'{{"error":{{"message":"wrong key {OPENAI_KEY}!"}}}}'.encode()),
        401,
        "wrong key ***!",
    ),
    "no HTTP": (Raw(0, {}, b"SSH-2.0-OpenSSH\r\n"), 502, "gave no answer"),
}


@pytest.mark.parametrize(("raw", "status", "said"), ODD.values(), ids=ODD)
def test_odd_upstreams(raw: Raw, status: int, said: str) -> None:
    with raw_server(raw) as url, gateway(url) as gate:
        answer = post(opened(gate), "codex")
        assert answer.status == status
        assert said in answer.error
        assert OPENAI_KEY.encode() not in answer.data


def test_a_proxy_is_used_and_its_login_not_told() -> None:
    with raw_server(Raw(200, {"content-type": "application/json"}, b'{"model":"x"}')) as proxy:
        env = {"http_proxy": proxy.replace("//", "//me:secret@"), "OPENAI_BASE_URL": "http://provider.example.org/v1"}
        with gateway(proxy, env=env) as gate:
            assert post(opened(gate), "codex").data == b'{"model":"x"}'
        env["http_proxy"] = "http://me:secret@127.0.0.1:1"
        with gateway(proxy, env=env) as gate:
            answer = post(opened(gate), "codex")
            assert answer.status == 502
            assert b"secret" not in answer.data


@pytest.mark.parametrize("data", [b"", b"{", b'{"model":"m"', b"[]"])
def test_requests_that_are_none(data: bytes) -> None:
    with endless(Reply("hi")) as server, gateway(server) as gate:
        answer = post(opened(gate), "codex", data)
        assert answer.status == 400
        assert answer.error.startswith("zwarm-ci: the request")
        assert server.requests == []


def test_a_request_that_is_too_large() -> None:
    with endless(Reply("hi")) as server, gateway(server) as gate:
        endpoint = opened(gate)
        answer = post(endpoint, "codex", body("codex", "x" * (9 << 20)))
        assert answer.status == 200
        connection = http.client.HTTPConnection(urlsplit(endpoint.url).netloc, timeout=60)
        connection.request(
            "POST",
            "/v1/responses",
            (b"x" * (1 << 20) for _ in range(66)),
            {"authorization": f"Bearer {endpoint.token}"},
        )
        response = connection.getresponse()
        assert response.status == 400
        assert b"larger than 64 MiB" in response.read()
        connection.close()


def test_it_listens_on_loopback_only() -> None:
    with endless(Reply("hi")) as server, gateway(server) as gate:
        port = f"{urlsplit(opened(gate).url).port:04X}"
        rows = [
            row.split() for kind in ("tcp", "tcp6") for row in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]
        ]
        assert [row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{port}")] == [f"0100007F:{port}"]


def test_a_header_as_long_as_codexs() -> None:
    with endless(Reply("hi")) as server, gateway(server) as gate:
        assert post(opened(gate), "codex", headers={"x-codex-turn-metadata": "x" * 40_000}).status == 200


def wrong(gate: Gateway, **terms: Any) -> str:
    with pytest.raises(ZwarmError) as caught:
        gate.serve(terms.pop("limits", Limits()), day_file=None, **terms)
    return caught.value.line


def test_what_is_asked_wrongly(tmp_path: Path) -> None:
    with endless(Reply("hi")) as server:
        gate = Gateway.start(house.environ(server.url))
        with pytest.raises(BlockedError, match="does not serve yet"):
            opened(gate)
        prices = [ModelOverride("x", "codex", aliases=("mini",), input=Decimal(1), output=Decimal(1))]
        assert "names both" in wrong(gate, models=prices)
        assert "no cassette" in wrong(gate, replay=tmp_path)
        gate.serve(Limits(), day_file=None)
        with pytest.raises(UsageError, match="serves already"):
            gate.serve(Limits(), day_file=None)
        with pytest.raises(BlockedError, match="no key for aider"):
            gate.open("s1", task="t", adapter="aider", model="")
        assert gate.usage("never opened").calls == 0
        gate.shut("never opened")
        gate.close()
        with pytest.raises(ZwarmError, match="the gateway is gone"):
            gate.totals()
        gate = Gateway.start({"SSL_CERT_FILE": str(tmp_path / "none.pem"), "OPENAI_API_KEY": "k"})
        assert gate.providers == {"codex"}
        assert "SSL_CERT_FILE" in wrong(gate)
        gate.close()
