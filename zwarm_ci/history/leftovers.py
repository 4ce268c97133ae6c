"""What killed processes left behind, and runs that are old: found, weighed, removed. Nothing that somebody holds is touched."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zwarm_ci import journal, reap
from zwarm_ci import site as places
from zwarm_ci.git import Repository
from zwarm_ci.history import runs
from zwarm_ci.history.runs import Run
from zwarm_ci.journal import Journal
from zwarm_ci.sessions import Store, place

Kind = Literal["processes", "worktrees", "session place", "resume data", "run"]


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something that can go. `name`: a path, or the run whose processes they are. `size`: bytes on the disk; `count` of processes."""

    kind: Kind
    name: str
    why: str
    size: int = 0
    count: int = 0


def find(user: Repository, state: Path, older: float) -> list[Leftover]:
    """What can go now; of runs, those that began more than `older` seconds ago, whose branch is gone and that nobody can take any more."""
    every = runs.every(state)
    return [
        *_processes(state, every),
        *_worktrees(user),
        *_places(user, Store(state)),
        *_resume_data(state, every),
        *_old(user, state, every, older),
    ]


def remove(state: Path, found: Leftover) -> bool:
    """Remove one; False = somebody holds it by now, or it is gone."""
    path = Path(found.name)
    if found.kind == "processes":
        return not reap.end_all(lambda: reap.tagged(_tag(state / "runs" / found.name)))
    if found.kind == "worktrees":
        with places.seized(path) as ours:
            if ours:
                places.discard(path)
            return ours
    if found.kind == "session place":
        place.throw_away(path)
        return True
    written = Journal(state / "runs" / path.name / places.JOURNAL) if (state / "runs" / path.name).is_dir() else None
    if written is not None and not written.hold():
        return False
    try:
        shutil.rmtree(path, ignore_errors=True)
        if found.kind == "run":
            shutil.rmtree(places.documents_of(path), ignore_errors=True)
    finally:
        if written is not None:
            written.release()
    return True


def _processes(state: Path, every: list[Run]) -> Iterator[Leftover]:
    """What a run that was killed had started and that still runs; by a tag that its sealed journal names."""
    for run in every:
        tag = _tag(state / "runs" / run.run) if run.state == "cut off" else ""
        if tag and (found := reap.tagged(tag)):
            yield Leftover("processes", run.run, "the run that started them was killed", count=len(found))


def _tag(folder: Path) -> str:
    records = journal.sealed(folder / places.JOURNAL, journal.key_of(folder.name))
    tags = [r["tag"] for r in records if r["kind"] in {"run_started", "run_resumed"}]
    return str(tags[-1]) if tags else ""


def _worktrees(user: Repository) -> Iterator[Leftover]:
    for folder in places.abandoned(user):
        yield Leftover("worktrees", str(folder), "the process that made them was killed", _size(folder))


def _places(user: Repository, store: Store) -> Iterator[Leftover]:
    known = set(store.ids())
    for folder in place.made_for(user):
        owner = place.owner_of(folder)
        if owner and owner not in known and not (store.root.parent / "runs" / owner).exists():
            yield Leftover("session place", str(folder), f"session {owner} is gone", _size(folder))


def _resume_data(state: Path, every: list[Run]) -> Iterator[Leftover]:
    """What runs need to go on that have come to their end, or that are gone."""
    goes_on = {r.run for r in every if r.live or r.resumable}
    for folder in sorted((state / places.RESUME).glob("*")):
        if folder.is_dir() and folder.name not in goes_on:
            yield Leftover("resume data", str(folder), "its run has ended", _size(folder))


def _old(user: Repository, state: Path, every: list[Run], older: float) -> Iterator[Leftover]:
    latest = state / "runs" / "latest"
    kept = latest.resolve().name if latest.exists() else ""
    for run in every:
        there = run.branch and user.git.ask("rev-parse", "--verify", "--quiet", f"refs/heads/{run.branch}")
        if run.live or run.run == kept or there or not run.began or time.time() - run.began < older:
            continue
        folder = state / "runs" / run.run
        yield Leftover(
            "run", str(folder), f"{run.state}, {(time.time() - run.began) / 86400:.0f} days old", _size(folder)
        )


def _size(folder: Path) -> int:
    """Bytes on the disk of everything below."""
    total = 0
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            with contextlib.suppress(OSError):  # it went while we looked
                total += Path(root, name).lstat().st_blocks * 512
    return total
