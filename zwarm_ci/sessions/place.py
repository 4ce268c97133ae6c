"""Where a session that was started by itself works: a folder outside the repository with a private repository and one worktree.

It stays until the session is ended or removed. What was changed is kept in the session's own folder too, as `work.patch`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from zwarm_ci import confine
from zwarm_ci.errors import UsageError
from zwarm_ci.files import write_atomic
from zwarm_ci.git import Repository
from zwarm_ci.private import PrivateRepository, Worktree, alternate
from zwarm_ci.scrub import decode
from zwarm_ci.sessions.meta import Meta
from zwarm_ci.sessions.store import Store

_PREFIX, _REPOSITORY, _MARK = "zw-", "repo.git", "session"
PATCH = "work.patch"  # in the session's own folder
#: Outlives a restart of the machine (FHS 5.15), and no user's settings lie above it, which tools look for.
_LASTING = Path("/var/tmp")  # noqa: S108 - mkdtemp makes a folder there that nobody else can enter


@dataclass(frozen=True, slots=True)
class Changed:
    """One file of a patch: lines added and taken away, None for a binary one."""

    path: str
    added: int | None
    removed: int | None


def fresh() -> Path:
    """A new folder, outside of everything."""
    lasting = _LASTING if "TMPDIR" not in os.environ and os.access(_LASTING, os.W_OK) else None
    return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=lasting)).resolve()


def repository(place: Path) -> Path:
    """Where its private repository is."""
    return place / _REPOSITORY


def mark(place: Path, session_id: str) -> None:
    """Say whose it is; no other folder is ever deleted for that session."""
    write_atomic(place / _MARK, session_id)


def of(meta: Meta) -> Path | None:
    """The session's place; None where it has none (any more)."""
    place = Path(meta.worktree).parent if meta.worktree else None
    return place if place and is_marked(place, meta.id) else None


def is_marked(place: Path, owner: str) -> bool:
    """Whether `fresh` made this folder and `mark` says that it is that session's (or run's)."""
    try:
        return _is_ours(place) and (place / _MARK).read_text(encoding="ascii") == owner
    except (OSError, ValueError):
        return False


def _is_ours(place: Path) -> bool:
    """Whether `fresh` made this folder. A meta.json may have come with a clone, and would have git run what stands in a folder of it."""
    if not place.is_absolute() or place != place.resolve() or not place.name.startswith(_PREFIX):
        return False
    kept = place.lstat()
    private = kept.st_uid == os.geteuid() and not kept.st_mode & 0o077
    return private and not any((above / ".git").exists() for above in place.parents)


def reopen(meta: Meta, user: Repository) -> Worktree:
    """The worktree that the session left.

    Raises:
        UsageError: it is gone.
    """
    place = of(meta)
    if place is None or not Path(meta.worktree).is_dir():
        why = "it belongs to a run" if meta.run else f"its worktree {meta.worktree} is gone"
        raise UsageError(f"session {meta.id} cannot go on: {why}", remedy="start another one")
    return Worktree(PrivateRepository(repository(place), user), Path(meta.worktree))


def patch(store: Store, meta: Meta, user: Repository) -> bytes:
    """What the session has changed so far; after its place is gone, what was kept of it. Empty = nothing."""
    if of(meta) is not None and Path(meta.worktree).is_dir():
        return _difference(meta, reopen(meta, user))
    try:
        return (store.folder(meta.id) / PATCH).read_bytes()
    except OSError:
        return b""


def keep(store: Store, meta: Meta, worktree: Worktree) -> None:
    """Keep what the session has changed in its own folder."""
    write_atomic(store.folder(meta.id) / PATCH, _difference(meta, worktree))


def _difference(meta: Meta, worktree: Worktree) -> bytes:
    try:
        return worktree.repo.patch(worktree.repo.tree_of(meta.base), worktree.tree())
    finally:
        Path(worktree.git.env["GIT_INDEX_FILE"]).unlink(missing_ok=True)  # each `Worktree` has one of its own


def changed(text: bytes, user: Repository) -> list[Changed]:
    """The files of a patch."""
    if not text:
        return []
    found = []
    for line in user.git.run("apply", "--numstat", "-z", "-", stdin=text).stdout.split(b"\0"):
        added, _, rest = decode(line).partition("\t")
        removed, _, path = rest.partition("\t")
        if path:
            found.append(Changed(path, *(int(n) if n.isdigit() else None for n in (added, removed))))
    return found


def discard(meta: Meta) -> None:
    """Delete the session's place, if it has one."""
    place = of(meta)
    if place is not None:
        throw_away(place)


def made_for(user: Repository) -> list[Path]:
    """The places of ours, whosever, whose private repository borrows from the user's."""
    line = alternate(user.common_dir / "objects")
    found = []
    for above in sorted({Path(tempfile.gettempdir()).resolve(), _LASTING}):
        for place in sorted(above.glob(f"{_PREFIX}*")):
            with contextlib.suppress(OSError):
                if _is_ours(place) and line in (repository(place) / "objects/info/alternates").read_bytes():
                    found.append(place)
    return found


def owner_of(place: Path) -> str:
    """Whose a place is, by its mark; "" = nobody's yet."""
    try:
        return (place / _MARK).read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""


def throw_away(place: Path) -> None:
    """Delete a place, folders that may not be entered included."""
    shutil.rmtree(place, ignore_errors=True)
    if place.exists():
        confine.discard(place)
