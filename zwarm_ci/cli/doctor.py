"""`doctor`."""

from __future__ import annotations

import click

from zwarm_ci.cli.common import Common, common_options


@click.command(short_help="what a run has here, and what it lacks")
@click.option("--quick", is_flag=True, help="Look only; run no check.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@common_options
def doctor(common: Common, *, quick: bool, as_json: bool) -> int:
    """Say what was detected here, what a clean worktree lacks, and which settings would supply it.

    Runs the checks once in a clean worktree; what is red there is tried where you would run it, and what makes the difference is
    looked for. Nothing in the repository is changed. The block of settings to paste comes last.

    Ends with 0 where nothing lacks, 1 where something does, 4 where no check can run.
    """
    from zwarm_ci import doctor as room
    from zwarm_ci.scrub import plain, redact
    from zwarm_ci.selection import Request

    def tell(text: str) -> None:
        if not common.quiet:
            click.echo(plain(redact(text)), err=True)

    request = Request("doctor", common.directory, config_file=common.config, sets=common.sets)
    found = room.examine(request, tell, quick=quick)
    click.echo(plain(redact(room.as_json(found) if as_json else room.as_text(found))), nl=False)
    return found.exit_code
