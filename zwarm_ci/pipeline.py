"""The story of a run, top to bottom.

checks before → tasks → [worktree → session → verification → verdict]* → integration → checks after → reports → exit code
"""

from __future__ import annotations

import contextlib
import functools
from dataclasses import replace

from zwarm_ci import config, crew, handover, selection, staffing, survey
from zwarm_ci import site as places
from zwarm_ci.conclude import Facts, limit_of, revealed
from zwarm_ci.crew import Watch
from zwarm_ci.github import bundle
from zwarm_ci.integrate import Union, settle
from zwarm_ci.past import NEW, Past
from zwarm_ci.selection import Request
from zwarm_ci.told import Finished, Start, Story, recorded, told
from zwarm_ci.verdict import TaskOutcome


def run(request: Request, watch: Watch) -> Finished:
    """Do what was asked.

    Raises:
        UsageError, BlockedError: before there was a run to make a record of.
        InterruptedRunError: likewise.
    """
    return recorded(request, watch, functools.partial(story, NEW), resumable=True)


def story(
    past: Past, request: Request, watch: Watch, site: places.Site, settings: config.Settings, facts: Facts
) -> None:
    """From the checks before to the delivery; what is known of the `past` is told, not done, again."""
    handover.free_branch(site, selection.branch_name(request, site.run), past)
    if request.asked:
        facts.notes = request.asked.notes(settings)
        if declined := request.asked.declined(settings):
            facts.tasks = (declined,)
            return
    means = replace(request.means, ask=watch.ask)
    rungs, till, paying = staffing.engage(settings, site.folder.parent.parent, means, past.spent())
    rungs = selection.able(request, rungs, paying)
    conducts = staffing.conducts(settings, rungs, lambda path: site.private.read(facts.base, path))

    watch.stage("looking at the repository")
    with contextlib.closing(till), survey.workroom(request, site, facts, watch.stage) as trees:
        facts.notes += paying
        known = survey.recalled(past.surveyed)
        seen = survey.look(request, site, settings, facts, trees, watch.stage, known)
        past = past.about(known.tasks if known else (), seen.tasks)
        watch.plan(seen.tasks)
        shop = selection.shop(request, site, settings, seen.court, rungs, till, conducts, past)
        union = Union(seen.court, site.private.tree_of(facts.base))
        for done in crew.ends(request, watch, shop, union, seen.tasks):
            facts.tasks = (*done, *seen.aside)
        hand_over(request, watch, site, facts, union, seen.aside, past)
        facts.notes += till.notes


def hand_over(
    request: Request, watch: Watch, site: places.Site, facts: Facts, union: Union, aside: tuple[TaskOutcome, ...],
    past: Past = NEW,
) -> None:  # fmt: skip
    """Verify all patches together and deliver those that may be: files, one branch, the working tree where that was asked for."""
    court = union.court
    watch.stage("checks after, on all patches together")
    facts.ledger.extend(60 + 2 * sum(r.seconds for r in court.baseline.results))
    facts.after, outcomes = settle(union)
    outcomes = handover.write_files(site, union, outcomes)
    head, outcomes = handover.commit_all(site, union, outcomes)
    facts.tasks = (*outcomes, *aside, *revealed(court.checks, court.baseline, facts.after))
    facts.stopped = limit_of(outcomes)
    facts.notes += handover.drafts(site, outcomes)
    if union.steps:
        branch = selection.branch_name(request, site.run)
        handover.deliver(site, branch, head, past)
        bundle.write(site.private, facts.base, branch, site.folder)
        facts.branch, facts.head = branch, head
        if request.apply:
            facts.notes += handover.apply_to_worktree(site.user, site.private, facts.base, head)


__all__ = ["Finished", "Request", "Start", "Story", "Watch", "hand_over", "recorded", "run", "story", "told"]
