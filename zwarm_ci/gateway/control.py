"""The gateway's answers to the run that owns it and to those it is shared with, and its end when the last of them is gone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zwarm_ci.errors import BlockedError, UsageError, ZwarmError
from zwarm_ci.gateway import figures
from zwarm_ci.gateway.upstream import VENDORS, Upstream, upstreams

if TYPE_CHECKING:
    from zwarm_ci.gateway.server import Server

_LAST_WORD = 3.0  # seconds to book what was under way when the owner went


def attend(channel: int, hello: dict[str, Any], rest: bytes) -> None:
    """Answer on the socket `channel`, of which `rest` was read already, and on all that are made of it, until their other ends are closed."""
    asyncio.run(_Control(hello).run(socket.socket(fileno=channel), rest))


class _Control:
    def __init__(self, hello: dict[str, Any]) -> None:
        self._hello = hello
        self._server: Server | None = None
        self._owners: set[asyncio.Task[None]] = set()

    async def run(self, channel: socket.socket, rest: bytes) -> None:
        try:
            self._attend(channel, rest)
            while self._owners:
                await asyncio.wait(self._owners, return_when=asyncio.FIRST_COMPLETED)
                self._owners = {task for task in self._owners if not task.done()}
        finally:
            if self._server is not None:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._server.close(), _LAST_WORD)
            os._exit(0)  # whatever still waits, for a file or a thread, is nobody's any more

    def _attend(self, channel: socket.socket, rest: bytes = b"") -> None:
        self._owners.add(asyncio.get_running_loop().create_task(self._converse(channel, rest)))

    async def _converse(self, channel: socket.socket, rest: bytes) -> None:
        """One owner's questions, until it closes its channel or dies."""
        reader, writer = await asyncio.open_connection(sock=channel)
        reader.feed_data(rest)
        with contextlib.suppress(ConnectionError):  # the owner was killed; the same as its end
            while said := await reader.readline():
                message = json.loads(said)
                if message["do"] == "share":
                    self._share(channel)
                    continue
                try:
                    answer = await self._answer(message)
                except ZwarmError as error:
                    answer = figures.fault(error)
                writer.write(figures.line(answer))
                await writer.drain()
        writer.close()

    def _share(self, channel: socket.socket) -> None:
        """Hand out a channel of its own. Nothing is under way on this one: each question waits for its answer."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(channel, [figures.line({})], [theirs.fileno()])
        self._attend(ours)

    async def _answer(self, message: dict[str, Any]) -> dict[str, Any]:
        match message["do"]:
            case "hello":
                replays = self._server is not None and self._server.replays
                keys = VENDORS if replays else {**self._hello["keys"], **self._hello["upstreams"]}
                return {"pid": self._hello["pid"], "providers": sorted(keys), "serves": self._server is not None}
            case "serve":
                await self._serve(message)
                return {}
            case "open":
                url, token = self._running().open(message)
                return {"url": url, "token": token}
            case "usage":
                return {"metered": figures.data_of(await self._running().desk.usage(message["session"]))}
            case "shut":
                await self._running().desk.shut(message["session"])
                return {}
            case "totals":
                return {"totals": figures.data_of(await self._running().desk.totals())}
            case other:
                raise UsageError(f"the gateway does not know `{other}`")

    async def _serve(self, message: dict[str, Any]) -> None:
        if self._server is not None:
            raise UsageError("the gateway serves already")
        try:
            from zwarm_ci.gateway.server import Server, Terms
        except ModuleNotFoundError as error:
            raise BlockedError(f"the gateway needs {error.name}", remedy="pip install 'zwarm-ci[gateway]'") from error
        terms = Terms(
            limits=figures.limits(message["limits"]),
            day_file=None if message["day_file"] is None else Path(message["day_file"]),
            models=tuple(figures.override(model) for model in message["models"]),
            record=None if message["record"] is None else Path(message["record"]),
            replay=None if message["replay"] is None else Path(message["replay"]),
            unpriced_ok=message["unpriced_ok"],
            hosted_ok=message["hosted_ok"],
            spent={task: Decimal(amount) for task, amount in message["spent"].items()},
        )
        hello = self._hello
        known: dict[str, Upstream] = {}
        if terms.replay is None:
            known = upstreams(hello["keys"], hello["upstreams"], hello["network"])
        server = Server(terms, known, hello["network"])
        await server.start()
        self._server = server

    def _running(self) -> Server:
        if self._server is None:
            raise BlockedError("the gateway does not serve yet")
        return self._server
