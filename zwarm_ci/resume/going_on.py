"""Goes on with a run that was cut off: the same places, base and settings, and the story told again with its past known."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from zwarm_ci import again, journal, pipeline, proc, reap
from zwarm_ci import site as places
from zwarm_ci.again import Asked
from zwarm_ci.conclude import Facts
from zwarm_ci.crew import Watch
from zwarm_ci.errors import CommandError, UsageError
from zwarm_ci.git import Repository, open_repository
from zwarm_ci.journal import Journal
from zwarm_ci.past import Past
from zwarm_ci.pipeline import Finished
from zwarm_ci.private import PrivateRepository
from zwarm_ci.resume.cut import Cut, Record, find
from zwarm_ci.resume.salvage import past_of
from zwarm_ci.sessions import Store
from zwarm_ci.site import Site


def resume(directory: Path, state_dir: str, name: str, sets: Sequence[str], watch: Watch) -> Finished:
    """Go on with a run; `sets` are further settings, of limits only.

    Raises:
        UsageError, BlockedError: it cannot go on (as things are). The run stays as it was.
    """
    user = open_repository(directory)
    state = user.top / state_dir
    cut = find(state, name)
    with proc.stoppable():
        written = Journal(
            cut.folder / places.JOURNAL, key=journal.key_of(cut.run), documents=places.documents_of(cut.folder)
        )
        if not written.hold() or cut.records != tuple(cut.sealed()):  # somebody else has gone on with it meanwhile
            raise UsageError(f"run {cut.run} is running", remedy="zwarm-ci status")
        try:
            return _go_on(cut, user, state, written, tuple(sets), watch)
        finally:
            written.release()


def _go_on(cut: Cut, user: Repository, state: Path, written: Journal, sets: tuple[str, ...], watch: Watch) -> Finished:
    asked = _asked(cut)
    request = again.request_of(asked, user, sets)
    scratch = Path(_latest(cut)["scratch"])
    reap.end_all(lambda: reap.tagged(_latest(cut)["tag"]))  # what the run had started and left when it was killed
    with _set_aside(user, scratch) as old, places.workshop(user, at=scratch) as (place, private):
        base = _restored(cut, private)
        settings = again.settings_of(asked, request, private, base)
        site = Site(cut.run, user, cut.folder, place, private, written, Store(state))
        past = past_of(cut, site, settings, base, old)
        tag = proc.fresh_tag().rpartition(".")[0]
        written.write("run_resumed", pid=os.getpid(), tag=tag, scratch=str(place), head=user.head)
        ledger = cut.ledger(settings.budget.minutes, settings.budget.check_minutes)
        facts = Facts(cut.run, request.command, cut.begun["head"], base, ledger, request.strict_flaky)
        facts.notes = _notes(cut, user, past, recorded=asked.request.means.record is not None)
        story = functools.partial(pipeline.story, past)
        return pipeline.told(request, watch, story, site, settings, facts, again=True)


def _asked(cut: Cut) -> Asked:
    try:
        return again.read(cut.read(cut.begun))
    except ValueError as error:
        raise UsageError(
            f"run {cut.run} cannot go on: another version began it ({error})", remedy="start a new run"
        ) from error


def _latest(cut: Cut) -> Record:
    """The record of the process that made it last."""
    return next(r for r in reversed(cut.records) if r["kind"] in {"run_started", "run_resumed"})


@contextlib.contextmanager
def _set_aside(user: Repository, scratch: Path) -> Iterator[Path | None]:
    """The scratch folder that a killed run left, under another name while inside, then gone; None = there is none of ours."""
    with (
        places.seized(scratch)
        if scratch in places.abandoned(user)
        else contextlib.nullcontext(enter_result=False) as ours
    ):
        old = scratch.rename(scratch.with_name(f"{scratch.name}-{os.urandom(4).hex()}")) if ours else None
        try:
            yield old
        finally:
            if old is not None:
                places.discard(old)


def _restored(cut: Cut, private: PrivateRepository) -> str:
    """The commit under repair, its objects and those of all trees that sessions left in the new private repository."""
    base = str(cut.base["base"])
    folder = places.documents_of(cut.folder)
    if pack := cut.base["pack"]:
        _unpack(private, folder, pack)
    if private.git.ask("cat-file", "-t", base) != "commit":
        raise UsageError(f"run {cut.run} cannot go on: its base {base[:12]} is gone", remedy="start a new run")
    for record in cut.records:
        if record["kind"] == "turn_left":
            _unpack(private, folder, record["pack"])
    return base


def _unpack(private: PrivateRepository, folder: Path, named: Any) -> None:
    try:
        private.unpack(journal.document(folder, named))
    except (OSError, ValueError, CommandError) as error:
        raise UsageError(
            f"the run cannot go on: what it had kept is damaged ({error})", remedy="start a new run"
        ) from error


def _notes(cut: Cut, user: Repository, past: Past, *, recorded: bool) -> tuple[str, ...]:
    """Lines for the report."""
    finished = sum(turn.finished for turns in past.turns.values() for turn in turns)
    lost = [turn for turns in past.turns.values() for turn in turns if turn.report is None and turn.paid]
    notes = [f"the run was cut off and went on; {finished} finished turn{'s' * (finished != 1)} were not made again"]
    if recorded:
        notes.append("what models answered since it went on is not recorded: --record takes a folder of its own")
    if lost:
        notes.append("what a turn used that was killed is not known: the cost is a lower bound")
    if user.head != cut.begun["head"]:
        notes.append(
            f"HEAD was {cut.begun['head'][:12]} when the run began and is {user.head[:12]} now; it went on from its own base"
        )
    return tuple(notes)
