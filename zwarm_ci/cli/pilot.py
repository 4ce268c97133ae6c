"""`pilot`."""

from __future__ import annotations

import select
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zwarm_ci.cli.common import Common, common_options
from zwarm_ci.cli.fix import copy_reports, progress, reports_folder, request_of, run_options, show

if TYPE_CHECKING:
    from collections.abc import Callable


@click.command(short_help="the orchestrator's tools, a person leading")
@click.option("--resume", metavar="RUN", help="Go on with a pilot that was left or cut off; a prefix or `latest`.")
@run_options
@common_options
def pilot(common: Common, resume: str | None, **options: Any) -> int:
    """Lead an LLM that plans and delegates: each line of yours is a turn of it.

    It has the tools of `orchestrate` and no others, the same watchers and the same limits. `:status` says how things stand; ^C ends
    a turn, `:quit` or ^D leaves, and what was begun can be gone on with.
    """
    from zwarm_ci.cli.orchestrate import told
    from zwarm_ci.errors import BlockedError, UsageError
    from zwarm_ci.orchestrator.pilot import Person
    from zwarm_ci.orchestrator.pilot import pilot as lead

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("pilot needs a terminal", remedy="use `zwarm-ci orchestrate` in scripts")
    if options["dry_run"]:
        raise UsageError("pilot begins with what you say, so there is nothing to preview", remedy="leave --dry-run out")
    try:
        from zwarm_ci.repl.prompt import reader
    except ModuleNotFoundError as error:
        raise BlockedError(f"the prompt needs {error.name}", remedy="pip install 'zwarm-ci[orchestrate]'") from error
    if options["reports"]:
        reports_folder(options["reports"])
    request = request_of("pilot", common, options)
    watch = progress(common, yes=options["yes"])
    person = Person(reader("pilot> ", _remembered(common)), _asked(click.echo), _say, told(watch.stage))
    finished = lead(request, resume or "", person, watch)
    if finished is None:
        return 0
    if options["reports"]:
        copy_reports(finished.folder, options["reports"])
    show(finished, as_json=options["as_json"])
    return finished.outcome.exit_code


def _remembered(common: Common) -> Path:
    from zwarm_ci.cli.interactive import remembered
    from zwarm_ci.git import open_repository

    return remembered(open_repository(common.directory).top)


def _say(text: str) -> None:
    """What a host said, without effect on the terminal."""
    from zwarm_ci.scrub import plain, redact

    click.echo(plain(redact(text)))


def _asked(say: Callable[[str], None]) -> Callable[[str], str]:
    """Puts a question of the host's to the person, in the middle of its turn."""
    from zwarm_ci.scrub import plain, redact
    from zwarm_ci.stop import STOP

    def answer(question: str) -> str:
        say(f"{plain(redact(question))}\n? ")
        select.select([sys.stdin, STOP.reader], [], [])
        STOP.check()
        return sys.stdin.readline().strip()

    return answer
