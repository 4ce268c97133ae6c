"""A CLI that is given the tools of one MCP server and none of its own: flags, variables and settings for it, by CLI.

What a CLI cannot be talked out of is made harmless by its read-only sandbox; nothing depends on its good will.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zwarm_ci.executors.base import Tools
from zwarm_ci.executors.homes import Home
from zwarm_ci.proc import run
from zwarm_ci.scrub import child_env, decode

_STARTING = 60.0  # seconds for the server to start: a loaded machine, and Python
_LISTING = 30.0  # seconds for codex to print what it knows of models


def claude_flags(tools: Tools, own: Home) -> list[str]:
    """The server by a file in claude's own folder, no tool but its, and none that is asked for."""
    server = {
        "type": "stdio",
        "command": tools.argv[0],
        "args": list(tools.argv[1:]),
        "env": dict(tools.env),
        "alwaysLoad": True,  # offered at once, rather than to be searched for
    }
    file = own.write("mcp.json", json.dumps({"mcpServers": {tools.server: server}}))
    names = ",".join(f"mcp__{tools.server}__{name}" for name in tools.names)
    return ["--tools", "", "--mcp-config", str(file), "--strict-mcp-config", "--allowedTools", names]


def claude_env(tools: Tools) -> dict[str, str]:
    """How long a call and the server's start may take, and when the context is compacted."""
    starting = str(int(_STARTING * 1000))
    env = {
        "MCP_TOOL_TIMEOUT": str(int(tools.seconds * 1000)),
        # Else the model is asked after 5 s at most, whether the server has started or not, and is told that there is no such tool.
        "MCP_CONNECTION_NONBLOCKING": "0",
        "MCP_CONNECT_TIMEOUT_MS": starting,
        "MCP_TIMEOUT": starting,
    }
    if tools.context:
        share = max(1, int(tools.share * 100))
        env |= {"CLAUDE_CODE_AUTO_COMPACT_WINDOW": str(tools.context), "CLAUDE_AUTOCOMPACT_PCT_OVERRIDE": str(share)}
    return env


def codex_settings(tools: Tools, instructions: str, catalog: Path | None) -> dict[str, Any]:
    """The server, approved beforehand, since nobody is there to be asked; codex's own tools off."""
    server = {
        "command": tools.argv[0],
        "args": list(tools.argv[1:]),
        "env": dict(tools.env),
        "default_tools_approval_mode": "approve",
        "tool_timeout_sec": tools.seconds,
        "startup_timeout_sec": _STARTING,
        "required": True,  # without it codex goes on with no tools at all
    }
    settings: dict[str, Any] = {
        "mcp_servers": {tools.server: server},
        "developer_instructions": instructions,
        "features": {"shell_tool": False, "multi_agent": False, "goals": False, "view_image": False},
    }
    if tools.context:
        settings["model_auto_compact_token_limit"] = int(tools.context * tools.share)
    if catalog is not None:
        settings["model_catalog_json"] = str(catalog)
    return settings


def codex_catalog(program: Path, own: Home) -> Path | None:
    """What codex knows of models, without its patch tool and with our tools offered at once rather than searched for.

    None = it does not say; the sandbox refuses its patches all the same.
    """
    env = child_env({"CODEX_HOME": str(own.config), "HOME": str(own.path)})
    ended = run([str(program), "debug", "models"], cwd=own.path, env=env, timeout=_LISTING)
    try:
        known = json.loads(decode(ended.stdout)) if ended.ok else None
    except ValueError:
        known = None
    models = known.get("models") if isinstance(known, dict) else None
    if not isinstance(known, dict) or not isinstance(models, list):
        return None
    changed = [
        {**m, "supports_search_tool": False, "apply_patch_tool_type": None} for m in models if isinstance(m, Mapping)
    ]
    return own.write("models.json", json.dumps({**known, "models": changed}))
