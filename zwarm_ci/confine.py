"""Keeps a command from the network, and its writes out of a checkout: prefixes for an argv, from the means that really work here.

Found out by trying, never by version. The work itself is done by `confine_main.py`, in the process that becomes the command.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from zwarm_ci.errors import BlockedError
from zwarm_ci.proc import Exit, end_tagged, fresh_tag, run
from zwarm_ci.scrub import decode, one_line
from zwarm_ci.streams import MIB

MAIN = Path(__file__).with_name("confine_main.py")
FAILED, SAYS = 125, "zwarm-ci confine: "
_OURS = frozenset({"network namespace", "user namespace"})
_ROOT = Path("/")
_SECONDS = 30.0  # for what takes milliseconds
_PROC, _CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")
_PROCESSES = 4096  # a large browser suite has some hundreds
_FILE_SIZE = 16  # GiB; sparse files of databases are counted whole
#: Says which of its limits hold: of memory 256 MiB, of files 4 KiB, of processes none.
_TRY = """
import os, signal, tempfile
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    bytearray(512 << 20)
except MemoryError:
    print("memory")
try:
    with tempfile.TemporaryFile() as file:
        os.ftruncate(file.fileno(), 8192)
except OSError:
    print("file size")
try:
    if not os.fork():
        os._exit(0)
except OSError:
    print("processes")
"""
#: A file below /proc/sys that refuses namespaces to users, what it then says, and the remedy.
_SWITCHES = (
    ("kernel/apparmor_restrict_unprivileged_userns", "1", "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"),
    ("kernel/unprivileged_userns_clone", "0", "sudo sysctl -w kernel.unprivileged_userns_clone=1"),
    ("user/max_user_namespaces", "0", "sudo sysctl -w user.max_user_namespaces=10000"),
    ("user/max_net_namespaces", "0", "sudo sysctl -w user.max_net_namespaces=10000"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Means:
    """How outbound network is kept from a check; `why` is one line for `doctor` and the evidence, with the remedy where there is none."""

    name: Literal["network namespace", "user namespace", "bubblewrap", "none"]
    why: str


@functools.cache
def means() -> Means:
    """The first means that works here, tried for real: nothing leads out, loopback carries. Found out once a process (≈ 0.1 s)."""
    if sys.platform != "linux":
        return Means("none", f"{sys.platform} has no network namespaces; checks run with the network on")
    kind, refused = _tried(offline(Means("network namespace", "")))
    if kind == "plain":
        return Means("network namespace", "unshare(2) as root: nothing leads out, loopback is up")
    if kind:
        return Means("user namespace", "unshare(2) in a user namespace of its own: nothing leads out, loopback is up")
    prefix = offline(Means("bubblewrap", ""))
    kind, refused_too = _tried(prefix) if prefix else ("", "bubblewrap is not installed")
    if kind:
        return Means(
            "bubblewrap", f"bwrap, as a namespace of our own is refused ({refused}): nothing leads out, loopback is up"
        )
    return Means(
        "none", f"namespaces are refused ({refused}; {refused_too}); checks run with the network on; {remedy()}"
    )


def _tried(prefix: tuple[str, ...]) -> tuple[str, str]:
    """What kind of namespace `prefix` really gives ("plain", "user"; "" = none), and what it said where it gives none."""
    try:
        done = run([*prefix, *_main("--probe")], cwd=_ROOT, timeout=_SECONDS)
    except BlockedError as error:
        return "", error.line
    user, _, network = decode(done.stdout).strip().partition(" ")
    if not done.ok:
        return "", one_line(decode(done.stderr).strip().removeprefix(SAYS)) or f"the probe ended with {done.code}"
    if not network or network == _namespace("net"):
        return "", f"{prefix[0]} leaves the network as it is"
    return ("plain" if user == _namespace("user") else "user"), ""


def _namespace(kind: str) -> str:
    return str(Path(f"/proc/self/ns/{kind}").readlink())


def remedy(sysctls: Path = Path("/proc/sys")) -> str:
    """What to do where namespaces are refused: the switch of this machine that is off, else what a container needs, else bubblewrap."""
    for name, off, command in _SWITCHES:
        try:
            if (sysctls / name).read_text(encoding="ascii").strip() == off:
                return f"remedy: {command}"
        except OSError:  # this kernel has no such switch
            continue
    if any(Path(mark).exists() for mark in ("/.dockerenv", "/run/.containerenv")):
        return "remedy: start the container with --cap-add SYS_ADMIN --cap-add NET_ADMIN, or --security-opt seccomp=unconfined"
    return "remedy: install bubblewrap"


def _main(*options: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-S", str(MAIN), *options)


def offline(means: Means) -> tuple[str, ...]:
    """What to put before an argv so that it has loopback and no other network; `()` where there are no means.

    The command is what runs: same process, environment, folder, ids and exit code (bubblewrap: 128 + n for signal n).
    """
    import shutil

    if means.name in _OURS:
        return _main("--no-network", "--")
    if means.name == "bubblewrap" and (bwrap := shutil.which("bwrap")):
        return (bwrap, "--dev-bind", "/", "/", "--unshare-net", "--die-with-parent", "--")
    return ()


def overlaid(top: Path, scratch: Path, *more: Path) -> tuple[str, ...]:
    """What to put before an argv so that it sees `top` (and `more`) at the same path, and what it writes there lands in `scratch`.

    `()` where that cannot be; `no_overlay` says why. `scratch` lies outside of `top`, belongs to one command at a time, and
    the next one sees what the last one wrote; `discard` removes it. `more` is for a git directory that lies elsewhere
    (linked worktrees). Not covered: what is reached through another path, a container engine, or an open descriptor. A user
    who is not root gets EXDEV from rename(2) of a folder that is in `top`, as between two file systems (`mv` then copies).
    """
    return () if no_overlay(top, scratch, *more) else _overlay(top, scratch, more)


def _overlay(top: Path, scratch: Path, more: tuple[Path, ...]) -> tuple[str, ...]:
    tops = sorted({path.resolve() for path in (top, *more)})
    outermost = [path for path in tops if not any(path.is_relative_to(other) for other in tops if other != path)]
    options = []
    for number, path in enumerate(outermost):
        upper, work = (scratch / str(number) / name for name in ("upper", "work"))
        if not upper.exists():
            upper.mkdir(parents=True)
            _look_like(upper, path)
        work.mkdir(exist_ok=True)
        options += ["--overlay", str(path), str(upper), str(work)]
    return _main(*options, "--")


def _look_like(upper: Path, top: Path) -> None:
    """An overlay's own folder has the owner, mode and times of `upper`, and git asks for the owner."""
    import shutil

    stat = top.stat()
    if stat.st_uid != upper.stat().st_uid:
        with contextlib.suppress(PermissionError):  # only root may; else it is ours, as everything that we write is
            os.chown(upper, stat.st_uid, stat.st_gid)
    shutil.copystat(top, upper)


_tried_overlays: dict[tuple[tuple[Path, ...], int], str] = {}


def no_overlay(top: Path, scratch: Path, *more: Path) -> str:
    """Why `overlaid` cannot be here, in one line; "" where it can. Tried for real, once for the same folders and file system of `scratch`."""
    if sys.platform != "linux":
        return f"{sys.platform} has no overlay mounts"
    tops = (top.resolve(), *(path.resolve() for path in more))
    if inside := next((path for path in tops if scratch.resolve().is_relative_to(path)), None):
        return f"the scratch folder {scratch} lies inside of {inside}"
    scratch.mkdir(parents=True, exist_ok=True)
    key = (tops, scratch.stat().st_dev)
    if key not in _tried_overlays:
        done = run([*_overlay(top, scratch, more), sys.executable, "-I", "-S", "-c", ""], cwd=_ROOT, timeout=_SECONDS)
        _tried_overlays[key] = "" if done.ok else one_line(decode(done.stderr).removeprefix(SAYS), 400)
    return _tried_overlays[key]


def discard(scratch: Path) -> None:
    """Remove a scratch folder of `overlaid`, with the folders in it that nobody may enter (the kernel's, and a check's)."""
    import shutil

    for folder, names, _ in os.walk(scratch):
        for path in (Path(folder, name) for name in names):
            if not path.is_symlink():
                path.chmod(0o700)
    if scratch.exists():
        shutil.rmtree(scratch)


def trouble(done: Exit) -> str:
    """What kept a confined command from beginning, in one line; "" where it began."""
    last = decode(done.stderr or done.stdout).rstrip().rpartition("\n")[2]
    return one_line(last.removeprefix(SAYS), 400) if done.code == FAILED and last.startswith(SAYS) else ""


@dataclass(frozen=True, slots=True)
class Limit:
    """What a check's processes may not exceed, and by what means (`none: why` = they may); `options` have it applied."""

    what: Literal["memory", "processes", "file size"]
    means: str
    options: tuple[str, ...] = ()


@functools.cache
def limits() -> tuple[Limit, ...]:
    """The limits that work here, each tried for real. Found out once a process (≈ 0.1 s).

    They are there for what runs wild, not for what is greedy: no honest check comes near.
    """
    if sys.platform != "linux":
        return tuple(Limit(what, f"none: {sys.platform}") for what in ("memory", "processes", "file size"))
    small = ("--data", str(256 * MIB), "--file-size", "4096", "--processes", "0")
    held = decode(
        run([*_main(*small, "--"), sys.executable, "-I", "-S", "-c", _TRY], cwd=_ROOT, timeout=_SECONDS).stdout
    )
    data, size = str(_memory() * 3 // 4), str(_FILE_SIZE * 1024 * MIB)
    return (
        Limit("memory", "RLIMIT_DATA, three quarters of what there is for a process", ("--data", data))
        if "memory" in held
        else Limit("memory", "none: RLIMIT_DATA is not heeded here"),
        _processes(heeded="processes" in held),
        Limit("file size", f"RLIMIT_FSIZE, {_FILE_SIZE} GiB", ("--file-size", size))
        if "file size" in held
        else Limit("file size", "none: RLIMIT_FSIZE is not heeded here"),
    )


def _memory() -> int:
    """Bytes of memory that processes of ours may have in all: the machine's, or a container's share."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            found.append(int((_CGROUPS / name).read_text(encoding="ascii")))
    return min(found)


def _processes(*, heeded: bool) -> Limit:
    """RLIMIT_NPROC, which counts a user's and does not hold root; for root a control group, where one can be made."""
    if heeded:
        return Limit("processes", f"RLIMIT_NPROC, {_PROCESSES} more", ("--processes", str(_threads() + _PROCESSES)))
    group, why = _group()
    if not group:
        return Limit("processes", f"none: RLIMIT_NPROC does not hold root, and {why}")
    return Limit("processes", f"pids control group, {_PROCESSES} in all", ("--group", str(group)))


def _threads() -> int:
    """How many threads our user has now: what RLIMIT_NPROC counts."""
    count = 0
    for status in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            if status.stat().st_uid == os.getuid():
                count += sum(1 for _ in (status / "task").iterdir())
    return count


def _group() -> tuple[Path | None, str]:
    """A control group of ours for the number of processes, gone when this process ends; or why there is none."""
    import atexit

    own = _own_group()
    if own is None:
        return None, "there is no pids controller"
    for left in own.glob("zwarm-ci-[0-9]*"):  # by one that was killed
        if not (_PROC / left.name.rpartition("-")[2]).exists():
            with contextlib.suppress(OSError):
                left.rmdir()
    group = own / f"zwarm-ci-{os.getpid()}"
    try:
        group.mkdir(exist_ok=True)
        (group / "pids.max").write_text(str(_PROCESSES), encoding="ascii")
    except OSError as error:
        with contextlib.suppress(OSError):
            group.rmdir()
        return None, f"{group} cannot be made ({error.strerror})"
    atexit.register(_remove, group, os.getpid())
    tried = run([*_main("--group", str(group), "--"), "cat", "/proc/self/cgroup"], cwd=_ROOT, timeout=_SECONDS)
    return (group, "") if group.name in decode(tried.stdout) else (None, trouble(tried) or f"{group} takes no process")


def _own_group() -> Path | None:
    for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        if "pids" in controllers.split(","):
            return _CGROUPS / "pids" / path.lstrip("/")
        if not controllers and (_CGROUPS / path.lstrip("/") / "pids.max").exists():
            return _CGROUPS / path.lstrip("/")
    return None


def _remove(group: Path, pid: int) -> None:
    if os.getpid() == pid:
        with contextlib.suppress(OSError):  # a process in it is still being ended
            group.rmdir()


def limited(prefix: tuple[str, ...]) -> tuple[str, ...]:
    """`prefix` (of `offline`, a room or nothing) with the limits that work here: no process more where it is ours already."""
    options = tuple(option for limit in limits() for option in limit.options)
    if not options:
        return prefix
    if str(MAIN) in prefix:
        at = prefix.index(str(MAIN)) + 1
        return (*prefix[:at], *options, *prefix[at:])
    return (*prefix, *_main(*options, "--"))


@dataclass(frozen=True, slots=True)
class Room:
    """A network of its own that several processes share: what joins it sees its loopback, and nothing outside.

    `prefix` goes before the argv of each, and before that of `overlaid`. Where `network` is true there are no means of our
    own (bubblewrap cannot be joined): the prefix is empty and they share the machine's network. All that was left under
    `tag` (`proc.run(leave=room.tag)`) ends with the room; an interrupted run closes it by leaving the `with`, a killed one by dying.
    """

    prefix: tuple[str, ...]
    network: bool
    tag: str

    @classmethod
    def open(cls, means: Means, tag: str = "") -> Self:
        """Make one; a holder without streams or folder keeps it.

        Raises:
            BlockedError: the means that worked a moment ago do not.
        """
        tag = tag or fresh_tag()
        if means.name not in _OURS:
            return cls((), network=True, tag=tag)
        done = run(_main("--no-network", "--hold"), cwd=_ROOT, timeout=_SECONDS, leave=tag)
        if not done.ok:
            end_tagged(tag)
            raise BlockedError(f"no network namespace for services: {trouble(done) or done.code}", remedy=remedy())
        pid, start = decode(done.stdout).split()
        return cls(_main("--join", pid, start, "--"), network=False, tag=tag)

    def close(self) -> None:
        """End all that carries its tag, the holder too."""
        end_tagged(self.tag)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
