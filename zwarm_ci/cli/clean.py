"""`clean`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from zwarm_ci.cli.common import Common, common_options

if TYPE_CHECKING:
    from zwarm_ci.history.leftovers import Leftover

_DAY = 24 * 3600.0


@click.command(short_help="remove what killed runs left, and old runs")
@click.option("--keep-days", type=click.FloatRange(0), default=30.0, metavar="N", help="Younger runs stay [30].")
@click.option("-n", "--dry-run", is_flag=True, help="Say what would go, and remove nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@common_options
def clean(common: Common, keep_days: float, *, dry_run: bool, as_json: bool) -> int:
    """Remove worktrees and processes that killed runs left behind, and old runs.

    Nothing that runs is touched, nor a run whose branch is still there, the latest one, or any session (see `session gc`). A run
    that was cut off can be resumed after this too.
    """
    from dataclasses import asdict

    from zwarm_ci.cli.take import state_dir
    from zwarm_ci.git import open_repository
    from zwarm_ci.history import leftovers

    user = open_repository(common.directory)
    state = user.top / state_dir(common)
    found = leftovers.find(user, state, keep_days * _DAY)
    gone = found if dry_run else [one for one in found if leftovers.remove(state, one)]
    held = [one for one in found if one not in gone]
    size = sum(one.size for one in gone)
    if as_json:
        document = {
            "removed": [asdict(o) for o in gone],
            "held": [asdict(o) for o in held],
            "bytes": size,
            "dry_run": dry_run,
        }
        click.echo(json.dumps({"schema": 1, **document}, indent=2))
        return 0
    for one in gone:
        click.echo(_line(one))
    for one in held:
        click.echo(f"held by somebody: {one.name}")
    verb = "would be freed" if dry_run else "freed"
    click.echo(f"{human(size)} {verb}" if found else "Nothing to remove.")
    return 0


def _line(one: Leftover) -> str:
    from zwarm_ci.scrub import one_line

    what = f"{one.count} process{'es' * (one.count != 1)} of" if one.kind == "processes" else one.kind
    size = "" if one.kind == "processes" else f", {human(one.size)}"
    return one_line(f"{what} {one.name}: {one.why}{size}", 300)


def human(size: int) -> str:
    """`812 bytes`, `3.4 MB`."""
    if size < 1000:
        return f"{size} bytes"
    value = size / 1000
    for unit in ("kB", "MB"):
        if value < 1000:
            return f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"
