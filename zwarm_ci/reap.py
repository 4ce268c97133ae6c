"""Ends processes with all that they started. Run as a script it stands between us and a command, and outlives us if need be.

As the keeper it holds what a command leaves, until its standard input closes. As the guard it lets nothing be left: when the
command has ended, or we say so, or we are dead, it ends all of it. Standard library only and nothing of this package: both
run isolated (`-I -S`). Waiting is on exits, never on a sleep.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn, Protocol

TAG = "ZWARM_CI_TAG"  # in each child's environment, so that what left its process group is still found
#: Signal, and seconds until the next one.
GRACE = ((signal.SIGINT, 2.0), (signal.SIGTERM, 1.5), (signal.SIGKILL, 2.0))
_KILL = GRACE[-1:]
#: pid, and start time (field 22 of /proc/PID/stat): one process, whatever its number is reused for later.
Process = tuple[int, str]
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # prctl(2)
_SETTLE = 1.0  # seconds that what a command started has to end by itself when the command has
_EXEC = 0.5  # seconds that a look waits for programs that are being started; usually it is less than a thousandth
_KERNEL_THREAD = 0x00200000  # PF_KTHREAD (linux/sched.h), in field 9 of /proc/PID/stat
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


def tagged(tag: str, marks: Mapping[str, str] | None = None) -> list[Process]:
    """Live processes whose environment says that `tag`, or a descendant of it, started them, or that has one of the `marks`. Linux only.

    A mark is a variable that somebody else's program puts into the environment of what it starts. Those that we descend from
    are never found.
    """
    exact = [f"\0{name}={value}\0".encode() for name, value in {TAG: tag, **(marks or {})}.items() if value]
    wanted = (*exact, f"\0{TAG}={tag}.".encode())
    spared = {os.getpid()} | (ancestors(os.getpid()) if marks else set())
    until = time.monotonic() + _EXEC
    found = []
    for pid in _pids():
        environ = b"\0" + _environ(pid, until) + b"\0"
        if pid not in spared and any(text in environ for text in wanted):
            found.append((pid, start_time(pid)))
    return found


def _environ(pid: int, until: float) -> bytes:
    """What a process was started with; nothing where it is gone or another user's: not ours either way.

    While a program is being started (execve(2)) its process has neither environment nor arguments to show; somebody who is
    told that it runs may look earlier than that. There is no event for it, so the processor is given up until it is over.
    """
    file = Path(f"/proc/{pid}/environ")
    try:
        if environ := file.read_bytes():
            return environ
        while _starts(pid) and time.monotonic() < until:
            os.sched_yield()
        return file.read_bytes()
    except OSError:
        return b""


def _starts(pid: int) -> bool:
    """Whether a process is between two programs."""
    stat = _stat(pid)
    alive = bool(stat) and not _is_dead(stat) and not int(stat[6]) & _KERNEL_THREAD
    return alive and not Path(f"/proc/{pid}/cmdline").read_bytes()


def ancestors(pid: int) -> set[int]:
    """The processes that `pid` descends from."""
    above: set[int] = set()
    while (fields := _stat(pid)) and (pid := int(fields[1])) and pid not in above:
        above.add(pid)
    return above


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
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    os.set_inheritable(status, False)  # noqa: FBT003 - positional only
    wake = _signals()
    child = _fork()
    if not child:
        with _exec_only(status):
            os.setsid()
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            _become(argv, _given_environ())

    alive = _Alive(child, status)

    def look() -> list[Process]:
        alive.ended()
        return descendants(os.getpid())

    with selectors.DefaultSelector() as selector:
        selector.register(0, selectors.EVENT_READ)
        selector.register(wake, selectors.EVENT_READ)
        while look():
            ready = {key.fd for key, _ in selector.select()}
            if 0 in ready or (wake in ready and set(os.read(wake, 512)) & set(_ENDING)):
                break
    return 1 if end_all(look) else 0


def _fork() -> int:
    """As `os.fork`; in the child, ending signals wait until `_become`. They would be lost on a handler of ours before exec."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    child = os.fork()
    if child:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
    return child


def _say(status: int, line: str) -> None:
    with contextlib.suppress(OSError):  # nobody listens any more
        os.write(status, f"{line}\n".encode())


@contextlib.contextmanager
def _exec_only(status: int) -> Iterator[None]:
    """In a forked child: whatever goes wrong is said on `status`, and the child never goes on with what its parent does."""
    try:
        yield
    except OSError as error:
        _say(status, f"errno {error.errno}")
    finally:
        os._exit(127)


def _become(argv: Sequence[str], environ: Mapping[bytes, bytes]) -> NoReturn:
    """Be `argv`, with signals as they were and nothing in the environment but `environ`."""
    # Python ignores two, and what is ignored stays so over exec.
    for signum in (signal.SIGPIPE, signal.SIGXFSZ, *_ENDING):
        signal.signal(signum, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
    os.execvpe(argv[0], list(argv), environ)  # noqa: S606 - no shell is meant


def _given_environ() -> dict[bytes, bytes]:
    """What this process was started with. Not os.environ: Python may have added LC_CTYPE to it (PEP 538)."""
    given = (entry.partition(b"=") for entry in Path("/proc/self/environ").read_bytes().split(b"\0") if entry)
    return {name: value for name, _, value in given}


def _prctl(option: int, value: int) -> None:
    import ctypes

    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _signals() -> int:
    """A descriptor that can be read when a child has ended or an ending signal has come: the signals' numbers, a byte each."""
    wake, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for signum in (*_ENDING, signal.SIGCHLD):
        signal.signal(signum, lambda *_: None)
    return wake


def guard(control: int, status: int) -> int:
    """Run the command that a line of JSON on `control` names, say on `status` how it ended, and let nothing of it be left.

    The line has `argv`, `env` (all that the command gets; this process has none of it) and `marks` (see `tagged`); later lines
    have further `marks`. The three standard streams are the command's. All that it started ends when it has ended, when
    `control` closes (we are to end it, or who started us is dead) or an ending signal comes: the command's group gets INT and
    may save its state, then whatever is left gets INT, TERM, KILL. `status` gets what `keep` says, then `left NAME`s (`_say_left`).
    """
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    for descriptor in (control, status):
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - positional only
    wake, orders = _signals(), _Orders(control)
    if not orders.heard():
        return 0
    this = os.getpid()
    child = _fork()
    if not child:
        with _exec_only(status):
            _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() == this:
                os.setsid()
                _become(orders.argv, {os.fsencode(k): os.fsencode(v) for k, v in orders.env.items()})
    born, alive = start_time(child), _Alive(child, status)
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(wake, selectors.EVENT_READ)
        while not alive.ended():
            ready = {key.fd for key, _ in selector.select()}
            if (control in ready and not orders.heard()) or (wake in ready and set(os.read(wake, 512)) & set(_ENDING)):
                break
    first, rest = GRACE[0], GRACE[1:]
    if not alive.ended():
        signal_group(child, first[0])
        _one_ended([(child, born)], first[1])
    grace = GRACE if alive.ended() else rest

    def look() -> list[Process]:
        alive.ended()
        return list({*descendants(this), *tagged(orders.env.get(TAG, ""), orders.marks)})

    if grace is GRACE:  # otherwise we end it all, and what is there is no wonder
        _say_left(status, look)
    return 1 if end_all(look, grace) else 0


def _say_left(status: int, look: Callable[[], list[Process]]) -> None:
    """Name on `status` what still runs although it has had the time to end, a line `left NAME` each."""
    until = time.monotonic() + _SETTLE
    while (found := look()) and (seconds := until - time.monotonic()) > 0 and _one_ended(found, seconds):
        pass
    for name in filter(None, (name_of(pid) for pid, _ in found)):
        _say(status, f"left {name}")


def name_of(pid: int) -> str:
    """A live process's name; "" where it is gone."""
    try:
        return " ".join(Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        return ""


class _Orders:
    """What came on the control pipe so far."""

    def __init__(self, control: int) -> None:
        self.argv: list[str] = []
        self.env: dict[str, str] = {}
        self.marks: dict[str, str] = {}
        self._control, self._rest = control, b""

    def heard(self) -> bool:
        """Read until a line has come; False at the end of the pipe."""
        import json

        lines: list[bytes] = []
        while not lines:
            data = os.read(self._control, 65536)
            if not data:
                return False
            *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            order = json.loads(line)
            self.argv = order.get("argv", self.argv)
            self.env = order.get("env", self.env)
            self.marks.update(order["marks"])
        return True


class _Alive:
    """Whether the command runs. Orphans of its that came to us are waited for too, so that none stays a zombie."""

    def __init__(self, child: int, status: int) -> None:
        self._child, self._status = child, status
        self._ended = False

    def ended(self) -> bool:
        """Whether it has ended; said on `status` once."""
        with contextlib.suppress(ChildProcessError):
            while found := os.waitpid(-1, os.WNOHANG):
                pid, code = found
                if not pid:
                    break
                if pid == self._child:
                    self._ended = True
                    _say(self._status, f"exit {os.waitstatus_to_exitcode(code)}")
        return self._ended


if __name__ == "__main__":
    if sys.argv[1] == "guard":
        sys.exit(guard(int(sys.argv[2]), int(sys.argv[3])))
    sys.exit(keep(int(sys.argv[1]), sys.argv[3:]))
