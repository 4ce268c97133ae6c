"""A forge for tests: real git over HTTP, and the part of GitHub's REST API that we use, with GitHub's refusals.

    with Forge(tmp_path / "forge") as forge:
        forge.bare("octo/shop")                       # a real bare repository, to push to and to look into
        token = forge.token("writer", WRITE)          # the token's value
        …                                             # GITHUB_API_URL=forge.api_url, git remote forge.remote("octo/shop")

What is asked and answered is held against GitHub's published description; leaving the block fails where it does not fit.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.fakegh.git_http import make_bare
from tests.fakegh.server import Server
from tests.fakegh.state import ACTIONS, WRITE, Fault, Issue, Request, State, Token


class Forge:
    """See the module. `state` has everything that a test may want to set or see."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.state = State(root)
        self._server = Server(self.state)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        if kind is None:
            assert self.state.problems == [], "requests or answers are not GitHub's"

    @property
    def url(self) -> str:
        """The server's address, as GITHUB_SERVER_URL has it."""
        return self._server.url

    @property
    def api_url(self) -> str:
        """As GITHUB_API_URL has it."""
        return f"{self._server.url}/api"

    @property
    def requests(self) -> list[Request]:
        """Everything that was asked, in order; git's own requests have the method GIT."""
        return self.state.requests

    @property
    def problems(self) -> list[str]:
        """What did not fit GitHub's description so far."""
        return self.state.problems

    def remote(self, repo: str) -> str:
        """The address that git clones from and pushes to."""
        return f"{self.url}/{repo}.git"

    def bare(self, repo: str) -> Path:
        """The bare repository behind `OWNER/NAME`, made where it is missing."""
        path = self.state.root / f"{repo}.git"
        if not path.is_dir():
            make_bare(path)
        return path

    def token(
        self, name: str, scopes: Iterable[str] = WRITE, *, kind: str = "actions", login: str = "", value: str = ""
    ) -> str:
        """Make a token and return it. `kind`: actions (GITHUB_TOKEN), app or pat; `scopes`: `contents:write`, `workflow`, … ."""
        prefix = {"pat": "ghp_"}.get(kind, "ghs_")
        value = value or prefix + f"{name}Token".ljust(36, "x")
        who = (
            ACTIONS
            if kind == "actions"
            else (login or f"{name}[bot]" if kind == "app" else login or name, 100 + len(self.state.tokens))
        )
        self.state.tokens[value] = Token(name, value, frozenset(scopes), kind, *who)
        return value

    def issue(
        self,
        repo: str,
        title: str,
        body: str = "",
        *,
        login: str = "ada",
        user: int = 11,
        labels: Iterable[str] = (),
        association: str = "NONE",
    ) -> int:
        """Make an issue and return its number."""
        number = self.state.next_number(repo)
        self.state.issues[repo, number] = Issue(
            repo, number, title, body, login, user, labels=list(labels), association=association
        )
        return number

    def permit(self, repo: str, login: str, role: str) -> None:
        """Say what a user may do: admin, maintain, write, triage, read, none."""
        self.state.permissions[repo, login] = role

    def protect(self, repo: str, branch: str) -> None:
        """Nobody may push to this branch."""
        self.state.protected.add((repo, branch))

    def job(self, run: int, job: int, log: str = "", **known: Any) -> None:
        """A job of a workflow run, and its log."""
        self.state.jobs.setdefault(run, []).append({"id": job, "run_id": run, **known})
        self.state.logs[job] = log

    def fault(
        self,
        method: str,
        path: str,
        status: int,
        message: str = "",
        *,
        times: int = 1,
        after: bool = False,
        **headers: str,
    ) -> None:
        """The next requests of this method whose path matches get this answer; `after`: what they ask for is done nevertheless."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        self.state.faults.append(Fault(method, re.compile(path), status, message or "Server Error", sent, times, after))

    def pulls(self, repo: str, state: str = "") -> list[Issue]:
        """Pull requests, oldest first."""
        found = sorted(self.state.issues.values(), key=lambda i: i.number)
        return [i for i in found if i.repo == repo and i.pull and state in {"", i.state}]


__all__ = ["ACTIONS", "WRITE", "Forge", "Issue", "Request", "Token"]
