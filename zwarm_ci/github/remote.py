"""The forge's git side: fetch the base, push one branch. The token is in that git process's environment and nowhere else.

No hook, helper or redirect of anybody's takes part, and only https (or this machine) is spoken to.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
import shutil
import tempfile
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from zwarm_ci.errors import ApiError, CommandError, RefusedError
from zwarm_ci.git import Git, Repository
from zwarm_ci.github.wire import require_safe
from zwarm_ci.private import PrivateRepository
from zwarm_ci.scrub import decode, one_line, redact

_TRIES = 3
#: How a network, rather than somebody, says no.
_TRANSIENT = re.compile(
    r"returned error: (?:429|5\d\d)|HTTP (?:429|5\d\d)|RPC failed|Could not resolve|Connection (?:refused|reset|timed out)"
    r"|early EOF|hung up|timed out|SSL_ERROR_SYSCALL|Empty reply",
    re.IGNORECASE,
)
_PROXIES = (
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "no_proxy",
    "NO_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "GIT_SSL_CAINFO",
)


@dataclass(frozen=True, slots=True)
class Remote:
    """One repository of the forge as git speaks to it. `wait` lets seconds pass."""

    url: str
    token: str
    wait: Callable[[float], None]

    def environment(self) -> dict[str, str]:
        """What a git process that talks to the forge gets on top: the token as a header for this address alone."""
        require_safe(self.url, "--remote")
        login = base64.b64encode(f"x-access-token:{self.token}".encode()).decode()
        header = f"http.{self.url}.extraHeader"
        secure = urllib.parse.urlsplit(self.url).scheme == "https"
        settings = [
            (header, ""),  # takes away what the machine's own settings say
            *([(header, f"Authorization: Basic {login}")] if self.token else []),
            ("credential.helper", ""),
            ("core.askPass", ""),
            ("http.followRedirects", "false"),
            ("http.lowSpeedLimit", "1"),
            ("http.lowSpeedTime", "60"),
            ("protocol.allow", "never"),
            ("protocol.https.allow" if secure else "protocol.http.allow", "always"),
        ]
        env = {"GIT_CONFIG_COUNT": str(len(settings))}
        for number, (key, value) in enumerate(settings):
            env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return env | {name: os.environ[name] for name in _PROXIES if name in os.environ}

    def fetch(self, repo: PrivateRepository, commit: str) -> None:
        """Bring one commit, without its history, into `repo`.

        Raises:
            RefusedError: the forge does not have it.
            ApiError: the forge cannot be reached, or refuses.
        """
        options = ("--quiet", "--no-tags", "--depth=1", "--no-write-fetch-head", "--no-recurse-submodules")
        try:
            self._run(repo.git, "fetch", *options, self.url, f"+{commit}:refs/heads/zwarm")
        except CommandError as error:
            if re.search(rb"not our ref|remote ref|unadvertised object", error.stderr):
                raise RefusedError(
                    f"the forge does not have the base {commit[:12]}", remedy="push the commit that was repaired first"
                ) from error
            raise self._refusal(error, "fetched from") from error

    def push(self, repo: PrivateRepository, commit: str, branch: str, old: str) -> None:
        """Put `commit` at `branch`, which must be at `old` ("" = must not exist).

        Raises:
            RefusedError: the branch is somewhere else by now, or the forge does not take these commits.
            ApiError: the forge cannot be reached, or refuses the token.
        """
        ref = f"refs/heads/{branch}"
        options = (
            "--quiet",
            "--porcelain",
            "--no-verify",
            "--no-signed",
            "--recurse-submodules=no",
            "--no-follow-tags",
        )
        try:
            self._run(repo.git, "push", *options, f"--force-with-lease={ref}:{old}", self.url, f"{commit}:{ref}")
        except CommandError as error:
            said = decode(error.stdout + b"\n" + error.stderr)
            if re.search(r"stale info|fetch first|non-fast-forward|cannot lock ref", said):
                raise RefusedError(
                    f"{branch} was changed by somebody else meanwhile; nothing was overwritten", remedy="publish again"
                ) from error
            if "refusing to allow" in said:
                said = said[said.index("refusing to allow") :].splitlines()[0]
                raise RefusedError(
                    one_line(redact(said, (self.token,)), 300), remedy="take that patch by hand"
                ) from error
            raise self._refusal(error, "pushed to") from error

    def _run(self, git: Git, *args: str) -> None:
        for attempt in range(1, _TRIES + 1):
            try:
                git.run(*args, env=self.environment())
            except CommandError as error:
                if attempt == _TRIES or not _TRANSIENT.search(decode(error.stderr)):
                    raise
                self.wait(2.0**attempt)
            else:
                return

    def _refusal(self, error: CommandError, verb: str) -> ApiError:
        """What git said, in one line, with what usually helps."""
        said = decode(error.stderr)
        known = (
            (r"403|denied", "the token needs `contents: write`"),
            (r"401|could not read Username|Authentication failed", "the token is missing, wrong or has expired"),
            (r"404|not found", "does the repository exist, and may the token see it?"),
            (r"GH006|protected branch", "that branch is protected"),
        )
        remedy = next((what for pattern, what in known if re.search(pattern, said, re.IGNORECASE)), "try again later")
        place = one_line(redact(urllib.parse.urlsplit(self.url).path), 100)
        told = one_line(redact(said.replace(self.url, place), (self.token,)), 300)
        return ApiError(f"{place} cannot be {verb}: {told}", remedy=remedy, transient=bool(_TRANSIENT.search(said)))


@contextlib.contextmanager
def workshop(base: str) -> Iterator[PrivateRepository]:
    """An empty bare repository of our own for a run on `base`; it is gone when this ends."""
    scratch = Path(tempfile.mkdtemp(prefix="zw-")).resolve()
    try:
        path = scratch / "repo.git"
        path.mkdir()
        git = Git(path, {"GIT_DIR": str(path)})
        form = "sha256" if len(base) == 64 else "sha1"
        git.run("init", "--bare", "--quiet", "--template=", f"--object-format={form}", str(path))
        (path / "info").mkdir()
        # It stands for the user's repository too: there may be none here.
        yield PrivateRepository(
            path, Repository(git, path, path, path, base, None, shallow=True, submodules=(), prefix="")
        )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def differences(repo: PrivateRepository, base: str, head: str, most: int) -> dict[str, bytes]:
    """The difference of each of the first `most` changed files."""
    git = repo.git.with_env(GIT_LITERAL_PATHSPECS="1")
    options = ("-r", "-p", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color", "--diff-algorithm=histogram")
    paths: Sequence[str] = [c.path for c in repo.changes(base, head)][:most]
    return {path: git.run("diff-tree", *options, base, head, "--", path).stdout for path in paths}


def counts(repo: PrivateRepository, base: str, head: str) -> tuple[tuple[str, int | None, int | None], ...]:
    """(path, lines added, lines removed) of every changed file; None for binary ones."""
    said = repo.git.run("diff-tree", "-r", "-z", "--numstat", "--no-renames", base, head).stdout.split(b"\0")
    rows = [row.split(b"\t", 2) for row in said if row.count(b"\t") >= 2]
    return tuple((os.fsdecode(path), _number(added), _number(removed)) for added, removed, path in rows)


def _number(value: bytes) -> int | None:
    return int(value) if value.isdigit() else None
