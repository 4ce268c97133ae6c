"""Repositories with our hooks, called as git and the hook framework call them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml

from tests.support import IDENTITY, Repo, Said

ROOT = Path(__file__).parents[2]
APP = {
    "app.py": "def one():\n    return 1\n",
    "test_app.py": "from app import one\n\n\ndef test_one():\n    assert one() == 1\n",
}
TESTS = '[checks.tests]\nrun = "python -m pytest -q -p no:cacheprovider"\n'
LINT = '[checks.lint]\nrun = "ruff check ."\n'
#: Long enough for a machine that is busy with other things; what a limit does has tests of its own.
PATIENT = "[hook]\nseconds = 600\n"
#: A token by its look, and none by its making; split, so that no file has it as a whole.
TOKEN = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"


def make(path: Path, config: str = TESTS, files: dict[str, str] | None = None) -> Repo:
    """A repository whose settings are `config`, with one commit."""
    config += "" if "[hook]" in config else PATIENT
    return Repo.make(path, {**(APP if files is None else files), ".zwarm/config.toml": config})


def manifest() -> list[dict[str, object]]:
    """Our four hooks as the framework reads them."""
    found = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert isinstance(found, list)
    return found


def framework(repo: Repo, *ids: str, stages: tuple[str, ...] = ("pre-commit", "pre-push"), **more: object) -> None:
    """Install the hook framework with hooks of ours, each as our manifest has it but for where the program comes from."""
    hooks = [{**hook, "language": "system", **more} for hook in manifest() if hook["id"] in ids]
    assert len(hooks) == len(ids)
    repo.commit("hooks", {".pre-commit-config.yaml": yaml.safe_dump({"repos": [{"repo": "local", "hooks": hooks}]})})
    for stage in stages:
        pre_commit(repo.path, "install", "-t", stage)


def pre_commit(cwd: Path, *args: str, **env: str) -> Said:
    """The hook framework itself."""
    return said(["pre-commit", *args], cwd, **env)


def git(cwd: Path, *args: str, **env: str) -> Said:
    """A git command that may fail, with an identity."""
    return said(["git", *args], cwd, **IDENTITY, **env)


def hook(cwd: Path, *args: str, stdin: str = "", **env: str) -> Said:
    """Our hook in a process of its own."""
    return said([sys.executable, "-m", "zwarm_ci", "hook", *args], cwd, stdin=stdin, **env)


def said(argv: list[str], cwd: Path, *, stdin: str = "", **env: str) -> Said:
    done = subprocess.run(
        argv, cwd=cwd, env={**os.environ, **env}, input=stdin, capture_output=True, text=True, errors="replace", check=False, timeout=300,
    )  # fmt: skip
    return Said(done.returncode, done.stdout, done.stderr)


def native(repo: Repo, stage: str, words: str = "") -> None:
    """A hook of git's own that does nothing but call ours."""
    file = Path(repo.git("rev-parse", "--path-format=absolute", "--git-common-dir"), "hooks", stage)
    file.parent.mkdir(exist_ok=True)
    file.write_text(f'#!/bin/sh\nexec zwarm-ci hook {stage} {words} "$@"\n')
    file.chmod(0o755)


def bare(path: Path, repo: Repo) -> Path:
    """An empty repository to push to, known as `origin`."""
    subprocess.run(["git", "init", "-q", "--bare", str(path)], check=True)
    repo.git("remote", "add", "origin", str(path))
    return path
