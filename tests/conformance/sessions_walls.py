"""Contracts over sessions: settings arrive; keys, the user's own settings and the repository's stay outside."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.conformance.stage import SECRETS, TOKEN, Scene, Stage
from tests.fakemodel import Gate, Reply, Shell, Tool, Write
from zwarm_ci.errors import ZwarmError
from zwarm_ci.executors.base import Conduct, Report
from zwarm_ci.task import Sandbox

OTHER_MODELS = {"codex": "gpt-5.4", "claude": "claude-opus-4-5"}


def the_model_is_passed_on(stage: Stage) -> None:
    model = OTHER_MODELS[stage.adapter]
    with stage.scene(Reply("done")) as scene:
        report = scene.turn(model=model)
        assert report.state == "completed", report.message
        assert {m for m, _ in report.models} <= {model, ""}
        if stage.live:
            assert [r.body["model"] for r in scene.server.turns] == [model]
        else:
            assert model in _all_given(scene)


def the_effort_is_passed_on(stage: Stage) -> None:
    model = OTHER_MODELS[stage.adapter]
    with stage.scene(Reply("done")) as scene:
        report = scene.turn(conduct=Conduct(reasoning_effort="low"), model=model)
        assert report.state == "completed", report.message
        if stage.live:
            body = scene.server.turns[0].body
            asked = (body.get("reasoning") or body.get("output_config") or {}).get("effort")
            assert asked == "low"
        else:
            assert "low" in _all_given(scene)


def _writes(stage: Stage, target: str, sandbox: Sandbox) -> Report:
    with stage.scene(Reply("", [Write(target, "x = 1\n")]), Reply("done")) as scene:
        return scene.turn(conduct=Conduct(sandbox=sandbox))


def a_write_outside_is_denied_and_counted(stage: Stage) -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as outside:
        report = _writes(stage, f"{outside}/stray.py", "workspace-write")
        assert report.state == "completed", report.message
        assert not list(Path(outside).iterdir())
        assert report.denials >= 1


def nothing_is_written_where_it_may_only_read(stage: Stage) -> None:
    shell = Shell("echo x > by_shell.py; sleep 1")
    with stage.scene(Reply("", [Write(stage.path("stray.py"), "x = 1\n")]), Reply("", [shell]), Reply("done")) as scene:
        before = sorted(p.name for p in scene.worktree.iterdir())
        report = scene.turn(conduct=Conduct(sandbox="read-only"))
        assert report.state == "completed", report.message
        assert sorted(p.name for p in scene.worktree.iterdir()) == before


def full_access_is_to_be_had_by_name(stage: Stage) -> None:
    outside = stage.place / "outside"
    outside.mkdir()
    report = _writes(stage, f"{outside}/wanted.py", "danger-full-access")
    assert report.state == "completed", report.message
    assert report.denials == 0
    if stage.live:
        assert (outside / "wanted.py").read_text() == "x = 1\n"


def the_network_is_closed_to_tools_unless_everything_is_open(stage: Stage) -> None:
    """Codex alone has a sandbox of its own; what Claude's commands may reach is for the surroundings to say."""
    code = "import socket; socket.create_connection(('127.0.0.1', int('%s'))); print('con' + 'nected')"
    with stage.scene(Reply("done")) as target:
        port = target.server.port if stage.live else 9
        with stage.scene(Reply("", [Shell(f'python3 -c "{code % port}" 2>&1; true')]), Reply("done")) as scene:
            report = scene.turn()
            assert report.state == "completed", report.message
            if stage.live and stage.adapter == "codex":
                assert "connected" not in scene.server.turns[1].text


def the_web_is_searched_only_when_asked_for(stage: Stage) -> None:
    with stage.scene(Reply("done"), Reply("done")) as scene:
        scene.turn()
        scene.turn(conduct=Conduct(web_search=True))
        if stage.live:
            off, on = ("web_search" in _tools(r.body) or "WebSearch" in _tools(r.body) for r in scene.server.turns)
            assert (off, on) == (False, True)
        else:
            assert scene.given()[0].argv != scene.given()[1].argv or scene.given()[0].home != scene.given()[1].home


def nobody_else_is_called(stage: Stage) -> None:
    """The stage itself looks for tries by websocket and for unknown paths after every turn; here calls to other hosts show too."""
    with stage.scene(Reply("", [Shell("ls")]), Reply("done")) as scene:
        if stage.live:
            for name in ("HTTPS_PROXY", "HTTP_PROXY"):
                stage.environ.setenv(name, scene.server.url)
            stage.environ.setenv("NO_PROXY", "127.0.0.1")
        report = scene.turn(conduct=Conduct(env=("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")))
        assert report.state == "completed", report.message
        if stage.live:
            assert {r.kind for r in scene.server.requests} <= {"turn", "root"}


def _plant(home: Path, ran: Path) -> dict[str, str]:
    """Settings of both command lines as a person or a repository might have them; whatever is run makes `ran`."""
    hook = [{"matcher": "", "hooks": [{"type": "command", "command": f"touch {ran}"}]}]
    hooks = dict.fromkeys(("SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "Stop"), hook)
    server = {"command": "touch", "args": [str(ran)]}
    codex = (
        f'developer_instructions = "planted words"\nmodel_reasoning_effort = "minimal"\nnotify = ["touch", "{ran}"]\n'
        f'[mcp_servers.planted]\ncommand = "touch"\nargs = ["{ran}"]\n'
    )
    claude = {"hooks": hooks, "env": {"PLANTED": "planted words"}, "model": "planted-model", "outputStyle": "Planted"}
    files = {
        ".codex/config.toml": codex,
        ".codex/AGENTS.md": "planted words\n",
        ".claude/settings.json": json.dumps(claude),
        ".claude/settings.local.json": json.dumps(claude),
        ".claude/CLAUDE.md": "planted words\n",
        ".claude/output-styles/planted.md": "---\nname: Planted\n---\nplanted words\n",
        ".claude/agents/planted.md": "---\nname: planted\ndescription: planted words\n---\nplanted words\n",
        ".claude/commands/planted.md": "planted words\n",
        ".claude/skills/planted/SKILL.md": "---\nname: planted\ndescription: planted words\n---\nplanted words\n",
        ".claude.json": json.dumps({"mcpServers": {"planted": server}}),
        ".mcp.json": json.dumps({"mcpServers": {"planted": server}}),
    }
    for name, text in files.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return files


def the_users_own_settings_play_no_part(stage: Stage) -> None:
    ran = stage.place / "ran"
    _plant(Path(os.environ["HOME"]), ran)
    with stage.scene(Reply("", [Shell("ls; env")]), Reply("done")) as scene:
        report = scene.turn()
        assert (report.state, report.message) == ("completed", "done")
        assert not ran.exists()
        if stage.live:
            _nothing_planted(scene)


def the_repositorys_own_settings_play_no_part(stage: Stage) -> None:
    ran = stage.place / "ran"
    stage.repo.commit("settings", dict(_plant(stage.place / "planted", ran)))
    with stage.scene(Reply("", [Shell("env")]), Reply("done")) as scene:
        report = scene.turn()
        assert (report.state, report.message) == ("completed", "done")
        assert not ran.exists()
        if stage.live:
            _nothing_planted(scene)


def _nothing_planted(scene: Scene) -> None:
    for request in scene.server.turns:
        assert "planted words" not in request.text
        assert request.body["model"] == scene.order.model
        assert "planted" not in _tools(request.body)


def instructions_are_the_bases(stage: Stage) -> None:
    names = ("AGENTS.md", "CLAUDE.md", "CLAUDE.local.md", "AGENTS.override.md", "below/CLAUDE.md", "below/AGENTS.md")
    stage.repo.commit("rules", {**dict.fromkeys(names, "mind the heron\n"), "below/code.py": "x = 1\n"})
    look = (
        Shell("cat below/code.py")
        if stage.adapter == "codex"
        else Tool("Read", {"file_path": stage.path("below/code.py")})
    )
    with stage.scene(Reply("", [look]), Reply("done")) as scene:
        scene.plant(dict.fromkeys(names, "mind the ostrich\n"))
        report = scene.turn(conduct=Conduct(instructions="mind the heron"))
        assert (report.state, report.message) == ("completed", "done")
        if stage.live:
            assert "mind the heron" in scene.server.turns[0].text
            assert not [r for r in scene.server.turns if "ostrich" in r.text]
        else:
            assert "mind the heron" in _all_given(scene)
            assert "mind the heron" not in " ".join(scene.given()[0].argv)


def tools_see_no_key(stage: Stage) -> None:
    """What the shell of a tool has in its environment goes back to the model; the stage looks for the user's secrets in it."""
    with stage.scene(Reply("", [Shell("env; cat /proc/self/environ | tr '\\0' '\\n'")]), Reply("done")) as scene:
        report = scene.turn()
        assert (report.state, report.message) == ("completed", "done")
        if stage.live:
            assert "PATH=" in scene.server.turns[1].text
            # Claude hands its own variables on to its tools; what it has there opens nothing but this session's gateway.
            assert stage.adapter == "claude" or TOKEN not in scene.server.turns[1].text


def no_key_is_in_an_argument_or_an_environment(stage: Stage) -> None:
    with stage.scene(Reply("done", hold=Gate())) as scene:
        _, seen = scene.watched_turn()
        assert seen
        for watched in seen:
            assert TOKEN not in " ".join(watched.argv)
            assert not set(SECRETS.values()) & set(watched.environ.values())


def no_key_is_left_behind(stage: Stage) -> None:
    with stage.scene(Reply("", [Shell("ls")]), Reply("done")) as scene:
        scene.turn()
        for folder in (scene.order.folder, scene.order.scratch, scene.worktree):
            for path in folder.rglob("*"):
                if path.is_file() and not path.is_symlink():
                    found = path.read_bytes()
                    assert not [k for k in (TOKEN, *SECRETS.values()) if k.encode() in found], path


def named_variables_pass_but_no_credentials(stage: Stage) -> None:
    stage.environ.setenv("PASSED_ON", "as it was asked")
    with stage.scene(Reply("done", hold=Gate())) as scene:
        _, seen = scene.watched_turn(conduct=Conduct(env=("PASSED_ON",)))
        assert any(w.environ.get("PASSED_ON") == "as it was asked" for w in seen)
    for name in ("GITHUB_TOKEN", "OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        with stage.scene(Reply("done"), name="no recording") as scene, suppress(ZwarmError):
            scene.turn(conduct=Conduct(env=(name,)))  # the stage finds the secret, should it pass


def _tools(body: dict[str, Any]) -> str:
    """Everything that is on offer in a request."""
    items = [i for i in body.get("input", []) if isinstance(i, dict) and "tools" in i]
    return json.dumps([body.get("tools"), [i["tools"] for i in items]])


def _all_given(scene: Scene) -> str:
    return json.dumps([[w.argv, w.environ, w.home] for w in scene.given()], ensure_ascii=False)


WALLS = (
    the_model_is_passed_on,
    the_effort_is_passed_on,
    a_write_outside_is_denied_and_counted,
    nothing_is_written_where_it_may_only_read,
    full_access_is_to_be_had_by_name,
    the_network_is_closed_to_tools_unless_everything_is_open,
    the_web_is_searched_only_when_asked_for,
    nobody_else_is_called,
    the_users_own_settings_play_no_part,
    the_repositorys_own_settings_play_no_part,
    instructions_are_the_bases,
    tools_see_no_key,
    no_key_is_in_an_argument_or_an_environment,
    no_key_is_left_behind,
    named_variables_pass_but_no_credentials,
)
