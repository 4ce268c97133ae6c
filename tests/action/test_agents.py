"""No token where agents are: what an executor can see of the job that started it."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

import pytest

from tests.action import shops, spy
from tests.action.runner import Job, Step, push

TOKEN = "ghs_" + "C4n4ryT0" * 5
OTHER = "opaque-canary-of-somebody-9876543210"
HEADER = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
OPEN = shops.CONFIG + '\n[executor]\nsandbox = "danger-full-access"\n\n[loop]\nturns = 1\nsessions = 1\n'
TOKENS = {
    "GITHUB_TOKEN": TOKEN,
    "GH_TOKEN": TOKEN,
    "MY_OWN_NAME": f"Bearer {TOKEN}",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN": OTHER,
    "ACTIONS_RUNTIME_TOKEN": OTHER,
    "INPUT_TOKEN": TOKEN,
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "http.https://github.com/.extraheader",
    "GIT_CONFIG_VALUE_0": f"AUTHORIZATION: basic {HEADER}",
}


def step(tmp_path: Path, executor: str, **env: str) -> tuple[Step, spy.Spy]:
    repo = shops.red(tmp_path / "shop", OPEN)
    repo.git("remote", "add", "origin", "https://example.org/octo/shop.git")
    job = Job(tmp_path / "job", repo.path, "push", push(repo.git("rev-parse", "HEAD")))
    job.temp.mkdir(parents=True)
    watcher = spy.Spy.make(tmp_path / "cli", repo.path, job.temp)
    given = {"mode": "fix-checks", "executor": executor, "token": TOKEN, "budget-usd": "1"}
    return job.run(given, **TOKENS, **watcher.env, **env), watcher


@pytest.mark.parametrize("paid_by", ["key", pytest.param("login", marks=pytest.mark.slow)])
def test_an_executor_sees_no_token_anywhere(tmp_path: Path, paid_by: str) -> None:
    key = "sk-proj-" + "canary0K" * 6
    if paid_by == "login":
        spy.login()
    done, watcher = step(tmp_path, "codex:mini", **({"OPENAI_API_KEY": key} if paid_by == "key" else {}))
    assert done.outputs.get("status") == "fixed", done.log
    seen = watcher.seen
    assert "ENVIRON" in seen
    assert "GIT " in seen
    ancestors = json.loads(seen.partition("ANCESTORS ")[2].partition("\n")[0])
    assert len(ancestors) > 2
    for parent in ancestors[1:3]:
        assert f"/proc/{parent}/environ" in seen, "its own parents were looked at"
    for secret in (TOKEN, OTHER, HEADER, key):
        assert secret not in seen
    printed = done.log.replace(f"::add-mask::{TOKEN}\n", "", 1)
    left = [p.read_text(errors="replace") for p in tmp_path.rglob("*") if p.is_file() and "job/temp" in str(p)]
    for text in (printed, done.summary, *done.outputs.values(), *left):
        assert TOKEN not in text
        assert key not in text


def test_a_credential_in_git_keeps_paid_rungs_away_and_the_free_one_at_work(tmp_path: Path) -> None:
    spy.login()
    repo = shops.red(tmp_path / "shop", OPEN.replace('fix = "ruff check --fix"\n', ""))
    repo.git("config", "http.https://github.com/.extraheader", f"AUTHORIZATION: basic {HEADER}")
    job = Job(tmp_path / "job", repo.path, "push", push(repo.git("rev-parse", "HEAD")))
    watcher = spy.Spy.make(tmp_path / "cli", repo.path, job.temp)
    done = job.run({"mode": "fix-checks", "executor": "embedded,codex:mini", "token": TOKEN}, **watcher.env)
    assert watcher.seen == ""
    assert "persist-credentials: false" in done.log
    assert "::warning title=zwarm-ci::codex" in done.log
    assert "persist" in done.summary
    assert HEADER not in done.log + done.summary
    assert done.outputs["status"] in {"fixed", "not_fixed"}, "the rest of the ladder worked"


def test_with_paid_rungs_alone_it_is_blocked_with_the_remedy(tmp_path: Path) -> None:
    spy.login()
    repo = shops.red(tmp_path / "shop", OPEN)
    repo.git("config", "http.https://github.com/.extraheader", f"AUTHORIZATION: basic {HEADER}")
    job = Job(tmp_path / "job", repo.path, "push", push(repo.git("rev-parse", "HEAD")))
    watcher = spy.Spy.make(tmp_path / "cli", repo.path, job.temp)
    done = job.run({"mode": "fix-checks", "executor": "codex:mini", "token": TOKEN}, **watcher.env)
    assert done.code == 4
    assert done.outputs["status"] == "blocked"
    assert "persist-credentials: false" in done.summary
    assert watcher.seen == ""


def test_the_spy_would_see_a_token(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    watcher = spy.Spy.make(tmp_path / "cli", tmp_path, tmp_path)
    env = {**TOKENS, "PATH": "/usr/bin:/bin"}
    subprocess.run([watcher.folder / "codex"], cwd=tmp_path / "tree", env=env, input=b"", check=True)
    assert TOKEN in watcher.seen
    assert OTHER in watcher.seen
