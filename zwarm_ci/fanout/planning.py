"""The plan: the base looked at once, its red grouped into tasks, the tasks spread over jobs with their share of the budget."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from zwarm_ci import footing, pricing, proc, selection, staffing, survey
from zwarm_ci import site as places
from zwarm_ci.budget import Ledger
from zwarm_ci.conclude import Facts, conclude
from zwarm_ci.config import Settings
from zwarm_ci.crew import Watch
from zwarm_ci.errors import UsageError
from zwarm_ci.fanout import grounds, packing, sheet
from zwarm_ci.fanout.packing import MOST_JOBS
from zwarm_ci.fanout.sheet import Asked, Before, Job, Sheet
from zwarm_ci.files import write_atomic
from zwarm_ci.git import Repository, open_repository
from zwarm_ci.journal import Journal
from zwarm_ci.private import PrivateRepository
from zwarm_ci.reports.base import plural
from zwarm_ci.scrub import redact
from zwarm_ci.selection import Request
from zwarm_ci.sessions import Store
from zwarm_ci.survey import Survey
from zwarm_ci.task import Task
from zwarm_ci.trees import Trees
from zwarm_ci.verdict import CheckResult

_SNAPSHOT = "refs/heads/zwarm-snapshot"


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan that was written. `status`: `planned`, or what a run with nothing to do would say. `paid`: a rung costs money."""

    sheet: Sheet
    folder: Path
    status: str
    exit_code: int
    reason: str
    notes: tuple[str, ...]
    paid: bool

    def document(self) -> dict[str, Any]:
        """For `--json`; no secrets in it."""
        return {
            "schema": sheet.SCHEMA,
            "status": self.status,
            "exit_code": self.exit_code,
            "reason": redact(self.reason),
            "base": self.sheet.base,
            "digest": self.sheet.digest,
            "plan": str(self.folder / sheet.FILE),
            "tasks": len(self.sheet.tasks),
            "matrix": packing.matrix(self.sheet),
            "share_usd": self.sheet.share_usd if self.paid else 0.0,
            "notes": [redact(note) for note in self.notes],
        }


def plan(request: Request, out: Path, most: int, watch: Watch) -> Planned:
    """Look at the base, and write plan.json and matrix.json into `out`: at most `most` jobs.

    Where nothing is to be done the matrix is empty, and so is the plan; `collect` makes the record of that too.

    Raises:
        UsageError, BlockedError, LimitError, InterruptedRunError: as a run; no plan has been written then.
    """
    user = open_repository(request.directory)
    request = replace(selection.with_last_green(request, user), parallel=1)  # no job has two checks at once
    asked = _asked(request, user)
    _free(out)
    with proc.stoppable(), places.workshop(user) as (scratch, private):
        base, settings = selection.base_and_settings(request, private)
        ledger = Ledger(settings.budget.minutes, settings.budget.check_minutes)
        watch.begin(ledger)
        site = _site(user, scratch, private)
        facts = Facts(site.run, request.command, user.head, base, ledger, request.strict_flaky)
        with survey.workroom(request, site, facts, watch.stage) as trees:
            seen = survey.look(request, site, settings, facts, trees, watch.stage)
            made = _sheet(asked, settings, facts, seen, trees, most)
        watch.plan(seen.tasks)
        made = _write(made, out, private)
    paid = any(adapter in pricing.list_adapters() for adapter, _ in settings.rungs)
    if made.jobs:
        reason = f"{plural(len(made.tasks), 'task')} in {plural(len(made.jobs), 'job')}"
        return Planned(made, out, "planned", 0, reason, facts.notes, paid)
    end = conclude(facts)
    return Planned(made, out, end.status, end.exit_code, end.reason, facts.notes, paid)


def _free(out: Path) -> None:
    """Raise `UsageError` unless `out` can be made, or is an empty folder."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        taken = any(out.iterdir())
    except OSError as error:
        raise UsageError(f"--out {out} cannot be written: {error.strerror}", remedy="name another folder") from error
    if taken:
        raise UsageError(f"--out {out} is not empty", remedy="name a new folder: what lies there may be another plan's")


def _site(user: Repository, scratch: Path, private: PrivateRepository) -> places.Site:
    """A plan is no run: what it writes on the way goes with its scratch folder."""
    folder = scratch / "plan"
    folder.mkdir()
    return places.Site(
        places.run_id(), user, folder, scratch, private, Journal(folder / "journal.jsonl"), Store(folder)
    )


def _asked(request: Request, user: Repository) -> Asked:
    """What was asked for; whether a regression may be undone is decided here, for all jobs.

    Raises:
        UsageError: there is a secret in it, and a plan leaves this machine.
    """
    try:
        text = request.config_file.read_text(encoding="utf-8") if request.config_file else ""
    except (OSError, ValueError) as error:
        raise UsageError(f"--config {request.config_file} cannot be read", remedy="name a TOML file") from error
    for option, given in (("--config", (text,)), ("--set", request.sets), ("--check", request.commands)):
        if any(redact(said) != said for said in given):
            raise UsageError(
                f"{option} holds what looks like a secret, and a plan leaves this machine",
                remedy="put it into the environment of every job",
            )
    return Asked(
        request.command, request.tests_only, request.commands, request.last_green,
        selection.may_revert(request, user, os.environ), request.strict_flaky, request.max_tasks, request.branch, request.sets, text,
    )  # fmt: skip


def _sheet(asked: Asked, settings: Settings, facts: Facts, seen: Survey, trees: Trees, most: int) -> Sheet:
    checks, baseline, user = seen.court.checks, seen.court.baseline, trees.repo.user
    tree = trees.repo.tree_of(facts.base)
    results = [_with_all_altered(r, trees.seen(tree, c)) for c, r in zip(checks, baseline.results, strict=True)]
    begun = seen.tasks[: asked.max_tasks or None]
    return Sheet(
        head=user.head,
        base=facts.base,
        bundle="",
        commits=grounds.commits(trees.repo, facts.base),
        asked=asked,
        settings=footing.of_settings(settings),
        checks={c.name: footing.of_check(c) for c in checks},
        grounds={c.name: footing.of_trees(trees, c) for c in checks},
        before=Before.of(replace(baseline, results=tuple(results)), facts.notes, trees.surroundings.allowed),
        tasks=tuple(sheet.Part(t.id, t.title, t.fingerprint, t.check, t.targets, t.text) for t in seen.tasks),
        jobs=_jobs(begun, {r.name: r.seconds for r in results}, settings.budget.minutes, most),
        share_usd=float(_share(settings, user, len(begun))),
        wall=round(facts.ledger.elapsed(), 3),
        checking=round(facts.ledger.check_seconds, 3),
        suite_runs=facts.ledger.suite_runs,
    )


def _with_all_altered(result: CheckResult, runs: Sequence[CheckResult]) -> CheckResult:
    """What plugins change of the runner on the base, seen in all runs of it: parts of a suite load other ones than the whole."""
    return replace(result, altered=tuple(dict.fromkeys(name for r in (result, *runs) for name in r.altered)))


def _jobs(tasks: Sequence[Task], took: dict[str, float], limit: float, most: int) -> tuple[Job, ...]:
    minutes = packing.minutes(limit, sum(took.values()))
    spread = packing.packed([took[t.check] for t in tasks], most)
    return tuple(
        Job(f"{number:03d}", tuple(tasks[index].id for index in indices), minutes)
        for number, indices in enumerate(spread, 1)
    )


def _share(settings: Settings, user: Repository, tasks: int) -> Decimal:
    """Dollars for each task; the day's ledger is asked only where something can cost money."""
    if not any(adapter in pricing.list_adapters() for adapter, _ in settings.rungs):
        return packing.share(staffing.limits(settings), Decimal(0), tasks)
    purse = staffing.purse(settings, places.state_folder(user, settings.state_dir))
    return packing.share(purse.limits, purse.spent_today(), tasks)


def _write(made: Sheet, out: Path, private: PrivateRepository) -> Sheet:
    """Write a bundle where the base is a snapshot that other clones do not have, the plan, and its matrix."""
    if made.base != made.head and not private.user.git.ask("cat-file", "-t", made.base):
        private.git.run("update-ref", _SNAPSHOT, made.base)
        file = (out / sheet.BUNDLE).resolve()
        private.git.run("bundle", "create", "--quiet", str(file), _SNAPSHOT, f"^{made.head}")
        made = replace(made, bundle=hashlib.sha256(file.read_bytes()).hexdigest())
    made = sheet.write(made, out)
    write_atomic(out / sheet.MATRIX, json.dumps(packing.matrix(made), ensure_ascii=False) + "\n")
    return made


__all__ = ["MOST_JOBS", "Planned", "plan"]
