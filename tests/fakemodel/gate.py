"""A gate that a test opens, step by step: what waits at it waits on a file descriptor, never on a clock."""

from __future__ import annotations

import contextlib
import os
import weakref


class Gate:
    """Closed at first. Each step lets one wait through; once open, all of them."""

    def __init__(self) -> None:
        self.reader, self._writer = os.pipe()
        os.set_blocking(self.reader, False)
        self._open = False
        self._end = weakref.finalize(self, _close, self.reader, self._writer)

    def step(self, count: int = 1) -> None:
        """Let `count` waits through."""
        os.write(self._writer, b"." * count)

    def open(self) -> None:
        """Let everything through from now on."""
        self._open = True
        os.write(self._writer, b".")

    def passed(self) -> bool:
        """Called by who was let through: takes its step away. False = somebody else was quicker."""
        with contextlib.suppress(BlockingIOError):
            return self._open or bool(os.read(self.reader, 1))
        return False


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            os.close(descriptor)
