"""Tox and nox, unconfigured: called as themselves, the worktree's package is what they install and test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.matrix.pythons import PRICES, PROJECT, TESTS, Case, python, repaired_or_named, run, versions

pytestmark = pytest.mark.slow

FILES = {
    "pyproject.toml": PROJECT,
    "src/shop/__init__.py": "",
    "src/shop/prices.py": PRICES,
    "tests/test_prices.py": TESTS,
}
HERE = versions()[-1].replace(".", "")
#: A session installs the package each time that it runs, which takes seconds; how often a run repeats itself is another test's matter.
QUICK = ["--set", "verify.burn_in=1", "--set", "verify.reruns=1"]
TOX = f"""[tox]
envlist = py36,py{HERE},lint
isolated_build = true
[testenv]
package = wheel
wheel_build_env = .pkg
deps = pytest
commands = pytest -rA -q {{posargs}}
[testenv:lint]
skip_install = true
commands = python -c ""
"""
TOX_TOML = f"""env_list = ["py{HERE}", "lint"]
[env_run_base]
package = "wheel"
dependency_groups = ["test"]
commands = [["pytest", "-rA", "-q"]]
[env.lint]
skip_install = true
commands = [["python", "-c", ""]]
"""
GROUP = '\n[dependency-groups]\ntest = ["pytest"]\n'
NOX = f"""import nox
nox.options.sessions = ["lint", "tests"]

@nox.session
def lint(session):
    pass

@nox.session(python=["3.6", "{versions()[-1]}"])
def tests(session):
    session.install("pytest", ".")
    session.run("pytest", "-rA", "-q", *session.posargs)
"""


def _nothing(_: Path) -> None:
    """The session makes the environment."""


def _case(files: dict[str, str], *plain: str, tools: str) -> Case:
    return Case({**FILES, **files}, _nothing, plain, tools=[tools], options=QUICK)


CASES = {
    "tox": (_case({"tox.ini": TOX}, "tox", "-e", f"py{HERE}", tools="tox"), f"tox-py{HERE}"),
    "tox 3": (_case({"tox.ini": TOX.replace(HERE, "311")}, "tox", "-e", "py311", tools="tox<4"), "tox-py311"),
    "tox by toml": (
        _case({"tox.toml": TOX_TOML, "pyproject.toml": PROJECT + GROUP}, "tox", "-e", f"py{HERE}", tools="tox"),
        f"tox-py{HERE}",
    ),
    "nox": (
        _case({"noxfile.py": NOX}, "nox", "-s", f"tests-{versions()[-1]}", tools="nox"),
        f"nox-tests-{versions()[-1]}",
    ),
}


@pytest.fixture(autouse=True)
def _no_pytest_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs these tests has pytest; a machine whose user has tox alone has it not."""
    bare = tmp_path / "bare"
    bare.mkdir()
    for version in versions():
        (bare / f"python{version}").symlink_to(python(version))
    (bare / "git").symlink_to(run("which", "git", cwd=tmp_path).strip())
    monkeypatch.setenv("PATH", f"{bare}:/usr/bin:/bin")


@pytest.mark.parametrize("name", CASES)
def test_the_bug_is_repaired_or_named(tmp_path: Path, name: str) -> None:
    case, check = CASES[name]
    outcome = repaired_or_named(case, tmp_path / "shop")
    assert outcome["checks"]["before"][0]["name"] == check


def test_a_session_whose_python_is_not_here_is_no_verdict(tmp_path: Path) -> None:
    case = Case({**FILES, "tox.ini": TOX.replace("py36", "py399")}, _nothing, tools=["tox"])
    repo = case.make(tmp_path / "shop")
    outcome = case.fix(repo, "--check", "tox -e py399")
    (before,) = outcome["checks"]["before"]
    assert before["trouble"].startswith("cell: Python 3.99 is not here")
    assert outcome["status"] not in {"green", "fixed"}
    assert [(t["status"], t["attempts"]) for t in outcome["tasks"]] == [("unverifiable", [])]
    assert "cell: Python 3.99" in outcome["tasks"][0]["reason"]


def test_a_version_that_is_here_and_not_on_path_is_used(tmp_path: Path) -> None:
    oldest = versions()[0]
    text = TOX.replace(f"py{HERE}", f"py{oldest.replace('.', '')}").replace("py36,", "")
    case = Case({**FILES, "tox.ini": text}, _nothing, tools=["tox"], options=QUICK)
    repo = case.make(tmp_path / "shop")
    outcome = case.fix(repo, "--max-tasks", "1")
    assert outcome["checks"]["before"][0]["name"] == f"tox-py{oldest.replace('.', '')}"
    assert [i.split("::")[-1] for i in outcome["checks"]["before"][0]["failed"]] == ["test_total"]


def test_what_a_session_left_installed_from_another_commit_is_not_believed(tmp_path: Path) -> None:
    """The environment is shared between worktrees; each run must test the package of its own."""
    case, _ = CASES["tox"]
    repo = case.make(tmp_path / "shop")
    bad = case.fix(repo, "--from", "head", "--max-tasks", "1")
    assert bad["status"] == "fixed", bad["reason"]
    repo.git("checkout", "-q", bad["branch"])
    assert case.fix(repo)["status"] == "green"
    repo.git("checkout", "-q", "main")
    again = case.fix(repo, "--max-tasks", "1", "--branch", "again")
    assert [i.split("::")[-1] for i in again["checks"]["before"][0]["failed"]] == ["test_total"]
