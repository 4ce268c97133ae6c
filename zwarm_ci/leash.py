"""Our end of a guard (`reap.guard`): what it is told, what it says. Closing it, or our death, makes the guard end all that it watches.

Starts nothing: `proc` does.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from zwarm_ci.keep import cannot_start
from zwarm_ci.reap import GRACE

#: Seconds that a guard has to end everything: its command first, then what that left.
LAST_WORD = GRACE[0][1] + sum(seconds for _, seconds in GRACE) + 2.0


class Leash:
    """Two pipes: orders go down the one, how the command ended comes up the other. Entered once, for one guard.

    `marks` are variables by which the command's processes are known (`reap.tagged`); their owner may add to them.
    """

    def __init__(self, marks: Mapping[str, str]) -> None:
        self.marks = marks
        self._said = b""
        self._silent = False
        self._told: dict[str, str] = {}

    def __enter__(self) -> Self:
        orders, control = os.pipe()
        status, word = os.pipe()
        self.theirs: tuple[int, ...] = (orders, word)
        self.status = status
        self._control: int | None = control
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go()
        self._close_theirs()
        os.close(self.status)

    def order(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        """Have a started guard run `argv` with exactly the environment `env`."""
        self._close_theirs()
        self._told = dict(self.marks)
        self._write({"argv": list(argv), "env": dict(env), "marks": self._told})

    def tell(self) -> None:
        """Name what was added to the marks."""
        if self.marks != self._told:
            self._told = dict(self.marks)
            self._write({"marks": self._told})

    def _close_theirs(self) -> None:
        for descriptor in self.theirs:
            os.close(descriptor)
        self.theirs = ()

    def _write(self, order: Mapping[str, object]) -> None:
        data = json.dumps(order).encode() + b"\n"
        with contextlib.suppress(OSError):  # a guard that is dead is noticed by its exit
            while data and self._control is not None:
                data = data[os.write(self._control, data) :]

    def hear(self) -> bool:
        """Read what `status` has; True when it is known how the command ended, or that nobody will say it."""
        data = os.read(self.status, 4096)
        self._said += data
        self._silent = not data
        return not data or b"\n" in self._said

    def code(self, argv: Sequence[str], cwd: Path) -> int | None:
        """Exit code of the command, negative for a signal; None where its guard was killed.

        Raises:
            BlockedError: it could not be started.
        """
        os.set_blocking(self.status, False)
        with contextlib.suppress(BlockingIOError):
            self.hear()
        if b"\n" not in self._said:
            return None
        word, number = self._said.splitlines()[0].split()  # after `errno N` comes the exit of who could not exec
        if word == b"errno":
            raise cannot_start(argv[0], cwd, OSError(int(number), os.strerror(int(number))))
        return int(number)

    def left(self) -> tuple[str, ...]:
        """Names of the processes that the command left running when it ended by itself; known once the guard has ended."""
        os.set_blocking(self.status, False)
        with contextlib.suppress(BlockingIOError):
            while not self._silent:
                self.hear()
        lines = self._said.decode("utf-8", "replace").splitlines()
        return tuple(line.removeprefix("left ") for line in lines if line.startswith("left "))

    def let_go(self) -> None:
        """Close our end: the guard begins to end what it watches."""
        control, self._control = self._control, None
        if control is not None:
            os.close(control)
