"""What a command line is started with that has the tools of one server and none of its own."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.told_cli import ToldCli, order, told_cli
from zwarm_ci.executors import EXECUTORS
from zwarm_ci.executors.base import Conduct, Order, Tools

TOOLS = Tools("zwarm", ("delegate", "wait"), ("/bin/server", "--connect", "/run/s"), (("A", "1"),), 360.0, 100_000, 0.5)
CONDUCT = Conduct("read-only", instructions="you plan")


def started(adapter: str, cli: ToldCli, asked: Order) -> tuple[list[str], dict[str, str], Path]:
    """Arguments, environment and the CLI's own folder of a turn."""
    EXECUTORS[adapter]().turn(asked, lambda _: None)
    env: dict[str, str] = cli.told["env"]
    return list(cli.argv), env, Path(env["CODEX_HOME" if adapter == "codex" else "CLAUDE_CONFIG_DIR"])


def after(argv: list[str], flag: str) -> str:
    return argv[argv.index(flag) + 1]


def test_claude_has_the_servers_tools_and_none_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli = told_cli(tmp_path, monkeypatch, "ZWARM_CI_CLAUDE")
    cli.says({"type": "result"})
    monkeypatch.setenv("PATH", "/nowhere")  # no bubblewrap, which would hide the program's notes
    argv, env, folder = started("claude", cli, order(tmp_path, tools=TOOLS, conduct=CONDUCT))
    assert after(argv, "--tools") == ""
    assert after(argv, "--allowedTools") == "mcp__zwarm__delegate,mcp__zwarm__wait"
    assert after(argv, "--permission-mode") == "dontAsk"
    assert argv.count("--strict-mcp-config") == 1
    assert "--append-system-prompt-file" not in argv
    assert Path(after(argv, "--system-prompt-file")).read_text() == "you plan"
    (server,) = json.loads((folder / "mcp.json").read_text())["mcpServers"].values()
    assert (server["command"], server["args"], server["env"]) == ("/bin/server", ["--connect", "/run/s"], {"A": "1"})
    assert (env["MCP_TOOL_TIMEOUT"], env["MCP_CONNECTION_NONBLOCKING"]) == ("360000", "0")
    assert (env["CLAUDE_CODE_AUTO_COMPACT_WINDOW"], env["CLAUDE_AUTOCOMPACT_PCT_OVERRIDE"]) == ("100000", "50")


def config(cli: ToldCli, asked: Order) -> dict[str, Any]:
    _, _, folder = started("codex", cli, asked)
    found: dict[str, Any] = tomllib.loads((folder / "config.toml").read_text())
    return found


def test_codex_has_the_servers_tools_and_its_own_are_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli = told_cli(tmp_path, monkeypatch, "ZWARM_CI_CODEX")
    cli.says({"models": [{"slug": "m", "supports_search_tool": True, "apply_patch_tool_type": "freeform"}]})
    found = config(cli, order(tmp_path, tools=TOOLS, conduct=CONDUCT))
    server = found["mcp_servers"]["zwarm"]
    assert (server["command"], server["args"], server["env"]) == ("/bin/server", ["--connect", "/run/s"], {"A": "1"})
    assert (server["default_tools_approval_mode"], server["required"], server["tool_timeout_sec"]) == (
        "approve",
        True,
        360,
    )
    off = {"shell_tool", "multi_agent", "goals", "view_image", "plugins", "multi_agent_v2"}
    assert {name for name in off if found["features"][name] is False} == off
    assert (found["approval_policy"], found["web_search"]) == ("never", "disabled")
    assert (found["developer_instructions"], found["model_auto_compact_token_limit"]) == ("you plan", 50_000)
    assert after(list(cli.argv), "--sandbox") == "read-only"
    (model,) = json.loads(Path(found["model_catalog_json"]).read_text())["models"]
    assert model == {"slug": "m", "supports_search_tool": False, "apply_patch_tool_type": None}


def test_a_codex_that_says_nothing_of_models_goes_on_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli = told_cli(tmp_path, monkeypatch, "ZWARM_CI_CODEX")
    cli.says(b"no json", code=1)
    found = config(cli, order(tmp_path, tools=TOOLS, conduct=CONDUCT))
    assert "model_catalog_json" not in found
    assert found["mcp_servers"]["zwarm"]["required"] is True


@pytest.mark.parametrize("adapter", ["claude", "codex"])
def test_a_session_has_its_own_tools_and_no_server(
    adapter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli = told_cli(tmp_path, monkeypatch, f"ZWARM_CI_{adapter.upper()}")
    cli.says({"type": "result"})
    monkeypatch.setenv("PATH", "/nowhere")
    argv, env, folder = started(adapter, cli, order(tmp_path))
    assert not (folder / "mcp.json").exists()
    assert "MCP_TOOL_TIMEOUT" not in env
    if adapter == "codex":
        found = tomllib.loads((folder / "config.toml").read_text())
        assert not {"mcp_servers", "developer_instructions", "model_catalog_json"} & found.keys()
    else:
        assert "Bash" in after(argv, "--tools")
