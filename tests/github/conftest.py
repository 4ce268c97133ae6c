"""A forge with a shop on it, and a way to publish to it without a process of its own."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.fakegh import Forge
from tests.github import bundles
from tests.support import Repo
from zwarm_ci.cli.common import Common
from zwarm_ci.cli.publish import _means
from zwarm_ci.github import bundle
from zwarm_ci.github.api import Api
from zwarm_ci.github.publish import Published, Wanted, publish

SHOP = "octo/shop"
#: Starts a server that answers as a function of the path says; gives its address and the headers that it got.
Start = Callable[..., tuple[str, list[dict[str, str]]]]


@dataclass
class Stand:
    """One repository, at home and on the forge. `waits`: seconds that were waited, which here pass at once."""

    forge: Forge
    repo: Repo
    waits: list[float] = field(default_factory=list)

    def put(self) -> None:
        """Push what `main` is now."""
        self.repo.git("push", "-q", str(self.forge.bare(SHOP)), "+main")

    def api(self, token: str = "") -> Api:
        return Api(token or self.token(), url=self.forge.api_url, wait=self.waits.append, now=lambda: 1_700_000_000.0)

    def token(self, name: str = "writer", **more: Any) -> str:
        return self.forge.token(name, **more)

    def publish(self, folder: Path, *, token: str = "", **wanted: Any) -> Published:
        """As `zwarm-ci publish FOLDER` does."""
        token = token or self.token()
        common = Common(Path(), None, (), quiet=True, verbose=0)
        asked = Wanted(SHOP, **{"remote": self.forge.remote(SHOP), **wanted})
        return publish(bundle.read(folder), self.api(token), asked, token, _means(common))

    def asked(self, method: str, part: str = "") -> list[str]:
        """Paths that were asked for by a method."""
        return [r.path for r in self.forge.requests if r.method == method and part in r.path]

    @property
    def wrote(self) -> bool:
        """Whether anything was pushed, made or changed."""
        return bool(self.asked("GIT", "git-receive-pack") or self.asked("POST") or self.asked("PATCH"))

    def at(self, branch: str) -> str:
        """The commit at a branch on the forge; "" = there is none."""
        return self.forge.state.tip(SHOP, branch) or ""


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    repo = bundles.shop(tmp_path / "shop")
    with Forge(tmp_path / "forge") as forge:
        made = Stand(forge, repo)
        made.put()
        yield made


class Odd(http.server.BaseHTTPRequestHandler):
    """A server that answers as the test says, and remembers the headers that it got."""

    seen: list[dict[str, str]]
    reply: Callable[[str], tuple[int, dict[str, str], bytes]]

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Say nothing."""

    def do_GET(self) -> None:
        type(self).seen.append({k.lower(): v for k, v in self.headers.items()})
        status, headers, body = type(self).reply(self.path)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client has read as much as it wants

    do_POST = do_GET  # noqa: N815 - the base's name


@pytest.fixture
def odd() -> Iterator[Callable[..., tuple[str, list[dict[str, str]]]]]:
    """Starts such servers."""
    running = []

    def start(reply: Callable[[str], tuple[int, dict[str, str], bytes]]) -> tuple[str, list[dict[str, str]]]:
        kind = type("Kind", (Odd,), {"seen": [], "reply": staticmethod(reply)})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.server_address[1]}", kind.seen  # type: ignore[attr-defined] # made above

    yield start
    for server, thread in running:
        server.shutdown()
        server.server_close()
        thread.join()
