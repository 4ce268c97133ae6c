"""The base of a run, looked at: its checks, what is red before anything is done, and the tasks that follow from it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from zwarm_ci import baseline as before
from zwarm_ci import confine, environment, selection
from zwarm_ci.baseline import Baseline, Tell
from zwarm_ci.conclude import Facts, unrepairable
from zwarm_ci.config import Settings
from zwarm_ci.errors import BlockedError
from zwarm_ci.furnish import Furnisher
from zwarm_ci.selection import Request
from zwarm_ci.site import Site
from zwarm_ci.surround import Surroundings
from zwarm_ci.task import Check, Task
from zwarm_ci.trees import Trees
from zwarm_ci.verdict import TaskOutcome
from zwarm_ci.verify.judge import Court


@dataclass(frozen=True, slots=True)
class Survey:
    """What is to be done, the court that judges it, and outcomes of what no session is started for."""

    court: Court
    tasks: tuple[Task, ...]
    aside: tuple[TaskOutcome, ...]


@contextlib.contextmanager
def workroom(request: Request, site: Site, facts: Facts, tell: Tell) -> Iterator[Trees]:
    """The worktrees of a run; when this ends, what surrounded them has ended, and what was seen of it stands in the notes."""
    with contextlib.closing(Surroundings(site.run, confine.means())) as surroundings:
        furnisher = Furnisher(site.private, selection.built_for(request, site, facts.base), tell)
        yield Trees(furnisher, surroundings, site.scratch, facts.ledger, site.folder / "logs")
        facts.notes += tuple(dict.fromkeys(surroundings.notes))


def look(request: Request, site: Site, settings: Settings, facts: Facts, trees: Trees, tell: Tell) -> Survey:
    """Run the checks on the base and plan; `facts` knows at once what was found.

    Raises:
        BlockedError, UsageError: no check can run, or what was named is not there.
    """
    checks, notes = selection.look(request, settings, trees, facts.base)
    facts.notes = (*notes, *facts.notes)
    environment.adopt_variables(site.user.top, checks)
    tell("checks before")
    baseline = before.establish(
        trees, checks, facts.base, site.user, reruns=settings.verify.reruns,
        same_as_tree=selection.same_as_tree(request), tell=tell,
    )  # fmt: skip
    aside = took(facts, checks, baseline)
    court = selection.court(trees, settings, facts.base, checks, baseline)
    tasks = selection.tasks(request, site, settings, court)
    court = replace(court, defer=len(tasks) > 1, prove=request.asked is not None)
    if len(tasks) > 1 and request.at_once > 1:
        checks, notes = before.serialised(trees, checks, baseline, facts.base, tell)
        court, facts.notes = replace(court, checks=checks), (*facts.notes, *notes)
    facts.planned = tasks
    return Survey(court, tasks, aside)


def took(facts: Facts, checks: tuple[Check, ...], baseline: Baseline) -> tuple[TaskOutcome, ...]:
    """Take a baseline for what was before; outcomes of what no session is started for.

    Raises:
        BlockedError: none of the checks can be believed.
    """
    facts.before, facts.after = baseline.results, baseline.results
    facts.notes += baseline.notes
    facts.tasks = aside = unrepairable(checks, baseline)
    if all(r.trouble for r in baseline.results):
        raise BlockedError(f"no check can run: {baseline.results[0].name}: {aside[0].reason}")
    return aside
