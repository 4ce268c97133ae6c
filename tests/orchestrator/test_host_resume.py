"""A run that is cut off at any point, by a kill or a person, goes on to the same end: no session twice, no finished turn paid twice."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conformance.stage import alive
from tests.orchestrator.hosts import ADD, CHECKS, DELEGATE_ADD, DELEGATE_DOUBLE, EXIT, JOB, WAIT, Item, Stage, on
from tests.orchestrator.yard import RIGHT_ADD, Yard
from zwarm_ci.sessions import watch


@pytest.fixture
def stage(yard: Yard) -> Stage:
    yard.repo.commit("quick checks", {".zwarm/config.toml": CHECKS})
    return Stage(yard)


def until_at(gate: Path) -> Callable[[], None]:
    """Wait until somebody waits at a FIFO; what lets them go."""
    handle = os.open(gate, os.O_WRONLY)  # comes back when there is a reader
    return lambda: os.close(handle)


def until_named(stage: Stage) -> None:
    """Wait until the run has noted how the host's conversation is called; the host may be far ahead of that."""
    while not stage.noted("host").get("native"):
        time.sleep(0.02)


def turns(stage: Stage) -> dict[str, int]:
    """Turns by session: every one that was paid for left its raw events."""
    return {m.id: len(stage.yard.store.turns(m.id)) for m in stage.yard.store.all()[0]}


#: Where the host is when all is killed: before the item of that number in the job.
POINTS = {
    "before its first call": 0,
    "when one is delegated": 2,
    "when both have ended": 4,
    "between two verdicts": 5,
    "when one is taken": 7,
    "before exit": 8,
}


FAST = {"when one is delegated", "between two verdicts"}


@pytest.mark.parametrize("point", [p if p in FAST else pytest.param(p, marks=pytest.mark.slow) for p in POINTS])
def test_killed_and_resumed_it_comes_to_the_same_end(stage: Stage, point: str) -> None:
    gate = stage.yard.tmp / "gate"
    os.mkfifo(gate)
    at = POINTS[point]
    stage.script(*JOB[:at], {"gate": str(gate)}, *JOB[at:])
    run = stage.start()
    let_go = until_at(gate)
    until_named(stage)
    run.kill()
    run.communicate()
    let_go()
    for meta in stage.yard.store.all()[0]:
        watch.until(stage.yard.store, [meta.id], every=True, timeout=60)
    before = turns(stage)
    gate.unlink()
    gate.write_bytes(b"")  # nobody waits there any more
    said = stage.run("--resume", "latest" if (stage.newest.parent / "latest").exists() else stage.newest.name)
    assert said.code == 0, said.err
    outcome = said.json
    assert outcome["status"] == "fixed"
    calc = stage.repo.git("show", f"{outcome['branch']}:calc.py")
    assert ("a + b" in calc, "a * 2" in calc) == (True, True)
    after = turns(stage)
    assert len(after) == 2, "a session was begun twice"
    assert set(after.values()) == {1}, "a turn was paid twice"
    assert before.items() <= after.items()
    assert [s["step"] for s in stage.steps] == list(range(1, len(stage.steps) + 1)), "steps go on being counted"
    assert len({p["session"] for p in stage.prompts}) == 1, "the host's own memory goes on"
    (host,) = (t for t in outcome["tasks"] if t["id"] == "task-0")
    assert [a["turn"] for a in host["attempts"]] == [1, 2]
    assert not alive(str(stage.program))


def test_a_session_that_lives_through_the_kill_is_waited_for(stage: Stage) -> None:
    with stage.yard.gate() as gate:
        held: Item = {
            "tool": "delegate",
            "args": {"task": f"say at the gate\nhang {gate}\n{RIGHT_ADD}", "expects": [ADD]},
        }
        stage.script(JOB[0], held, DELEGATE_DOUBLE, *JOB[3:])
        run = stage.start()
        found: list[str] = []
        assert run.stderr
        for line in run.stderr:
            if "→ delegate(" in line:
                found.append(line)
            if len(found) == 2:
                break
        run.kill()
        run.communicate()
        (live,) = (m for m in stage.yard.store.all()[0] if m.title.startswith("say at"))
        assert stage.yard.store.load(live.id).live, "it has a process of its own"
        stage.yard.at_gate(live.id)
    said = stage.run("--resume", stage.newest.name)
    assert said.code == 0, said.err
    assert set(turns(stage).values()) == {1}
    assert len(turns(stage)) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_host_and_sessions_and_the_run_can_be_gone_on_with(stage: Stage, number: signal.Signals) -> None:
    with stage.yard.gate() as gate:
        held: Item = {"tool": "delegate", "args": {"task": f"say at the gate\nhang {gate}", "expects": [ADD]}}
        stage.script(held, {"tool": "wait", "args": {}}, {"say": "enough"})
        run = stage.start()
        assert run.stderr
        next(line for line in run.stderr if "→ delegate(" in line)
        run.send_signal(number)
        out, err = run.communicate()
        assert run.returncode == 128 + number, err
        assert '"status": "interrupted"' in out
        (session,) = stage.yard.store.all()[0]
        assert session.state == "killed"
        assert not alive(str(stage.program))
        assert not alive(str(gate))
    again = [DELEGATE_ADD, DELEGATE_DOUBLE, WAIT, *on("verify", 1, 2), *on("accept", 1, 2), EXIT]
    stage.script(held, *on("end_session", 0, verdict="failed"), *again)
    said = stage.run("--resume", "latest")
    assert said.code == 0, said.err


def test_a_host_whose_memory_is_gone_begins_anew_with_what_the_tools_know(stage: Stage) -> None:
    gate = stage.yard.tmp / "gate"
    os.mkfifo(gate)
    stage.script(*JOB[:3], {"gate": str(gate)})
    run = stage.start()
    let_go = until_at(gate)
    run.kill()
    run.communicate()
    let_go()
    for path in stage.newest.glob("orchestrator/host/home/.claude/projects/*/*.jsonl"):
        path.unlink()
    stage.script({"tool": "status", "args": {}}, {"say": "who am I?"})
    said = stage.run("--resume", stage.newest.name)
    assert said.code == 3, said.err
    first, anew, *_ = stage.prompts
    assert first["session"] != anew["session"]
    assert "Your task:\n\nrepair add and double" in anew["prompt"]
    assert "Call `status` first" in anew["prompt"]
    assert len(stage.yard.store.all()[0]) == 2
