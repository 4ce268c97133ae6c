"""What is paid for: not twice for one failure, an issue by its own text, and the program only when its turn comes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.action import shops, spy
from tests.action.runner import REPO, Job, push, repository, user
from tests.fakegh import Forge
from tests.fakes.told_cli import order
from tests.fakes.turns import Turns
from tests.support import Repo
from tests.test_fix_issue import FILES, GOOD, PROOF
from zwarm_ci.action import allowance
from zwarm_ci.action.allowance import A_DAY, Allowance

QUICK = shops.CONFIG + "\n[loop]\nturns = 1\nsessions = 1\n"


def test_a_failure_is_paid_for_a_few_times_a_day_whoever_asks(tmp_path: Path) -> None:
    turn = order(tmp_path, folder=tmp_path / "state/sessions/s1")
    turn.folder.mkdir(parents=True)
    for _ in range(A_DAY):
        fresh = Allowance({})
        assert fresh.refused(turn) == ""
        assert fresh.refused(turn) == "", "the second turn of the same run is the same attempt"
    assert f"was tried {A_DAY} of {A_DAY} times today" in Allowance({}).refused(turn)
    other = order(tmp_path, folder=turn.folder, task=turn.task.__class__("t2", "t", "another", "tests", ()))
    assert Allowance({}).refused(other) == ""


def test_what_a_pull_request_repairs_is_not_paid_for(tmp_path: Path) -> None:
    file = tmp_path / "spoken.json"
    turn = order(tmp_path)
    file.write_text(json.dumps({turn.task.fingerprint: "pull request #5 repairs it already"}))
    assert allowance.read(str(file)).refused(turn) == "pull request #5 repairs it already"
    assert not list(tmp_path.rglob("attempts.jsonl")), "and it is no attempt"


@pytest.mark.slow
def test_a_second_run_pays_nothing_while_its_pull_request_is_open(tmp_path: Path) -> None:
    spy.login()
    repo = shops.red(tmp_path / "shop", QUICK)
    watcher = spy.Spy.make(tmp_path / "cli", repo.path, tmp_path / "none")
    with Forge(tmp_path / "forge") as forge:
        repo.git("push", "-q", str(forge.bare(REPO)), "main")
        token = forge.token("writer")
        env = {"GITHUB_API_URL": forge.api_url, "GITHUB_SERVER_URL": forge.url, **watcher.env}
        job = Job(tmp_path / "job", repo.path, "push", push(repo.git("rev-parse", "HEAD")), env)
        inputs = {"mode": "fix-checks", "token": token, "executor": "codex:mini"}
        first = job.run(inputs)
        assert first.outputs["status"] == "fixed", first.log
        assert watcher.seen
        job.run({"mode": "publish", "token": token, "reports": first.outputs["folder"]})
        (watcher.folder / "seen").unlink()
        second = job.run(inputs)
        assert second.outputs["status"] == "not_fixed", second.log
        assert "pull request \\#1 repairs it already" in second.summary
        assert watcher.seen == ""


@pytest.mark.slow
def test_a_label_makes_an_issue_a_patch_and_its_text_was_fetched_before_the_token_went(tmp_path: Path) -> None:
    repo = Repo.make(tmp_path / "shop", FILES)
    cli = Turns.make(tmp_path / "cli", ({"shop.py": GOOD, "tests/test_label.py": PROOF}, "done, with a test"))
    with Forge(tmp_path / "forge") as forge:
        forge.bare(REPO)
        forge.permit(REPO, "octocat", "write")
        token = forge.token("reader", ["contents:read", "issues:read", "pull_requests:read"])
        number = forge.issue(
            REPO,
            "label(205) says 2.5",
            "It should say 2.05.",
            login="octocat",
            user=583231,
            labels=["zwarm-ci"],
            association="OWNER",
        )
        at = "2026-01-01T12:00:00Z"
        issue = {
            "number": number, "title": "label(205) says 2.5", "body": "It should say 2.05.", "state": "open", "user": user(),
            "author_association": "OWNER", "labels": [{"name": "zwarm-ci"}], "created_at": at, "updated_at": at,
        }  # fmt: skip
        payload = {
            "action": "labeled",
            "issue": issue,
            "label": {"name": "zwarm-ci"},
            "repository": repository(),
            "sender": user(),
        }
        env = {"GITHUB_API_URL": forge.api_url, "GITHUB_SERVER_URL": forge.url, **cli.env}
        done = Job(tmp_path / "job", repo.path, "issues", payload, env).run(
            {"mode": "fix-issue", "token": token, "executor": "codex:mini"}
        )
        last = [r.path for r in forge.requests]
    assert done.outputs.get("status") == "fixed", done.log
    assert f"/repos/{REPO}/issues/{number}" in last
    assert "2.05" in cli.prompts[0]
    assert not [text for text in (*cli.prompts, *cli.environments) if token in text]
    assert "Zwarm-Verified" in repo.git("log", "-1", "--format=%B", done.outputs["commit"])
