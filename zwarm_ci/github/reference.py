"""What `REF` of `fix-issue` names: an issue of this repository by its number or address, or a local file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from zwarm_ci.errors import UsageError
from zwarm_ci.git import Repository
from zwarm_ci.github.api import PUBLIC, split
from zwarm_ci.scrub import one_line, redact

_NUMBER = re.compile(r"#?([1-9]\d{0,9})")
_ADDRESS = re.compile(r"/([^/]+/[^/]+)/(?:issues|pull)/([1-9]\d{0,9})/?")
_SCP = re.compile(r"(?:[^@/:\s]+@)?([^@/:\s]+):(?!/)(.+)")  # host:path, as ssh remotes are written


@dataclass(frozen=True, slots=True)
class Reference:
    """An issue on the forge (`repo` "owner/name" and `number`), or a file. `own`: the repository that we stand in, "" = unknown."""

    repo: str = ""
    number: int = 0
    file: Path | None = None
    own: str = ""

    @property
    def elsewhere(self) -> bool:
        """Whether it is an issue of another repository than the one that is repaired."""
        return bool(self.repo) and self.repo.casefold() != self.own.casefold()


def resolve(ref: str, repo: str, user: Repository, environ: Mapping[str, str]) -> Reference:
    """What `ref` names; `repo` is `--repo` ("" = not given).

    Raises:
        UsageError: it names nothing, or an issue of somewhere else.
    """
    if repo:
        split(repo)
    api = environ.get("GITHUB_API_URL", "") or PUBLIC
    server = urlsplit(environ.get("GITHUB_SERVER_URL", "") or _server_of(api))
    own = environ.get("GITHUB_REPOSITORY", "") or _of_origin(user, server.hostname or "")
    if match := _NUMBER.fullmatch(ref):
        if not (repo or own):
            raise UsageError(
                f"of which repository is issue {match[1]}? Neither GITHUB_REPOSITORY nor a remote `origin` at {server.netloc} names one",
                remedy="give --repo OWNER/NAME",
            )
        return Reference(repo or own, int(match[1]), own=own)
    if re.match(r"[a-z]+://", ref, re.IGNORECASE):
        return _by_address(ref, repo, own, server.netloc)
    return Reference(repo or own, file=_readable(Path(ref)), own=own)


def _by_address(ref: str, repo: str, own: str, netloc: str) -> Reference:
    parts = urlsplit(ref)
    shown = one_line(redact(ref), 120)
    if parts.scheme not in {"https", "http"} or parts.netloc.casefold() != netloc.casefold():
        raise UsageError(
            f"{shown} is not at {netloc}", remedy="name an issue of the forge whose API GITHUB_API_URL names"
        )
    match = _ADDRESS.fullmatch(parts.path)
    if not match:
        raise UsageError(f"{shown} is no issue's address", remedy="write https://HOST/OWNER/NAME/issues/NUMBER")
    split(match[1])
    wanted = repo or own
    if match[1].casefold() != wanted.casefold():
        raise UsageError(
            f"{shown} is an issue of {match[1]}, and this repository is {wanted or 'not known'}",
            remedy=f"give --repo {match[1]} if that is meant",
        )
    return Reference(match[1], int(match[2]), own=own)


def _readable(file: Path) -> Path:
    if not file.is_file():
        shown = one_line(redact(str(file)), 80)
        raise UsageError(
            f"{shown!r} is neither an issue's number, nor its address, nor a file",
            remedy="write 12, https://HOST/OWNER/NAME/issues/12, notes.md or issue.json",
        )
    return file


def _server_of(api: str) -> str:
    """The forge's own address by that of its API: api.github.com, api.NAME.ghe.com, and HOST/api/v3 on a server of one's own."""
    parts = urlsplit(api)
    return f"{parts.scheme}://{parts.netloc.removeprefix('api.')}"


def _of_origin(user: Repository, host: str) -> str:
    """OWNER/NAME by the remote `origin`, where that is at `host`; "" = it is not."""
    url = user.git.ask("config", "--get", "remote.origin.url")
    if "://" in url:
        parts = urlsplit(url)
        there, path = parts.hostname or "", parts.path
    elif match := _SCP.fullmatch(url):
        there, path = match[1], match[2]
    else:
        return ""
    name = path.strip("/").removesuffix(".git")
    at_host = there.casefold().removeprefix("ssh.") == host.casefold()
    return name if at_host and re.fullmatch(r"[\w.-]+/[\w.-]+", name, re.ASCII) else ""
