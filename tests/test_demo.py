"""The demo as a newcomer runs it: what became of each of its faults, and that nothing else in its repository changed."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.support import Repo, belongings, zwarm
from zwarm_ci.demo import build


@pytest.mark.slow
def test_four_kinds_are_repaired_one_is_flaky_and_two_are_honestly_not_fixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    said = zwarm("demo", "--json", cwd=tmp_path)
    outcome = said.json
    assert (said.code, outcome["status"], outcome["exit_code"]) == (1, "partly_fixed", 1), said.err
    assert Counter(t["status"] for t in outcome["tasks"]) == {"fixed": 4, "flaky": 1, "no_changes": 2}
    assert Counter(t["method"] for t in outcome["tasks"]) == {"fixer": 1, "revert": 2, "template": 1, None: 3}
    assert outcome["reason"] == "2 of 7 tasks remain: 2 no changes"
    assert outcome["cost_usd"] == 0
    unsolved = {i for t in outcome["tasks"] if t["status"] == "no_changes" for i in t["failures"]}
    assert unsolved == {
        "tests/test_allocation.py::test_cents_left_over_go_to_the_largest_remainders",
        "tests/test_receipts.py::test_half_a_cent_goes_down_on_receipts",
    }
    (folder,) = (tmp_path / "tmp").glob("zwarm-ci-demo-*/shop")
    made, again = Repo(folder), Repo(build(tmp_path / "again"))
    branch = outcome["branch"]
    assert made.git("status", "--porcelain", "--ignored") == "!! .zwarm/"
    refs = set(made.git("for-each-ref").splitlines()) - {f"{outcome['head']} commit\trefs/heads/{branch}"}
    assert refs == set(again.git("for-each-ref").splitlines())
    times = {".git/index", ".git/logs/HEAD", ".git/logs/refs/heads/main"}  # of files and of the build itself
    mine, theirs = (belongings(r.path, but=(branch,)) for r in (made, again))
    assert {k: v for k, v in mine.items() if k not in times} == {k: v for k, v in theirs.items() if k not in times}
    assert made.git("diff", "--name-only", "main", branch, "--", "tests", "pyproject.toml") == ""
    assert sorted(p.name for p in (tmp_path / "tmp").iterdir() if not p.name.startswith("zwarm-ci-demo-")) == []


@pytest.mark.slow
def test_a_person_at_a_terminal_sees_it_live(tmp_path: Path) -> None:
    """On a terminal the tasks are shown live on standard error, and the report is coloured; both end with the exit code."""
    ours, theirs = os.openpty()
    child = subprocess.Popen(
        ["zwarm-ci", "demo"],
        cwd=tmp_path,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "TMPDIR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = bytearray()
    with (
        contextlib.suppress(OSError),
        os.fdopen(ours, "rb", buffering=0) as screen,
    ):  # EIO is how a terminal says that it is closed
        while data := screen.read(1 << 16):
            shown += data
    text = shown.decode("utf-8", "replace")
    assert child.wait() == 1
    assert "\x1b[" in text
    assert "embedded: " in text
    assert "suite runs" in text
    assert "partly fixed: 5 of 7 tasks solved (4 fixed, 1 flaky)" in text
