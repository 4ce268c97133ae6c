"""Puts itself into a room that holds nothing but what was named, all of it read-only, and runs the command after `--` there.

Namespaces of our own for users, mounts, processes, network, IPC, names and control groups; no capability is left, and none
can be had by a further namespace. Standard library and `confine_main` only. What cannot be done ends it with 125 and one line
on standard error, before the command has begun. The command's processes end when it does, or when this process does.
"""
# ruff: noqa: PTH102, PTH103, PTH110, PTH112, PTH114, PTH115, PTH120, PTH123, PTH211 - pathlib alone would double the start

from __future__ import annotations

import os
import sys

from zwarm_ci import confine_main as confine

TYPE_CHECKING = False  # `typing` costs 5 ms; type checkers know the name
if TYPE_CHECKING:
    from collections.abc import Sequence

# Numbers of the kernel's interface: sched.h, mount.h, fcntl.h, prctl.h, capability.h, signal.h. The system calls have the
# same number on every architecture, and C libraries got names for them late.
_NEW_ALL = (
    0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x20000000 | 0x40000000
)  # all but users, who come with it
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_HERE, _EMPTY_PATH, _RECURSIVE, _CLONE, _MOVE_FROM_EMPTY = -100, 0x1000, 0x8000, 1, 4
_READ_ONLY, _NO_SUID, _NO_DEVICES, _NO_EXEC = 1, 2, 4, 8  # mount(2) and mount_setattr(2) agree on these
_ALL_BELOW, _PRIVATE, _DETACH = 0x4000, 1 << 18, 2
_DIE_WITH_PARENT, _SET_DUMPABLE, _DROP_BOUND, _NO_NEW_PRIVILEGES, _SIGKILL, _SIGINT = 1, 4, 24, 38, 9, 2
_CAPABILITIES = (0x20080522).to_bytes(4, sys.byteorder) + bytes(
    4
)  # struct __user_cap_header_struct: version 3, ourselves
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_LINKS = (
    ("/dev/fd", "/proc/self/fd"),
    *((f"/dev/std{n}", f"/proc/self/fd/{i}") for i, n in enumerate(("in", "out", "err"))),
)
_STAGE = b"/tmp"  # only the place where the room is put together, out of everybody else's sight


class Plan:
    """What was asked for."""

    def __init__(self, words: Sequence[str]) -> None:
        """Read `(--show PATH | --hide PATH)… --folder PATH -- COMMAND…`; a later one lies over an earlier one.

        Raises:
            ValueError: it is anything else.
        """
        self.parts: list[tuple[str, str]] = []
        self.folder = ""
        todo = list(words)
        while todo and todo[0] != "--":
            match todo:
                case ["--show" | "--hide" as what, path, *todo]:
                    self.parts.append((what, path))
                case ["--folder", folder, *todo]:
                    self.folder = folder
                case _:
                    raise ValueError(f"{todo[0]}: no option, or not whole")
        self.command = todo[1:]
        if not (self.command and self.folder):
            raise ValueError("--folder PATH and -- COMMAND are needed")


def main(words: Sequence[str]) -> int:
    """Do what the words say; the command's exit code, 128 + n for signal n."""
    try:
        plan = Plan(words)
        confine.heed(_SIGINT)  # Python would print a traceback
        confine.unshare_as_user(_NEW_ALL)
        reader, writer = os.pipe()  # open as long as we are alive
    except (OSError, ValueError) as error:
        return confine.refused(error)
    return confine.below(lambda: _first(plan, reader, writer))


def _first(plan: Plan, reader: int, writer: int) -> int:
    """The first process of the room, with which all others end: makes the room, and takes in who lost their parent."""
    confine.call("prctl", _DIE_WITH_PARENT, _SIGKILL, 0, 0, 0)
    os.close(writer)
    os.set_blocking(reader, False)
    try:
        os.read(reader, 1)
    except BlockingIOError:
        os.close(reader)
    else:
        raise ValueError("whoever wanted this is gone")
    os.setsid()  # `kill 0` reaches nobody outside
    _furnish(plan)
    _give_up_everything()
    return confine.below(lambda: _second(plan))


def _second(plan: Plan) -> int:
    confine.call("prctl", _SET_DUMPABLE, 1, 0, 0, 0)  # its own environment is read before it is the command
    confine.become(plan.command)


def _furnish(plan: Plan) -> None:
    """Have nothing but the plan's paths, devices without a memory, an empty /tmp, and the room's own processes in /proc."""
    confine.call("mount", b"none", b"/", None, _ALL_BELOW | _PRIVATE, None)
    copies = [_copy(what, path) for what, path in (*plan.parts, *(("--show", d) for d in _DEVICES))]  # still in sight
    os.umask(0o022)
    _mount(b"tmpfs", _STAGE, b"mode=755", _NO_SUID | _NO_DEVICES)
    os.chdir(_STAGE)
    for name in ("proc", "tmp", "dev"):
        os.mkdir(name)
    _mount(b"proc", b"proc", None, _NO_SUID | _NO_DEVICES | _NO_EXEC)
    confine.call("pivot_root", b".", b".")
    confine.call("umount2", b".", _DETACH)
    os.chdir("/")
    for path, link, handle in copies:
        _put(path, link, handle)
    for path, link in _LINKS:
        os.symlink(link, path)
    with open("/proc/sys/user/max_user_namespaces", "w", encoding="utf-8") as file:
        file.write("0")  # of this user namespace: in a further one, who has no rights would have all of them
    _shut(_HERE, b"/", _RECURSIVE)
    confine.call("chdir", os.fsencode(plan.folder), about=plan.folder)


def _copy(what: str, path: str) -> tuple[str, str, int | None]:
    """A path with what it is: a link's target, a handle on the mount to be put there, or nothing."""
    if what == "--hide":
        return path, "", None
    if os.path.islink(path):
        return path, os.readlink(path), None
    # With what is mounted below it: the kernel lets nobody look below a mount that was there before.
    handle = _ask(_OPEN_TREE, path, _HERE, os.fsencode(path), _CLONE | os.O_CLOEXEC | _RECURSIVE)
    _shut(handle, b"", _EMPTY_PATH | _RECURSIVE)
    return path, "", handle


def _shut(handle: int, path: bytes, how: int) -> None:
    """Have a mount, and what is mounted below it, be read-only."""
    attributes = b"".join(n.to_bytes(8, sys.byteorder) for n in (_READ_ONLY | _NO_SUID, 0, 0, 0))  # struct mount_attr
    _ask(_MOUNT_SETATTR, "read-only mount", handle, path, how, attributes, len(attributes))


def _put(path: str, link: str, handle: int | None) -> None:
    if link:
        os.symlink(link, path)
        return
    if handle is None:
        _mount(b"tmpfs", os.fsencode(path), b"mode=755", _NO_SUID | _NO_DEVICES)
        return
    if os.path.isdir(handle):
        os.makedirs(path, exist_ok=True)
    elif not os.path.exists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    _ask(_MOVE_MOUNT, path, handle, b"", _HERE, os.fsencode(path), _MOVE_FROM_EMPTY)
    os.close(handle)


def _give_up_everything() -> None:
    """Every capability, and the ways to get one: the bounding set, and set-uid programs."""
    for capability in confine.capabilities("CapBnd"):
        confine.call("prctl", _DROP_BOUND, capability, 0, 0, 0)
    confine.call("prctl", _NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    confine.call("capset", _CAPABILITIES, bytes(24))
    confine.call("prctl", _SET_DUMPABLE, 0, 0, 0, 0)  # the command is not to steer us


def _mount(kind: bytes, target: bytes, options: bytes | None, flags: int) -> None:
    confine.call("mount", kind, target, kind, flags, options, about=f"{kind.decode()} on {os.fsdecode(target)}")


def _ask(number: int, about: str, *args: int | bytes) -> int:
    return confine.call("syscall", number, *args, about=about)
