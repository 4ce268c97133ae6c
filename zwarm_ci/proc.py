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
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from zwarm_ci import keep as keeping
from zwarm_ci import reap
from zwarm_ci.errors import BlockedError, CommandError
from zwarm_ci.keep import Kept, cannot_start
from zwarm_ci.reap import TAG, end_tree, signal_group, tagged
from zwarm_ci.scrub import child_env
from zwarm_ci.stop import STOP, Stop, stoppable
from zwarm_ci.streams import MIB, Capped, LineSink

__all__ = [
    "STOP", "TAG", "Exit", "Kept", "Stop", "end_tagged", "finishing", "fresh_tag", "keep", "leaving", "run", "run_lines", "run_logged", "stoppable",
    "tagged",
]  # fmt: skip

_CHUNK = 256 * 1024
_DRAIN = 2.0  # seconds that a pipe may stay open after its process ended; a grandchild may hold it for ever
_run_tag = f"{os.environ.get(TAG, 'zw')}.{os.getpid()}-{secrets.token_hex(4)}"
_numbers = itertools.count(1)
_here = threading.local()


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


def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
    stdin: bytes = b"",
    limit: int = 64 * MIB,
    check: bool = False,
    leave: str = "",
) -> Exit:
    """Run `argv` to its end and keep both streams (each up to `limit` bytes).

    With `leave`, a tag (`leaving`), what the command started stays after it, until `end_tagged`; it writes to files that
    nobody reads any more, never to our pipes, and there is no standard input.

    Raises:
        BlockedError: the program does not exist or may not be run.
        CommandError: `check` and it did not end with 0.
        InterruptedRunError: `STOP` was set meanwhile; the process is gone.
    """
    if leave:
        result = _run_leaving(argv, cwd, env, timeout, limit, leave)
    else:
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
    heeds = not getattr(_here, "finishing", False)
    if heeds:
        STOP.check()
    tag = fresh_tag()
    started = time.monotonic()
    err_to = subprocess.STDOUT if on_err is None else subprocess.PIPE
    child = _start(argv, cwd, env, tag, out=subprocess.PIPE, err=err_to)
    exit_reader, exit_writer = os.pipe()
    threading.Thread(target=_announce_exit, args=(child, exit_writer), daemon=True).start()
    feeder = threading.Thread(target=_feed, args=(child.stdin, stdin, not lifeline), daemon=True)
    feeder.start()
    result = _Ended()
    try:
        _pump(child, exit_reader, on_out, on_err, started, timeout, silence, result, heeds=heeds)
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
    if heeds:
        STOP.check()
    return result


@contextlib.contextmanager
def finishing() -> Iterator[None]:
    """While inside, this thread's commands run to their end although the run is stopped: they put back what was begun."""
    _here.finishing = True
    try:
        yield
    finally:
        _here.finishing = False


def fresh_tag() -> str:
    """A tag that no other process of this run carries."""
    return f"{_run_tag}.{next(_numbers)}"


def _below(tag: str) -> str:
    """The tag below this run's: whoever ends this run ends what carries it."""
    return tag if tag.startswith(f"{_run_tag}.") else f"{_run_tag}.{tag}"


def _start(
    argv: Sequence[str],
    cwd: Path,
    env: Mapping[str, str] | None,
    tag: str,
    *,
    out: int,
    err: int,
    pass_fds: tuple[int, ...] = (),
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(argv),
            cwd=cwd,
            env={**(child_env() if env is None else env), TAG: tag},
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=err,
            start_new_session=True,
            pass_fds=pass_fds,
        )
    except OSError as error:
        raise cannot_start(argv[0], cwd, error) from error


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
    *,
    heeds: bool,
) -> None:
    """Move bytes until both pipes are closed and the child has ended, or a limit or a stop says otherwise."""
    with selectors.DefaultSelector() as selector:
        pipes = 0
        for stream, sink in ((child.stdout, on_out), (child.stderr, on_err)):
            if stream is not None and sink is not None:
                selector.register(stream.fileno(), selectors.EVENT_READ, sink)
                pipes += 1
        selector.register(exit_reader, selectors.EVENT_READ, "exit")
        if heeds:
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
                    signal_group(child.pid, signal.SIGKILL)  # what it left in its group holds our pipes
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


def keep(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None, tag: str, log: Path) -> Kept:
    """Start `argv` as something that stays until `end_tagged(tag)`; both streams are appended to `log`."""
    with log.open("ab") as file:
        return _keep(argv, cwd, env, tag, file.fileno(), subprocess.STDOUT)


def _keep(argv: Sequence[str], cwd: Path, env: Mapping[str, str] | None, tag: str, out: int, err: int) -> Kept:
    STOP.check()
    status, keepers = os.pipe()
    tag = f"{_below(tag)}.{next(_numbers)}"
    keeper = [sys.executable, "-I", "-S", reap.__file__, str(keepers), "--", *argv]
    try:
        return Kept(_start(keeper, cwd, env, tag, out=out, err=err, pass_fds=(keepers,)), status, tag, argv, cwd)
    except BlockedError:
        os.close(status)
        raise
    finally:
        os.close(keepers)


@contextlib.contextmanager
def leaving() -> Iterator[str]:
    """A tag for `run(leave=…)` and `keep`; whatever carries it is gone when the block is left, by a stop too."""
    tag = fresh_tag()
    try:
        yield tag
    finally:
        end_tagged(tag)


def end_tagged(tag: str) -> None:
    """End all that `run(leave=tag)` and `keep` left, and whatever else carries `tag`: INT, TERM, KILL, each with a bounded wait."""
    keeping.end_tagged(_below(tag))


def _run_leaving(
    argv: Sequence[str], cwd: Path, env: Mapping[str, str] | None, timeout: float | None, limit: int, tag: str
) -> Exit:
    import tempfile

    started = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        kept = _keep(argv, cwd, env, tag, out.fileno(), err.fileno())
        code = None
        try:
            code = kept.wait(timeout)
        finally:
            if code is None:
                kept.end()
        printed, said = os.pread(out.fileno(), limit, 0), os.pread(err.fileno(), limit, 0)
    return Exit(tuple(argv), cwd, code, printed, said, time.monotonic() - started, timed_out=code is None)
