"""The real command lines are installed once, whole or not at all; what cannot be installed is an error and no skip."""

from __future__ import annotations

import ast
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests import realcli
from tests.realcli import CLAUDE, CODEX, InstallError, installed

#: npm and node as far as the installation needs them; the versions that the programs say are of the environment.
NPM = """
import os, pathlib
open(os.environ["COUNT"], "a").write("x")
bin = pathlib.Path("node_modules/.bin")
(pathlib.Path("node_modules/@anthropic-ai/claude-code")).mkdir(parents=True)
bin.mkdir()
for name in ("codex", "claude"):
    (bin / name).write_text(f"#!/bin/sh\\necho {name} $" + name.upper() + "_SAYS\\n")
    (bin / name).chmod(0o755)
"""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in (("npm", NPM), ("node", "")):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!{sys.executable}\n{text}")
        program.chmod(0o755)
    environ = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "COUNT": str(tmp_path / "count")}
    monkeypatch.setattr(realcli, "_ENVIRON", environ | {"CODEX_SAYS": CODEX, "CLAUDE_SAYS": CLAUDE})
    return tmp_path


def test_many_at_once_install_once(world: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(installed, [world / "cache"] * 4))
    assert len(found) == 1
    assert all(program.is_file() for program in found.pop())
    assert (world / "count").read_text() == "x"


def test_a_failure_is_an_error_and_leaves_nothing(world: Path) -> None:
    (world / "bin" / "npm").write_text("#!/bin/sh\necho ENOTFOUND >&2\nexit 1\n")
    with pytest.raises(InstallError, match="ENOTFOUND"):
        installed(world / "cache")
    assert [p.suffix for p in (world / "cache").iterdir()] == [".lock"]


def test_a_missing_npm_is_an_error(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realcli, "_ENVIRON", {"PATH": str(world / "nowhere")})
    with pytest.raises(InstallError, match="npm"):
        installed(world / "cache")


def test_another_version_is_an_error(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realcli, "_ENVIRON", realcli._ENVIRON | {"CLAUDE_SAYS": "9.9.9"})
    with pytest.raises(InstallError, match=r"9\.9\.9"):
        installed(world / "cache")


def test_no_test_of_theirs_lets_itself_off() -> None:
    """Neither a mark nor a call that skips is anywhere in what `-m realcli` runs."""
    files = [p for p in Path(__file__).parent.rglob("*.py") if "realcli" in p.read_text(encoding="utf-8")]
    assert len(files) > 3
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = node.attr if isinstance(node, ast.Attribute) else ""
            assert name not in {"skip", "skipif", "xfail", "importorskip"}, f"{path.name}:{getattr(node, 'lineno', 0)}"
