"""Who makes the environment of a package, by lock file and settings, and with which one command."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.checks.running import plant
from zwarm_ci.checks import argv_of
from zwarm_ci.detect import managers, requirements
from zwarm_ci.detect.base import Tree
from zwarm_ci.detect.managers import Manager

PROJECT = "[project]\nname = 'x'\nversion = '1'\n"
EXTRAS = "[project.optional-dependencies]\ntest = ['pytest']\ndocs = ['sphinx']\n"
GROUPS = "[dependency-groups]\ndev = ['pytest', {include-group = 'lint'}]\nlint = ['ruff>=0.5; python_version > \"3.8\"']\ndocs = ['sphinx']\n"


@pytest.fixture(autouse=True)
def _every_tool_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("uv", "poetry", "pdm", "pipenv", "mamba"):
        file = tmp_path / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("#!/bin/sh\n")
        file.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def _of(top: Path, files: dict[str, str], workdir: str = ".") -> Manager:
    found = managers.of(Tree(plant(top / "tree", files)), workdir)
    assert found is not None
    argv_of(found.setup(workdir))  # no shell
    return found


@pytest.mark.parametrize(
    ("files", "name", "install"),
    [
        ({"pyproject.toml": PROJECT, "uv.lock": ""}, "uv", "uv sync --frozen"),
        (
            {"pyproject.toml": PROJECT + EXTRAS + GROUPS, "uv.lock": ""},
            "uv",
            "uv sync --frozen --all-extras --all-groups",
        ),
        (
            {"pyproject.toml": PROJECT + EXTRAS + "[tool.uv]\nconflicts = [[]]\n", "uv.lock": ""},
            "uv",
            "uv sync --frozen",
        ),
        ({"pyproject.toml": PROJECT + "[tool.uv]\n"}, "uv", "uv sync"),
        (
            {"pyproject.toml": "[tool.poetry]\nname = 'x'\n", "poetry.lock": ""},
            "poetry",
            "poetry install --no-interaction",
        ),
        (
            {"pyproject.toml": "[tool.poetry.extras]\na = ['b']\n[tool.poetry.group.test]\noptional = true\n"},
            "poetry",
            "poetry install --no-interaction --all-extras --with=test",
        ),
        ({"pyproject.toml": PROJECT + GROUPS, "pdm.lock": ""}, "pdm", "pdm sync --group=:all"),
        ({"pyproject.toml": PROJECT + "[tool.pdm]\n"}, "pdm", "pdm install"),
        ({"Pipfile": "", "Pipfile.lock": "{}"}, "pipenv", "pipenv sync --dev"),
        ({"Pipfile": ""}, "pipenv", "pipenv install --dev"),
        ({"environment.yml": "name: x\n"}, "conda", "mamba env create --yes --prefix .venv --file environment.yml"),
        ({"pyproject.toml": PROJECT + EXTRAS}, "pip", "python -m pip install -e '.[test]'"),
        (
            {"setup.py": "from setuptools import setup\nsetup(extras_require={'dev': ['pytest'], 'x': []})\n"},
            "pip",
            "python -m pip install -e '.[dev]'",
        ),
        (
            {"setup.py": "", "setup.cfg": "[options.extras_require]\ntesting =\n    pytest\n"},
            "pip",
            "python -m pip install -e '.[testing]'",
        ),
        ({"requirements-dev.txt": "pytest\n"}, "pip", "python -m pip install -r requirements-dev.txt"),
        (
            {"requirements.txt": "flask\n", "requirements-test.txt": "pytest\n", "setup.py": ""},
            "pip",
            "python -m pip install -r requirements.txt -r requirements-test.txt -e .",
        ),
        (
            {"requirements/base.txt": "flask\n", "requirements/dev.txt": "-r base.txt\npytest\n"},
            "pip",
            "python -m pip install -r requirements/dev.txt",
        ),
        (
            {"pyproject.toml": PROJECT + GROUPS},
            "pip",
            "python -m pip install -e . pytest 'ruff>=0.5; python_version > \"3.8\"'",
        ),
        (
            {"pyproject.toml": PROJECT + "[tool.hatch.envs.hatch-test]\nextra-dependencies = ['pytest', 'respx']\n"},
            "pip",
            "python -m pip install -e . pytest respx",
        ),
        ({"pyproject.toml": PROJECT, "tests/test_a.py": ""}, "pip", "python -m pip install -e . pytest"),
        ({"pyproject.toml": PROJECT, "tests/test_a.py": "import unittest\n"}, "pip", "python -m pip install -e ."),
        (
            {"pyproject.toml": PROJECT + "[tool.pytest.ini_options]\naddopts = '--cov=x -n auto'\n"},
            "pip",
            "python -m pip install -e . pytest pytest-cov pytest-xdist",
        ),
    ],
)
def test_the_manager_and_its_command(tmp_path: Path, files: dict[str, str], name: str, install: str) -> None:
    found = _of(tmp_path, files)
    assert (found.name, found.install, found.root) == (name, install, ".")
    assert set(found.files) >= {f for f in files if not f.startswith("tests/")}
    assert found.why.startswith("of ")


def test_nothing_to_install_is_no_manager(tmp_path: Path) -> None:
    assert (
        managers.of(Tree(plant(tmp_path / "tree", {"test_a.py": "", "pyproject.toml": "[tool.ruff]\n"})), ".") is None
    )


WORKSPACE = {
    "pyproject.toml": PROJECT + "[tool.uv.workspace]\nmembers = ['packages/*']\nexclude = ['packages/old']\n",
    "uv.lock": "",
    "packages/a/pyproject.toml": PROJECT + EXTRAS,
    "packages/old/pyproject.toml": PROJECT,
    "packages/notes/readme.txt": "",
}


def test_a_member_of_a_uv_workspace_has_the_workspaces_environment(tmp_path: Path) -> None:
    found = _of(tmp_path, WORKSPACE, "packages/a")
    assert (found.name, found.root, found.lock) == ("uv", ".", "uv.lock")
    assert found.setup("packages/a") == "uv sync --frozen --all-packages --all-extras"
    assert {"uv.lock", "pyproject.toml", "packages/a/pyproject.toml"} == set(found.files)
    tree = Tree(tmp_path / "tree")
    assert managers.members(tree, ".") == ("packages/a",)
    outside = managers.of(tree, "packages/old")
    assert outside is not None
    assert (outside.name, outside.root) == ("pip", "packages/old")


def test_a_lock_of_its_own_goes_before_the_folder_above(tmp_path: Path) -> None:
    found = _of(tmp_path, {**WORKSPACE, "packages/old/poetry.lock": ""}, "packages/old")
    assert (found.name, found.root, found.lock) == ("poetry", "packages/old", "packages/old/poetry.lock")
    assert found.files == ("packages/old/pyproject.toml", "packages/old/poetry.lock")


@pytest.mark.parametrize(
    ("files", "below"),
    [
        (
            {"requirements-dev.txt": "pytest\n", "setup.py": ""},
            "python -m pip install -r ../../requirements-dev.txt -e ../..",
        ),
        ({"pdm.lock": "", "pyproject.toml": ""}, "pdm --project ../.. sync"),
        ({"pyproject.toml": "[tool.poetry]\n"}, "poetry --directory ../.. install --no-interaction"),
    ],
)
def test_from_a_folder_below_the_same_is_installed(tmp_path: Path, files: dict[str, str], below: str) -> None:
    found = managers.of(Tree(plant(tmp_path / "tree", {**files, "x/y/test_a.py": ""})), "x/y")
    assert found is not None
    assert found.setup("x/y") == below


def test_a_tool_that_is_not_here_is_named_and_pip_does_what_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    found = _of(tmp_path, {"pyproject.toml": PROJECT + GROUPS, "uv.lock": ""})
    assert shlex.split(found.install)[:4] == ["python", "-m", "pip", "install"]
    assert "uv is not installed" in found.why
    assert "not the lock's" in found.why
    bare = managers.of(Tree(plant(tmp_path / "other", {"Pipfile.lock": "{}"})), ".")
    assert bare is not None
    assert (bare.name, bare.install) == ("pipenv", "")


@pytest.mark.parametrize(
    ("settings", "plugins"),
    [
        ("addopts = -q -x -k 'not slow'", ()),
        ("addopts = -ra --strict-markers --no-cov", ("pytest-cov",)),
        ("addopts = -nauto --dist loadscope", ("pytest-xdist",)),
        ("timeout = 30", ("pytest-timeout",)),
        ("DJANGO_SETTINGS_MODULE = a.b", ("pytest-django",)),
        (
            "required_plugins = pytest-mock>=1.0 pytest-httpx\nasyncio_mode = strict",
            ("pytest-mock", "pytest-httpx", "pytest-asyncio"),
        ),
    ],
)
def test_plugins_that_settings_need(tmp_path: Path, settings: str, plugins: tuple[str, ...]) -> None:
    for name, text in (("pytest.ini", f"[pytest]\n{settings}\n"), ("setup.cfg", f"[tool:pytest]\n{settings}\n")):
        assert requirements.plugins(Tree(plant(tmp_path / name[0], {name: text}))) == plugins
