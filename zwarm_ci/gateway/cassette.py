"""Every exchange of a run kept in a folder, without keys, and given again in the same order for the same requests.

An answer is kept event by event (the pieces of one text joined), with the session's folders as numbers.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import threading
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zwarm_ci.errors import BlockedError
from zwarm_ci.files import write_atomic
from zwarm_ci.gateway import normal
from zwarm_ci.gateway.admit import RefusedError
from zwarm_ci.scrub import MASK, redactor
from zwarm_ci.task import Usage

SCHEMA = 1  # 1: first form
_KEPT_HEADERS = frozenset({"content-type", "retry-after", "x-should-retry"})
_TOKEN = re.compile(r"zw-[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer.

    Attributes:
        number: in the order in which requests came.
        request: `normal.request_lines` of it. denied: our text where we refused it, `over` = by a limit; then no provider was asked.
        pieces: the body, an event each. whole: it came to its end.
        usage: as counted in the run that was recorded.
    """

    number: int
    adapter: str
    task: str
    route: str
    request: tuple[str, ...]
    status: int
    headers: tuple[tuple[str, str], ...]
    pieces: tuple[str, ...]
    whole: bool = True
    denied: str = ""
    over: bool = False
    usage: Usage = Usage()

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Which requests it answers."""
        return (
            self.task,
            self.adapter,
            self.route,
            hashlib.sha256("\n".join(self.request).encode("utf-8", "replace")).hexdigest(),
        )


class Recorder:
    """Keeps exchanges in `folder`.

    Raises:
        BlockedError: there is a cassette in it already, or it cannot be written.
    """

    def __init__(self, folder: Path, keys: Sequence[str]) -> None:
        self._folder, self._keys = folder, tuple(keys)
        self._numbers = itertools.count(1)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if any(folder.glob("*.json")):
                raise BlockedError(f"{folder} has a cassette already", remedy="give another folder to --record")
        except OSError as error:
            raise BlockedError(f"{folder} cannot be recorded into: {error.strerror}") from error

    def number(self) -> int:
        """The next request's."""
        return next(self._numbers)

    def keep(self, exchange: Exchange, body: bytes, places: Sequence[str]) -> None:
        """Write an exchange, whose pieces are made of `body`."""
        text = body.decode("utf-8", "surrogateescape")
        stream = any(n == "content-type" and v.startswith("text/event-stream") for n, v in exchange.headers)
        pieces = normal.whole_events(text) if stream else (text,) * bool(text)
        mask = redactor(self._keys)
        value = {
            "schema": SCHEMA,
            **asdict(exchange),
            "request": [mask(line) for line in exchange.request],
            "headers": [(n, v) for n, v in exchange.headers if n in _KEPT_HEADERS],
            "pieces": [normal.lift(_masked(piece, mask), places) for piece in pieces],
        }
        write_atomic(
            self._folder / f"{exchange.number:06d}-{exchange.adapter}.json", json.dumps(value, indent=1) + "\n"
        )


def _masked(piece: str, mask: Any) -> str:
    """Keys, tokens and what looks like one are masked. A URL's login stays: tests are full of them, and the work must come out the same."""
    hidden = piece.replace("://", ":\0//")
    return _TOKEN.sub(MASK, str(mask(hidden)).replace(":\0//", "://"))


class Player:
    """Gives the answers of a cassette, each once, in their order.

    Raises:
        BlockedError: there is none in `folder`, or it cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._lock = threading.Lock()
        self._all: list[Exchange] = []
        self._left: dict[tuple[str, str, str, str], deque[Exchange]] = defaultdict(deque)
        self._used: set[int] = set()
        for path in sorted(folder.glob("*.json")):
            exchange = _read(path)
            self._all.append(exchange)
            self._left[exchange.key].append(exchange)
        if not self._all:
            raise BlockedError(f"{folder} has no cassette", remedy="record one with --record")

    def find(self, asked: Exchange) -> Exchange:
        """The answer to a request (an `Exchange` without one).

        Raises:
            RefusedError: there is none, or none any more; the message says where it parts from the next one that was kept.
        """
        with self._lock:
            if queue := self._left.get(asked.key):
                found = queue.popleft()
                self._used.add(found.number)
                return found
            same = [e for e in self._all if (e.task, e.adapter, e.route) == (asked.task, asked.adapter, asked.route)]
            left = [e for e in same if e.number not in self._used]
        if not same:
            raise RefusedError(
                f"not in the cassette: it has no {asked.route} for {asked.adapter} and task {asked.task}"
            )
        if not left:
            raise RefusedError(f"not in the cassette: all {len(same)} exchanges of task {asked.task} were used already")
        nearest = max(left, key=lambda e: (_shared(e.request, asked.request), -e.number))
        raise RefusedError(f"not in the cassette: {normal.difference(asked.request, nearest.request)}")


def _shared(one: Sequence[str], two: Sequence[str]) -> int:
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, two, strict=False)))


def _read(path: Path) -> Exchange:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.pop("schema") != SCHEMA:
            raise BlockedError(f"{path}: of another version of the cassette format")
        lists = {name: tuple(data[name]) for name in ("request", "pieces")}
        headers = tuple((str(n), str(v)) for n, v in data["headers"])
        return Exchange(**{**data, **lists, "headers": headers, "usage": Usage(**data["usage"])})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BlockedError(f"{path}: not an exchange of a cassette: {error}") from error
