"""OpenAI's Responses API: a reply as the events of a stream, and as one document."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from typing import Any

from tests.fakemodel import usage as tokens
from tests.fakemodel.event import Event
from tests.fakemodel.scenario import Item, Reply, StreamError
from tests.fakemodel.tools import for_codex, offered
from zwarm_ci.task import Usage


def events(reply: Reply, body: Mapping[str, Any], usage: Usage, fault: StreamError | None) -> Iterator[Event]:
    """The stream of a reply to a request."""
    response: dict[str, Any] = {
        "id": f"resp_{secrets.token_hex(12)}",
        "object": "response",
        "created_at": int(time.time()),
        "model": reply.model or body.get("model"),
        "status": "in_progress",
        "output": [],
    }
    yield Event("response.created", {"response": response})
    if fault:
        error = {"code": fault.code, "message": fault.message}
        yield Event("response.failed", {"response": {**response, "status": "failed", "error": error}})
        return
    items = list(_items(reply, body))
    for index, item in enumerate(items):
        yield from _item_events(index, item)
    done = {**response, "status": "completed", "output": items, "usage": tokens.openai(usage)}
    if reply.truncated:
        done |= {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    yield Event(f"response.{done['status']}", {"response": done}, usage)


def document(stream: Iterator[Event]) -> dict[str, Any]:
    """The same reply where no stream was asked for."""
    response: dict[str, Any] = list(stream)[-1].fields["response"]
    return response


def _items(reply: Reply, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if reply.reasoning:
        summary = [{"type": "summary_text", "text": reply.reasoning}]
        yield {"type": "reasoning", "id": _id("rs"), "summary": summary, "encrypted_content": "c2NyaXB0ZWQ="}
    if reply.text:
        content = [{"type": "output_text", "text": reply.text, "annotations": []}]
        yield {"type": "message", "role": "assistant", "id": _id("msg"), "status": "completed", "content": content}
    tools = offered(body)
    for call in reply.calls:
        if isinstance(call, Item):
            yield {"id": _id("it"), **call.item}
            continue
        name, arguments, namespace = for_codex(call, tools)
        common = {"call_id": _id("call"), "name": name, "status": "completed"}
        if isinstance(arguments, str):
            yield {"type": "custom_tool_call", "id": _id("ctc"), "input": arguments, **common}
        else:
            place = {"namespace": namespace} if namespace else {}
            yield {
                "type": "function_call",
                "id": _id("fc"),
                "arguments": json.dumps(dict(arguments)),
                **common,
                **place,
            }


def _item_events(index: int, item: dict[str, Any]) -> Iterator[Event]:
    where = {"output_index": index}
    if item["type"] == "message":
        yield Event("response.output_item.added", where | {"item": item | {"content": [], "status": "in_progress"}})
        for word in re.findall(r"\S+\s*|\s+", item["content"][0]["text"]):
            part = {"item_id": item["id"], "content_index": 0, "delta": word}
            yield Event("response.output_text.delta", where | part)
    elif item["type"] == "reasoning":
        yield Event("response.output_item.added", where | {"item": item | {"summary": []}})
        part = {"item_id": item["id"], "summary_index": 0, "delta": item["summary"][0]["text"]}
        yield Event("response.reasoning_summary_text.delta", where | part)
    else:
        yield Event("response.output_item.added", where | {"item": item})
    yield Event("response.output_item.done", where | {"item": item})


def error(kind: str, message: str) -> dict[str, Any]:
    """The body of an HTTP error."""
    return {"error": {"type": kind, "message": message, "code": kind, "param": None}}


def _id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(8)}"
