"""`demo`."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click

from zwarm_ci.cli.common import Common, common_options


@click.command(short_help="repair a small broken repository")
@click.option("--json", "as_json", is_flag=True, help="Print outcome.json instead of the report.")
@common_options
def demo(common: Common, *, as_json: bool) -> int:
    """Make a small repository with broken tests and lint in a temporary folder, repair it, show the report.

    Needs no key, no network and no git identity. The folder is left for you to look at; exit code 1 is right: some of what is
    broken there cannot be repaired honestly.
    """
    from zwarm_ci.cli.fix import run_watched, show
    from zwarm_ci.demo import build
    from zwarm_ci.selection import Request

    place = Path(tempfile.mkdtemp(prefix="zwarm-ci-demo-"))
    os.environ["XDG_CACHE_HOME"] = str(place / "cache")  # one of its tests is red while a cache there is cold
    folder = build(place / "shop")
    finished = run_watched(Request("demo", folder, config_file=common.config, sets=common.sets), common)
    show(finished, as_json=as_json)
    if not as_json:
        click.echo(f"\nThe repository is in {folder}; look at it with: git -C {folder} log --all --stat")
    return finished.outcome.exit_code
