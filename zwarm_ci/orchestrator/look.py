"""A command that may look at a tree and do nothing else: a read-only copy, no network, no other process, none of the user's files.

Where this machine has no means for that, nothing is run at all.
"""

from __future__ import annotations

import functools
import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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
#: What bubblewrap made in memory to put the rest into; devices work all the same.
_SHUT = tuple(part for path in ("/dev", "/tmp", "/") for part in ("--remount-ro", path))  # noqa: S108 - as above
REFUSED = "no command can be run for looking here"


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
        prefix, why = means()
        if not prefix:
            raise BlockedError(f"{REFUSED}: {why}", remedy="use check_session, get_trajectory and verify")
        with self._lock:
            folder = self._checkout(tree)
            repo = self._private
            room = _room(prefix, folder, (folder, repo.path, repo.user.common_dir / "objects"))
            shell = shutil.which("bash", path=_ENV["PATH"]) or "/bin/sh"
            done = run(
                [*confine.limited(()), *room, shell, "-c", command], cwd=folder, env=_ENV, timeout=SECONDS, limit=_LIMIT
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


def _room(prefix: tuple[str, ...], folder: Path, readable: Sequence[Path]) -> tuple[str, ...]:
    """What goes before the argv: `readable` and the system's programs can be read at their own paths; nothing else is there."""
    shown = [part for path in readable for part in ("--ro-bind", str(path), str(path))]
    return (*prefix, *shown, *_SHUT, "--chdir", str(folder), "--")


@functools.cache
def means() -> tuple[tuple[str, ...], str]:
    """Bubblewrap with nothing in it but the system's programs, tried for real; or none and why, with the remedy."""
    program = shutil.which("bwrap")
    if program is None:
        return (), "bubblewrap is not installed (apt install bubblewrap)"
    prefix = (
        program, "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--proc", "/proc", "--dev", "/dev",
        "--tmpfs", "/tmp", *_system(),  # noqa: S108 - in memory, inside of the room
    )  # fmt: skip
    try:
        done = run(
            [*prefix, *_SHUT, "--", "/bin/sh", "-c", "test ! -e /root && test ! -e /home"], cwd=Path("/"), timeout=_TRY
        )
    except BlockedError as error:
        return (), error.line
    return (prefix, "") if done.ok else ((), f"bubblewrap does not work here: {one_line(decode(done.stderr), 120)}")


def _system() -> list[str]:
    """The system's programs and libraries, links as links."""
    shown = []
    for name in map(Path, _SYSTEM):
        if name.is_symlink():
            shown += ["--symlink", str(name.readlink()), str(name)]
        elif name.is_dir():
            shown += ["--ro-bind", str(name), str(name)]
    return shown + [part for name in _ETC if Path(name).exists() for part in ("--ro-bind", name, name)]
