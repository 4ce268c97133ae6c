"""What a session leaves running, and what the loop makes of all that was seen of a turn."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance.judge import FILES, FIXED
from tests.fakes.executor import Scripted
from tests.support import Repo
from tests.test_bystanders import Scene
from tests.test_bystanders import here as here  # noqa: PLC0414 - a fixture
from tests.test_bystanders import outside as outside  # noqa: PLC0414 - a fixture
from tests.test_judge import Bench
from tests.test_loop import solved
from zwarm_ci import reap
from zwarm_ci.bystanders import Seen, Turn
from zwarm_ci.executors.base import Report
from zwarm_ci.proc import run_lines
from zwarm_ci.suspicion import believed, tampered
from zwarm_ci.verdict import Verdict


def supervised(worktree: Path, code: str) -> tuple[str, ...]:
    """What a supervised command that ends by itself leaves running."""
    return run_lines(
        [sys.executable, "-c", code], cwd=worktree, env=dict(os.environ), timeout=60, silence=60, on_line=lambda _: None, supervised=True
    ).left  # fmt: skip


DAEMON = "import subprocess; subprocess.Popen(['sleep', '300'], start_new_session=True, env={})"


def test_a_daemon_is_ended_and_told(here: Scene) -> None:
    left: tuple[str, ...] = ()

    def act() -> None:
        nonlocal left
        left = supervised(here.worktree.path, DAEMON)

    before = here.bystanders.begin()
    act()
    assert left == ("sleep",)
    seen = here.bystanders.compare(before, Turn(here.worktree.path, here.worktree.tree(), (), left))
    assert [(f.level, f.detail) for f in seen.findings] == [
        ("review", "left running when the session was over, and ended: sleep")
    ]


def test_what_ends_by_itself_was_not_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reap, "_SETTLE", 60.0)  # a busy machine is slow to end a process
    reader, writer = os.pipe()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as ending:
        found = (ending.pid, reap.start_time(ending.pid))

        def look() -> list[reap.Process]:
            assert ending.stdin is not None
            ending.stdin.close()  # what was asked to end has not yet ended when it is looked at
            return [found] if ending.poll() is None else []

        reap._say_left(writer, look)
    os.close(writer)
    assert os.read(reader, 100) == b""
    os.close(reader)


def test_a_process_that_holds_the_worktree_is_refused(here: Scene) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], cwd=here.worktree.path, stdin=subprocess.PIPE) as held:
        seen = here.after(lambda: None)
        held.kill()
    assert [f.level for f in seen.findings] == ["refuse"]
    assert "still runs in the session's worktree" in seen.findings[0].detail


def test_the_loop_refuses_what_is_refused_and_hands_on_what_is_for_review(tmp_path: Path) -> None:
    bench = Bench(Repo.make(tmp_path / "repo", FILES), tmp_path)
    hook, note = bench.user.git_dir / "hooks/pre-commit", bench.user.top / "note.md"

    def plants(tree: Path) -> None:
        (tree / "calc.py").write_text(FIXED)
        hook.write_text("#!/bin/sh\n")

    def works(tree: Path) -> Report:
        (tree / "calc.py").write_text(FIXED)
        note.write_text("mine")
        return Report("completed", "done", "model", left=("redis-server",))

    end = solved(bench, Scripted([plants]), turns=1, sessions=1)
    assert (end.outcome.status, end.tree) == ("tampered", "")
    assert end.outcome.reason == "hooks or settings of the user's repository were changed: .git/hooks/pre-commit"
    assert [f.path for f in end.outcome.review] == [".git/hooks/pre-commit"]
    end = solved(bench, Scripted([works]), turns=1, sessions=1)
    assert end.outcome.status == "fixed"
    assert [(f.level, f.path) for f in end.outcome.review if f.guard == "bystanders"] == [
        ("review", "note.md"),
        ("review", ""),
    ]


def test_what_was_spoiled_before_or_while_it_was_judged_is_not_believed(here: Scene) -> None:
    here.bystanders.begin()
    good = Verdict("fixed", "green", evidence="{}")
    assert believed(good, Seen(()), here.bystanders) == good
    (here.site / "a.pth").write_text("import x\n")
    late = believed(good, Seen(()), here.bystanders)
    assert (late.status, late.evidence) == ("unverifiable", "")
    assert late.reason.startswith("environment: ")
    earlier = tampered((), Seen((), late.reason))
    assert earlier is not None
    assert earlier.status == "unverifiable"
