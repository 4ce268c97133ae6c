"""A story told in a workshop of its own, and its record kept, however it ends: what every command that makes a run has in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

from zwarm_ci import again as asking
from zwarm_ci import config, proc, selection
from zwarm_ci import site as places
from zwarm_ci.budget import Ledger
from zwarm_ci.conclude import Facts, conclude
from zwarm_ci.crew import Watch
from zwarm_ci.errors import BlockedError, InterruptedRunError, LimitError, UsageError
from zwarm_ci.git import Repository, open_repository
from zwarm_ci.private import PrivateRepository
from zwarm_ci.reports.write import write_all
from zwarm_ci.selection import Request
from zwarm_ci.tracing.export import exported
from zwarm_ci.verdict import Outcome, in_short


@dataclass(frozen=True, slots=True)
class Finished:
    """A run's record and the folder with everything that it left."""

    outcome: Outcome
    folder: Path
    user: Repository


Story = Callable[[Request, Watch, places.Site, config.Settings, Facts], None]
Start = Callable[[Request, PrivateRepository], tuple[str, config.Settings]]


def recorded(
    request: Request, watch: Watch, story: Story, start: Start = selection.base_and_settings, *, resumable: bool = False
) -> Finished:
    """Tell a story in a workshop of its own and keep its record, however it ends; `start` gives the base and the settings.

    `resumable`: what is asked for is kept too, so that it can go on should it be cut off.

    Raises:
        UsageError, BlockedError, InterruptedRunError: as `run`.
    """
    user = open_repository(request.directory)
    request = selection.with_last_green(request, user)
    with proc.stoppable(), places.workshop(user) as (scratch, private):
        base, settings = start(request, private)
        asked = asking.written(request, user, settings) if resumable else None
        site = places.begin(user, settings.state_dir, scratch, private, command=request.command, asked=asked)
        asking.keep_base(site, base)
        ledger = Ledger(settings.budget.minutes, settings.budget.check_minutes)
        facts = Facts(site.run, request.command, user.head, base, ledger, request.strict_flaky)
        try:
            return told(request, watch, story, site, settings, facts)
        except UsageError:
            places.abandon(site)
            raise


def told(
    request: Request, watch: Watch, story: Story, site: places.Site, settings: config.Settings, facts: Facts,
    *, again: bool = False,
) -> Finished:  # fmt: skip
    """Tell the story of a run that has a site, and keep its record, however it ends. `again`: it goes on after it was cut off.

    Raises:
        UsageError: it cannot be told. BlockedError: likewise, where it goes on.
    """
    facts.limits = {f.name: getattr(settings.budget, f.name) for f in fields(settings.budget)}
    watch.begin(facts.ledger)
    try:
        story(request, watch, site, settings, facts)
        outcome = conclude(facts)
    except InterruptedRunError as error:
        outcome = conclude(facts, interrupted=error.code)
    except BlockedError as error:
        if again:  # what was done is not thrown away for what a person can put right
            raise
        outcome = conclude(facts, blocked=error.line)
    except LimitError as error:
        facts.stopped = error.line
        outcome = conclude(facts)
    write_all(outcome, site.folder)
    places.end(site, outcome.status, outcome.exit_code, **in_short(outcome))
    return Finished(exported(outcome, site.folder, settings.weave.project), site.folder, site.user)
