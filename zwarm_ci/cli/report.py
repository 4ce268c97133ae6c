"""`report`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zwarm_ci.cli.common import Common, common_options

if TYPE_CHECKING:
    from zwarm_ci.verdict import Outcome

#: What a desktop's opener needs to find the person's screen and browser.
_DESKTOP = ("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "BROWSER")


@click.command(short_help="show a run's report again")
@click.argument("run", default="latest")
@click.option("--open", "in_browser", is_flag=True, help="Open report.html.")
@click.option("--compare", metavar="RUN", help="Hold it against an earlier run.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of outcome.json.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@common_options
def report(common: Common, run: str, *, in_browser: bool, compare: str | None, schema: bool, as_json: bool) -> int:
    """Show the report of RUN again: its name, a prefix of one, or `latest` (the default)."""
    from zwarm_ci.reports import jsonreport, terminal

    if schema:
        click.echo(json.dumps(jsonreport.schema(), indent=2))
        return 0
    folder = _folder(common, run)
    if compare is not None:
        _compare(_folder(common, compare), folder, as_json=as_json)
    elif as_json:
        click.echo(_text(folder), nl=False)
    elif in_browser:
        open_page(folder / "report.html")
    else:
        terminal.show(_outcome(folder), sys.stdout)
    return 0


def _folder(common: Common, run: str) -> Path:
    from zwarm_ci.cli.take import state_dir
    from zwarm_ci.errors import UsageError
    from zwarm_ci.git import open_repository
    from zwarm_ci.site import find_run

    state = open_repository(common.directory).top / state_dir(common)
    if run == "latest" and not (state / "runs" / "latest").exists():
        raise UsageError("no run has ended here yet", remedy="zwarm-ci fix-checks makes one")
    return find_run(state, run)


def _text(folder: Path) -> str:
    from zwarm_ci.errors import UsageError
    from zwarm_ci.scrub import decode

    path = folder / "outcome.json"
    if not path.is_file():
        raise UsageError(f"run {folder.name} has no outcome.json", remedy="it has not ended, or was cut off")
    return decode(path.read_bytes())


def _outcome(folder: Path) -> Outcome:
    from zwarm_ci.reports import jsonreport

    return jsonreport.outcome_of(jsonreport.from_json(_text(folder)))


def _compare(old: Path, new: Path, *, as_json: bool) -> None:
    from zwarm_ci.reports import compare

    if as_json:
        click.echo(json.dumps(compare.document(_outcome(old), _outcome(new)), indent=2))
    else:
        click.echo(compare.render(_outcome(old), _outcome(new)), nl=False)


def open_page(page: Path) -> None:
    """Hand a page to the desktop's opener; its path is printed in any case.

    Raises:
        BlockedError: there is no opener, or it failed.
        UsageError: there is no such page.
    """
    from zwarm_ci.errors import BlockedError, UsageError
    from zwarm_ci.proc import run
    from zwarm_ci.scrub import child_env

    if not page.is_file():
        raise UsageError(f"{page} does not exist", remedy="the run has not ended, or was cut off")
    click.echo(str(page))
    opener = "open" if sys.platform == "darwin" else "xdg-open"
    if not run([opener, str(page)], cwd=page.parent, env=child_env(names=_DESKTOP)).ok:
        raise BlockedError(f"{opener} could not open the page", remedy="open the path above in a browser")
