"""`init` shows, asks, writes, does nothing twice, ends with the checks; `--remove` puts everything back byte for byte."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import Repo, Said, belongings, zwarm
from zwarm_ci import shims
from zwarm_ci.init.framework import FILE
from zwarm_ci.init.workflow import GITHUB

FOREIGN = "#!/bin/sh\n# mine\nexit 0\n"
CONFIG = "# ours\nrepos:\n  - repo: local  # here\n    hooks:\n      - id: a\n        name: a\n        entry: 'true'\n        language: system\n"
SMALL = ("--set", 'checks.quick.run="true"', "-q")  # a check that takes no time
ALL = ("--hooks", "native", "--ci", "github", "--executor", "embedded,codex:mini", "--yes", *SMALL)


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A repository whose one test is red, with a hook and a configuration of somebody's."""
    made = Repo.make(tmp_path / "r", {"test_a.py": "def test_a():\n    assert 1 == 2\n", FILE: CONFIG})
    hook = made.path / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(FOREIGN)
    hook.chmod(0o750)
    return made


def init(repo: Repo, *args: str) -> Said:
    return zwarm("init", *args, cwd=repo.path)


def test_without_a_terminal_and_without_yes_it_shows_and_writes_nothing(repo: Repo) -> None:
    before = belongings(repo.path)
    said = init(repo, "--hooks", "native", "--ci", "github", *SMALL)
    assert said.code == 1
    assert said.err.splitlines()[-1] == "zwarm-ci: nothing was written; there is no terminal to ask at (say --yes)"
    for line in (
        ".git/hooks/pre-commit.before-zwarm-ci: what is there now, unchanged",
        f"    +++ {GITHUB}",
        "    +name: zwarm-ci",
    ):
        assert line in said.out.splitlines(), line
    assert belongings(repo.path) == before
    assert not (repo.path / ".zwarm").exists()


@pytest.mark.parametrize(("answer", "code", "written"), [("y\n", 0, True), ("n\n", 1, False)])
def test_on_a_terminal_it_asks(repo: Repo, answer: str, code: int, *, written: bool) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, answer.encode())
    command = [sys.executable, "-m", "zwarm_ci", "init", "--hooks", "native", "--ci", "none", *SMALL]
    done = subprocess.run(
        command, cwd=repo.path, stdin=theirs, capture_output=True, text=True, check=False, timeout=120
    )
    os.close(ours)
    os.close(theirs)
    assert (done.returncode, (repo.path / ".git/hooks/pre-push").exists()) == (code, written), done.stderr
    assert "Write this? [y/N]" in done.stderr


def test_everything_and_back_byte_for_byte(repo: Repo) -> None:
    before = belongings(repo.path)
    said = init(repo, *ALL)
    assert said.code == 0, said.err
    for stage in shims.STAGES:
        hook = repo.path / ".git/hooks" / stage
        assert shims.is_ours(hook.read_bytes(), stage)
        assert hook.stat().st_mode & 0o777 == 0o755
    assert (repo.path / ".git/hooks/pre-commit.before-zwarm-ci").read_text() == FOREIGN
    assert 'ladder = ["embedded", "codex:mini"]' in (repo.path / ".zwarm/config.toml").read_text()
    assert "0123456789abcdef" in said.out.rpartition("Next: ")[2]
    assert init(repo, "--remove", "--yes").code == 0
    assert belongings(repo.path) == before
    assert not (repo.path / ".zwarm").exists()


def test_a_second_time_there_is_nothing_to_do(repo: Repo) -> None:
    assert init(repo, *ALL).code == 0
    before = belongings(repo.path)
    said = init(repo, *ALL)
    assert said.code == 0
    assert "Nothing to do: what was asked for is in place." in said.out.splitlines()
    assert "Would be written" not in said.out
    assert belongings(repo.path) == before


def test_it_ends_with_the_checks_and_what_a_first_repair_would_do_and_cost(repo: Repo) -> None:
    said = init(
        repo, "--hooks", "none", "--ci", "none", "-q", "--set", f'checks.tests.run="{sys.executable} -m pytest"'
    )
    assert said.code == 0, said.err
    *_, ran, _, last = said.out.splitlines()
    assert ran == "tests: 0 passed, 1 failed: test_a.py::test_a"
    assert (
        last
        == "A first `zwarm-ci fix-tests` would repair what is red (1 in all), by embedded, within 60 minutes; cost at most $0.00."
    )


def test_remove_shows_first_and_needs_consent(repo: Repo) -> None:
    assert init(repo, *ALL).code == 0
    before = belongings(repo.path)
    said = init(repo, "--remove")
    assert said.code == 1
    assert said.err == "zwarm-ci: nothing was changed; there is no terminal to ask at (say --yes)\n"
    assert ".git/hooks/pre-commit: again what was there before, from .git/hooks/pre-commit.before-zwarm-ci" in said.out
    assert belongings(repo.path) == before


def test_remove_where_nothing_was_installed(repo: Repo) -> None:
    said = init(repo, "--remove")
    assert (said.code, said.out, said.err) == (0, "Nothing to do: nothing of ours is here.\n", "")


def test_what_a_paid_rung_would_cost_at_most(repo: Repo) -> None:
    stand_in = repo.path.parent / "codex"
    stand_in.write_text("#!/bin/sh\n")
    stand_in.chmod(0o755)
    wish = ("--hooks", "none", "--ci", "none", "--executor", "embedded,codex:mini", "--yes", "-q")
    limit = ("--set", "budget.usd=1.5", *SMALL[:2])
    said = zwarm("init", *wish, *limit, cwd=repo.path, ZWARM_CI_CODEX=str(stand_in), OPENAI_API_KEY="sk-nobody")
    assert said.code == 0, said.err
    assert "by embedded → codex:gpt-5.1-codex-mini, within 60 minutes; cost at most $1.50." in said.out.splitlines()[-1]
    assert "sk-nobody" not in said.out + said.err


def test_what_is_left_undone_is_said_and_ends_with_1(repo: Repo) -> None:
    hook = repo.path / ".git/hooks/pre-push"
    hook.write_text('#!/bin/sh\nexec all-hooks "$(basename "$0")"\n')
    said = init(repo, "--hooks", "native", "--ci", "github", "--yes", *SMALL)
    assert said.code == 1
    assert ".git/hooks/pre-push: it asks for its own name" in said.err
    assert [
        line for line in said.err.splitlines() if line.startswith("zwarm-ci: left undone: ")
    ] == said.err.splitlines()
    repo.write({GITHUB: "on: push\n"})
    said = init(repo, "--remove", "--yes")
    assert said.code == 1
    assert said.err == f"zwarm-ci: left: {GITHUB}: changed since it was written, so it is left as it is\n"


def test_where_there_is_nothing_to_check(tmp_path: Path) -> None:
    repo = Repo.make(tmp_path / "r", {"a.txt": ""})
    said = init(repo, "--hooks", "none", "--ci", "github", "--yes", "-q")
    assert said.code == 1
    assert f"left undone: {GITHUB}: no check was found" in said.err
    assert said.out.splitlines()[-1].startswith("No check ran (")
    assert not (repo.path / GITHUB).exists()


def test_a_ladder_that_nobody_knows_is_refused_before_anything_is_written(repo: Repo) -> None:
    before = belongings(repo.path)
    said = init(repo, "--executor", "codec", "--yes")
    assert (said.code, said.out) == (2, "")
    assert "unknown executor codec" in said.err
    assert belongings(repo.path) == before


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (("--remove", "--ci", "github"), "--remove takes everything out (leave"),
        (("--executor", " , "), "--executor is empty (name rungs"),
        (("--hooks", "husky"), "'husky' is not one of"),
    ],
)
def test_wrong_usage_is_one_line_with_the_remedy(repo: Repo, args: tuple[str, ...], why: str) -> None:
    said = init(repo, *args)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert why in said.err


def test_outside_of_a_repository(tmp_path: Path) -> None:
    said = zwarm("init", cwd=tmp_path)
    assert said.code == 4
    assert "is not in a git repository (run it inside one, or pass -C DIR)" in said.err
