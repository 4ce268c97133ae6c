"""The claude adapter on event streams written down here: how a turn is started, and what its end is taken for."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.told_cli import ToldCli, order, told_cli
from zwarm_ci.errors import ConfigError
from zwarm_ci.executors.base import Conduct, Report
from zwarm_ci.executors.claude import Claude
from zwarm_ci.executors.trajectory import Step, trajectory
from zwarm_ci.task import Usage

SESSION = "2eac65a4-9234-4829-885a-7c89d9f8e0ee"
INIT = {"type": "system", "subtype": "init", "session_id": SESSION}
FIGURES = {"input_tokens": 500, "cache_read_input_tokens": 400, "cache_creation_input_tokens": 100, "output_tokens": 50}
MODEL = {"inputTokens": 500, "cacheReadInputTokens": 400, "cacheCreationInputTokens": 100, "outputTokens": 50}
USED = Usage(500, 400, 100, 50)


def says(*content: dict[str, Any], key: str = "msg_1", **more: Any) -> dict[str, Any]:
    message = {"id": key, "model": "sonnet-5", "content": list(content), "usage": {**FIGURES, "output_tokens": 1}}
    return {"type": "assistant", "message": message, "parent_tool_use_id": None, **more}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def tool(key: str, name: str, **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": key, "name": name, "input": given}


def answer(key: str, content: Any, *, wrong: bool = False) -> dict[str, Any]:
    block = {"type": "tool_result", "tool_use_id": key, "content": content, "is_error": wrong}
    return {"type": "user", "message": {"role": "user", "content": [block]}}


def result(words: str | None = "done", **more: Any) -> dict[str, Any]:
    return {
        "type": "result", "subtype": "success", "is_error": False, "result": words, "session_id": SESSION, "usage": FIGURES,
        "modelUsage": {"sonnet-5": MODEL}, "total_cost_usd": 0.25, "permission_denials": [], "api_error_status": None, **more,
    }  # fmt: skip


def failure(words: str | None, status: int | None = None, **more: Any) -> dict[str, Any]:
    return result(words, is_error=True, api_error_status=status, **more)


def retry(error: str, delay: float) -> dict[str, Any]:
    return {"type": "system", "subtype": "api_retry", "error": error, "retry_delay_ms": delay}


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ToldCli:
    return told_cli(tmp_path, monkeypatch, "ZWARM_CI_CLAUDE")


def turn(tmp_path: Path, **changes: Any) -> Report:
    return Claude().turn(order(tmp_path, **changes), lambda _line: None)


def flag(cli: ToldCli, name: str) -> str:
    return cli.argv[cli.argv.index(name) + 1]


def test_a_turn_is_told_by_flags_files_and_standard_input(cli: ToldCli, tmp_path: Path) -> None:
    cli.says(INIT, says(text("hi")), result())
    native = (
        'append_system_prompt = "be brief"\nmax_turns = 7\nmax_output_tokens = 900\n[permissions]\ndeny = ["WebFetch"]'
    )
    report = turn(tmp_path, conduct=Conduct(reasoning_effort="max", instructions="use tabs", native=native))
    assert (report.state, report.message, report.native) == ("completed", "done", SESSION)
    assert cli.told["stdin"] == "the prompt"
    assert cli.told["cwd"] == str(tmp_path / "worktree")
    assert cli.argv[:4] == ["-p", "--output-format", "stream-json", "--verbose"]
    assert (flag(cli, "--model"), flag(cli, "--effort"), flag(cli, "--max-turns")) == ("a-model", "max", "7")
    assert (flag(cli, "--setting-sources"), flag(cli, "--permission-mode")) == ("", "acceptEdits")
    assert {"--strict-mcp-config", "--disable-slash-commands"} <= set(cli.argv)
    assert not {"--max-budget-usd", "--resume"} & set(cli.argv)
    assert Path(flag(cli, "--append-system-prompt-file")).read_text() == "use tabs\n\nbe brief"
    assert json.loads(Path(flag(cli, "--settings")).read_text()) == {"permissions": {"deny": ["WebFetch"]}}
    assert "token-of-the-session" not in " ".join(cli.argv)
    env = cli.told["env"]
    assert (env["ANTHROPIC_BASE_URL"], env["ANTHROPIC_API_KEY"]) == ("http://127.0.0.1:9", "token-of-the-session")
    assert env["CLAUDE_CONFIG_DIR"] == str(tmp_path / "state/s1/home/.claude")
    assert env["CLAUDE_CODE_DISABLE_CLAUDE_MDS"] == env["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"] == "1"
    assert env["CLAUDE_CODE_MAX_OUTPUT_TOKENS"] == "900"
    assert int(env["CLAUDE_CODE_MAX_RETRIES"]) < 10
    assert int(env["API_TIMEOUT_MS"]) < 20_000
    assert "IS_SANDBOX" not in env


def test_the_session_id_is_chosen_by_us_and_resumed(cli: ToldCli, tmp_path: Path) -> None:
    cli.says(result(), code=0)
    first = turn(tmp_path)
    assert first.native == flag(cli, "--session-id")
    second = turn(tmp_path, native=first.native)
    assert flag(cli, "--resume") == first.native == second.native
    assert "--session-id" not in cli.argv


@pytest.mark.parametrize(
    ("conduct", "mode", "tools"),
    [
        (Conduct("read-only"), "dontAsk", {"Read", "Glob", "Grep"}),
        (Conduct(), "acceptEdits", {"Read", "Glob", "Grep", "Bash", "Edit", "Write"}),
        (Conduct("danger-full-access"), "bypassPermissions", {"Read", "Glob", "Grep", "Bash", "Edit", "Write"}),
        (Conduct("read-only", web_search=True), "dontAsk", {"Read", "Glob", "Grep", "WebSearch", "WebFetch"}),
    ],
)
def test_sandbox_and_tools(cli: ToldCli, tmp_path: Path, conduct: Conduct, mode: str, tools: set[str]) -> None:
    cli.says(INIT, result())
    turn(tmp_path, conduct=conduct)
    assert flag(cli, "--permission-mode") == mode
    assert set(flag(cli, "--tools").split(",")) == tools
    assert set(flag(cli, "--allowedTools").split(",")) == tools - {"Edit", "Write"}
    dangerous = conduct.sandbox == "danger-full-access" and os.geteuid() == 0
    assert cli.told["env"].get("IS_SANDBOX") == ("1" if dangerous else None)


@pytest.mark.parametrize(("word", "passed"), [("minimal", "low"), ("ultra", "max"), ("high", "high")])
def test_the_effort_is_claudes_word(cli: ToldCli, tmp_path: Path, word: str, passed: str) -> None:
    cli.says(INIT, result())
    turn(tmp_path, conduct=Conduct(reasoning_effort=word))
    assert flag(cli, "--effort") == passed


def test_nothing_is_said_of_an_effort_that_is_not_set_and_an_unknown_one_is_refused(
    cli: ToldCli, tmp_path: Path
) -> None:
    cli.says(INIT, result())
    turn(tmp_path, conduct=Conduct(reasoning_effort=""))
    assert "--effort" not in cli.argv
    with pytest.raises(ConfigError, match="harder"):
        turn(tmp_path, conduct=Conduct(reasoning_effort="harder"))


def test_with_a_login_claude_keeps_its_own_budget(cli: ToldCli, tmp_path: Path) -> None:
    cli.says(INIT, result())
    turn(tmp_path, endpoint=None, budget_usd=1.5)
    assert flag(cli, "--max-budget-usd") == "1.500000"
    assert not {"ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY"} & set(cli.told["env"])
    assert turn(tmp_path, endpoint=None, budget_usd=0.0).trouble == "budget"


def test_with_the_users_own_configuration_nothing_of_it_is_written(
    cli: ToldCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(own))
    cli.says(INIT, result())
    turn(tmp_path, conduct=Conduct(inherit_user_config=True, instructions="use tabs"))
    assert list(own.iterdir()) == []
    assert cli.told["env"]["CLAUDE_CONFIG_DIR"] == str(own)
    assert not {"--strict-mcp-config", "--setting-sources"} & set(cli.argv)
    assert Path(flag(cli, "--append-system-prompt-file")).read_text() == "use tabs"


def test_usage_is_that_of_the_process(cli: ToldCli, tmp_path: Path) -> None:
    other = {"inputTokens": 5, "outputTokens": 1}
    cli.says(
        INIT,
        result(
            modelUsage={"sonnet-5": MODEL, "haiku": other}, usage={**FIGURES, "input_tokens": 505, "output_tokens": 51}
        ),
    )
    report = turn(tmp_path, native=SESSION, total=Usage(1000))
    assert report.models == (("haiku", Usage(5, output_tokens=1)), ("sonnet-5", USED))
    assert report.usage == USED + Usage(5, output_tokens=1)
    assert report.total == Usage(1000) + report.usage
    assert (report.provider_cost_usd, report.lower_bound) == (0.25, False)


def test_a_call_that_was_counted_and_never_answered_makes_it_a_lower_bound(cli: ToldCli, tmp_path: Path) -> None:
    cli.says(INIT, result(modelUsage={"sonnet-5": {**MODEL, "inputTokens": 1000}}))
    assert turn(tmp_path).lower_bound


def test_without_a_result_each_message_counts_once_as_it_began(cli: ToldCli, tmp_path: Path) -> None:
    cli.says(INIT, says(text("a")), says(tool("t1", "Bash", command="x")), says(text("b"), key="msg_2"), code=143)
    report = turn(tmp_path)
    assert report.usage == Usage(1000, 800, 200, 2)
    assert report.models == (("sonnet-5", report.usage),)
    assert (report.state, report.lower_bound) == ("failed", True)


def test_a_conversation_that_was_never_written_is_not_resumed(cli: ToldCli, tmp_path: Path) -> None:
    cli.says(INIT, failure("API Error: 500 x", 500), code=1)
    assert turn(tmp_path).native == ""
    cli.says(INIT, failure("API Error: 500 x", 500), code=1, files={f"$HOME/.claude/projects/-w/{SESSION}.jsonl": "{}"})
    assert turn(tmp_path).native == SESSION


def test_a_conversation_is_moved_to_where_claude_looks_for_it(cli: ToldCli, tmp_path: Path) -> None:
    projects = tmp_path / "state/s1/home/.claude/projects"
    cli.says(INIT, result(), files={f"$HOME/.claude/projects/-elsewhere/{SESSION}.jsonl": "{}"})
    turn(tmp_path)
    cli.says(INIT, result())
    turn(tmp_path, native=SESSION)
    name = "".join(c if c.isalnum() else "-" for c in str(tmp_path / "worktree"))
    assert [str(p.relative_to(projects)) for p in projects.rglob("*.jsonl")] == [f"{name}/{SESSION}.jsonl"]


WITHOUT = "and without a result:"
ENDS: dict[str, tuple[list[Any], int, str, str, str]] = {
    "done": ([says(text("hi")), result()], 0, "", "completed", "done"),
    "done without words": ([says(text("hi")), result(None)], 0, "", "completed", "hi"),
    "done, and crashed": ([result()], 3, "no\n", "failed", "it said that it was done, but ended with 3: no"),
    "is_error with subtype success": ([failure("API Error: 400 x", 400)], 1, "", "failed", "API Error: 400 x"),
    "is_error with code 0": ([failure("no")], 0, "", "failed", "no"),
    "an interrupted wait": ([says(text("hi"))], 0, "", "failed", f"ended with 0 {WITHOUT} it said nothing"),
    "a crash without output": ([], 1, "usage: x\n", "failed", f"ended with 1 {WITHOUT} usage: x"),
    "ended by SIGTERM": ([says(text("hi"))], 143, "", "failed", f"ended with 143 {WITHOUT} it said nothing"),
    "too many turns": ([failure(None, subtype="error_max_turns", errors=["Reached 3"])], 1, "", "failed", "Reached 3"),
    "our denial": ([failure('API Error: 400 zwarm-ci: the limit "$3"', 400)], 1, "", "failed", 'zwarm-ci: the limit "$3"'),
}  # fmt: skip


@pytest.mark.parametrize(("events", "code", "stderr", "state", "said"), ENDS.values(), ids=ENDS)
def test_ends(cli: ToldCli, tmp_path: Path, events: list[Any], code: int, stderr: str, state: str, said: str) -> None:
    cli.says(INIT, *events, code=code, stderr=stderr)
    report = turn(tmp_path)
    assert (report.state, report.message) == (state, said)


TROUBLES: dict[str, tuple[list[Any], str]] = {
    "401": ([failure("Failed to authenticate. API Error: 401 bad", 401)], "credentials"),
    "403": ([failure("API Error: 403 no", 403)], "credentials"),
    "no login": ([says(text("x"), error="authentication_failed"), failure("Not logged in · Please run /login")], "credentials"),
    "no credit": ([says(text("x"), error="billing_error"), failure("API Error: 400 x", 400)], "credentials"),
    "429": ([failure("API Error: Request rejected (429) · slow", 429)], "rate_limit"),
    "529": ([failure("API Error: 529 busy", 529)], "rate_limit"),
    "500": ([failure("API Error: 500 x", 500)], "outage"),
    "refused": ([failure("API Error: Unable to connect to API (ConnectionRefused)")], "outage"),
    "timed out": ([failure("Request timed out")], "outage"),
    "broken off": ([failure(None, subtype="error_during_execution", errors=["[ede_diagnostic] x"])], "outage"),
    "our limit": ([failure(None, subtype="error_max_budget_usd", errors=["Reached maximum budget ($1)"])], "budget"),
    "our denial": ([failure("API Error: 400 zwarm-ci: no", 400)], "budget"),
    "a bad request": ([failure("API Error: 400 429 tokens timed out", 400)], ""),
    "too many turns": ([failure(None, subtype="error_max_turns")], ""),
    "retried, then answered": ([retry("rate_limit", 1000), says(text("x")), failure("no")], ""),
    "retried, then given up": ([retry("overloaded", 1000), failure("no")], "rate_limit"),
    "unknown conversation": ([failure(None, subtype="error_during_execution", errors=["No conversation found"])], ""),
}  # fmt: skip


@pytest.mark.parametrize(("events", "trouble"), TROUBLES.values(), ids=TROUBLES)
def test_troubles(cli: ToldCli, tmp_path: Path, events: list[Any], trouble: str) -> None:
    cli.says(INIT, *events, code=1)
    report = turn(tmp_path)
    assert (report.state, report.trouble) == ("failed", trouble)


@pytest.mark.parametrize(
    ("delay", "seconds"), [(2000, 2.0), (610.2242418916778, 0.0), (610, 0.0), ("soon", 0.0), (True, 0.0)]
)
def test_the_wait_is_the_providers_own(cli: ToldCli, tmp_path: Path, delay: Any, seconds: float) -> None:
    cli.says(INIT, retry("rate_limit", delay), failure("API Error: Request rejected (429) · slow", 429), code=1)
    assert turn(tmp_path).retry_after == seconds


def test_denials_are_counted(cli: ToldCli, tmp_path: Path) -> None:
    cli.says(INIT, result(permission_denials=[{"tool_name": "Bash"}, {"tool_name": "Write"}]))
    report = turn(tmp_path)
    assert (report.state, report.denials) == ("completed", 2)


@pytest.mark.parametrize(
    ("events", "trouble"),
    [
        ([], "outage"),
        ([says(tool("t1", "Bash", command="x"))], ""),
        ([says(tool("t1", "Bash")), answer("t1", "ok")], "outage"),
    ],
)
def test_silence_is_the_providers_unless_a_tool_is_under_way(
    cli: ToldCli, tmp_path: Path, events: list[Any], trouble: str
) -> None:
    cli.says(INIT, *events, hangs=True)
    report = turn(tmp_path, silence=1.0)
    assert (report.state, report.trouble, report.lower_bound) == ("timed_out", trouble, True)


def test_what_is_said_while_it_is_being_ended_is_no_end(cli: ToldCli, tmp_path: Path) -> None:
    last = [answer("t1", "Exit code 137", wrong=True), failure(None, subtype="error_during_execution")]
    cli.says(INIT, says(tool("t1", "Bash", command="sleep 99")), hangs=True, last=last)
    report = turn(tmp_path, silence=1.0)
    assert (report.state, report.trouble, report.lower_bound) == ("timed_out", "", True)
    assert report.usage == USED


@pytest.mark.parametrize(
    "event",
    [
        b"\0\n", b'{"type":"result"\n', b'{"type":"assistant","message":[]}\n', b'{"type":"assistant","message":{"content":[7,null]}}\n',
        b'{"type":"user","message":{"content":"x"}}\n', b'{"type":"system","subtype":7}\n',
        b'{"type":[],"subtype":{},"message":{"content":[{"type":[]}],"usage":7}}\n',
        json.dumps(says(text("x" * 200_000))).encode() + b"\n", json.dumps(says(text("\udc00\x00"))).encode() + b"\n",
    ],
)  # fmt: skip
def test_lines_of_any_kind(cli: ToldCli, tmp_path: Path, event: bytes) -> None:
    cli.says(INIT, event, result())
    assert turn(tmp_path).state == "completed"


ODD: list[dict[str, Any]] = [
    {"modelUsage": [1]}, {"modelUsage": {"m": 3}}, {"usage": None}, {"permission_denials": 5}, {"errors": 3}, {"total_cost_usd": "x"},
]  # fmt: skip


@pytest.mark.parametrize("odd", ODD)
def test_results_of_any_kind(cli: ToldCli, tmp_path: Path, odd: dict[str, Any]) -> None:
    cli.says(INIT, result(**odd))
    report = turn(tmp_path)
    assert report.state == "completed"
    assert report.lower_bound == ("usage" in odd or odd.get("modelUsage") == [1])


def test_steps_and_headlines() -> None:
    events = [
        INIT,
        says({"type": "thinking", "thinking": "hmm"}),
        says(text("look")),
        says(tool("t1", "Bash", command="make")),
        answer("t1", "Exit code 2\nno rule", wrong=True),
        says(tool("t2", "Bash", command="ls"), tool("t3", "Edit", file_path="/w/a.py")),
        answer("t2", [{"type": "text", "text": "a.py"}]),
        answer("t3", "updated"),
        says(tool("t4", "Grep", pattern="x")),
        answer("t9", "of nobody"),
        says(tool("t5", "Bash", command="sleep 9")),
        failure("API Error: 500 x", 500),
    ]
    lines = [json.dumps(e).encode() for e in events]
    assert list(trajectory("claude", lines)) == [
        Step("reasoning", "hmm"),
        Step("message", "look"),
        Step("command", "make", "Exit code 2\nno rule", 2),
        Step("command", "ls", "a.py", 0),
        Step("file change", "/w/a.py", "updated"),
        Step("tool call", "Grep", '{"pattern": "x"}'),
        Step("command", "sleep 9"),
        Step("error", "API Error: 500 x"),
    ]
    said = [Claude().headline(line) for line in lines]
    assert said == ["", "hmm", "look", "$ make", "", "$ ls", "", "", "calls Grep", "", "$ sleep 9", ""]
