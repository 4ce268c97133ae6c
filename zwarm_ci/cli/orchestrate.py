"""`orchestrate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zwarm_ci.cli.common import Common, common_options
from zwarm_ci.cli.fix import copy_reports, progress, reports_folder, request_of, run_options, show, task_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from zwarm_ci.orchestrator.watchers.base import Step
    from zwarm_ci.selection import Request

_CALL, _SAID = 80, 100  # characters of a call and of what it brought, in a line of progress


@click.command(short_help="an LLM plans, delegates and verifies")
@click.option(
    "--task",
    metavar="TEXT",
    help="What is to be done; `-` reads it from standard input. With --resume: what to tell it.",
)
@click.option("--task-file", type=click.Path(path_type=Path), metavar="F", help="The same from a file.")
@click.option("--max-steps", type=click.IntRange(1), metavar="N", help="Calls of tools at most [50].")
@click.option("--resume", metavar="RUN", help="Go on with a run that was cut off or paused; a prefix or `latest`.")
@run_options
@common_options
def orchestrate(
    common: Common, task: str | None, task_file: Path | None, max_steps: int | None, resume: str | None, **options: Any
) -> int:
    """Have an LLM plan a task, delegate it to sessions, verify their patches and deliver what passed.

    The LLM runs in the CLI that orchestrator.host names, with our tools and no others: it reads no file and writes none. Watchers
    look at every step. The run ends when `exit` is accepted: every check green, every session closed, every patch verified.
    """
    from zwarm_ci.orchestrator.host import Plan, orchestrate

    if resume is not None:
        _alone(options)
    spoken = resume is None or task is not None or task_file is not None
    words = task_text(task, task_file) if spoken else ""
    request = _request(common, options, words, max_steps)
    if options["dry_run"]:
        from zwarm_ci.preview import preview

        click.echo(preview(request, as_json=options["as_json"]), nl=False)
        return 0
    if options["reports"]:
        reports_folder(options["reports"])
    with progress(common, yes=options["yes"]) as watch:
        finished = orchestrate(Plan(request, resume or "", told(watch.stage)), watch)
    if options["reports"]:
        copy_reports(finished.folder, options["reports"])
    show(finished, as_json=options["as_json"])
    return finished.outcome.exit_code


def _request(common: Common, options: dict[str, Any], words: str, max_steps: int | None) -> Request:
    """What was asked for; `--max-tasks` and `--parallel` are limits on sessions here."""
    from dataclasses import replace

    sets = []
    if max_steps is not None:
        sets.append(f"orchestrator.max_steps={max_steps}")
    if options["max_tasks"]:
        sets.append(f"watchers.budget.sessions={options['max_tasks']}")
    if options["parallel"]:
        sets.append(f"orchestrator.parallel_delegations={options['parallel']}")
    request = request_of("orchestrate", common, {**options, "max_tasks": None}, words=words)
    return replace(request, sets=(*request.sets, *sets))


#: Options that say what a run is for, by their names in click.
_SAID_THEN = {
    "commands": "--check", "base": "--base", "source": "--from", "branch": "--branch", "apply": "--apply", "last_green": "--last-green",
    "allow_revert": "--allow-revert", "record": "--record", "replay": "--replay", "dry_run": "--dry-run",
}  # fmt: skip


def _alone(options: dict[str, Any]) -> None:
    """Raise `UsageError` where `--resume` comes with what says what a run is for: that was said when it began."""
    if given := [name for key, name in _SAID_THEN.items() if options[key]]:
        raise click.UsageError(f"--resume goes on with what was asked for then; leave out {', '.join(given)}")


def told(tell: Callable[[str], None]) -> Callable[[Step], None]:
    """A line for each call of a tool, and one for what it brought."""
    from zwarm_ci.scrub import one_line

    def tell_step(step: Step) -> None:
        args = ", ".join(f"{k}={json.dumps(v, ensure_ascii=False, default=str)}" for k, v in step.args.items())
        tell(f"step {step.number} → {step.tool}({one_line(args, _CALL)})")
        answer = {k: v for k, v in step.answer.items() if k not in {"success", "watchers"}}
        said = str(answer.get("error", "")) or json.dumps(answer, ensure_ascii=False, default=str)
        tell(f"  └ {'' if step.success else 'refused: '}{one_line(said, _SAID)}")

    return tell_step
