"""The whole of zwarm-ci with each real command line, the keys in the gateway, and a scripted model behind it."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.stage import ADAPTERS, Adapter, alive
from tests.fakemodel import (
    Cut,
    Gate,
    Reply,
    Scenario,
    Script,
    Shell,
    Stall,
    Status,
    key_hash,
    refusing,
    scenario,
    serve,
)
from tests.fakemodel.scenario import Fault
from tests.realcli import Clis, installed
from tests.support import Repo, Said, zwarm
from zwarm_ci.task import Usage

pytestmark = [pytest.mark.realcli, pytest.mark.parametrize("adapter", ADAPTERS)]

KEYS = {"codex": "sk-of-a-test-00000000000000000001", "claude": "sk-ant-of-a-test-000000000000001"}
RUNGS = {"codex": "codex:mini", "claude": "claude:sonnet"}
USAGE = Usage(500, 400, 0, 50)
CALC = {
    "calc.py": "def add(a, b):\n    return a - b\n",
    "test_calc.py": "from calc import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n    assert add(20, 22) == 42\n",
    "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '-p no:cacheprovider'\n",
}
GREP = "grep -q three words.txt"


@pytest.fixture(scope="module")
def clis() -> Clis:
    return installed()


def run(repo: Repo, clis: Clis, adapter: Adapter, url: str, *args: str) -> Said:
    """A paid run against the model at `url`."""
    return zwarm(
        *args, "--executor", RUNGS[adapter], "--yes", "--json", cwd=repo.path, ZWARM_CI_CODEX=str(clis.codex),
        ZWARM_CI_CLAUDE=str(clis.claude), **keys(adapter, url),
    )  # fmt: skip


def keys(adapter: Adapter, url: str) -> dict[str, str]:
    if adapter == "codex":
        return {"OPENAI_API_KEY": KEYS[adapter], "OPENAI_BASE_URL": f"{url}/v1"}
    return {"ANTHROPIC_API_KEY": KEYS[adapter], "ANTHROPIC_BASE_URL": url}


def usage(outcome: dict[str, Any]) -> Usage:
    return Usage(**outcome["usage"])


def cat(text: str) -> Shell:
    return Shell(f"cat > calc.py <<'EOF'\ndef add(a, b):\n    return {text}\nEOF")


def test_a_test_is_repaired_after_our_second_error(adapter: Adapter, clis: Clis, tmp_path: Path) -> None:
    replies = (Reply("", [cat("3")], usage=USAGE), Reply("all green"), Reply("", [cat("a + b")]), Reply("repaired"))
    repo = Repo.make(tmp_path / "repo", CALC)
    with serve(scenario(*replies)) as server:
        said = run(repo, clis, adapter, server.url, "fix-tests")
        assert said.code == 0, said.err
        outcome = said.json
        (task,) = outcome["tasks"]
        assert (outcome["status"], task["status"]) == ("fixed", "fixed")
        assert [(a["turn"], a["verdict"]) for a in task["attempts"]] == [(1, "still_failing"), (2, "fixed")]
        assert repo.git("show", f"{outcome['branch']}:calc.py") == "def add(a, b):\n    return a + b"
        first, *_, last = server.turns
        assert "assert -1 == 3" in first.users[-1]
        assert "assert 3 == 42" in last.users[-1]
        assert "assert 3 == 42" not in first.text
        assert {r.key for r in server.turns} == {key_hash(KEYS[adapter])}
        assert not server.of_kind("websocket")
        assert len({r.conversation for r in server.turns}) == 1
        assert usage(outcome) == server.billed()
        assert outcome["cost_usd"] > 0
        assert outcome["unpriced_tokens"] == 0


def test_a_lie_is_no_change(adapter: Adapter, clis: Clis, tmp_path: Path) -> None:
    repo = Repo.make(tmp_path / "repo", {"words.txt": "one\n"})
    with serve(Scenario([Script([Reply("all tests pass now", usage=USAGE)], loop=True)])) as server:
        said = run(repo, clis, adapter, server.url, "fix-checks", "--check", GREP, "--set", "loop.sessions=1")
        assert said.code == 1, said.err
        (task,) = said.json["tasks"]
        assert task["status"] == "no_changes"
        assert {a["verdict"] for a in task["attempts"]} == {"no_changes"}
        assert usage(said.json) == server.billed()


def test_a_session_that_loops_is_ended(adapter: Adapter, clis: Clis, tmp_path: Path) -> None:
    repo = Repo.make(tmp_path / "repo", {"words.txt": "one\n"})
    limits = ("--set", "executor.timeout=10", "--set", "loop.sessions=1", "--set", "loop.turns=1")
    with serve(Scenario([Script([Reply("again", [Shell("ls")], usage=USAGE)], loop=True)])) as server:
        said = run(repo, clis, adapter, server.url, "fix-checks", "--check", GREP, *limits)
        assert said.code in {1, 3}, said.err
        (task,) = said.json["tasks"]
        assert task["status"] == "timed_out"
        assert len(server.turns) > 1
        assert usage(said.json).total >= server.told().total - USAGE.total, "what was paid is lost"
        assert usage(said.json).total <= server.billed().total
        assert not alive(str(repo.path))


#: What the second call of a session meets, again and again; by a word of its check, and so of its task.
FAULTS: dict[str, Fault] = {
    "waits": Status(429, retry_after=1),
    "limited": Status(429),
    "broken": Status(500),
    "refused": Status(400, message="the moon is in the wrong house"),
    "cut": Cut(2),
    "silent": Stall(),
    "stalls": Stall(2),
}
MINUTES = 1.5


def test_every_fault_ends_in_time_and_what_was_paid_is_kept(adapter: Adapter, clis: Clis, tmp_path: Path) -> None:
    repo = Repo.make(tmp_path / "repo", {"words.txt": "one\n"})
    scripts = [
        Script([Reply("", [Shell("ls")], usage=USAGE), Reply("never", fault=fault, times=-1)], f"grep -q {word}", word)
        for word, fault in FAULTS.items()
    ]
    checks = [part for word in FAULTS for part in ("--check", f"grep -q {word} words.txt")]
    limits = ("loop.sessions=1", "loop.turns=1", "executor.silence=15", f"budget.minutes={MINUTES}")
    sets = [part for limit in limits for part in ("--set", limit)]
    with serve(Scenario(scripts)) as server:
        started = time.monotonic()
        said = run(repo, clis, adapter, server.url, "fix-checks", *checks, *sets, "--parallel", str(len(FAULTS)))
        assert time.monotonic() - started < MINUTES * 60 + 45, said.err
        assert said.code in {1, 3}, said.err
        outcome = said.json
        assert not alive(str(repo.path))
        assert usage(outcome).cache_read_tokens == server.told().cache_read_tokens
        assert usage(outcome).total >= server.told().total - len(server.turns), "what was paid is lost"
        assert {r.script for r in server.turns} == set(FAULTS)
    words = _words(outcome)
    statuses = {words[task["check"]]: task["status"] for task in outcome["tasks"]}
    assert set(statuses) == set(FAULTS)
    failed = {"executor_failed", "over_budget"}
    ended = {"timed_out", *failed}
    expected = dict.fromkeys(FAULTS, failed) | {"silent": ended, "stalls": ended}
    if adapter == "claude":
        expected["cut"] = {"no_changes"}  # it asks for one document instead of a stream, and gets it
    assert not {w: s for w, s in statuses.items() if s not in expected[w]}, statuses
    (reason,) = (task["reason"] for task in outcome["tasks"] if words[task["check"]] == "refused")
    assert "wrong house" in reason


def _words(outcome: dict[str, Any]) -> dict[str, str]:
    """Each fault by the name of the check whose task meets it."""
    return {check["name"]: check["command"].split()[2] for check in outcome["checks"]["before"]}


def test_a_key_that_is_refused_ends_the_rung(adapter: Adapter, clis: Clis, tmp_path: Path) -> None:
    repo = Repo.make(tmp_path / "repo", {"words.txt": "one\n"})
    replies = (Reply("", [Shell("ls")], usage=USAGE), Reply("never", fault=Status(401), times=-1))
    with serve(scenario(*replies)) as server:
        said = run(repo, clis, adapter, server.url, "fix-checks", "--check", GREP)
        assert said.code == 1, said.err
        (task,) = said.json["tasks"]
        assert task["status"] in {"executor_failed", "unverifiable"}
        assert len(task["attempts"]) == 1
        assert usage(said.json) == server.billed()


def test_nobody_answers(adapter: Adapter, clis: Clis, tmp_path: Path) -> None:
    repo = Repo.make(tmp_path / "repo", {"words.txt": "one\n"})
    with refusing() as url:
        started = time.monotonic()
        said = run(repo, clis, adapter, url, "fix-checks", "--check", GREP, "--set", f"budget.minutes={MINUTES}")
    assert time.monotonic() - started < MINUTES * 60 + 45, said.err
    assert said.code in {1, 3}, said.err
    assert said.json["tasks"][0]["status"] in {"executor_failed", "timed_out", "over_budget"}
    assert usage(said.json) == Usage()


def test_the_key_is_with_the_gateway_alone(adapter: Adapter, clis: Clis, tmp_path: Path) -> None:
    repo = Repo.make(tmp_path / "repo", {"words.txt": "one\n"})
    gate = Gate()
    look = Shell("cat /proc/self/environ /proc/$PPID/environ | tr '\\0' '\\n'; env")
    with serve(scenario(Reply("", [look], hold=gate), Reply("done"))) as server, ThreadPoolExecutor(1) as pool:
        limits = ("--set", "loop.sessions=1", "--set", "loop.turns=1")
        said = pool.submit(run, repo, clis, adapter, server.url, "fix-checks", "--check", GREP, *limits)
        try:
            server.wait(lambda log: any(r.kind == "turn" for r in log), 60.0)
            seen = _everywhere()
        finally:
            gate.open()
        assert said.result().code == 1, said.result().err
        key = KEYS[adapter]
        assert any(str(repo.path) in text for text in seen.values()), "nothing of the run was looked at"
        assert not [name for name, text in seen.items() if key in text]
        assert not [r for r in server.requests if key in r.text]
        assert "PATH=" in server.turns[1].text
    for path in [*repo.path.rglob("*"), *Path(os.environ["HOME"]).rglob("*")]:
        if path.is_file():
            assert key.encode() not in path.read_bytes(), path
    assert key not in said.result().out + said.result().err


def _everywhere() -> dict[str, str]:
    """Arguments and environment of every process that we may look at, but our own: it set the key for the run."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and folder.name != str(os.getpid()):
            for name in ("cmdline", "environ"):
                try:
                    found[f"{folder}/{name}"] = (folder / name).read_bytes().decode(errors="replace")
                except OSError:
                    continue
    return found
