"""From `init` to a commit and a push that are refused and taken, by git and the program itself; then out again."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.hook_native.native import script, usual_path
from tests.support import IDENTITY, Repo, belongings, zwarm

SETTINGS = '[checks.number]\nrun = "python check.py"\nfiles = ["*.txt", "*.py"]\n[hook]\nseconds = 300\n'
CHECK = "import pathlib, sys\nsys.exit(pathlib.Path('number.txt').read_text() != '1\\n')\n"
#: Split, so that nobody takes this file's for one.
TOKEN = "ghp_" + "1Qw2Er3Ty4Ui5Op6As7Df8Gh9Jk0Lz1Xc2Vb"


def git(repo: Repo, *args: str) -> subprocess.CompletedProcess[str]:
    """Git as a user starts it, without zwarm-ci on PATH: the hook knows where it was."""
    env = {**os.environ, **IDENTITY, "PATH": usual_path()}
    return subprocess.run(
        ["git", *args], cwd=repo.path, env=env, capture_output=True, text=True, check=False, timeout=120
    )


def test_from_the_set_up_to_a_push_and_out_again(tmp_path: Path) -> None:
    repo = Repo.make(tmp_path / "r", {"number.txt": "1\n", "check.py": CHECK, ".zwarm/config.toml": SETTINGS})
    repo.git("init", "-q", "--bare", "../remote.git")
    repo.git("remote", "add", "origin", "../remote.git")
    script(repo.path / ".git/hooks/pre-push", '#!/bin/sh\ncat >>"$(dirname "$0")/../said"\n')
    before = belongings(repo.path)
    said = zwarm("init", "--hooks", "native", "--ci", "none", "--yes", "-q", cwd=repo.path)
    assert said.code == 0, said.err

    repo.write({"number.txt": "2\n"})
    red = git(repo, "commit", "-qam", "red")
    assert red.returncode == 1
    assert "number is red" in red.stderr
    repo.write({"number.txt": "1\n", "notes.md": "more\n"})
    repo.git("add", "-A", ":!.zwarm")
    assert git(repo, "commit", "-qm", "notes").returncode == 0

    repo.write({"key.md": f"token = {TOKEN}\n"})
    repo.git("add", "key.md")
    repo.git("commit", "-q", "--no-verify", "-m", "key")
    refused = repo.git("rev-parse", "HEAD")
    done = git(repo, "push", "-q", "origin", "main")
    assert done.returncode == 1, done.stderr
    assert "key.md:1: looks like a credential" in done.stderr
    assert TOKEN not in done.stderr
    assert (repo.path / ".git/said").read_text().split()[1] == refused
    repo.git("reset", "-q", "--hard", "HEAD~1")
    assert git(repo, "push", "-q", "origin", "main").returncode == 0

    assert zwarm("init", "--remove", "--yes", cwd=repo.path).code == 0
    after = belongings(repo.path)
    assert {n for n in before if n.startswith((".git/hooks", ".git/config")) and before[n] != after.get(n)} == set()
    repo.write({"number.txt": "2\n"})
    assert git(repo, "commit", "-qam", "red").returncode == 0
