"""One request to a forge: TLS, a time limit, a cap on the answer, and no redirect that would carry the token to another host."""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

from zwarm_ci.errors import ApiError, UsageError
from zwarm_ci.scrub import one_line, redact

TIMEOUT = 30.0  # seconds without a byte
LARGEST = 32 << 20  # bytes of one answer; a job's log has up to some 20 MiB, a page of 100 pull requests 2 MiB
_HOPS = 3
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, headers by lower-case name, and the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows nothing by itself: whoever follows decides what goes along."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        return None


def require_safe(url: str, what: str) -> None:
    """A token goes over TLS, or stays on this machine.

    Raises:
        UsageError: it would not, or the address has a login in it.
    """
    parts = urllib.parse.urlsplit(url)
    if "@" in parts.netloc:
        raise UsageError(f"{what} has a login in it", remedy="give the token by ZWARM_CI_TOKEN alone")
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)):
        raise UsageError(f"{what} must be an https address: {one_line(redact(url), 80)}")


def exchange(method: str, url: str, headers: Mapping[str, str], body: bytes | None, *, timeout: float) -> Answer:
    """Send one request and read its answer, whatever its status; a redirected GET is followed, with `headers` to the same origin only.

    Raises:
        ApiError: no answer, one that is too large, or a redirect that is not followed.
    """
    given = dict(headers)
    for _ in range(_HOPS):
        answer = _once(method, url, given, body, timeout)
        if answer.status not in {301, 302, 303, 307, 308}:
            return answer
        target = urllib.parse.urljoin(url, answer.headers.get("location", ""))
        if method != "GET" or not answer.headers.get("location"):
            raise ApiError(
                f"the forge says that {_place(url)} has moved", remedy="use its new name", status=answer.status
            )
        if _origin(target) != _origin(url):
            given = {}  # another host: a signed address needs no token of ours, and must not get it
            if not (target.startswith("https://") or _origin(target)[1] in _LOOPBACK & {_origin(url)[1]}):
                raise ApiError("the forge redirects to an address without TLS", status=answer.status)
        url = target
    raise ApiError(f"the forge redirects {_place(url)} again and again", status=answer.status)


def _once(method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout: float) -> Answer:
    request = urllib.request.Request(url, data=body, method=method, headers=dict(headers))  # noqa: S310 - https, see require_safe
    opener = urllib.request.build_opener(_Stay(), urllib.request.HTTPSHandler(context=ssl.create_default_context()))
    try:
        with opener.open(request, timeout=timeout) as response:
            return _read(response.status, response.headers, response, url)
    except urllib.error.HTTPError as error:
        with error:
            return _read(error.code, error.headers, error, url)
    except (OSError, http.client.HTTPException) as error:  # a URLError and a time limit are OSErrors
        reason = getattr(error, "reason", error)
        raise ApiError(
            f"no answer from {_place(url)}: {one_line(redact(str(reason)), 200)}",
            remedy="try again later",
            transient=True,
        ) from error


def _read(status: int, headers: Any, stream: IO[bytes], url: str) -> Answer:
    body = stream.read(LARGEST + 1)
    if len(body) > LARGEST:
        raise ApiError(f"the answer of {_place(url)} has more than {LARGEST >> 20} MiB", status=status)
    return Answer(status, {name.lower(): value for name, value in headers.items()}, body)


def _origin(url: str) -> tuple[str, str, int]:
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _place(url: str) -> str:
    """An address without what may be secret in it: a signed one has its signature in the query."""
    parts = urllib.parse.urlsplit(url)
    return one_line(redact(f"{parts.hostname}{parts.path}"), 200)
