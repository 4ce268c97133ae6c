"""Fixers: safe fixes of the named files only, and a result that is believed only when the tool says so itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.repair.labs import Workshop, history
from zwarm_ci.repair.fixers import fix, fix_command
from zwarm_ci.repair.lab import Remedy
from zwarm_ci.task import Check

RUFF = Check("lint", "ruff check --no-cache .", "ruff", fix="ruff check --no-cache --fix .", timeout=60.0)
SETTINGS = {"ruff.toml": 'lint.select = ["F"]\n'}
UNUSED = "import os\n\nx = 1\n"


def _fix(workshop: Workshop, *ids: str) -> Remedy:
    lab = workshop.lab(*ids)
    try:
        return fix(lab)
    finally:
        lab.close()


def test_ruff_fixes_the_named_files_alone(tmp_path: Path) -> None:
    files = {**SETTINGS, "a.py": UNUSED, "b.py": UNUSED, "sub/c.py": "import sys\n"}
    workshop = Workshop(history(tmp_path / "r", files), tmp_path / "w", RUFF)
    assert workshop.changed(_fix(workshop, "a.py", "sub/c.py")) == {
        "a.py": (UNUSED, "\nx = 1\n"),
        "sub/c.py": ("import sys\n", ""),
    }


def test_unsafe_fixes_are_not_made(tmp_path: Path) -> None:
    files = {**SETTINGS, "a.py": "def f():\n    x = 1\n"}
    check = Check("lint", "ruff check --no-cache --unsafe-fixes .", "ruff", timeout=60.0)
    remedy = _fix(Workshop(history(tmp_path / "r", files), tmp_path / "w", check))
    assert not remedy.tree
    assert "changed nothing that may be changed" in remedy.message


def test_what_the_fixer_leaves_is_said(tmp_path: Path) -> None:
    files = {**SETTINGS, "a.py": "import os\n\nprint(y)\n"}
    remedy = _fix(Workshop(history(tmp_path / "r", files), tmp_path / "w", RUFF))
    assert not remedy.tree
    assert "leaves a.py::F821" in remedy.message


def test_protected_files_stay_as_they_are(tmp_path: Path) -> None:
    files = {**SETTINGS, "tests/test_a.py": UNUSED}
    remedy = _fix(Workshop(history(tmp_path / "r", files), tmp_path / "w", RUFF))
    assert remedy.message == "tests/test_a.py is protected, so its fixer may not edit it"


def test_a_generic_fixer_may_edit_anything_but_what_is_protected(tmp_path: Path) -> None:
    files = {"a.txt": "tabs\n", "tests/b.txt": "tabs\n"}
    check = Check(
        "style", "grep -q spaces a.txt", "generic", fix="sed -i s/tabs/spaces/ a.txt tests/b.txt", timeout=60.0
    )
    workshop = Workshop(history(tmp_path / "r", files), tmp_path / "w", check)
    assert workshop.changed(_fix(workshop)) == {"a.txt": ("tabs\n", "spaces\n")}


def test_no_command_and_no_test_is_fixed(tmp_path: Path) -> None:
    check = Check("style", "grep -q spaces a.txt", "generic", timeout=60.0)
    repo = history(tmp_path / "r", {"a.txt": "tabs\n", "test_a.py": "def test_a():\n    assert 0\n"})
    assert _fix(Workshop(repo, tmp_path / "w", check)).message == "check 'style' has no fix command"
    assert _fix(Workshop(repo, tmp_path / "v")).message == "no tool fixes a test"


@pytest.mark.parametrize(
    ("run", "files", "command"),
    [
        ("ruff check .", ["a.py"], "ruff check --fix --no-unsafe-fixes -- a.py"),
        (
            "python -m ruff check --select F src",
            ["src/a b.py"],
            "python -m ruff check --select F --fix --no-unsafe-fixes -- 'src/a b.py'",
        ),
        ("ruff check --fix --unsafe-fixes", ["a.py"], "ruff check --fix --no-unsafe-fixes -- a.py"),
        ("ruff format --check .", ["a.py"], "make fix"),
        ("ruff check .", [], "make fix"),
    ],
)
def test_the_command(tmp_path: Path, run: str, files: list[str], command: str) -> None:
    (tmp_path / "src").mkdir()
    assert fix_command(Check("lint", run, "ruff", fix="make fix"), files, tmp_path) == command
