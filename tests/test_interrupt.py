"""^C at any moment: the repository is as it was, nothing of ours is alive, the exit code says who ended it."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import Repo, belongings
from tests.test_run import GOOD, shop
from zwarm_ci import proc
from zwarm_ci.budget import Ledger
from zwarm_ci.conclude import Facts, conclude
from zwarm_ci.reports import junit
from zwarm_ci.task import Failure, Task
from zwarm_ci.verdict import TaskOutcome

Moment = Callable[["subprocess.Popen[str]"], object]


def after(seconds: float) -> Moment:
    """So long after it was started, or when it has ended."""

    def wait(child: subprocess.Popen[str]) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(seconds)

    return wait


def in_the_middle(repo: Repo) -> Moment:
    """When the first check is under way: how long that takes is the machine's business."""

    def wait(child: subprocess.Popen[str]) -> None:
        while child.poll() is None and not list(repo.path.glob(".zwarm/runs/2*/journal.jsonl")):
            time.sleep(0.02)
        after(0.5)(child)

    return wait


def interrupted(repo: Repo, moment: Moment, signum: signal.Signals, tag: str) -> tuple[int, str]:
    child = subprocess.Popen(
        [sys.executable, "-m", "zwarm_ci", "fix-tests", "--branch", "zw/cut", "--set", "verify.burn_in=1", "-q"],
        cwd=repo.path, env={**os.environ, proc.TAG: tag}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    moment(child)
    if child.poll() is None:
        child.send_signal(signum)
    _, err = child.communicate(timeout=60)
    return child.returncode, err


def scratch_folders() -> set[str]:
    return {p.name for p in Path(os.environ["TMPDIR"]).glob("zw-*")}


def hold(repo: Repo, moment: Moment, signum: signal.Signals, number: int) -> int:
    """One interruption and everything that must hold after it."""
    tag = f"zw.test{os.getpid()}-{number}"
    before = belongings(repo.path)
    code, err = interrupted(repo, moment, signum, tag)
    if code not in {
        0,
        128 + signum,
    }:  # so early that Python was still starting or importing: `main()` had not been called
        assert "main()" not in err, err
        assert code in {-signum, 1}, err
    else:
        assert "Traceback" not in err, err
    assert belongings(repo.path, but=("zw/cut",)) == before
    assert proc.tagged(tag) == []
    assert scratch_folders() == set()
    repo.git("fsck", "--strict")
    if repo.git("for-each-ref", "refs/heads/zw/cut"):
        assert "cents - cents" in repo.files("zw/cut")["shop.py"], "a branch is there whole or not at all"
        repo.git("update-ref", "-d", "refs/heads/zw/cut")
    return code


CHECK = '[checks.tests]\nrun = "sh tests/check.sh"\nkind = "generic"\n'


def stir(made: Repo) -> Repo:
    """Something in every place of the user's: stash, index, working tree, untracked and ignored files."""
    made.write(
        {"notes.txt": "untracked\n", "secret/x": "ignored\n", "shop.py": made.files("HEAD")["shop.py"] + "\n# edited\n"}
    )
    made.git("stash", "-q")
    made.write({"README.md": "staged\n"})
    made.git("add", "README.md")
    return made


@pytest.fixture(autouse=True)
def _own_scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_the_middle_ends_it_cleanly(tmp_path: Path, signum: signal.Signals) -> None:
    repo = stir(shop(tmp_path / "shop"))
    assert hold(repo, in_the_middle(repo), signum, 0) == 128 + signum
    outcome = (repo.path / ".zwarm/runs/latest/outcome.json").read_text()
    assert '"status": "interrupted"' in outcome


def test_the_record_names_the_tasks_that_were_cut_off() -> None:
    task = Task("tests-1", "t", "0" * 16, "tests", (Failure("tests", "t::a", "boom"),))
    done = replace(task, id="tests-2")
    facts = Facts("r", "fix-tests", "0" * 40, "0" * 40, Ledger(), planned=(task, done))
    facts.tasks = (TaskOutcome(done, "fixed", "revert"),)
    outcome = conclude(facts, interrupted=130)
    assert {t.task.id: t.status for t in outcome.tasks} == {"tests-2": "fixed", "tests-1": "interrupted"}
    assert 'failures="1"' in junit.render(outcome)


@pytest.mark.slow
def test_50_random_moments(tmp_path: Path) -> None:
    """The check is a shell script, so that a run is short and its seams, not pytest, are what the moments hit."""
    made = Repo.make(tmp_path / "shop", {"shop.py": GOOD, ".gitignore": "secret/\n", ".zwarm/config.toml": CHECK})
    made.commit("a check", {"tests/check.sh": 'grep -q "cents - cents" shop.py\n'})
    made.commit("break it", {"shop.py": GOOD.replace("cents - cents", "cents + cents"), "README.md": "shop\n"})
    repo = stir(made)
    started = time.monotonic()
    assert hold(repo, after(600), signal.SIGINT, 0) == 0
    whole = time.monotonic() - started
    chance = random.Random(20260101)
    moments = 0
    for number in range(
        1, 301
    ):  # a run that was over before its moment came does not count, nor one that had not begun
        moments += hold(repo, after(chance.uniform(0, whole)), signal.SIGINT, number) == 130
        if moments == 50:
            return
    pytest.fail(f"only {moments} of 300 runs were interrupted")
