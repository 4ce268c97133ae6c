"""Nobody waits for what a command does not use: modules that a start may not import."""

import re
import sys
from pathlib import Path

import pytest

from zwarm_ci import __version__
from zwarm_ci.proc import run

HEAVY = {"asyncio", "pydantic", "git", "rich", "httpx"}


def imported(tmp_path: Path, *args: str) -> tuple[str, set[str]]:
    """Standard output of the program, and every module that its process imported."""
    ended = run([sys.executable, "-X", "importtime", "-m", "zwarm_ci", *args], cwd=tmp_path, check=True)
    return ended.stdout.decode(), set(re.findall(r"^import time:.*\|\s*([\w.]+)$", ended.stderr.decode(), re.MULTILINE))


def test_the_version_costs_nothing(tmp_path: Path) -> None:
    said, modules = imported(tmp_path, "--version")
    assert said == f"zwarm-ci {__version__}\n"
    assert "zwarm_ci.entry" in modules
    assert not modules & {*HEAVY, "click"}


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
