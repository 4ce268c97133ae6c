"""`init`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zwarm_ci.cli.common import Common, common_options
from zwarm_ci.errors import UsageError

if TYPE_CHECKING:
    from zwarm_ci.doctor import Diagnosis
    from zwarm_ci.git import Repository
    from zwarm_ci.init import Hooks, System

_NOTHING_TO_DO = "Nothing to do: what was asked for is in place."


@click.command(short_help="set a repository up")
@click.option(
    "--hooks",
    type=click.Choice(["native", "pre-commit", "none"]),
    help="Git hooks: native ones, or by the pre-commit framework [pre-commit where it is configured, else native].",
)
@click.option("--ci", type=click.Choice(["github", "gitlab", "none"]), help="A workflow for it [what is used here].")
@click.option("--executor", metavar="LADDER", help="Who repairs, into the settings: embedded, codex[:MODEL], …")
@click.option("--yes", is_flag=True, help="Write without a question.")
@click.option("--remove", is_flag=True, help="Put everything that init wrote back as it was.")
@common_options
def init(
    common: Common, *, hooks: Hooks | None, ci: System | None, executor: str | None, yes: bool, remove: bool
) -> int:
    """Set the repository up: git hooks, a workflow, and settings where what is detected does not do.

    Shows each file as a difference, and writes with your consent: a question on a terminal, or --yes. Hooks that are there go on
    running, before ours. Ends by running the checks once in a clean worktree, and says what a first repair would do.

    Ends with 0 where everything asked for is in place, red checks or not, and 1 where something is left undone, with the reason.
    """
    from zwarm_ci.git import open_repository

    user = open_repository(common.directory)
    if remove:
        if hooks or ci or executor:
            raise UsageError("--remove takes everything out", remedy="leave --hooks, --ci and --executor away")
        return _remove(user, yes=yes)
    return _install(common, user, hooks, ci, _rungs(executor), yes=yes)


def _rungs(executor: str | None) -> tuple[str, ...]:
    rungs = tuple(filter(None, (part.strip() for part in (executor or "").split(","))))
    if executor is not None and not rungs:
        raise UsageError("--executor is empty", remedy="name rungs, e.g. --executor embedded,codex:mini")
    return rungs


def _install(
    common: Common, user: Repository, hooks: Hooks | None, ci: System | None, ladder: tuple[str, ...], *, yes: bool
) -> int:
    from zwarm_ci import init as room

    sets = (*common.sets, *([f"executor.ladder=[{', '.join(repr(r) for r in ladder)}]"] if ladder else []))
    seen = _examine(common, common.config, sets, quick=True)
    wish = room.Wish(hooks, ci, ladder)
    plan = room.plan(user, wish, seen.checks, seen.config if seen.lacks else "")
    _print(
        "\n".join([*(f"{topic:<9}{line}" for topic, line in room.facts(user)), *(f"checks   {n}" for n in seen.notes)])
    )
    if plan.steps:
        _print("\nWould be written:\n\n" + room.shown(plan, user))
        if not _consent("Write this?", yes=yes):
            return _unwritten("nothing was written")
        room.do(plan, user)
        _print(f"Written: {_files(len(plan.steps))}. `zwarm-ci init --remove` puts everything back as it was.")
    elif not plan.left:
        _print("\n" + _NOTHING_TO_DO)
    for line in plan.left:
        click.echo(f"zwarm-ci: left undone: {_clean(line)}", err=True)
    for line in plan.next:
        _print(f"Next: {line}")
    _first_run(common, user, sets)
    return 1 if plan.left else 0


def _examine(common: Common, config: Path | None, sets: tuple[str, ...], *, quick: bool) -> Diagnosis:
    from zwarm_ci import doctor
    from zwarm_ci.selection import Request

    def tell(text: str) -> None:
        if not common.quiet:
            click.echo(_clean(text), err=True)

    request = Request("init", common.directory, config_file=config, sets=sets)
    return doctor.examine(request, tell, quick=quick, machine=False)


def _first_run(common: Common, user: Repository, sets: tuple[str, ...]) -> None:
    """The checks, once, and what a first repair would do."""
    from zwarm_ci.config import REPO_FILE
    from zwarm_ci.init import forecast
    from zwarm_ci.selection import Request

    # What is not committed yet is no part of the snapshot: settings are the one thing that must not be read from there.
    own = user.top / REPO_FILE
    config = common.config or (own if own.is_file() else None)
    found = _examine(common, config, sets, quick=False)
    request = Request("init", common.directory, config_file=config, sets=sets)
    _print("\n" + forecast.text(request, found.checks, found.results, found.lacks))


def _remove(user: Repository, *, yes: bool) -> int:
    from zwarm_ci import init as room

    found = room.removal(user)
    for line in found.left:
        click.echo(f"zwarm-ci: left: {_clean(line)}", err=True)
    if found.steps:
        _print("Would be put back:\n\n" + "".join(step.shown(user.top) for step in found.steps))
        if not _consent("Put this back?", yes=yes):
            return _unwritten("nothing was changed")
    room.take_out(found, user)
    _print(f"Put back: {_files(len(found.steps))}." if found.steps else "Nothing to do: nothing of ours is here.")
    return 1 if found.left else 0


def _files(number: int) -> str:
    return "1 file" if number == 1 else f"{number} files"


def _consent(question: str, *, yes: bool) -> bool:
    """`--yes`, or a yes on a terminal."""
    return yes or (sys.stdin.isatty() and click.confirm(question, err=True))


def _unwritten(what: str) -> int:
    why = "" if sys.stdin.isatty() else "; there is no terminal to ask at (say --yes)"
    click.echo(f"zwarm-ci: {what}{why}", err=True)
    return 1


def _print(text: str) -> None:
    from zwarm_ci.scrub import plain, redact

    click.echo(plain(redact(text)))


def _clean(text: str) -> str:
    from zwarm_ci.scrub import one_line, redact

    return one_line(redact(text), 1000)
