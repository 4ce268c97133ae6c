"""The story of a run, top to bottom.

checks before → tasks → [worktree → session → verification → verdict]* → integration → checks after → reports → exit code
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

from zwarm_ci import baseline as before
from zwarm_ci import config, confine, crew, environment, handover, proc, selection, staffing
from zwarm_ci import site as places
from zwarm_ci.budget import Ledger
from zwarm_ci.conclude import Facts, conclude, revealed, unrepairable
from zwarm_ci.crew import Watch
from zwarm_ci.errors import BlockedError, InterruptedRunError, LimitError, UsageError
from zwarm_ci.furnish import Furnisher
from zwarm_ci.git import Repository, open_repository
from zwarm_ci.integrate import Union, settle
from zwarm_ci.reports.write import write_all
from zwarm_ci.selection import Request
from zwarm_ci.surround import Surroundings
from zwarm_ci.trees import Trees
from zwarm_ci.verdict import Outcome


@dataclass(frozen=True, slots=True)
class Finished:
    """A run's record and the folder with everything that it left."""

    outcome: Outcome
    folder: Path
    user: Repository


Story = Callable[[Request, Watch, places.Site, config.Settings, Facts], None]


def run(request: Request, watch: Watch) -> Finished:
    """Do what was asked.

    Raises:
        UsageError, BlockedError: before there was a run to make a record of.
        InterruptedRunError: likewise.
    """
    return recorded(request, watch, _story)


def recorded(request: Request, watch: Watch, story: Story) -> Finished:
    """Tell a story in a workshop of its own and keep its record, however it ends.

    Raises:
        UsageError, BlockedError, InterruptedRunError: as `run`.
    """
    user = open_repository(request.directory)
    request = selection.with_last_green(request, user)
    with proc.stoppable(), places.workshop(user) as (scratch, private):
        base, settings = selection.base_and_settings(request, private)
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
    branch = selection.branch_name(request, site.run)
    site.user.free_branch(branch)
    rungs, till, paying = staffing.engage(settings, site.folder.parent.parent, replace(request.means, ask=watch.ask))
    conducts = staffing.conducts(settings, rungs, lambda path: site.private.read(facts.base, path))

    watch.stage("looking at the repository")
    with contextlib.closing(till), contextlib.closing(Surroundings(site.run, confine.means())) as surroundings:
        furnisher = Furnisher(site.private, selection.built_for(request, site, facts.base), watch.stage)
        trees = Trees(furnisher, surroundings, site.scratch, facts.ledger, site.folder / "logs")
        checks, notes = selection.look(request, settings, trees, facts.base)
        facts.notes = (*notes, *paying)
        environment.adopt_variables(site.user.top, checks)

        watch.stage("checks before")
        baseline = before.establish(
            trees, checks, facts.base, site.user, reruns=settings.verify.reruns,
            same_as_tree=selection.same_as_tree(request), tell=watch.stage,
        )  # fmt: skip
        facts.before, facts.after = baseline.results, baseline.results
        facts.notes += baseline.notes
        aside = unrepairable(checks, baseline)
        facts.tasks = aside
        if all(r.trouble for r in baseline.results):
            raise BlockedError(f"no check can run: {baseline.results[0].name}: {aside[0].reason}")

        court = selection.court(trees, settings, facts.base, checks, baseline)
        tasks = selection.tasks(request, site, court)
        court = replace(court, defer=len(tasks) > 1)
        if len(tasks) > 1 and request.at_once > 1:
            checks, notes = before.serialised(trees, checks, baseline, facts.base, watch.stage)
            court, facts.notes = replace(court, checks=checks), (*facts.notes, *notes)
        facts.planned = tasks
        watch.plan(tasks)
        shop = selection.shop(request, site, settings, court, rungs, till, conducts)
        union = Union(court, site.private.tree_of(facts.base))
        for done in crew.ends(request, watch, shop, union, tasks):
            facts.tasks = (*done, *aside)

        watch.stage("checks after, on all patches together")
        facts.ledger.extend(60 + 2 * sum(r.seconds for r in baseline.results))
        facts.after, outcomes = settle(union)
        outcomes = handover.write_files(site, union, outcomes)
        head, outcomes = handover.commit_all(site, union, outcomes)
        facts.tasks = (*outcomes, *aside, *revealed(checks, baseline, facts.after))
        facts.stopped = next(
            (o.reason for o in outcomes if o.status == "over_budget" and not o.reason.startswith("--max-tasks")), ""
        )
        facts.notes += tuple(dict.fromkeys((*surroundings.notes, *till.notes)))
        if union.steps:
            site.private.deliver(head, f"refs/heads/{branch}")
            facts.branch, facts.head = branch, head
            if request.apply:
                facts.notes += handover.apply_to_worktree(site.user, site.private, facts.base, head)


__all__ = ["Finished", "Request", "Watch", "recorded", "run"]
