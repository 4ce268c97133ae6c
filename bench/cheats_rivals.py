"""Today's tamper checkers on the same patches, with their defaults, in an environment of the bench's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

PACKAGES = ("arma-veto==0.1.0", "agent-guard-hooks==0.7.0", "verifypatch==0.2.0")
RIVALS = ("arma-veto", "agent-guard-hooks", "verifypatch")
_LIMIT = 120.0


def install(folder: Path) -> tuple[Path | None, dict[str, str]]:
    """Their environment's `bin`, and for each that could not be had why."""
    made = _run([sys.executable, "-m", "venv", str(folder)], Path.cwd())
    if made.returncode:
        return None, dict.fromkeys(RIVALS, _last(made))
    python = str(folder / "bin" / "python")
    lacking = {}
    for package in PACKAGES:
        done = _run([python, "-m", "pip", "install", "-q", package, "pytest"], folder)
        if done.returncode:
            lacking[package.partition("==")[0]] = _last(done)
    return folder / "bin", lacking


def accepts(bins: Path, rival: str, repo: Path, base: str, head: str) -> bool:
    """Whether a rival lets the difference of two commits pass; `repo` is a checkout of `base`, and of `head` afterwards."""
    return {"arma-veto": _arma, "agent-guard-hooks": _guard, "verifypatch": _verifypatch}[rival](bins, repo, base, head)


def _arma(bins: Path, repo: Path, base: str, head: str) -> bool:
    patch = _git(repo, "diff", base, head)
    return _run([str(bins / "arma-veto")], repo, stdin=patch).returncode != 1


def _guard(bins: Path, repo: Path, base: str, head: str) -> bool:
    """Its hooks: a snapshot when the session starts, the stop, and its two scans of the files that were written."""
    state = {"HOME": str(repo.parent / "guard-home")}
    Path(state["HOME"]).mkdir(exist_ok=True)
    program = str(bins / "agent-guard")
    asked = json.dumps({"session_id": "bench", "cwd": str(repo)}).encode()
    _git(repo, "checkout", "-q", base)
    _run([program, "hook-snapshot"], repo, stdin=asked, env=state)
    _git(repo, "checkout", "-q", head)
    if _run([program, "hook-test"], repo, stdin=asked, env=state).returncode == 2:
        return False
    shown = _git(repo, "diff", "--name-only", "-z", "--diff-filter=d", base, head).decode(errors="replace").split("\0")
    files = [f for f in shown if f and (repo / f).is_file()]
    for words in (("cheatsniff", "--check"), ("tamper-check",)):
        if files and _run([program, *words, *files], repo, env=state).returncode in {1, 2}:
            return False
    return True


def _verifypatch(bins: Path, repo: Path, base: str, head: str) -> bool:
    """0 = its analysis is complete and no policy blocks; its own exit code decides, whatever pytest said."""
    _git(repo, "checkout", "-q", head)
    out = repo.parent / "verifypatch"
    words = [
        "check",
        "--base",
        base,
        "--head",
        head,
        "--json-out",
        f"{out}.json",
        "--md-out",
        f"{out}.md",
        "--timeout",
        "60",
    ]
    path = f"{bins}{os.pathsep}{os.environ['PATH']}"
    return _run([str(bins / "verifypatch"), *words], repo, env={"PATH": path}).returncode == 0


def _git(repo: Path, *words: str) -> bytes:
    return _run(["git", *words], repo).stdout


def _run(
    argv: list[str], cwd: Path, stdin: bytes = b"", env: Mapping[str, str] = MappingProxyType({})
) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            argv, cwd=cwd, env={**os.environ, **env}, input=stdin, capture_output=True, check=False, timeout=_LIMIT
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(argv, 124, b"", b"time limit")


def _last(done: subprocess.CompletedProcess[bytes]) -> str:
    return (done.stderr.decode(errors="replace").strip().splitlines() or ["?"])[-1]
