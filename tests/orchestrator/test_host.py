"""`orchestrate` with a host that a test scripts: the job whole, what is refused or nudged, who ends it, and with which exit code."""

from __future__ import annotations

import json

import pytest

from tests.conformance.stage import alive
from tests.orchestrator.hosts import ADD, CHECKS, DELEGATE_ADD, EXIT, JOB, WAIT, Item, Stage, on
from tests.orchestrator.yard import RIGHT_ADD, Yard
from tests.support import belongings


@pytest.fixture
def stage(yard: Yard) -> Stage:
    yard.repo.commit("quick checks", {".zwarm/config.toml": CHECKS})
    return Stage(yard)


def test_a_task_is_planned_delegated_verified_and_delivered(stage: Stage) -> None:
    before = belongings(stage.repo.path)
    stage.script(*JOB)
    said = stage.run("--branch", "made")
    assert said.code == 0, said.err
    outcome = said.json
    assert (outcome["status"], outcome["command"], outcome["branch"]) == ("fixed", "orchestrate", "made")
    assert "a + b" in stage.repo.git("show", "made:calc.py")
    assert "a * 2" in stage.repo.git("show", "made:calc.py")
    assert belongings(stage.repo.path, but=("made",)) == before
    (whole,) = (t for t in outcome["tasks"] if t["id"] == "task-0")
    (host,) = whole["attempts"]
    assert (host["session"], host["verdict"], host["executor"], host["turn"]) == ("host", "already_green", "claude", 1)
    assert "both are repaired" in host["reason"]
    assert "step 2 → delegate(" in said.err
    assert 'step 9 → exit(summary="both are repaired")' in said.err
    (told,) = stage.prompts
    assert "Your task:\n\nrepair add and double" in told["prompt"]
    assert "50 calls of tools in all" in told["prompt"]
    assert told["argv"][told["argv"].index("--tools") + 1] == ""
    assert not alive(str(stage.folder))


def test_a_host_that_ends_its_turn_has_not_ended_the_run(stage: Stage) -> None:
    stage.script(*JOB[:2], {"say": "I think that will do."}, *JOB[2:])
    said = stage.run()
    assert said.code == 0, said.err
    first, second = stage.prompts
    assert first["session"] == second["session"]
    assert "--resume" in second["argv"]
    assert "Your turn ended, but the run has not" in second["prompt"]
    assert "was not verified" in second["prompt"]
    whole = next(t for t in said.json["tasks"] if t["id"] == "task-0")
    assert [a["turn"] for a in whole["attempts"]] == [1, 2]


def test_a_host_that_does_not_get_on_is_stopped(stage: Stage) -> None:
    stage.script(
        {"tool": "status", "args": {}}, {"say": "done"}, {"say": "really"}, {"say": "truly"}, {"say": "never said"}
    )
    said = stage.run()
    assert said.code == 3, said.err
    assert len(stage.prompts) == 3
    assert said.json["status"] == "stopped"
    assert "the host does not get on: truly" in said.json["reason"]
    assert "--resume" in said.json["reason"]


MISDEEDS: list[tuple[list[Item], int, str]] = [
    ([EXIT], 1, "not yet"),
    ([DELEGATE_ADD, WAIT, *on("accept", 0)], 3, "was never verified"),
    ([{"tool": "bash", "args": {"command": "echo x > calc.py"}}], 1, "[WATCHER: delegation]"),
    ([{"tool": "bash", "args": {"command": "cat .env ~/.ssh/id_rsa"}}], 1, "[WATCHER: scope]"),
    ([DELEGATE_ADD, WAIT, *on("peek_session", 0, 0, 0)], 5, "[WATCHER: progress] You are polling"),
    ([{"tool": "write_file", "args": {"path": "calc.py", "content": "x"}}], 1, "no tool is called"),
]


@pytest.mark.parametrize(("misdeed", "at", "said"), MISDEEDS)
def test_a_misdeed_is_refused_or_nudged_and_nothing_is_written(
    stage: Stage, misdeed: list[Item], at: int, said: str
) -> None:
    before = belongings(stage.repo.path)
    (stage.repo.path / ".env").write_text("TOKEN=sk-of-the-user-0123456789abcdef\n")
    before = belongings(stage.repo.path)
    stage.script(*misdeed, {"tool": "chat", "args": {"message": "What now?"}})
    stage.run()
    answer = json.dumps(stage.answers()[at - 1]["answer"])
    assert said in answer
    assert "sk-of-the-user" not in answer
    assert belongings(stage.repo.path) == before


def test_a_question_blocks_the_run_and_its_answer_lets_it_go_on(stage: Stage) -> None:
    stage.script(*JOB[:2], {"tool": "chat", "args": {"message": "Is double(4) eight?"}}, *JOB[2:])
    said = stage.run()
    assert said.code == 4, said.err
    assert said.json["status"] == "blocked"
    assert "Is double(4) eight?" in said.json["reason"]
    said = stage.run("--resume", "latest", "--task", "Yes, it is.")
    assert said.code == 0, said.err
    assert said.json["status"] == "fixed"
    assert "The user says: Yes, it is." in stage.prompts[-1]["prompt"]


def test_a_watchers_pause_ends_the_host_and_leaves_the_run_to_be_gone_on_with(stage: Stage) -> None:
    writes = [{"tool": "bash", "args": {"command": f"echo {n} > a"}} for n in range(3)]
    with stage.yard.gate() as gate:
        task = f"say at the gate\nhang {gate}\n{RIGHT_ADD}"
        stage.script({"tool": "delegate", "args": {"task": task, "expects": [ADD]}}, *writes, *JOB[2:])
        said = stage.run()
        assert (said.code, said.json["status"]) == (3, "stopped"), said.err
        assert "watcher delegation: 3 attempts to write by bash" in said.json["reason"]
        assert f"--resume {stage.newest.name}" in said.json["reason"]
        assert [s["tool"] for s in stage.served] == ["delegate", "bash", "bash", "bash"]
        (session,) = stage.yard.store.all()[0]
        assert session.live, "the host alone is paused"
        stage.yard.at_gate(session.id)
    said = stage.run("--resume", "latest")
    assert said.code == 0, said.err
    assert stage.yard.store.load(session.id).turn == 1


def test_a_watchers_abort_ends_host_and_sessions(stage: Stage) -> None:
    with stage.yard.gate() as gate:
        stage.script(
            {"tool": "delegate", "args": {"task": f"say at the gate\nhang {gate}"}},
            {"tool": "bash", "args": {"command": "echo forbidden"}},
            *JOB,
        )
        rules = 'watchers.pattern.rules=[{regex = "forbidden", action = "abort", message = "never"}]'
        said = stage.run("--set", 'watchers.enabled=["pattern"]', "--set", rules)
    assert (said.code, said.json["status"]) == (3, "stopped"), said.err
    assert "watcher pattern: never: 'forbidden' in the call" in said.json["reason"]
    assert "--resume" not in said.json["reason"]
    (session,) = stage.yard.store.all()[0]
    assert session.state == "killed"
    assert not alive(str(gate))


def test_steps_are_limited_over_the_whole_run(stage: Stage) -> None:
    stage.script(*JOB)
    said = stage.run("--max-steps", "4")
    assert (said.code, said.json["status"]) == (3, "stopped"), said.err
    assert said.json["reason"] == "watcher budget: the limit is reached: 4 of 4 steps (raise --max-steps)"
    assert len(stage.served) == 4
    said = stage.run("--resume", "latest", "--max-steps", "4")
    assert said.code == 3, said.err
    said = stage.run("--resume", "latest", "--max-steps", "20")
    assert said.code == 0, said.err
    assert [s["step"] for s in stage.steps] == list(range(1, len(stage.steps) + 1))


def test_the_limit_of_steps_needs_no_watcher(stage: Stage) -> None:
    stage.script(*[{"tool": "bash", "args": {"command": "cat calc.py"}}] * 5)
    said = stage.run("--max-steps", "2", "--set", "watchers.enabled=[]")
    assert (said.code, said.json["reason"]) == (3, "the limit of 2 steps is reached (raise --max-steps)"), said.err
    assert len(stage.served) == 2


def test_no_more_sessions_are_begun_than_were_allowed(stage: Stage) -> None:
    stage.script(*JOB[:4], {"tool": "chat", "args": {"message": "What now?"}})
    said = stage.run("--max-tasks", "1")
    assert said.code == 4, said.err
    assert "1 sessions were begun, and watchers.budget.sessions allows no more" in json.dumps(stage.answers()[2])
    assert "sessions in all" in stage.prompts[0]["prompt"]
    assert len(stage.yard.store.all()[0]) == 1


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("--set", "orchestrator.lm=gpt-5.1-codex"), 2, "gpt-5.1-codex is a model of codex"),
        (("--set", 'watchers.enabled=["pattren"]'), 2, "no watcher is called pattren (the nearest is pattern)"),
        (("--resume", "nothing"), 2, "no run begins with 'nothing'"),
        (("--resume", "latest", "--base", "HEAD"), 2, "leave out --base"),
        (("--set", "budget.usd=0"), 3, "budget"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_done(
    stage: Stage, args: tuple[str, ...], code: int, said: str
) -> None:
    stage.script(*JOB)
    found = stage.run(*args)
    assert found.code == code, found.err
    assert said in found.err or said in found.json["reason"]
    assert not list((stage.repo.path / ".zwarm").glob("runs/2*/orchestrator/host/home/.claude/prompts.jsonl"))
    if code == 2:
        assert not list((stage.repo.path / ".zwarm").glob("runs/2*"))


def test_a_host_that_is_not_there_blocks(stage: Stage) -> None:
    stage.program.unlink()
    said = stage.run()
    assert said.code == 4
    assert "the host claude:sonnet cannot plan: ZWARM_CI_CLAUDE names" in said.err
    assert not list((stage.repo.path / ".zwarm").glob("runs/2*"))
