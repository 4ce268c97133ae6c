"""What a job hands in, and how it is read: as a stranger's word, each file by the digest that stands in its list.

OUT/JOB/ is a copy of the run's folder without its logs, and result.json, which lists them. It is there whole or not at all.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zwarm_ci.errors import UsageError, first_complaint
from zwarm_ci.fanout.sheet import Job, Sheet
from zwarm_ci.files import write_atomic
from zwarm_ci.reports.base import cleaned
from zwarm_ci.reports.jsonreport import from_json, outcome_of
from zwarm_ci.scrub import one_line
from zwarm_ci.verdict import Outcome, TaskOutcome

SCHEMA = 1  # 1: first form; {"schema", "plan": digest, "job", "base", "files": {path: SHA-256}}
FILE = "result.json"
_LARGEST = (
    1 << 26
)  # bytes of one file: a patch of 2,000 lines has a thousandth of it, a record of 100,000 tests a quarter
_KEPT = ("outcome.json", "junit.xml", "summary.md", "report.html", "journal.jsonl")
#: How a task can end where it is alone; the other statuses are given when patches are merged.
_ALONE = frozenset(
    "fixed no_changes tampered still_failing regressed unverifiable over_budget timed_out executor_failed blocked attributed "
    "interrupted".split()
)


@dataclass(frozen=True, slots=True)
class Result:
    """A job's result whose list fits: where it lies, its list of files, and its record."""

    folder: Path
    files: dict[str, str]
    outcome: Outcome

    def task(self, task_id: str) -> TaskOutcome | None:
        """What it says of one task."""
        return next((t for t in self.outcome.tasks if t.task.id == task_id), None)

    def read(self, name: str) -> bytes:
        """A file of the list.

        Raises:
            UsageError: it is not in the list, or not what the list says.
        """
        data = _bytes(self.folder, name)
        if hashlib.sha256(data).hexdigest() != self.files.get(name):
            raise UsageError(f"{name} has another digest than {FILE} says")
        return data


@contextlib.contextmanager
def place(out: Path, job: Job) -> Iterator[Path]:
    """The folder in which a result is put together, made before anything is spent; `collect` sees it when it has been renamed to OUT/JOB.

    Raises:
        UsageError: it cannot be made, or OUT/JOB is there already.
    """
    making = out / f".{job.id}-{os.getpid()}"
    if (out / job.id).exists():
        raise UsageError(f"{out / job.id} is there already", remedy="name another --out, or remove it")
    try:
        making.mkdir(parents=True)
    except OSError as error:
        raise UsageError(f"--out {out} cannot be written: {error.strerror}", remedy="name another folder") from error
    try:
        yield making
    finally:
        shutil.rmtree(making, ignore_errors=True)


def hand_in(folder: Path, sheet: Sheet, job: Job, making: Path) -> None:
    """Copy what the run in `folder` left, and write the list of it last."""
    files = {}
    for name in (*_KEPT, *_inside(folder, "patches"), *_inside(folder, "evidence")):
        (making / name).parent.mkdir(exist_ok=True)
        data = (folder / name).read_bytes()
        write_atomic(making / name, data)
        files[name] = hashlib.sha256(data).hexdigest()
    document = {"schema": SCHEMA, "plan": sheet.digest, "job": job.id, "base": sheet.base, "files": files}
    write_atomic(making / FILE, json.dumps(document, indent=1, sort_keys=True) + "\n")


def _inside(folder: Path, name: str) -> Iterator[str]:
    if (folder / name).is_dir():
        yield from sorted(p.relative_to(folder).as_posix() for p in (folder / name).iterdir() if p.is_file())


def find(works: Sequence[Path], job: Job) -> Path | None:
    """The folder with a job's result: DIR/JOB, or DIR/ARTIFACT/JOB where artifacts were not merged; None = there is none.

    Raises:
        UsageError: there are two.
    """
    places = [p for work in works for p in (work / job.id, *sorted(work.glob(f"*/{job.id}")))]
    found = list(dict.fromkeys(p.resolve() for p in places if (p / FILE).is_file()))
    if len(found) > 1:
        raise UsageError(f"job {job.id} has two results: {found[0]} and {found[1]}", remedy="keep one of them")
    return found[0] if found else None


def read(folder: Path, sheet: Sheet, job: Job) -> Result:
    """The result in a folder, as far as it can be believed: of this plan and job, whole, and with figures that can be added.

    Raises:
        UsageError: it cannot.
    """
    try:
        listed = json.loads(_bytes(folder, FILE))
        said = {key: listed[key] for key in ("schema", "plan", "job", "base")}
        files = listed["files"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"{FILE} cannot be understood") from error
    for key, value in {"schema": SCHEMA, "plan": sheet.digest, "job": job.id, "base": sheet.base}.items():
        if said[key] != value:
            raise UsageError(f"it is the result of another {key}")
    if not isinstance(files, dict) or not all(isinstance(v, str) for v in files.values()):
        raise UsageError(f"{FILE} cannot be understood")
    found = Result(folder, files, _EMPTY)
    return Result(folder, files, _outcome(found.read("outcome.json"), sheet, job))


_EMPTY = Outcome("", "", "", "", "not_fixed", 1, "")


def _outcome(data: bytes, sheet: Sheet, job: Job) -> Outcome:
    """The record, cleaned; what it says of tasks is of tasks of this job.

    Raises:
        UsageError: it is no record of this job.
    """
    from pydantic import ValidationError

    from zwarm_ci.reports.schema import OutcomeModel

    try:
        document = from_json(data.decode("utf-8"))
        OutcomeModel.model_validate(document)
    except UnicodeDecodeError as error:
        raise UsageError("outcome.json is no text") from error
    except ValidationError as error:
        where, _ = first_complaint(error)
        raise UsageError(f"outcome.json is no record of a run: {one_line(where, 80)}") from error
    outcome = cleaned(outcome_of(document))
    planned = {t.id: t.fingerprint for t in sheet.tasks if t.id in job.tasks}
    named = [t.task.id for t in outcome.tasks]
    if len(set(named)) != len(named) or any(planned.get(t.task.id) != t.task.fingerprint for t in outcome.tasks):
        raise UsageError("it speaks of tasks that the job was not given")
    if odd := next((t for t in outcome.tasks if t.status not in _ALONE), None):
        raise UsageError(f"it says that {odd.task.id} is {odd.status}, which no job can know")
    if not all(isinstance(n, int | float) and math.isfinite(n) and n >= 0 for n in _figures(outcome)):
        raise UsageError("its figures cannot be added")
    return outcome


def _figures(outcome: Outcome) -> Iterator[Any]:
    yield from (outcome.seconds.wall, outcome.seconds.checks, outcome.suite_runs)
    for task in outcome.tasks:
        yield task.cost_usd
        for made in task.attempts:
            yield from (made.cost_usd or 0.0, made.provider_cost_usd or 0.0, made.executor_seconds, made.verify_seconds)
            used = made.usage
            yield from (
                used.input_tokens,
                used.cache_read_tokens,
                used.cache_write_tokens,
                used.output_tokens,
                used.reasoning_tokens,
            )


def _bytes(folder: Path, name: str) -> bytes:
    """A file of a stranger's folder: a regular one that lies in it and is not too large.

    Raises:
        UsageError: it is none.
    """
    path = folder / name
    if path.is_symlink() or not path.is_file() or path.resolve() != folder.resolve() / name:
        raise UsageError(f"{name} is missing, or is no file of its own")
    with path.open("rb") as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise UsageError(f"{name} has more than {_LARGEST >> 20} MB")
    return data
