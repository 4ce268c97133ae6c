"""`fix-tests` and `fix-checks`."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zwarm_ci.cli.common import Common, common_options

if TYPE_CHECKING:
    from zwarm_ci.cli.progress import Progress
    from zwarm_ci.pipeline import Finished
    from zwarm_ci.selection import Request

#: What is repaired, by whom, within which limits: what `plan` asks for too.
_ASKED: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--check",
        "commands",
        multiple=True,
        metavar="CMD",
        help="A command instead of the configured checks (repeatable).",
    ),
    click.option(
        "--executor", metavar="LADDER", help="Rungs in order, comma-separated: embedded, codex[:MODEL], claude[:MODEL]."
    ),
    click.option("--model", metavar="M", help="One rung by its model; see `zwarm-ci models`."),
    click.option("--base", metavar="REF", help="Repair this commit rather than the tree as it is."),
    click.option(
        "--from",
        "source",
        type=click.Choice(["worktree", "index", "head"]),
        help="What is repaired [worktree].",
    ),
    click.option("--branch", metavar="NAME", help="Name of the new branch [zwarm-ci/COMMAND-RUN]."),
    click.option(
        "--last-green", metavar="REF", help="A commit on which the tests passed; where a regression is looked for."
    ),
    click.option("--allow-revert", is_flag=True, help="Offer to undo the lines that broke it on any branch."),
    click.option("--max-tasks", type=click.IntRange(1), metavar="N", help="Begin at most N tasks, the cheapest first."),
    click.option("--budget-usd", type=click.FloatRange(0), metavar="X", help="Dollars for the run [10]."),
    click.option("--task-budget-usd", type=click.FloatRange(0), metavar="X", help="Dollars for each task [3]."),
    click.option("--minutes", type=click.FloatRange(0, min_open=True), metavar="M", help="Wall time of the run [60]."),
    click.option("--allow-test-edits", is_flag=True, help="Patches to tests go to review instead of being refused."),
    click.option("--strict-flaky", is_flag=True, help="A flaky test makes the exit code 1."),
)
_OPTIONS = (
    *_ASKED,
    click.option("--apply", is_flag=True, help="Also put the verified patch into the working tree."),
    click.option("--parallel", type=click.IntRange(1, 64), metavar="N", help="Tasks at once [cores, at most 4]."),
    click.option(
        "--record", type=click.Path(path_type=Path), metavar="DIR", help="Keep every exchange with a model there."
    ),
    click.option(
        "--replay",
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        metavar="DIR",
        help="Answer from what --record kept: no network, no cost.",
    ),
    click.option("--yes", is_flag=True, help="No question before the first paid call."),
    click.option("--reports", type=click.Path(path_type=Path), metavar="DIR", help="Copy the run's reports there."),
    click.option("--dry-run", is_flag=True, help="Say what would run, and run nothing."),
    click.option("--json", "as_json", is_flag=True, help="Print outcome.json instead of the report."),
)
#: What a command that makes no run by itself leaves unsaid.
_UNSAID = {"apply": False, "parallel": None, "record": None, "replay": None}


def run_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options that all commands which make a run share."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def asked_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command those of them that say what is repaired, by whom and within which limits."""
    for option in reversed(_ASKED):
        command = option(command)
    return command


@click.command("fix-tests", short_help="repair failing tests")
@click.argument("tests", nargs=-1)
@run_options
@common_options
def fix_tests(common: Common, tests: tuple[str, ...], **options: Any) -> int:
    """Run the test checks and repair what fails.

    TESTS are test ids, files or folders to keep to. Verified patches land on one new branch; nothing else of yours changes.
    """
    return fix(request_of("fix-tests", common, options, tests_only=True, targets=tests), common, options)


@click.command("run", short_help="one task in words")
@click.option("--task", metavar="TEXT", help="What is to be done; `-` reads it from standard input.")
@click.option("--task-file", type=click.Path(path_type=Path), metavar="F", help="The same from a file.")
@run_options
@common_options
def run(common: Common, task: str | None, task_file: Path | None, **options: Any) -> int:
    """Do one task that is said in words; the checks verify that nothing which passed fails.

    No red test stands for such a task, so no proof of cause is claimed: read the patch.
    """
    return fix(request_of("run", common, options, words=task_text(task, task_file)), common, options)


def task_text(task: str | None, task_file: Path | None) -> str:
    """The words of `--task`, `--task -` or `--task-file`.

    Raises:
        UsageError: none or both are given, or there is nothing in them.
    """
    if (task is None) == (task_file is None):
        raise click.UsageError("say what is to be done: --task TEXT, --task - or --task-file FILE")
    if task_file is not None:
        try:
            words = task_file.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise click.UsageError(f"--task-file {task_file} cannot be read: {error.strerror}") from error
    else:
        words = sys.stdin.read() if task == "-" else task or ""
    if not words.strip():
        raise click.UsageError("the task is empty")
    return words


@click.command("fix-checks", short_help="repair every failing check")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@run_options
@common_options
def fix_checks(common: Common, names: tuple[str, ...], **options: Any) -> int:
    """Run every check, or those named, and repair what fails: tests, lint, types, build."""
    return fix(request_of("fix-checks", common, options, names=names), common, options)


def request_of(command: str, common: Common, options: dict[str, Any], **more: Any) -> Request:
    """What a command line asked for; `more` are fields of the command itself.

    Raises:
        click.UsageError: options exclude each other, or one is empty.
    """
    from zwarm_ci.selection import Request
    from zwarm_ci.staffing import Means

    options = {**_UNSAID, **options}
    for name in ("base", "branch", "last_green", "model", "executor"):
        if options[name] is not None and not options[name].strip():  # an unset variable in somebody's script
            raise click.UsageError(f"--{name.replace('_', '-')} is empty")
    if options["base"] and options["source"]:
        raise click.UsageError("--base and --from exclude each other: both say what is repaired")
    sets = list(common.sets)
    if options["executor"] is not None:
        rungs = ", ".join(f'"{r.strip()}"' for r in options["executor"].split(","))
        sets.append(f"executor.ladder=[{rungs}]")
    if options["model"] is not None:
        if options["executor"] is not None:
            raise click.UsageError("--executor and --model exclude each other: write --executor ADAPTER:MODEL")
        sets.append(f"executor.model={options['model']}")
    if options["record"] and options["replay"]:
        raise click.UsageError("--record and --replay exclude each other")
    if (
        options["record"]
        and options["record"].exists()
        and (not options["record"].is_dir() or any(options["record"].iterdir()))
    ):
        raise click.UsageError(f"--record {options['record']} exists; name a new folder")
    for option, key in (("minutes", "minutes"), ("budget_usd", "usd"), ("task_budget_usd", "task_usd")):
        if options[option] is not None:
            sets.append(f"budget.{key}={options[option]}")
    if options["allow_test_edits"]:
        sets.append("verify.allow_test_edits=true")
    return Request(
        command, common.directory, commands=options["commands"], source=options["source"] or "worktree", base=options["base"] or "",
        branch=options["branch"] or "", apply=options["apply"], last_green=options["last_green"] or "",
        allow_revert=options["allow_revert"], max_tasks=options["max_tasks"] or 0, parallel=options["parallel"] or 0,
        strict_flaky=options["strict_flaky"], means=Means(options["record"], options["replay"]),
        config_file=common.config, sets=tuple(sets), **more,
    )  # fmt: skip


def fix(request: Request, common: Common, options: dict[str, Any]) -> int:
    """Make the run and print its result."""
    if options["dry_run"]:
        from zwarm_ci.preview import preview

        click.echo(preview(request, as_json=options["as_json"]), nl=False)
        return 0
    if options["reports"]:
        reports_folder(options["reports"])
    finished = run_watched(request, common, yes=options["yes"])
    if options["reports"]:
        copy_reports(finished.folder, options["reports"])
    show(finished, as_json=options["as_json"])
    return finished.outcome.exit_code


def run_watched(request: Request, common: Common, *, yes: bool = False) -> Finished:
    """The run, with progress on standard error."""
    from zwarm_ci import pipeline

    with progress(common, yes=yes) as watch:
        return pipeline.run(request, watch)


def progress(common: Common, *, yes: bool = False) -> Progress:
    """Progress on standard error, as `-q` and `-v` want it; `yes`: no question before the first paid call."""
    from zwarm_ci.cli.progress import Progress

    return Progress(quiet=common.quiet, verbose=bool(common.verbose), yes=yes)


def show(finished: Finished, *, as_json: bool) -> None:
    """The result on standard output: outcome.json, or the report."""
    if as_json:
        click.echo((finished.folder / "outcome.json").read_text(encoding="utf-8"), nl=False)
        return
    from zwarm_ci.reports import terminal

    terminal.show(finished.outcome, sys.stdout)


def reports_folder(target: Path) -> None:
    """Make the folder of `--reports`, before anything is run.

    Raises:
        UsageError: it cannot be made or written.
    """
    from zwarm_ci.errors import UsageError

    try:
        target.mkdir(parents=True, exist_ok=True)
        (target / f".zwarm-ci-{os.getpid()}").touch()
        (target / f".zwarm-ci-{os.getpid()}").unlink()
    except OSError as error:
        raise UsageError(
            f"--reports {target} cannot be written: {error.strerror}", remedy="name another folder"
        ) from error


def copy_reports(folder: Path, target: Path) -> None:
    """Everything that a run leaves: reports, patches, evidence, journal, and its logs without secrets, since they leave."""
    if target.resolve() != folder.resolve():
        shutil.copytree(folder, target, dirs_exist_ok=True, symlinks=True, copy_function=_copy)


def _copy(source: str, target: str) -> str:
    from zwarm_ci.scrub import decode, redactor

    if not source.endswith(".log"):
        return str(shutil.copy2(source, target))
    mask = redactor()
    with Path(source).open("rb") as log, Path(target).open("w", encoding="utf-8") as out:
        while lines := log.readlines(1 << 20):  # a log may have a gigabyte
            out.write(mask(decode(b"".join(lines))))
    return target
