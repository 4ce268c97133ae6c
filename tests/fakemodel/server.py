"""The server as a test sees it: a URL, what came, what it cost."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from typing import Self

from tests.fakemodel.handler import Handler
from tests.fakemodel.log import Kind, Request
from tests.fakemodel.play import Play
from tests.fakemodel.scenario import Scenario
from zwarm_ci.task import Usage


class Server:
    """A running server; `with` closes it. `url` ends without `/v1`."""

    def __init__(self, scenario: Scenario, port: int = 0) -> None:
        self._play = Play(scenario)
        self.log = self._play.log
        self._closed = False
        self._http = _Listener(self._play, port)
        self.port = int(self._http.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def requests(self) -> list[Request]:
        """Every request so far."""
        return self.log.all()

    @property
    def turns(self) -> list[Request]:
        """The model calls of conversations, those beside them left out."""
        return [r for r in self.requests if r.kind == "turn"]

    def of_kind(self, kind: Kind) -> list[Request]:
        """The requests of one kind, e.g. `websocket` tries."""
        return [r for r in self.requests if r.kind == kind]

    def wait(self, fits: Callable[[list[Request]], bool], timeout: float = 30.0) -> None:
        """Wait for requests that fit.

        Raises:
            TimeoutError: there were none within `timeout` seconds.
        """
        if not self.log.wait(fits, timeout):
            raise TimeoutError(
                f"not within {timeout} s; so far {[(r.kind, r.status, r.complete) for r in self.requests]}"
            )

    def billed(self, conversation: str | None = None) -> Usage:
        """This server's own count: what the calls of a conversation (None = all) cost. See `Log.billed`."""
        return self.log.billed(conversation)

    def told(self, conversation: str | None = None) -> Usage:
        """What of it the answers told. See `Log.told`."""
        return self.log.told(conversation)

    def close(self) -> None:
        """End it and every wait in it."""
        if not self._closed:
            self._closed = True
            self._play.close()
            self._http.shutdown()
            self._http.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def serve(scenario: Scenario, *, port: int = 0) -> Server:
    """Start a server on the loopback interface; port 0 = any free one."""
    return Server(scenario, port)


@contextlib.contextmanager
def refusing() -> Iterator[str]:
    """The URL of a port where every connection is refused, kept from others meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


class _Listener(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, play: Play, port: int) -> None:
        self.play = play
        super().__init__(("127.0.0.1", port), Handler)
