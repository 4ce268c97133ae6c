"""`doctor`."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zwarm_ci.cli.common import Common, common_options
from zwarm_ci.cli.hook import STAGES
from zwarm_ci.errors import UsageError

if TYPE_CHECKING:
    from zwarm_ci.selection import Request


@click.command(short_help="what a run has here, and what it lacks")
@click.option("--quick", is_flag=True, help="Look only; run no check.")
@click.option(
    "--event",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Say what the Action would do with this webhook payload, and why not; nothing is run.",
)
@click.option(
    "--event-name", metavar="NAME", help="The payload's event, e.g. issue_comment (default: GITHUB_EVENT_NAME)."
)
@click.option(
    "--hook",
    type=click.Choice(STAGES),
    help="Say what this git hook would do here now, and why not; nothing is run.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@common_options
def doctor(
    common: Common, *, quick: bool, event: Path | None, event_name: str | None, hook: str | None, as_json: bool
) -> int:
    """Say what was detected here, what a clean worktree lacks, and which settings would supply it.

    Runs the checks once in a clean worktree; what is red there is tried where you would run it, and what makes the difference is
    looked for. Nothing in the repository is changed. The block of settings to paste comes last.

    With --event nothing is looked for: it says what the Action would do with the payload. With ZWARM_CI_TOKEN or GITHUB_TOKEN set,
    GitHub is asked what the Action would ask; without, it says what that would be. With --hook it says whether git calls a hook of
    ours, and what that would do with what is staged, or would be pushed.

    Ends with 0 where nothing lacks (and with --event and --hook), 1 where something does, 4 where no check can run.
    """
    from zwarm_ci import doctor as room
    from zwarm_ci.scrub import plain, redact
    from zwarm_ci.selection import Request

    if event is not None and hook is not None:
        raise UsageError("--event and --hook exclude each other", remedy="ask one after the other")
    if event is not None:
        return _foresee(common, event, event_name or os.environ.get("GITHUB_EVENT_NAME", ""), as_json=as_json)
    if event_name is not None:
        raise UsageError("--event-name has no effect without --event", remedy="name the payload's file by --event")

    def tell(text: str) -> None:
        if not common.quiet:
            click.echo(plain(redact(text)), err=True)

    request = Request("doctor", common.directory, config_file=common.config, sets=common.sets)
    if hook is not None:
        return _foresee_hook(replace(request, source="index"), hook, tell, as_json=as_json)
    found = room.examine(request, tell, quick=quick)
    click.echo(plain(redact(room.as_json(found) if as_json else room.as_text(found))), nl=False)
    return found.exit_code


def _foresee(common: Common, payload: Path, name: str, *, as_json: bool) -> int:
    """What the Action would do; 0 whatever it is, for that is an answer."""
    from zwarm_ci.github import forecast
    from zwarm_ci.github.api import Api, token_of
    from zwarm_ci.settings import of_head

    if not name:
        raise UsageError("--event needs the event's name", remedy="give --event-name, or set GITHUB_EVENT_NAME")
    token = token_of(os.environ)
    settings = of_head(common.directory, common.config, common.sets).github
    found = forecast.foresee(name, payload, settings, os.environ, Api(token) if token else None)
    click.echo(forecast.as_json(found) if as_json else forecast.as_text(found), nl=False)
    return 0


def _foresee_hook(request: Request, stage: str, tell: Callable[[str], None], *, as_json: bool) -> int:
    """What a hook would do; 0 whatever it is, for that is an answer."""
    from zwarm_ci import doctor as room
    from zwarm_ci.doctor import hooks
    from zwarm_ci.git import open_repository
    from zwarm_ci.scrub import plain, redact

    seen = room.examine(request, tell, quick=True, machine=False)
    found = hooks.foresee(open_repository(request.directory), stage, seen.settings, seen.checks)
    click.echo(plain(redact(hooks.as_json(found) if as_json else hooks.as_text(found))), nl=False)
    return 0
