"""The codex adapter on event streams written down here: how a turn is started, and what its end is taken for."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.told_cli import ToldCli, order, told_cli
from zwarm_ci.errors import ConfigError
from zwarm_ci.executors.base import Conduct, Report
from zwarm_ci.executors.codex import Codex
from zwarm_ci.task import Usage

THREAD = "01a20dd6-3f34-7ac1-b2ba-41aa26a54502"
STARTED = {"type": "thread.started", "thread_id": THREAD}
TURN = {"type": "turn.started"}
ROLLOUT = f"$HOME/.codex/sessions/2026/01/02/rollout-2026-01-02T03-04-05-{THREAD}.jsonl"


def message(text: str) -> dict[str, Any]:
    return {"type": "item.completed", "item": {"id": "item_0", "type": "agent_message", "text": text}}


def completed(fresh: int, read: int = 0, write: int = 0, output: int = 0, reasoning: int = 0) -> dict[str, Any]:
    """As codex says it: its input includes the cache."""
    figures = {
        "input_tokens": fresh + read + write,
        "cached_input_tokens": read,
        "cache_write_input_tokens": write,
        "output_tokens": output,
        "reasoning_output_tokens": reasoning,
    }
    return {"type": "turn.completed", "usage": figures}


def failed(text: str) -> dict[str, Any]:
    return {"type": "turn.failed", "error": {"message": text}}


def command(begun: bool, code: int | None = None, status: str = "completed") -> dict[str, Any]:
    item = {"id": "item_7", "type": "command_execution", "command": "/bin/bash -lc 'make all'", "aggregated_output": "built\n",
            "exit_code": code, "status": status}  # fmt: skip
    return {"type": "item.started" if begun else "item.completed", "item": item}


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ToldCli:
    return told_cli(tmp_path, monkeypatch, "ZWARM_CI_CODEX")


def turn(tmp_path: Path, **changes: Any) -> Report:
    return Codex().turn(order(tmp_path, **changes), lambda _line: None)


def config(tmp_path: Path) -> dict[str, Any]:
    return tomllib.loads((tmp_path / "state/s1/home/.codex/config.toml").read_text())


def test_a_turn_is_told_by_files_and_standard_input(cli: ToldCli, tmp_path: Path) -> None:
    cli.says(STARTED, TURN, message("done"), completed(1))
    conduct = Conduct(reasoning_effort="xhigh", instructions="use tabs", native='model_verbosity = "low"')
    report = turn(tmp_path, conduct=conduct)
    assert (report.state, report.message, report.native) == ("completed", "done", THREAD)
    assert cli.told["stdin"] == "the prompt"
    assert cli.told["cwd"] == str(tmp_path / "worktree")
    assert cli.argv == [
        "exec", "--json", "--skip-git-repo-check", "-C", str(tmp_path / "worktree"), "--sandbox", "workspace-write", "-m", "a-model", "-",
    ]  # fmt: skip
    given = config(tmp_path)
    provider = given["model_providers"][given["model_provider"]]
    assert (provider["base_url"], provider["wire_api"]) == ("http://127.0.0.1:9/v1", "responses")
    assert provider["supports_websockets"] is False
    assert cli.told["env"][provider["env_key"]] == "token-of-the-session"
    assert provider["env_key"] in given["shell_environment_policy"]["exclude"]
    assert given["model_reasoning_effort"] == "xhigh"
    assert given["model_verbosity"] == "low"
    assert given["project_doc_max_bytes"] == 0
    assert given["skills"]["include_instructions"] is False
    assert given["sandbox_workspace_write"]["exclude_slash_tmp"] is True
    assert (tmp_path / "state/s1/home/.codex/AGENTS.md").read_text() == "use tabs"
    assert "token-of-the-session" not in (tmp_path / "state/s1/home/.codex/config.toml").read_text()


def test_what_is_asked_for_is_passed_on(cli: ToldCli, tmp_path: Path) -> None:
    cli.says(STARTED, completed(1))
    turn(tmp_path)
    assert config(tmp_path)["web_search"] == "disabled"
    turn(tmp_path, conduct=Conduct("read-only", web_search=True, reasoning_effort=""), native=THREAD)
    assert config(tmp_path)["web_search"] == "live"
    assert "model_reasoning_effort" not in config(tmp_path)
    assert not (tmp_path / "state/s1/home/.codex/AGENTS.md").exists()
    assert cli.argv[cli.argv.index("--sandbox") + 1] == "read-only"
    assert cli.argv[-3:] == ["resume", THREAD, "-"]


def test_a_default_model_is_named(cli: ToldCli, tmp_path: Path) -> None:
    cli.says(STARTED, completed(1))
    report = turn(tmp_path, model="")
    assert cli.argv[cli.argv.index("-m") + 1] == "gpt-5.1-codex-mini"
    assert report.models == (("gpt-5.1-codex-mini", Usage(1)),)


def test_a_native_setting_may_change_a_default_of_ours(cli: ToldCli, tmp_path: Path) -> None:
    cli.says(STARTED, completed(1))
    turn(
        tmp_path, conduct=Conduct(native="[sandbox_workspace_write]\nexclude_slash_tmp = false\nnetwork_access = true")
    )
    assert config(tmp_path)["sandbox_workspace_write"] == {"exclude_slash_tmp": False, "network_access": True}
    assert config(tmp_path)["features"]["plugins"] is False


def test_with_the_users_own_configuration_nothing_of_it_is_written(
    cli: ToldCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.setenv("CODEX_HOME", str(own))
    cli.says(STARTED, completed(1))
    turn(tmp_path, conduct=Conduct(inherit_user_config=True, instructions="use tabs"))
    assert list(own.iterdir()) == []
    assert cli.told["env"]["CODEX_HOME"] == str(own)
    assert 'model_providers.zwarm.base_url="http://127.0.0.1:9/v1"' in cli.argv
    assert "token-of-the-session" not in " ".join(cli.argv)
    assert cli.told["stdin"] == "<AGENTS.md>\nuse tabs\n</AGENTS.md>\n\nthe prompt"
    turn(tmp_path, conduct=Conduct(inherit_user_config=True, instructions="use tabs"), native=THREAD)
    assert cli.told["stdin"] == "the prompt"


def test_the_environment_is_a_list(cli: ToldCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "GITHUB_TOKEN",
        "GH_TOKEN",
        "OPENAI_API_KEY",
        "SSH_AUTH_SOCK",
        "ACTIONS_RUNTIME_TOKEN",
        "OTHER",
        "MINE",
    ):
        monkeypatch.setenv(name, f"value of {name}")
    cli.says(STARTED, completed(1))
    turn(tmp_path, conduct=Conduct(env=("MINE",)))
    env = cli.told["env"]
    assert env["MINE"] == "value of MINE"
    assert not {"GITHUB_TOKEN", "GH_TOKEN", "OPENAI_API_KEY", "SSH_AUTH_SOCK", "ACTIONS_RUNTIME_TOKEN", "OTHER"} & set(
        env
    )
    assert env["HOME"] == str(tmp_path / "state/s1/home")
    assert env["TMPDIR"] == str(tmp_path / "scratch")
    assert (env["GIT_CONFIG_GLOBAL"], env["GIT_CONFIG_KEY_0"], env["GIT_CONFIG_VALUE_0"]) == (
        "/dev/null",
        "credential.helper",
        "",
    )


NEVER = ("GITHUB_TOKEN", "gh_token", "ACTIONS_RUNTIME_TOKEN", "OPENAI_API_KEY", "ANTHROPIC_BASE_URL", "HOME")


@pytest.mark.parametrize("name", NEVER)
def test_some_variables_no_executor_gets(cli: ToldCli, tmp_path: Path, name: str) -> None:
    cli.says(STARTED, completed(1))
    with pytest.raises(ConfigError, match=f"no executor gets {name}"):
        turn(tmp_path, conduct=Conduct(env=("PATH", name)))
    assert not (cli.folder / "told.json").exists()


def test_an_unknown_effort_is_refused_before_anything_is_paid(cli: ToldCli, tmp_path: Path) -> None:
    cli.says(STARTED, completed(1))
    with pytest.raises(ConfigError, match="harder"):
        turn(tmp_path, conduct=Conduct(reasoning_effort="harder"))
    assert not (cli.folder / "told.json").exists()


def test_usage_is_the_difference_of_the_threads_totals(cli: ToldCli, tmp_path: Path) -> None:
    cli.says(STARTED, TURN, completed(1000, 400, 100, 50, 20))
    first = turn(tmp_path)
    assert first.usage == first.total == Usage(1000, 400, 100, 50, 20)
    assert first.models == (("a-model", first.usage),)
    assert not first.lower_bound
    cli.says(STARTED, TURN, completed(1500, 900, 100, 70, 20))
    second = turn(tmp_path, native=first.native, total=first.total)
    assert second.usage == Usage(500, 500, 0, 20, 0)
    assert second.total == Usage(1500, 900, 100, 70, 20)


def test_a_count_that_began_anew_is_not_subtracted_from(cli: ToldCli, tmp_path: Path) -> None:
    cli.says(STARTED, TURN, completed(30, output=5))
    report = turn(tmp_path, native=THREAD, total=Usage(1000, 0, 0, 50))
    assert report.usage == report.total == Usage(30, output_tokens=5)
    other = turn(tmp_path, native="another-thread", total=Usage(10))
    assert (other.native, other.usage) == (THREAD, Usage(30, output_tokens=5))


def test_a_turn_without_a_final_count_is_looked_up_in_the_rollout(cli: ToldCli, tmp_path: Path) -> None:
    counts = [{"input_tokens": n, "cached_input_tokens": 10, "output_tokens": n // 10} for n in (100, 300)]
    records = [
        {"type": "event_msg", "payload": {"type": "token_count", "info": {"total_token_usage": c}}} for c in counts
    ]
    unknown = {"type": "event_msg", "payload": {"type": "token_count", "info": None}}
    whole = "".join(json.dumps(r) + "\n" for r in ({"type": "session_meta"}, *records, unknown))
    text = whole + '{"type":"event_msg","payload":{"type":"token_count"'
    cli.says(STARTED, TURN, command(begun=True), code=-9, files={ROLLOUT: text})
    report = turn(tmp_path, native=THREAD, total=Usage(90, 10, 0, 10))
    assert report.state == "failed"
    assert report.total == Usage(290, 10, 0, 30)
    assert report.usage == Usage(200, 0, 0, 20)
    assert report.lower_bound


def test_without_a_record_there_is_nothing_to_go_on_with(cli: ToldCli, tmp_path: Path) -> None:
    cli.says(
        STARTED, TURN, failed("unexpected status 401 Unauthorized: no, url: http://127.0.0.1:9/v1/responses"), code=1
    )
    report = turn(tmp_path)
    assert (report.native, report.usage, report.lower_bound) == ("", Usage(), True)
    cli.says(STARTED, TURN, failed("stream disconnected before completion"), code=1, files={ROLLOUT: ""})
    assert turn(tmp_path).native == THREAD


DENIAL = json.dumps({"error": {"type": "invalid_request_error", "message": 'zwarm-ci: the limit "$3" is used up'}})
WITHOUT = "and without a result:"
ENDS: dict[str, tuple[list[Any], int, str, str, str]] = {
    "done": ([message("a"), message("b"), completed(1)], 0, "", "completed", "b"),
    "retried": ([{"type": "error", "message": "Reconnecting... 1/5"}, message("b"), completed(1)], 0, "", "completed", "b"),
    "only warned": ([{"type": "item.completed", "item": {"type": "error", "message": "x"}}, completed(1)], 0, "", "completed", ""),
    "done, and crashed": ([message("b"), completed(1)], 3, "no\n", "failed", "it said that it was done, but ended with 3: no"),
    "no final event": ([message("b")], 0, "", "failed", f"ended with 0 {WITHOUT} it said nothing"),
    "a crash without output": ([], 101, "panicked\n\nat x\n", "failed", f"ended with 101 {WITHOUT} panicked / at x"),
    "killed from outside": ([TURN], -9, "", "failed", f"ended with -9 {WITHOUT} it said nothing"),
    "an error, then nothing": ([{"type": "error", "message": "hm"}], 1, "", "failed", f"ended with 1 {WITHOUT} hm"),
    "failed with code 0": ([failed("no")], 0, "", "failed", "no"),
    "our denial": ([failed(DENIAL)], 1, "", "failed", 'zwarm-ci: the limit "$3" is used up'),
}  # fmt: skip


@pytest.mark.parametrize(("events", "code", "stderr", "state", "said"), ENDS.values(), ids=ENDS)
def test_ends(cli: ToldCli, tmp_path: Path, events: list[Any], code: int, stderr: str, state: str, said: str) -> None:
    cli.says(STARTED, TURN, *events, code=code, stderr=stderr)
    report = turn(tmp_path)
    assert (report.state, report.message) == (state, said)


TROUBLES = {
    "unexpected status 401 Unauthorized: x, url: http://127.0.0.1:500/v1": "credentials",
    "unexpected status 403 Forbidden: x": "credentials",
    "Missing environment variable: `X`.": "credentials",
    "Quota exceeded. Check your plan and billing details.": "credentials",
    "exceeded retry limit, last status: 429 Too Many Requests": "rate_limit",
    "You've hit your usage limit.": "rate_limit",
    "We're currently experiencing high demand, which may cause temporary errors.": "outage",
    "unexpected status 502 Bad Gateway": "outage",
    "stream disconnected before completion: x": "outage",
    "idle timeout waiting for SSE": "outage",
    "Connection failed: error sending request": "outage",
    DENIAL: "budget",
    '{"error":{"message":"512 connection timeouts, status: fine"}}': "",
    "the model is out of its mind": "",
}


@pytest.mark.parametrize(("reason", "trouble"), TROUBLES.items())
def test_troubles(cli: ToldCli, tmp_path: Path, reason: str, trouble: str) -> None:
    cli.says(STARTED, TURN, failed(reason), code=1)
    report = turn(tmp_path)
    assert (report.state, report.trouble) == ("failed", trouble)
    assert report.message in reason.replace('\\"', '"')


def test_the_end_of_a_long_error_is_what_is_said(cli: ToldCli, tmp_path: Path) -> None:
    cli.says(code=127, stderr=f"{'x' * 100_000}\n\n  libssl.so.3:\tnot found\n")
    assert turn(tmp_path).message.endswith("xx / libssl.so.3: not found")


def test_the_wait_that_a_provider_asks_for(cli: ToldCli, tmp_path: Path) -> None:
    cli.says(STARTED, TURN, failed("Rate limit reached. Please try again in 1.5s."), code=1)
    report = turn(tmp_path)
    assert (report.trouble, report.retry_after) == ("rate_limit", 1.5)


@pytest.mark.parametrize(
    ("events", "trouble"),
    [([], "outage"), ([command(begun=True)], ""), ([command(begun=True), command(begun=False, code=0)], "outage")],
)
def test_silence_is_the_providers_unless_a_tool_is_under_way(
    cli: ToldCli, tmp_path: Path, events: list[Any], trouble: str
) -> None:
    cli.says(STARTED, TURN, *events, hangs=True)
    report = turn(tmp_path, silence=1.0)
    assert (report.state, report.trouble, report.lower_bound) == ("timed_out", trouble, True)
    assert report.message == "no event for 1 s"


def test_the_time_limit_ends_it(cli: ToldCli, tmp_path: Path) -> None:
    cli.says(STARTED, TURN, message("half"), completed(7), hangs=True)
    report = turn(tmp_path, timeout=1.0)
    assert (report.state, report.message, report.lower_bound) == ("timed_out", "the turn's 1 s were over", True)
    assert report.usage == Usage(7)


def test_lines_of_any_kind(cli: ToldCli, tmp_path: Path) -> None:
    long = json.dumps(message("x" * 300_000)).encode() + b"\n"
    broken = json.dumps(message("a@b")).encode().replace(b"@", b"\xff\xfe") + b"\n"
    garbage = [
        b"\0\0\n",
        b"[" * 100_000 + b"\n",
        b"null\n",
        b'{"type": 7, "item": [], "usage": "x"}\n',
        b'{"type":"item.completed","item":null}\n',
        b'{"type":[],"item":{"type":{}}}\n',
        b'{"type":"item.completed","item":{"type":"file_change","changes":3}}\n',
    ]
    heard: list[bytes] = []
    cli.says(STARTED, *garbage, long, broken, completed(1), b'{"type":"turn.fai')
    report = Codex().turn(order(tmp_path), heard.append)
    assert report.state == "completed"
    assert report.message == "a\ufffd\ufffdb"
    assert heard[-1] == b'{"type":"turn.fai'
    assert long.rstrip() in heard
    assert b"\0\0" in heard


@pytest.mark.parametrize(
    "usage", [None, "much", {"input_tokens": -5, "output_tokens": "3", "cached_input_tokens": True}]
)
def test_figures_that_are_none_count_nothing(cli: ToldCli, tmp_path: Path, usage: object) -> None:
    cli.says(STARTED, TURN, {"type": "turn.completed", "usage": usage})
    assert turn(tmp_path).usage == Usage()


def test_denials_are_counted(cli: ToldCli, tmp_path: Path) -> None:
    router = "2026-01-02T03:04:05Z ERROR codex_core::tools::router: error="
    stderr = "".join(f"{router}{why}\n" for why in (
        "patch rejected: writing is blocked by read-only sandbox; rejected by user approval settings",
        "approval policy is Never; reject command", "unsupported call: nope"))  # fmt: skip
    cli.says(STARTED, command(begun=False, status="declined"), message("sorry"), completed(1), stderr=stderr)
    assert turn(tmp_path).denials == 3


def test_nothing_is_started_without_money_or_gateway(cli: ToldCli, tmp_path: Path) -> None:
    cli.says(STARTED, completed(1))
    report = turn(tmp_path, endpoint=None, budget_usd=0.0, native=THREAD, total=Usage(3))
    assert (report.state, report.trouble, report.native, report.total) == ("failed", "budget", THREAD, Usage(3))
    assert not (cli.folder / "told.json").exists()
    assert turn(tmp_path, budget_usd=0.0).state == "completed"  # the gateway decides


def test_secrets_in_errors_are_masked(cli: ToldCli, tmp_path: Path) -> None:
    secret = "sk-proj-" + "a" * 30
    cli.says(STARTED, code=1, stderr=f"bad key {secret}\n")
    assert secret not in turn(tmp_path).message
    assert secret not in (tmp_path / "state/s1/stderr_1.txt").read_text()
