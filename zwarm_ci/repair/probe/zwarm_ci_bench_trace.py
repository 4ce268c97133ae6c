"""Which lines of the tree each test runs: the failing ones first, then those of the same files, and what runs on import."""

from __future__ import annotations

import os
import signal
import sys
import time
from types import FrameType
from typing import Any, Callable, Dict, List, Optional, Set

from zwarm_ci_bench_fork import forked


class Tracer:
    """Lines run in files below `root`, those of installed packages left out."""

    def __init__(self, root: str) -> None:
        self._root = root + os.sep
        self._lines: Dict[str, Set[int]] = {}
        self._ours: Dict[str, Optional[str]] = {}

    def __call__(self, frame: FrameType, _event: str, _arg: Any) -> Any:
        name = frame.f_code.co_filename
        if name not in self._ours:
            inside = name.startswith(self._root) and "site-packages" not in name
            self._ours[name] = name[len(self._root) :] if inside else None
        path = self._ours[name]
        if path is None:
            return None
        seen = self._lines.setdefault(path, set())
        seen.add(frame.f_lineno)

        def line(inner: FrameType, _event: str, _arg: Any) -> Any:
            seen.add(inner.f_lineno)
            return line

        return line

    def take(self) -> Dict[str, List[int]]:
        """The lines so far, which are then forgotten."""
        taken = {path: sorted(lines) for path, lines in self._lines.items() if lines}
        self._lines = {}
        return taken


def trace(order: Dict[str, Any], out: Callable[..., None], collect: Callable[..., Any]) -> None:
    """Say import-time lines, then the lines of each test; the first test that hangs ends it."""
    tracer = Tracer(order["root"])
    collected = []

    def ready(suite: Any) -> None:
        sys.settrace(None)
        collected.append(suite)
        out(type="import", lines=tracer.take())
        out(type="runner", files=suite.runner_files)
        _Tracing(order, out, tracer, suite).run()

    sys.settrace(tracer)
    collect(order, ready)
    sys.settrace(None)
    if not collected:  # the tests could not even be collected: what ran until then is all there is
        out(type="import", lines=tracer.take())


class _Tracing:
    def __init__(self, order: Dict[str, Any], out: Callable[..., None], tracer: Tracer, suite: Any) -> None:
        self.order, self.out, self.tracer, self.suite = order, out, tracer, suite
        self.until: float = time.monotonic() + order["seconds"]

    def left(self) -> float:
        return max(1.0, self.until - time.monotonic())

    def run(self) -> None:
        for item in self.suite.targets:
            if not self.traced(item, self.left() / 3):
                self.guess()
                return
        # As edits will be tried: all of them in one process, untraced. Its time is what theirs is measured by.
        passed, cpu = forked(lambda: [self.suite.run(i) for i in self.suite.targets], self.left() / 3, 60.0)
        if passed is None:
            return
        self.out(type="baseline", cpu=cpu)
        for item in self.suite.others[: self.order["near"]]:
            if time.monotonic() > self.until or not self.traced(item, max(1.0, 8 * cpu)):
                return

    def guess(self) -> None:
        """Where a target hangs, the tests beside it say what one costs."""
        beside = self.suite.others[:20]
        passed, cpu = forked(lambda: [self.suite.run(i) for i in beside], 2.0, 10.0)
        if beside and passed is not None:
            self.out(type="baseline", cpu=cpu / len(beside) * len(self.suite.targets))

    def traced(self, item: Any, seconds: float) -> bool:
        """Say what one test runs; False = it hung."""
        name = self.suite.name(item)

        def work() -> bool:
            def cut(_signum: int, _frame: Optional[FrameType]) -> None:
                sys.settrace(None)
                self.out(type="test", id=name, lines=self.tracer.take(), passed=False, hung=True)
                os._exit(1)

            for signum, timer, limit in (
                (signal.SIGVTALRM, signal.ITIMER_VIRTUAL, seconds),
                (signal.SIGALRM, signal.ITIMER_REAL, 3 * seconds),
            ):
                signal.signal(signum, cut)
                signal.setitimer(timer, limit)
            sys.settrace(self.tracer)
            passed = self.suite.run(item)
            sys.settrace(None)
            self.out(type="test", id=name, lines=self.tracer.take(), passed=passed, hung=False)
            return True

        return forked(work, 2 * seconds, 6 * seconds)[0] is True
