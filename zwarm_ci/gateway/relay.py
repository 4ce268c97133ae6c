"""One request to the provider and its answer back to the CLI, byte by byte, metered on the way."""

from __future__ import annotations

import contextlib
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

from zwarm_ci.gateway import routes, unpack
from zwarm_ci.gateway.mask import Masker
from zwarm_ci.gateway.meter import Meter, Reading
from zwarm_ci.gateway.upstream import Upstream
from zwarm_ci.scrub import MASK

_BUSY = frozenset({429, 503, 529})  # statuses with which a provider asks to come back later
_ERROR_BODY = 1 << 20  # bytes of an error that are passed on


class Relay:
    """Of one call; `streams`: it asks for events.

    Attributes:
        status, headers: the provider's, as the CLI got them; 0 = it gave none. retry_after: seconds that it asked to wait, 0 = it did not.
        kept: the answer's bytes, where they are wanted. whole: it came to its end.
    """

    def __init__(self, request: web.BaseRequest, upstream: Upstream, *, streams: bool) -> None:
        self._request, self._upstream, self._streams = request, upstream, streams
        self._meter: Meter | None = None
        self._sent = False
        self._mask = Masker(upstream.key)
        self.status = 0
        self.retry_after = 0.0
        self.headers: list[tuple[str, str]] = []
        self.kept = bytearray()
        self.whole = False

    def reading(self) -> Reading | None:
        """What the answer said of usage; None = the call cost nothing, since it was refused or did not arrive."""
        if self._meter is not None:
            return self._meter.close()
        if not self._sent or self.status:
            return None
        # Streams begin with their headers, so without them nothing was made; a document's come when it was made whole.
        return Reading(begun=self._streams)

    async def run(
        self, client: aiohttp.ClientSession, url: URL, headers: list[tuple[str, str]], body: bytes | None, *, keep: bool
    ) -> web.StreamResponse:
        """Make the call. A client that goes away cancels this, and the provider's connection is closed at once."""
        answer: aiohttp.ClientResponse | None = None
        try:
            try:
                self._sent = True
                answer = await client.request(
                    self._request.method,
                    url,
                    headers=headers,
                    data=body,
                    allow_redirects=False,
                    proxy=self._upstream.proxy,
                )
            except (
                aiohttp.ClientConnectorError,
                aiohttp.ClientHttpProxyError,
                aiohttp.ConnectionTimeoutError,
            ) as error:
                self._sent = False
                return self._problem(f"{self._upstream.host} cannot be reached: {self._masked(str(error))}", 502)
            except aiohttp.ClientError as error:
                return self._problem(f"{self._upstream.host} gave no answer: {self._masked(str(error))}", 502)
            except ValueError as error:  # what aiohttp cannot send, a header or a URL: the same again would not help
                self._sent = False
                return self._problem(f"{self._upstream.host} cannot be asked this: {self._masked(str(error))}", 400)
            return await self._back(answer, keep=keep)
        finally:
            if answer is not None:
                answer.close()  # unread parts of it are nobody's; a connection whose answer was read is kept by now

    async def _back(self, answer: aiohttp.ClientResponse, *, keep: bool) -> web.StreamResponse:
        encoding = answer.headers.get("content-encoding", "").strip().lower()
        if 300 <= answer.status < 400:
            self._sent = False
            return self._problem(
                f"{self._upstream.host} redirects, which is not followed; set the upstream's own URL", 400
            )
        if encoding not in unpack.KNOWN:
            return self._problem(
                f"{self._upstream.host} answers compressed as {encoding}, which cannot be metered", 502
            )
        self.status = answer.status
        self.retry_after = routes.seconds(answer.headers.get("retry-after", "")) if answer.status in _BUSY else 0.0
        self.headers = [(k, self._mask.text(v)) for k, v in routes.from_upstream(answer.headers.items())]
        if not 200 <= answer.status < 300:
            return await self._error(answer, unpack.Unpacker(encoding), keep=keep)
        stream = answer.content_type == "text/event-stream"
        self._meter = Meter(self._upstream.api, stream=stream)
        return await self._flow(answer, unpack.Unpacker(encoding), self._meter, keep=keep)

    async def _flow(
        self, answer: aiohttp.ClientResponse, unpacker: unpack.Unpacker, meter: Meter, *, keep: bool
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=self.status)
        response.headers.extend(self.headers)
        if self._request.version >= aiohttp.HttpVersion11:
            response.enable_chunked_encoding()
        with contextlib.suppress(ConnectionError):  # the CLI may leave as soon as it has what it wants
            await response.prepare(self._request)
            try:
                async for data in answer.content.iter_any():
                    for piece in unpacker.feed(data):
                        meter.feed(piece)  # before it is written: who has the end of it may be gone
                        await self._write(response, self._mask.feed(piece), keep=keep)
            except (aiohttp.ClientError, TimeoutError, unpack.BrokenError):
                # Cut off, not ended: with an end mark the CLI would take half an answer for a whole one.
                if self._request.transport is not None:
                    self._request.transport.close()
                return response
            self.whole = True
            await self._write(response, self._mask.close(), keep=keep)
            await response.write_eof()
        return response

    async def _write(self, response: web.StreamResponse, data: bytes, *, keep: bool) -> None:
        if keep:
            self.kept += data
        if data:
            await response.write(data)

    async def _error(
        self, answer: aiohttp.ClientResponse, unpacker: unpack.Unpacker, *, keep: bool
    ) -> web.StreamResponse:
        """The provider's error as it is, but for the key, which some repeat in theirs."""
        body = bytearray()
        try:
            async for data in answer.content.iter_any():
                for piece in unpacker.feed(data):
                    body += piece[: max(0, _ERROR_BODY - len(body))]
        except (aiohttp.ClientError, TimeoutError, unpack.BrokenError):
            pass  # what came of the text is enough
        said = self._mask.whole(bytes(body))
        if keep:
            self.kept += said
        self.whole = True
        response = web.Response(status=self.status, body=said)
        response.headers.pop("content-type", None)
        response.headers.extend(self.headers)
        return response

    def _masked(self, text: str) -> str:
        """A message of ours without the proxy's and the provider's login."""
        for secret in (self._upstream.key, self._upstream.proxy or ""):
            text = text.replace(secret, MASK) if secret else text
        return text

    def _problem(self, text: str, status: int) -> web.StreamResponse:
        said: Any = routes.refusal(f"zwarm-ci: {text}")
        return web.Response(status=status, body=said, content_type="application/json")
