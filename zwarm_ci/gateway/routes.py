"""What may be asked of the gateway, which headers pass, and refusals in the shape that both CLIs understand."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

from zwarm_ci.gateway.meter import Api

Kind = Literal["call", "count", "models"]


@dataclass(frozen=True, slots=True)
class Route:
    """One thing that may be asked. `api` None = of either provider, the session's own."""

    kind: Kind
    api: Api | None


#: By method and path, exactly; all else is 404.
ROUTES: Mapping[tuple[str, str], Route] = {
    ("POST", "/v1/responses"): Route("call", "openai"),
    ("POST", "/v1/messages"): Route("call", "anthropic"),
    ("POST", "/v1/messages/count_tokens"): Route("count", "anthropic"),
    ("GET", "/v1/models"): Route("models", None),
}

#: Of one connection, not of the message (RFC 9110, 7.6.1), or made anew by us.
_HOP = frozenset(
    "connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding upgrade "
    "host content-length expect".split()
)
_OURS = frozenset("authorization x-api-key accept-encoding content-encoding cookie forwarded".split())
_NOT_BACK = frozenset("set-cookie content-encoding alt-svc".split())
#: A beta that doubles the price of long requests.
_DEAR_BETA = "context-1m"


def to_upstream(headers: Iterable[tuple[str, str]], auth: Mapping[str, str], *, limited: bool) -> list[tuple[str, str]]:
    """The CLI's headers without those of its connection and without its token; with the real key, and no compression."""
    pairs = [(name.lower(), value) for name, value in headers]
    dropped = _HOP | _OURS | _named(pairs)
    kept = [(n, v) for n, v in pairs if n not in dropped and not n.startswith("x-forwarded-")]
    if limited:
        kept = [(n, _without(v, _DEAR_BETA) if n == "anthropic-beta" else v) for n, v in kept]
    return [*((n, v) for n, v in kept if v), *auth.items(), ("accept-encoding", "identity")]


def from_upstream(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The provider's headers for the CLI."""
    pairs = [(name.lower(), value) for name, value in headers]
    dropped = _HOP | _NOT_BACK | _named(pairs)
    return [(name, value) for name, value in pairs if name not in dropped]


def _named(pairs: Iterable[tuple[str, str]]) -> set[str]:
    """Headers that the Connection header says are of this connection only."""
    return {part.strip().lower() for name, value in pairs if name == "connection" for part in value.split(",")}


def _without(value: str, beta: str) -> str:
    return ",".join(part for part in value.split(",") if not part.strip().startswith(beta))


def token_of(headers: Mapping[str, str]) -> str:
    """The token that a request brings; "" = none."""
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    return bearer.strip() if scheme.lower() == "bearer" and bearer.strip() else headers.get("x-api-key", "").strip()


def refusal(text: str) -> bytes:
    """An error as both providers write it. With status 400 both CLIs stop at once and show the text."""
    kind = "invalid_request_error"
    return json.dumps(
        {"type": "error", "error": {"type": kind, "message": text, "code": "zwarm_ci", "param": None}}
    ).encode()


def seconds(retry_after: str) -> float:
    """How long a `retry-after` header asks to wait (RFC 9110: seconds, or a date); 0 = it does not say."""
    said = retry_after.strip()
    try:
        number = float(said)
        return number if math.isfinite(number) and number > 0 else 0.0
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0
