"""Verify, accept, exit, and the record: what the judge says of sessions' patches, and everything that is refused on the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.orchestrator.yard import ADD, DOUBLE, NEG, RIGHT_ADD, RIGHT_DOUBLE, Yard, bad, done, good, replaced
from zwarm_ci.orchestrator.tools import Toolset
from zwarm_ci.scrub import decode
from zwarm_ci.sessions import place, watch
from zwarm_ci.task import Usage
from zwarm_ci.verdict import Attempt


def verified(tools: Toolset, session: str, **args: Any) -> dict[str, Any]:
    return good(tools.call("verify", {"session_id": session, **args}))


def test_three_tasks_one_corrected_one_replaced_and_the_record_of_it(yard: Yard) -> None:
    """The job of an orchestrator, with everything that may go wrong on the way; asserted from outcome.json."""
    tools = yard.begin(words="repair the calculator")
    tools.prepare()
    first = done(tools, f"{replaced('a - b', 'a * b')}\nsay done", expects=[ADD])
    answer = verified(tools, first)
    assert (answer["accepted_by_judge"], answer["status"]) == (False, "still_failing")
    assert [e["id"] for e in answer["errors"]] == [ADD], answer
    assert "assert 6 == 5" in answer["errors"][0]["message"]
    assert "was refused: still_failing" in bad(tools.call("accept", {"session_id": first}))
    assert f"session {first} was refused (still_failing)" in bad(tools.call("exit", {"summary": "done"}))
    good(tools.call("converse", {"session_id": first, "message": f"{replaced('a * b', 'a + b')}\nsay now"}))
    good(tools.call("wait", {}))
    assert "was changed after it was verified" in bad(tools.call("accept", {"session_id": first}))
    assert verified(tools, first)["status"] == "fixed"

    wrong = done(tools, replaced("return -a", "return a"), expects=[DOUBLE])
    assert verified(tools, wrong)["status"] in {"still_failing", "regressed"}
    good(tools.call("end_session", {"session_id": wrong, "verdict": "failed", "reason": "confused"}))
    assert "was closed as failed" in bad(tools.call("accept", {"session_id": wrong}))
    assert "was closed" in bad(tools.call("converse", {"session_id": wrong, "message": "again"}))
    second = done(tools, RIGHT_DOUBLE, expects=[DOUBLE], replaces=wrong)
    assert verified(tools, second)["status"] == "fixed"
    good(tools.call("accept", {"session_id": second}))
    assert "was verified and not taken: accept" in bad(tools.call("exit", {"summary": "done"}))
    assert good(tools.call("accept", {"session_id": first}))["accepted"] == [second, first]
    union = good(tools.call("verify", {}))
    assert (union["green"], union["red"], union["checks"][0]["passed"]) == (True, [], 3)
    good(tools.call("exit", {"summary": "two repaired"}))
    assert "the run has ended" in bad(tools.call("delegate", {"task": "more"}))

    host = Attempt("host", 1, "claude", "sonnet", "already_green", usage=Usage(10, 0, 0, 5), cost_usd=0.5)
    finished = tools.finish(host=(host,))
    record = json.loads((finished.folder / "outcome.json").read_text())
    assert (record["status"], record["exit_code"], record["command"]) == ("fixed", 0, "orchestrate")
    told = {
        t["id"]: (t["status"], [(a["session"], a["turn"], a["verdict"]) for a in t["attempts"]])
        for t in record["tasks"]
    }
    assert told == {
        "task-3": ("fixed", [(wrong, 1, verified_status(tools, wrong)), (second, 1, "fixed")]),
        "task-1": ("fixed", [(first, 1, "still_failing"), (first, 2, "fixed")]),
        "task-0": ("already_green", [("host", 1, "already_green")]),
    }
    assert record["cost_usd"] == pytest.approx(0.5 + tools.money().usd)
    assert record["usage"]["output_tokens"] == 5 + 4 * 100 - 100, "codex counts a thread's turns together"
    log = yard.repo.git(
        "log", "--format=%s%n%(trailers:key=Zwarm-Task,valueonly)", f"{record['base']}..{record['branch']}"
    )
    assert [line for line in log.splitlines() if line.startswith("task-")] == ["task-1", "task-3"]
    tree = yard.repo.files(record["branch"])
    assert ("a + b" in tree["calc.py"], "a * 2" in tree["calc.py"], "return -a" in tree["calc.py"]) == (
        True,
        True,
        True,
    )
    for task in ("task-1", "task-3"):
        assert json.loads((finished.folder / f"evidence/{task}.json").read_text())["assurance"]
        assert (finished.folder / f"patches/{task}.patch").stat().st_size


def verified_status(tools: Toolset, session: str) -> str:
    last = tools.state.session(session).last
    assert last is not None
    return last.status


def test_the_judge_is_asked_once_for_the_same_tree_by_whoever_asks(yard: Yard) -> None:
    tools = yard.begin()
    session = done(tools, f"{RIGHT_ADD}\n{RIGHT_DOUBLE}")
    said = bad(tools.call("verify", {"session_id": session, "expects": ["test_calc.py::test_gone"]}))
    assert "'test_calc.py::test_gone' is not red on the base (red there: " in said
    assert ADD in said
    assert "is not red on the base" in bad(tools.call("verify", {"session_id": session, "expects": [NEG]}))
    assert "no check is called 'lint' (known: tests)" in bad(tools.call("verify", {"checks": ["lint"]}))
    assert "goes with a session" in bad(tools.call("verify", {"expects": [ADD]}))
    assert "goes without a session" in bad(tools.call("verify", {"session_id": session, "checks": ["tests"]}))
    first = verified(tools, session)
    runs = tools.instance.facts.ledger.suite_runs
    assert verified(tools, session) == first
    assert tools.instance.facts.ledger.suite_runs == runs
    tools.close()
    again = yard.resume()
    assert verified(again, session) == first
    assert again.instance.facts.ledger.suite_runs == 0, "neither the base nor the patch is looked at again"
    good(again.call("accept", {"session_id": session}))
    assert good(again.call("exit", {"summary": "both"}))["ended"]


def test_what_takes_long_is_asked_for_again(yard: Yard) -> None:
    tools = yard.begin(ceiling=0.01)
    session = good(tools.call("delegate", {"task": f"{RIGHT_ADD}\n{RIGHT_DOUBLE}"}))["session_id"]
    watch.until(yard.store, [session], every=True)
    assert verified(tools, session)["pending"] == ["the checks on the base"]
    assert tools._desk.bench.court(240) is not None
    assert verified(tools, session)["pending"] == [f"the verification of {session}"]
    tools._desk.ceiling = 240.0
    assert verified(tools, session)["status"] == "fixed"
    assert len(tools.state.session(session).hearings) == 1, "one verification, however often it was asked for"


def test_a_patch_that_cheats_is_no_patch(yard: Yard) -> None:
    tools = yard.begin(words="make the tests pass")
    session = done(tools, "edit test_calc.py|== 5|== -1\n" + RIGHT_DOUBLE)
    answer = verified(tools, session)
    assert (answer["accepted_by_judge"], answer["status"]) == (False, "tampered")
    assert "test_calc.py" in answer["reason"]
    nothing = done(tools, "say I looked, and all is well")
    assert verified(tools, nothing)["status"] == "no_changes"
    assert "was refused: no_changes" in bad(tools.call("accept", {"session_id": nothing}))
    for one in (session, nothing):
        good(tools.call("end_session", {"session_id": one, "verdict": "failed"}))
    said = bad(tools.call("exit", {"summary": "done"}))
    assert f"not yet: 2 red: tests: {ADD}, tests: {DOUBLE}" in said
    finished = tools.finish(stopped="the orchestrator gave up")
    assert (finished.outcome.status, finished.outcome.exit_code, finished.outcome.branch) == ("stopped", 3, None)
    assert {t.status for t in finished.outcome.tasks} == {"no_changes", "still_failing"}


def test_two_that_touch_the_same_lines_and_one_that_stands_on_what_was_accepted(yard: Yard) -> None:
    tools = yard.begin()
    first = done(tools, f"{RIGHT_ADD}\n{RIGHT_DOUBLE}")
    assert verified(tools, first)["status"] == "fixed"
    good(tools.call("accept", {"session_id": first}))
    clash = done(tools, replaced("a - b", "b + a"), expects=[ADD])
    assert verified(tools, clash)["status"] == "fixed"
    assert good(tools.call("accept", {"session_id": clash}))["became"] == [
        {"check": "tests", "status": "already_green"}
    ]
    other = done(
        tools, replaced("def add", "def add_anew(a, b):\n    return a + b\n\n\ndef add").replace("\n", " "), expects=[]
    )
    good(tools.call("end_session", {"session_id": other}))
    onto = done(tools, replaced("a + b", "b + a"), expects=[], on="accepted")
    assert b"-    return a + b" in tools.patch(onto)
    assert verified(tools, onto)["status"] == "fixed"
    good(tools.call("accept", {"session_id": onto}))
    good(tools.call("exit", {"summary": "all"}))
    finished = tools.finish()
    assert finished.outcome.branch is not None
    assert "return b + a" in yard.repo.git("show", f"{finished.outcome.branch}:calc.py")


def test_what_was_accepted_can_be_taken_back(yard: Yard) -> None:
    tools = yard.begin()
    session = done(tools, f"{RIGHT_ADD}\n{RIGHT_DOUBLE}")
    verified(tools, session)
    good(tools.call("accept", {"session_id": session}))
    assert good(tools.call("verify", {}))["green"] is True
    good(tools.call("end_session", {"session_id": session, "verdict": "failed", "reason": "on second thoughts"}))
    assert tools.state.accepted == ()
    union = good(tools.call("verify", {"checks": ["tests"]}))
    assert (union["green"], union["red"]) == (False, [f"tests: {ADD}", f"tests: {DOUBLE}"])


def test_the_executor_without_a_model_repairs_what_is_red(yard: Yard) -> None:
    tools = yard.begin()
    session = done(tools, "repair it", adapter="embedded", expects=[DOUBLE])
    meta = yard.store.load(session)
    assert (meta.executor, float(meta.cost_usd), meta.state) == ("embedded", 0.0, "completed")
    text = decode(place.patch(yard.store, meta, tools.instance.user))
    assert "a * 2" in text or "a + a" in text, (text, meta.reason)
    answer = verified(tools, session)
    assert answer["tasks"][0]["targets"] == [DOUBLE]


def test_folders_that_delegated_work_may_not_touch(yard: Yard) -> None:
    allowed = yard.config + '[orchestrator]\nallowed_dirs = ["docs"]\n'
    yard.repo.commit("only docs", {".zwarm/config.toml": allowed, "docs/a.md": "x\n", "docs/sub/b.md": "y\n"})
    tools = yard.begin()
    assert "say where: working_dir (one of docs, or below)" in bad(tools.call("delegate", {"task": "x"}))
    assert "may not be worked in" in bad(tools.call("delegate", {"task": "x", "working_dir": "."}))
    session = done(tools, f"{RIGHT_ADD}\n{RIGHT_DOUBLE}", working_dir="docs/sub")
    assert verified(tools, session)["status"] == "fixed"
    assert "changed calc.py, which no delegated work may (allowed: docs)" in bad(
        tools.call("accept", {"session_id": session})
    )


def test_no_check_that_can_run_is_said(yard: Yard) -> None:
    broken = yard.config.replace("-m pytest -q", "-m no_such_module")
    yard.repo.commit("broken", {".zwarm/config.toml": broken})
    tools = yard.begin()
    session = done(tools, RIGHT_ADD)
    assert "no check can run: tests" in bad(tools.call("verify", {"session_id": session}))
    finished = tools.finish()
    assert (finished.outcome.status, finished.outcome.exit_code) == ("blocked", 4)
    assert Path(tools.state.place).exists(), "it can be gone on with"
