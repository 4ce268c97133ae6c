"""A cancelled job: the runner's own sequence, to the entry process alone. Nothing goes on afterwards, and the record says what happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.action import shops
from tests.action.runner import ENTRY, Job, push
from zwarm_ci import proc

#: What the runner sends a step's process, and after how many seconds the next.
SEQUENCE = ((signal.SIGINT, 7.5), (signal.SIGTERM, 2.5), (signal.SIGKILL, 0.0))
CONFIG = '[checks.slow]\nrun = "sh slow.sh"\nkind = "generic"\n'
SLOW = "touch began; sleep 300 & sleep 300\n"


def cancel(step: subprocess.Popen[bytes]) -> signal.Signals:
    """End the process as the runner does; the signal that it took."""
    for signum, seconds in SEQUENCE:
        step.send_signal(signum)
        try:
            step.wait(seconds or 60)
        except subprocess.TimeoutExpired:
            continue
        return signum
    raise AssertionError("SIGKILL did not end it")


def began(scratch: Path, step: subprocess.Popen[bytes]) -> bool:
    """Wait until the check is under way."""
    until = time.monotonic() + 60
    while step.poll() is None and time.monotonic() < until:
        if next(scratch.glob("zw-*/**/began"), None):
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize(
    "secret", [{}, {"OPENAI_API_KEY": "sk-canary-of-the-cancelled"}], ids=["free", "with a gateway"]
)
def test_a_cancelled_step_leaves_nothing_running_and_says_so(tmp_path: Path, secret: dict[str, str]) -> None:
    repo = shops.red(tmp_path / "shop", CONFIG)
    repo.commit("slow", {"slow.sh": SLOW})
    scratch, tag = tmp_path / "scratch", f"zw.cancel{os.getpid()}"
    scratch.mkdir()
    job = Job(tmp_path / "job", repo.path, "push", push(repo.git("rev-parse", "HEAD")))
    env = {
        **job.environment({"mode": "fix-checks", "token": "ghs_x", "executor": "embedded"}),
        **secret,
        proc.TAG: tag,
        "TMPDIR": str(scratch),
    }
    with (tmp_path / "log").open("wb") as log:
        step = subprocess.Popen(
            ENTRY, cwd=repo.path, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        assert began(scratch, step), (tmp_path / "log").read_text()
        assert proc.tagged(tag), "the check and what it started are alive"
        assert cancel(step) == signal.SIGINT, "the first one is enough"
    finally:
        if step.poll() is None:
            step.kill()
    done = job.left(step.returncode, (tmp_path / "log").read_text())
    assert done.code == 130
    assert proc.tagged(tag) == []
    assert list(scratch.glob("zw-*")) == [], "worktrees and the private repository are gone"
    assert done.outputs["status"] == "interrupted"
    assert json.loads(Path(done.outputs["outcome"]).read_text())["status"] == "interrupted"
    assert "interrupted" in done.summary
    assert done.log.count("::endgroup::") == 1, "commands are obeyed again"
