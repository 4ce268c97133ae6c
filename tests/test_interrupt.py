"""^C at any moment: the repository is as it was, nothing of ours is alive, the exit code says who ended it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import Repo, belongings
from tests.test_run import shop
from zwarm_ci import proc


def interrupted(repo: Repo, after: float, signum: signal.Signals, tag: str) -> tuple[int, str]:
    child = subprocess.Popen(
        [sys.executable, "-m", "zwarm_ci", "fix-tests", "--branch", "zw/cut", "--set", "verify.burn_in=1", "-q"],
        cwd=repo.path, env={**os.environ, proc.TAG: tag}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        child.wait(after)
    except subprocess.TimeoutExpired:
        child.send_signal(signum)
    _, err = child.communicate(timeout=60)
    return child.returncode, err


def scratch_folders() -> set[str]:
    return {p.name for p in Path(os.environ["TMPDIR"]).glob("zw-*")}


def hold(repo: Repo, after: float, signum: signal.Signals, number: int) -> int:
    """One interruption and everything that must hold after it."""
    tag = f"zw.test{os.getpid()}-{number}"
    before = belongings(repo.path)
    code, err = interrupted(repo, after, signum, tag)
    assert code in {0, 128 + signum}, err
    assert "Traceback" not in err
    assert belongings(repo.path, but=("zw/cut",)) == before, f"after {after:.2f} s"
    assert proc.tagged(tag) == []
    assert scratch_folders() == set()
    repo.git("fsck", "--strict")
    if repo.git("for-each-ref", "refs/heads/zw/cut"):
        assert "cents - cents" in repo.files("zw/cut")["shop.py"], "a branch is there whole or not at all"
        repo.git("update-ref", "-d", "refs/heads/zw/cut")
    return code


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repo:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    made = shop(tmp_path / "shop")
    made.write(
        {"notes.txt": "untracked\n", "secret/x": "ignored\n", "shop.py": made.files("HEAD")["shop.py"] + "\n# edited\n"}
    )
    made.git("stash", "-q")
    made.write({"README.md": "staged\n"})
    made.git("add", "README.md")
    return made


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_ends_it_cleanly(repo: Repo, signum: signal.Signals) -> None:
    assert hold(repo, 2.5, signum, 0) == 128 + signum
    outcome = (repo.path / ".zwarm/runs/latest/outcome.json").read_text()
    assert '"status": "interrupted"' in outcome


@pytest.mark.slow
def test_50_random_moments(repo: Repo) -> None:
    started = time.monotonic()
    assert hold(repo, 600, signal.SIGINT, 0) == 0
    whole = time.monotonic() - started
    chance = random.Random(20260101)
    codes = [hold(repo, chance.uniform(0, whole), signal.SIGINT, n) for n in range(1, 51)]
    assert codes.count(130) >= 40
