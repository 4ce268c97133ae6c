"""One connection: reads requests, answers by the script. Every wait is on file descriptors, so that the server's end ends it."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import select
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from typing import Any, Protocol, cast

from tests.fakemodel import anthropic, openai
from tests.fakemodel.event import Event
from tests.fakemodel.gate import Gate
from tests.fakemodel.log import Kind, Provider, Request, Sent, hashed_key
from tests.fakemodel.play import Play
from tests.fakemodel.scenario import Cut, Drop, Fault, Reply, Stall, Status, StreamError
from tests.fakemodel.usage import usage_of

_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}
_CONVERSATION = ("x-claude-code-session-id", "session-id", "session_id", "thread-id", "conversation_id")


class Gone(Exception):  # noqa: N818 -- no error: it ends a connection
    """The client left, or the server closes."""


class Listener(Protocol):
    """What a connection needs of its server."""

    play: Play


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    current: Request

    @property
    def play(self) -> Play:
        """Whose connection this is."""
        return cast("Listener", self.server).play

    def log_message(self, *_: Any) -> None:
        """Nothing on standard error."""

    def handle(self) -> None:
        with contextlib.suppress(Gone, ConnectionError, ValueError):  # ValueError: the socket was closed under a read
            super().handle()

    def _any(self) -> None:
        raw = self._body()
        headers = {name.lower(): value for name, value in self.headers.items()}
        key = hashed_key(headers)
        request = Request(time.monotonic(), self.command, self.path, headers, _json(raw), len(raw), key)
        self.current = request
        path = self.path.partition("?")[0]
        if headers.get("upgrade", "").lower() == "websocket":
            self._plain(request, "websocket", 426)
        elif path.endswith("/count_tokens"):
            self._plain(request, "count_tokens", 200, {"input_tokens": max(1, len(raw) // 4)})
        elif self.command == "POST" and path.endswith("/v1/responses"):
            self._model(request, "openai")
        elif self.command == "POST" and path.endswith("/v1/messages"):
            self._model(request, "anthropic")
        elif path.endswith("/v1/models"):
            self._plain(request, "models", 200, {"object": "list", "data": [], "models": [], "has_more": False})
        elif path == "/":
            self._plain(request, "root", 200)
        else:
            self._plain(request, "unknown", 404)

    do_GET = do_POST = do_HEAD = do_PUT = do_DELETE = _any  # noqa: N815 -- names that the base class wants

    def do_CONNECT(self) -> None:
        """Whoever takes this server for a proxy is refused, and known."""
        request = Request(time.monotonic(), "CONNECT", self.path, {}, {}, 0)
        self._plain(request, "connect", 403)

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            raw = b""
            while size := int(self.rfile.readline().partition(b";")[0], 16):
                raw += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        return gzip.decompress(raw) if self.headers.get("content-encoding") == "gzip" else raw

    def _plain(self, request: Request, kind: Kind, status: int, body: dict[str, Any] | None = None) -> None:
        request.kind = kind
        self.play.log.add(request)
        self._send_json(request, status, body or {})

    def _model(self, request: Request, provider: Provider) -> None:
        play = self.play
        request.provider = provider
        request.conversation = _conversation(request)
        request.kind = _kind(request)
        fault: Fault | None = None
        reply = play.scenario.side
        if request.kind == "turn":
            script, request.reply, reply, fault = play.pick(request.conversation, "\n".join(request.users))
            request.script, request.fault = script.name, fault
        if reply.late:
            reply = replace(reply, calls=tuple(reply.late(request.text)))
        if reply.expect:
            request.expected = re.search(reply.expect, request.text, re.DOTALL) is not None
        if not isinstance(fault, Status | Drop) and not (isinstance(fault, Stall) and fault.after is None):
            usage = usage_of(reply.usage, request.body_bytes, request.body)
            request.usage = (
                usage if provider == "openai" else replace(usage, reasoning_tokens=0)
            )  # not told apart there
        play.log.add(request)
        if reply.seconds:
            self._hold(seconds=reply.seconds)
        if reply.hold:
            self._hold(reply.hold)
        self._answer(request, provider, reply, fault)
        play.log.touch()

    def _answer(self, request: Request, provider: Provider, reply: Reply, fault: Fault | None) -> None:
        api = openai if provider == "openai" else anthropic
        match fault:
            case Status(code, retry_after, kind, message, more):
                headers = dict(more) | ({} if retry_after is None else {"retry-after": f"{retry_after:g}"})
                body = api.error(kind or _KINDS.get(code, "api_error"), message or f"injected {code}")
                self._send_json(request, code, body, headers)
            case Drop():
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
            case Stall(after=None):
                self._hold()
            case _:
                told = fault if isinstance(fault, StreamError) else None
                assert request.usage is not None
                events = api.events(reply, request.body, request.usage, told)
                if request.body.get("stream"):
                    self._stream(request, events, reply, fault)
                else:
                    request.told = request.usage
                    self._send_json(request, 200, api.document(events))

    def _send_json(
        self, request: Request, status: int, body: dict[str, Any], headers: dict[str, str] | None = None
    ) -> None:
        data = json.dumps(body).encode()
        request.status = status
        self.send_response(status)
        for name, value in {
            "content-type": "application/json",
            "content-length": str(len(data)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self._write(request, data, chunked=False)
        request.complete = True
        self.play.log.touch()

    def _stream(self, request: Request, events: Iterator[Event], reply: Reply, fault: Fault | None) -> None:
        squeeze = zlib.compressobj(wbits=31) if reply.gzip else None
        request.status = 200
        self.send_response(200)
        for name, value in (
            ("content-type", "text/event-stream"),
            ("cache-control", "no-cache"),
            ("transfer-encoding", "chunked"),
        ):
            self.send_header(name, value)
        if squeeze:
            self.send_header("content-encoding", "gzip")
        self.end_headers()
        for number, event in enumerate(events):
            if isinstance(fault, Cut) and number >= fault.after:
                if fault.clean:
                    self.wfile.write(b"0\r\n\r\n")
                self.close_connection = True
                return
            if isinstance(fault, Stall) and fault.after is not None and number >= fault.after:
                self._hold()
            data = event.text(number if request.provider == "openai" else None)
            if squeeze:
                data = squeeze.compress(data) + squeeze.flush(zlib.Z_SYNC_FLUSH)
            self._pieces(request, data, reply)
            request.told = event.told or request.told
        if squeeze:
            self._write(request, squeeze.flush())
        request.complete = True  # a client may leave now, before the end mark
        self.wfile.write(b"0\r\n\r\n")

    def _pieces(self, request: Request, data: bytes, reply: Reply) -> None:
        size = (reply.pace.size if reply.pace else 0) or len(data)
        for start in range(0, len(data), size):
            if reply.pace:
                self._hold(reply.pace.gate)
            self._write(request, data[start : start + size])

    def _write(self, request: Request, data: bytes, *, chunked: bool = True) -> None:
        frame = b"%x\r\n%s\r\n" % (len(data), data) if chunked else data
        request.sent.append(Sent(time.monotonic(), data))
        try:
            self.wfile.write(frame)
        except ConnectionError as error:
            self._lost(request)
            raise Gone from error
        self.play.log.touch()

    def _lost(self, request: Request) -> None:
        request.left = True
        self.play.log.touch()

    def _hold(self, gate: Gate | None = None, *, seconds: float | None = None) -> None:
        """Wait for a step of the gate, or `seconds`, or for ever.

        Raises:
            Gone: the client left or the server closes.
        """
        until = None if seconds is None else time.monotonic() + seconds
        watched: list[Any] = [self.connection, self.play.closer, *([gate.reader] if gate else [])]
        while True:
            left = None if until is None else max(0.0, until - time.monotonic())
            ready, _, _ = select.select(watched, (), (), left)
            if not ready:
                return
            if self.play.closer in ready:
                raise Gone
            if self.connection in ready:
                if not self.connection.recv(1, socket.MSG_PEEK):
                    self._lost(self.current)
                    raise Gone
                watched.remove(self.connection)  # the next request waits its turn
            if gate and gate.reader in ready and gate.passed():
                return


def _json(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
    except ValueError:
        return {"unreadable": repr(raw[:200])} if raw else {}
    return cast("dict[str, Any]", body) if isinstance(body, dict) else {"unreadable": body}


def _conversation(request: Request) -> str:
    for name in _CONVERSATION:
        if request.headers.get(name):
            return request.headers[name]
    return str(request.body.get("prompt_cache_key") or "")


def _kind(request: Request) -> Kind:
    """Whether a model call belongs to its conversation's script."""
    if request.provider == "openai":
        described = _json(request.headers.get("x-codex-turn-metadata", "").encode())
        kind = described.get("request_kind") or "turn"
        return "turn" if kind == "turn" else "compaction" if kind == "compaction" else "side"
    schema = ((request.body.get("output_config") or {}).get("format") or {}).get("schema") or {}
    if not request.body.get("tools") and (
        list(schema.get("properties") or {}) == ["title"] or request.body.get("max_tokens") == 1
    ):
        return "side"
    last = request.users[-1] if request.users else ""
    return "compaction" if "Do NOT call any tools" in last and "<summary>" in last else "turn"
