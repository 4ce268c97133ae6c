"""Ends processes with all that they started. Run as a script it is the keeper: it holds what a command leaves, until its standard input closes.

Standard library only and nothing of this package: a keeper runs isolated (`-I -S`). Waiting is on exits, never on a sleep.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn, Protocol

TAG = "ZWARM_CI_TAG"  # in each child's environment, so that what left its process group is still found
#: Signal, and seconds until the next one.
GRACE = ((signal.SIGINT, 2.0), (signal.SIGTERM, 1.5), (signal.SIGKILL, 2.0))
_KILL = GRACE[-1:]
#: pid, and start time (field 22 of /proc/PID/stat): one process, whatever its number is reused for later.
Process = tuple[int, str]
_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
_ENDING = bytes((signal.SIGINT, signal.SIGTERM, signal.SIGHUP))


class Child(Protocol):
    """As much of a `subprocess.Popen` as it takes to end one."""

    @property
    def pid(self) -> int:
        """Its number, which is its group's too."""

    def poll(self) -> int | None:
        """Exit code, None while it runs."""

    def wait(self) -> int:
        """Exit code, once it has one."""


def end_tree(child: Child, tag: str) -> None:
    """End a child with its group, and what left the group but still carries `tag`: INT, TERM, KILL, each with a bounded wait."""
    for signum, grace in GRACE:
        if child.poll() is not None:
            break
        signal_group(child.pid, signum)
        wait_for(child, grace)
    signal_group(child.pid, signal.SIGKILL)
    end_all(lambda: tagged(tag), _KILL)


def wait_for(child: Child, seconds: float) -> None:
    """Wait until `child` has ended and is reaped, at most `seconds`."""
    if child.poll() is None and _one_ended([(child.pid, start_time(child.pid))], seconds):
        child.wait()


def end_all(look: Callable[[], list[Process]], grace: Sequence[tuple[int, float]] = GRACE) -> list[Process]:
    """Signal what `look` finds, and what it finds after each exit, until it finds nothing or the last wait is over; returns what is left."""
    found = look()
    for signum, seconds in grace:
        until = time.monotonic() + seconds
        told: set[Process] = set()
        while found:
            for process in set(found) - told:
                _send(process, signum)
            told.update(found)
            left = until - time.monotonic()
            if left <= 0 or not _one_ended(found, left):
                break
            found = look()
        if not found:
            return []
    return found


def _send(process: Process, signum: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        pid, start = process
        handle = os.pidfd_open(pid)
        try:
            if start_time(pid) == start:  # the handle is held: what we looked at is what gets it
                signal.pidfd_send_signal(handle, signum)
        finally:
            os.close(handle)


def _one_ended(processes: Sequence[Process], seconds: float) -> bool:
    """Wait until one of them has ended; False after `seconds`."""
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as handles:
        for pid, start in processes:
            try:
                handle = os.pidfd_open(pid)
            except ProcessLookupError:
                return True
            handles.callback(os.close, handle)
            if start_time(pid) != start:
                return True
            selector.register(handle, selectors.EVENT_READ)
        return bool(selector.select(seconds))


def signal_group(pid: int, signum: int) -> None:
    """Signal the process group of `pid`, if there is one and it is ours."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signum)


def tagged(tag: str) -> list[Process]:
    """Live processes whose environment says that `tag`, or a descendant of it, started them. Linux only."""
    exact, below = f"{TAG}={tag}\0".encode(), f"{TAG}={tag}.".encode()
    found = []
    for pid in _pids():
        try:
            environ = Path(f"/proc/{pid}/environ").read_bytes() + b"\0"
        except OSError:  # gone, or another user's: not ours either way
            continue
        if pid != os.getpid() and (exact in environ or below in environ):
            found.append((pid, start_time(pid)))
    return found


def descendants(pid: int) -> list[Process]:
    """Live processes below `pid`; one that overwrote its environment (redis, postgres) is found here too."""
    stats = {child: fields for child in _pids() if (fields := _stat(child))}
    below = [pid]
    for parent in below:
        below += [child for child, fields in stats.items() if fields[1] == str(parent)]
    return [(child, stats[child][19]) for child in below[1:] if not _is_dead(stats[child])]


def _is_dead(stat: Sequence[str]) -> bool:
    """A zombie that its parent has not waited for; one with threads left (field 20) still runs."""
    return stat[0] in "ZX" and int(stat[17]) < 2


def start_time(pid: int) -> str:
    """Field 22 of /proc/PID/stat (proc(5)): with the pid it names one process, whatever the pid is reused for."""
    fields = _stat(pid)
    return fields[19] if fields else ""


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third (state) on; empty where it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _pids() -> Iterator[int]:
    proc = Path("/proc")
    if proc.is_dir():
        yield from (int(entry.name) for entry in os.scandir(proc) if entry.name.isdigit())


def keep(status: int, argv: Sequence[str]) -> int:
    """Run `argv`, say on descriptor `status` how it ended, and stay for what it left behind.

    Orphans below become children of this process (PR_SET_CHILD_SUBREAPER), so none is lost by leaving its session or by
    overwriting its environment. All of them end when standard input closes (whoever started us is gone, or wants it so) or
    an ending signal comes. `status` gets one line: `exit N`, negative for a signal, or `errno N` where it cannot be run.
    """
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.set_inheritable(status, False)  # noqa: FBT003 - positional only
    wake, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for signum in (*_ENDING, signal.SIGCHLD):
        signal.signal(signum, lambda *_: None)
    child = os.fork()
    if not child:
        _become(argv, status)

    def look() -> list[Process]:
        while True:
            try:
                pid, code = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if not pid:
                break
            if pid == child:
                _say(status, f"exit {os.waitstatus_to_exitcode(code)}")
        return descendants(os.getpid())

    with selectors.DefaultSelector() as selector:
        selector.register(0, selectors.EVENT_READ)
        selector.register(wake, selectors.EVENT_READ)
        while look():
            ready = {key.fd for key, _ in selector.select()}
            if 0 in ready or (wake in ready and set(os.read(wake, 512)) & set(_ENDING)):
                break
    return 1 if end_all(look) else 0


def _say(status: int, line: str) -> None:
    with contextlib.suppress(OSError):  # nobody listens any more
        os.write(status, f"{line}\n".encode())


def _become(argv: Sequence[str], status: int) -> NoReturn:
    """In the forked child: a session of its own, no input, signals as they were, the environment that the keeper was given."""
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for signum in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and what is ignored stays so over exec
            signal.signal(signum, signal.SIG_DFL)
        # Not os.environ: Python may have added LC_CTYPE to it (PEP 538).
        given = (entry.partition(b"=") for entry in Path("/proc/self/environ").read_bytes().split(b"\0") if entry)
        os.execvpe(argv[0], list(argv), {name: value for name, _, value in given})  # noqa: S606 - no shell is meant
    except OSError as error:
        _say(status, f"errno {error.errno}")
    finally:
        os._exit(127)


if __name__ == "__main__":
    sys.exit(keep(int(sys.argv[1]), sys.argv[3:]))
