"""What the gateway's tests share: a gateway before a scripted server, and a client that reads an answer piece by piece."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.fakemodel import Server
from zwarm_ci.gateway.client import Gateway
from zwarm_ci.purse import Limits
from zwarm_ci.task import Endpoint

OPENAI_KEY = "sk-test-openai-0123456789abcdef"
ANTHROPIC_KEY = "sk-ant-test-0123456789abcdef"
CODEX_MODEL, CLAUDE_MODEL = "gpt-5.1-codex-mini", "claude-sonnet-4-5"
PATHS = {"codex": "/v1/responses", "claude": "/v1/messages?beta=true"}


def environ(url: str, **more: str) -> dict[str, str]:
    """Of a caller who has both keys, and whose providers are at `url`."""
    keys = {"OPENAI_API_KEY": OPENAI_KEY, "ANTHROPIC_API_KEY": ANTHROPIC_KEY}
    return {**keys, "OPENAI_BASE_URL": f"{url}/v1", "ANTHROPIC_BASE_URL": url, **more}


def dollars(
    run: str | Decimal | None = None, task: str | Decimal | None = None, day: str | Decimal | None = None
) -> Limits:
    """Limits."""
    return Limits(*(None if x is None else Decimal(x) for x in (run, task, day)))


@contextlib.contextmanager
def gateway(
    server: Server | str | None, limits: Limits | None = None, *, day_file: Path | None = None, env: dict[str, str] | None = None,
    **terms: Any,
) -> Iterator[Gateway]:  # fmt: skip
    """A gateway that serves; its upstream is `server`."""
    url = server if isinstance(server, str) or server is None else server.url
    found = Gateway.start({**(environ(url) if url else {}), **(env or {})})
    try:
        found.serve(limits or Limits(), day_file=day_file, **terms)
        yield found
    finally:
        found.close()


def opened(gate: Gateway, adapter: str = "codex", session: str = "s1", task: str = "t1", **more: Any) -> Endpoint:
    """The endpoint of a session."""
    return gate.open(session, task=task, adapter=adapter, model="", **more)


def body(adapter: str, text: str = "hello", *, stream: bool = True, **more: Any) -> dict[str, Any]:
    """A small request."""
    message = {"role": "user", "content": text}
    if adapter == "codex":
        return {"model": CODEX_MODEL, "input": [message], "stream": stream, **more}
    return {"model": CLAUDE_MODEL, "max_tokens": 1000, "messages": [message], "stream": stream, **more}


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    headers: dict[str, str]
    data: bytes

    @property
    def error(self) -> str:
        """The error's text."""
        return str(json.loads(self.data)["error"]["message"])

    @property
    def events(self) -> list[str]:
        """Types of the events."""
        return [line[7:] for line in self.data.decode().splitlines() if line.startswith("event: ")]


@contextlib.contextmanager
def call(
    endpoint: Endpoint, path: str, data: dict[str, Any] | bytes | None, *, method: str = "POST", headers: dict[str, str] | None = None,
    token: str | None = None,
) -> Iterator[http.client.HTTPResponse]:  # fmt: skip
    """A request whose answer has begun; the connection is closed when the block is left."""
    host = urlsplit(endpoint.url).netloc
    connection = http.client.HTTPConnection(host, timeout=60)
    raw = data if isinstance(data, bytes | None) else json.dumps(data).encode()
    auth = {"authorization": f"Bearer {endpoint.token if token is None else token}"}
    try:
        connection.request(method, path, raw, {"content-type": "application/json", **auth, **(headers or {})})
        yield connection.getresponse()
    finally:
        if connection.sock is not None:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)
        connection.close()


def post(endpoint: Endpoint, adapter: str, data: dict[str, Any] | bytes | None = None, **more: Any) -> Answer:
    """A call and its whole answer."""
    with call(endpoint, PATHS[adapter], body(adapter) if data is None else data, **more) as response:
        return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, response.read())
