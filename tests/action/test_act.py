"""The workflows to copy, as they are, with the real action.yml, under `act`: no container, no network, a clean environment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.action import shops, spy
from tests.action.act import EXAMPLES, Act, used
from tests.action.runner import REPO, comment, pull, push, repository, user
from tests.action.test_fanout import CONFIG as PAIR
from tests.fakegh import Forge
from tests.support import Repo

TOKEN = "ghs_" + "C4n4ryT0" * 5
OFFLINE = {"GITHUB_API_URL": "http://127.0.0.1:9", "GITHUB_SERVER_URL": "http://127.0.0.1:9"}


def workflow(tmp_path: Path, inputs: str, before: str = "true") -> Path:
    """One job with the action at its end, as in self-healing.yml, and a step before it."""
    ours = next(name for name in used(EXAMPLES / "self-healing.yml") if name.startswith("zwarm-ci/"))
    file = tmp_path / "workflow.yml"
    file.write_text(
        "on: [push, pull_request, issue_comment]\njobs:\n  repair:\n    runs-on: ubuntu-24.04\n    steps:\n"
        "      - uses: actions/checkout@9c091bb21b7c1c1d1991bb908d89e4e9dddfe3e0\n"
        f"      - run: {before}\n      - id: zwarm\n        if: always()\n        uses: {ours}\n        with:\n{inputs}"
        "      - if: always()\n        run: echo \"said ${{ steps.zwarm.outcome }} ${{ steps.zwarm.outputs.status }}\"\n"
    )  # fmt: skip
    return file


@pytest.mark.slow
def test_green_is_a_no_op_in_its_own_workflow(tmp_path: Path, runner: Act) -> None:
    repo = shops.green(tmp_path / "my shöp")
    file = workflow(tmp_path, "          mode: fix-checks\n")
    ran = runner.run(
        repo.path, file, tmp_path / "run", "push", push(repo.git("rev-parse", "HEAD")), env=OFFLINE, token=TOKEN
    )
    assert ran.code == 0, ran.log
    assert "said success green" in ran.log
    assert ran.outputs()["status"] == "green"
    assert float(ran.outputs()["total_cost_usd"]) == 0
    assert list(ran.artifacts.iterdir()) == []
    assert "green" in ran.summary


@pytest.mark.slow
def test_red_tests_become_a_bundle_in_the_job_that_was_red(tmp_path: Path, runner: Act) -> None:
    """`if: always()` after a step that failed: the action's own steps run, and the job stays red."""
    repo = shops.red(tmp_path / "shop")
    file = workflow(tmp_path, "          mode: fix-checks\n", before="ruff check")
    ran = runner.run(
        repo.path, file, tmp_path / "run", "push", push(repo.git("rev-parse", "HEAD")), env=OFFLINE, token=TOKEN
    )
    assert ran.code != 0
    assert "said success fixed" in ran.log, ran.log
    found = ran.outputs()
    assert (found["verified"], found["fixed"], found["remaining"]) == ("true", "1", "0")
    (artifact,) = ran.artifacts.iterdir()
    assert artifact.name == found["artifact"]
    assert {"outcome.json", "branch.bundle", "zwarm-ci.patch", "junit.xml", "summary.md", "evidence", "patches"} <= {
        p.name for p in artifact.iterdir()
    }
    assert f"-n {artifact.name} -D zwarm-ci && git am -3" in ran.summary
    assert not [r for r in ran.records if r.get("command") == "error"], "what is repaired is no error"


@pytest.mark.slow
def test_two_jobs_open_a_draft_pull_request_with_the_verified_tree(tmp_path: Path, runner: Act) -> None:
    repo = shops.red(tmp_path / "shop")
    with Forge(tmp_path / "forge") as forge:
        bare = Repo(forge.bare(REPO))
        repo.git("push", "-q", str(bare.path), "main")
        repo.git("remote", "add", "origin", forge.remote(REPO))
        token = forge.token("actions")
        env = {"GITHUB_API_URL": forge.api_url, "GITHUB_SERVER_URL": forge.url}
        event = push(repo.git("rev-parse", "HEAD"))
        ran = runner.run(repo.path, EXAMPLES / "two-jobs.yml", tmp_path / "run", "push", event, env=env, token=token)
        assert ran.code == 0, ran.log
        (request,) = forge.pulls(REPO)
        assert request.pull is not None
        assert request.pull["draft"] is True
        assert request.pull["base"] == "main"
        (artifact,) = ran.artifacts.iterdir()
        outcome = json.loads((artifact / "outcome.json").read_text())
        assert bare.git("rev-parse", request.pull["head"]) == outcome["head"]
        evidence = json.loads((artifact / outcome["tasks"][0]["evidence"]).read_text())
        assert bare.git("rev-parse", f"{request.pull['head']}^{{tree}}") in evidence.values(), (
            "the tree that was verified"
        )
        assert f"/pull/{request.number}" in ran.outputs()["pr-url"]
        assert f"/pull/{request.number}" in ran.summary
    masked = {"add-mask"}
    said = [json.dumps(r) for r in ran.records if r.get("command") not in masked]
    assert not [line for line in said if token in line]


@pytest.mark.slow
def test_a_fork_gets_free_rungs_and_a_bundle(tmp_path: Path, runner: Act) -> None:
    repo = shops.red(tmp_path / "shop")
    watcher = spy.Spy.make(tmp_path / "cli", repo.path, tmp_path / "none")
    file = workflow(
        tmp_path, "          mode: fix-checks\n          executor: embedded,codex:mini\n          publish: pr\n"
    )
    payload = pull(repo.git("rev-parse", "HEAD"), head=("mallory/shop", 999), association="NONE")
    env = {**OFFLINE, **watcher.env}
    ran = runner.run(repo.path, file, tmp_path / "run", "pull_request", payload, env=env, token=TOKEN)
    assert ran.code == 0, ran.log
    assert ran.outputs()["status"] == "fixed"
    assert ran.outputs()["pr-url"] == ""
    assert len(list(ran.artifacts.iterdir())) == 1
    assert "no pull request" in ran.summary
    assert watcher.seen == ""


@pytest.mark.slow
def test_a_stranger_s_comment_runs_nothing(tmp_path: Path, runner: Act) -> None:
    repo = shops.red(tmp_path / "shop")
    with Forge(tmp_path / "forge") as forge:
        forge.bare(REPO)
        forge.permit(REPO, "mallory", "read")
        token = forge.token("reader", ["contents:read", "issues:read"])
        file = workflow(tmp_path, "          mode: fix-checks\n")
        env = {"GITHUB_API_URL": forge.api_url, "GITHUB_SERVER_URL": forge.url}
        ran = runner.run(
            repo.path, file, tmp_path / "run", "issue_comment", comment("/zwarm-ci fix"), env=env, token=token
        )
    assert ran.code == 0, ran.log
    assert "said success nothing" in ran.log
    assert "Nothing was run" in ran.summary
    assert "checks before" not in ran.log
    assert list(ran.artifacts.iterdir()) == []


@pytest.mark.slow
def test_an_agent_in_the_real_step_sees_no_token(tmp_path: Path, runner: Act) -> None:
    repo = shops.red(
        tmp_path / "shop",
        shops.CONFIG + '\n[executor]\nsandbox = "danger-full-access"\n\n[loop]\nturns = 1\nsessions = 1\n',
    )
    watcher = spy.Spy.make(tmp_path / "cli", repo.path, tmp_path / "none")
    file = workflow(tmp_path, "          mode: fix-checks\n          executor: codex:mini\n")
    key = "sk-proj-" + "canary0K" * 6
    env = {**OFFLINE, **watcher.env}
    text = file.read_text().replace(
        "        with:\n", "        env:\n          OPENAI_API_KEY: ${{ secrets.KEY }}\n        with:\n"
    )
    file.write_text(text)
    event = push(repo.git("rev-parse", "HEAD"))
    ran = runner.run(repo.path, file, tmp_path / "run", "push", event, env=env, token=TOKEN, secrets={"KEY": key})
    assert ran.code == 0, ran.log
    assert ran.outputs()["status"] == "fixed"
    assert "ENVIRON" in watcher.seen
    assert "GITHUB_ACTIONS" in watcher.seen
    assert TOKEN not in watcher.seen
    assert key not in watcher.seen


@pytest.mark.slow
def test_a_matrix_over_machines_opens_one_pull_request(tmp_path: Path, runner: Act) -> None:
    repo = shops.red(tmp_path / "shop", PAIR)
    sha = repo.commit("more", {"b.py": 'print(f"two")\n'})
    with Forge(tmp_path / "forge") as forge:
        bare = Repo(forge.bare(REPO))
        repo.git("push", "-q", str(bare.path), "main")
        repo.git("remote", "add", "origin", forge.remote(REPO))
        token = forge.token("actions")
        env = {"GITHUB_API_URL": forge.api_url, "GITHUB_SERVER_URL": forge.url}
        payload = {"ref": "refs/heads/main", "inputs": None, "repository": repository(), "sender": user()}
        file = EXAMPLES / "fan-out.yml"
        ran = runner.run(repo.path, file, tmp_path / "run", "workflow_dispatch", payload, env=env, token=token)
        assert ran.code == 0, ran.log
        names = sorted(path.name for path in ran.artifacts.iterdir())
        assert names[1:] == ["zwarm-ci-plan", "zwarm-ci-work-001", "zwarm-ci-work-002"]
        (request,) = forge.pulls(REPO)
        assert request.pull is not None
        subjects = bare.git("log", "--reverse", "--format=%s", f"{sha}..{request.pull['head']}").splitlines()
        assert sorted(subjects) == ["fix a: F401 (1 in a.py)", "fix b: F541 (1 in b.py)"]
