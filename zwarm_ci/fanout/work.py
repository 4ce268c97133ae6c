"""One job of a plan on one machine: its tasks solved as a run solves them, each from the base, and the result handed in."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import replace
from pathlib import Path

from zwarm_ci import handover, pipeline, selection, staffing, survey
from zwarm_ci import site as places
from zwarm_ci.baseline import Baseline
from zwarm_ci.conclude import Facts, limit_of
from zwarm_ci.config import Settings
from zwarm_ci.crew import Watch
from zwarm_ci.fanout import grounds, result, sheet
from zwarm_ci.fanout.sheet import Job, Sheet
from zwarm_ci.integrate import Union
from zwarm_ci.loop import Shop, Solved, solve
from zwarm_ci.pipeline import Finished
from zwarm_ci.selection import Request
from zwarm_ci.stop import STOP
from zwarm_ci.task import Task
from zwarm_ci.verdict import TaskOutcome


def work(directory: Path, folder: Path, job_id: str, out: Path, watch: Watch) -> Finished:
    """Do the tasks of one job of the plan in `folder`, and put the result into `out`/JOB: whole, or not at all.

    Each task starts from the base and spends its own share, so that it does not matter which tasks share a job.

    Raises:
        UsageError, BlockedError, InterruptedRunError: before there was anything to hand in.
    """
    plan = sheet.read(folder)
    job = plan.job(job_id)
    story = functools.partial(_story, plan, job)
    start = grounds.start(plan, folder, functools.partial(_own_share, plan, job))
    with result.place(out, job) as place:
        finished = pipeline.recorded(grounds.request_of(plan, "work", directory), watch, story, start)
        result.hand_in(finished.folder, plan, job, place)
        place.rename(out / job.id)
    return finished


def _own_share(plan: Sheet, job: Job, settings: Settings) -> Settings:
    """The settings with the money of this job alone."""
    budget = replace(settings.budget, usd=round(plan.share_usd * len(job.tasks), 4), task_usd=plan.share_usd)
    return replace(settings, budget=budget)


def _story(
    plan: Sheet, job: Job, request: Request, watch: Watch, site: places.Site, settings: Settings, facts: Facts
) -> None:
    tasks = tuple(t for t in plan.all_tasks() if t.id in job.tasks)
    facts.source_head, facts.planned = plan.head, tasks
    means = replace(request.means, ask=watch.ask)
    rungs, till, paying = staffing.engage(settings, site.folder.parent.parent, means)
    conducts = staffing.conducts(settings, rungs, lambda path: site.private.read(facts.base, path))
    watch.stage("looking at the repository")
    with contextlib.closing(till), survey.workroom(request, site, facts, watch.stage) as trees:
        facts.notes = paying
        checks, baseline = grounds.look(plan, request, site, settings, facts, trees, watch.stage)
        survey.took(facts, checks, baseline)
        facts.tasks, facts.after = (), ()  # what no session is started for, and the checks after, are the collection's
        court = replace(selection.court(trees, settings, facts.base, checks, baseline), defer=len(plan.tasks) > 1)
        shop = selection.shop(request, site, settings, court, rungs, till, conducts)
        watch.plan(tasks)
        union = Union(court, site.private.tree_of(facts.base))  # nothing is merged into it
        for task in tasks:
            union.done.append(_solved(shop, baseline, task, watch))
            facts.tasks = handover.write_files(site, union, [solved.outcome for solved in union.done])
            STOP.check()
            watch.ended(facts.tasks[-1])
        facts.stopped = limit_of(facts.tasks)
        facts.notes += till.notes


def _solved(shop: Shop, baseline: Baseline, task: Task, watch: Watch) -> Solved:
    red = {f.id for f in baseline.failures(task.check)}
    if missing := next((target for target in task.targets if target not in red), ""):
        why = f"environment: {missing} is red where the plan was made, and not on this machine"
        return Solved(TaskOutcome(task, "unverifiable", why))
    return solve(shop, task, lambda text: watch.task(task, text))
