"""What any executor must do: edit its worktree only, speak JSON lines, end with all it started when it is told to, repeat itself.

A variant calls `conforms(make, order, ...)` with a way to make it and an order that it can work on; one that works with
programs from elsewhere passes fakes of them. `slow` is an order on which it is still busy after a second.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from tests.support import belongings
from zwarm_ci import proc
from zwarm_ci.errors import InterruptedRunError
from zwarm_ci.executors.base import Executor, Order, Report
from zwarm_ci.executors.wire import order_text, read_order

Make = Callable[[], Executor]
MakeOrder = Callable[[str], Order]


def conforms(make: Make, order: MakeOrder, slow: MakeOrder) -> None:
    """Every rule, one after the other; `order(name)` and `slow(name)` give a fresh order each."""
    assert make().unusable() == ""
    speaks_json_lines_and_edits_its_worktree_only(make, order("speaks"))
    if make().deterministic:
        says_the_same_again(make, order("once"), order("again"))
    orders_survive_the_way(order("way"))
    ends_at_its_time_limit(make, slow("limit"))
    ends_in_silence(make, slow("silence"))
    ends_when_it_is_stopped(make, slow("stopped"))


def speaks_json_lines_and_edits_its_worktree_only(make: Make, order: Order) -> None:
    lines: list[bytes] = []
    before = _outside(order)
    report = make().turn(order, lines.append)
    assert report.state == "completed", report.message
    assert _outside(order) == before
    events = [json.loads(line) for line in lines]
    assert events
    assert all(isinstance(e, dict) and e["type"] for e in events)
    for line in (*lines, b"", b"\xff not json", b"[]", b"null"):
        assert isinstance(make().headline(line), str)


def says_the_same_again(make: Make, first: Order, second: Order) -> None:
    one, two = (make().turn(o, lambda _: None) for o in (first, second))
    assert replace(one, seconds=0.0) == replace(two, seconds=0.0)
    assert _files(first.worktree) == _files(second.worktree)


def orders_survive_the_way(order: Order) -> None:
    assert read_order(order_text(order)) == order


def ends_at_its_time_limit(make: Make, order: Order) -> None:
    started = time.monotonic()
    with nothing_left():
        report = make().turn(replace(order, timeout=1.5), lambda _: None)
    assert report.state == "timed_out", report
    assert time.monotonic() - started < 15


def ends_in_silence(make: Make, order: Order) -> None:
    with nothing_left():
        report = make().turn(replace(order, silence=0.02), lambda _: None)  # no process says anything so soon
    assert report.state == "timed_out", report
    assert "no event" in report.message


def ends_when_it_is_stopped(make: Make, order: Order) -> None:
    heard = threading.Event()

    def stop() -> None:
        heard.wait(30)
        proc.STOP.set()

    threading.Thread(target=stop, daemon=True).start()
    try:
        with nothing_left():
            report: Report | None = None
            with suppress(InterruptedRunError):
                report = make().turn(order, lambda _: heard.set())
        assert report is None, report
    finally:
        proc.STOP.clear()


@contextmanager
def nothing_left() -> Iterator[None]:
    """Inside, processes may start; afterwards none of them lives."""
    before = set(_ours())
    yield
    assert set(_ours()) <= before


def _ours() -> list[tuple[int, str]]:
    return proc.tagged(proc._run_tag)


def _outside(order: Order) -> dict[str, str]:
    """The user's checkout, which no executor writes, and the private repository's refs."""
    refs = {p.as_posix(): p.read_text() for p in (order.workbench.private / "refs").rglob("*") if p.is_file()}
    return belongings(order.workbench.top) | refs


def _files(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != ".git"
    }
