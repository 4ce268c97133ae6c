"""The tools on sessions: begin, continue, look, await, close; what is refused and how; what a killed process leaves to the next one."""

from __future__ import annotations

import json
import os
import select
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.orchestrator.yard import ADD, RIGHT_ADD, Yard, bad, done, good
from tests.support import belongings
from zwarm_ci import journal, reap
from zwarm_ci.errors import UsageError
from zwarm_ci.gateway import keys
from zwarm_ci.orchestrator import toolspec
from zwarm_ci.orchestrator.state import Call, State


def test_a_session_works_in_a_worktree_of_the_runs_base_and_nothing_of_the_users_changes(yard: Yard) -> None:
    yard.repo.write({"calc.py": "uncommitted = 1\n"})
    before = belongings(yard.repo.path)
    tools = yard.begin()
    yard.repo.write({"calc.py": "changed again\n"})
    session = done(tools, "edit calc.py|uncommitted|known\nsay did it")
    yard.repo.write({"calc.py": "uncommitted = 1\n"})
    assert belongings(yard.repo.path) == before
    found = good(tools.call("check_session", {"session_id": session}))
    assert (found["status"], found["response"], found["turn"]) == ("completed", "did it", 1)
    assert (found["changed"], found["tokens"]) == ([{"path": "calc.py", "added": 1, "removed": 1}], 1100)
    assert b"+known = 1" in tools.patch(session)
    meta = yard.store.load(session)
    assert (meta.run, meta.base) == (tools.run, tools.state.base)
    assert tools.state.base != yard.repo.git("rev-parse", "HEAD"), "a snapshot, which is in the run's repository alone"


def test_the_text_that_a_session_gets(yard: Yard) -> None:
    tools = yard.begin()
    session = done(tools, "say hi", expects=[ADD], working_dir=".")
    told = good(tools.call("get_trajectory", {"session_id": session, "full": True}))["steps"][0]
    assert told.startswith("told      say hi")
    for part in ("Place: .", f"- {ADD}", "no weaker tests", "Somebody else verifies it"):
        assert part in told


def test_converse_goes_on_where_it_was_and_every_turn_is_counted(yard: Yard) -> None:
    tools = yard.begin()
    session = done(tools, "say one")
    answer = good(tools.call("converse", {"session_id": session[:5], "message": "say two"}))
    assert (answer["turn"], answer["you_said"], answer["session_id"]) == (2, "say two", session)
    good(tools.call("wait", {}))
    assert good(tools.call("peek_session", {"session_id": session}))["latest_message"] == "two"
    (known,) = tools.state.sessions
    assert [(t.turn, t.state, t.usage.total) for t in known.totals] == [(1, "completed", 1100), (2, "completed", 1100)]
    assert known.totals[1].cost_usd == known.totals[0].cost_usd, (
        "codex counts the whole thread, and this one said the same again"
    )
    assert tools.money().tokens == 1100


def test_needs_attention_stays_until_somebody_has_looked(yard: Yard) -> None:
    tools = yard.begin()
    first, second = done(tools, "say one"), done(tools, "fail no such model")

    def rows(**args: Any) -> dict[str, tuple[str, bool]]:
        listed = good(tools.call("list_sessions", args))
        return {r["session_id"]: (r["status"], r["needs_attention"]) for r in listed["sessions"]}

    assert rows() == {first: ("completed", True), second: ("failed", True)}
    good(tools.call("check_session", {"session_id": first}))
    assert rows() == {first: ("completed", False), second: ("failed", True)}
    assert rows(status="failed", ack=True) == {second: ("failed", True)}
    assert rows() == {first: ("completed", False), second: ("failed", False)}
    good(tools.call("converse", {"session_id": first, "message": "say more"}))
    good(tools.call("wait", {}))
    assert rows()[first] == ("completed", True), "a further turn raises it again"


def test_wait_comes_back_at_the_first_end_and_says_what_is_pending(yard: Yard) -> None:
    tools = yard.begin()
    with yard.gate() as gate:
        slow = good(tools.call("delegate", {"task": f"say at the gate\nhang {gate}"}))["session_id"]
        quick = good(tools.call("delegate", {"task": "say quick"}))["session_id"]
        answer = good(tools.call("wait", {"session_ids": [slow, quick]}))
        assert ([e["session_id"] for e in answer["ended"]], answer["pending"]) == ([quick], [slow])
        late = good(tools.call("wait", {"timeout": 0.05}))
        assert (late["ended"], late["pending"], late["hint"]) == ([], [slow], "still running; call wait again")
        assert good(tools.call("sleep", {"seconds": 0.05}))["ended"] == []
        for tool, args in (("converse", {"message": "x"}), ("verify", {}), ("accept", {})):
            if tool != "verify":  # which looks at the base first
                assert "is running" in bad(tools.call(tool, {"session_id": slow, **args}))
        waiting: list[Any] = []
        thread = threading.Thread(target=lambda: waiting.append(tools.call("wait", {"mode": "all"})))
        thread.start()
        ended = good(tools.call("end_session", {"session_id": slow, "verdict": "failed", "reason": "hangs"}))
        assert (ended["status"], ended["verdict"]) == ("killed", "failed")
        thread.join(30)
        assert [e["session_id"] for e in waiting[0]["ended"]] == [slow], "a wait under way hears of the kill"
    assert good(tools.call("wait", {}))["hint"] == "no session is running"


def test_sleep_wakes_when_a_session_ends_and_is_capped(yard: Yard) -> None:
    tools = yard.begin()
    session = good(tools.call("delegate", {"task": "say quick"}))["session_id"]
    answer = good(tools.call("sleep", {"seconds": 10_000}))
    assert ([e["session_id"] for e in answer["ended"]], answer["capped"], answer["max_allowed"]) == (
        [session],
        True,
        300.0,
    )


def test_no_more_at_once_than_may(yard: Yard) -> None:
    tools = yard.begin(parallel=1)
    with yard.gate() as gate:
        first = good(tools.call("delegate", {"task": f"say at the gate\nhang {gate}"}))["session_id"]
        yard.at_gate(first)
        assert "1 sessions run, and 1 may (wait() until one has ended)" in bad(tools.call("delegate", {"task": "x"}))
    good(tools.call("wait", {}))
    done(tools, "say x")


def test_money_ends_delegation(yard: Yard) -> None:
    yard.repo.commit("less money", {".zwarm/config.toml": yard.config + "[budget]\nusd = 0.0004\n"})
    tools = yard.begin()
    session = done(tools, "say one")
    for tool, args in (("delegate", {"task": "x"}), ("converse", {"session_id": session, "message": "x"})):
        assert "of $0.0004 are spent (raise budget.usd)" in bad(tools.call(tool, args))
    assert len(yard.store.ids()) == 1


@pytest.mark.parametrize(
    ("tool", "args", "said"),
    [
        ("delegate", {}, "delegate: task: Field required (it takes task, working_dir"),
        ("delegate", {"task": ""}, "task: String should have at least 1 character"),
        ("delegate", {"task": "x", "colour": "red"}, "colour: Extra inputs are not permitted"),
        ("delegate", {"task": 5}, "task: Input should be a valid string"),
        ("delegate", {"task": "x", "adapter": "gemini"}, "no adapter is called 'gemini' (known: embedded"),
        ("delegate", {"task": "x", "model": "gpt-99"}, "no model is called 'gpt-99'"),
        ("delegate", {"task": "x", "adapter": "codex", "model": 'x"]; y = ["'}, "names no executor"),
        ("delegate", {"task": "x", "working_dir": "/etc"}, "'/etc' is no folder of the repository"),
        ("delegate", {"task": "x", "working_dir": "../x"}, "is no folder of the repository"),
        ("delegate", {"task": "x", "working_dir": "calc.py"}, "is no folder of the repository"),
        ("delegate", {"task": "x", "replaces": "abc"}, "no session begins with 'abc' (there is none yet"),
        ("converse", {"session_id": "abc", "message": "x"}, "no session begins with 'abc'"),
        ("end_session", {"session_id": "abc", "verdict": "great"}, "verdict: Input should be 'passed', 'failed' or 'abandoned'"),
        ("list_sessions", {"status": "finished"}, "status: Input should be"),
        ("wait", {"mode": "some"}, "mode: Input should be 'any' or 'all'"),
        ("sleep", {"seconds": 0}, "seconds: Input should be greater than 0"),
        ("nonsense", {}, "no tool is called 'nonsense' (known: delegate"),
    ],
)  # fmt: skip
def test_what_is_no_call_is_said_in_one_line(yard: Yard, tool: str, args: dict[str, Any], said: str) -> None:
    tools = yard.begin()
    answer = tools.call(tool, args)
    assert said in bad(answer), answer
    assert set(answer) == {"success", "error", "hint"}
    assert yard.store.ids() == []


def test_an_id_that_begins_several_is_no_id(yard: Yard) -> None:
    tools = yard.begin()
    ids = [done(tools, "say x") for _ in range(2)]
    for session_id in ids:  # two with one beginning, as chance will have it
        yard.store.folder(session_id).rename(yard.store.folder(f"aa{session_id[2:]}"))
    tools.instance.book.change(_renamed)
    answer = tools.call("peek_session", {"session_id": "aa"})
    assert "several sessions begin with 'aa'" in bad(answer)
    assert all(f"aa{i[2:]}" in answer["hint"] for i in ids)


def _renamed(state: State) -> State:
    return replace(state, sessions=tuple(replace(s, id=f"aa{s.id[2:]}") for s in state.sessions))


def test_embedded_takes_no_words(yard: Yard) -> None:
    tools = yard.begin()
    said = bad(tools.call("delegate", {"task": "x", "adapter": "embedded", "expects": []}))
    assert "embedded repairs red checks and takes no task in words" in said
    assert yard.store.ids() == []


def test_every_call_stands_in_the_journal_without_secrets(yard: Yard) -> None:
    tools = yard.begin()
    secret = "ghp_" + "a1B2" * 9
    good(tools.call("delegate", {"task": f"say {secret}"}))
    good(tools.call("wait", {}))
    bad(tools.call("peek_session", {"session_id": "zz"}))
    records = list(journal.read(tools.folder / "journal.jsonl"))
    calls = [(r["kind"], r["step"], r["tool"]) for r in records if r["kind"].startswith("tool_")]
    assert calls == [
        (kind, step, tool)
        for step, tool in enumerate(("delegate", "wait", "peek_session"), 1)
        for kind in ("tool_called", "tool_answered")
    ]
    assert [r["success"] for r in records if r["kind"] == "tool_answered"] == [True, True, False]
    assert "session_started" in {r["kind"] for r in records}
    assert secret not in (tools.folder / "journal.jsonl").read_text()


def test_steps_are_limited_over_the_whole_run(yard: Yard) -> None:
    tools = yard.begin(max_steps=2)
    good(tools.call("list_sessions", {}))
    tools.close()
    again = yard.resume(max_steps=2)
    good(again.call("list_sessions", {}))
    assert "the limit of 2 steps is reached" in bad(again.call("list_sessions", {}))
    assert good(again.call("status", {}))["steps"] == 4, "what is known can be asked all the same"


class Watcher:
    """Refuses one tool, and says something to every answer."""

    def before(self, call: Call) -> str:
        return "not that" if call.tool == "sleep" else ""

    def after(self, call: Call, answer: Any) -> list[str]:
        return [f"[WATCHER: test] {call.step} {answer['success']}"]


def test_who_attends_may_refuse_and_rides_on_answers(yard: Yard) -> None:
    tools = yard.begin(attendant=Watcher())
    assert good(tools.call("list_sessions", {}))["watchers"] == ["[WATCHER: test] 1 True"]
    refused = tools.call("sleep", {"seconds": 1})
    assert (refused["error"], refused["watchers"]) == ("not that", ["[WATCHER: test] 2 False"])


def test_after_a_halt_no_tool_works_until_somebody_goes_on(yard: Yard) -> None:
    tools = yard.begin()
    tools.halt("watcher x: enough", resumable=True)
    assert "the run was stopped: watcher x: enough" in bad(tools.call("delegate", {"task": "x"}))
    assert good(tools.call("status", {}))["stopped"] == "watcher x: enough"
    tools.close()
    assert yard.resume().call("list_sessions", {})["success"]


def test_a_question_to_nobody_blocks_the_run(yard: Yard) -> None:
    tools = yard.begin(words="do something")
    answer = good(tools.call("chat", {"message": "which of the two?"}))
    assert answer["blocked"] is True
    assert "the orchestrator asks: which of the two?" in bad(tools.call("list_sessions", {}))
    outcome = tools.finish().outcome
    assert (outcome.status, outcome.exit_code) == ("blocked", 4)
    assert "which of the two?" in outcome.reason


def test_somebody_who_is_there_is_asked(yard: Yard) -> None:
    tools = yard.begin(person=lambda question: f"yes to {question}")
    assert good(tools.call("chat", {"message": "this?"}))["answer"] == "yes to this?"
    assert tools.state.question == ""


def test_the_next_process_goes_on_with_sessions_that_lived_on(yard: Yard) -> None:
    tools = yard.begin(words="the task")
    with yard.gate() as gate:
        session = good(tools.call("delegate", {"task": f"say at the gate\nhang {gate}\nsay through", "expects": []}))[
            "session_id"
        ]
        yard.at_gate(session)
        tools.close()
        again = yard.resume()
        state = good(again.call("status", {}))
        assert (state["run"], state["task"], state["steps"]) == (tools.run, "the task", 2)
        assert [(s["session_id"], s["status"], s["expects"]) for s in state["sessions"]] == [(session, "running", [])]
    waited = good(again.call("wait", {}))
    assert (waited["ended"][0]["session_id"], waited["ended"][0]["latest_message"]) == (session, "through")
    good(again.call("converse", {"session_id": session, "message": "say more"}))
    good(again.call("wait", {}))
    assert yard.store.load(session).turn == 2


def test_what_a_killed_process_answered_to_nobody_is_not_begun_twice(yard: Yard) -> None:
    """Two calls at once, killed after the sessions began and before that was written down; the host asks both again."""
    tools = yard.begin()
    asked = [{"task": f"say {n}", "expects": []} for n in ("one", "two")]
    begun = {str(args["task"]): done(tools, **args) for args in asked}  # type: ignore[arg-type]
    tools.instance.book.change(_lost)
    tools.close()
    again = yard.resume()
    for args in reversed(asked):
        answer = good(again.call("delegate", args))
        assert (answer["session_id"], answer["repeated"]) == (begun[str(args["task"])], True)
    assert {s.id: s.expects for s in again.state.sessions} == dict.fromkeys(begun.values(), ())
    assert sorted(yard.store.ids()) == sorted(begun.values())
    third = good(again.call("delegate", asked[0]))["session_id"]
    assert third not in begun.values(), "asked a third time it is meant"
    good(again.call("wait", {"mode": "all"}))


def _lost(state: State) -> State:
    calls = [replace(c, success=None) for c in state.calls if c.tool == "delegate"]
    return replace(state, sessions=(), calls=tuple(calls))


def test_a_turn_that_was_begun_for_nobody_is_not_begun_twice(yard: Yard) -> None:
    tools = yard.begin()
    session = done(tools, "say one")
    message = {"session_id": session, "message": "say two"}
    good(tools.call("converse", message))
    good(tools.call("wait", {}))
    # killed before the answer left, and before anybody saw that the turn had ended
    known = tools.state.session(session)
    calls = [replace(c, success=None) for c in tools.state.calls if c.tool == "converse"]
    tools.instance.book.change(
        lambda s: replace(s, calls=tuple(calls)).with_session(replace(known, totals=known.totals[:1]))
    )
    tools.close()
    again = yard.resume()
    answer = good(again.call("converse", message))
    assert (answer["turn"], answer["repeated"]) == (2, True)
    assert good(again.call("converse", message))["turn"] == 3
    good(again.call("wait", {}))
    good(again.call("status", {}))
    assert [t.turn for t in again.state.session(session).totals] == [1, 2, 3]


def test_the_last_answer_may_not_have_reached_the_host(yard: Yard) -> None:
    tools = yard.begin()
    args = {"task": "say one", "expects": []}
    session = good(tools.call("delegate", args))["session_id"]
    tools.close()
    again = yard.resume()
    assert good(again.call("delegate", args))["session_id"] == session
    assert len(yard.store.ids()) == 1
    good(again.call("wait", {}))


def test_all_sessions_share_the_gateway_that_has_the_keys(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is believed of their usage is then the gateway's count, which is 0 here, as this program asks no model; it says 1100 itself."""
    channel = keys.launch({"OPENAI_API_KEY": "sk-test-0123456789abcdef", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"})
    monkeypatch.setenv(keys.FD_NAME, str(channel))
    tools = yard.begin()
    assert keys.FD_NAME not in os.environ
    gateway = tools.gateway
    assert gateway is not None
    with yard.gate() as gate:
        slow = good(tools.call("delegate", {"task": f"say at the gate\nhang {gate}\nsay through"}))["session_id"]
        quick = done(tools, "say quick")
        yard.at_gate(slow)
        handle = os.pidfd_open(gateway.pid)
        tools.close()
        assert not select.select([handle], [], [], 0.2)[0], "the session that runs has it still"
    again = yard.resume()
    assert again.gateway is None, "no keys were given to this process"
    good(again.call("wait", {"session_ids": [slow]}))
    assert select.select([handle], [], [], 30)[0], "nobody has it any more"
    os.close(handle)
    assert [yard.store.load(i).usage.total for i in (slow, quick)] == [0, 0]
    assert good(again.call("check_session", {"session_id": slow}))["response"] == "through"


def test_one_process_serves_a_run(yard: Yard) -> None:
    tools = yard.begin()
    with pytest.raises(UsageError, match="is served by another process"):
        yard.resume(tools.run[:-2])


def test_a_state_that_somebody_wrote_is_not_believed(yard: Yard) -> None:
    tools = yard.begin()
    session = done(tools, "say x")
    tools.close()
    file = tools.folder / "orchestrator" / "state.json"
    data = json.loads(file.read_text())
    data["state"]["sessions"][0]["accepted"] = "f" * 40
    file.write_text(json.dumps(data))
    with pytest.raises(UsageError, match="was not written by you on this machine"):
        yard.resume()
    assert yard.store.load(session).state == "completed"


def test_a_run_whose_repository_was_tampered_with_does_not_go_on(yard: Yard) -> None:
    tools = yard.begin()
    tools.close()
    (Path(tools.state.place) / "repo.git" / "config").write_text("[core]\n\tfsmonitor = touch /tmp/x\n\tbare = true\n")
    with pytest.raises(Exception, match="were changed by somebody"):
        yard.resume()


def test_nothing_of_a_servers_is_left_by_close(yard: Yard) -> None:
    tools = yard.begin()
    done(tools, RIGHT_ADD)
    good(tools.call("bash", {"command": "ls"}))
    tag = tools.state.tag
    tools.close()
    assert reap.tagged(tag) == []
    assert [p.name for p in Path(tools.state.place).iterdir() if p.name.startswith("s-")] == []


def test_arguments_are_as_the_host_reads_them() -> None:
    for name, spec in toolspec.TOOLS.items():
        assert spec.schema["additionalProperties"] is False, name
        assert "title" not in spec.schema
