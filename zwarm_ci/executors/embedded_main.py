"""The process of the embedded executor: an order on standard input, events as JSON lines on standard output.

It ends itself and its children when standard input closes (whoever started it is gone) or a signal arrives.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from zwarm_ci.errors import BlockedError, CommandError, ConfigError, InterruptedRunError
from zwarm_ci.executors.base import Order, Report
from zwarm_ci.executors.wire import handed_on, read_order, result_event
from zwarm_ci.furnish import Furnisher
from zwarm_ci.git import open_repository
from zwarm_ci.private import PrivateRepository, Worktree
from zwarm_ci.proc import STOP, stoppable
from zwarm_ci.repair import fixers, plausible, regression, warm
from zwarm_ci.repair.archive import Archive
from zwarm_ci.repair.lab import Lab, OutOfTimeError, Remedy, Subject
from zwarm_ci.repair.localize import Spectrum
from zwarm_ci.scrub import decode, one_line, plain
from zwarm_ci.surround import EXCLUSIVE
from zwarm_ci.task import TEST_KINDS

_MARGIN = 0.9  # of the turn's time; the rest is for ending in good order
_TRACE_SECONDS = 10.0
_STANDARD_INPUT = 0


def main() -> int:
    """Read the order, work, say the result."""
    with stoppable(), contextlib.suppress(InterruptedRunError):
        text = _first_line()
        # With it the environment of the checks is found as in the process that started us; our own modules came without it.
        os.environ.update(handed_on(text))
        order = read_order(text)
        threading.Thread(target=_watch_lifeline, daemon=True).start()
        _say({"type": "session.started", "session": order.session, "turn": order.turn, "executor": "embedded"})
        _say(result_event(work(order, _progress)))
        return 0
    return 128 + STOP.signum


def work(order: Order, progress: Callable[[str, int], None]) -> Report:
    """One turn: each method in its order, until one has a tree that was not refused; the worktree is left at it."""
    if not order.task.failures:
        return Report(
            "completed", "the embedded executor repairs red checks; a task in words needs a rung with a model"
        )
    lab = _lab(order, progress)
    worktree = Worktree(lab.repo, order.worktree)
    worktree.reset(order.workbench.base, ignored=False)
    reasons = []
    try:
        for name, method in _methods(lab, order):
            remedy = _try(method)
            if remedy.tree or remedy.attributed:
                if remedy.tree:
                    worktree.reset(remedy.tree, ignored=False)
                return Report(
                    "completed",
                    plain(remedy.message),
                    remedy.method,
                    remedy.origin,
                    remedy.attributed,
                    suite_runs=lab.runs,
                )
            reasons.append(remedy.message if name in remedy.message else f"{name}: {remedy.message}")
            progress(reasons[-1], lab.runs)
    finally:
        lab.close()
    return Report("completed", plain(f"not fixed, because {'; '.join(reasons)}"), suite_runs=lab.runs)


def _methods(lab: Lab, order: Order) -> Iterator[tuple[str, Callable[[], Remedy]]]:
    """The methods in their order; what a later one needs is made when it is its turn."""
    tests = lab.subject.check.kind in TEST_KINDS
    if not tests:
        yield "fixer", lambda: fixers.fix(lab)
    traced = _traced(lab)
    bench = order.workbench
    frames = [p for f in order.task.failures for p in (*reversed(f.frames), f.place) if p is not None]
    covered = [*frames, *(place for _, place in traced.ranked())] if traced else frames
    yield "regression", lambda: regression.undo(lab, last=bench.last_green, allowed=bench.revert, covered=covered)
    if tests:
        yield "single edits", lambda: plausible.repair(lab, traced)


def _traced(lab: Lab) -> Spectrum | None:
    try:
        return warm.trace(lab, min(_TRACE_SECONDS, lab.left())) if warm.speaks(lab) else None
    except OutOfTimeError:
        return None


def _try(method: Callable[[], Remedy]) -> Remedy:
    try:
        return method()
    except OutOfTimeError:
        return Remedy("its time was over")
    except (BlockedError, ConfigError) as error:
        return Remedy(error.line)
    except CommandError as error:  # a partial or damaged clone lacks what an older commit needs
        return Remedy(f"git cannot read what it needs: {one_line(decode(error.stderr), 160)}")


def _lab(order: Order, progress: Callable[[str, int], None]) -> Lab:
    bench = order.workbench
    check = next((c for c in bench.checks if c.name == order.task.check), bench.checks[0])
    subject = Subject(order.task, check, bench.base, bench.protect, frozenset(order.refused))
    return Lab(
        Furnisher(PrivateRepository(bench.private, open_repository(bench.top)), bench.built_for or bench.base),
        subject,
        order.scratch,
        time.monotonic() + order.timeout * _MARGIN,
        progress,
        archive=Archive(bench.shared) if bench.shared else None,
        cohort=bench.cohort,
        lock=bench.shared / EXCLUSIVE if bench.shared else None,
    )


def _progress(text: str, suite_runs: int) -> None:
    _say({"type": "progress", "text": plain(text), "suite_runs": suite_runs})


def _say(event: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def _first_line() -> str:
    """One line from the descriptor itself: a buffered reader would keep what the watcher waits for."""
    read = bytearray()
    while not read.endswith(b"\n"):
        data = os.read(_STANDARD_INPUT, 1 << 16)
        if not data:
            break
        read += data
    return read.decode()


def _watch_lifeline() -> None:
    while os.read(_STANDARD_INPUT, 1 << 10):
        pass
    STOP.set(signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
