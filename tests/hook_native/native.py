"""A repository with native hooks of ours and a stand-in for zwarm-ci that notes how it was called."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import IDENTITY, Repo
from zwarm_ci import init
from zwarm_ci.git import open_repository

#: Notes its arguments, its folder and its input, and ends as `$CODE` says.
STAND_IN = """#!/bin/sh
{ printf '%s|' "$@"; printf '%s\\n' "$PWD"; if [ "$2" = pre-push ]; then sed 's/^/stdin /'; fi; } >>"$CALLS"
exit "${CODE:-0}"
"""


@dataclass
class Native:
    """One repository, the stand-in on PATH, and what was called in it."""

    repo: Repo
    bin: Path
    calls: Path
    env: dict[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, tmp_path: Path) -> Native:
        repo = Repo.make(tmp_path / "r", {"a.txt": "1\n"})
        made = cls(repo, tmp_path / "bin", tmp_path / "calls")
        made.bin.mkdir()
        script(made.bin / "zwarm-ci", STAND_IN)
        made.env = {
            "PATH": f"{made.bin}{os.pathsep}{usual_path()}",
            "CALLS": str(made.calls),
            "HOME": str(tmp_path),
            **IDENTITY,
        }
        return made

    def install(self) -> init.Plan:
        """Write the hooks as `init --hooks native` does."""
        user = open_repository(self.repo.path)
        plan = init.plan(user, init.Wish("native", "none"), (), "")
        init.do(plan, user)
        return plan

    def remove(self) -> init.Removal:
        """Take them out again."""
        user = open_repository(self.repo.path)
        found = init.removal(user)
        init.take_out(found, user)
        return found

    def git(self, *args: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        """Git as a user starts it, with the stand-in on PATH and a HOME of its own."""
        whole: Mapping[str, str] = {**self.env, **env}
        return subprocess.run(
            ["git", *args],
            cwd=cwd or self.repo.path,
            env=whole,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def commit(self, message: str = "more", **env: str) -> subprocess.CompletedProcess[str]:
        """Change a file and commit it."""
        file = self.repo.path / "a.txt"
        file.write_text(file.read_text() + "x\n")
        return self.git("commit", "-qam", message, cwd=None, **env)

    def called(self) -> list[str]:
        """What the stand-in and hooks of somebody's noted since the last time."""
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        self.calls.unlink(missing_ok=True)
        return lines


def script(path: Path, text: str) -> None:
    """A program of a few lines of shell."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def usual_path() -> str:
    """PATH with git and the usual programs, without any zwarm-ci."""
    git = shutil.which("git")
    assert git, "git is needed"
    places = dict.fromkeys((str(Path(git).parent), "/usr/bin", "/bin"))
    return os.pathsep.join(p for p in places if not Path(p, "zwarm-ci").exists())
