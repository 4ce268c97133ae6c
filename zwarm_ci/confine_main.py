"""Puts itself into namespaces and becomes the command after `--`: no process stays in between, so none can miss a signal.

Run by its path with `python -I -S`. Standard library only, and little of it, because every confined process pays for this
start. What cannot be done ends it with 125 and one line on standard error, before the command has begun. It keeps a check
from the network and from files by accident, not by malice: what real root runs can leave every namespace.
"""
# ruff: noqa: PTH102, PTH109, PTH115, PTH116, PTH123 - pathlib alone would double the start

from __future__ import annotations

import _socket  # `socket` costs 8 ms more
import ctypes
import errno
import fcntl
import os
import sys

TYPE_CHECKING = False  # `typing` costs 5 ms; type checkers know the name
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

FAILED = 125
SAYS = "zwarm-ci confine: "
# Numbers of the kernel's interface: sched.h, mount.h, sockios.h, if.h, prctl.h, capability.h, signal.h.
_NEW_MOUNTS, _NEW_USER, _NEW_NETWORK = 0x00020000, 0x10000000, 0x40000000
_RECURSIVE, _SLAVE = 0x4000, 1 << 19
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 1
_DROP_BOUND = 24
_CAP_NET_ADMIN, _CAP_SYS_ADMIN = 12, 21
_SIGPIPE, _SIGXFSZ = 13, 25  # `signal` costs 5 ms
_libc = ctypes.CDLL(None, use_errno=True)


class Plan:
    """What was asked for."""

    def __init__(self, words: Sequence[str]) -> None:
        """Read `[--no-network] [--join PID START] [--overlay TOP UPPER WORK]… [LIMITS] (--hold | --probe | -- COMMAND…)`.

        LIMITS: `[--data BYTES] [--file-size BYTES] [--processes N] [--group FOLDER]`.

        Raises:
            ValueError: it is anything else.
        """
        self.network, self.hold, self.probe = True, False, False
        self.join: tuple[str, str] | None = None
        self.overlays: list[tuple[str, str, str]] = []
        self.limits: list[tuple[str, int]] = []
        self.group = ""
        todo = list(words)
        while todo and todo[0] != "--":
            match todo:
                case ["--no-network", *todo]:
                    self.network = False
                case ["--join", pid, start, *todo]:
                    self.join = (pid, start)
                case ["--overlay", top, upper, work, *todo]:
                    self.overlays.append((top, upper, work))
                case ["--data" | "--file-size" | "--processes" as what, figure, *todo]:
                    self.limits.append((what, int(figure)))
                case ["--group", group, *todo]:
                    self.group = group
                case ["--hold", *todo]:
                    self.hold = True
                case ["--probe", *todo]:
                    self.probe = True
                case _:
                    raise ValueError(f"{todo[0]}: no option, or not whole")
        self.command = todo[1:]
        if bool(self.command) + self.hold + self.probe != 1:
            raise ValueError("one of --hold, --probe and -- COMMAND is needed")


def main(words: Sequence[str]) -> int:
    """Do what the words say; comes back only from --hold, --probe and failure."""
    try:
        plan = Plan(words)
        if plan.group:
            _into(plan.group)
        enter(plan)
        if plan.hold:
            return hold()
        if plan.probe:
            return probe()
        limit(plan.limits)
        become(plan.command)
    except (OSError, ValueError) as error:
        return refused(error)


def refused(error: OSError | ValueError) -> int:
    """Say in one line why the command cannot begin; the exit code for that."""
    said = (isinstance(error, OSError) and error.strerror) or str(error)
    os.write(2, os.fsencode(f"{SAYS}{' '.join(said.split())}\n"))
    return FAILED


def below(work: Callable[[], int]) -> int:
    """Have a child do `work` and end with what it gives; its exit code (128 + n for signal n). Whatever else ends meanwhile is reaped."""
    child = os.fork()
    if not child:
        code = FAILED
        try:
            code = work()
        except (OSError, ValueError) as error:
            code = refused(error)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            raise
        finally:  # never back up the stack: that is the parent's
            os._exit(code)
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def enter(plan: Plan) -> None:
    """Be where the plan says.

    Raises:
        OSError: the kernel, or a policy above it, refuses; the message says what.
    """
    bound = capabilities("CapBnd")
    folder = os.getcwd()
    if plan.join:
        _join(*plan.join)
    wanted = (0 if plan.network else _NEW_NETWORK) | (_NEW_MOUNTS if plan.overlays else 0)
    if wanted and capabilities("CapEff") >= {_CAP_NET_ADMIN, _CAP_SYS_ADMIN}:
        call("unshare", wanted)
    elif wanted:
        unshare_as_user(wanted)
    if not plan.network:
        _loopback_up()
    if plan.overlays:
        call("mount", b"none", b"/", None, _RECURSIVE | _SLAVE, None)  # ours do not reach out; theirs still reach in
        for top, upper, work in plan.overlays:
            _cover(os.path.realpath(top), os.path.realpath(upper), os.path.realpath(work))
        os.chdir(folder)  # the same name, but now what lies over it
    for capability in capabilities("CapBnd") - bound:  # a new user namespace begins with all there are
        call("prctl", _DROP_BOUND, capability, 0, 0, 0)


def _into(group: str) -> None:
    """Be counted in a control group, with all that we start."""
    with open(f"{group}/cgroup.procs", "w", encoding="ascii") as file:
        file.write("0")


def limit(limits: Sequence[tuple[str, int]]) -> None:
    """Set limits for us and all that we start; one that is lower already stays."""
    if not limits:
        return
    import resource

    kinds = {"--data": resource.RLIMIT_DATA, "--file-size": resource.RLIMIT_FSIZE, "--processes": resource.RLIMIT_NPROC}
    for what, figure in limits:
        hard = resource.getrlimit(kinds[what])[1]
        most = figure if hard == resource.RLIM_INFINITY else min(figure, hard)
        resource.setrlimit(kinds[what], (most, most))


def call(name: str, *args: int | bytes | None, about: str = "") -> int:
    """What a function of the C library answers.

    Raises:
        OSError: it failed; the message says which (`about`) and why.
    """
    answer: int = getattr(_libc, name)(*(ctypes.c_ulong(a) if isinstance(a, int) else a for a in args))
    if answer < 0:
        raise failure(ctypes.get_errno(), about or name)
    return answer


def failure(number: int, about: str) -> OSError:
    """The error to raise for an error number of the kernel's."""
    return OSError(number, f"{about}: {os.strerror(number)}")


def capabilities(row: str) -> set[int]:
    """Numbers of the capabilities in a row of /proc/self/status (proc(5))."""
    with open("/proc/self/status", encoding="utf-8", errors="replace") as file:
        mask = next(int(line.split()[1], 16) for line in file if line.startswith(f"{row}:"))
    return {number for number in range(mask.bit_length()) if mask >> number & 1}


def unshare_as_user(wanted: int) -> None:
    """The same in a user namespace of our own, in which we have the ids that we had: tests and git see the same owner.

    It gives every capability inside, until exec takes them away from whoever is not root.
    """
    user, group = os.geteuid(), os.getegid()
    call("unshare", _NEW_USER | wanted)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        handle = os.open(f"/proc/self/{name}", os.O_WRONLY)
        try:
            os.write(handle, text.encode())
        except OSError as error:
            raise failure(error.errno or 0, name) from error
        finally:
            os.close(handle)


def _loopback_up() -> None:
    handle = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    try:
        request = bytearray(fcntl.ioctl(handle.fileno(), _GET_FLAGS, b"lo".ljust(40, b"\0")))  # struct ifreq
        flags = int.from_bytes(request[16:18], sys.byteorder) | _UP
        request[16:18] = flags.to_bytes(2, sys.byteorder)
        fcntl.ioctl(handle.fileno(), _SET_FLAGS, bytes(request))
    except OSError as error:
        raise failure(error.errno or 0, "loopback") from error
    finally:
        handle.close()


def _cover(top: str, upper: str, work: str) -> None:
    """Mount an overlay of `top` over `top` itself: what is written there lands in `upper`."""
    inside = f"{top.rstrip('/')}/"
    if upper.startswith(inside) or work.startswith(inside):
        raise OSError(errno.EINVAL, f"the scratch folder {upper} lies inside of {top}")
    if hidden := [place for place in _mounts() if place.startswith(inside)]:
        raise OSError(errno.EBUSY, f"{hidden[0]} is mounted inside of {top}, and an overlay would hide it")
    marks = _marks(work)
    fresh = f"{work}/{os.getpid()}"  # a volatile overlay's work folder serves once
    os.mkdir(fresh)
    # By descriptor: a path with commas, colons or backslashes would need escapes that kernels read differently.
    handles = [os.open(path, os.O_PATH | os.O_DIRECTORY) for path in (top, upper, fresh)]
    options = "lowerdir=/proc/self/fd/{},upperdir=/proc/self/fd/{},workdir=/proc/self/fd/{},".format(*handles) + marks
    try:
        _mount_overlay(top, options)
    except OSError as error:
        raise OSError(error.errno, f"overlay over {top} with {upper}: {error.strerror}") from error
    finally:
        for handle in handles:
            os.close(handle)


def _mount_overlay(top: str, options: str) -> None:
    """Without fsync where the kernel can (5.10): else each file of `top` that is changed costs one, milliseconds."""
    try:
        call("mount", b"overlay", os.fsencode(top), b"overlay", 0, f"{options},volatile".encode())
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        call("mount", b"overlay", os.fsencode(top), b"overlay", 0, options.encode())


def _mounts() -> list[str]:
    """Mount points (proc(5)), as the paths that they are."""
    with open("/proc/self/mountinfo", "rb") as file:
        names = [line.split(b" ")[4] for line in file]
    for escaped, char in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
        names = [name.replace(escaped, char) for name in names]
    return [os.fsdecode(name) for name in names]


def _marks(work: str) -> str:
    """Where an overlay may keep its marks: root's attributes, which let folders be renamed, or a user's, which do not."""
    refused = 0
    for name, options in (("trusted.zwarm_ci", "redirect_dir=on"), ("user.zwarm_ci", "userxattr")):
        try:
            os.setxattr(work, name, b"1")
            os.removexattr(work, name)
        except OSError as error:
            refused = error.errno or 0
        else:
            return options
    raise failure(refused, f"extended attributes in {work}")


def _join(pid: str, start: str) -> None:
    """Enter the user and network namespace of the process that `pid` and its start time name."""
    try:
        handles = [os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY) for kind in ("user", "net")]
    except FileNotFoundError as error:
        raise OSError(errno.ESRCH, f"holder {pid} is gone") from error
    except PermissionError as error:
        raise failure(errno.EPERM, f"holder {pid} is not ours, or we are in another namespace already") from error
    if start_time(pid) != start:
        raise OSError(errno.ESRCH, f"holder {pid} is gone, and its number is somebody else's")
    for handle, kind in zip(handles, ("user", "net"), strict=True):
        if not os.path.samestat(os.fstat(handle), os.stat(f"/proc/self/ns/{kind}")):
            call("setns", handle, 0)
        os.close(handle)


def start_time(pid: str) -> str:
    """Field 22 of /proc/PID/stat (proc(5))."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[19]


def hold() -> int:
    """Leave a child that keeps the namespaces until it is ended; say its pid and start time."""
    ready, done = os.pipe()
    if child := os.fork():
        os.close(done)
        os.read(ready, 1)  # end of file: it holds none of our streams any more
        os.write(1, f"{child} {start_time(str(child))}\n".encode())
        return 0
    os.setsid()
    os.chdir("/")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    os.close(done)
    while True:
        _libc.pause()


def probe() -> int:
    """Say which user and network namespace this is, after a look that nothing leads out and that loopback works."""
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outward:
        try:
            # TEST-NET-1 (RFC 5737). UDP: asks for a route, sends nothing.
            outward.connect(("192.0.2.1", 9))
        except OSError as error:
            if error.errno != errno.ENETUNREACH:
                raise
        else:
            raise OSError(errno.EISCONN, "there is still a way out")
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname(), timeout=5) as client,
        server.accept()[0] as heard,
    ):
        client.sendall(b"x")
        heard.settimeout(5)
        if heard.recv(1) != b"x":
            raise OSError(errno.EIO, "loopback does not carry")
    print(os.readlink("/proc/self/ns/user"), os.readlink("/proc/self/ns/net"))
    return 0


def heed(*signums: int) -> None:
    """Have these signals do again what they do by default."""
    for signum in signums:
        _libc.signal(signum, None)


def become(command: Sequence[str]) -> NoReturn:
    """Exec, with signals and environment as they were given to us."""
    heed(_SIGPIPE, _SIGXFSZ)  # Python ignores them, and what is ignored stays so over exec
    with open("/proc/self/environ", "rb") as file:  # not os.environ: Python may have added LC_CTYPE (PEP 538)
        given = (entry.partition(b"=") for entry in file.read().split(b"\0") if entry)
    try:
        os.execvpe(command[0], list(command), {name: value for name, _, value in given})  # noqa: S606 - no shell is meant
    except OSError as error:
        raise failure(error.errno or 0, command[0]) from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
