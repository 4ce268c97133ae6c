"""From a failing job to checks: only what the base's workflow files say, only what is simple and checks something."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support import Repo
from zwarm_ci.config import parse
from zwarm_ci.git import Git
from zwarm_ci.github import logs, workflows
from zwarm_ci.task import Check

PATH = ".github/workflows/ci.yml"
CI = """\
name: CI
on: [push]
env:
  DJANGO_SETTINGS_MODULE: shop.settings
  FORCE_COLOR: "1"
  API_TOKEN: ${{ secrets.API_TOKEN }}
defaults:
  run:
    working-directory: shop
jobs:
  test:
    name: Unit tests
    runs-on: ubuntu-latest
    strategy:
      matrix: {python: ["3.11", "3.12"]}
    steps:
      - uses: actions/checkout@v4
      - name: Install
        run: |
          pip install -e .
          pip install pytest
      - name: Run the tests
        timeout-minutes: 5
        run: |
          set -euo pipefail
          # all of them
          python -m pytest -q \\
            tests
      - run: ruff check .
        working-directory: .
      - name: Matrix
        run: pytest --python ${{ matrix.python }}
      - name: Deploy
        run: make deploy
      - name: With a secret
        env: {KEY: "${{ secrets.KEY }}"}
        run: pytest tests/live
  windows:
    runs-on: windows-latest
    steps:
      - name: Run the tests
        run: pytest
"""


def group(title: str, script: Sequence[str], *printed: str, code: int = 0) -> str:
    """A step as it stands in a log of GitHub."""
    lines = [f"##[group]Run {title}", *(f"\x1b[36;1m{text}\x1b[0m" for text in script), "shell: /usr/bin/bash -e {0}"]
    lines += ["env:", "  A: b", "##[endgroup]", *printed]
    lines += [f"##[error]Process completed with exit code {code}."] if code else []
    return "".join(f"2026-01-01T12:00:00.1234567Z {text}\n" for text in lines)


LOG = "\ufeff2026-01-01T12:00:00.0Z Current runner version: '2.300.0'\n" + group(
    "pip install -e .", ["pip install -e .", "pip install pytest"], "Collecting"
) + group("ruff check .", ["ruff check ."], "shop/a.py:1:8: F401 unused", code=1)  # fmt: skip


def find(workflow: str, *steps: str, log: str = "", known: Sequence[Check] = (), **job: Any) -> logs.Found:
    said = {"steps": [{"name": name, "conclusion": "failure"} for name in steps], **job} if steps or job else {}
    return logs.find(log, said, {PATH: workflow.encode()}, known)


def one(run: str, extra: str = "") -> str:
    """A workflow of one step."""
    return f"name: CI\njobs:\n  test:\n    runs-on: ubuntu-latest\n    steps:\n      - name: it\n        run: {run}\n{extra}"


# ----------------------------------------------------------------------------------------------------------- what is taken


def test_the_failed_steps_of_a_job_become_checks() -> None:
    found = find(CI, "Run the tests", "Run ruff check .", name="Unit tests (3.12)", workflow_name="CI")
    tests, lint = found.checks
    assert (tests.name, tests.kind, tests.workdir, tests.timeout) == ("pytest", "pytest", "shop", 300)
    assert tests.run == "DJANGO_SETTINGS_MODULE=shop.settings python -m pytest -q tests"
    assert (lint.name, lint.kind, lint.workdir, lint.timeout) == ("ruff", "ruff", ".", 900)
    assert PATH in tests.why
    assert any("run without API_TOKEN" in note and "secrets.API_TOKEN" in note for note in found.notes)


def test_a_log_alone_names_a_step_by_its_script() -> None:
    found = find(CI, log=LOG)
    assert [c.run for c in found.checks] == ["DJANGO_SETTINGS_MODULE=shop.settings ruff check ."]
    assert found.excerpt == "shop/a.py:1:8: F401 unused\nProcess completed with exit code 1."
    long = group(
        "set -euo pipefail", ["set -euo pipefail", "# all of them", "python -m pytest -q \\", "  tests"], code=1
    )
    assert [c.kind for c in find(CI, log=long).checks] == ["pytest"]


def test_the_steps_of_a_log() -> None:
    steps = logs.steps_in(LOG)
    assert [(s.title, s.failed) for s in steps] == [("Run pip install -e .", False), ("Run ruff check .", True)]
    assert steps[0].script == ("pip install -e .", "pip install pytest")
    assert steps[0].printed == ("Collecting",)
    assert logs.steps_in("") == logs.steps_in("no log at all") == ()


def test_a_job_is_found_by_key_name_matrix_or_caller() -> None:
    for name in ("Unit tests", "test", "Unit tests (3.12)", "test (3.12, ubuntu-latest)", "Main / Unit tests (3.11)"):
        assert len(find(CI, "Run the tests", name=name).checks) == 1, name
    assert find(CI, "Run the tests", name="other").checks == ()
    computed = CI.replace("name: Unit tests", "name: Py ${{ matrix.python }}")
    assert len(find(computed, "Run the tests", name="Py 3.12", labels=["ubuntu-latest"]).checks) == 1


def test_the_workflow_that_is_named_counts() -> None:
    files = {PATH: one("pytest a").encode(), ".github/workflows/b.yml": one("pytest b").replace("CI", "Other").encode()}
    job = {"steps": [{"name": "it", "conclusion": "failure"}], "name": "test"}
    assert [c.run for c in logs.find("", {**job, "workflow_name": "Other"}, files).checks] == ["pytest b"]
    assert [c.run for c in logs.find("", job, files).checks] == ["pytest b", "pytest a"], "in the order of the files"
    assert [c.name for c in logs.find("", job, files).checks] == ["pytest", "pytest2"]


def test_a_configured_check_is_taken_as_it_is() -> None:
    mine = Check("unit", "python -m pytest -q tests", "pytest", workdir="shop", setup="make env", timeout=60)
    found = find(CI, "Run the tests", "Run ruff check .", known=[mine, Check("ruff", "ruff format", "generic")])
    assert found.checks[0] is mine
    assert found.checks[1].name == "ruff2"


GOOD = {
    "pytest -q": "pytest",
    "python -m pytest": "pytest",
    "uv run pytest tests": "pytest",
    "PYTHONPATH=src python -m unittest": "junit",
    "npm test": "junit",
    "npx jest --ci": "junit",
    "go test ./...": "go",
    "cargo test --workspace": "cargo",
    "mypy src": "mypy",
    "ruff check --output-format=github .": "ruff",
    "npm run lint": "generic",
    "make test": "generic",
    "make -C sub check": "generic",
    "cargo clippy -- -D warnings": "generic",
    "go vet ./...": "generic",
    "go build ./...": "generic",
    "black --check .": "generic",
    "flake8": "generic",
    "./scripts/test.sh": "generic",
    "python manage.py test": "junit",
    "coverage run -m pytest": "generic",
    "tox -e lint": "generic",
    "'pytest -k \"a and not b\"'": "pytest",
    "pytest 'tests/test_a.py::test_b[1*2]'": "pytest",
}


@pytest.mark.parametrize("run", GOOD)
def test_simple_commands_that_check_are_taken(run: str) -> None:
    found = find(one(run), "it")
    assert [c.kind for c in found.checks] == [GOOD[run]], found.notes
    assert found.notes == ()


# ----------------------------------------------------------------------------------------------------------- what is left out

LEFT_OUT = {
    "pytest | tee log": "needs a shell for '|'",
    "pytest && make deploy": "needs a shell for '&&'",
    "pytest; rm -rf /": "needs a shell for ';'",
    "pytest > log": "needs a shell for '>'",
    "pytest $(cat args)": "needs a shell for '$('",
    "pytest `cat args`": "needs a shell for '`'",
    "pytest $ARGS": "needs a shell for '$'",
    "pytest & ": "needs a shell for '&'",
    "(pytest)": "needs a shell for '('",
    "pytest tests/*.py": "needs a shell for '*'",
    "pytest ~/x": "needs a shell for '~'",
    "pytest tests/{a,b}": "needs a shell for '{'",
    '"pytest \'a"': "No closing quotation",
    "pytest ${{ matrix.args }}": "needs the matrix's matrix.args",
    "pytest --key ${{ secrets.KEY }}": "needs the secret secrets.KEY",
    "pytest ${{ github.event.issue.title }}": "needs `github.event.issue.title`",
    "'echo ${{ github.token }}'": "needs the secret github.token",
    "make deploy": "it may deploy something",
    "npm run release:test": "it may release something",
    "twine upload dist": "twine is not known to check anything",
    "docker build .": "docker is not known to check",
    "bash test.sh": "bash is not known to check",
    "curl https://example.org/test": "curl is not known to check",
    "sudo make test": "sudo is not known to check",
    "pip install pytest": "pip is not known to check",
    "touch /tmp/test/x": "touch is not known to check",
    "python /tmp/test.py": "nothing says that it checks",
    "poetry install --with test": "it may install something",
    "npm ci": "nothing says that it checks",
    "./run.sh": "nothing says that it checks",
    "python -c print": "nothing says that it checks",
    "cd sub": "is the shell's own",
    "test -f x": "is the shell's own",
    "exit 1": "is the shell's own",
    "'true'": "is the shell's own",
}


@pytest.mark.parametrize("run", LEFT_OUT)
def test_what_is_more_than_a_simple_check_is_not_run_and_said(run: str) -> None:
    found = find(one(run), "it")
    assert found.checks == ()
    assert any(LEFT_OUT[run] in note and PATH in note for note in found.notes), found.notes


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("cd sub\npytest", "is the shell's own, so what follows depends on it"),
        ("export A=b\npytest", "is the shell's own"),
        ("if true\nthen\npytest\nfi", "is the shell's own"),
        ("pytest\npytest | cat", "needs a shell"),
        ("source venv/bin/activate\npytest", "is the shell's own"),
        ("cat <<EOF\npytest\nEOF", "needs a shell"),
    ],
)
def test_a_script_with_more_than_commands_is_left_out_as_a_whole(script: str, said: str) -> None:
    text = "|\n" + "".join(f"          {row}\n" for row in script.split("\n"))
    found = find(one(text), "it")
    assert found.checks == ()
    assert any(said in note for note in found.notes), found.notes


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ("        shell: pwsh\n", "its shell is pwsh"),
        ("        working-directory: ../x\n", "its working-directory is ../x"),
        ("        working-directory: /etc\n", "its working-directory is /etc"),
        ("        working-directory: ${{ matrix.dir }}\n", "its working-directory is"),
        ("        env: {K: '${{ secrets.K }}'}\n", "it needs the secret secrets.K as K"),
        ("        env: {K: '${{ matrix.k }}'}\n", "it needs the matrix's matrix.k as K"),
    ],
)
def test_what_the_step_needs_is_said(extra: str, said: str) -> None:
    found = find(one("pytest", extra), "it")
    assert found.checks == ()
    assert any(said in note for note in found.notes), found.notes


def test_other_systems_actions_and_unknown_steps_are_said() -> None:
    found = find(CI, "Run the tests", name="windows", labels=["windows-latest"])
    assert "it ran on windows, and this is Linux" in found.notes[0]
    assert "it ran on macos" in find(one("pytest"), "it", labels=["macos-14"]).notes[0]
    assert "actions are not run here" in find(CI, "Run actions/checkout@v4").notes[0]
    for name in ("Set up job", "Post Run actions/checkout@v4", "Complete job"):
        assert "is not in the workflow files of the base commit" in find(CI, name).notes[0]
    assert find(CI, name="test").notes == ("neither the job nor its log names a step that failed",)
    green = logs.find("", {"steps": [{"name": "Run the tests", "conclusion": "success"}]}, {PATH: CI.encode()})
    assert green.checks == ()


def test_what_a_step_sets_beats_job_and_workflow() -> None:
    text = one("pytest", "        env: {A: step, B: 'it''s'}\n").replace("jobs:", "env: {A: workflow, C: '1'}\njobs:")
    assert find(text, "it").checks[0].run == "A=step C=1 B='it'\"'\"'s' pytest"
    odd = one("pytest", "        env: {A: 'x\n\n  y', 'B C': d, D: $(id)}\n")
    (check,) = find(odd, "it").checks
    assert check.run == "D='$(id)' pytest", "a value stays a value"


# ------------------------------------------------------------------------------------------------------------ hostile files

HOSTILE = {
    "no YAML": b"a: [",
    "a tag": b"jobs: !!python/object/apply:os.system ['touch /tmp/x']",
    "a list": b"- a",
    "nothing": b"",
    "bytes": b"\xff\xfe\x00",
    "deep": b"a: " + b"[" * 5000,
    "a loop": b"jobs: &a {b: *a}",
    "odd types": b"jobs: {a: 3, b: {steps: 4}, c: {steps: [1, {run: [x]}, {run: {a: b}}], env: 3, strategy: x, runs-on: {labels: [a]}}}",
    "too large": b"#" * 600_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_workflow_files_are_no_trouble(name: str) -> None:
    files = {".github/workflows/a.yml": HOSTILE[name], PATH: one("pytest").encode()}
    found = logs.find("", {"steps": [{"name": "it", "conclusion": "failure"}]}, files)
    assert [c.run for c in found.checks] == ["pytest"]


def test_a_bomb_of_aliases_does_not_go_off() -> None:
    rows = ["a0: &a0 {run: pytest}"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    jobs = "jobs:\n" + "".join(f"  j{n}: {{steps: *a11}}\n" for n in range(2000))
    steps, _ = workflows.steps_of({PATH: ("\n".join(rows) + "\n" + jobs).encode()})
    assert steps == ()


@pytest.mark.parametrize(
    "job", [{}, {"steps": 3}, {"steps": [3, {"name": 4, "conclusion": "failure"}]}, {"name": 3, "labels": "x", "workflow_name": []}]
)  # fmt: skip
def test_odd_answers_of_the_forge_are_no_trouble(job: dict[str, Any]) -> None:
    assert logs.find("", job, {PATH: CI.encode()}).checks == ()


def test_a_huge_log_is_cut() -> None:
    log = group("ruff check .", ["ruff check ."], *["x" * 1000] * 5000, code=1)
    found = find(CI, log=log)
    assert len(found.checks) == 1
    assert len(found.excerpt) <= 7000


# ------------------------------------------------------------------------------------------------------ of the base commit


def test_the_files_are_those_of_the_commit(tmp_path: Path) -> None:
    repo = Repo.make(
        tmp_path / "r", {PATH: one("pytest"), ".github/workflows/b.yaml": "x", ".github/workflows/c.txt": "y"}
    )
    base = repo.git("rev-parse", "HEAD")
    (repo.path / ".github/workflows/link.yml").symlink_to("/etc/passwd")
    repo.commit("worse", {PATH: one("make deploy"), ".github/workflows/large.yml": "#" * 600_000})
    files = workflows.files_at(Git(repo.path), base)
    assert sorted(files) == [".github/workflows/b.yaml", PATH]
    assert files[PATH] == one("pytest").encode()
    assert sorted(workflows.files_at(Git(repo.path), "HEAD")) == [".github/workflows/b.yaml", PATH]
    assert workflows.files_at(Git(repo.path), "0" * 40) == {}


def test_the_checks_are_settings() -> None:
    found = find(CI, "Run the tests", "Run ruff check .", name="Unit tests")
    said = parse(logs.settings_of(found.checks).encode(), "checks.toml")["checks"]
    assert said["pytest"] == {"run": found.checks[0].run, "kind": "pytest", "workdir": "shop", "timeout": 300.0}
    assert said["ruff"] == {"run": found.checks[1].run, "kind": "ruff"}
