"""What surrounds a call: the framework's environment, file names, time."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from zwarm_ci.errors import InterruptedRunError
from zwarm_ci.hook.asked import inside, leave_framework, letting_go
from zwarm_ci.proc import run
from zwarm_ci.scrub import child_env
from zwarm_ci.stop import STOP, stoppable


def test_the_frameworks_own_environment_is_left_and_a_persons_is_not(tmp_path: Path) -> None:
    bins = os.fspath(Path(sys.prefix, "bin"))
    within = {"PRE_COMMIT": "1", "VIRTUAL_ENV": sys.prefix, "PATH": f"{bins}:/usr/bin"}
    leave_framework(within)
    assert within == {"PRE_COMMIT": "1", "PATH": "/usr/bin"}
    for own in (
        {"VIRTUAL_ENV": sys.prefix, "PATH": bins},
        {"PRE_COMMIT": "1", "VIRTUAL_ENV": str(tmp_path), "PATH": bins},
    ):
        given = dict(own)
        leave_framework(given)
        assert given == own


def test_names_are_those_below_the_top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "r" / "sub").mkdir(parents=True)
    (tmp_path / "r" / "link").symlink_to("sub")
    monkeypatch.chdir(tmp_path / "r" / "sub")
    assert list(inside(tmp_path / "r", ["a.py", "../b.py", "../../c.py", "../link", "/etc/passwd"])) == [
        "sub/a.py",
        "b.py",
        "link",
    ]


def test_when_its_time_is_over_every_wait_ends(tmp_path: Path) -> None:
    with stoppable(), pytest.raises(InterruptedRunError) as caught, letting_go(0.2):
        run(["sleep", "600"], cwd=tmp_path, env=child_env())
    assert caught.value.signum == signal.SIGALRM


def test_what_ends_in_time_is_let_be(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGALRM)
    with stoppable(), letting_go(600):
        assert run(["true"], cwd=tmp_path, env=child_env()).ok
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert not STOP.signum
