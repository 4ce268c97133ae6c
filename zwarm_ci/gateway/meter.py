"""Reads what a call used off the provider's answer as it passes. Pure: bytes in, in any pieces, and a `Reading` out.

OpenAI counts cached tokens as a part of the input, Anthropic beside it; ours are disjoint. Anthropic's figures in
`message_delta` are totals so far, so they replace what was known.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from zwarm_ci.task import Usage

Api = Literal["openai", "anthropic"]

_END = re.compile(rb"\r\n|\n|\r(?=[^\n])")  # a lone CR at the end may be half of CR LF
#: What grows in a stream, whatever the kind of piece; counted where a call breaks off before it says its usage.
_PIECE = re.compile(rb'"(?:delta|text|partial_json|thinking)"\s*:\s*"((?:[^"\\]|\\.)*)"')
_FINAL = frozenset({"response.completed", "response.incomplete"})
_DELTA = re.compile(rb'"type"\s*:\s*"(?:response\.[a-z_.]+\.delta|content_block_delta)"')
_MOST = 64 * 1024 * 1024  # bytes of one event or document; more is no usage report


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer said.

    Attributes:
        model: the one that answered; "" = not said.
        usage: tokens, as far as told.
        known: the last word on usage was there. begun: usage of the input at least was told.
        done: the answer came to its end. failed: the provider said that it could not go on.
        streamed: bytes of text, thinking and arguments that came.
        searches: web searches that the provider ran and charges for.
        hour_writes: how many of the tokens written to the cache stay for an hour, at a price of their own.
    """

    model: str = ""
    usage: Usage = Usage()
    known: bool = False
    begun: bool = False
    done: bool = False
    failed: bool = False
    streamed: int = 0
    searches: int = 0
    hour_writes: int = 0


class Meter:
    """Of one answer: `feed` it all bytes in order, then `close`. `stream`: server-sent events; else one JSON document."""

    def __init__(self, api: Api, *, stream: bool) -> None:
        self._api, self._is_stream = api, stream
        self._buffer = bytearray()
        self._looked = 0
        self._event: list[bytes] = []
        self._size = 0
        self._model, self._usage = "", _Count()
        self._known = self._begun = self._failed = False
        self.done = False
        self._streamed = self._searches = 0

    def feed(self, data: bytes) -> None:
        """The next bytes."""
        if len(self._buffer) + len(data) <= _MOST:
            self._buffer += data
        if self._is_stream:
            self._lines()

    def close(self) -> Reading:
        """The answer's end, or where it broke off."""
        if self._is_stream:
            self._field(bytes(self._buffer))
            self._dispatch()
        elif not self.done:
            self._document(bytes(self._buffer))
        self._buffer.clear()
        return self.reading()

    def reading(self) -> Reading:
        """What is known so far."""
        return Reading(
            self._model, self._usage.usage(self._api), self._known, self._begun, self.done, self._failed, self._streamed,
            self._searches + self._usage.told("web_search_requests"), self._usage.told("ephemeral_1h_input_tokens"),
        )  # fmt: skip

    def _lines(self) -> None:
        start = 0
        for end in _END.finditer(self._buffer, max(0, self._looked - 1)):
            self._field(bytes(self._buffer[start : end.start()]))
            start = end.end()
        del self._buffer[:start]
        self._looked = len(self._buffer)

    def _field(self, line: bytes) -> None:
        if not line:
            self._dispatch()
        elif line.startswith(b"data:"):
            self._event.append(line[5:].removeprefix(b" "))

    def _dispatch(self) -> None:
        data, self._event = b"\n".join(self._event), []
        if not data:
            return
        if _DELTA.search(data):  # most events are such, and need no parsing
            self._streamed += sum(len(piece) for piece in _PIECE.findall(data))
            return
        event = _object(data)
        if self._api == "openai":
            self._openai(event)
        else:
            self._anthropic(event)

    def _openai(self, event: dict[str, Any]) -> None:
        kind, response = event.get("type"), _dict(event.get("response"))
        self._name(response)
        if kind in _FINAL or kind == "response.failed":
            self._answer(response)
            self._failed = kind == "response.failed"
            self.done = True
        elif kind == "error":
            self._failed = True

    def _anthropic(self, event: dict[str, Any]) -> None:
        kind = event.get("type")
        if kind == "message_start":
            message = _dict(event.get("message"))
            self._name(message)
            self._begun = self._usage.take(message.get("usage")) or self._begun
        elif kind == "message_delta":
            took = self._usage.take(event.get("usage"))
            self._begun = took or self._begun
            self._known = self._known or (took and _dict(event.get("delta")).get("stop_reason") is not None)
        elif kind == "message_stop":
            self.done = True
        elif kind == "error":
            self._failed = True

    def _document(self, data: bytes) -> None:
        answer = _object(data)
        self.done = bool(answer)
        self._name(answer)
        self._answer(answer)
        self._failed = answer.get("status") == "failed" or answer.get("type") == "error"

    def _answer(self, answer: dict[str, Any]) -> None:
        """A whole answer's usage."""
        self._known = self._begun = self._usage.take(answer.get("usage"))
        output = answer.get("output")
        items = output if isinstance(output, list) else []
        self._searches = sum(isinstance(i, dict) and i.get("type") == "web_search_call" for i in items)

    def _name(self, answer: dict[str, Any]) -> None:
        if isinstance(answer.get("model"), str):
            self._model = answer["model"]


class _Count:
    """Both providers' counters, in their own words until they are asked for in ours."""

    def __init__(self) -> None:
        self._told: dict[str, int] = {}

    def take(self, usage: object) -> bool:
        """Figures replace those of the same name; True = there were some."""
        told = {
            **_numbers(usage),
            **_numbers(_dict(usage).get("input_tokens_details")),
            **_numbers(_dict(usage).get("output_tokens_details")),
            **_numbers(_dict(usage).get("server_tool_use")),
            **_numbers(_dict(usage).get("cache_creation")),
        }
        self._told.update(told)
        return bool(told)

    def told(self, name: str) -> int:
        """A figure under the provider's name; 0 = not told."""
        return self._told.get(name, 0)

    def usage(self, api: Api) -> Usage:
        """Disjoint."""
        told = self.told
        if api == "openai":
            read, write = told("cached_tokens"), told("cache_write_tokens")
            fresh = max(0, told("input_tokens") - read - write)
            return Usage(fresh, read, write, told("output_tokens"), told("reasoning_tokens"))
        read, write = told("cache_read_input_tokens"), told("cache_creation_input_tokens")
        return Usage(told("input_tokens"), read, write, told("output_tokens"))


def _numbers(value: object) -> dict[str, int]:
    return {k: v for k, v in _dict(value).items() if isinstance(v, int) and not isinstance(v, bool) and v >= 0}


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _object(data: bytes) -> dict[str, Any]:
    try:
        return _dict(json.loads(data))
    except (ValueError, RecursionError):
        return {}
