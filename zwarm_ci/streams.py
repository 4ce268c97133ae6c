"""Sinks for what a child prints: bounded, and by the line."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

MIB = 1024 * 1024


class Capped:
    """A sink for bytes that keeps the first `head` and the last `tail` and counts the rest."""

    def __init__(self, head: int, tail: int = 0) -> None:
        self._head, self._tail_size = head, tail
        self._first = bytearray()
        self._last: deque[bytes] = deque()
        self._last_size = 0
        self._total = 0

    def __call__(self, data: bytes) -> None:
        self._total += len(data)
        room = self._head - len(self._first)
        if room > 0:
            self._first += data[:room]
            data = data[room:]
        if not data:
            return
        self._last.append(data)
        self._last_size += len(data)
        while self._last and self._last_size - len(self._last[0]) >= self._tail_size:
            gone = self._last.popleft()
            self._last_size -= len(gone)

    @property
    def dropped(self) -> int:
        """Bytes that were not kept."""
        return self._total - len(self._first) - min(self._tail_size, self._last_size)

    def value(self) -> bytes:
        """What was kept."""
        last = b"".join(self._last)[-self._tail_size :] if self._tail_size else b""
        return bytes(self._first) + last


class LineSink:
    """Cuts a stream into lines of any length up to `limit` bytes; a longer one is handed on cut, marked by the caller's parser failing."""

    def __init__(self, on_line: Callable[[bytes], None], limit: int = 64 * MIB) -> None:
        self._on_line, self._limit = on_line, limit
        self._rest = bytearray()

    def __call__(self, data: bytes) -> None:
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._rest += line
            self._on_line(bytes(self._rest[: self._limit]))
            self._rest.clear()
        if len(self._rest) < self._limit:
            self._rest += rest

    def close(self) -> None:
        """Hand on a last line without a newline."""
        if self._rest:
            self._on_line(bytes(self._rest))
            self._rest.clear()
