"""Starts every process of ours, and ends it with all that it started: own session, environment by allow-list, time limit.

Waiting is on events (a byte on a pipe, an exit, a stop), never on a sleep. One `STOP` a process: a signal sets it, every
wait in every thread ends its children and raises `InterruptedRunError`.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from zwarm_ci import keep as keeping
from zwarm_ci import reap
from zwarm_ci.errors import BlockedError, CommandError
from zwarm_ci.keep import Kept, cannot_start
from zwarm_ci.leash import LAST_WORD, Leash
from zwarm_ci.pump import Cause, Ended, Exit, Halt, Job, Pump, attended
from zwarm_ci.reap import TAG, end_all, end_tree, signal_group, start_time, tagged, wait_for
from zwarm_ci.scrub import child_env
from zwarm_ci.stop import STOP, Stop, stoppable
from zwarm_ci.streams import MIB, Capped, LineSink

__all__ = [
    "STOP", "TAG", "Exit", "Halt", "Kept", "Started", "Stop", "become", "detach", "end_tagged", "finishing", "fresh_tag", "keep", "leaving", "run",
    "run_lines", "run_logged", "stoppable", "tagged",
]  # fmt: skip

#: All that a guard's own process gets of our environment: where its interpreter finds its libraries.
_GUARDS_ENV = ("LD_LIBRARY_PATH",)
_run_tag = f"{os.environ.get(TAG, 'zw')}.{os.getpid()}-{secrets.token_hex(4)}"
_numbers = itertools.count(1)
_here = threading.local()


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
        job = Job(argv, cwd, child_env() if env is None else env, timeout, stdin, out, err)
        result = _drive(job).exit(out.value(), err.value(), out.dropped)
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

        ended = _drive(Job(argv, cwd, env, timeout, b"", sink, None))
        if written > limit:
            file.write(f"\n[log cut: {written - limit} more bytes were printed]\n".encode())
    return ended.exit(kept.value(), b"", kept.dropped)


def run_lines(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout: float,
    silence: float,
    on_line: Callable[[bytes], None],
    stdin: bytes = b"",
    supervised: bool = False,
    halt: Halt | None = None,
    marks: Mapping[str, str] | None = None,
) -> Exit:
    """Run a session: standard output by the line. `env` is all of its environment.

    Ended after `timeout` seconds in all, `silence` seconds without a byte, or when another thread sets `halt`.

    Its standard input is held open as a lifeline until it ends. `supervised`: it reads its standard input to the end instead,
    and runs below a guard, a process of ours without anything of our environment, which holds whatever it starts and ends it
    all: with it, at a limit, and when we are killed. What it prints while it is being ended is still heard. `marks` are
    variables that it puts into the environment of what it starts; they are looked at after each line, for more may be known.

    Raises:
        BlockedError: the program does not exist or may not be run.
        InterruptedRunError: `STOP` was set meanwhile; nothing of it is alive.
    """
    err = Capped(MIB, MIB)
    with contextlib.ExitStack() as after:
        halting = after.enter_context(halt.waking()) if halt else None
        if supervised:
            leash = Leash(marks or {})

            def heard(line: bytes) -> None:
                on_line(line)
                leash.tell()

            sink = LineSink(heard)
            ended = _guarded(Job(argv, cwd, env, timeout, stdin, sink, err, silence, halting), leash)
        else:
            sink = LineSink(on_line)
            ended = _drive(Job(argv, cwd, env, timeout, stdin, sink, err, silence, halting, lifeline=True))
    sink.close()
    return ended.exit(b"", err.value(), 0, halt.reason if halt else "")


def _drive(job: Job) -> Ended:
    heeds = _heeds()
    tag = fresh_tag()
    started = time.monotonic()
    err_to = subprocess.STDOUT if job.on_err is None else subprocess.PIPE
    child = _start(job.argv, job.cwd, job.env, tag, out=subprocess.PIPE, err=err_to)
    ended = Ended(job)

    def last_of_group() -> None:
        signal_group(child.pid, signal.SIGKILL)  # what it left in its group holds our pipes

    with attended(child, job) as exited:
        try:
            pump = _pump(job, child, exited, heeds=heeds, on_exit=last_of_group, on_cause=lambda: 0.0)
            ended.cause = pump.run()
            ended.code = child.returncode
            if not ended.cause and Path(job.argv[0]).name != "git":
                ended.left = tuple(dict.fromkeys(filter(None, (reap.name_of(pid) for pid, _ in tagged(tag)))))
        finally:
            # Whatever ended the wait, nothing that carries our tag outlives it. Git leaves nothing behind, so the scan is skipped for it.
            if child.poll() is None or Path(job.argv[0]).name != "git":
                end_tree(child, tag)
    ended.seconds = time.monotonic() - started
    if heeds:
        STOP.check()
    return ended


def _guarded(job: Job, leash: Leash) -> Ended:
    """As `_drive`, below a guard; it ends what there is to end, and only where it was killed itself do we."""
    heeds = _heeds()
    tag = fresh_tag()
    started = time.monotonic()
    env = {name: os.environ[name] for name in _GUARDS_ENV if name in os.environ}
    with leash:
        guard = [sys.executable, "-I", "-S", reap.__file__, "guard", *map(str, leash.theirs)]
        pipe = subprocess.PIPE
        child = _start(guard, job.cwd, env, tag, out=pipe, err=pipe, pass_fds=leash.theirs)
        leash.order(job.argv, {**job.env, TAG: tag})
        ended = Ended(job)

        def let_go() -> float:
            leash.let_go()
            return LAST_WORD

        with attended(child, job) as exited:
            try:
                pump = _pump(job, child, exited, heeds=heeds, on_exit=lambda: None, on_cause=let_go, leash=leash)
                ended.cause = pump.run()
            finally:
                leash.let_go()
                wait_for(child, LAST_WORD)
                if child.poll() is None:
                    end_tree(child, tag)
                end_all(lambda: tagged(tag, leash.marks))
        ended.code, ended.left = leash.code(job.argv, job.cwd), leash.left()
    ended.seconds = time.monotonic() - started
    if heeds:
        STOP.check()
    return ended


def _pump(
    job: Job,
    child: subprocess.Popen[bytes],
    exited: int,
    *,
    heeds: bool,
    on_exit: Callable[[], None],
    on_cause: Callable[[], float],
    leash: Leash | None = None,
) -> Pump:
    streams = ((child.stdout, job.on_out), (child.stderr, job.on_err))
    pipes = {stream.fileno(): sink for stream, sink in streams if stream is not None and sink is not None}
    wakes: dict[int, Cause] = {STOP.reader: "stop"} if heeds else {}
    if job.halting is not None:
        wakes[job.halting] = "halt"
    pump = Pump(pipes, exited, job.timeout, job.silence, wakes, on_exit, on_cause)
    return pump if leash is None else replace(pump, status=leash.status, on_status=leash.hear)


def _heeds() -> bool:
    """Whether this thread's commands end when the run is stopped.

    Raises:
        InterruptedRunError: they do, and it is.
    """
    heeds = not getattr(_here, "finishing", False)
    if heeds:
        STOP.check()
    return heeds


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
    env: Mapping[str, str],
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
            env={**env, TAG: tag},
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=err,
            start_new_session=True,
            pass_fds=pass_fds,
        )
    except OSError as error:
        raise cannot_start(argv[0], cwd, error) from error


def keep(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None, tag: str, log: Path) -> Kept:
    """Start `argv` as something that stays until `end_tagged(tag)`; both streams are appended to `log`."""
    with log.open("ab") as file:
        return _keep(argv, cwd, env, tag, file.fileno(), subprocess.STDOUT)


def _keep(argv: Sequence[str], cwd: Path, env: Mapping[str, str] | None, tag: str, out: int, err: int) -> Kept:
    STOP.check()
    status, keepers = os.pipe()
    tag = f"{_below(tag)}.{next(_numbers)}"
    keeper = [sys.executable, "-I", "-S", reap.__file__, str(keepers), "--", *argv]
    given = child_env() if env is None else env
    try:
        return Kept(_start(keeper, cwd, given, tag, out=out, err=err, pass_fds=(keepers,)), status, tag, argv, cwd)
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


@dataclass(frozen=True, slots=True)
class Started:
    """A process that goes on without us: its number, and the start time that makes the number its own."""

    pid: int
    start: str


def detach(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path, fds: Sequence[int] = ()) -> Started:
    """Start `argv` as something that outlives us: a session of its own, no input, both streams appended to `log`, `fds` open in it.

    `env` is all of its environment; our tag is not handed on, so whoever ends this run does not end it.

    Raises:
        BlockedError: the program does not exist or may not be run.
    """
    given = {name: value for name, value in env.items() if name != TAG}
    with log.open("ab") as file:
        try:
            child = subprocess.Popen(
                list(argv),
                cwd=cwd,
                env=given,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=fds,
            )
        except OSError as error:
            raise cannot_start(argv[0], cwd, error) from error
    start = start_time(child.pid)
    threading.Thread(target=child.wait, daemon=True).start()  # while we live, it does not stay a zombie
    return Started(child.pid, start)


def become(argv: Sequence[str], *, env: Mapping[str, str]) -> NoReturn:
    """Go on as another program in this very process: nothing that we knew is left in it. `env` is all of its environment."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(argv[0], list(argv), dict(env))  # noqa: S606 - no shell is meant
