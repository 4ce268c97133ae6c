"""`plan`, `work` and `collect`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zwarm_ci.cli import fix
from zwarm_ci.cli.common import Common, common_options

if TYPE_CHECKING:
    from zwarm_ci.fanout import Planned

_MOST_JOBS = 256  # of one matrix of GitHub Actions
_SHOWN = 20  # jobs that the text names
_PLAN = click.option(
    "--plan", "folder", required=True, type=click.Path(path_type=Path), metavar="DIR", help="The plan's folder."
)
_REPORTS = click.option(
    "--reports", type=click.Path(path_type=Path), metavar="DIR", help="Copy the run's reports there."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print outcome.json instead of the report.")


@click.command(short_help="a list of tasks and a matrix of jobs")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--for",
    "command",
    type=click.Choice(["fix-tests", "fix-checks"]),
    default="fix-tests",
    help="What the NAMEs are: tests, files, folders; or checks [fix-tests].",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="A new folder for the plan.")
@click.option(
    "--jobs", type=click.IntRange(1, _MOST_JOBS), default=_MOST_JOBS, metavar="N", help="At most N jobs [256]."
)
@fix.asked_options
@click.option("--json", "as_json", is_flag=True, help="Print status and matrix as JSON.")
@common_options
def plan(
    common: Common, names: tuple[str, ...], command: str, out: Path, jobs: int, *, as_json: bool, **options: Any
) -> int:
    """Run the checks once, and spread what is red over jobs for other machines.

    DIR gets plan.json and matrix.json ({"include": [{"job": "001", …}]}), and a git bundle where uncommitted work is repaired. Each
    task has its share of the budget, so that all jobs together keep it. 0 = planned, or nothing to do (an empty matrix).
    """
    from zwarm_ci import fanout

    tests = command == "fix-tests"
    more: dict[str, Any] = {"tests_only": True, "targets": names} if tests else {"names": names}
    request = fix.request_of(command, common, options, **more)
    with fix.progress(common) as progress:
        planned = fanout.plan(request, out, jobs, progress)
    if as_json:
        click.echo(json.dumps(planned.document(), indent=1, ensure_ascii=False))
    else:
        _show(planned, sys.stdout.write)
    return planned.exit_code


@click.command(short_help="one job of a plan")
@_PLAN
@click.option("--job", required=True, metavar="ID", help="Which one, as matrix.json names it.")
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="The result goes to DIR/ID.")
@click.option("--yes", is_flag=True, help="No question before the first paid call.")
@_JSON
@common_options
def work(common: Common, folder: Path, job: str, out: Path, *, yes: bool, as_json: bool) -> int:
    """Do the tasks of one job, in a clone that has the plan's base.

    The result is in DIR/ID when all of it is there; a job that was killed leaves none. Settings and limits are the plan's.
    """
    from zwarm_ci import fanout

    _nothing_set(common)
    with fix.progress(common, yes=yes) as progress:
        finished = fanout.work(common.directory, folder, job, out, progress)
    fix.show(finished, as_json=as_json)
    return finished.outcome.exit_code


@click.command(short_help="merge and verify what the jobs handed in")
@_PLAN
@click.option(
    "--work",
    "works",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where results are: DIR/ID, or DIR/ARTIFACT/ID (repeatable).",
)
@click.option("--branch", metavar="NAME", help="Name of the new branch [zwarm-ci/COMMAND-RUN].")
@_REPORTS
@_JSON
@common_options
def collect(
    common: Common, folder: Path, works: tuple[Path, ...], branch: str | None, reports: Path | None, *, as_json: bool
) -> int:
    """Merge the verified patches of all jobs, verify them together, and make one branch, as one machine would have.

    A job without a result is named, and its task stays red: plan again with --base and the new branch.
    """
    from zwarm_ci import fanout

    _nothing_set(common)
    if branch is not None and not branch.strip():
        raise click.UsageError("--branch is empty")
    if reports:
        fix.reports_folder(reports)
    with fix.progress(common) as progress:
        finished = fanout.collect(common.directory, folder, works, progress, branch=branch or "")
    if reports:
        fix.copy_reports(finished.folder, reports)
    fix.show(finished, as_json=as_json)
    return finished.outcome.exit_code


def _nothing_set(common: Common) -> None:
    if common.config or common.sets:
        raise click.UsageError("the settings are the plan's: give --config and --set to `zwarm-ci plan`")


def _show(planned: Planned, write: Any) -> None:
    """The plan as text."""
    from zwarm_ci.reports.base import words
    from zwarm_ci.scrub import one_line, redact

    document, titles = planned.document(), {t.id: t.title for t in planned.sheet.tasks}
    lines = [f"{words(planned.status)}: {one_line(document['reason'], 500)}"]
    for job in planned.sheet.jobs[:_SHOWN]:
        lines += [f"job {job.id}   {one_line(redact(titles[task]), 100)}" for task in job.tasks]
    if (more := len(planned.sheet.jobs) - _SHOWN) > 0:
        lines.append(f"          and {more} more jobs")
    if planned.paid and planned.sheet.jobs:
        lines.append(f"money     at most ${planned.sheet.share_usd:.2f} for each task")
    lines += [f"note      {one_line(note, 300)}" for note in document["notes"]]
    if planned.sheet.jobs:
        first = planned.sheet.jobs[0].id
        lines.append(f"next      zwarm-ci work --plan {planned.folder} --job {first} --out WORK, and the others")
        lines.append(f"          zwarm-ci collect --plan {planned.folder} --work WORK")
    write("\n".join(lines) + "\n")
