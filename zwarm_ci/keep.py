"""What a command leaves behind on purpose (services): held below a keeper of its own, and ended by its tag.

Starts nothing: `proc.run(leave=…)` and `proc.keep` do, and hand the keeper over.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Protocol

from zwarm_ci.errors import BlockedError
from zwarm_ci.reap import GRACE, Child, descendants, end_all, end_tree, tagged, wait_for
from zwarm_ci.stop import STOP

_LAST_WORD = sum(seconds for _, seconds in GRACE) + 2.0  # seconds that a keeper has to end what it keeps


class Keeper(Child, Protocol):
    """A started `reap.keep`; it lives as long as its standard input is open and something of its command is alive."""

    @property
    def stdin(self) -> IO[bytes] | None:
        """The pipe that it hangs on."""


class Kept:
    """A command that may stay, with all that it leaves. `end` ends it, and so does our own death: its keeper hangs on a pipe of ours."""

    def __init__(self, keeper: Keeper, status: int, tag: str, argv: Sequence[str], cwd: Path) -> None:
        self.tag = tag
        self._keeper, self._status, self._argv, self._cwd = keeper, status, argv, cwd
        self._said = b""
        self._reading = threading.Lock()
        os.set_blocking(status, False)
        with _lock:
            _kept.append(self)

    def wait(self, seconds: float | None = None) -> int | None:
        """Exit code of the command itself, negative for a signal; None where it still runs after `seconds`. Ends nothing.

        Raises:
            BlockedError: the program does not exist or may not be run.
            InterruptedRunError: `STOP` was set meanwhile.
        """
        with self._reading:
            if not self._said:
                with selectors.DefaultSelector() as selector:
                    selector.register(self._status, selectors.EVENT_READ)
                    selector.register(STOP.reader, selectors.EVENT_READ)
                    ready = {key.fd for key, _ in selector.select(seconds)}
                STOP.check()
                if self._status not in ready:
                    return None
                self._read()
        word, number = self._said.splitlines()[0].split()  # after `errno N` comes the exit of who could not exec
        if word == b"errno":
            raise cannot_start(self._argv[0], self._cwd, OSError(int(number), os.strerror(int(number))))
        return int(number)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):  # a keeper that nothing could end
            self._said = os.read(self._status, 64)
        self._said = self._said or b"exit -9"  # end of file: the keeper itself was killed

    def pids(self) -> list[int]:
        """What lives of it now."""
        return [pid for pid, _ in descendants(self._keeper.pid)]

    def let_go(self) -> None:
        """Close the pipe that it hangs on: the keeper begins to end it."""
        if self._keeper.stdin is not None:
            self._keeper.stdin.close()

    def end(self) -> None:
        """End all of it and wait until it is gone: INT, TERM, KILL, each with a bounded wait."""
        self.let_go()
        wait_for(self._keeper, _LAST_WORD)
        end_tree(self._keeper, self.tag)
        with _lock:
            if self not in _kept:
                return
            _kept.remove(self)
        with self._reading:  # a `wait` in another thread has seen the end of file by now
            if not self._said:
                self._read()
            os.close(self._status)


_kept: list[Kept] = []
_lock = threading.Lock()


def end_tagged(tag: str) -> None:
    """End what was left under `tag` or below it, and whatever else carries it: INT, TERM, KILL, each with a bounded wait."""
    with _lock:
        mine = [kept for kept in _kept if f"{kept.tag}.".startswith(f"{tag}.")]
    for kept in mine:
        kept.let_go()
    for kept in mine:
        kept.end()
    end_all(lambda: tagged(tag))


def cannot_start(program: str, cwd: Path, error: OSError) -> BlockedError:
    """Why `program` could not be started in `cwd`, and what to do."""
    if isinstance(error, FileNotFoundError):
        if not cwd.is_dir():
            return BlockedError(f"{cwd}: this folder is gone, so {program} cannot run in it")
        return BlockedError(f"{program}: not found", remedy="install it, or put it on PATH")
    if isinstance(error, PermissionError):
        return BlockedError(f"{program}: may not be run", remedy="make it executable")
    return BlockedError(f"{program}: cannot be started: {error.strerror or error}")
