"""Runs that were cut off, found and read. Nothing is believed of a journal but lines that bear our seal: it may have come with a clone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zwarm_ci import journal
from zwarm_ci import site as places
from zwarm_ci.budget import Ledger
from zwarm_ci.errors import UsageError

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Cut:
    """A run that was cut off, as its sealed records have it."""

    folder: Path
    records: tuple[Record, ...]

    @property
    def run(self) -> str:
        return self.folder.name

    @property
    def begun(self) -> Record:
        return self.records[0]

    def sealed(self) -> Iterator[Record]:
        """Its records as they stand on the disk now."""
        return journal.sealed(self.folder / places.JOURNAL, journal.key_of(self.run))

    def read(self, record: Record) -> Any:
        """The document that a record names.

        Raises:
            UsageError: it is gone, or is not what was written.
        """
        try:
            return json.loads(journal.document(places.documents_of(self.folder), record["document"]))
        except (OSError, ValueError) as error:
            raise UsageError(
                f"run {self.run} cannot go on: what it had written down is damaged ({error})", remedy="start a new run"
            ) from error

    @property
    def base(self) -> Record:
        """The record that names its base.

        Raises:
            UsageError: it had not come so far.
        """
        found = next((r for r in self.records if r["kind"] == "based"), None)
        if found is None:
            raise UsageError(f"run {self.run} was cut off before it had done anything", remedy="start a new run")
        return found

    def ledger(self, minutes: float, check_minutes: float) -> Ledger:
        """Limits in minutes, what was spent before counted: time while nobody made the run is nobody's."""
        elapsed, since, last = 0.0, 0.0, 0.0
        for record in self.records:
            if record["kind"] in {"run_started", "run_resumed"}:
                elapsed, since = elapsed + last - since, record["at"]
            last = record["at"]
        figures = [r for r in self.records if "check_seconds" in r]
        return Ledger.going_on(
            minutes, check_minutes, elapsed=elapsed + last - since,
            check_seconds=max((r["check_seconds"] for r in figures), default=0.0),
            suite_runs=max((r["suite_runs"] for r in figures), default=0),
        )  # fmt: skip


def find(state: Path, name: str = "") -> Cut:
    """The run that `name` is or begins; without a name the newest one that was cut off.

    Raises:
        UsageError: there is none, or it cannot go on; the message says why.
    """
    if name:
        return _cut(places.find_run(state, name))
    folders = sorted((state / places.RESUME).glob("*"), reverse=True)
    found = [state / "runs" / f.name for f in folders if not journal.is_held(state / "runs" / f.name / places.JOURNAL)]
    if not found:
        raise UsageError(
            "no run was cut off here", remedy="`zwarm-ci history` shows what ran, `status` what is running"
        )
    return _cut(found[0])


def _cut(folder: Path) -> Cut:
    run, path = folder.name, folder / places.JOURNAL
    if journal.is_held(path):
        raise UsageError(f"run {run} is running", remedy="zwarm-ci status")
    records = tuple(journal.sealed(path, journal.key_of(run)))
    ended = [str(r.get("status")) for r in journal.read(path) if r["kind"] == "run_ended"]
    if ended and ended[-1] != "interrupted":
        raise UsageError(f"run {run} has ended: {ended[-1]}", remedy=f"zwarm-ci report {run}")
    first = next(journal.read(path), {})
    if not records or records[0]["kind"] != "run_started" or records[0]["run"] != run:
        if first.get("command") in {"orchestrate", "pilot"}:
            raise UsageError(f"run {run} has a host", remedy=f"zwarm-ci {first['command']} --resume {run}")
        if first.get("command") and "document" not in first:
            raise UsageError(f"`{first['command']}` has nothing to go on with", remedy="run it again")
        raise UsageError(
            f"run {run} cannot go on: its journal was not written by you on this machine, or the seal's key is gone",
            remedy="start a new run",
        )
    return Cut(folder, records)
