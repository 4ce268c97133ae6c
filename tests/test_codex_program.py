"""The codex adapter: which program it starts, what people see of a stream, whose instructions count."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.told_cli import ToldCli, order, told_cli
from tests.test_codex import STARTED, TURN, command, completed, failed, message, turn
from tests.test_codex import cli as cli  # noqa: PLC0414 - a fixture
from zwarm_ci.errors import BlockedError
from zwarm_ci.executors.base import Conduct
from zwarm_ci.executors.codex import Codex
from zwarm_ci.executors.trajectory import Step, trajectory


def test_where_it_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZWARM_CI_CODEX", str(tmp_path / "nowhere"))
    assert "ZWARM_CI_CODEX names" in Codex().unusable()
    with pytest.raises(BlockedError, match="no program"):
        turn(tmp_path)
    monkeypatch.delenv("ZWARM_CI_CODEX")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "npm install -g @openai/codex" in Codex().unusable()
    (tmp_path / "codex").write_text("#!/bin/sh\necho codex-cli 0.150.1\n")
    (tmp_path / "codex").chmod(0o755)
    assert Codex().unusable() == ""
    assert Codex().version() == "0.150.1"
    assert "0.150.1 is untried" in Codex().doubt()
    (tmp_path / "codex").unlink()
    (tmp_path / "codex").write_text("#!/bin/sh\necho codex-cli 0.169.3; exit 0; # changed\n")
    (tmp_path / "codex").chmod(0o755)
    monkeypatch.setenv("ZWARM_CI_CODEX", str(tmp_path / "codex"))
    assert Codex().doubt() == ""


def test_the_native_program_is_started_rather_than_its_wrapper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = told_cli(tmp_path, monkeypatch, "UNUSED")
    told.says(STARTED, completed(1))
    scope = tmp_path / "node_modules" / "@openai"
    (scope / "codex" / "bin").mkdir(parents=True)
    wrapper = scope / "codex" / "bin" / "codex.js"
    wrapper.write_text("#!/bin/sh\nexit 9\n")
    wrapper.chmod(0o755)
    link = tmp_path / "codex"
    link.symlink_to(wrapper)
    monkeypatch.setenv("ZWARM_CI_CODEX", str(link))
    assert turn(tmp_path).message.startswith("ended with 9")
    native = scope / "codex-linux-x64" / "vendor" / "x86_64-unknown-linux-musl" / "bin"
    native.mkdir(parents=True)
    (native / "codex").symlink_to(told.folder / "program")
    assert turn(tmp_path).state == "completed"


def test_steps_and_headlines() -> None:
    change = {
        "type": "file_change",
        "changes": [{"path": "/w/a.py", "kind": "update"}, {"path": "/w/b.py", "kind": "add"}],
        "status": "completed",
    }
    events: list[dict[str, Any]] = [
        STARTED, TURN,
        {"type": "item.completed", "item": {"id": "item_1", "type": "reasoning", "text": "think"}},
        command(begun=True), command(begun=False, code=2, status="failed"),
        {"type": "item.completed", "item": {"id": "item_2", **change}},
        {"type": "item.completed", "item": {"id": "item_3", "type": "mcp_tool_call", "server": "s", "tool": "t", "arguments": {"a": 1}}},
        message("done"), {"type": "item.started", "item": {**command(begun=True)["item"], "id": "item_8"}}, failed("no"),
    ]  # fmt: skip
    lines = [json.dumps(e).encode() for e in events]
    assert list(trajectory("codex", [*lines, b"\xff", b""])) == [
        Step("reasoning", "think"),
        Step("command", "make all", "built\n", 2),
        Step("file change", "update /w/a.py, add /w/b.py", "completed"),
        Step("tool call", "s.t", '{"arguments": {"a": 1}}'),
        Step("message", "done"),
        Step("error", "no"),
        Step("command", "make all", "built\n"),
    ]
    said = [Codex().headline(line) for line in lines]
    assert said == [
        "",
        "",
        "think",
        "$ make all",
        "$ make all",
        "edits update /w/a.py, add /w/b.py",
        "calls s.t",
        "done",
        "$ make all",
        "error: no",
    ]


def test_an_order_of_another_kind_of_home_does_not_leak_instructions(cli: ToldCli, tmp_path: Path) -> None:
    cli.says(STARTED, completed(1))
    first = order(tmp_path, conduct=Conduct(instructions="use tabs"))
    Codex().turn(first, lambda _line: None)
    Codex().turn(replace(first, conduct=Conduct()), lambda _line: None)
    assert not (tmp_path / "state/s1/home/.codex/AGENTS.md").exists()
