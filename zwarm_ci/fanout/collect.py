"""What the jobs handed in, merged in the plan's order and verified together: a run's record as one machine would have made it.

Nothing that a job says is believed but its cost: each patch is looked at by the guards again, its evidence must speak of exactly
the tree that it makes, and the union is verified here. That a patch was proven alone is the job's word; the union's green is ours.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from zwarm_ci import crew, pipeline, pricing, selection, survey
from zwarm_ci import site as places
from zwarm_ci.conclude import Facts, not_begun
from zwarm_ci.config import Settings
from zwarm_ci.crew import Watch
from zwarm_ci.errors import UsageError
from zwarm_ci.fanout import grounds, result, sheet
from zwarm_ci.fanout.result import Result
from zwarm_ci.fanout.sheet import Job, Sheet
from zwarm_ci.integrate import Union
from zwarm_ci.loop import Solved
from zwarm_ci.pipeline import Finished
from zwarm_ci.scrub import redact
from zwarm_ci.selection import Request
from zwarm_ci.task import Task
from zwarm_ci.verdict import Seconds, TaskOutcome
from zwarm_ci.verify import guards
from zwarm_ci.verify.court import Rejected
from zwarm_ci.verify.judge import Court, about, refuse


@dataclass(frozen=True, slots=True)
class _Jobs:
    """What came back: results by job id; why the others' words are not taken."""

    results: dict[str, Result] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    @classmethod
    def found(cls, plan: Sheet, works: Sequence[Path]) -> _Jobs:
        """Look for every job of the plan.

        Raises:
            UsageError: a job has two results.
        """
        made = cls()
        for job in plan.jobs:
            folder = result.find(works, job)
            if folder is None:
                continue
            try:
                made.results[job.id] = result.read(folder, plan, job)
            except UsageError as error:
                made.refused[job.id] = error.line
        return made


def collect(directory: Path, folder: Path, works: Sequence[Path], watch: Watch, *, branch: str = "") -> Finished:
    """Merge the results below `works` of the plan in `folder`, verify them together and deliver one branch.

    A task whose job is lost, cancelled or cannot be believed is said to be so; it is still red on the new branch, so that a plan
    for that names it again.

    Raises:
        UsageError, BlockedError, InterruptedRunError: as a run.
    """
    plan = sheet.read(folder)
    jobs = _Jobs.found(plan, works)
    request = grounds.request_of(plan, plan.asked.command, directory, branch=branch)
    return pipeline.recorded(request, watch, functools.partial(_story, plan, jobs), grounds.start(plan, folder))


def _story(
    plan: Sheet, jobs: _Jobs, request: Request, watch: Watch, site: places.Site, settings: Settings, facts: Facts
) -> None:
    site.user.free_branch(selection.branch_name(request, site.run))
    tasks = plan.all_tasks()
    facts.source_head, facts.planned = plan.head, tasks
    _add_up(plan, jobs, facts)
    watch.stage("looking at the repository")
    with survey.workroom(request, site, facts, watch.stage) as trees:
        checks, baseline = grounds.look(plan, request, site, settings, facts, trees, watch.stage)
        aside = survey.took(facts, checks, baseline)
        court = replace(selection.court(trees, settings, facts.base, checks, baseline), defer=len(tasks) > 1)
        watch.plan(tasks)
        union = Union(court, site.private.tree_of(facts.base))
        ends = [_end(plan, jobs, court, task) for task in tasks]
        for done in crew.merged(watch, union, [functools.partial(_come, end) for end in ends]):
            facts.tasks = (*done, *aside)
        pipeline.hand_over(request, watch, site, facts, union, aside)


def _come(end: Solved) -> Solved:
    """Nobody needs to wait for it: it has been handed in."""
    return end


def _add_up(plan: Sheet, jobs: _Jobs, facts: Facts) -> None:
    """Time of the plan and of the jobs, which ran beside each other; and who spent more than its share."""
    spent = [r.outcome for r in jobs.results.values()]
    longest = max((o.seconds.wall for o in spent), default=0.0)
    facts.elsewhere = Seconds(wall=plan.wall + longest, checks=plan.checking + sum(o.seconds.checks for o in spent))
    facts.runs_elsewhere = plan.suite_runs + sum(o.suite_runs for o in spent)
    for job in plan.jobs:
        if job.id not in jobs.results:
            continue
        cost = pricing.total(t.cost_usd for t in jobs.results[job.id].outcome.tasks)
        if cost > (most := plan.share_usd * len(job.tasks)) + 0.005:  # half a cent is a matter of rounding
            facts.notes += (
                f"job {job.id} cost {pricing.format_cost(cost)}, its share was {pricing.format_cost(most)}",
            )


def _end(plan: Sheet, jobs: _Jobs, court: Court, task: Task) -> Solved:
    """What a job came to with a task."""
    job = plan.job_of(task.id)
    if job is None:
        return Solved(not_begun(task, plan.asked.max_tasks))
    if why := jobs.refused.get(job.id):
        return Solved(TaskOutcome(task, "unverifiable", f"runner: the result of job {job.id} is not believed: {why}"))
    if job.id not in jobs.results:
        why = f"job {job.id} left no result (lost, cancelled, or never run); plan again, with --base and the new branch"
        return Solved(TaskOutcome(task, "interrupted", why))
    return _held(jobs.results[job.id], job, court, task)


def _held(found: Result, job: Job, court: Court, task: Task) -> Solved:
    """The job's word on a task, held against the plan, the guards and git."""
    said = found.task(task.id)
    if said is None:
        blocked = found.outcome.status == "blocked"
        why = f"job {job.id} ended without it: {found.outcome.reason}"
        return Solved(TaskOutcome(task, "blocked" if blocked else "interrupted", why))
    outcome = replace(said, task=task, patch=None, commit=None, evidence=None)
    if said.status in {"interrupted", "blocked"}:
        return Solved(replace(outcome, reason=f"job {job.id}: {said.reason}"))
    if said.status != "fixed":
        return Solved(outcome)
    try:
        tree, evidence = _offered(found, court, task, said)
    except UsageError as error:
        why = f"runner: the patch of job {job.id} is not believed: {error.line}"
        return Solved(outcome.with_status("unverifiable", why))
    repo, rules = court.trees.repo, replace(court.rules, about=about(court, task))
    findings = guards.look(guards.Patch.between(repo, repo.tree_of(court.base), tree, rules, task.targets))
    try:
        refuse(findings)
    except Rejected as no:
        return Solved(replace(outcome.with_status(no.status, no.reason), review=findings))
    review = tuple(dict.fromkeys((*(f for f in findings if f.level == "review"), *said.review)))
    return Solved(replace(outcome, review=review), tree, evidence)


def _offered(found: Result, court: Court, task: Task, said: TaskOutcome) -> tuple[str, str]:
    """The tree that the patch makes of the base, and the evidence that speaks of exactly that.

    Raises:
        UsageError: they do not fit together.
    """
    if not said.attempts:
        raise UsageError("nobody says who made it")
    repo = court.trees.repo
    base = repo.tree_of(court.base)
    patch, raw = found.read(f"patches/{task.id}.patch"), found.read(f"evidence/{task.id}.json")
    try:
        evidence = raw.decode("utf-8")
        facts: Any = json.loads(evidence)
        named = tuple(facts[key] for key in ("fingerprint", "base_tree", "delivered_tree"))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError("its evidence cannot be understood") from error
    tree = repo.apply(base, patch)
    if tree is None:
        raise UsageError("it does not apply to the base")
    if named != (task.fingerprint, base, tree):
        raise UsageError("its evidence speaks of another tree or task")
    return tree, redact(evidence)
