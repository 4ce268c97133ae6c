"""`pilot` in a terminal of its own, with a host that a test scripts: each line of a person is a turn of it."""

from __future__ import annotations

import json
import os

import pytest

from tests.orchestrator.hosts import CHECKS, DELEGATE_ADD, DELEGATE_DOUBLE, EXIT, WAIT, Stage, on
from tests.orchestrator.yard import Yard
from tests.repl.terminal import Terminal
from tests.support import zwarm


@pytest.fixture
def stage(yard: Yard) -> Stage:
    yard.repo.commit("quick checks", {".zwarm/config.toml": CHECKS})
    return Stage(yard)


def test_a_person_leads_it_turn_by_turn_to_its_end(stage: Stage, terminal: Terminal) -> None:
    stage.script(
        DELEGATE_ADD, {"say": "add is being worked on"}, DELEGATE_DOUBLE, WAIT, *on("verify", 0, 1), {"say": "both hold"},
        *on("accept", 0, 1), EXIT,
    )  # fmt: skip
    terminal.until("pilot>")
    terminal.line("please repair add", "add is being worked on")
    terminal.line(":status", r"1 steps, .*\$")
    terminal.line("and double", "both hold")
    assert "fixed" in terminal.line(":status", "fixed.*")
    terminal.line("take them", "fixed: ")
    assert terminal.leaves() == 0
    assert "a + b" in stage.repo.git("show", "made:calc.py")
    outcome = json.loads((stage.newest / "outcome.json").read_text())
    assert (outcome["status"], outcome["command"]) == ("fixed", "pilot")
    first, second, third = stage.prompts
    assert first["prompt"].endswith("please repair add\n")
    assert "50 calls of tools in all" in first["prompt"]
    assert (second["prompt"], third["prompt"]) == ("and double", "take them")
    assert len({told["session"] for told in stage.prompts}) == 1
    assert "A person works with you, turn by turn" in json.dumps(first["argv"]) or any(
        "A person works with you" in path.read_text() for path in stage.newest.rglob("*.md")
    )


def test_what_is_left_is_gone_on_with(stage: Stage, terminal: Terminal) -> None:
    stage.script(DELEGATE_ADD, {"say": "begun"}, WAIT, *on("verify", 0), {"say": "it holds"})
    terminal.until("pilot>")
    terminal.line("repair add", "begun")
    terminal.until("pilot>")
    terminal.write("\x04")
    said = terminal.until(r"left; go on with: zwarm-ci pilot --resume \S+\s")
    assert terminal.leaves() == 0
    run = said.split()[-1]
    listed = zwarm("status", "--json", cwd=stage.repo.path, **stage.env).json["runs"]
    assert [(r["name"], r["state"], r["resumable"]) for r in listed] == [(run, "cut off", True)]
    refused = zwarm("resume", run, cwd=stage.repo.path, **stage.env)
    assert (refused.code, f"zwarm-ci pilot --resume {run}" in refused.err) == (2, True)
    again = Terminal(stage.repo.path, stage.env, "pilot", "--yes", "--resume", run)
    try:
        again.until("pilot>")
        again.line("go on", "it holds")
        assert again.leave("pilot>") == 0
    finally:
        again.close()
    _, told = stage.prompts
    assert "The user says: go on" in told["prompt"]
    assert "--resume" in told["argv"]
    assert len([s for s in stage.steps if s["tool"] == "delegate"]) == 1


def test_control_c_ends_the_turn_alone(stage: Stage, terminal: Terminal) -> None:
    gate = stage.yard.tmp / "gate"
    os.mkfifo(gate)
    stage.script({"tool": "status", "args": {}}, {"gate": str(gate)}, {"say": "never said"})
    terminal.until("pilot>")
    terminal.line("hang", "step 1 → status")
    handle = os.open(gate, os.O_WRONLY)  # opens when the host waits there
    try:
        terminal.write("\x03")
        terminal.until("interrupted; what sessions do goes on")
    finally:
        os.close(handle)
    terminal.line(":status", "1 steps")
    assert terminal.leave("pilot>") == 0


def test_a_question_of_the_hosts_is_answered_in_the_terminal(stage: Stage, terminal: Terminal) -> None:
    asked = {"tool": "chat", "args": {"message": "tabs or spaces?", "wait_for_user_input": True}}
    stage.script(asked, {"say": "noted"})
    terminal.until("pilot>")
    terminal.line("format it", "tabs or spaces")
    terminal.until(r"\?")
    terminal.line("spaces", "noted")
    assert any("spaces" in json.dumps(step) for step in stage.steps)
    assert terminal.leave("pilot>") == 0


def test_without_a_terminal_it_says_what_to_use(stage: Stage) -> None:
    said = zwarm("pilot", cwd=stage.repo.path, **stage.env)
    assert (said.code, "pilot needs a terminal" in said.err) == (2, True)
