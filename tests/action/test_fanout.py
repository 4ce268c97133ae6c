"""plan, work and collect as jobs of their own, which share nothing but artifacts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.action import shops
from tests.action.runner import Job, push
from tests.support import Repo

CHECKS = "".join(
    f'[checks.{name}]\nrun = "ruff check {name}.py"\nfix = "ruff check --fix {name}.py"\n\n' for name in "ab"
)
CONFIG = f"{CHECKS}[verify]\nburn_in = 1\nreruns = 1\n"


@pytest.mark.slow
def test_a_matrix_of_jobs_comes_to_the_same_branch(tmp_path: Path) -> None:
    repo = shops.red(tmp_path / "shop", CONFIG)
    sha = repo.commit("more", {"b.py": 'print(f"two")\n', "c.py": "Y = 1\n"})
    payload = push(sha)

    def clone(name: str) -> Job:
        repo.git("clone", "-q", "--no-local", str(repo.path), str(tmp_path / name))
        return Job(tmp_path / f"job-{name}", tmp_path / name, "push", payload)

    planned = clone("plan").run({"mode": "plan", "reports": str(tmp_path / "plan-reports")})
    assert planned.code == 0, planned.log
    assert planned.outputs["status"] == "planned"
    assert planned.outputs["artifact"] == "zwarm-ci-plan"
    matrix = json.loads(planned.outputs["matrix"])
    jobs = [entry["job"] for entry in matrix["include"]]
    assert len(jobs) == 2
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "plan").symlink_to(planned.outputs["folder"])
    for number in jobs:
        worked = clone(f"work-{number}").run({"mode": "work", "task": number, "reports": str(shared)})
        assert worked.code == 0, worked.log
        assert worked.outputs["artifact"] == f"zwarm-ci-work-{number}"
        assert (Path(worked.outputs["folder"]) / number).is_dir()
    done = clone("collect").run({"mode": "collect", "reports": str(shared)})
    assert done.code == 0, done.log
    assert (done.outputs["status"], done.outputs["fixed"]) == ("fixed", "2")
    assert "gh run download" in done.summary
    collected = Repo(tmp_path / "collect")
    assert collected.files(done.outputs["commit"]) | {".zwarm/config.toml": ""} == {
        ".zwarm/config.toml": "", "README.md": "shop", "a.py": "\nX = 1", "b.py": 'print("two")', "c.py": "Y = 1",
    }  # fmt: skip


def test_a_green_plan_is_an_empty_matrix(tmp_path: Path) -> None:
    repo = shops.green(tmp_path / "shop")
    done = Job(tmp_path / "job", repo.path, "push", push(repo.git("rev-parse", "HEAD"))).run({"mode": "plan"})
    assert done.code == 0, done.log
    assert (done.outputs["status"], json.loads(done.outputs["matrix"])) == ("green", {"include": []})
