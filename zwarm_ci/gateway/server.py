"""Listens on loopback, passes model calls on with the real key, and lets every byte through as it comes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

from zwarm_ci import pricing
from zwarm_ci.errors import BlockedError, LimitError
from zwarm_ci.gateway import admit, normal, routes
from zwarm_ci.gateway.admit import Ask, RefusedError
from zwarm_ci.gateway.cassette import Exchange, Player, Recorder
from zwarm_ci.gateway.desk import Desk, Session, Ticket
from zwarm_ci.gateway.meter import Meter
from zwarm_ci.gateway.relay import Relay
from zwarm_ci.gateway.routes import Route
from zwarm_ci.gateway.upstream import APIS, Upstream, trust
from zwarm_ci.pricing import ModelOverride
from zwarm_ci.purse import Limits, Purse
from zwarm_ci.scrub import one_line

_BODY = 64 * 1024 * 1024  # bytes of a request; both vendors take less
_CONNECT = 30.0  # seconds to reach a provider; how long an answer takes is the session's limit, not ours
#: An idle connection is not used again after this many seconds: local servers close theirs after 5, and a request lost to
#: that race would be one more than without us.
_IDLE = 4.0
_HEADERS = 64 * 1024  # bytes of a header; codex describes a whole turn in one
_KEEP = 3600.0  # seconds that a CLI's idle connection is kept: its commands may run that long between two calls
_COUNT = 10.0  # seconds for the provider to count a request's tokens


@dataclass(frozen=True, slots=True)
class Terms:
    """How a run is served, as `client.Gateway.serve` says it."""

    limits: Limits
    day_file: Path | None
    models: tuple[ModelOverride, ...]
    record: Path | None
    replay: Path | None
    unpriced_ok: bool
    hosted_ok: bool
    spent: Mapping[str, Decimal] = field(default_factory=dict)


class Server:
    """The proxy of one run. `start` before anything else.

    Raises:
        BlockedError: certificates, prices or the cassette are unusable.
    """

    def __init__(self, terms: Terms, upstreams: Mapping[str, Upstream], network: Mapping[str, str]) -> None:
        try:
            models = pricing.registry(terms.models)
        except ValueError as error:
            raise BlockedError(str(error)) from error
        self.replays = terms.replay is not None
        self._upstreams = dict(upstreams)
        self._trust = trust(network)
        self._player = Player(terms.replay) if terms.replay else None
        keys = [upstream.key for upstream in upstreams.values() if upstream.key]
        self._recorder = Recorder(terms.record, keys) if terms.record else None
        self._limited = terms.limits != Limits()
        purse = Purse(terms.limits, terms.day_file, unproven=terms.unpriced_ok, spent=terms.spent)
        self.desk = Desk(purse, models, unpriced_ok=terms.unpriced_ok, hosted_ok=terms.hosted_ok, free=self.replays)
        self.url = ""
        self._runner: web.ServerRunner | None = None
        self._client: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Listen on a free port of 127.0.0.1."""
        pricing.price_source(
            "no model of any table", self.desk.models
        )  # loads the price package now, not within a call
        # The protocol is named: without it asyncio does not set TCP_NODELAY, and each call waits 40 ms for an acknowledgement.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.bind(("127.0.0.1", 0))
        connector = aiohttp.TCPConnector(ssl=self._trust, limit=0, keepalive_timeout=_IDLE)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT)
        self._client = aiohttp.ClientSession(
            connector=connector, timeout=timeout, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("user-agent", "accept", "accept-encoding", "content-type"), trust_env=False,
            max_line_size=_HEADERS, max_field_size=_HEADERS,
        )  # fmt: skip
        server = web.Server(
            self._handle, handler_cancellation=True, access_log=None, keepalive_timeout=_KEEP, max_line_size=_HEADERS,
            max_field_size=_HEADERS,
        )  # fmt: skip
        self._runner = web.ServerRunner(server, shutdown_timeout=0.0)
        await self._runner.setup()
        await web.SockSite(self._runner, listener, backlog=256).start()
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    async def close(self) -> None:
        """Cut off what is under way, book it, and stop to listen."""
        await self.desk.end()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._client is not None:
            await self._client.close()

    def open(self, message: Mapping[str, Any]) -> tuple[str, str]:
        """URL and token of a session.

        Raises:
            BlockedError: there is neither key nor upstream for the adapter.
        """
        adapter = str(message["adapter"])
        if adapter not in APIS or not (self.replays or adapter in self._upstreams):
            raise BlockedError(
                f"the gateway has no key for {adapter}", remedy="set the provider's key in the environment"
            )
        places = tuple(map(str, message["places"]))
        return self.url, self.desk.open(
            str(message["session"]), str(message["task"]), adapter, str(message["model"]), places
        )

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        method, path = (
            request.method,
            request.raw_path.partition("?")[0],
        )  # as it came: nothing is decoded, no host cut off
        if (method, path) == ("HEAD", "/"):
            return web.Response()  # Claude asks whether we are there
        route = routes.ROUTES.get((method, path))
        if route is None:
            status = 400 if path == "/v1/responses" else 404  # codex asks for a websocket there
            return _refused(f"zwarm-ci: {method} {one_line(path, 80)} is nothing that goes through the gateway", status)
        session = self.desk.session_of(routes.token_of({k.lower(): v for k, v in request.headers.items()}))
        if session is None:
            return _refused("zwarm-ci: this token opens nothing; the session it was for is over")
        if route.api not in {None, APIS[session.adapter]}:
            return _refused(
                self.desk.deny(session, f"the token is one of {session.adapter}, which does not use {path}")
            )
        this = asyncio.current_task()
        assert this is not None
        session.open.add(this)
        try:
            return await self._serve(request, route, session)
        finally:
            session.open.discard(this)

    async def _serve(self, request: web.BaseRequest, route: Route, session: Session) -> web.StreamResponse:
        name = f"{request.method} {request.rel_url.raw_path}"
        tape = _Tape(self._recorder, session, name)
        try:
            raw = await _body(request)
            session.request_bytes += len(raw)
            ask = admit.read(APIS[session.adapter], raw) if route.kind != "models" else None
            if tape.on or self.replays:
                await asyncio.to_thread(tape.asked, ask)
            if self._player is not None:
                return await self._replay(request, session, tape.exchange(), ask)
            if ask is None or route.kind == "count":
                return await self._pass(request, session, None, ask.raw if ask else None, tape)
            ticket = await self.desk.admit(session, ask, lambda a: self._count(session, a))
        except (RefusedError, LimitError) as error:
            over = isinstance(error, LimitError)
            said = self.desk.deny(session, error.line if isinstance(error, LimitError) else str(error), over=over)
            tape.denied(said, self.desk, over=over)
            return _refused(said)
        return await self._pass(request, session, ticket, ticket.ask.raw, tape)

    async def _pass(
        self, request: web.BaseRequest, session: Session, ticket: Ticket | None, body: bytes | None, tape: _Tape
    ) -> web.StreamResponse:
        """One call to the provider, booked whatever becomes of it."""
        upstream = self._upstreams[session.adapter]
        relay = Relay(request, upstream, streams=ticket is not None and ticket.ask.stream)
        session.calls += request.method == "POST"
        assert self._client is not None
        try:
            headers = routes.to_upstream(request.headers.items(), upstream.auth(), limited=self._limited)
            url = URL(upstream.url(request.rel_url.raw_path, request.rel_url.raw_query_string), encoded=True)
            return await relay.run(self._client, url, headers, body, keep=tape.on)
        finally:
            reading = relay.reading()
            session.retry_after = relay.retry_after
            if ticket is not None:
                self.desk.settle(ticket, reading)
            tape.answered(relay, reading, self.desk)

    async def _count(self, session: Session, ask: Ask) -> int | None:
        """The provider's own count of a request's input tokens; None where it is not the vendor, or does not say."""
        upstream = self._upstreams[session.adapter]
        if not upstream.counts:
            return None
        path = "/v1/messages/count_tokens" if upstream.api == "anthropic" else "/v1/responses/input_tokens"
        headers = {**upstream.auth(), "content-type": "application/json"}
        headers |= {"anthropic-version": "2023-06-01"} if upstream.api == "anthropic" else {}
        assert self._client is not None
        try:
            async with self._client.post(
                URL(upstream.url(path), encoded=True), data=admit.counting_body(ask), headers=headers, proxy=upstream.proxy,
                timeout=aiohttp.ClientTimeout(total=_COUNT), allow_redirects=False,
            ) as answer:  # fmt: skip
                said = json.loads(await answer.read()) if answer.status == 200 else {}
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return None
        tokens = said.get("input_tokens") if isinstance(said, dict) else None
        return tokens if isinstance(tokens, int) and tokens > 0 else None

    async def _replay(
        self, request: web.BaseRequest, session: Session, asked: Exchange, ask: Ask | None
    ) -> web.StreamResponse:
        assert self._player is not None
        found = self._player.find(asked)
        if found.denied:
            return _refused(self.desk.deny(session, found.denied, over=found.over))
        session.calls += request.method == "POST"
        headers = dict(found.headers)
        stream = headers.get("content-type", "").startswith("text/event-stream")
        meter = Meter(APIS[session.adapter], stream=stream)
        response = web.StreamResponse(status=found.status, headers=headers)
        if request.version >= aiohttp.HttpVersion11:
            response.enable_chunked_encoding()
        try:
            with contextlib.suppress(ConnectionError):  # the CLI may leave as soon as it has what it wants
                await response.prepare(request)
                for piece in found.pieces:
                    data = normal.lower(piece, session.places).encode("utf-8", "surrogateescape")
                    meter.feed(data)
                    await response.write(data)
                if found.whole:
                    await response.write_eof()
                elif request.transport is not None:
                    request.transport.close()
        finally:
            if ask is not None and 200 <= found.status < 300 and asked.route.endswith(("/responses", "/messages")):
                self.desk.settle(Ticket(session, ask, None), meter.close())
        return response


class _Tape:
    """What is kept of one exchange where the run is recorded, and how a request is recognised where it is replayed."""

    def __init__(self, recorder: Recorder | None, session: Session, route: str) -> None:
        self._recorder, self._session, self._route = recorder, session, route
        self._number = recorder.number() if recorder else 0
        self._lines: tuple[str, ...] = ()

    @property
    def on(self) -> bool:
        """Whether the answer's bytes are wanted."""
        return self._recorder is not None

    def asked(self, ask: Ask | None) -> None:
        self._lines = normal.request_lines(ask.body, self._session.places) if ask else ()

    def exchange(self, **answer: Any) -> Exchange:
        session = self._session
        fields: dict[str, Any] = {"status": 0, "headers": (), "pieces": (), **answer}
        return Exchange(self._number, session.adapter, session.task, self._route, self._lines, **fields)

    def denied(self, said: str, desk: Desk, *, over: bool) -> None:
        if self._recorder:
            self._write(desk, self.exchange(status=400, denied=said, over=over), b"")

    def answered(self, relay: Relay, reading: Any, desk: Desk) -> None:
        if self._recorder and relay.status:
            usage = {"usage": reading.usage} if reading else {}
            answer = {"status": relay.status, "headers": tuple(relay.headers), "whole": relay.whole, **usage}
            self._write(desk, self.exchange(**answer), bytes(relay.kept))

    def _write(self, desk: Desk, exchange: Exchange, body: bytes) -> None:
        recorder = self._recorder
        assert recorder is not None
        desk.later(self._session, asyncio.to_thread(recorder.keep, exchange, body, self._session.places))


async def _body(request: web.BaseRequest) -> bytes:
    """The request's body, decompressed where it was compressed.

    Raises:
        RefusedError: it is too large, or compressed in a way that is not read here.
    """
    if request.headers.get("content-encoding", "identity").lower() not in {"identity", "gzip", "deflate"}:
        raise RefusedError("the request is compressed in a way that the gateway does not read")
    data = bytearray()
    async for piece in request.content.iter_any():
        data += piece
        if len(data) > _BODY:
            raise RefusedError(f"the request is larger than {_BODY >> 20} MiB")
    return bytes(data)


def _refused(text: str, status: int = 400) -> web.Response:
    return web.Response(status=status, body=routes.refusal(text), content_type="application/json")
