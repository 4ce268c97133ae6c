"""Tox environments and nox sessions: read from their settings, chosen by the Pythons that are here."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.checks.running import plant
from zwarm_ci.checks import pythons
from zwarm_ci.detect import detect
from zwarm_ci.detect.base import Tree
from zwarm_ci.detect.sessions import find_sessions
from zwarm_ci.environment import Environment, Interpreter
from zwarm_ci.task import Check

INI = """[tox]
envlist = py{38,39}-django{3,4}, py31{0-1}
    lint
[testenv]
commands =
    lint: ruff check
    !lint: pytest {posargs}
[testenv:docs]
commands = sphinx-build docs out
[testenv:unit]
basepython = python3.7
commands = python -m unittest
"""
TOML = """env_list = ["3.11", "py39", "lint"]
[env_run_base]
commands = [["pytest", {replace = "posargs", extend = true}]]
[env.lint]
commands = [["ruff", "check"]]
[env.old]
base_python = ["python3.8"]
"""
NOX = """import nox
VERSIONS = ["3.9", "3.12"]
nox.options.sessions = ["lint", "tests"]
@nox.session(python="3.11")
def coverage(session):
    session.run("pytest", "--cov")
@nox.session
def lint(session):
    session.run("ruff", "check")
@nox.session(python=VERSIONS, reuse_venv=True)
@nox.parametrize("django", ["3", "4"])
def tests(session, django):
    session.run("pytest")
@nox.session(name="plain", python=None)
def p(session):
    session.run("python", "-m", "unittest")
"""
SEEN = ["py38-django3", "py38-django4", "py39-django3", "py39-django4", "py310", "py311", "unit"]


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ({"tox.ini": INI}, SEEN),
        ({"setup.cfg": INI.replace("[tox]", "[tox:tox]")}, SEEN),
        ({"pyproject.toml": f'[tool.tox]\nlegacy_tox_ini = """{INI}"""\n'}, SEEN),
        ({"tox.toml": TOML}, ["3.11", "py39", "old"]),
        ({"pyproject.toml": "[tool.tox]\n" + TOML.replace("[env", "[tool.tox.env")}, ["3.11", "py39", "old"]),
        ({"noxfile.py": NOX}, ["tests-3.9", "tests-3.12", "coverage", "plain"]),
        ({"tox.ini": "[testenv]\ncommands = ruff\n"}, []),
        ({"tox.ini": "not [ ini", "noxfile.py": "def ("}, []),
        ({"tox.ini": "[pytest]\naddopts = -q\n"}, []),
    ],
)
def test_the_sessions_that_run_tests(tmp_path: Path, files: dict[str, str], names: list[str]) -> None:
    assert [s.name for s in find_sessions(Tree(plant(tmp_path, files)))] == names


def test_which_python_a_session_wants(tmp_path: Path) -> None:
    wanted = {s.name: s.python for s in find_sessions(Tree(plant(tmp_path, {"tox.ini": INI, "noxfile.py": NOX})))}
    assert (wanted["py38-django3"], wanted["py310"], wanted["unit"]) == ("3.8", "3.10", "3.7")
    assert (wanted["tests-3.12"], wanted["coverage"], wanted["plain"]) == ("3.12", "3.11", "")


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Sequence[str]:
    """A machine with two Pythons, tox and nox."""
    plant(tmp_path / "bin", {"tox": "#!/bin/sh\n", "nox": "#!/bin/sh\n"})
    for name in ("tox", "nox"):
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(pythons, "find", lambda: (pythons.Python("3.12.1", "/a"), pythons.Python("3.9.2", "/b")))
    return ("3.12.1", "3.9.2")


def _found(tree: Path, modules: tuple[str, ...] = (), version: str = "3.11.7") -> tuple[list[Check], str]:
    interpreter = Interpreter(sys.executable, sys.executable, "/nowhere", version, (), modules, compiled=True)
    env = Environment(tree, sys.executable, (), (), "a test", modules, interpreter=interpreter)
    checks, notes = detect(tree, lambda _: env)
    return list(checks), "\n".join(notes)


@pytest.mark.usefixtures("here")
def test_one_session_is_chosen_by_the_python_that_is_here(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", {"tox.ini": INI, "tests/test_a.py": ""})
    (check,), notes = _found(tree)
    assert (check.name, check.run, check.kind) == ("tox-py39-django3", "tox -e py39-django3", "pytest")
    assert (check.exclusive, check.network, check.is_test) == (True, True, True)
    assert "tox has py39-django4 too" in notes


@pytest.mark.usefixtures("here")
def test_the_environments_own_python_goes_first(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", {"noxfile.py": NOX, "tests/test_a.py": ""})
    assert _found(tree)[0][0].run == "nox -s tests-3.12"
    assert _found(tree, version="3.9.2")[0][0].run == "nox -s tests-3.9"
    assert _found(tree, ("nox",))[0][0].run == "python -m nox -s tests-3.12"


@pytest.mark.usefixtures("here")
def test_no_python_for_any_session_is_said_and_is_no_check(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", {"tox.ini": "[testenv:py38]\ncommands = pytest\n", "tests/test_a.py": ""})
    checks, notes = _found(tree)
    assert checks == []
    assert "cell: no Python that the sessions of tox ask for is here (3.8;" in notes


def test_a_tool_that_is_not_here_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    checks, notes = _found(plant(tmp_path / "tree", {"tox.ini": INI, "tests/test_a.py": ""}))
    assert checks == []
    assert "tox is not installed" in notes


@pytest.mark.usefixtures("here")
def test_what_runs_no_pytest_is_judged_by_its_exit_code(tmp_path: Path) -> None:
    tree = plant(
        tmp_path / "tree",
        {"noxfile.py": NOX[NOX.index("@nox.session(name") :].replace("None", '"3.9"'), "tests/test_a.py": ""},
    )
    (check,), _ = _found(tree)
    assert (check.name, check.kind, check.is_test) == ("tests-nox-plain", "generic", True)


@pytest.mark.usefixtures("here")
def test_an_environment_of_the_repositorys_own_goes_before_sessions(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", {"tox.ini": INI, "tests/test_a.py": ""})
    assert (
        _found(tree, ("pytest",))[0][0].name == "tox-py39-django3"
    )  # some pytest on PATH, with nothing of the repository in it
    env = Environment(tree, sys.executable, (), ("src",), "a test", ("pytest",))
    assert [c.run for c in detect(tree, lambda _: env)[0]] == ["python -m pytest"]


@pytest.mark.usefixtures("here")
def test_versions_that_come_out_of_code_are_asked_for(tmp_path: Path) -> None:
    text = "import nox\n@nox.session(python=nox.project.python_versions(PYPROJECT))\ndef tests(session):\n    session.run('pytest')\n"
    tree = plant(tmp_path / "tree", {"noxfile.py": text, "tests/test_a.py": ""})
    assert _found(tree)[0][0].run == "nox -s tests -p 3.12"
