"""Which checks are chosen where none is configured, and what is said about it."""

from __future__ import annotations

import sys
import venv
from pathlib import Path

import pytest

from tests.checks.running import plant
from zwarm_ci.detect import detect
from zwarm_ci.environment import Environment, discover

ALL = ("pytest", "mypy", "ruff")


def _env(tree: Path, modules: tuple[str, ...] = ALL) -> Environment:
    return Environment(tree, sys.executable, (), (), "a test", modules)


def _chosen(tree: Path, env: Environment | None = None) -> dict[str, str]:
    checks, notes = detect(tree, lambda _: env or _env(tree))
    chosen = [n for n in notes if n.startswith("chose ")]
    assert len(chosen) == len(checks)
    assert all(c.why in note for c, note in zip(checks, chosen, strict=True))
    return {c.name: f"{c.kind}: {c.run}" for c in checks}


@pytest.mark.parametrize(
    "files",
    [
        {"pyproject.toml": "[tool.pytest.ini_options]\n"},
        {"pyproject.toml": "[tool.pytest]\nminversion = '9'\n"},
        {"pytest.ini": ""},
        {"tox.ini": "[pytest]\n"},
        {"setup.cfg": "[tool:pytest]\n"},
        {"tests/test_a.py": ""},
        {"pkg/deep/a_test.py": ""},
    ],
)
def test_pytest_by_its_settings_or_its_files(tmp_path: Path, files: dict[str, str]) -> None:
    assert _chosen(plant(tmp_path, files)) == {"tests": "pytest: python -m pytest"}


def test_nothing_where_there_is_nothing(tmp_path: Path) -> None:
    files = {
        "pyproject.toml": "not toml [",
        "tox.ini": "[[[",
        "package.json": "{",
        "node_modules/x/test_a.py": "",
        ".venv/test_b.py": "",
    }
    assert detect(plant(tmp_path, files), lambda _: _env(tmp_path)) == ((), ())


def test_unittest_where_pytest_is_not_installed(tmp_path: Path) -> None:
    tree = plant(tmp_path, {"tests/test_a.py": "import unittest\n"})
    venv.create(tree / ".venv", with_pip=False, symlinks=True)
    assert _chosen(tree, discover(tree)) == {"tests": "junit: python -m unittest discover -s tests"}
    plant(tree, {"tests/test_a.py": "import pytest\n"})
    checks, notes = detect(tree, lambda _: discover(tree))
    assert (checks, len(notes)) == ((), 1)
    assert "pytest is not installed" in notes[0]


def test_linters_only_where_the_repository_has_set_them(tmp_path: Path) -> None:
    tree = plant(tmp_path, {"pyproject.toml": "[tool.ruff]\n[tool.mypy]\nstrict = true\n"})
    assert _chosen(tree) == {"ruff": "ruff: ruff check .", "mypy": "mypy: mypy ."}
    ruff = detect(tree, lambda _: _env(tree))[0][0]
    assert (ruff.fix, ruff.is_test) == ("ruff check --fix .", False)
    plant(tree, {"pyproject.toml": "", "ruff.toml": "", "mypy.ini": "[mypy]\nfiles = src\n"})
    assert _chosen(tree) == {"ruff": "ruff: ruff check .", "mypy": "mypy: mypy"}


def test_linters_that_are_not_installed_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = plant(tmp_path, {"pyproject.toml": "[tool.ruff]\n[tool.mypy]\n"})
    monkeypatch.setenv("PATH", str(tmp_path))
    checks, notes = detect(tree, lambda _: _env(tree, ("mypy",)))
    assert [c.run for c in checks] == ["python -m mypy ."]
    assert any("ruff is not installed" in note for note in notes)
