"""Which checks are chosen where none is configured, and what is said about it."""

from __future__ import annotations

import json
import sys
import venv
from pathlib import Path

import pytest

from tests.checks.running import plant
from zwarm_ci.checks import detect
from zwarm_ci.environment import Environment, discover

ALL = ("pytest", "mypy", "ruff")


def _env(tree: Path, modules: tuple[str, ...] = ALL) -> Environment:
    return Environment(tree, sys.executable, (), (), "a test", modules)


def _chosen(tree: Path, env: Environment | None = None) -> dict[str, str]:
    checks, notes = detect(tree, env or _env(tree))
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
    assert detect(plant(tmp_path, files), _env(tmp_path)) == ((), ())


def test_unittest_where_pytest_is_not_installed(tmp_path: Path) -> None:
    tree = plant(tmp_path, {"tests/test_a.py": "import unittest\n"})
    venv.create(tree / ".venv", with_pip=False, symlinks=True)
    assert _chosen(tree, discover(tree)) == {"tests": "junit: python -m unittest discover -s tests"}
    plant(tree, {"tests/test_a.py": "import pytest\n"})
    checks, notes = detect(tree, discover(tree))
    assert (checks, len(notes)) == ((), 1)
    assert "pytest is not installed" in notes[0]


def test_linters_only_where_the_repository_has_set_them(tmp_path: Path) -> None:
    tree = plant(tmp_path, {"pyproject.toml": "[tool.ruff]\n[tool.mypy]\nstrict = true\n"})
    assert _chosen(tree) == {"ruff": "ruff: ruff check .", "mypy": "mypy: mypy ."}
    ruff = detect(tree, _env(tree))[0][0]
    assert (ruff.fix, ruff.is_test) == ("ruff check --fix .", False)
    plant(tree, {"pyproject.toml": "", "ruff.toml": "", "mypy.ini": "[mypy]\nfiles = src\n"})
    assert _chosen(tree) == {"ruff": "ruff: ruff check .", "mypy": "mypy: mypy"}


def test_linters_that_are_not_installed_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = plant(tmp_path, {"pyproject.toml": "[tool.ruff]\n[tool.mypy]\n"})
    monkeypatch.setenv("PATH", str(tmp_path))
    checks, notes = detect(tree, _env(tree, ("mypy",)))
    assert [c.run for c in checks] == ["python -m mypy ."]
    assert any("ruff is not installed" in note for note in notes)


def _package(tree: Path, test: str, *bins: str, modules: tuple[str, ...] = ()) -> Path:
    plant(
        tree, {"package.json": json.dumps({"scripts": {"test": test}}), **{f"node_modules/.bin/{b}": "" for b in bins}}
    )
    return plant(tree, {f"node_modules/{m}/package.json": "" for m in modules})


@pytest.mark.parametrize(
    ("script", "bins", "modules", "expected"),
    [
        (
            "vitest",
            ("vitest",),
            (),
            "junit: npx --no-install vitest run --reporter=default --reporter=junit --outputFile={junit}",
        ),
        (
            "jest",
            ("jest",),
            ("jest-junit",),
            "junit: JEST_JUNIT_OUTPUT_FILE={junit} npx --no-install jest --reporters=default --reporters=jest-junit",
        ),
        ("jest", ("jest",), (), "generic: npm test"),
        ("mocha | tap", ("mocha",), (), "generic: npm test"),
        ("node --test", ("x",), (), "junit: node --test --test-reporter=junit --test-reporter-destination={junit}"),
        ("node --test && lint", ("x",), (), "generic: npm test"),
    ],
)
def test_the_test_script_of_a_package(
    tmp_path: Path, script: str, bins: tuple[str, ...], modules: tuple[str, ...], expected: str
) -> None:
    assert _chosen(_package(tmp_path, script, *bins, modules=modules)) == {"tests": expected}


def test_typescript_and_eslint_where_they_are_installed(tmp_path: Path) -> None:
    tree = _package(tmp_path, 'echo "Error: no test specified" && exit 1', "tsc", "eslint")
    plant(tree, {"tsconfig.json": "{}", "eslint.config.mjs": ""})
    assert _chosen(tree) == {"tsc": "tsc: npx --no-install tsc --noEmit", "eslint": "eslint: npx --no-install eslint ."}


def test_a_package_without_its_modules_is_a_note(tmp_path: Path) -> None:
    tree = plant(tmp_path, {"package.json": '{"scripts": {"test": "jest"}}', "tsconfig.json": "{}"})
    checks, notes = detect(tree, _env(tree))
    assert (checks, len(notes)) == ((), 1)
    assert "npm ci" in notes[0]


def test_cargo_and_go_by_what_is_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = plant(tmp_path / "tree", {"Cargo.toml": "", "go.mod": "module x\n"})
    bins = plant(tmp_path / "bin", {"cargo": "#!/bin/sh\n", "go": "#!/bin/sh\n"})
    monkeypatch.setenv("PATH", str(bins))
    assert len(detect(tree, _env(tree))[1]) == 2
    assert _chosen(plant(tree, {}), _env(tree)) == {}
    for name in ("cargo", "go"):
        (bins / name).chmod(0o755)
    assert _chosen(tree) == {"cargo": "cargo: cargo test", "go": "go: go test ./..."}
