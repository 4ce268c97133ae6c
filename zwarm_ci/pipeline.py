"""The story of a run, top to bottom.

checks before → tasks → [worktree → session → verification → verdict]* → integration → checks after → reports → exit code
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

from zwarm_ci import config, crew, handover, proc, selection, staffing, survey
from zwarm_ci import site as places
from zwarm_ci.budget import Ledger
from zwarm_ci.conclude import Facts, conclude, limit_of, revealed
from zwarm_ci.crew import Watch
from zwarm_ci.errors import BlockedError, InterruptedRunError, LimitError, UsageError
from zwarm_ci.git import Repository, open_repository
from zwarm_ci.github import bundle
from zwarm_ci.integrate import Union, settle
from zwarm_ci.private import PrivateRepository
from zwarm_ci.reports.write import write_all
from zwarm_ci.selection import Request
from zwarm_ci.verdict import Outcome, TaskOutcome


@dataclass(frozen=True, slots=True)
class Finished:
    """A run's record and the folder with everything that it left."""

    outcome: Outcome
    folder: Path
    user: Repository


Story = Callable[[Request, Watch, places.Site, config.Settings, Facts], None]
Start = Callable[[Request, PrivateRepository], tuple[str, config.Settings]]


def run(request: Request, watch: Watch) -> Finished:
    """Do what was asked.

    Raises:
        UsageError, BlockedError: before there was a run to make a record of.
        InterruptedRunError: likewise.
    """
    return recorded(request, watch, _story)


def recorded(request: Request, watch: Watch, story: Story, start: Start = selection.base_and_settings) -> Finished:
    """Tell a story in a workshop of its own and keep its record, however it ends; `start` gives the base and the settings.

    Raises:
        UsageError, BlockedError, InterruptedRunError: as `run`.
    """
    user = open_repository(request.directory)
    request = selection.with_last_green(request, user)
    with proc.stoppable(), places.workshop(user) as (scratch, private):
        base, settings = start(request, private)
        ledger = Ledger(settings.budget.minutes, settings.budget.check_minutes)
        watch.begin(ledger)
        site = places.begin(user, settings.state_dir, scratch, private)
        limits = {f.name: getattr(settings.budget, f.name) for f in fields(settings.budget)}
        facts = Facts(site.run, request.command, user.head, base, ledger, request.strict_flaky, limits)
        try:
            story(request, watch, site, settings, facts)
            outcome = conclude(facts)
        except InterruptedRunError as error:
            outcome = conclude(facts, interrupted=error.code)
        except BlockedError as error:
            outcome = conclude(facts, blocked=error.line)
        except UsageError:
            places.abandon(site)
            raise
        except LimitError as error:
            facts.stopped = error.line
            outcome = conclude(facts)
        write_all(outcome, site.folder)
        site.journal.write("run_ended", status=outcome.status, exit_code=outcome.exit_code)
        places.point_latest(site)
        return Finished(outcome, site.folder, user)


def _story(request: Request, watch: Watch, site: places.Site, settings: config.Settings, facts: Facts) -> None:
    site.user.free_branch(selection.branch_name(request, site.run))
    if request.asked:
        facts.notes = request.asked.notes(settings)
        if declined := request.asked.declined(settings):
            facts.tasks = (declined,)
            return
    rungs, till, paying = staffing.engage(settings, site.folder.parent.parent, replace(request.means, ask=watch.ask))
    rungs = selection.able(request, rungs, paying)
    conducts = staffing.conducts(settings, rungs, lambda path: site.private.read(facts.base, path))

    watch.stage("looking at the repository")
    with contextlib.closing(till), survey.workroom(request, site, facts, watch.stage) as trees:
        facts.notes += paying
        seen = survey.look(request, site, settings, facts, trees, watch.stage)
        watch.plan(seen.tasks)
        shop = selection.shop(request, site, settings, seen.court, rungs, till, conducts)
        union = Union(seen.court, site.private.tree_of(facts.base))
        for done in crew.ends(request, watch, shop, union, seen.tasks):
            facts.tasks = (*done, *seen.aside)
        hand_over(request, watch, site, facts, union, seen.aside)
        facts.notes += till.notes


def hand_over(
    request: Request, watch: Watch, site: places.Site, facts: Facts, union: Union, aside: tuple[TaskOutcome, ...]
) -> None:
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
        site.private.deliver(head, f"refs/heads/{branch}")
        bundle.write(site.private, facts.base, branch, site.folder)
        facts.branch, facts.head = branch, head
        if request.apply:
            facts.notes += handover.apply_to_worktree(site.user, site.private, facts.base, head)


__all__ = ["Finished", "Request", "Watch", "hand_over", "recorded", "run"]
