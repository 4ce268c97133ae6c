"""The embedded executor as a process: the conformance suite, its methods in their order, and what it says at the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.executor import conforms, nothing_left
from tests.repair.labs import PYTEST, Workshop, history
from tests.support import Repo
from zwarm_ci import proc
from zwarm_ci.executors import EXECUTORS
from zwarm_ci.executors.base import Order, Report, Workbench
from zwarm_ci.executors.embedded import Embedded
from zwarm_ci.executors.wire import order_text, read_result, result_event
from zwarm_ci.git import open_repository
from zwarm_ci.private import PrivateRepository, Worktree
from zwarm_ci.task import Check, Origin, Usage

GREPS = Check("words", "grep -q three words.txt", "generic", timeout=30.0)
SLOW = Check("words", "sh -c 'sleep 30; false'", "generic", timeout=60.0)


def _order(repo: Repo, place: Path, checks: Sequence[Check], *, revert: bool = True) -> Order:
    """A turn on what the first check finds red on the head."""
    workshop = Workshop(repo, place, checks[0])
    task = workshop.lab().subject.task
    worktree = workshop.private.worktree(workshop.user.head, place / "wt" / repo.path.name)
    bench = Workbench(workshop.private.path, workshop.user.top, workshop.user.head, tuple(checks), revert=revert)
    return Order("s1", 1, "", task, task.text, worktree.path, bench, place / "session", place / "tmp", 60.0, 30.0)


def _words(path: Path) -> Repo:
    return history(path, {"words.txt": "one\ntwo\nthree\nfour\n"}, {"words.txt": "one!\ntwo\nTHREE\nfour\n"})


def _turn(order: Order) -> tuple[Report, list[dict[str, object]]]:
    lines: list[bytes] = []
    report = Embedded().turn(order, lines.append)
    return report, [json.loads(line) for line in lines]


def test_it_conforms(tmp_path: Path) -> None:
    repo = _words(tmp_path / "r")

    def slow(name: str) -> Order:
        quick = _order(repo, tmp_path / name, [GREPS])
        return replace(quick, workbench=replace(quick.workbench, checks=(SLOW,)))

    conforms(EXECUTORS["embedded"], lambda name: _order(repo, tmp_path / name, [GREPS]), slow)


def test_a_regression_is_undone_in_the_worktree(tmp_path: Path) -> None:
    order = _order(_words(tmp_path / "r"), tmp_path / "w", [GREPS])
    report, events = _turn(order)
    assert (order.worktree / "words.txt").read_text() == "one!\ntwo\nthree\nfour\n"
    assert (report.state, report.method, report.attributed) == ("completed", "revert", False)
    assert report.origin is not None
    assert report.origin.places == ("words.txt:3",)
    assert [e["type"] for e in events][:: len(events) - 1] == ["session.started", "result"]
    assert report.suite_runs == max(e["suite_runs"] for e in events if e["type"] == "progress")  # type: ignore[type-var]
    assert (report.usage, report.cost_usd) == (Usage(), 0.0)
    assert report.seconds > 0


def test_without_leave_nothing_is_edited(tmp_path: Path) -> None:
    order = _order(_words(tmp_path / "r"), tmp_path / "w", [GREPS], revert=False)
    report, _ = _turn(order)
    assert (order.worktree / "words.txt").read_text() == "one!\ntwo\nTHREE\nfour\n"
    assert report.attributed
    assert report.message.startswith("this 1 of your 2 hunks causes this: words.txt:3")


def test_a_later_turn_starts_from_the_base_and_passes_over_what_was_refused(tmp_path: Path) -> None:
    repo = _words(tmp_path / "r")
    order = _order(repo, tmp_path / "w", [GREPS])
    _turn(order)
    private = PrivateRepository(order.workbench.private, open_repository(repo.path))
    refused = Worktree(private, order.worktree).tree()
    (order.worktree / "stray.txt").write_text("of an earlier turn")
    report, _ = _turn(replace(order, turn=2, refused=(refused,)))
    assert report.method == "revert"
    assert (order.worktree / "words.txt").read_text() == "one\ntwo\nthree\nfour\n"
    assert not (order.worktree / "stray.txt").exists()


def test_fixers_come_first_and_template_repair_last(tmp_path: Path) -> None:
    files = {"ruff.toml": 'lint.select = ["F"]\n', "m.py": "import os\n\n\ndef f(a, b):\n    return a + b\n"}
    test = "from m import f\n\n\ndef test_f():\n    assert f(3, 4) == 12\n    assert f(0, 4) == 0\n"
    repo = history(tmp_path / "r", {**files, "test_m.py": test})
    lint = Check("lint", "ruff check --no-cache .", "ruff", timeout=30.0)
    order = _order(repo, tmp_path / "a", [lint, PYTEST])
    report, _ = _turn(order)
    assert (report.method, report.message) == ("fixer", "`ruff check --no-cache --fix --no-unsafe-fixes -- m.py`")
    order = _order(repo, tmp_path / "b", [PYTEST, lint])
    report, _ = _turn(order)
    assert report.method == "template"
    assert (order.worktree / "m.py").read_text() == files["m.py"].replace("a + b", "a * b")


def test_nothing_helps_and_it_says_why(tmp_path: Path) -> None:
    order = _order(history(tmp_path / "r", {"words.txt": "one\n"}), tmp_path / "w", [GREPS])
    report, _ = _turn(order)
    assert (report.state, report.method) == ("completed", None)
    assert report.message == (
        "not fixed, because fixer: check 'words' has no fix command; not a code regression: there is no earlier commit"
    )


def test_a_fixer_that_is_missing_is_a_reason_not_a_crash(tmp_path: Path) -> None:
    order = _order(history(tmp_path / "r", {"words.txt": "one\n"}), tmp_path / "w", [GREPS])
    order = replace(order, workbench=replace(order.workbench, checks=(replace(GREPS, fix="no-such-program"),)))
    report, _ = _turn(order)
    assert report.state == "completed"
    assert "fixer: no-such-program: not found" in report.message


def test_an_end_without_a_result_is_a_failure(tmp_path: Path) -> None:
    order = _order(_words(tmp_path / "r"), tmp_path / "w", [GREPS])
    order = replace(order, workbench=replace(order.workbench, private=tmp_path / "nowhere"))
    report, _ = _turn(order)
    assert report.state == "failed"
    assert "without a result" in report.message
    assert "nowhere" in report.message
    assert "Traceback" in (order.folder / "stderr_1.txt").read_text()


def test_the_worktrees_files_are_no_modules_of_ours(tmp_path: Path) -> None:
    trap = "raise SystemExit('the trap')\n"
    files = {"words.txt": "three\n", "json.py": trap, "zwarm_ci/__init__.py": trap, "sitecustomize.py": trap}
    repo = history(tmp_path / "r", files, {"words.txt": "four\n"})
    report, _ = _turn(_order(repo, tmp_path / "w", [GREPS]))
    assert report.method == "revert"


def test_it_ends_with_its_children_when_whoever_started_it_is_gone(tmp_path: Path) -> None:
    order = _order(_words(tmp_path / "r"), tmp_path / "w", [GREPS])
    order = replace(order, workbench=replace(order.workbench, checks=(SLOW,)))
    for folder in (order.folder, order.scratch):
        folder.mkdir()
    tag = f"{proc._run_tag}.test-{os.getpid()}"
    argv = [sys.executable, "-P", "-m", "zwarm_ci.executors.embedded_main"]
    with nothing_left(), subprocess.Popen(
        argv, cwd=order.folder, env={**os.environ, proc.TAG: tag}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:  # fmt: skip
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(order_text(order) + "\n")
        child.stdin.flush()
        while "failing ids on the base" not in child.stdout.readline():
            assert child.poll() is None
        child.stdin.close()
        child.stdout.read()
        assert child.wait(15) == 128 + signal.SIGTERM


@pytest.mark.parametrize("origin", [None, Origin("abc", "Ada", "why", ("a.py:1", "b.py:2-3"))])
def test_reports_survive_the_way(origin: Origin | None) -> None:
    report = Report(
        "completed",
        "ä\n",
        "revert",
        origin,
        attributed=True,
        usage=Usage(1, 2, 3, 4, 5),
        cost_usd=None,
        denials=2,
        suite_runs=9,
    )
    assert read_result(json.loads(json.dumps(result_event(report)))) == report


def test_headlines() -> None:
    assert Embedded().headline(b'{"type": "progress", "text": "on\\nit", "suite_runs": 3}') == "on it"
    assert Embedded().headline(b'{"type": "session.started"}') == ""
