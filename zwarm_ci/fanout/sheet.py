"""plan.json: everything that a job needs to know and cannot find in its own clone, with the digest of its content."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from zwarm_ci.baseline import Baseline
from zwarm_ci.errors import UsageError, first_complaint
from zwarm_ci.files import write_atomic
from zwarm_ci.scrub import one_line, redactor
from zwarm_ci.task import Task
from zwarm_ci.verdict import CheckResult

SCHEMA = 1  # 1: first form; {"schema", "digest": SHA-256 of the canonical JSON of "plan", "plan"}
FILE, MATRIX, BUNDLE = "plan.json", "matrix.json", "base.bundle"
_LARGEST = 1 << 28  # bytes; 100,000 tests with long names need a tenth of it
_TASK_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")  # it is a part of file names
_JOB_ID = re.compile(r"[0-9]{3}")
_AGAIN = "make it again: zwarm-ci plan"
Reason = tuple[str, str, str]  # check, id, why


@dataclass(frozen=True, slots=True)
class Asked:
    """What the person asked for, as far as jobs need it. `config` is the text of `--config`; `revert` was decided where the plan was made."""

    command: str
    tests_only: bool
    commands: tuple[str, ...]
    last_green: str
    revert: bool
    strict_flaky: bool
    max_tasks: int
    branch: str
    sets: tuple[str, ...]
    config: str


@dataclass(frozen=True, slots=True)
class Before:
    """The baseline with its tables as rows; `network`: checks that have the network though their settings do not say so, and why."""

    results: tuple[CheckResult, ...]
    flaky: tuple[tuple[str, str, int, int], ...]
    environment: tuple[Reason, ...]
    hidden: tuple[Reason, ...]
    unsteady: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    network: dict[str, str]

    @classmethod
    def of(cls, baseline: Baseline, notes: tuple[str, ...], network: Mapping[str, str]) -> Before:
        """The rows of a baseline, with all that was noted; where its logs lie is nothing to another machine."""
        return cls(
            tuple(replace(r, log="") for r in baseline.results),
            tuple((*key, *counts) for key, counts in baseline.flaky.items()),
            tuple((*key, why) for key, why in baseline.environment.items()),
            tuple((*key, why) for key, why in baseline.hidden.items()),
            tuple(sorted(baseline.unsteady)),
            notes,
            dict(network),
        )

    def baseline(self) -> Baseline:
        """The baseline again."""
        return Baseline(
            self.results,
            {(check, test_id): (passes, runs) for check, test_id, passes, runs in self.flaky},
            {(check, test_id): why for check, test_id, why in self.environment},
            {(check, test_id): why for check, test_id, why in self.hidden},
            self.notes,
            unsteady=frozenset(self.unsteady),
        )


@dataclass(frozen=True, slots=True)
class Part:
    """A task without its failures, which stand with the results of its check."""

    id: str
    title: str
    fingerprint: str
    check: str
    targets: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Job:
    """What one machine does: ids of tasks in the plan's order. `minutes`: wall time after which it may be ended from outside."""

    id: str
    tasks: tuple[str, ...]
    minutes: int


@dataclass(frozen=True, slots=True)
class Sheet:
    """A plan.

    Attributes:
        head: HEAD where it was made. base: the commit under repair; `bundle` is the SHA-256 of the file that holds it where it
            is a snapshot that other clones do not have ("" = there is none).
        commits: how much history the clone had in which the plan was made.
        settings: dotted key -> digest of its value. checks: name -> digest of the check.
        grounds: check -> what its results hold for, see `grounds`.
        share_usd: dollars that each task may spend at most.
        wall, checking: seconds that the plan took, and those of its checks; `suite_runs`: check processes.
        digest: SHA-256 of all the rest.
    """

    head: str
    base: str
    bundle: str
    commits: int
    asked: Asked
    settings: dict[str, str]
    checks: dict[str, str]
    grounds: dict[str, dict[str, str]]
    before: Before
    tasks: tuple[Part, ...]
    jobs: tuple[Job, ...]
    share_usd: float
    wall: float
    checking: float
    suite_runs: int
    digest: str = field(default="", compare=False)

    def job(self, job_id: str) -> Job:
        """The job of that id.

        Raises:
            UsageError: there is none.
        """
        found = next((j for j in self.jobs if j.id == job_id), None)
        if found is None:
            known = f"{self.jobs[0].id} to {self.jobs[-1].id}" if self.jobs else "the plan has none"
            raise UsageError(f"no job is called {one_line(job_id, 40)!r}", remedy=f"known: {known}")
        return found

    def all_tasks(self) -> tuple[Task, ...]:
        """The tasks in their order, as a run on one machine would have them."""
        results = {r.name: {f.id: f for f in r.failures} for r in self.before.results}
        return tuple(
            Task(t.id, t.title, t.fingerprint, t.check, tuple(results[t.check][i] for i in t.targets), t.text)
            for t in self.tasks
        )

    def job_of(self, task_id: str) -> Job | None:
        """The job that does a task; None where none was planned for it."""
        return next((j for j in self.jobs if task_id in j.tasks), None)


def write(sheet: Sheet, folder: Path) -> Sheet:
    """Write plan.json, whole or not at all, without secrets; the sheet as others will read it."""
    mask = redactor()
    content = _masked({k: v for k, v in asdict(sheet).items() if k != "digest"}, mask)
    document = {"schema": SCHEMA, "digest": _digest(content), "plan": content}
    write_atomic(
        folder / FILE, json.dumps(document, ensure_ascii=False, allow_nan=False, sort_keys=True, indent=1) + "\n"
    )
    return read(folder)


def _masked(value: Any, mask: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return mask(value.encode("utf-8", "replace").decode())  # a file's name may hold what is no text
    if isinstance(value, dict):
        return {mask(k): _masked(v, mask) for k, v in value.items()}
    return [_masked(v, mask) for v in value] if isinstance(value, list | tuple) else value


def _digest(content: Any) -> str:
    """SHA-256 of the canonical JSON: sorted keys, no spaces."""
    text = json.dumps(content, ensure_ascii=True, allow_nan=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def read(folder: Path) -> Sheet:
    """The plan in a folder.

    Raises:
        UsageError: there is none, or it is not what was written.
    """
    from pydantic import TypeAdapter, ValidationError

    file = folder / FILE
    try:
        if file.stat().st_size > _LARGEST:
            raise UsageError(f"{file} has more than {_LARGEST >> 20} MB", remedy=_AGAIN)
        document = json.loads(file.read_bytes())
        number, content, digest = (document[key] for key in ("schema", "plan", "digest"))
        if number != SCHEMA:
            raise UsageError(f"{file} has schema {number}, this version reads {SCHEMA}", remedy=_AGAIN)
        if _digest(content) != digest:
            raise UsageError(f"{file} is not as it was written: its content has another digest", remedy=_AGAIN)
        sheet = TypeAdapter(Sheet).validate_json(json.dumps(content), strict=True)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}", remedy="name the folder of --out") from error
    except ValidationError as error:
        said = ": ".join(first_complaint(error))
        raise UsageError(f"{file} is no plan: {one_line(said, 200)}", remedy=_AGAIN) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"{file} is no plan: {one_line(repr(error), 200)}", remedy=_AGAIN) from error
    if why := _unsound(sheet):
        raise UsageError(f"{file} is no plan: {why}", remedy=_AGAIN)
    return replace(sheet, digest=digest)


def _unsound(sheet: Sheet) -> str:
    """What does not fit together; "" = all does."""
    known = {t.id for t in sheet.tasks}
    given = [task for job in sheet.jobs for task in job.tasks]
    failures = {(r.name, f.id) for r in sheet.before.results for f in r.failures}
    if len(known) != len(sheet.tasks) or not all(map(_TASK_ID.fullmatch, known)):
        return "its tasks have no names of their own"
    if len({j.id for j in sheet.jobs}) != len(sheet.jobs) or not all(_JOB_ID.fullmatch(j.id) for j in sheet.jobs):
        return "its jobs have no names of their own"
    if len(set(given)) != len(given) or not known.issuperset(given):
        return "its jobs and its tasks do not fit together"
    if any((t.check, i) not in failures for t in sheet.tasks for i in t.targets):
        return "a task has a target that is not red"
    if {r.name for r in sheet.before.results} != set(sheet.checks):
        return "its checks and their results do not fit together"
    return ""
