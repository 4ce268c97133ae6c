"""Checkpoints of a pilot: files and state go back together, spending and the journal never do, and a kill leaves one or the other."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.stage import alive
from tests.orchestrator.hosts import ADD, CHECKS, DELEGATE_ADD, DELEGATE_DOUBLE, DOUBLE, EXIT, WAIT, Stage, on
from tests.orchestrator.yard import RIGHT_ADD, RIGHT_DOUBLE, Yard, done, good, replaced
from tests.repl.terminal import Terminal
from tests.support import Said, zwarm
from zwarm_ci.orchestrator import checkpoints
from zwarm_ci.orchestrator.tools import Toolset

WRONG_ADD = replaced("a - b", "a ^ b")
SORRY = replaced("a ^ b", "a + b")


@pytest.fixture
def yard(yard: Yard) -> Yard:
    yard.repo.commit("quick checks", {".zwarm/config.toml": CHECKS})
    return yard


def goto(yard: Yard, *args: str) -> Said:
    return zwarm("checkpoint", "goto", *args, cwd=yard.repo.path, **yard.env)


def listed(yard: Yard, *args: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = zwarm("checkpoint", "ls", "--json", *args, cwd=yard.repo.path, **yard.env).json[
        "checkpoints"
    ]
    return found


def source(yard: Yard, session: str) -> str:
    """The file that a session works on, as it stands in its worktree."""
    return (Path(yard.store.load(session).worktree) / "calc.py").read_text()


def verdict(tools: Toolset, session: str) -> str:
    return str(good(tools.call("verify", {"session_id": session}))["status"])


def converse(tools: Toolset, session: str, message: str) -> None:
    good(tools.call("converse", {"session_id": session, "message": message}))
    assert not good(tools.call("wait", {"session_ids": [session]}))["pending"]


def sealed(yard: Yard) -> dict[str, Any]:
    """The state of the newest run, as it is on disk."""
    (file,) = (yard.repo.path / ".zwarm" / "runs").glob("2*/orchestrator/state.json")
    state: dict[str, Any] = json.loads(file.read_text())["state"]
    return state


@pytest.fixture
def stage(yard: Yard) -> Stage:
    return Stage(yard)


def test_a_person_goes_back_a_turn_and_leads_on_from_there(stage: Stage, terminal: Terminal) -> None:
    stage.script(
        DELEGATE_ADD, WAIT, *on("verify", 0), *on("accept", 0), {"say": "add is taken"},
        DELEGATE_DOUBLE, WAIT, *on("verify", 1), *on("accept", 1), {"say": "double is taken"},
        {"tool": "status", "args": {}}, DELEGATE_DOUBLE, WAIT, *on("verify", 2), *on("accept", 2), EXIT,
    )  # fmt: skip
    terminal.until("pilot>")
    terminal.line("repair add", "add is taken")
    terminal.line("repair double, please", "double is taken")
    terminal.until("pilot>")
    refused = goto(stage.yard, "1")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "is served by another process" in refused.err
    assert terminal.leave("") == 0
    first, second = listed(stage.yard)
    assert [(c["number"], c["words"]) for c in (first, second)] == [(1, "repair add"), (2, "repair double, please")]
    assert [(len(c["sessions"]), len(c["accepted"])) for c in (first, second)] == [(1, 1), (2, 2)]
    assert 0 < first["cost_usd"] < second["cost_usd"]
    told = zwarm("checkpoint", "ls", stage.newest.name, cwd=stage.repo.path).out.splitlines()
    assert told[2].split()[0] == "1"
    assert told[3].endswith("repair double, please")
    later = second["accepted"][1]
    said = goto(stage.yard, "1")
    assert said.code == 0, said.err
    assert f"ended, for they began later: {later[:8]}" in said.out
    assert stage.yard.store.load(later).verdict == "abandoned"
    assert sealed(stage.yard)["accepted"] == first["accepted"]
    again = Terminal(stage.repo.path, stage.env, "pilot", "--yes", "--resume", stage.newest.name)
    try:
        again.until("pilot>")
        again.line("do double anew", "fixed: ")
        assert again.leaves() == 0
    finally:
        again.close()
    assert "The user went back to how things stood after the turn 'repair add'" in stage.prompts[-1]["prompt"]
    assert later in stage.prompts[-1]["prompt"]
    calc = stage.repo.git("show", "made:calc.py")
    assert ("a + b" in calc, "a * 2" in calc) == (True, True)
    outcome = json.loads((stage.newest / "outcome.json").read_text())
    counted = {a["session"] for task in outcome["tasks"] for a in task["attempts"]}
    assert later in counted, "what was taken back was paid for all the same"
    assert "has ended" in goto(stage.yard, "1").err
    kinds = [json.loads(line)["kind"] for line in (stage.newest / "journal.jsonl").read_text().splitlines()]
    assert kinds.count("checkpoint_goto") == 1


def test_files_and_verdicts_of_a_session_are_those_of_then(yard: Yard) -> None:
    tools = yard.begin()
    session = done(tools, f"{RIGHT_ADD}\nwrite notes.txt one", expects=[ADD])
    assert verdict(tools, session) == "fixed"
    checkpoints.save(tools.instance, "first")
    converse(tools, session, f"{replaced('a + b', 'a ^ b')}\nwrite notes.txt two\nwrite more.txt three")
    assert verdict(tools, session) == "still_failing"
    checkpoints.save(tools.instance, "second")
    steps, spent = tools.state.steps, tools.money()
    tools.close()
    worktree = Path(yard.store.load(session).worktree)
    assert goto(yard, "1").code == 0
    assert ("a + b" in source(yard, session), (worktree / "notes.txt").read_text()) == (True, "one\n")
    (kept,) = sealed(yard)["sessions"]
    assert [t["turn"] for t in kept["totals"]] == [1, 2], "of its turns none is forgotten"
    assert not (worktree / "more.txt").exists()
    assert tools.instance.private.read("refs/zwarm-ci/checkpoint/2", f"{session}/more.txt") == b"three\n"
    again = yard.resume()
    assert (again.state.steps, again.money()) == (steps, spent), "what was spent stays spent"
    assert [t.turn for t in again.state.session(session).totals] == [1, 2]
    assert good(again.call("accept", {"session_id": session}))["accepted"] == [session], "its verdict of then holds"


def test_what_was_taken_since_is_open_again_where_it_was(yard: Yard) -> None:
    tools = yard.begin()
    session = done(tools, RIGHT_ADD, expects=[ADD])
    checkpoints.save(tools.instance, "before it is taken")
    worktree = yard.store.load(session).worktree
    assert verdict(tools, session) == "fixed"
    good(tools.call("accept", {"session_id": session}))
    assert not Path(worktree).exists()
    tools.close()
    said = goto(yard, "1")
    assert (said.code, f"open again: {session[:8]}" in said.out) == (0, True), said.err
    meta = yard.store.load(session)
    assert (meta.verdict, meta.worktree) == ("", worktree)
    assert "a + b" in source(yard, session)
    again = yard.resume()
    assert (again.state.accepted, again.state.session(session).last) == ((), None)
    converse(again, session, replaced("a * 3", "a * 2"))
    assert good(again.call("verify", {"session_id": session, "expects": [ADD, DOUBLE]}))["status"] == "fixed"


def test_there_is_a_way_forward_again(yard: Yard) -> None:
    tools = yard.begin()
    checkpoints.save(tools.instance, "nothing yet")
    taken, held = done(tools, RIGHT_ADD, expects=[ADD]), done(tools, RIGHT_DOUBLE, expects=[DOUBLE])
    assert verdict(tools, taken) == "fixed"
    good(tools.call("accept", {"session_id": taken}))
    tools.close()
    back = goto(yard, "1")
    assert (back.code, "how it stood before is checkpoint 2" in back.out) == (0, True), back.err
    assert {yard.store.load(i).verdict for i in (taken, held)} == {"abandoned"}
    assert sealed(yard)["accepted"] == []
    assert goto(yard, "2").code == 0
    assert (yard.store.load(taken).verdict, yard.store.load(held).verdict) == ("passed", "")
    assert "a * 2" in source(yard, held)
    again = yard.resume()
    assert again.state.accepted == (taken,)
    assert verdict(again, held) == "fixed"
    assert good(again.call("accept", {"session_id": held}))["accepted"] == [taken, held]
    assert good(again.call("exit", {"summary": "both"}))["ended"]


def test_a_verdict_that_follows_a_return_does_not_spoil_the_one_whose_number_it_has(yard: Yard) -> None:
    tools = yard.begin()
    session = done(tools, WRONG_ADD, expects=[ADD])
    assert verdict(tools, session) == "still_failing"
    checkpoints.save(tools.instance, "wrong")
    converse(tools, session, SORRY)
    assert verdict(tools, session) == "fixed"
    checkpoints.save(tools.instance, "right")
    tools.close()
    assert goto(yard, "1").code == 0
    again = yard.resume()
    converse(again, session, replaced("a ^ b", "a % b"))
    assert verdict(again, session) == "still_failing"
    assert len(again.state.session(session).hearings) == 2
    again.close()
    assert goto(yard, "2").code == 0
    last = yard.resume()
    assert verdict(last, session) == "fixed"
    assert good(last.call("accept", {"session_id": session}))["accepted"] == [session]


def test_going_there_twice_does_no_more_than_once(yard: Yard) -> None:
    tools = yard.begin()
    session = done(tools, RIGHT_ADD, expects=[ADD])
    checkpoints.save(tools.instance, "first")
    done(tools, RIGHT_DOUBLE, expects=[DOUBLE])
    converse(tools, session, replaced("a + b", "a ^ b"))
    tools.close()
    assert goto(yard, "1").code == 0
    before, known = sealed(yard), listed(yard)
    assert [c["number"] for c in known] == [1, 2]
    said = goto(yard, "1")
    assert (said.code, "it stood there already" in said.out) == (0, True)
    after = sealed(yard)
    assert {k: v for k, v in after.items() if k != "tag"} == {k: v for k, v in before.items() if k != "tag"}
    assert listed(yard) == known


def test_turns_under_way_are_stopped(yard: Yard) -> None:
    with yard.gate() as gate:
        tools = yard.begin()
        hangs = f"{RIGHT_ADD}\nsay at the gate\nhang {gate}"
        early: str = good(tools.call("delegate", {"task": hangs}))["session_id"]
        yard.at_gate(early)
        checkpoints.save(tools.instance, "it works")
        late: str = good(tools.call("delegate", {"task": hangs}))["session_id"]
        yard.at_gate(late)
        tools.close()
        (row,) = (c["sessions"] for c in listed(yard))
        assert [(s["id"], s["live"]) for s in row] == [(early, True)]
        said = goto(yard, "1")
        assert said.code == 0, said.err
        assert not alive(str(gate))
    assert "stopped in their turn" in said.out
    assert [(yard.state(i), yard.store.load(i).verdict) for i in (early, late)] == [
        ("killed", ""),
        ("killed", "abandoned"),
    ]
    assert "a + b" in source(yard, early)
    assert [s["totals"] for s in sealed(yard)["sessions"]] == [[], []]
    assert len(yard.resume().metas()) == 2
    assert [len(s["totals"]) for s in sealed(yard)["sessions"]] == [1, 1], "the turn that was stopped is counted"


def test_a_task_may_be_given_once_more_word_for_word(yard: Yard) -> None:
    tools = yard.begin()
    checkpoints.save(tools.instance, "nothing yet")
    task = {"task": RIGHT_ADD, "expects": [ADD]}
    first = good(tools.call("delegate", task))["session_id"]
    tools.close()
    assert goto(yard, "1").code == 0
    second = good(yard.resume().call("delegate", task))
    assert (second["session_id"] != first, "repeated" in second) == (True, False)


def test_of_a_deleted_session_only_that_it_was_taken_comes_back(yard: Yard) -> None:
    tools = yard.begin()
    session = done(tools, RIGHT_ADD, expects=[ADD])
    verdict(tools, session)
    good(tools.call("accept", {"session_id": session}))
    checkpoints.save(tools.instance, "taken")
    good(tools.call("end_session", {"session_id": session, "verdict": "failed", "delete": True}))
    tools.close()
    said = goto(yard, "1")
    assert (said.code, "deleted since" in said.out) == (0, True), said.err
    again = yard.resume()
    assert again.state.accepted == (session,)
    (row,) = (r for r in good(again.call("verify", {}))["checks"] if r["name"] == ADD)
    assert row["green"]


#: git, but that it waits at a gate before it resets files for the second time.
GIT = """#!{shell}
case " $* " in *" read-tree --reset "*)
  if [ -e {mark} ]; then read line < {gate} || exit 1; fi
  : > {mark};;
esac
exec {git} "$@"
"""


def test_killed_in_the_middle_the_state_is_the_old_one_and_both_ways_are_open(yard: Yard) -> None:
    tools = yard.begin()
    sessions = [done(tools, WRONG_ADD, expects=[ADD]) for _ in range(2)]
    checkpoints.save(tools.instance, "both wrong")
    for session in sessions:
        converse(tools, session, SORRY)
        assert verdict(tools, session) == "fixed"
    tools.close()
    old = sealed(yard)
    shims, mark, gate = yard.tmp / "shims", yard.tmp / "mark", yard.tmp / "second"
    shims.mkdir()
    os.mkfifo(gate)
    found, shell = shutil.which("git"), shutil.which("sh")
    (shims / "git").write_text(GIT.format(shell=shell, git=found, mark=mark, gate=gate))
    (shims / "git").chmod(0o755)
    env = {**os.environ, **yard.env, "PATH": f"{shims}:{os.environ['PATH']}"}
    child = subprocess.Popen(
        [sys.executable, "-m", "zwarm_ci", "checkpoint", "goto", "1"],
        cwd=yard.repo.path,
        env=env,
        stdout=subprocess.DEVNULL,
    )
    handle = os.open(gate, os.O_WRONLY)  # comes back when git waits there
    child.kill()
    child.wait()
    os.close(handle)
    fields = ("accepted", "sessions", "steps", "notes")
    assert {f: sealed(yard)[f] for f in fields} == {f: old[f] for f in fields}
    assert len({"a ^ b" in source(yard, s) for s in sessions}) == 2, "one of two was reset"
    assert [c["number"] for c in listed(yard)] == [1, 2]
    assert goto(yard, "2").code == 0
    assert all("a + b" in source(yard, s) for s in sessions)
    assert goto(yard, "1").code == 0
    assert all("a ^ b" in source(yard, s) for s in sessions)
    assert [len(s["hearings"]) for s in sealed(yard)["sessions"]] == [0, 0]


def test_what_cannot_be_gone_to_is_said_in_one_line(yard: Yard) -> None:
    assert "no run here has checkpoints" in goto(yard, "1").err
    tools = yard.begin()
    for words in ("one", "two", "three\x1b[31m sk-ant-api03-" + "a" * 40):
        checkpoints.save(tools.instance, words)
    tools.close()
    shown = listed(yard)[2]["words"]
    assert ("\x1b" in shown, "aaaa" in shown, shown.startswith("three")) == (False, False, True)
    for args, said in (
        (("7",), "has no checkpoint 7 (the nearest is 3; see"), (("1", "--run", "nope"), "no run with checkpoints begins with 'nope'"),
        (("0",), "0 is not in the range"),
    ):  # fmt: skip
        refused = goto(yard, *args)
        assert (refused.code, refused.err.count("\n"), said in refused.err) == (2, 1, True), refused.err


def test_what_somebody_else_wrote_is_not_believed(yard: Yard) -> None:
    tools = yard.begin()
    checkpoints.save(tools.instance, "mine")
    checkpoints.save(tools.instance, "mine too")
    tools.close()
    folder = tools.folder / "orchestrator" / "checkpoints"
    (folder / "3.json").write_text((folder / "1.json").read_text())
    assert "is checkpoint 1 under another name" in goto(yard, "3").err
    (folder / "2.json").write_text((folder / "2.json").read_text().replace("mine too", "not mine"))
    refused = goto(yard, "2")
    assert (refused.code, "was not written by you" in refused.err) == (2, True)
