"""The workflow that `init` writes: the example, for this repository; valid, linted, pinned as the example is."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from tests.support import Repo
from zwarm_ci.git import open_repository
from zwarm_ci.init import workflow
from zwarm_ci.task import Check

ROOT = Path(__file__).parents[2]
TESTS = Check("tests", "python -m pytest", "pytest")
LINT = Check("lint", "ruff check", "ruff")
_PYPROJECT = '[project]\nname = "p"\nversion = "1"\n'
LAYOUTS: dict[str, tuple[Mapping[str, str], Sequence[Check], tuple[str, ...]]] = {
    "bare python": ({"test_a.py": ""}, [TESTS], ("python -m venv .venv", "pip install pytest", "GITHUB_PATH")),
    "pip": (
        {"pyproject.toml": _PYPROJECT},
        [TESTS, LINT],
        (".venv/bin/python -m pip install -e .", "mode: fix-checks"),
    ),
    "uv": (
        {"pyproject.toml": _PYPROJECT, "uv.lock": ""},
        [TESTS],
        ("pip install uv", "uv sync --frozen", "mode: fix-tests"),
    ),
    "conda": ({"environment.yml": "dependencies: [python]\n"}, [TESTS], ('"$CONDA/bin/conda" env create', ".venv")),
    "npm": ({"package.json": "{}", "package-lock.json": "{}"}, [Check("tests", "npm test", "junit")], ("npm ci",)),
    "go": (
        {"go.mod": "module m\n"},
        [Check("tests", "go test ./...", "go", "sub dir")],
        ('working-directory: "sub dir"',),
    ),
}


def tool(name: str, *args: str | Path) -> None:
    done = subprocess.run([Path(sys.executable).with_name(name), *args], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def made(repo: Repo, checks: Sequence[Check], ladder: tuple[str, ...] = (), system: str = "github") -> str:
    steps, left = workflow.plan(open_repository(repo.path), system, checks, ladder)
    assert left == []
    (step,) = steps
    return step.after.decode()


@pytest.mark.parametrize(
    ("ours", "example"), [("github", "github/self-healing.yml"), ("gitlab", "gitlab/.gitlab-ci.yml")]
)
def test_the_texts_are_those_of_the_examples(ours: str, example: str) -> None:
    assert (files("zwarm_ci.init") / f"{ours}.yml").read_bytes() == (ROOT / "examples" / example).read_bytes()


@pytest.mark.parametrize("name", LAYOUTS)
def test_each_language_gets_its_own_steps(tmp_path: Path, name: str) -> None:
    content, checks, wanted = LAYOUTS[name]
    text = made(Repo.make(tmp_path / "r", content), checks)
    assert [part for part in wanted if part not in text] == []
    steps = yaml.safe_load(text)["jobs"]["tests"]["steps"]
    assert [s["name"] for s in steps][-1 - len(checks) :] == [*(f"Check {c.name}" for c in checks), "Repair"]
    assert [s["run"].strip() for s in steps if s["name"].startswith("Check ") and "run" in s] == [c.run for c in checks]
    assert ("setup-python" in text) == (name in {"bare python", "pip", "uv"})
    assert ".venv" in text or name in {"npm", "go"}


def test_what_is_written_is_valid_linted_and_pinned(tmp_path: Path) -> None:
    found = []
    for name, (content, checks, _) in LAYOUTS.items():
        file = tmp_path / f"{name.replace(' ', '-')}.yml"
        file.write_text(made(Repo.make(tmp_path / file.stem, content), checks, ("embedded", "codex:mini", "claude")))
        found.append(file)
    tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *found)
    tool("actionlint", "-no-color", *found)
    tool("zizmor", "--offline", "--strict-collection", "--persona", "pedantic", *found)
    for file in found:
        uses = re.findall(r"uses: *(.+)", file.read_text())
        assert len(uses) >= 2
        assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use) for use in uses), uses


def test_its_name_is_its_own_so_that_no_other_workflow_is_cancelled(tmp_path: Path) -> None:
    text = made(Repo.make(tmp_path / "r", {"test_a.py": ""}), [TESTS])
    assert yaml.safe_load(text)["name"] == "zwarm-ci"


@pytest.mark.parametrize("branch", ["trunk", "a'b", "1.0", "x/y"])
def test_the_branch_is_the_repositorys(tmp_path: Path, branch: str) -> None:
    text = made(Repo.make(tmp_path / "r", {"test_a.py": ""}, branch=branch), [TESTS])
    assert yaml.safe_load(text)[True]["push"]["branches"] == [branch]


def test_names_and_folders_are_read_as_they_are(tmp_path: Path) -> None:
    odd = Check("a: b #c", "pytest 'x: y' # z", "pytest", 'dir "ü" # x')
    step = yaml.safe_load(made(Repo.make(tmp_path / "r", {"a": ""}), [odd]))["jobs"]["tests"]["steps"][-2]
    assert step == {"name": f"Check {odd.name}", "working-directory": odd.workdir, "run": f"{odd.run}\n"}


def test_the_ladders_keys_are_asked_for_and_no_others(tmp_path: Path) -> None:
    repo = Repo.make(tmp_path / "r", {"test_a.py": ""})
    repair = yaml.safe_load(made(repo, [TESTS], ("embedded", "claude:sonnet")))["jobs"]["tests"]["steps"][-1]
    assert repair["env"] == {"ANTHROPIC_API_KEY": "${{ secrets.ANTHROPIC_API_KEY }}"}
    assert "env" not in yaml.safe_load(made(repo, [TESTS], ("embedded",)))["jobs"]["tests"]["steps"][-1]


def test_gitlab_gets_a_pipeline(tmp_path: Path) -> None:
    text = made(Repo.make(tmp_path / "r", {"pyproject.toml": _PYPROJECT}), [TESTS, LINT], system="gitlab")
    file = tmp_path / ".gitlab-ci.yml"
    file.write_text(text)
    tool("check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci", file)
    jobs = yaml.safe_load(text)
    assert jobs["tests"]["script"][-2:] == ["python -m pytest", "ruff check"]
    assert "pip install uv" in jobs["repair"]["before_script"]
    assert any("zwarm-ci fix-checks" in line for line in jobs["repair"]["script"])


@pytest.mark.parametrize(
    ("theirs", "before"),
    [
        ("# ours\ntests: {script: [make]}\n", []),
        ("tests: {script: [make]}", []),
        ("include:\n- template: x.yml # theirs\ntests: {script: [make]}\n", [{"template": "x.yml"}]),
    ],
)
def test_somebodys_pipeline_includes_our_job(tmp_path: Path, theirs: str, before: list[object]) -> None:
    repo = Repo.make(tmp_path / "r", {workflow.GITLAB: theirs})
    user = open_repository(repo.path)
    (part, whole), left = workflow.plan(user, "gitlab", [TESTS, LINT], ())
    assert left == []
    (tmp_path / "part.yml").write_bytes(part.after)
    tool(
        "check-jsonschema",
        "--builtin-schema",
        "vendor.gitlab-ci",
        "--data-transform",
        "gitlab-ci",
        tmp_path / "part.yml",
    )
    job = yaml.safe_load(part.after)["zwarm-ci"]
    assert (job["stage"], job["when"], job["image"]) == (".post", "on_failure", "python:3.13")
    assert any("zwarm-ci fix-checks" in line for line in job["script"])
    said = yaml.safe_load(whole.after)
    assert said == {**yaml.safe_load(theirs), "include": [*before, {"local": workflow.PART}]}
    assert whole.after.replace(whole.inserted, b"", 1).decode() == theirs
    repo.write({workflow.GITLAB: whole.after, workflow.PART: part.after})
    assert workflow.plan(user, "gitlab", [TESTS, LINT], ()) == ([], [])


@pytest.mark.parametrize(
    ("content", "checks", "system", "why"),
    [
        ({"a": ""}, [], "github", "no check was found"),
        ({"a": ""}, [Check("tests", "pytest ${{ github.token }}", "pytest")], "github", "does not go into a workflow"),
        ({"a": ""}, [Check("tests", "pytest\nrm x", "pytest")], "github", "does not go into a workflow"),
        ({"a": ""}, [Check("a\n- x", "pytest", "pytest")], "github", "does not go into a workflow"),
        (
            {"pyproject.toml": '[dependency-groups]\ntest = ["pytest", "x; ${{ y }}"]\n'},
            [TESTS],
            "github",
            "does not go into a workflow",
        ),
        ({workflow.GITHUB: "on: push\n"}, [TESTS], "github", "is there already"),
        ({workflow.GITLAB: "a: {script: [!reference [b, c]]}\n"}, [TESTS], "gitlab", "cannot be added to safely"),
        ({workflow.GITLAB: "include: a.yml\n"}, [TESTS], "gitlab", "cannot be added to safely"),
        ({workflow.GITLAB: b"a: {script: [\xff]}\n"}, [TESTS], "gitlab", "cannot be added to safely"),
        ({workflow.GITLAB: "a: {script: [a]}\n", workflow.PART: ""}, [TESTS], "gitlab", "cannot be added to safely"),
        ({"package.json": "{}"}, [Check("tests", "npm test", "junit")], "gitlab", "Python alone"),
    ],
)
def test_what_cannot_be_written_safely_is_left_in_words(
    tmp_path: Path, content: Mapping[str, str | bytes], checks: Sequence[Check], system: str, why: str
) -> None:
    repo = Repo.make(tmp_path / "r", {"first": ""})
    repo.write(content)
    steps, (left,) = workflow.plan(open_repository(repo.path), system, checks, ())
    assert steps == []
    assert why in left


def test_a_link_out_of_the_repository_is_not_followed(tmp_path: Path) -> None:
    repo = Repo.make(tmp_path / "r", {"test_a.py": ""})
    (tmp_path / "outside").mkdir()
    (repo.path / ".github").symlink_to(tmp_path / "outside")
    steps, (left,) = workflow.plan(open_repository(repo.path), "github", [TESTS], ())
    assert steps == []
    assert "leads out of the repository" in left


def test_what_somebody_made_of_it_is_in_place(tmp_path: Path) -> None:
    repo = Repo.make(tmp_path / "r", {"test_a.py": ""})
    repo.write({workflow.GITHUB: made(repo, [TESTS]).replace("minutes: 20", "minutes: 5")})
    assert workflow.plan(open_repository(repo.path), "github", [TESTS], ()) == ([], [])
