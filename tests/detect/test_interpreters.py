"""Which Pythons are here, which of them a project allows, and the cell of a result."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.checks.running import plant
from zwarm_ci.checks import pythons
from zwarm_ci.detect import interpreters
from zwarm_ci.detect.base import Tree
from zwarm_ci.detect.interpreters import Python, allows, cell, fitting, pinned, required
from zwarm_ci.environment import discover

HERE = (Python("3.12.1", "/a"), Python("3.9.18", "/b"), Python("3.8.2", "/c"), Python("3.10.14", "/d", "PyPy"))


@pytest.mark.parametrize(
    ("spec", "version", "allowed"),
    [
        ("", "3.1", True),
        (">=3.8", "3.8.0", True),
        (">=3.8", "3.7.17", False),
        (">=3.8,<3.12", "3.12.0", False),
        (">=3.8, <3.12", "3.11.9", True),
        (">=3.9 <3.12", "3.13.0", False),
        ("<3.12", "3.12.0", False),
        (">3.8", "3.8.1", True),
        ("<=3.11", "3.11.4", False),
        ("!=3.9.*,>=3.8", "3.9.1", False),
        ("!=3.9.0", "3.9.1", True),
        ("~=3.8", "3.13.1", True),
        ("~=3.8.2", "3.9.0", False),
        ("~3.8", "3.8.19", True),
        ("~3.8", "3.9.0", False),
        ("^3.8", "3.13.0", True),
        ("^3.8", "4.0.0", False),
        ("==3.11.*", "3.11.2", True),
        ("3.11", "3.11.2", True),
        ("3.11.1", "3.11.2", False),
        ("^3.8 || ^4.0", "4.1.0", True),
        ("something new", "3.2.1", True),
    ],
)
def test_what_a_project_allows(spec: str, version: str, allowed: bool) -> None:
    assert allows(spec, version) is allowed


def test_the_one_that_fits(tmp_path: Path) -> None:
    assert fitting(">=3.8", here=HERE) == HERE[0]
    assert fitting("<3.12", here=HERE) == HERE[1]
    assert fitting(">=3.8", "3.8", HERE) == HERE[2]
    assert fitting(">=3.9", "3.8", HERE) == HERE[0]
    assert fitting(">=3.13", here=HERE) is None
    assert pinned(Tree(plant(tmp_path / "a", {".python-version": "3.9.1\n"}))) == "3.9.1"
    assert pinned(Tree(plant(tmp_path / "b", {".python-version": "my-env\n"}))) == ""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", "[project]\nrequires-python = '>=3.9'\n"),
        ("pyproject.toml", "[tool.poetry.dependencies]\npython = '>=3.9'\n"),
        ("setup.cfg", "[options]\npython_requires = >=3.9\n"),
        ("setup.py", "setup(name='x', python_requires='>=3.9')\n"),
    ],
)
def test_where_a_project_says_it(tmp_path: Path, name: str, text: str) -> None:
    assert required(Tree(plant(tmp_path, {name: text}))) == ">=3.9"


def _fake(path: Path, said: str, code: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{said}'\nexit {code}\n")
    path.chmod(0o755)


def test_pythons_of_every_keeper_are_found_once_and_asked_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kept(name: str, version: str, implementation: str = "CPython") -> None:
        path = tmp_path / name
        _fake(path, f"{implementation} {version} {path}")

    kept("bin/python3.11", "3.11.7")
    kept("pyenv/versions/3.8.18/bin/python3.8", "3.8.18")
    kept("pyenv/versions/3.11.7/bin/python3.11", "3.11.7")
    kept("pyenv/versions/2.7.18/bin/python2.7", "2.7.18")
    kept("uv/cpython-3.13/bin/python3.13", "3.13.0")
    kept("tools/Python/3.8.2/x64/bin/python", "3.8.2")
    kept("uv/pypy-3.10/bin/pypy3.10", "3.10.14", "PyPy")
    _fake(tmp_path / "bin" / "python3.9", "CPython 3.9.18 of no version that is chosen", 127)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin")
    for variable, folder in (
        ("PYENV_ROOT", "pyenv"),
        ("UV_PYTHON_INSTALL_DIR", "uv"),
        ("RUNNER_TOOL_CACHE", "tools"),
        ("HOME", "none"),
    ):
        monkeypatch.setenv(variable, str(tmp_path / folder))
    pythons.find.cache_clear()
    monkeypatch.setattr(pythons, "find", pythons.find.__wrapped__)
    ours = [p for p in pythons.find() if p.path.startswith((str(tmp_path), "of"))]
    assert [(p.version, p.implementation) for p in ours] == [
        ("3.13.0", "CPython"), ("3.11.7", "CPython"), ("3.8.18", "CPython"), ("3.8.2", "CPython"), ("3.10.14", "PyPy"),
    ]  # fmt: skip
    assert ours[1].path == str(tmp_path / "bin" / "python3.11")
    links = pythons.by_name(tmp_path / "links")
    assert (links / "python3.8").readlink() == tmp_path / "pyenv/versions/3.8.18/bin/python3.8"
    assert (links / "pypy3.10").is_symlink()
    assert not (links / "python").exists()


def test_the_interpreter_that_runs_this_is_among_them() -> None:
    assert any(p.numbers[:2] == sys.version_info[:2] for p in interpreters.find())


def test_the_cell_names_platform_and_interpreter(tmp_path: Path) -> None:
    tree = plant(tmp_path, {"a.py": ""})
    said = cell(discover(tree), ("py311",))
    assert said.startswith(f"{sys.platform}-")
    assert said.endswith(" py311")
    assert " CPython 3." in said
