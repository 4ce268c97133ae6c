"""Starts every process of ours, and ends it with all that it started: own session, environment by allow-list, time limit.

Waiting is on events (a byte on a pipe, an exit, a stop), never on a sleep. One `STOP` a process: a signal sets it, every
wait in every thread ends its children and raises `InterruptedRunError`.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

from zwarm_ci.errors import BlockedError, CommandError, InterruptedRunError
from zwarm_ci.scrub import child_env
from zwarm_ci.streams import MIB, Capped, LineSink

TAG = "ZWARM_CI_TAG"  # in each child's environment, so that what left its process group is still found
_CHUNK = 256 * 1024
_DRAIN = 2.0  # seconds that a pipe may stay open after its process ended; a grandchild may hold it for ever
_ROUNDS = 5  # looks for what carries our tag
_GRACE = ((signal.SIGINT, 2.0), (signal.SIGTERM, 1.5), (signal.SIGKILL, 2.0))
_run_tag = f"{os.environ.get(TAG, 'zw')}.{os.getpid()}-{secrets.token_hex(4)}"
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended. `code` is negative for a signal, None where we had to end it; `dropped` counts bytes not kept."""

    argv: tuple[str, ...]
    cwd: Path
    code: int | None
    stdout: bytes
    stderr: bytes
    seconds: float
    timed_out: bool = False
    silent: bool = False
    dropped: int = 0

    @property
    def ok(self) -> bool:
        """Ended by itself with 0."""
        return self.code == 0 and not self.timed_out and not self.silent


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


def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
    stdin: bytes = b"",
    limit: int = 64 * MIB,
    check: bool = False,
) -> Exit:
    """Run `argv` to its end and keep both streams (each up to `limit` bytes).

    Raises:
        BlockedError: the program does not exist or may not be run.
        CommandError: `check` and it did not end with 0.
        InterruptedRunError: `STOP` was set meanwhile; the process is gone.
    """
    out, err = Capped(limit), Capped(4 * MIB, MIB)
    ended = _drive(argv, cwd=cwd, env=env, timeout=timeout, stdin=stdin, on_out=out, on_err=err)
    result = Exit(
        tuple(argv), cwd, ended.code, out.value(), err.value(), ended.seconds, ended.timed_out, dropped=out.dropped
    )
    if check and not result.ok:
        raise CommandError(argv, cwd, result.code, result.stdout, result.stderr)
    return result


def run_logged(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout: float,
    log: Path,
    limit: int = 1024 * MIB,
) -> Exit:
    """Run `argv` with both streams, in order, in the file `log`; `stdout` of the result is its bounded head and tail.

    The process never blocks on a full disk of ours: past `limit` bytes the log says how much is missing.
    """
    kept = Capped(4 * MIB, 4 * MIB)
    written = 0
    with log.open("wb") as file:

        def sink(data: bytes) -> None:
            nonlocal written
            kept(data)
            file.write(data[: max(0, limit - written)])
            written += len(data)

        ended = _drive(argv, cwd=cwd, env=env, timeout=timeout, stdin=b"", on_out=sink, on_err=None)
        if written > limit:
            file.write(f"\n[log cut: {written - limit} more bytes were printed]\n".encode())
    return Exit(tuple(argv), cwd, ended.code, kept.value(), b"", ended.seconds, ended.timed_out, dropped=kept.dropped)


def run_lines(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout: float,
    silence: float,
    on_line: Callable[[bytes], None],
    stdin: bytes = b"",
) -> Exit:
    """Run a session: standard output by the line, its standard input held open as a lifeline until it ends.

    Ended after `timeout` seconds in all or `silence` seconds without a byte.
    """
    sink, err = LineSink(on_line), Capped(MIB, MIB)
    ended = _drive(
        argv, cwd=cwd, env=env, timeout=timeout, silence=silence, stdin=stdin, on_out=sink, on_err=err, lifeline=True
    )
    sink.close()
    return Exit(tuple(argv), cwd, ended.code, b"", err.value(), ended.seconds, ended.timed_out, ended.silent)


@dataclass(slots=True)
class _Ended:
    code: int | None = None
    seconds: float = 0.0
    timed_out: bool = False
    silent: bool = False


def _drive(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str] | None,
    timeout: float | None,
    stdin: bytes,
    on_out: Callable[[bytes], None],
    on_err: Callable[[bytes], None] | None,
    silence: float | None = None,
    lifeline: bool = False,
) -> _Ended:
    STOP.check()
    tag = f"{_run_tag}.{next(_numbers)}"
    started = time.monotonic()
    child = _start(argv, cwd, {**(child_env() if env is None else env), TAG: tag}, merged=on_err is None)
    exit_reader, exit_writer = os.pipe()
    threading.Thread(target=_announce_exit, args=(child, exit_writer), daemon=True).start()
    feeder = threading.Thread(target=_feed, args=(child.stdin, stdin, not lifeline), daemon=True)
    feeder.start()
    result = _Ended()
    try:
        _pump(child, exit_reader, on_out, on_err, started, timeout, silence, result)
        result.code = None if result.timed_out or result.silent else child.returncode
    finally:
        # Whatever ended the wait, nothing that carries our tag outlives it. Git leaves nothing behind, so the scan is skipped for it.
        if child.poll() is None or Path(argv[0]).name != "git":
            end_tree(child, tag)
        feeder.join(1.0)
        for stream in (child.stdout, child.stderr, child.stdin):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        os.close(exit_reader)
        result.seconds = time.monotonic() - started
    STOP.check()
    return result


def _start(argv: Sequence[str], cwd: Path, env: Mapping[str, str], *, merged: bool) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merged else subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        missing = argv[0] if cwd.is_dir() else str(cwd)
        raise BlockedError(f"{missing}: not found", remedy="install it, or put it on PATH") from error
    except PermissionError as error:
        raise BlockedError(f"{argv[0]}: may not be run", remedy="make it executable") from error
    except OSError as error:
        raise BlockedError(f"{argv[0]}: cannot be started: {error.strerror or error}") from error


def _announce_exit(child: subprocess.Popen[bytes], writer: int) -> None:
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


def _pump(
    child: subprocess.Popen[bytes],
    exit_reader: int,
    on_out: Callable[[bytes], None],
    on_err: Callable[[bytes], None] | None,
    started: float,
    timeout: float | None,
    silence: float | None,
    result: _Ended,
) -> None:
    """Move bytes until both pipes are closed and the child has ended, or a limit or a stop says otherwise."""
    with selectors.DefaultSelector() as selector:
        pipes = 0
        for stream, sink in ((child.stdout, on_out), (child.stderr, on_err)):
            if stream is not None and sink is not None:
                selector.register(stream.fileno(), selectors.EVENT_READ, sink)
                pipes += 1
        selector.register(exit_reader, selectors.EVENT_READ, "exit")
        selector.register(STOP.reader, selectors.EVENT_READ, "stop")
        heard = started
        drain_until = float("inf")
        exited = False
        while pipes or not exited:
            now = time.monotonic()
            ends = min(
                started + timeout if timeout is not None else float("inf"),
                heard + silence if silence is not None else float("inf"),
                drain_until,
            )
            ready = selector.select(None if ends == float("inf") else max(0.0, ends - now))
            for key, _ in ready:
                if key.data == "stop":
                    return
                if key.data == "exit":
                    exited, drain_until = True, time.monotonic() + _DRAIN
                    selector.unregister(exit_reader)
                    _signal_group(child.pid, signal.SIGKILL)  # what it left in its group holds our pipes
                    continue
                data = os.read(key.fd, _CHUNK)
                heard = time.monotonic()
                if data:
                    key.data(data)
                else:
                    selector.unregister(key.fd)
                    pipes -= 1
            now = time.monotonic()
            if now >= drain_until and not ready:
                return
            if not exited and timeout is not None and now >= started + timeout:
                result.timed_out = True
                return
            if not exited and silence is not None and now >= heard + silence:
                result.silent = True
                return


def end_tree(child: subprocess.Popen[bytes], tag: str) -> None:
    """End a child with its group, and what left the group but still carries `tag`: INT, TERM, KILL, each with a bounded wait."""
    for signum, grace in _GRACE:
        if child.poll() is None:
            _signal_group(child.pid, signum)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(grace)
        if child.poll() is not None:
            break
    _signal_group(child.pid, signal.SIGKILL)
    for _ in range(_ROUNDS):  # one that forked while we looked is found by the next look
        found = tagged(tag)
        if not found:
            return
        for pid, start in found:
            _kill_and_wait(pid, start)


def _kill_and_wait(pid: int, start: str) -> None:
    """Kill the process that `pid` and `start` name, and wait until it is gone; a kill is only a request."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if _start_time(pid) == start:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            with selectors.DefaultSelector() as selector:
                selector.register(handle, selectors.EVENT_READ)
                selector.select(_DRAIN)
    finally:
        os.close(handle)


def _signal_group(pid: int, signum: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signum)


def tagged(tag: str) -> list[tuple[int, str]]:
    """Live processes (pid, start time) whose environment says that `tag`, or a descendant of it, started them. Linux only."""
    exact, below = f"{TAG}={tag}\0".encode(), f"{TAG}={tag}.".encode()
    found: list[tuple[int, str]] = []
    proc = Path("/proc")
    if not proc.is_dir():
        return found
    for entry in os.scandir(proc):
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            environ = Path(entry.path, "environ").read_bytes() + b"\0"
        except OSError:  # gone, or another user's: not ours either way
            continue
        if exact in environ or below in environ:
            found.append((int(entry.name), _start_time(int(entry.name))))
    return found


def _start_time(pid: int) -> str:
    """Field 22 of /proc/PID/stat (proc(5)): with the pid it names one process, whatever the pid is reused for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
