"""Moves what a child prints until it has ended, or a limit, a stop or a halt says otherwise. Waiting is on events only.

Starts and ends nothing: it says why it returned.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, Protocol

#: Why a wait was over before the child: a stop of the run, a halt of this session, or a limit. "" = the child ended by itself.
Cause = Literal["", "stop", "halt", "timeout", "silence"]
Sink = Callable[[bytes], None]
_CHUNK = 256 * 1024
_DRAIN = 2.0  # seconds that a pipe may stay open after its process ended; a grandchild may hold it for ever
_FLOOD = 20.0  # seconds that one which prints without end may go on doing so after that
_NEVER = float("inf")


class Halt:
    """Ends one session from another thread: `set` it, and the wait that was given it ends its child. Set once, it stays set."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wakers: set[int] = set()
        self.reason = ""

    def set(self, reason: str) -> None:
        """Say why; the first reason stays.

        Raises:
            ValueError: there is none.
        """
        if not reason:
            raise ValueError("a halt needs a reason")
        with self._lock:
            if not self.reason:
                self.reason = reason
                for waker in self._wakers:
                    os.write(waker, b"x")

    @contextlib.contextmanager
    def waking(self) -> Iterator[int]:
        """A descriptor that can be read as soon as it is set."""
        reader, waker = os.pipe()
        with self._lock:
            self._wakers.add(waker)
            if self.reason:
                os.write(waker, b"x")
        try:
            yield reader
        finally:
            with self._lock:
                self._wakers.remove(waker)
            os.close(waker)
            os.close(reader)


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended. `code` is negative for a signal, None where we had to end it; `dropped` counts bytes not kept.

    `halted` is the reason where another thread ended it; `left` names what a supervised one left running when it ended by itself.
    """

    argv: tuple[str, ...]
    cwd: Path
    code: int | None
    stdout: bytes
    stderr: bytes
    seconds: float
    timed_out: bool = False
    silent: bool = False
    dropped: int = 0
    halted: str = ""
    left: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Ended by itself with 0."""
        return self.code == 0 and not self.timed_out and not self.silent and not self.halted


@dataclass(frozen=True, slots=True)
class Job:
    """A command, and what ends it. `on_err` None = into standard output; `halting`: a descriptor; `lifeline`: its input stays open."""

    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    timeout: float | None
    stdin: bytes
    on_out: Sink
    on_err: Sink | None
    silence: float | None = None
    halting: int | None = None
    lifeline: bool = False


@dataclass(slots=True)
class Ended:
    """How a job's wait ended; `code` means something only without a `cause`."""

    job: Job
    code: int | None = None
    seconds: float = 0.0
    cause: Cause = ""
    left: tuple[str, ...] = ()

    def exit(self, stdout: bytes, stderr: bytes, dropped: int, halted: str = "") -> Exit:
        """With what was kept of the streams; `halted`: why, if it was that."""
        return Exit(
            tuple(self.job.argv), self.job.cwd, None if self.cause else self.code, stdout, stderr, self.seconds,
            self.cause == "timeout", self.cause == "silence", dropped, halted if self.cause == "halt" else "", self.left,
        )  # fmt: skip


class Child(Protocol):
    """As much of a `subprocess.Popen` as it takes to attend to one."""

    stdin: IO[bytes] | None
    stdout: IO[bytes] | None
    stderr: IO[bytes] | None

    def wait(self) -> int:
        """Exit code, once it has one."""


@contextlib.contextmanager
def attended(child: Child, job: Job) -> Iterator[int]:
    """Feed a child and wait for it; a descriptor that is at its end when the child is."""
    exit_reader, exit_writer = os.pipe()
    threading.Thread(target=_announce_exit, args=(child, exit_writer), daemon=True).start()
    feeder = threading.Thread(target=_feed, args=(child.stdin, job.stdin, not job.lifeline), daemon=True)
    feeder.start()
    try:
        yield exit_reader
    finally:
        feeder.join(1.0)
        for stream in (child.stdout, child.stderr, child.stdin):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        os.close(exit_reader)


def _announce_exit(child: Child, writer: int) -> None:
    child.wait()
    os.close(writer)  # end of file is the event


def _feed(stream: IO[bytes] | None, data: bytes, close: bool) -> None:
    if stream is None:
        return
    with contextlib.suppress(OSError, ValueError):  # a child may end without reading; that is its right
        stream.write(data)
        stream.flush()
        if close:
            stream.close()


@dataclass(frozen=True, slots=True)
class Pump:
    """One child's pipes and what ends the wait for it. Times in seconds.

    Attributes:
        pipes: where to put what comes out of each descriptor.
        exited: can be read when the child, and with it everything that we wait for, has ended; `on_exit` is called then.
        timeout: in all. silence: without a byte. None = no limit.
        wakes: what else ends the wait, by descriptor.
        status: can be read when somebody knows of the child's end before `exited`; `on_status` says whether it is that, and
            then no limit counts any more. -1 = nobody does.
        on_cause: told of the first cause. What it returns is how long the child may still print while it is being ended.
    """

    pipes: Mapping[int, Sink]
    exited: int
    timeout: float | None
    silence: float | None
    wakes: Mapping[int, Cause]
    on_exit: Callable[[], None]
    on_cause: Callable[[], float]
    status: int = -1
    on_status: Callable[[], bool] = lambda: True

    def run(self) -> Cause:
        """Move bytes until all pipes are closed and the child has ended, or until a cause; which one."""
        return _Running(self).run()


class _Running:
    def __init__(self, pump: Pump) -> None:
        self.pump = pump
        self.started = self.heard = time.monotonic()
        self.until = _NEVER  # when nothing more is waited for
        self.cause: Cause = ""
        self.over = False  # limits count no more
        self.exited = False
        self.open = set(pump.pipes)
        self.selector = selectors.DefaultSelector()

    def run(self) -> Cause:
        with self.selector:
            for descriptor in (*self.open, self.pump.exited, self.pump.status, *self.pump.wakes):
                if descriptor >= 0:
                    self.selector.register(descriptor, selectors.EVENT_READ)
            while self.open or not self.exited:
                ends = min(self.until, self._limit()[0])
                ready = self.selector.select(None if ends == _NEVER else max(0.0, ends - time.monotonic()))
                for key, _ in ready:
                    self._take(key.fd)
                now = time.monotonic()
                limit, cause = self._limit()
                if now >= limit:
                    self._because(cause)
                if now >= self.until and (not ready or self.cause or now >= self.until + _FLOOD):
                    break
        return self.cause

    def _limit(self) -> tuple[float, Cause]:
        """When the next limit is reached, and which that is."""
        if self.over or self.exited:
            return _NEVER, ""
        pump = self.pump
        whole: tuple[float, Cause] = (_NEVER if pump.timeout is None else self.started + pump.timeout, "timeout")
        quiet: tuple[float, Cause] = (_NEVER if pump.silence is None else self.heard + pump.silence, "silence")
        return min(whole, quiet)

    def _take(self, descriptor: int) -> None:
        if descriptor in self.pump.pipes:
            data = os.read(descriptor, _CHUNK)
            self.heard = time.monotonic()
            if data:
                self.pump.pipes[descriptor](data)
            else:
                self.open.remove(descriptor)
                self.selector.unregister(descriptor)
        elif descriptor == self.pump.exited:
            self.selector.unregister(descriptor)
            self.exited, self.until = True, min(self.until, time.monotonic() + _DRAIN)
            self.pump.on_exit()
        elif descriptor == self.pump.status:
            if self.pump.on_status():
                self.selector.unregister(descriptor)
                self._over(self.pump.on_cause())
        else:
            self._because(self.pump.wakes[descriptor])

    def _because(self, cause: Cause) -> None:
        for wake in set(self.pump.wakes) & set(self.selector.get_map()):
            self.selector.unregister(wake)
        if not self.over:
            self.cause = cause
            self._over(self.pump.on_cause())

    def _over(self, seconds: float) -> None:
        self.over = True
        self.until = min(self.until, time.monotonic() + seconds)
