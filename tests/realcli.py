"""The real command lines at the versions that the suite is written for, from npm into a cache outside the repository.

What cannot be installed fails the test that needs it; nothing is skipped.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

CODEX = "0.169.0"
CLAUDE = "2.1.197"
_PACKAGES = (f"@openai/codex@{CODEX}", f"@anthropic-ai/claude-code@{CLAUDE}")
# Read before any test hides the user's home and settings.
_ENVIRON = dict(os.environ)
_CACHE = Path(
    _ENVIRON.get("ZWARM_CI_TEST_CACHE")
    or Path(_ENVIRON.get("XDG_CACHE_HOME") or Path.home() / ".cache", "zwarm-ci-tests")
)
_INSTALL_SECONDS = 900.0  # some 600 MB come over the network


class Clis(NamedTuple):
    """The two programs."""

    codex: Path
    claude: Path


class InstallError(Exception):
    """npm did not bring what was asked for; the message has its words."""


def installed(cache: Path | None = None) -> Clis:
    """Both programs, installed once for all test processes.

    Raises:
        InstallError: npm failed, or what it installed is of another version.
    """
    cache = cache or _CACHE
    folder = cache / f"codex-{CODEX}_claude-{CLAUDE}"
    cache.mkdir(parents=True, exist_ok=True)
    with _alone(folder.with_name(f"{folder.name}.lock")):
        if not folder.is_dir():
            _install(folder)
    return _programs(folder)


def _programs(folder: Path) -> Clis:
    programs = folder / "node_modules" / ".bin"
    return Clis(programs / "codex", programs / "claude")


def _install(folder: Path) -> None:
    """All or nothing: the folder gets its name when the programs in it have answered."""
    made = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        (made / "package.json").write_text('{"private": true}\n', encoding="utf-8")
        _run(["npm", "install", "--no-audit", "--no-fund", "--no-progress", *_PACKAGES], made)
        # npm may be told to run no scripts; this one puts the platform's program in its place.
        _run(["node", "install.cjs"], made / "node_modules" / "@anthropic-ai" / "claude-code")
        for program, version in zip(_programs(made), (CODEX, CLAUDE), strict=True):
            _is(program, version)
        made.rename(folder)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def _is(program: Path, version: str) -> None:
    said = _run([str(program), "--version"], program.parent)
    if version not in said:
        raise InstallError(f"{program.name} says it is {said!r}, not {version}")


def _run(argv: list[str], cwd: Path) -> str:
    try:
        done = subprocess.run(
            argv,
            cwd=cwd,
            env=_ENVIRON,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_INSTALL_SECONDS,
        )
    except OSError as error:
        raise InstallError(f"{argv[0]}: {error}") from error
    if done.returncode:
        raise InstallError(f"{argv} ended with {done.returncode}: {done.stderr or done.stdout}")
    return done.stdout.strip()


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
