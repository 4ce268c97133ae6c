"""One `STOP` a process: a signal sets it, every wait in every thread ends its children and raises `InterruptedRunError`."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Iterator
from types import FrameType

from zwarm_ci.errors import InterruptedRunError


class Stop:
    """A flag that wakes waiting selectors in every thread: once set, it stays set until `clear`."""

    def __init__(self) -> None:
        self.reader, self._writer = os.pipe()
        self.signum = 0

    def set(self, signum: int = signal.SIGINT) -> None:
        """Ask every wait to end; async-signal-safe (one write to a pipe)."""
        if not self.signum:
            self.signum = signum
            os.write(self._writer, b"x")

    def clear(self) -> None:
        """Take the flag down again (a new run in the same process)."""
        if self.signum:
            os.read(self.reader, 1)
            self.signum = 0

    def wait(self, seconds: float) -> None:
        """Let `seconds` pass.

        Raises:
            InterruptedRunError: at once, when the flag goes up meanwhile.
        """
        select.select([self.reader], [], [], seconds)
        self.check()

    def check(self) -> None:
        """Raise `InterruptedRunError` if the flag is up."""
        if self.signum:
            raise InterruptedRunError(self.signum)


STOP = Stop()


@contextlib.contextmanager
def stoppable() -> Iterator[Stop]:
    """While inside, SIGINT, SIGTERM and a terminal's hang-up (unless `nohup`) set `STOP` instead of killing us. Main thread only."""

    def on_signal(signum: int, _frame: FrameType | None) -> None:
        STOP.set(signum)

    STOP.clear()
    wanted = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        wanted.append(signal.SIGHUP)
    before = {s: signal.signal(s, on_signal) for s in wanted}
    try:
        yield STOP
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
