"""Abstract calls as calls of the tools that a CLI offers in a request."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tests.fakemodel.scenario import Edit, Item, Patch, Shell, Tool, Write

Offered = Mapping[str, Mapping[str, Any]]


class Mapped(NamedTuple):
    """A tool's name and its arguments: a mapping, or the free text of a custom tool."""

    name: str
    arguments: Mapping[str, Any] | str
    namespace: str = ""


def offered(body: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The tools of a request by name; codex sends those of its newest models as an item of the input."""
    found: dict[str, Mapping[str, Any]] = {}

    def collect(tools: Any) -> None:
        for tool in _mappings(tools):
            found[str(tool.get("name") or tool.get("type"))] = tool
            collect(tool.get("tools"))

    collect(body.get("tools"))
    for item in _mappings(body.get("input")):
        collect(item.get("tools"))
    return found


def _mappings(values: Any) -> Iterable[Mapping[str, Any]]:
    return (v for v in values if isinstance(v, Mapping)) if isinstance(values, list) else ()


def for_claude(call: Shell | Write | Edit | Patch | Tool | Item) -> Mapped:
    """The call as claude's own tools take it.

    Raises:
        TypeError: there is no such tool there.
    """
    match call:
        case Tool(name, arguments, _):
            return Mapped(name, arguments)
        case Shell(command, seconds):
            waits = {"timeout": int(seconds * 1000)} if seconds else {}
            return Mapped("Bash", {"command": command, "description": "run", **waits})
        case Write(path, content):
            return Mapped("Write", {"file_path": path, "content": content})
        case Edit(path, old, new):
            return Mapped("Edit", {"file_path": path, "old_string": old, "new_string": new})
    raise TypeError(f"claude has no tool for {call}")


def for_codex(call: Shell | Write | Edit | Patch | Tool, tools: Offered) -> Mapped:
    """The call as the tools of this request take it: functions, a free-form patch, or JavaScript in newer models."""
    if isinstance(call, Tool):
        return Mapped(call.name, call.arguments, call.namespace)
    scripted = tools.get("exec", {}).get("type") == "custom"
    if isinstance(call, Shell):
        waits = {"yield_time_ms": int(call.seconds * 1000)} if call.seconds else {}
        arguments = {"cmd": call.command, **waits}
        if scripted:
            return _javascript("exec_command", arguments)
        if "exec_command" in tools:
            return Mapped("exec_command", arguments)
        if "shell_command" in tools:
            return Mapped("shell_command", {"command": call.command})
        return Mapped("shell", {"command": ["bash", "-lc", call.command]})
    patch = _patch(call)
    if scripted:
        return _javascript("apply_patch", patch)
    if "apply_patch" in tools:
        free = tools["apply_patch"].get("type") == "custom"
        return Mapped("apply_patch", patch if free else {"input": patch})
    return for_codex(Shell(f"apply_patch <<'END_OF_PATCH'\n{patch}END_OF_PATCH"), tools)


def _javascript(tool: str, arguments: Mapping[str, Any] | str) -> Mapped:
    shown = "text(typeof r === 'string' ? r : JSON.stringify(r));"
    return Mapped("exec", f"const r = await tools.{tool}({json.dumps(arguments)}); {shown}")


def _patch(call: Write | Edit | Patch) -> str:
    match call:
        case Patch(text):
            return text
        case Write(path, content):
            body = f"*** Add File: {path}\n{_marked('+', content)}"
        case Edit(path, old, new):
            body = f"*** Update File: {path}\n@@\n{_marked('-', old)}\n{_marked('+', new)}"
    return f"*** Begin Patch\n{body}\n*** End Patch\n"


def _marked(mark: str, text: str) -> str:
    return "\n".join(mark + line for line in text.rstrip("\n").split("\n"))
