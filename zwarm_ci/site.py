"""Where a run lives: its folder in the state directory, its private repository, its scratch folder, its journal.

Worktrees and the private repository go when the run ends, whatever happens; the reports stay. What it needs to go on, should it be
cut off, stays in a folder of its own (`resume/RUN`) until it has come to its end.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zwarm_ci import confine, journal, proc
from zwarm_ci.errors import BlockedError, UsageError
from zwarm_ci.files import write_atomic
from zwarm_ci.git import STATE_IGNORE, Repository
from zwarm_ci.journal import Journal
from zwarm_ci.private import PrivateRepository
from zwarm_ci.sessions import Store

JOURNAL, RESUME = "journal.jsonl", "resume"
_PREFIX, _MARK = "zw-", "held"


@dataclass(frozen=True, slots=True)
class Site:
    """The places of one run. `scratch` is outside the repository, so that no tool finds the user's settings above it."""

    run: str
    user: Repository
    folder: Path
    scratch: Path
    private: PrivateRepository
    journal: Journal
    store: Store


def run_id() -> str:
    """A new run's name: UTC time and four random characters, so that names sort by time."""
    return time.strftime("%Y%m%d-%H%M%S", time.gmtime()) + "-" + secrets.token_hex(2)


def state_folder(user: Repository, state_dir: str) -> Path:
    """The state directory, made with the ignore file that keeps it out of git.

    Raises:
        BlockedError: it cannot be written.
    """
    folder = user.top / state_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            write_atomic(ignore, STATE_IGNORE)
    except OSError as error:
        raise BlockedError(
            f"{folder} cannot be written: {error.strerror}", remedy="make it writable or set state_dir"
        ) from error
    return folder


@contextlib.contextmanager
def workshop(user: Repository, *, at: Path | None = None) -> Iterator[tuple[Path, PrivateRepository]]:
    """A scratch folder outside the repository with the run's private repository in it; both are gone when this ends.

    `at`: where it was before, for a run that goes on; somewhere else where that cannot be.
    """
    scratch = _again(at) if at else None
    # Short: a Unix socket's path in a test's TMPDIR has 108 bytes in all.
    scratch = scratch or Path(tempfile.mkdtemp(prefix=_PREFIX)).resolve()
    with (scratch / _MARK).open("wb") as held:
        held.write(os.fsencode(user.top))
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)  # until we die, however: see `abandoned`
        try:
            yield scratch, PrivateRepository.create(user, scratch / "repo.git")
        finally:
            discard(scratch)


def _again(place: Path) -> Path | None:
    """The same folder, made anew; None where it cannot be, such as one that somebody else has made meanwhile."""
    if place.parent != Path(tempfile.gettempdir()).resolve() or not place.name.startswith(_PREFIX):
        return None
    try:
        place.mkdir(mode=0o700)
    except OSError:
        return None
    return place


def discard(scratch: Path) -> None:
    """Remove a scratch folder with everything in it."""
    shutil.rmtree(scratch, ignore_errors=True)
    if scratch.exists():  # folders that may not be entered: the kernel's below a cover, or a check's
        confine.discard(scratch)


def abandoned(user: Repository) -> list[Path]:
    """Scratch folders for this repository whose process is gone: it was killed before it could remove them."""
    found = []
    for folder in sorted(Path(tempfile.gettempdir()).resolve().glob(f"{_PREFIX}*")):
        with contextlib.suppress(OSError):
            kept = folder.lstat()
            ours = stat.S_ISDIR(kept.st_mode) and kept.st_uid == os.geteuid()
            mark = folder / _MARK
            if ours and not mark.is_symlink() and mark.read_bytes() == os.fsencode(user.top):
                with seized(folder) as free:
                    found += [folder] if free else []
    return found


@contextlib.contextmanager
def seized(scratch: Path) -> Iterator[bool]:
    """Whether an abandoned scratch folder is ours alone to look at and remove, while inside; False = somebody holds it, or it is gone."""
    try:
        mark = (scratch / _MARK).open("rb")
    except OSError:
        yield False
        return
    with mark:
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def begin(
    user: Repository, state_dir: str, scratch: Path, private: PrivateRepository, *, command: str = "", asked: Any = None
) -> Site:
    """A new run: its folder, its journal with the first line in it. `asked` is what to ask for again, where it is to go on after a kill."""
    state = state_folder(user, state_dir)
    run = run_id()
    folder = state / "runs" / run
    folder.mkdir(parents=True)
    key = journal.key_of(run) if asked is not None else b""
    documents = state / RESUME / run if key else None
    if documents:
        documents.mkdir(parents=True, mode=0o700)
    written = Journal(folder / JOURNAL, key=key, documents=documents)
    written.hold()
    tag = proc.fresh_tag().rpartition(".")[0]  # what all our processes carry
    written.write(
        "run_started", run=run, command=command, pid=os.getpid(), tag=tag, scratch=str(scratch), head=user.head, document=asked
    )  # fmt: skip
    return Site(run, user, folder, scratch, private, written, Store(state))


def end(site: Site, status: str, exit_code: int, **figures: Any) -> None:
    """The run's last line, with what a list of runs says of it. What it would need to go on goes, unless it was interrupted."""
    site.journal.write("run_ended", status=status, exit_code=exit_code, **figures)
    if status != "interrupted":
        shutil.rmtree(documents_of(site.folder), ignore_errors=True)
    point_latest(site)
    site.journal.release()


def documents_of(folder: Path) -> Path:
    """Where a run, by its folder, keeps what it needs to go on."""
    return folder.parent.parent / RESUME / folder.name


def find_run(state: Path, name: str) -> Path:
    """The folder of the run that `name` is, begins, or (`latest`) points at.

    Raises:
        UsageError: none or several.
    """
    runs = state / "runs"
    if name == "latest" and (runs / "latest").exists():
        return (runs / "latest").resolve()
    found = sorted(p for p in runs.glob("*") if p.is_dir() and not p.is_symlink() and p.name.startswith(name))
    exact = [p for p in found if p.name == name]
    if len(exact or found) != 1:
        known = ", ".join(p.name for p in found[:3]) if found else "see .zwarm/runs"
        raise UsageError(f"{'several runs begin' if found else 'no run begins'} with {name!r}", remedy=known)
    return (exact or found)[0]


def abandon(site: Site) -> None:
    """Take back a run that was refused before anything was done."""
    shutil.rmtree(site.folder, ignore_errors=True)
    shutil.rmtree(documents_of(site.folder), ignore_errors=True)
    site.journal.release()


def point_latest(site: Site) -> None:
    """Make `runs/latest` name this run, in one step."""
    link = site.folder.parent / "latest"
    temporary = site.folder.parent / f".latest-{site.run}"
    temporary.symlink_to(site.run)
    temporary.replace(link)
