"""A command that may look at a tree and do nothing else: a read-only copy, no network, no other process, none of the user's files.

Where this machine has no means for that, nothing is run at all.
"""

from __future__ import annotations

import functools
import shutil
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import zwarm_ci
from zwarm_ci import confine
from zwarm_ci.errors import BlockedError, CommandError
from zwarm_ci.private import PrivateRepository, Worktree
from zwarm_ci.proc import run
from zwarm_ci.scrub import decode, one_line, plain, redact

SECONDS = 30.0  # a look that takes longer is no look
SHOWN = 30_000  # characters of each stream
_LIMIT = 8 * SHOWN  # bytes that are kept of one before it is cut
_TRY = 20.0  # seconds for what takes milliseconds
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_ETC = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/gitattributes")
#: All that a command gets. No pager waits for a key; git takes nobody's settings.
_ENV = {
    "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "TERM": "dumb", "PAGER": "cat", "GIT_PAGER": "cat",  # noqa: S108 - a folder of its own, in memory
    "GIT_CONFIG_NOSYSTEM": "1", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0",
}  # fmt: skip
#: What bubblewrap made itself: /proc, where root without a capability may still set the kernel's knobs, and what it made in
#: memory to put the rest into. Devices work all the same.
_SHUT = tuple(part for path in ("/proc", "/dev", "/tmp", "/") for part in ("--remount-ro", path))  # noqa: S108 - as above
REFUSED = "no command can be run for looking here"
#: Isolated and without site-packages, so it is told where our package lies.
_BOOT = "import sys; sys.path.insert(0, sys.argv.pop(1)); from zwarm_ci.orchestrator.look_main import main; sys.exit(main(sys.argv[1:]))"
Kind = Literal["bubblewrap", "namespaces"]
#: What is to be done with a path of the machine's in a room; a later part lies over an earlier one.
Part = tuple[Literal["show", "hide"], Path]
#: Ends with 0 where a room is one: homes are not there, nothing can be made, and the kernel's knobs cannot be turned.
_PROOF = (
    "for path in /root /home; do test ! -e $path || exit 1; done; "
    "for path in /tmp/made /made /proc/sys/kernel/core_pattern; do ! (: >> $path) 2> /dev/null || exit 1; done"
)


@dataclass(frozen=True, slots=True)
class Means:
    """What keeps a command from doing more than looking; `why` says, with the remedy, why there is none."""

    name: Kind | Literal["none"]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a command printed, cut where it was too much, and how it ended; `exit_code` None = its time was over."""

    exit_code: int | None
    stdout: str
    stderr: str
    cut: bool


class Window:
    """One checkout to look at, made anew for each tree; one look at a time."""

    def __init__(self, private: PrivateRepository, base: str, scratch: Path) -> None:
        self._private, self._base, self._place = private, base, scratch / "look"
        self._worktree: Worktree | None = None
        self._tree = ""
        self._lock = threading.Lock()

    def run(self, command: str, tree: str) -> Seen:
        """Run `command` by a shell in a copy of `tree`.

        Raises:
            BlockedError: this machine cannot keep it from doing more than looking.
        """
        found = means()
        if found.name == "none":
            raise BlockedError(f"{REFUSED}: {found.why}", remedy="use check_session, get_trajectory and verify")
        with self._lock:
            folder = self._checkout(tree)
            repo = self._private
            theirs = [path.resolve() for path in (repo.user.top, repo.user.common_dir, Path.home())]
            parts = _parts(theirs, (folder, repo.path, repo.user.common_dir / "objects"))
            shell = shutil.which("bash", path=_ENV["PATH"]) or "/bin/sh"
            argv = [*confine.limited(()), *room(found.name, parts, folder), shell, "-c", command]
            done = run(argv, cwd=folder, env=_ENV, timeout=SECONDS, limit=_LIMIT)
        if why := confine.trouble(done):
            raise BlockedError(
                f"{REFUSED}: {plain(redact(why))}", remedy="use check_session, get_trajectory and verify"
            )
        out, err = (plain(redact(decode(data))) for data in (done.stdout, done.stderr))
        cut = bool(done.dropped) or max(len(out), len(err)) > SHOWN
        return Seen(None if done.timed_out else done.code, _middle(out), _middle(err), cut)

    def _checkout(self, tree: str) -> Path:
        commit = self._base
        if tree != self._private.tree_of(commit):  # so that git shows what was changed, and the history before it
            commit = self._private.commit(tree, [commit], "What is looked at\n", date="@0 +0000")
        if self._worktree is not None and self._tree != tree:
            try:
                self._worktree.become(commit)
            except (BlockedError, CommandError, OSError):
                self._worktree = None
                self._place = self._place.with_name(f"{self._place.name}-")
        if self._worktree is None:
            name = self._private.user.top.name or "repository"
            self._worktree = self._private.worktree(commit, self._place / name)
        self._tree = tree
        return self._worktree.path


def _middle(text: str) -> str:
    """The head and the tail of what is too long."""
    if len(text) <= SHOWN:
        return text
    half = SHOWN // 2
    return f"{text[:half]}\n[… {len(text) - SHOWN} characters left out …]\n{text[-half:]}"


@functools.cache
def means() -> Means:
    """The first means that works here, each tried for real. Found out once a process (≈ 0.1 s)."""
    refused = []
    for name in ROOMS:
        why = trouble(name)
        if not why:
            return Means(name)
        refused.append(why)
    return Means("none", "; ".join(refused))


def trouble(name: Kind) -> str:
    """Why these means do not work here, in one line, with the remedy; "" where they do."""
    root = Path("/")
    try:
        done = run([*room(name, _parts(), root), "/bin/sh", "-c", _PROOF], cwd=root, env=_ENV, timeout=_TRY)
    except BlockedError as error:
        return error.line
    if done.ok:
        return ""
    said = confine.trouble(done) or one_line(decode(done.stderr), 120) or f"the room is not shut ({done.code})"
    return f"{name} {'does' if name == 'bubblewrap' else 'do'} not work here: {said} ({confine.remedy()})"


def room(name: Kind, parts: Sequence[Part], folder: Path) -> tuple[str, ...]:
    """What goes before an argv that is to run in `folder`, in a room that holds `parts` at their own paths and nothing else."""
    return ROOMS[name](parts, folder)


def _bubblewrap(parts: Sequence[Part], folder: Path) -> tuple[str, ...]:
    program = shutil.which("bwrap")
    if program is None:
        raise BlockedError("bubblewrap is not installed", remedy="apt install bubblewrap")
    options: list[str] = []
    for what, path in parts:
        if what == "hide":
            options += ["--tmpfs", str(path)]
        elif path.is_symlink():
            options += ["--symlink", str(path.readlink()), str(path)]
        else:
            options += ["--ro-bind", str(path), str(path)]
    hidden = [part for what, path in parts if what == "hide" for part in ("--remount-ro", str(path))]
    return (
        program, "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--proc", "/proc", "--dev", "/dev",
        "--tmpfs", "/tmp", *options, *hidden, *_SHUT, "--chdir", str(folder), "--",  # noqa: S108 - in memory, inside of the room
    )  # fmt: skip


def _namespaces(parts: Sequence[Part], folder: Path) -> tuple[str, ...]:
    options = [part for what, path in parts for part in (f"--{what}", str(path))]
    library = str(Path(zwarm_ci.__file__).parents[1])
    return (sys.executable, "-I", "-S", "-c", _BOOT, library, *options, "--folder", str(folder), "--")


#: The means, the most proven first.
ROOMS: dict[Kind, Callable[[Sequence[Part], Path], tuple[str, ...]]] = {
    "bubblewrap": _bubblewrap, "namespaces": _namespaces,
}  # fmt: skip


def _parts(theirs: Sequence[Path] = (), readable: Sequence[Path] = ()) -> list[Part]:
    """The system's programs and libraries without what is `theirs` among them (a checkout in /usr/src), then what is `readable`."""
    system = [path for path in map(Path, _SYSTEM) if path.is_dir()]
    within = {path for path in theirs if path.is_dir() and any(path.is_relative_to(top) for top in system)}
    covered = sorted(path for path in within if within.isdisjoint(path.parents))
    etc = [path for path in map(Path, _ETC) if path.exists()]
    return [
        *(("show", path) for path in (*system, *etc)),
        *(("hide", path) for path in covered),
        *(("show", path) for path in readable),
    ]
