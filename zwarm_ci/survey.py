"""The base of a run, looked at: its checks, what is red before anything is done, and the tasks that follow from it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from zwarm_ci import baseline as before
from zwarm_ci import confine, environment, footing, selection
from zwarm_ci.baseline import Baseline, Tell
from zwarm_ci.checks import kept
from zwarm_ci.codec import from_data, to_data
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


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What a run found out before its first session, for one that goes on.

    Attributes:
        ground: by check, what its results hold for (see `footing`), and as it was configured.
        network: checks that have the network though their settings do not say so, and why.
        notes: all lines for the report up to then.
    """

    checks: tuple[Check, ...]
    baseline: Baseline
    tasks: tuple[Task, ...]
    aside: tuple[TaskOutcome, ...]
    ground: dict[str, dict[str, str]]
    network: dict[str, str]
    notes: tuple[str, ...]


def look(
    request: Request,
    site: Site,
    settings: Settings,
    facts: Facts,
    trees: Trees,
    tell: Tell,
    known: Surveyed | None = None,
) -> Survey:
    """Run the checks on the base and plan; `facts` knows at once what was found.

    `known`: what was found before the run was cut off. It is taken where the checks would run on the same ground now.

    Raises:
        BlockedError, UsageError: no check can run, or what was named is not there.
    """
    checks, notes = selection.look(request, settings, trees, facts.base)
    environment.adopt_variables(site.user.top, checks)
    if known is not None:
        if not (other := _elsewhere(known, trees, checks)):
            return _known(request, settings, facts, trees, known)
        facts.notes += (f"the checks before ran again, since this is another ground than before: {other}",)
    facts.notes = (*notes, *facts.notes)
    configured = checks
    take_hooks_word(facts, trees, checks)
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
    found = Surveyed(
        court.checks, baseline, tasks, aside, _ground(trees, configured), trees.surroundings.allowed, facts.notes
    )
    site.journal.write("surveyed", tasks=len(tasks), **facts.ledger.figures(), document=to_data(found))
    return Survey(court, tasks, aside)


def recalled(data: Any) -> Surveyed | None:
    """What the journal of a run that goes on says; None where it had not come so far.

    Raises:
        ValueError: it says something else.
    """
    return None if data is None else from_data(Surveyed, data)


def _ground(trees: Trees, checks: tuple[Check, ...]) -> dict[str, dict[str, str]]:
    return {c.name: {**footing.of_trees(trees, c), "command": footing.of_check(c)} for c in checks}


def _elsewhere(known: Surveyed, trees: Trees, checks: tuple[Check, ...]) -> str:
    """In what the ground is another than before; "" = in nothing, and the checks have the network again that had it."""
    allowed = [c for c in checks if c.name in known.network]
    for check in allowed:
        trees.surroundings.allow_network(check, known.network[check.name])
    here = _ground(trees, checks)
    for name in (*known.ground, *here):
        if key := footing.odd(known.ground.get(name, {}), here.get(name, {})):
            for check in allowed:
                trees.surroundings.deny_network(check)
            return f"{key} of {name}"
    return ""


def _known(request: Request, settings: Settings, facts: Facts, trees: Trees, known: Surveyed) -> Survey:
    """What was found before, as if it had been found now."""
    tree = trees.repo.tree_of(facts.base)
    for check in known.checks:
        trees.remember(tree, check, known.baseline.result(check.name))
    facts.before = facts.after = known.baseline.results
    facts.notes = tuple(dict.fromkeys((*known.notes, *facts.notes)))
    facts.tasks, facts.planned = known.aside, known.tasks
    court = selection.court(trees, settings, facts.base, known.checks, known.baseline)
    return Survey(replace(court, defer=len(known.tasks) > 1, prove=request.asked is not None), known.tasks, known.aside)


def take_hooks_word(facts: Facts, trees: Trees, checks: tuple[Check, ...]) -> None:
    """Take what a hook ran on the very content of the base, in the same environment, as known; the report says which."""
    tree = trees.repo.tree_of(facts.base)
    for check in checks:
        if found := kept.find(tree, check, trees.furnisher.env_of(check.workdir)):
            trees.remember(tree, check, found)
            facts.notes += (f"{check.name}: green on this very content when a hook ran it; not run again",)


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
