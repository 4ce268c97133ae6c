"""A small MCP server on standard streams, for a host that is under test: one tool, `look`, and a log of what it was called with."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

_TOOL = {
    "name": "look",
    "description": "Look at something.",
    "inputSchema": {"type": "object", "properties": {"what": {"type": "string"}}, "required": ["what"]},
}


def answer(method: str, params: dict[str, Any], log: Path) -> dict[str, Any] | None:
    """The result of a request; None = the method is unknown."""
    if method == "initialize":
        version = params.get("protocolVersion", "2025-03-26")
        info = {"name": "fake", "version": "1"}
        return {
            "protocolVersion": version,
            "capabilities": {"tools": {}},
            "serverInfo": info,
            "instructions": "look at things",
        }
    if method == "tools/list":
        return {"tools": [_TOOL]}
    if method == "tools/call":
        with log.open("a") as file:
            file.write(json.dumps({"call": params, "environ": sorted(os.environ)}) + "\n")
        return {"content": [{"type": "text", "text": "seen: " + str(params["arguments"]["what"])}]}
    return {} if method == "ping" else None


def main() -> None:
    """Serve until standard input ends."""
    log, seconds = Path(sys.argv[1]), float(sys.argv[2])
    time.sleep(seconds)  # it starts slowly, as one does on a busy machine
    for line in sys.stdin:
        asked = json.loads(line)
        if "id" not in asked:
            continue
        result = answer(asked["method"], asked.get("params") or {}, log)
        unknown = {"error": {"code": -32601, "message": "no such method"}}
        said = {"jsonrpc": "2.0", "id": asked["id"], **({"result": result} if result is not None else unknown)}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
