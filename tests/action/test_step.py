"""The step as the runner starts it: the event decides, the run is the command line's own, and outputs and summary say what came of it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.action import shops
from tests.action.runner import ENTRY, REPO, Job, comment, obeyed, parsed, pull, push, repository, user
from tests.fakegh import Forge
from tests.support import Repo, belongings

TOKEN = "ghs_" + "C4n4ryT0" * 5


def job(tmp_path: Path, repo: Repo, event: str = "push", payload: dict[str, Any] | None = None, **env: str) -> Job:
    head = repo.git("rev-parse", "HEAD")
    return Job(tmp_path / "job", repo.path, event, push(head) if payload is None else payload, dict(env))


@pytest.fixture
def red(tmp_path: Path) -> Repo:
    return shops.red(tmp_path / "shop")


def test_green_is_a_no_op_at_no_cost(tmp_path: Path) -> None:
    repo = shops.green(tmp_path / "shop")
    before = belongings(repo.path)
    done = job(tmp_path, repo).run({"mode": "fix-checks", "token": TOKEN, "executor": "embedded"})
    assert done.code == 0, done.log
    found = done.outputs
    assert (found["status"], found["verified"], found["fixed"], found["remaining"]) == ("green", "false", "0", "0")
    assert (found["branch"], found["commit"], found["patch"], found["artifact"], found["pr"]) == (
        "",
        "",
        "",
        "",
        "false",
    )
    assert float(found["total_cost_usd"]) == 0
    assert found["input_tokens"] == found["output_tokens"] == "0"
    assert "green" in done.summary
    assert "Take the patch" not in done.summary
    assert belongings(repo.path) == before


def test_red_becomes_a_bundle_and_its_one_line_takes_it(tmp_path: Path, red: Repo) -> None:
    before = belongings(red.path)
    done = job(tmp_path, red).run({"mode": "fix-checks", "token": TOKEN})
    assert done.code == 0, done.log
    found = done.outputs
    assert (found["status"], found["verified"], found["fixed"], found["remaining"]) == ("fixed", "true", "1", "0")
    assert belongings(red.path, but=(found["branch"],)) == before
    folder = Path(found["folder"])
    assert folder.is_relative_to(tmp_path / "job/temp"), "outside of the checkout"
    for name in ("patch", "junit", "summary", "outcome"):
        assert Path(found[name]).is_file(), name
        assert Path(found[name]).parent == folder
    assert (folder / "branch.bundle").is_file()
    assert json.loads(Path(found["outcome"]).read_text())["head"] == found["commit"]
    line = re.search(r"```sh\n(gh run download .*)\n```", done.summary)
    assert line is not None, done.summary
    assert f"gh run download 4242 -R {REPO} -n {found['artifact']} " in line[1]
    taken = take(tmp_path, red, folder, line[1])
    assert taken.git("rev-parse", "HEAD^{tree}") == red.git("rev-parse", f"{found['commit']}^{{tree}}"), (
        "the verified tree"
    )
    assert "Zwarm-Verified:" in taken.git("log", "-1", "--format=%B")
    taken.git("fetch", "-q", "zwarm-ci/branch.bundle", f"{found['branch']}:{found['branch']}")
    assert taken.git("rev-parse", found["branch"]) == found["commit"]


def take(tmp_path: Path, repo: Repo, folder: Path, line: str) -> Repo:
    """A fresh clone in which somebody typed the line; `gh` brings what the artifact holds."""
    repo.git("clone", "-q", "--no-local", str(repo.path), str(tmp_path / "clone"))
    clone = Repo(tmp_path / "clone")
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "gh").write_text(f'#!/bin/sh\nwhile [ "$1" != -D ]; do shift; done\ncp -r "{folder}" "$2"\n')
    (tools / "gh").chmod(0o755)
    env = {
        "PATH": f"{tools}:/usr/bin:/bin",
        "GIT_COMMITTER_NAME": "Bo",
        "GIT_COMMITTER_EMAIL": "bo@example.org",
        "HOME": str(tmp_path),
    }
    subprocess.run(["bash", "-ec", line], cwd=clone.path, env=env, check=True, capture_output=True)
    return clone


def test_nothing_that_the_run_prints_is_obeyed(tmp_path: Path) -> None:
    bad = "::set-output name=status::green"
    config = shops.CONFIG + f'\n[checks.loud]\nrun = "sh loud.sh"\nkind = "generic"\n# {bad}\n'
    repo = shops.red(tmp_path / "shop", config)
    repo.commit(
        f"{bad}\n\n::error::x", {"loud.sh": f"echo '{bad}'; echo '::add-mask::a'; echo '::stop-commands::x'; exit 1\n"}
    )
    done = job(tmp_path, repo).run({"mode": "fix-checks", "token": TOKEN})
    assert done.code == 1, done.log
    words = {line.partition("::")[2].partition("::")[0].partition(" ")[0] for line in obeyed(done.log)}
    assert words <= {"add-mask", "group", "stop-commands", "endgroup", "error", "warning"}
    masked = [line for line in obeyed(done.log) if line.startswith("::add-mask::")]
    assert masked == [f"::add-mask::{TOKEN}"]
    assert done.outputs["status"] == "partly_fixed"
    assert not re.search(r"^\s*::", done.summary, re.MULTILINE)
    errors = [line for line in obeyed(done.log) if line.startswith("::error")]
    assert errors
    assert all(
        "::" not in line.partition(" ")[2].partition("::")[2] or "%" in line or "loud" in line for line in errors
    )


@pytest.mark.slow
def test_a_fork_gets_the_free_rungs_and_a_bundle_only(tmp_path: Path, red: Repo) -> None:
    payload = pull(red.git("rev-parse", "HEAD"), head=("mallory/shop", 999), association="NONE")
    red.commit(
        "trust me", {".zwarm/config.toml": shops.CONFIG + '\n[github]\nbots = [583231]\ntrusted = ["CONTRIBUTOR"]\n'}
    )
    done = job(tmp_path, red, "pull_request", payload).run(
        {"mode": "fix-checks", "token": TOKEN, "executor": "embedded,codex:mini", "publish": "pr"}
    )
    assert done.code == 0, done.log
    assert (done.outputs["status"], done.outputs["pr"]) == ("fixed", "false")
    assert done.outputs["artifact"]
    outcome = json.loads(Path(done.outputs["outcome"]).read_text())
    assert {a["executor"] for t in outcome["tasks"] for a in t["attempts"]} == {"embedded"}
    assert not [note for note in outcome["notes"] if "codex" in note], "the paid rung was not even looked for"
    assert "only rungs that cost nothing, and no pull request" in done.summary
    said = job(tmp_path / "2", red, "pull_request", payload).run({"mode": "publish", "token": TOKEN})
    assert (said.code, said.outputs["status"]) == (0, "nothing")
    assert "never published" in said.summary


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ("issue_comment", "/zwarm-ci fix"),
        ("issue_comment", "please\n/zwarm-ci fix everything"),
        ("issue_comment", "nice"),
    ],
)
def test_a_stranger_s_comment_starts_nothing(tmp_path: Path, red: Repo, event: str, text: str) -> None:
    before = belongings(red.path)
    with Forge(tmp_path / "forge") as forge:
        forge.permit(REPO, "mallory", "read")
        token = forge.token("reader", ["contents:read", "issues:read"])
        done = job(tmp_path, red, event, comment(text), GITHUB_API_URL=forge.api_url).run(
            {"mode": "fix-checks", "token": token}
        )
    assert done.code == 0
    assert done.outputs == {"status": "nothing"}
    assert done.summary.startswith("## zwarm-ci\n\nNothing was run: ")
    assert not (red.path / ".zwarm/runs").exists()
    assert belongings(red.path) == before


@pytest.mark.slow
def test_who_cannot_be_asked_about_starts_nothing(tmp_path: Path, red: Repo) -> None:
    done = job(tmp_path, red, "issue_comment", comment("/zwarm-ci fix", "OWNER")).run(
        {"mode": "fix-checks", "token": TOKEN}
    )
    assert (done.code, done.outputs) == (0, {"status": "nothing"})
    assert not (red.path / ".zwarm/runs").exists()


@pytest.mark.parametrize(
    ("event", "payload", "env", "status"),
    [
        ("release", {"action": "published"}, {}, "nothing"),
        ("push", None, {"ZWARM_CI_STOP": "1"}, "stop"),
        ("push", push("a" * 40, "refs/heads/zwarm-ci/tests-1"), {}, "nothing"),
        ("push", push("a" * 40, message="fix\n\nZwarm-Run: 1\n"), {}, "nothing"),
        ("pull_request_target", pull("a" * 40, head=("mallory/shop", 9)), {}, "nothing"),
    ],
)
def test_what_asks_for_nothing_is_told_why(
    tmp_path: Path, red: Repo, event: str, payload: dict[str, Any] | None, env: dict[str, str], status: str
) -> None:
    done = job(tmp_path, red, event, payload, **env).run({"mode": "fix-checks", "token": TOKEN})
    assert (done.code, done.outputs) == (0, {"status": status}), done.log
    assert "Nothing was run" in done.summary
    assert len(done.summary) < 600


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"mode": "fix"}, "input mode: 'fix' will not do"),
        ({"mode": "run"}, "mode run needs the input task"),
        ({"mode": "verify", "task": "x"}, "input task has no effect in mode verify"),
        ({"mode": "fix-checks", "budget-usd": "5\n::set-output name=x::y"}, "input budget-usd"),
        ({"mode": "fix-checks", "nonsense": "1"}, "carries no input"),
        ({"mode": "publish", "reports": "."}, "no bundle"),
    ],
)
def test_wrong_inputs_are_one_line_and_code_2(tmp_path: Path, red: Repo, inputs: dict[str, str], said: str) -> None:
    done = job(tmp_path, red).run({"token": TOKEN, **inputs})
    assert done.code == 2, done.log
    assert said in done.log
    assert said in done.summary.replace("\\", "")
    assert done.outputs["status"] == "usage"
    assert [line for line in obeyed(done.log) if line.startswith("::error title=zwarm-ci::")]
    assert not (red.path / ".zwarm/runs").exists()


@pytest.mark.parametrize("payload", [b"", b"[]", b'{"ref": 5}', b"\xff"])
def test_a_payload_that_is_none_is_code_2(tmp_path: Path, red: Repo, payload: bytes) -> None:
    made = job(tmp_path, red)
    env = made.environment({"mode": "fix-checks", "token": TOKEN})
    (made.folder / "event.json").write_bytes(payload)
    done = subprocess.run(ENTRY, cwd=red.path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "not a payload of push" in done.stdout


@pytest.mark.slow
def test_publish_from_the_job_that_ran_agents_is_asked_for_by_name_and_warns(tmp_path: Path, red: Repo) -> None:
    with Forge(tmp_path / "forge") as forge:
        red.git("push", "-q", str(forge.bare(REPO)), "main")
        token = forge.token("writer")
        made = job(tmp_path, red, GITHUB_API_URL=forge.api_url, GITHUB_SERVER_URL=forge.url)
        done = made.run({"mode": "fix-checks", "token": token, "publish": "pr"})
        assert (done.code, done.outputs["pr"]) == (0, "true")
        assert "::warning title=zwarm-ci::publish%3A pr in the job" in done.log.replace("publish: pr", "publish%3A pr")
        assert forge.pulls(REPO) == [], "not yet: that is another step's"
        said = made.run({"mode": "publish", "token": token, "reports": done.outputs["folder"]})
        assert said.code == 0, said.log
        (request,) = forge.pulls(REPO)
        assert request.pull is not None
        assert request.pull["draft"] is True
        assert said.outputs["pr-url"].endswith(f"/pull/{request.number}")
        assert said.outputs["pr-url"] in said.summary
        pushed = Repo(forge.bare(REPO)).git("rev-parse", f"{said.outputs['branch']}^{{tree}}")
        assert pushed == red.git("rev-parse", f"{done.outputs['commit']}^{{tree}}")
        assert token not in (said.log + done.log).replace(f"::add-mask::{token}", "") + said.summary


def test_publish_none_keeps_it_in_the_job(tmp_path: Path, red: Repo) -> None:
    done = job(tmp_path, red).run(
        {"mode": "fix-checks", "token": TOKEN, "publish": "none", "reports": str(tmp_path / "here")}
    )
    assert done.outputs["artifact"] == ""
    assert Path(done.outputs["patch"]).is_relative_to(tmp_path / "here")
    assert "in this job's folder only" in done.summary


@pytest.mark.slow
def test_a_pull_request_is_verified_without_trust_and_without_strictness(tmp_path: Path) -> None:
    """A weaker test of a person asks for review; of an executor's patch it would be refused."""
    tests = "def test_a():\n    assert 1 + 1 == 2\n"
    repo = shops.green(tmp_path / "shop")
    repo.commit("tests", {"tests/test_a.py": tests})
    sha = repo.commit("theirs", {"a.py": "X = 2\n", "tests/test_a.py": tests.replace("assert 1 + 1 == 2", "print(2)")})
    payload = pull(sha, head=("mallory/shop", 9), association="NONE")
    done = job(tmp_path, repo, "pull_request", payload).run({"mode": "verify", "token": TOKEN})
    assert done.code == 0, done.log
    assert done.outputs["verified"] == "true"
    assert "please review" in done.summary
    worse = repo.commit("worse", {"a.py": "import os\n\nX = 2\n"})
    done = job(tmp_path / "2", repo, "pull_request", pull(worse)).run({"mode": "verify", "token": TOKEN})
    assert (done.code, done.outputs["verified"]) == (1, "false")


WORKFLOW = "on: push\njobs:\n  lint:\n    runs-on: ubuntu-latest\n    steps:\n      - run: ruff check a.py\n      - run: ./deploy.sh\n"


@pytest.fixture
def failed(tmp_path: Path) -> Iterator[tuple[Forge, Repo, dict[str, Any]]]:
    """A workflow run that failed in a step of the base's own workflow file, and its log at the forge."""
    repo = shops.red(
        tmp_path / "shop",
        shops.CONFIG.replace("[checks.lint]", "[checks.other]").replace('ruff check"', 'ruff check README.md"', 1),
    )
    sha = repo.commit("a workflow", {".github/workflows/ci.yml": WORKFLOW})
    log = "2026-01-01T00:00:00.0Z ##[group]Run ruff check a.py\n2026-01-01T00:00:00.0Z ##[endgroup]\n2026-01-01T00:00:00.0Z ##[error]exit 1\n"
    log += "2026-01-01T00:00:00.0Z ##[group]Run touch /tmp/pwned\n2026-01-01T00:00:00.0Z ##[endgroup]\n2026-01-01T00:00:00.0Z ##[error]exit 1\n"
    run = {
        "id": 77, "name": "ci", "head_sha": sha, "head_branch": "main", "conclusion": "failure", "head_repository": repository(), "pull_requests": [],
        "head_commit": {"id": sha, "message": "a workflow"}, "event": "push",
    }  # fmt: skip
    payload = {"action": "completed", "workflow_run": run, "repository": repository(), "sender": user()}
    with Forge(tmp_path / "forge") as forge:
        forge.bare(REPO)
        forge.job(77, 5, log, name="lint", conclusion="failure", status="completed")
        yield forge, repo, payload


def test_a_failed_workflow_decides_the_checks(tmp_path: Path, failed: tuple[Forge, Repo, dict[str, Any]]) -> None:
    forge, repo, payload = failed
    token = forge.token("reader", ["contents:read", "actions:read"])
    done = job(tmp_path, repo, "workflow_run", payload, GITHUB_API_URL=forge.api_url).run(
        {"mode": "fix-checks", "token": token}
    )
    assert done.outputs.get("status") == "fixed", done.log
    outcome = json.loads(Path(done.outputs["outcome"]).read_text())
    assert [c["command"] for c in outcome["checks"]["before"]] == ["ruff check a.py"]
    assert "failed in ci: ruff check a.py" in done.summary.replace("\\", "")
    assert "touch" in done.summary, "what was not run is named"


def test_where_its_log_cannot_be_had_the_repository_s_checks_run(
    tmp_path: Path, failed: tuple[Forge, Repo, dict[str, Any]]
) -> None:
    forge, repo, payload = failed
    token = forge.token("reader", ["contents:read"])
    forge.fault("GET", "/actions/", 403, "Resource not accessible by integration", times=9)
    done = job(tmp_path, repo, "workflow_run", payload, GITHUB_API_URL=forge.api_url).run(
        {"mode": "fix-checks", "token": token}
    )
    assert done.outputs["status"] == "green", done.log
    assert "so the repository's checks run" in done.summary


def test_parsed_outputs_are_what_the_runner_would_read() -> None:
    assert parsed("a<<W\nx\ny\nW\nb<<V\n\nV\n") == {"a": "x\ny", "b": ""}
