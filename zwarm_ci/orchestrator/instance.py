"""One orchestrated run and the process that serves it: begun, or gone on with where another process left it."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from zwarm_ci import confine, journal, proc, reap, selection, settings
from zwarm_ci import site as places
from zwarm_ci.budget import Ledger
from zwarm_ci.conclude import Facts
from zwarm_ci.config import Settings
from zwarm_ci.errors import BlockedError, UsageError
from zwarm_ci.git import Repository, open_repository
from zwarm_ci.orchestrator import state as states
from zwarm_ci.orchestrator.state import Asked, Book, State
from zwarm_ci.private import PrivateRepository
from zwarm_ci.scrub import one_line
from zwarm_ci.selection import Request
from zwarm_ci.sessions import Store, place
from zwarm_ci.site import Site
from zwarm_ci.staffing import Means
from zwarm_ci.verdict import Seconds

FOLDER = "orchestrator"


@dataclass(slots=True)
class Instance:
    """A run, and everything of it that this process holds. `facts`: see `conclude`; its clock began with this process."""

    request: Request
    settings: Settings
    site: Site
    book: Book
    facts: Facts

    @property
    def state(self) -> State:
        """What is known of the run."""
        return self.book.state

    @property
    def place(self) -> Path:
        """The run's folder outside the repository; survives a kill."""
        return self.site.private.path.parent

    @property
    def user(self) -> Repository:
        """The repository that is worked on."""
        return self.site.user

    @property
    def private(self) -> PrivateRepository:
        """The run's own repository."""
        return self.site.private

    @property
    def store(self) -> Store:
        """All sessions."""
        return self.site.store

    def save_clock(self) -> None:
        """Write down what this process used, for the one that goes on."""
        ledger, before = self.facts.ledger, self.facts.elsewhere
        self.book.change(
            lambda s: replace(
                s, seconds=round(before.wall + ledger.elapsed(), 3),
                check_seconds=round(before.checks + ledger.check_seconds, 3), suite_runs=self.facts.runs_elsewhere + ledger.suite_runs,
            )
        )  # fmt: skip

    def leave(self) -> None:
        """Nobody serves the run any more; what it needs to go on stays, unless it has come to its end."""
        places.discard(self.site.scratch)
        if self.state.concluded and self.state.exited:
            place.throw_away(self.place)
        self.site.journal.release()


def begin(request: Request) -> Instance:
    """A new run.

    Raises:
        UsageError, BlockedError: what was asked for cannot be.
    """
    user = open_repository(request.directory)
    request = selection.with_last_green(request, user)
    with contextlib.ExitStack() as undo:
        folder = place.fresh()
        undo.callback(place.throw_away, folder)
        private = PrivateRepository.create(user, place.repository(folder))
        base, found = selection.base_and_settings(request, private)
        site = places.begin(user, found.state_dir, _scratch(folder), private, command=request.command)
        undo.callback(places.abandon, site)
        key = journal.key_of(site.run)
        if not key:
            raise BlockedError("nothing can be kept that only you can write", remedy="make your home folder writable")
        place.mark(folder, site.run)
        (site.folder / FOLDER).mkdir()
        known = State(site.run, _asked(request), user.head, base, str(folder), private.seal, _tag())
        book = Book(site.folder / FOLDER, key, known)
        book.change(lambda s: s)
        undo.pop_all()
    return Instance(request, found, site, book, _facts(request, found, site, known))


def resume(directory: Path, run: str, means: Means | None = None, sets: Sequence[str] = ()) -> Instance:
    """The run of that name, a prefix of it or `latest`, which no process serves. `sets` come after those of its begin.

    Raises:
        UsageError: there is none, it has ended, or somebody serves it. BlockedError: what it needs is gone.
    """
    user = open_repository(directory)
    state = user.top / settings.of_head(directory, None, ()).state_dir
    folder = _find(state / "runs", run)
    written = journal.Journal(folder / places.JOURNAL)
    if not written.hold():
        raise UsageError(f"run {folder.name} is served by another process", remedy="end that one first")
    with contextlib.ExitStack() as undo:
        undo.callback(written.release)
        book = states.read(folder / FOLDER, journal.key_of(folder.name))
        known = book.state
        if known.concluded and known.exited:
            raise UsageError(f"run {folder.name} has ended", remedy=f"see `zwarm-ci report {folder.name}`")
        outside = Path(known.place)
        if not place.is_marked(outside, folder.name):
            raise BlockedError(f"{outside}, where the run was made, is gone", remedy="start another one")
        private = PrivateRepository.reopen(user, place.repository(outside), known.seal)
        _sweep(known, outside)
        known = replace(known, asked=replace(known.asked, sets=(*known.asked.sets, *sets)))
        request = _request(known.asked, directory, means)
        found = settings.load(
            lambda path: private.read(known.base, path), known.base[:12], request.config_file, request.sets
        )
        site = Site(folder.name, user, folder, _scratch(outside), private, written, Store(state))
        written.write("run_resumed", run=folder.name, pid=os.getpid(), steps=known.steps)
        asked, tag = known.asked, _tag()
        book.change(
            lambda s: replace(s, asked=asked, tag=tag, halted="", resumable=False, question="", concluded=False)
        )
        undo.pop_all()
    return Instance(request, found, site, book, _facts(request, found, site, known))


def _find(runs: Path, run: str) -> Path:
    """The folder of an orchestrated run by its name, a prefix, or `latest`: the newest."""
    known = sorted(p.parent.name for p in runs.glob(f"*/{FOLDER}") if not p.parent.is_symlink())
    if run == "latest" and known:
        return runs / known[-1]
    found = [run] if run in known else [name for name in known if run and name.startswith(run)]
    if len(found) == 1:
        return runs / found[0]
    what = "several runs begin" if found else "no run begins"
    raise UsageError(f"{what} with {one_line(run, 60)!r}", remedy=f"known: {', '.join(known[-5:]) or 'none'}")


def _sweep(known: State, outside: Path) -> None:
    """End and remove what a process that was killed has left; sessions have processes of their own."""
    if known.tag:
        reap.end_all(lambda: reap.tagged(known.tag))
    for left in outside.glob("s-*"):
        shutil.rmtree(left, ignore_errors=True)
        if left.exists():
            confine.discard(left)


def _scratch(folder: Path) -> Path:
    made = folder / f"s-{secrets.token_hex(3)}"
    made.mkdir()
    return made


def _tag() -> str:
    return proc.fresh_tag().rpartition(".")[0]


def _facts(request: Request, found: Settings, site: Site, known: State) -> Facts:
    """The record so far. The limits on time are those of the whole run, so what earlier processes used comes off."""
    budget = found.budget
    ledger = Ledger(_left(budget.minutes, known.seconds), _left(budget.check_minutes, known.check_seconds))
    limits = {f.name: getattr(budget, f.name) for f in fields(budget)}
    facts = Facts(site.run, request.command, known.head, known.base, ledger, request.strict_flaky, limits)
    facts.elsewhere = Seconds(wall=known.seconds, checks=known.check_seconds)
    facts.runs_elsewhere = known.suite_runs
    return facts


def _left(minutes: float, seconds: float) -> float:
    """Minutes of a limit that are left, a moment at least; 0 = no limit."""
    return max(minutes - seconds / 60, 1 / 60) if minutes else 0.0


def _asked(request: Request) -> Asked:
    return Asked(
        request.command, request.words, str(request.directory.resolve()), request.commands, request.source, request.base,
        request.branch, request.apply, request.strict_flaky, str(request.config_file.resolve()) if request.config_file else "",
        request.sets,
    )  # fmt: skip


def _request(asked: Asked, directory: Path, means: Means | None) -> Request:
    return Request(
        asked.command, directory, commands=asked.commands, source=asked.source, base=asked.base, branch=asked.branch,
        apply=asked.apply, strict_flaky=asked.strict_flaky, config_file=Path(asked.config_file) if asked.config_file else None,
        sets=asked.sets, words=asked.words, means=means or Means(),
    )  # fmt: skip


def now() -> float:
    """Unix seconds, to the millisecond."""
    return round(time.time(), 3)
