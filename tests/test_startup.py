"""Nobody waits for what a command does not use: modules that a start may not import."""

import re
import sys
from pathlib import Path

import pytest

from tests.support import Repo
from zwarm_ci import __version__
from zwarm_ci.proc import TAG, run

HEAVY = {"asyncio", "pydantic", "git", "rich", "httpx"}
#: What a start that does nothing needs no more of either: `-m` itself brings some of it along, a console script does not.
_START = "from zwarm_ci.entry import main; main()"


def imported(tmp_path: Path, *args: str, program: tuple[str, ...] = ("-m", "zwarm_ci")) -> tuple[str, set[str]]:
    """Standard output of the program, and every module that its process imported; it does not know that we started it."""
    free = ["env", "-u", TAG, sys.executable, "-X", "importtime"]
    ended = run([*free, *program, *args], cwd=tmp_path, check=True)
    return ended.stdout.decode(), set(re.findall(r"^import time:.*\|\s*([\w.]+)$", ended.stderr.decode(), re.MULTILINE))


def test_the_version_costs_nothing(tmp_path: Path) -> None:
    said, modules = imported(tmp_path, "--version")
    assert said == f"zwarm-ci {__version__}\n"
    assert "zwarm_ci.entry" in modules
    assert not modules & {*HEAVY, "click"}


@pytest.mark.parametrize("staged", ["notes.md", "app.py"], ids=["nothing-to-do", "known-content"])
def test_a_hook_that_can_leave_at_once_costs_next_to_nothing(tmp_path: Path, staged: str) -> None:
    repo = Repo.make(tmp_path / "r", {".zwarm/config.toml": '[checks.yes]\nrun = "true"\nfiles = ["**/*.py"]\n'})
    repo.write({staged: "staged"})
    repo.git("add", "-A")
    program = ("-c", _START)
    _, whole = imported(repo.path, "hook", "pre-commit", program=program)
    assert whole & HEAVY  # the first time everything is looked at
    _, modules = imported(repo.path, "hook", "pre-commit", program=program)
    assert "zwarm_ci.hook.quick" in modules
    assert not modules & {
        *HEAVY,
        "click",
        "subprocess",
        "re",
        "json",
        "typing",
        "dataclasses",
        "pathlib",
        "collections",
    }


@pytest.mark.parametrize(
    "args", [["--help"], ["fix-tests", "--help"], ["demo", "--help"], ["take", "--help"]], ids=" ".join
)
def test_help_needs_no_heavy_module(tmp_path: Path, args: list[str]) -> None:
    said, modules = imported(tmp_path, *args)
    assert "Usage" in said
    assert "click" in modules
    assert not modules & HEAVY


def test_an_import_would_be_seen(tmp_path: Path) -> None:
    ended = run([sys.executable, "-X", "importtime", "-c", "import asyncio"], cwd=tmp_path, check=True)
    assert re.search(r"^import time:.*\|\s*asyncio$", ended.stderr.decode(), re.MULTILINE)
