"""`orchestrate` whole: each real command line as host, sessions of the other one, keys in the gateway, a scripted model behind both."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conformance.stage import ADAPTERS, Adapter, alive
from tests.fakemodel import Gate, Reply, Shell, Write, key_hash, serve
from tests.fakemodel.tools import offered
from tests.orchestrator import job
from tests.orchestrator.job import KEYS, RIGHT, Plan, writes
from tests.realcli import Clis, installed
from tests.support import Repo, Said, belongings
from zwarm_ci.orchestrator.toolspec import CEILING
from zwarm_ci.task import Usage

pytestmark = [pytest.mark.realcli, pytest.mark.parametrize("host", ADAPTERS)]


@pytest.fixture(scope="module")
def clis() -> Clis:
    return installed()


def other(host: Adapter) -> Adapter:
    return "codex" if host == "claude" else "claude"


@contextmanager
def running(repo: Repo, clis: Clis, host: Adapter, url: str, *args: str) -> Iterator[subprocess.Popen[str]]:
    """A run with this host; sessions are the other CLI's."""
    who = () if "--resume" in args else ("--executor", job.RUNGS[other(host)], "--set", f"orchestrator.host={host}")
    with subprocess.Popen(
        [sys.executable, "-m", "zwarm_ci", "orchestrate", *args, *who, "--yes", "--json"], cwd=repo.path,
        env={**os.environ, **job.environ(url), "ZWARM_CI_CODEX": str(clis.codex), "ZWARM_CI_CLAUDE": str(clis.claude)},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as run:  # fmt: skip
        try:
            yield run
        finally:
            run.kill()


def orchestrate(repo: Repo, clis: Clis, host: Adapter, url: str, *args: str) -> Said:
    """The same, to its end."""
    with running(repo, clis, host, url, *args) as run:
        out, err = run.communicate()
        return Said(run.returncode, out, err)


def newest(repo: Repo) -> str:
    return max(path.name for path in (repo.path / ".zwarm" / "runs").glob("2*"))


def test_three_tasks_one_corrected_one_replaced(host: Adapter, clis: Clis, tmp_path: Path) -> None:
    plan = Plan(host)
    plan.say(plan.tool("status"))
    plan.say(*(plan.delegate(name) for name in job.NAMES))
    plan.say(plan.tool("wait", mode="all"))
    plan.late(lambda ids: [plan.tool("verify", session_id=ids[n]) for n in range(3)])
    plan.late(lambda ids: [
        plan.tool("accept", session_id=ids[0]), plan.tool("converse", session_id=ids[1], message="assert 5 == 6: it adds, it must multiply"),
        plan.tool("end_session", session_id=ids[2], verdict="failed", reason="it dug in the wrong place"),
    ])  # fmt: skip
    again = "Task again: gamma() must give the greater one."
    plan.late(lambda ids: [plan.tool("delegate", task=again, expects=["test_gamma.py"], replaces=ids[2])])
    plan.say(plan.tool("wait", mode="all"))
    plan.late(lambda ids: [plan.tool("verify", session_id=ids[1]), plan.tool("verify", session_id=ids[3])])
    plan.late(lambda ids: [plan.tool("accept", session_id=ids[1]), plan.tool("accept", session_id=ids[3])])
    plan.say(plan.tool("exit", summary="All three are repaired."))
    sessions = {
        "alpha": [Reply("", [writes("alpha", RIGHT["alpha"])]), Reply("done")],
        "beta": [Reply("", [writes("beta", "a + b")]), Reply("done"), Reply("", [writes("beta", RIGHT["beta"])]), Reply("it multiplies now")],
        "gamma": [Reply("", [Shell("echo nonsense > notes.txt")]), Reply("done")],
        "again": [Reply("", [writes("gamma", RIGHT["gamma"])]), Reply("done")],
    }  # fmt: skip
    repo = job.repository(tmp_path / "repo")
    with serve(job.scenario(plan, sessions)) as server:
        said = orchestrate(repo, clis, host, server.url, "--task", job.TASK)
        assert said.code == 0, said.err
        outcome = said.json
        assert (outcome["status"], outcome["command"]) == ("fixed", "orchestrate")
        for name in job.NAMES:
            assert repo.git("show", f"{outcome['branch']}:{name}.py") == job.source(name, RIGHT[name]).rstrip("\n")
        assert "notes.txt" not in repo.git("ls-tree", "-r", "--name-only", outcome["branch"])
        hosts = [r for r in server.turns if r.script == "host"]
        assert len({r.conversation for r in hosts}) == 1
        assert {r.key for r in server.turns} == {key_hash(KEYS[host]), key_hash(KEYS[other(host)])}
        assert {r.key for r in hosts} == {key_hash(KEYS[host])}
        names = {name for r in hosts for name in offered(r.body)}
        assert not {"Bash", "Write", "Edit", "Read", "exec_command", "apply_patch", "shell"} & names
        attempts = [a for t in outcome["tasks"] for a in t["attempts"]]
        assert {a["executor"] for a in attempts if a["session"] != "host"} == {other(host)}
        assert sorted(a["verdict"] for a in attempts if a["session"] != "host").count("fixed") == 3
        assert outcome["usage"]["output_tokens"] == server.billed().output_tokens
    assert not alive(str(repo.path))


def test_every_misdeed_is_refused_or_nudged_and_nothing_is_written(host: Adapter, clis: Clis, tmp_path: Path) -> None:
    repo = job.repository(tmp_path / "repo")
    (repo.path / ".env").write_text("TOKEN=sk-of-the-user-0123456789abcdef\n")
    before = belongings(repo.path)
    plan = Plan(host)
    target = str(repo.path / "hacked.py")
    plan.say(Shell(f"echo x > {target}"))
    plan.say(Write(target, "x"))
    plan.say(plan.tool("exit", summary="nothing to do"))
    plan.say(plan.delegate("alpha"))
    plan.say(plan.tool("wait"))
    plan.late(lambda ids: [plan.tool("accept", session_id=ids[0])])
    plan.say(plan.tool("bash", command=f"cat {repo.path}/.env ~/.ssh/id_rsa; echo x > {target}"))
    for _ in range(3):
        plan.late(lambda ids: [plan.tool("peek_session", session_id=ids[0])])
    plan.say(text="I give up.")
    plan.say(plan.tool("chat", message="What am I to do?"))
    sessions = {"alpha": [Reply("", [writes("alpha", RIGHT["alpha"])]), Reply("done")]}
    with serve(job.scenario(plan, sessions)) as server:
        said = orchestrate(repo, clis, host, server.url, "--task", job.TASK)
        assert said.code == 4, said.err
        assert said.json["status"] == "blocked"
        assert said.json["branch"] is None
        told = server.turns[-1].text
    for words in (
        "not yet",
        "was never verified",
        "[WATCHER: scope]",
        "[WATCHER: delegation]",
        "You are polling",
        "Your turn ended, but",
    ):
        assert words in told, words
    assert "sk-of-the-user" not in told
    assert belongings(repo.path) == before
    assert [s["tool"] for s in job.steps(repo)] == [
        "exit",
        "delegate",
        "wait",
        "accept",
        "bash",
        *["peek_session"] * 3,
        "chat",
    ]


@pytest.mark.parametrize("point", range(1, 6))
def test_killed_and_resumed_it_comes_to_the_same_end(host: Adapter, point: int, clis: Clis, tmp_path: Path) -> None:
    """Killed while the model thinks over its call number `point`: status, delegate, wait, verify, accept, exit."""
    repo = job.repository(tmp_path / "repo")
    repo.commit("two are right", {f"{name}.py": job.source(name, RIGHT[name]) for name in ("beta", "gamma")})
    plan, held = Plan(host), Gate()
    plan.say(plan.tool("status"))
    plan.say(plan.delegate("alpha"))
    plan.say(plan.tool("wait"))
    plan.late(lambda ids: [plan.tool("verify", session_id=ids[0])])
    plan.late(lambda ids: [plan.tool("accept", session_id=ids[0])])
    plan.say(plan.tool("exit", summary="done"))
    plan.replies.insert(point, Reply("never said", hold=held, usage=job.USED))
    sessions = {"alpha": [Reply("", [writes("alpha", RIGHT["alpha"])]), Reply("done")]}
    with serve(job.scenario(plan, sessions)) as server:
        with running(repo, clis, host, server.url, "--task", job.TASK):
            server.wait(lambda log: sum(r.script == "host" and r.kind == "turn" for r in log) == point + 1, timeout=240)
        said = orchestrate(repo, clis, host, server.url, "--resume", newest(repo))
        assert said.code == 0, said.err
        outcome = said.json
        assert outcome["status"] == "fixed"
        assert repo.git("show", f"{outcome['branch']}:alpha.py") == job.source("alpha", RIGHT["alpha"]).rstrip("\n")
        asked = [r for r in server.turns if r.script == "alpha"]
        assert len(asked) == 2, "a finished turn was paid again"
        assert len({r.conversation for r in asked}) == 1, "a session was begun twice"
        assert len({r.conversation for r in server.turns if r.script == "host"}) == 1, "the host forgot everything"
        assert [s["step"] for s in job.steps(repo)] == list(range(1, len(job.steps(repo)) + 1))
        attempts = [a for t in outcome["tasks"] for a in t["attempts"]]
        assert [a["turn"] for a in attempts if a["session"] == "host"] == [1, 2]
        assert outcome["usage"]["output_tokens"] <= server.billed().output_tokens
        assert outcome["usage"]["output_tokens"] >= server.billed().output_tokens - job.USED.output_tokens, (
            "what was paid is lost"
        )


def test_a_wait_of_four_minutes_comes_back_and_a_longer_one_by_calling_again(
    host: Adapter, clis: Clis, tmp_path: Path
) -> None:
    repo = job.repository(tmp_path / "repo")
    plan = Plan(host)
    plan.say(plan.delegate("alpha"))
    plan.say(plan.tool("wait"))
    plan.say(plan.tool("wait"))
    plan.say(plan.tool("chat", message="enough"))
    sessions = {"alpha": [Reply("it took its time", seconds=CEILING + 15)]}
    with serve(job.scenario(plan, sessions)) as server:
        said = orchestrate(repo, clis, host, server.url, "--task", job.TASK)
        assert said.code == 4, said.err
    first, second = [s for s in job.steps(repo) if s["tool"] == "wait"]
    assert first["success"] is second["success"] is True
    assert job.answered(first) >= CEILING, "it came back before its time"
    assert job.answered(second) < CEILING, "it did not wake up"
    assert "timed out" not in said.err


#: What a call of each host's model costs here: some five cents.
DEAR = {"codex": Usage(200_000, 0, 0, 50), "claude": Usage(16_000, 0, 0, 50)}


def test_a_host_whose_money_is_spent_is_stopped(host: Adapter, clis: Clis, tmp_path: Path) -> None:
    repo = job.repository(tmp_path / "repo")
    plan = Plan(host)
    plan.replies = [Reply("", [plan.tool("status")], usage=DEAR[host]) for _ in range(9)]
    limits = ("--budget-usd", "0.2", "--task-budget-usd", "0.2")
    with serve(job.scenario(plan, {})) as server:
        said = orchestrate(repo, clis, host, server.url, "--task", job.TASK, *limits)
        assert said.code == 3, said.err
        assert said.json["status"] == "stopped"
        assert "the limit" in said.json["reason"]
        assert 0 < said.json["cost_usd"] < 0.25
        assert said.json["usage"]["output_tokens"] == server.billed().output_tokens
        spent = len(server.turns)
        again = orchestrate(repo, clis, host, server.url, "--resume", newest(repo))
        assert again.code == 3, again.err
        assert len(server.turns) == spent, "a resumed run has no new money"


def test_what_a_compaction_takes_away_status_gives_back(host: Adapter, clis: Clis, tmp_path: Path) -> None:
    repo = job.repository(tmp_path / "repo")
    repo.commit("two are right", {f"{name}.py": job.source(name, RIGHT[name]) for name in ("beta", "gamma")})
    big = Usage(30_000, 0, 0, 50)
    plan = Plan(host)
    plan.replies = [
        Reply("", [call], usage=big) for call in (plan.tool("status"), plan.delegate("alpha"), plan.tool("wait"))
    ]
    plan.say(plan.tool("status"))
    plan.late(lambda ids: [plan.tool("verify", session_id=ids.named[0])])
    plan.late(lambda ids: [plan.tool("accept", session_id=ids.named[0])])
    plan.say(plan.tool("exit", summary="done"))
    sessions = {"alpha": [Reply("", [writes("alpha", RIGHT["alpha"])]), Reply("done")]}
    sets = ("--set", "orchestrator.compaction.max_tokens=100000", "--set", "orchestrator.compaction.threshold_pct=0.2")
    summary = Reply("<summary>a session was delegated to; its id is not in here</summary>")
    with serve(job.scenario(plan, sessions, side=summary)) as server:
        said = orchestrate(repo, clis, host, server.url, "--task", job.TASK, *sets)
        assert said.code == 0, said.err
        assert [r for r in server.requests if r.kind == "compaction"]
        last = server.turns[-1]
        assert "its id is not in here" in last.text
        assert "Task alpha" not in last.text.partition("its id is not in here")[0], "what was said before is gone"
