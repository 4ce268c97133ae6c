"""What one session learned of a tree, another takes from it; who comes second waits."""

from __future__ import annotations

import threading
from pathlib import Path

from zwarm_ci.repair.archive import Archive
from zwarm_ci.task import Failure, Place
from zwarm_ci.verdict import CheckResult

RESULT = CheckResult(
    "tests",
    "pytest",
    1,
    ("a", "b"),
    ("c",),
    (),
    1.5,
    (Failure("tests", "c", "m", "d", Place("s.py", 3), "ValueError", frames=(Place("s.py", 3), Place("t.py", 1))),),
    canary=True,
    modules=("t.py",),
)


def test_an_answer_comes_back_as_it_was(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "new")
    assert archive.get("t1", "tests", ["c"]) is None
    archive.put("t1", ["c"], RESULT)
    assert archive.get("t1", "tests", ["c"]) == RESULT
    assert archive.get("t1", "tests", []) is None
    assert archive.get("t2", "tests", ["c"]) is None
    assert archive.get("t1", "lint", ["c"]) is None


def test_the_second_waits_for_the_first(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    order: list[str] = []
    entered = threading.Event()

    def second() -> None:
        entered.wait(10)
        with archive.alone("t", "tests", ()):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with archive.alone("t", "tests", ()):
        entered.set()
        thread.join(0.2)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
