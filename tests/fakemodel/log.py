"""What came to the server and what it sent: one `Request` a call, keys kept as hashes only."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from tests.fakemodel.scenario import Fault
from tests.fakemodel.usage import total
from zwarm_ci.task import Usage

Provider = Literal["openai", "anthropic"]
#: `turn` is a call of the conversation; `side` one beside it (title, quota); `compaction` one that shortens it.
Kind = Literal["turn", "side", "compaction", "count_tokens", "models", "root", "websocket", "connect", "unknown"]
_KEY_HEADERS = ("authorization", "x-api-key", "proxy-authorization", "cookie")


def key_hash(key: str) -> str:
    """What the log keeps of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


class Sent(NamedTuple):
    """A piece of a body: when it was handed to the system (`time.monotonic`), and its bytes."""

    at: float
    data: bytes


@dataclass(slots=True)
class Request:
    """One request.

    Attributes:
        key: hash of the key that came, "" = none; `headers` have its hash in its place. `body_bytes` as received.
        conversation: the CLI's own id of it. script, reply: which script, and the number of its reply (from 0), that answered.
        status: of the answer, 0 = none left. fault: what came instead.
        usage: what the call costs, known before the first byte; None = it cost nothing. told: how much of that left in the stream.
        complete: every byte of the answer left. left: the client went away first.
    """

    at: float
    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    body_bytes: int
    key: str = ""
    provider: Provider | None = None
    kind: Kind = "unknown"
    conversation: str = ""
    script: str = ""
    reply: int = -1
    expected: bool | None = None
    status: int = 0
    fault: Fault | None = None
    usage: Usage | None = None
    told: Usage | None = None
    sent: list[Sent] = field(default_factory=list)
    complete: bool = False
    left: bool = False

    @property
    def users(self) -> tuple[str, ...]:
        """Each text of the user's in the conversation so far; what a tool gave is not among them."""
        return tuple(text for role, text in _texts(self.body) if role == "user")

    @property
    def instructions(self) -> str:
        """System and developer texts."""
        parts = [text for role, text in _texts(self.body) if role in {"system", "developer"}]
        return "\n".join([*_strings(self.body.get("instructions")), *_strings(self.body.get("system")), *parts])

    @property
    def text(self) -> str:
        """The whole body as JSON, for searching."""
        return json.dumps(self.body, ensure_ascii=False)


def hashed_key(headers: dict[str, str]) -> str:
    """The hash of the key that came; the headers are changed to hold hashes only."""
    found = ""
    for name in _KEY_HEADERS:
        if name in headers:
            digest = key_hash(headers[name].removeprefix("Bearer ").strip())
            headers[name] = f"sha256:{digest}"
            found = digest if name in {"authorization", "x-api-key"} else found
    return found


def _texts(body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    messages = body.get("input", body.get("messages"))
    if isinstance(messages, str):
        yield "user", messages
        return
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, dict) and "role" in message:
            for text in _strings(message.get("content")):
                yield str(message["role"]), text


def _strings(content: Any) -> list[str]:
    if isinstance(content, str):
        return [content]
    parts = content if isinstance(content, list) else []
    return [p["text"] for p in parts if isinstance(p, dict) and isinstance(p.get("text"), str)]


class Log:
    """Requests in the order in which they came; who waits is woken by every change."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._requests: list[Request] = []

    def add(self, request: Request) -> None:
        """One more."""
        with self.changed:
            self._requests.append(request)
            self.changed.notify_all()

    def touch(self) -> None:
        """Something in a request is different now."""
        with self.changed:
            self.changed.notify_all()

    def all(self) -> list[Request]:
        """Every request so far."""
        with self.changed:
            return list(self._requests)

    def wait(self, fits: Callable[[list[Request]], bool], timeout: float) -> bool:
        """Wait until the requests fit; False = not within `timeout` seconds."""
        with self.changed:
            return self.changed.wait_for(lambda: fits(list(self._requests)), timeout)

    def billed(self, conversation: str | None = None) -> Usage:
        """What the calls of a conversation (None = all) cost, cut ones included in full: what the model had done by then."""
        return total([r.usage for r in self._of(conversation) if r.usage])

    def told(self, conversation: str | None = None) -> Usage:
        """What left of it in the answers; less than `billed` where one was cut before it told."""
        return total([r.told for r in self._of(conversation) if r.told])

    def _of(self, conversation: str | None) -> list[Request]:
        return [r for r in self.all() if conversation in {None, r.conversation}]
