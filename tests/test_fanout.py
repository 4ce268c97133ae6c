"""`plan`, `work` and `collect` where something is not as usual: bases, settings, machines, signals."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests import fanned
from tests.support import Repo, belongings
from tests.test_environment import make_venv
from zwarm_ci.config import Settings
from zwarm_ci.fanout import result, sheet
from zwarm_ci.fanout.work import _own_share


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return fanned.make(tmp_path / "repo", 1)


def test_uncommitted_work_travels_in_a_bundle_and_is_where_the_branch_begins(repo: Repo, tmp_path: Path) -> None:
    repo.write({"notes.txt": "a thought\n"})
    mine = belongings(repo.path)
    planned = fanned.plan(repo, tmp_path / "plan")
    assert planned.code == 0, planned.err
    assert belongings(repo.path) == mine
    made = sheet.read(tmp_path / "plan")
    assert made.base != made.head == repo.git("rev-parse", "HEAD")

    there = fanned.clone(repo, tmp_path / "there")
    said = fanned.work(there, tmp_path / "plan", "001", tmp_path / "work")
    assert (said.code, said.json["base"]) == (0, made.base), said.err
    got = fanned.collect(there, tmp_path / "plan", tmp_path / "work")
    assert got.code == 0, got.err
    assert (got.json["source_head"], got.json["base"]) == (made.head, made.base)
    assert there.git("show", f"{got.json['head']}~1:notes.txt") == "a thought"
    assert there.git("rev-parse", f"{got.json['head']}~2") == made.head
    there.git("fsck", "--strict")

    stranger = fanned.make(tmp_path / "stranger", 2)
    odd = fanned.work(stranger, tmp_path / "plan", "001", tmp_path / "other")
    assert (odd.code, "on which the plan's snapshot stands" in odd.err) == (4, True)
    (tmp_path / "plan" / sheet.BUNDLE).write_bytes(b"something else")
    odd = fanned.work(fanned.clone(repo, tmp_path / "third"), tmp_path / "plan", "001", tmp_path / "other")
    assert (odd.code, "is not the one that was planned with" in odd.err) == (2, True)


def test_a_clone_without_the_base_is_told_how_to_get_it(repo: Repo, tmp_path: Path) -> None:
    assert fanned.plan(repo, tmp_path / "plan").code == 0
    other = fanned.make(tmp_path / "other", 2)
    for said in (
        fanned.work(other, tmp_path / "plan", "001", tmp_path / "work"),
        fanned.collect(other, tmp_path / "plan", tmp_path / "work"),
    ):
        assert said.code == 4
        assert len(said.err.splitlines()) == 1
        assert "fetch-depth: 0" in said.err
    assert list((tmp_path / "work").iterdir()) == [], "what was begun is taken back"


def test_less_history_than_the_plan_had_is_said(repo: Repo, tmp_path: Path) -> None:
    assert fanned.plan(repo, tmp_path / "plan").code == 0
    repo.git("clone", "-q", "--depth", "1", repo.path.as_uri(), str(tmp_path / "shallow"))
    said = fanned.work(Repo(tmp_path / "shallow"), tmp_path / "plan", "001", tmp_path / "work")
    assert said.json["tasks"][0]["method"] != "revert", said.err
    assert any("less history" in note for note in said.json["notes"])


def test_other_settings_are_refused_by_their_key(repo: Repo, tmp_path: Path) -> None:
    (tmp_path / "more.toml").write_text("[verify]\nmax_files = 7\n")
    planned = fanned.plan(repo, tmp_path / "plan", "--config", str(tmp_path / "more.toml"), "--set", "loop.turns=2")
    assert planned.code == 0, planned.err
    (tmp_path / "more.toml").unlink()  # its text travels
    said = fanned.work(repo, tmp_path / "plan", "001", tmp_path / "work", ZWARM_CI_VERIFY__MAX_LINES="77")
    assert said.code == 2, said.err
    assert "verify.max_lines is not what it was where the plan was made" in said.err
    assert fanned.work(repo, tmp_path / "plan", "001", tmp_path / "work").code == 0
    told = fanned.work(repo, tmp_path / "plan", "001", tmp_path / "work")
    assert (told.code, "is there already" in told.err) == (2, True)
    told = fanned.work(repo, tmp_path / "plan", "002", tmp_path / "work")
    assert (told.code, "no job is called '002'" in told.err) == (2, True)


def test_on_other_ground_the_checks_before_run_again(repo: Repo, tmp_path: Path) -> None:
    assert fanned.plan(repo, tmp_path / "plan").code == 0
    site = make_venv(tmp_path / "elsewhere", name="env")
    (site / "more-1.0.dist-info").mkdir()
    said = fanned.work(
        repo, tmp_path / "plan", "001", tmp_path / "work", VIRTUAL_ENV=str(tmp_path / "elsewhere" / "env")
    )
    assert said.code == 0, said.err
    assert any(
        note.startswith("the checks before ran again here") and "packages of tests" in note
        for note in said.json["notes"]
    )
    same = fanned.work(repo, tmp_path / "plan", "001", tmp_path / "same")
    assert not any("ran again" in note for note in same.json["notes"])
    assert same.json["suite_runs"] < said.json["suite_runs"]


def test_a_stop_hands_in_what_there_is_and_names_its_job(repo: Repo, tmp_path: Path) -> None:
    assert fanned.plan(repo, tmp_path / "plan").code == 0
    there = fanned.clone(repo, tmp_path / "there")
    child = subprocess.Popen(
        [sys.executable, "-m", "zwarm_ci", "work", "--plan", str(tmp_path / "plan"), "--job", "001", "--out", str(tmp_path / "work"), "-v"],
        cwd=there.path, env=dict(os.environ), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stderr is not None
    for line in child.stderr:
        if "turn 1" in line:
            child.send_signal(signal.SIGTERM)
            break
    child.communicate(timeout=60)
    assert child.returncode == 143
    got = fanned.collect(there, tmp_path / "plan", tmp_path / "work")
    assert (got.code, got.json["tasks"][0]["status"]) == (1, "interrupted"), got.err
    assert got.json["tasks"][0]["reason"].startswith("job 001: ")


def test_what_was_spent_elsewhere_is_added_up(repo: Repo, tmp_path: Path) -> None:
    assert fanned.plan(repo, tmp_path / "plan").code == 0
    said = fanned.work(repo, tmp_path / "plan", "001", tmp_path / "work")
    used = {
        "input_tokens": 7,
        "cache_read_tokens": 5,
        "cache_write_tokens": 3,
        "output_tokens": 2,
        "reasoning_tokens": 1,
    }

    def paid(document: dict[str, object]) -> None:
        task = document["tasks"][0]  # type: ignore[index] # JSON
        task["cost_usd"] = task["attempts"][0]["cost_usd"] = 12.5
        task["attempts"][0]["usage"] = used

    folder = tmp_path / "work" / "001"
    fanned.changed(folder, "outcome.json", paid)
    files = json.loads((folder / result.FILE).read_text())
    files["files"]["outcome.json"] = hashlib.sha256((folder / "outcome.json").read_bytes()).hexdigest()
    (folder / result.FILE).write_text(json.dumps(files))
    got = fanned.collect(repo, tmp_path / "plan", tmp_path / "work", args=("--reports", str(tmp_path / "reports")))
    made = sheet.read(tmp_path / "plan")
    assert got.code == 0, got.err
    assert (got.json["cost_usd"], got.json["usage"]) == (12.5, used)
    assert got.json["suite_runs"] > made.suite_runs + said.json["suite_runs"]
    assert got.json["seconds"]["checks"] > made.checking + said.json["seconds"]["checks"]
    assert got.json["seconds"]["wall"] > made.wall + said.json["seconds"]["wall"]
    assert any(note.startswith("job 001 cost $12.50, its share was $3.00") for note in got.json["notes"])
    assert json.loads((tmp_path / "reports" / "outcome.json").read_text()) == got.json


def test_lint_fans_out_too(tmp_path: Path) -> None:
    files = {"a.py": "import os\nimport sys\n\nprint(1)\n", "pyproject.toml": "[project]\nname = 'x'\nversion = '1'\n"}
    repo = Repo.make(tmp_path / "repo", files)
    planned = fanned.plan(
        repo, tmp_path / "plan", "--for", "fix-checks", "--check", "ruff check .", "--branch", "zw/lint"
    )
    assert planned.code == 0, planned.err
    there = fanned.clone(repo, tmp_path / "there")
    assert fanned.work(there, tmp_path / "plan", "001", tmp_path / "work").code == 0
    got = fanned.collect(there, tmp_path / "plan", tmp_path / "work")
    assert (got.code, got.json["command"], got.json["tasks"][0]["method"]) == (0, "fix-checks", "fixer"), got.err
    assert there.git("show", "zw/lint:a.py") == "\nprint(1)"


def test_a_folder_that_cannot_be_written_is_found_before_the_work(repo: Repo, tmp_path: Path) -> None:
    assert fanned.plan(repo, tmp_path / "plan").code == 0
    (tmp_path / "file").write_text("")
    said = fanned.work(repo, tmp_path / "plan", "001", tmp_path / "file" / "work")
    assert (said.code, "cannot be written" in said.err) == (2, True), said.err
    assert not (repo.path / ".zwarm" / "runs").exists()


def test_settings_of_a_run_are_not_given_to_its_jobs(repo: Repo, tmp_path: Path) -> None:
    from tests.support import zwarm

    for command in (["work", "--job", "001", "--out", "x"], ["collect"]):
        said = zwarm(*command, "--plan", str(tmp_path), "--set", "budget.usd=1000", cwd=repo.path)
        assert (said.code, "the settings are the plan's" in said.err) == (2, True)


def test_a_job_may_spend_the_share_of_its_tasks_and_no_more() -> None:
    from tests.test_fanout_plan import planned

    plan = planned()
    changed = _own_share(plan, plan.jobs[0], Settings()).budget
    assert (changed.usd, changed.task_usd) == (1.0, 0.5)
    assert replace(changed, usd=10.0, task_usd=3.0) == Settings().budget
