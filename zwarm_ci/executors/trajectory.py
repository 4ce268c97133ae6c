"""What a session did, step by step, read from its executor's own events; the same kinds of step for every executor."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from zwarm_ci.scrub import decode, one_line

Kind = Literal["reasoning", "command", "file change", "message", "tool call", "error"]
_SHELL = re.compile(r"^(?:\S*/)?(?:ba|z|da)?sh -l?c (?P<quote>['\"]?)(?P<command>.*)(?P=quote)$", re.DOTALL)
_EDITS = frozenset({"Write", "Edit", "MultiEdit", "NotebookEdit"})
_EXIT = re.compile(r"^Exit code (\d+)")
_HEADLINE = 100  # characters


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was said or done.

    Attributes:
        text: the reasoning, the message, the command, the paths changed, or the tool's name.
        detail: a command's output, a tool's arguments and answer; "" where there is none or it never came.
        exit_code: of a command; None where it did not end, or the executor does not say.
    """

    kind: Kind
    text: str
    detail: str = ""
    exit_code: int | None = None


def read_event(line: bytes) -> dict[str, Any]:
    """One line as a JSON object; `{}` where it is none. What is not UTF-8 becomes U+FFFD."""
    try:
        event = json.loads(decode(line))
    except (ValueError, RecursionError):
        return {}
    return event if isinstance(event, dict) else {}


def trajectory(executor: str, lines: Iterable[bytes]) -> Iterator[Step]:
    """The steps in raw event lines of one or more turns; lines that say nothing, or that nobody can read, give none."""
    events = (event for line in lines if (event := read_event(line)))
    readers = {"codex": _codex, "claude": _claude}
    return readers.get(executor, _plain)(events)


#: What codex says of a model that it does not know yet; it goes on.
_HARMLESS = "Model metadata for "


def headline(step: Step | None) -> str:
    """A step in one short line."""
    if step is None or (step.kind == "error" and step.text.startswith(_HARMLESS)):
        return ""
    prefix = {"command": "$ ", "file change": "edits ", "tool call": "calls ", "error": "error: "}.get(step.kind, "")
    return one_line(prefix + step.text, _HEADLINE)


def _plain(events: Iterable[dict[str, Any]]) -> Iterator[Step]:
    """Events of the embedded executor: progress, then a result."""
    for event in events:
        text = text_at(event, "text") or (text_at(event, "message") if event.get("type") == "result" else "")
        if text:
            yield Step("message", text)


def _codex(events: Iterable[dict[str, Any]]) -> Iterator[Step]:
    open_commands: dict[str, Step] = {}
    for event in events:
        if event.get("type") == "turn.started":  # ids begin anew in each process
            yield from open_commands.values()
            open_commands.clear()
        key = text_at(event, "item", "id")
        if step := codex_step(event):
            if event.get("type") == "item.started":
                open_commands[key] = step
            else:
                open_commands.pop(key, None)
                yield step
    yield from open_commands.values()


def codex_step(event: dict[str, Any]) -> Step | None:
    """What one event of `codex exec --json` says; a command's event comes twice, at its begin and its end."""
    kind = text_at(event, "type")
    if kind in {"turn.failed", "error"}:
        return Step("error", text_at(event, "error", "message") or text_at(event, "message"))
    item = event.get("item")
    if not isinstance(item, dict):
        return None
    kind = text_at(item, "type")
    if kind == "command_execution":
        code = item.get("exit_code")
        shown = _SHELL.match(text_at(item, "command"))
        command = shown["command"] if shown else text_at(item, "command")
        return Step("command", command, text_at(item, "aggregated_output"), code if isinstance(code, int) else None)
    if event.get("type") != "item.completed":
        return None
    if kind == "file_change":
        given = item.get("changes")
        changes = [c for c in given if isinstance(c, dict)] if isinstance(given, list) else []
        paths = ", ".join(f"{text_at(c, 'kind')} {text_at(c, 'path')}".strip() for c in changes)
        return Step("file change", paths, text_at(item, "status"))
    simple: dict[str, Kind] = {"agent_message": "message", "reasoning": "reasoning", "error": "error"}
    if kind in simple:
        return Step(simple[kind], text_at(item, "text") or text_at(item, "message"))
    name = {"mcp_tool_call": f"{text_at(item, 'server')}.{text_at(item, 'tool')}"}.get(kind, kind)
    rest = {k: v for k, v in item.items() if k not in {"id", "type", "server", "tool"}}
    return Step("tool call", name, json.dumps(rest, ensure_ascii=False))


def _claude(events: Iterable[dict[str, Any]]) -> Iterator[Step]:
    waiting: dict[str, Step] = {}
    for event in events:
        for block in blocks(event):
            if block.get("type") == "tool_result":
                begun = waiting.pop(text_at(block, "tool_use_id"), None)
                if begun:
                    yield _answered(begun, block)
            elif step := _claude_step(block):
                if block.get("type") == "tool_use":
                    waiting[text_at(block, "id")] = step
                else:
                    yield step
        if event.get("type") == "result":
            yield from waiting.values()
            waiting.clear()
            if event.get("is_error"):
                yield Step("error", text_at(event, "result") or text_at(event, "subtype"))
    yield from waiting.values()


def claude_step(event: dict[str, Any]) -> Step | None:
    """What one event of claude's stream says: what it says or begins."""
    return next((step for block in blocks(event) if (step := _claude_step(block))), None)


def blocks(event: dict[str, Any]) -> list[dict[str, Any]]:
    """The content blocks of one of claude's messages."""
    message = event.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _claude_step(block: dict[str, Any]) -> Step | None:
    kind = block.get("type")
    if kind == "text" and "tool_use_id" not in block:
        return Step("message", text_at(block, "text"))
    if kind == "thinking":
        return Step("reasoning", text_at(block, "thinking"))
    if kind != "tool_use":
        return None
    name, given = text_at(block, "name"), block.get("input")
    given = given if isinstance(given, dict) else {}
    if name == "Bash":
        return Step("command", text_at(given, "command"))
    if name in _EDITS:
        return Step("file change", text_at(given, "file_path") or text_at(given, "notebook_path"))
    return Step("tool call", name, json.dumps(given, ensure_ascii=False))


def _answered(step: Step, block: dict[str, Any]) -> Step:
    """A step with what came of it. A command that failed says its exit code in the first line."""
    content = block.get("content")
    if isinstance(content, list):
        content = "\n".join(text_at(part, "text") for part in content if isinstance(part, dict))
    answer = content if isinstance(content, str) else ""
    if step.kind == "command":
        failed = bool(block.get("is_error"))
        code = _EXIT.match(answer) if failed else None
        return replace(step, detail=answer, exit_code=int(code[1]) if code else None if failed else 0)
    return replace(step, detail="\n".join(part for part in (step.detail, answer) if part))


def text_at(data: dict[str, Any], *path: str) -> str:
    """The text at a path of keys; "" where there is none."""
    value: Any = data
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


def number_at(data: dict[str, Any], *path: str) -> int:
    """The count at a path of keys; 0 where there is none, or less than nothing."""
    value: Any = data
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return max(0, value) if isinstance(value, int) and not isinstance(value, bool) else 0
