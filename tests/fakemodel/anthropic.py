"""Anthropic's Messages API: a reply as the events of a stream, and as one document."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from tests.fakemodel import usage as tokens
from tests.fakemodel.event import Event
from tests.fakemodel.scenario import Reply, StreamError
from tests.fakemodel.tools import for_claude
from zwarm_ci.task import Usage


def events(reply: Reply, body: Mapping[str, Any], usage: Usage, fault: StreamError | None) -> Iterator[Event]:
    """The stream of a reply. Its start tells the whole input and one token of output, its end the whole."""
    first = replace(usage, output_tokens=min(1, usage.output_tokens), reasoning_tokens=0)
    message: dict[str, Any] = {
        "id": f"msg_{secrets.token_hex(11)}",
        "type": "message",
        "role": "assistant",
        "model": reply.model or body.get("model"),
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": tokens.anthropic(first),
    }
    yield Event("message_start", {"message": message}, first)
    if fault:
        yield Event("error", {"error": {"type": fault.code, "message": fault.message}})
        return
    blocks = list(_blocks(reply))
    for index, block in enumerate(blocks):
        yield from _block_events(index, block)
    stop = "max_tokens" if reply.truncated else "tool_use" if reply.calls else "end_turn"
    end = {"delta": {"stop_reason": stop, "stop_sequence": None}, "usage": tokens.anthropic(usage)}
    yield Event("message_delta", end, usage)
    yield Event("message_stop", {})


def document(stream: Iterator[Event]) -> dict[str, Any]:
    """The same reply where no stream was asked for."""
    message: dict[str, Any] = {}
    for event in stream:
        if event.type == "message_start":
            message = dict(event.fields["message"])
        elif event.type == "error":
            return {"type": "error", **event.fields}
        elif event.type == "content_block_start":
            message["content"] = [*message["content"], dict(event.fields["content_block"])]
        elif event.type == "content_block_delta":
            _grow(message["content"][-1], event.fields["delta"])
        elif event.type == "message_delta":
            message |= {"usage": event.fields["usage"], "stop_reason": event.fields["delta"]["stop_reason"]}
    return message


def _grow(block: dict[str, Any], delta: Mapping[str, Any]) -> None:
    if delta["type"] == "input_json_delta":
        block["input"] = json.loads(delta["partial_json"])
        return
    name = str(delta["type"]).removesuffix("_delta")
    block[name] = block[name] + delta[name]


def _blocks(reply: Reply) -> Iterator[dict[str, Any]]:
    if reply.reasoning:
        yield {"type": "thinking", "thinking": reply.reasoning, "signature": "c2NyaXB0ZWQ="}
    if reply.text:
        yield {"type": "text", "text": reply.text}
    for call in reply.calls:
        name, arguments, _ = for_claude(call)
        yield {"type": "tool_use", "id": f"toolu_{secrets.token_hex(11)}", "name": name, "input": arguments}


def _block_events(index: int, block: dict[str, Any]) -> Iterator[Event]:
    where = {"index": index}
    empty: dict[str, dict[str, Any]] = {
        "text": {"text": ""},
        "thinking": {"thinking": "", "signature": ""},
        "tool_use": {"input": {}},
    }
    kind = block["type"]
    yield Event("content_block_start", where | {"content_block": block | empty[kind]})
    if kind == "text":
        for word in re.findall(r"\S+\s*|\s+", block["text"]):
            yield Event("content_block_delta", where | {"delta": {"type": "text_delta", "text": word}})
    elif kind == "thinking":
        for part in ("thinking", "signature"):
            yield Event("content_block_delta", where | {"delta": {"type": f"{part}_delta", part: block[part]}})
    else:
        delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        yield Event("content_block_delta", where | {"delta": delta})
    yield Event("content_block_stop", where)


def error(kind: str, message: str) -> dict[str, Any]:
    """The body of an HTTP error."""
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": f"req_{secrets.token_hex(8)}"}
