"""action.yml, the workflows to copy and our own: valid, linted, pinned, and with no more rights than they need."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.action.act import EXAMPLES, ROOT, STUBS, used

OWN = sorted((ROOT / ".github/workflows").glob("*.yml"))
COPIES = sorted(EXAMPLES.glob("*.yml"))
GITLAB = ROOT / "examples/gitlab/.gitlab-ci.yml"
WORKFLOWS = [*OWN, *COPIES]
ACTION = ROOT / "action.yml"
_WRITES = re.compile(r"\bwrite\b")


def tool(name: str, *args: str | Path) -> str:
    """A tool of the development environment; fails with what it said."""
    done = subprocess.run(
        [Path(sys.executable).with_name(name), *args], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def jobs(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))["jobs"]
    return found


def test_there_are_the_workflows_that_people_ask_for() -> None:
    wanted = {"self-healing", "two-jobs", "issue-to-pr", "sweep", "fan-out", "verify"}
    assert wanted <= {file.stem for file in COPIES}
    assert {"ci", "self"} <= {file.stem for file in OWN}


def test_they_have_the_shape_that_github_and_gitlab_read() -> None:
    tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)
    tool("check-jsonschema", "--builtin-schema", "vendor.github-actions", ACTION, *STUBS.glob("*/action.yml"))
    tool("check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci", GITLAB)


def test_actionlint_finds_nothing() -> None:
    tool("actionlint", "-no-color", *WORKFLOWS)


def test_zizmor_finds_nothing() -> None:
    tool("zizmor", "--offline", "--strict-collection", "--persona", "pedantic", ACTION, *WORKFLOWS)


@pytest.mark.parametrize(
    "bad",
    [
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n      - run: echo ${{ github.event.issue.title }}\n",
        "on: pull_request_target\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n      - uses: actions/checkout@v4\n",
    ],
)
def test_zizmor_would_find_something(tmp_path: Path, bad: str) -> None:
    (tmp_path / "bad.yml").write_text(bad)
    with pytest.raises(AssertionError):
        tool("zizmor", "--offline", "--strict-collection", tmp_path / "bad.yml")


@pytest.mark.parametrize("file", [ACTION, *WORKFLOWS], ids=lambda f: f.name)
def test_every_action_is_pinned_by_its_commit_with_its_version_beside_it(file: Path) -> None:
    for line in file.read_text(encoding="utf-8").splitlines():
        if (found := re.search(r"uses:\s*(\S+)", line)) and found[1] != "./":
            assert re.search(r"@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


def test_one_action_has_one_commit_everywhere() -> None:
    seen = {name for file in (ACTION, *WORKFLOWS) for name in used(file) if name != "./"}
    assert len(seen) == len({name.partition("@")[0] for name in seen}), seen


@pytest.mark.parametrize("file", COPIES, ids=lambda f: f.name)
def test_no_job_has_both_a_writing_token_and_the_code(file: Path) -> None:
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert document["permissions"] == {}
    assert "concurrency" in document
    for name, job in jobs(file).items():
        steps = job["steps"]
        writes = any(_WRITES.search(str(right)) for right in job["permissions"].values())
        checks_out = [s for s in steps if s.get("uses", "").startswith("actions/checkout@")]
        assert job["timeout-minutes"] <= 120, name
        assert not (writes and checks_out), f"{name} writes and has the code"
        assert all(step["with"]["persist-credentials"] is False for step in checks_out)
        for step in steps:
            if step.get("uses", "").startswith("zwarm-ci/"):
                assert (step["with"]["mode"] == "publish") == writes, f"{name}: only publish writes"
                assert step["with"].get("publish", "bundle") == "bundle"


def test_what_the_examples_give_is_what_the_action_takes() -> None:
    known = set(yaml.safe_load(ACTION.read_text(encoding="utf-8"))["inputs"])
    for file in WORKFLOWS:
        for job in jobs(file).values():
            for step in job["steps"]:
                if step.get("uses", "").startswith(("zwarm-ci/", "./")):
                    assert set(step.get("with", {})) <= known, file.name
