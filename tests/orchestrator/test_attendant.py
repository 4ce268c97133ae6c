"""The watchers beside the real tools: what they are shown, where their words go, and what becomes of a run that they cannot see."""

from __future__ import annotations

from typing import Any

from tests.orchestrator.yard import ADD, RIGHT_ADD, Yard, bad, done, good
from zwarm_ci.orchestrator.attendant import Attendant
from zwarm_ci.orchestrator.watchers.base import Step
from zwarm_ci.sessions import watch


def test_a_sessions_real_difference_is_seen_when_its_turn_has_ended(yard: Yard) -> None:
    yard.repo.commit("few lines", {".zwarm/config.toml": yard.config + "max_lines = 1\n"})
    tools = yard.begin()
    seen: list[Step] = []
    tools.attend(Attendant(tools, on_step=seen.append))
    with yard.gate() as gate:
        task = f"say at the gate\nhang {gate}\n{RIGHT_ADD}"
        session = good(tools.call("delegate", {"task": task, "expects": [ADD]}))["session_id"]
        yard.at_gate(session)
    watch.until(yard.store, [session], every=True)
    (line,) = tools.call("wait", {})["watchers"]
    assert line.startswith(
        f"[WATCHER: quality] session {session[:8]} changed 1 files, 2 lines: more than verify.max_files"
    )
    idle = done(tools, "say I looked at it", expects=[ADD])
    assert (
        f"session {idle[:8]} ended turn 1 without changing anything"
        in (tools.folder / "orchestrator" / "watchers.jsonl").read_text()
    )
    assert [s.tool for s in seen] == ["delegate", "wait", "delegate", "wait"]
    assert seen[0].answer["session_id"] == session


def test_words_are_put_into_the_answer_they_belong_to(yard: Yard) -> None:
    tools = yard.begin()
    tools.attend(Attendant(tools))
    answer: dict[str, Any] = {}
    for _ in range(3):
        answer = tools.call("list_sessions", {})
    (line,) = answer["watchers"]
    assert line.startswith("[WATCHER: progress] You are polling.")
    assert "watchers" not in good(tools.call("list_sessions", {}))


def test_a_run_that_the_watchers_cannot_see_is_paused(yard: Yard) -> None:
    tools = yard.begin()
    ended: list[bool] = []
    tools.attend(Attendant(tools, on_end=lambda: ended.append(True)))
    session = done(tools, f"{RIGHT_ADD}\nsay did it", expects=[ADD])
    assert not ended
    (yard.store.folder(session) / "meta.json").write_text("{")
    tools.call("status", {})
    assert ended == [True]
    assert "the watchers cannot see what sessions did" in tools.state.halted
    assert tools.state.resumable
    assert "was stopped" in bad(tools.call("list_sessions", {}))


def test_counters_begin_where_an_earlier_process_left_them(yard: Yard) -> None:
    tools = yard.begin()
    tools.attend(Attendant(tools))
    for _ in range(2):
        tools.call("list_sessions", {})
    tools.close()
    again = yard.resume(tools.run)
    again.attend(Attendant(again))
    assert "You are polling" in again.call("list_sessions", {})["watchers"][0]
