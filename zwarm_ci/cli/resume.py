"""`resume`."""

from __future__ import annotations

from pathlib import Path

import click

from zwarm_ci.cli.common import Common, common_options


@click.command(short_help="go on with a run that was cut off")
@click.argument("run", default="")
@click.option("--yes", is_flag=True, help="No question before the first paid call.")
@click.option("--reports", type=click.Path(path_type=Path), metavar="DIR", help="Copy the run's reports there.")
@click.option("--json", "as_json", is_flag=True, help="Print outcome.json instead of the report.")
@common_options
def resume(common: Common, run: str, *, yes: bool, reports: Path | None, as_json: bool) -> int:
    """Go on with RUN, which was killed or interrupted: its name or the beginning of one; else the newest that was.

    It is asked for what it was asked for. No finished turn is paid for again, nothing that was judged is judged again. Settings must
    be what they were, but for limits: --set budget.usd=20.
    """
    from zwarm_ci.cli.fix import copy_reports, progress, reports_folder, show
    from zwarm_ci.cli.take import state_dir
    from zwarm_ci.errors import UsageError
    from zwarm_ci.resume import resume as go_on

    if common.config is not None:
        raise UsageError("a run goes on with the --config that it had", remedy="raise a limit with --set budget.usd=…")
    if reports:
        reports_folder(reports)
    with progress(common, yes=yes) as watch:
        finished = go_on(common.directory, state_dir(common), run, common.sets, watch)
    if reports:
        copy_reports(finished.folder, reports)
    show(finished, as_json=as_json)
    return finished.outcome.exit_code
