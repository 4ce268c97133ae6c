"""`verify`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zwarm_ci.cli.common import Common, common_options

if TYPE_CHECKING:
    from zwarm_ci.selection import Request


@click.command(short_help="judge any patch, whoever made it")
@click.argument("change", metavar="COMMIT|PATCH")
@click.option(
    "--base", metavar="REF", help="What it is held against [a commit's first parent; a patch: the tree as it is]."
)
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="ID",
    help="A red id that it must make green (repeatable) [all that are red].",
)
@click.option(
    "--check", "commands", multiple=True, metavar="CMD", help="A command instead of the configured checks (repeatable)."
)
@click.option(
    "--from",
    "source",
    type=click.Choice(["worktree", "index", "head"]),
    help="What a patch file is applied to [worktree].",
)
@click.option("--minutes", type=click.FloatRange(0, min_open=True), metavar="M", help="Wall time [60].")
@click.option("--allow-test-edits", is_flag=True, help="Changes to tests ask for review instead of being refused.")
@click.option(
    "--strict-flaky", is_flag=True, help="A test that is red once and green when run again refuses the patch."
)
@click.option("--reports", type=click.Path(path_type=Path), metavar="DIR", help="Copy the reports there.")
@click.option("--dry-run", is_flag=True, help="Say what would run and what the guards see; run nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print outcome.json instead of the report.")
@common_options
def verify(common: Common, change: str, **options: Any) -> int:
    """Judge a commit or a patch file: guards, the base's tests in a clean worktree, proof of cause, evidence.

    0 = accepted (what only asks for review included), 1 = refused or unverifiable. For people's own commits set
    verify.strict=false: just secrets, .git edits and masked exit codes are refused then, the rest asks for review.
    """
    from zwarm_ci import verification
    from zwarm_ci.cli import fix

    if options["reports"] and not options["dry_run"]:
        fix.reports_folder(options["reports"])
    offered, request = verification.offer(change, _request(common, options))
    if options["dry_run"]:
        return _dry(request, offered, as_json=options["as_json"])
    with fix.progress(common) as progress:
        finished = verification.run(request, offered, progress)
    if options["reports"]:
        fix.copy_reports(finished.folder, options["reports"])
    fix.show(finished, as_json=options["as_json"])
    return finished.outcome.exit_code


def _request(common: Common, options: dict[str, Any]) -> Request:
    from zwarm_ci.selection import Request

    if options["base"] is not None and not options["base"].strip():
        raise click.UsageError("--base is empty")
    if options["base"] and options["source"]:
        raise click.UsageError("--base and --from exclude each other: both say what the patch is held against")
    sets = list(common.sets)
    if options["minutes"] is not None:
        sets.append(f"budget.minutes={options['minutes']}")
    if options["allow_test_edits"]:
        sets.append("verify.allow_test_edits=true")
    return Request(
        "verify", common.directory, targets=options["targets"], commands=options["commands"], source=options["source"] or "worktree",
        base=options["base"] or "", strict_flaky=options["strict_flaky"], config_file=common.config, sets=tuple(sets),
    )  # fmt: skip


def _dry(request: Request, offered: Any, *, as_json: bool) -> int:
    from dataclasses import asdict

    from zwarm_ci import verification
    from zwarm_ci.reports import base as words

    base, checks, found = verification.guarded(request, offered)
    if as_json:
        rows = [{"name": c.name, "command": c.run, "kind": c.kind} for c in checks]
        click.echo(json.dumps({"base": base, "checks": rows, "guards": [asdict(f) for f in found]}, indent=1))
        return 0
    click.echo(f"base      {base[:12]}")
    for check in checks:
        click.echo(f"check     {check.name}: {check.run}")
    for one in found:
        click.echo(f"guard     {words.finding(one)}")
    click.echo("Nothing was run.")
    return 0
