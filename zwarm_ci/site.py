"""Where a run lives: its folder in the state directory, its private repository, its scratch folder, its journal.

Worktrees and the private repository go when the run ends, whatever happens; the reports stay.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from zwarm_ci import confine
from zwarm_ci.errors import BlockedError
from zwarm_ci.files import write_atomic
from zwarm_ci.git import STATE_IGNORE, Repository
from zwarm_ci.journal import Journal
from zwarm_ci.private import PrivateRepository
from zwarm_ci.sessions import Store


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
def workshop(user: Repository) -> Iterator[tuple[Path, PrivateRepository]]:
    """A scratch folder outside the repository with the run's private repository in it; both are gone when this ends."""
    # Short: a Unix socket's path in a test's TMPDIR has 108 bytes in all.
    scratch = Path(tempfile.mkdtemp(prefix="zw-")).resolve()
    try:
        yield scratch, PrivateRepository.create(user, scratch / "repo.git")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        if scratch.exists():  # folders that may not be entered: the kernel's below a cover, or a check's
            confine.discard(scratch)


def begin(user: Repository, state_dir: str, scratch: Path, private: PrivateRepository) -> Site:
    """A new run: its folder, its journal with the first line in it."""
    state = state_folder(user, state_dir)
    run = run_id()
    folder = state / "runs" / run
    folder.mkdir(parents=True)
    journal = Journal(folder / "journal.jsonl")
    journal.write("run_started", run=run, pid=os.getpid(), scratch=str(scratch), head=user.head)
    return Site(run, user, folder, scratch, private, journal, Store(state))


def abandon(site: Site) -> None:
    """Take back a run that was refused before anything was done."""
    shutil.rmtree(site.folder, ignore_errors=True)


def point_latest(site: Site) -> None:
    """Make `runs/latest` name this run, in one step."""
    link = site.folder.parent / "latest"
    temporary = site.folder.parent / f".latest-{site.run}"
    temporary.symlink_to(site.run)
    temporary.replace(link)
