"""Real repositories in temporary folders, the command line as a user runs it, and a fingerprint of everything of the user's."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_AUTHOR_DATE": "2026-01-01T12:00:00+0000",
    "GIT_COMMITTER_DATE": "2026-01-01T12:00:00+0000",
}


@dataclass(frozen=True)
class Repo:
    """A git repository in a temporary folder."""

    path: Path

    @classmethod
    def make(cls, path: Path, files: Mapping[str, str] | None = None, branch: str = "main") -> Repo:
        path.mkdir(parents=True)
        repo = cls(path)
        repo.git("init", "-q", "-b", branch)
        if files:
            repo.commit("first", files)
        return repo

    def git(self, *args: str, **env: str) -> str:
        done = subprocess.run(
            ["git", *args],
            cwd=self.path,
            env={**os.environ, **IDENTITY, **env},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (args, done.stderr)
        return done.stdout.rstrip("\n")

    def write(self, files: Mapping[str, str | bytes]) -> None:
        for name, text in files.items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text if isinstance(text, bytes) else text.encode())

    def commit(self, message: str, files: Mapping[str, str | bytes]) -> str:
        self.write(files)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")

    def files(self, rev: str) -> dict[str, str]:
        return {p: self.git("show", f"{rev}:{p}") for p in self.git("ls-tree", "-r", "--name-only", rev).splitlines()}


@dataclass(frozen=True)
class Said:
    """What a command printed and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        return document


def zwarm(*args: str, cwd: Path, **env: str) -> Said:
    """The command line in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "zwarm_ci", *args], cwd=cwd, env={**os.environ, **env}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, errors="replace", check=False, timeout=300,
    )  # fmt: skip
    return Said(done.returncode, done.stdout, done.stderr)


def belongings(repo: Path, *, but: tuple[str, ...] = ()) -> dict[str, str]:
    """Digest and mode of every file of the user's: the working tree, ignored files too, and of `.git` all but the object store.

    The object store may grow (git finds nothing new by that); refs named in `but` and their logs are left out.
    """
    found: dict[str, str] = {}
    git_dir = repo / ".git"
    for root, folders, names in os.walk(repo):
        if Path(root) == repo and ".zwarm" in folders:
            folders.remove(".zwarm")
        if Path(root) == git_dir:
            folders.remove("objects")
        for name in sorted([*names, *folders]):
            path = Path(root, name)
            shown = path.relative_to(repo).as_posix()
            if any(
                shown.endswith(f"{kind}refs/heads/{b}") or f"/{b.split('/')[0]}" in shown
                for kind in ("", "logs/")
                for b in but
            ):
                continue
            mode = oct(path.lstat().st_mode)
            if path.is_symlink():
                found[shown] = f"{mode} -> {path.readlink()}"
            elif path.is_file():
                found[shown] = f"{mode} {hashlib.sha256(path.read_bytes()).hexdigest()}"
            else:
                found[shown] = mode
    return found
