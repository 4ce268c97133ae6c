"""`hook`: what git and the hook framework call."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zwarm_ci.cli.common import Common, common_options

if TYPE_CHECKING:
    from zwarm_ci.hook.asked import Asked

STAGES = ("pre-commit", "pre-push", "commit-msg", "post-merge")


@click.command(short_help="what git calls", context_settings={"ignore_unknown_options": True})
@click.argument("stage", type=click.Choice(STAGES))
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
@click.option("--fix", is_flag=True, help="pre-commit: have the checks' own fixers edit the files; the index stays.")
@click.option("--repair", is_flag=True, help="pre-push: repair what is red; leaves a branch and holds the push up.")
@click.option("--here", is_flag=True, hidden=True, help="post-merge: this is the process in the background.")
@click.option("--terminal", default="", hidden=True, help="post-merge: the terminal that its one line is for.")
@common_options
def hook(
    common: Common, stage: str, args: tuple[str, ...], *, fix: bool, repair: bool, here: bool, terminal: str
) -> int:
    """Run the hook of a STAGE: pre-commit, pre-push, commit-msg or post-merge; git and the hook framework call it.

    pre-commit runs, on exactly what is staged, every check whose `files` are touched; pre-push has the guards look at the commits
    that are pushed; commit-msg keeps trailers well-formed; post-merge says, later, if the merge is red.

    A red check ends with 1. A hook's own trouble (an environment that is not able, a limit, `hook.seconds`) is said and ends with 0.
    """
    from zwarm_ci.hook.asked import Asked, leave_framework

    for wanted, only, name in ((fix, "pre-commit", "--fix"), (repair, "pre-push", "--repair")):
        if wanted and stage != only:
            raise click.UsageError(f"{name} is for {only} alone")
    elsewhere = common.directory != Path() or common.config is not None or bool(common.sets)
    asked = Asked(common.directory, args, common.config, common.sets, elsewhere)  # with the environment as it was
    leave_framework(os.environ)
    if stage == "pre-commit":
        return _pre_commit(asked, fix=fix)
    if stage == "pre-push":
        return _pre_push(asked, common, repair=repair)
    if stage == "commit-msg":
        from zwarm_ci.hook import message

        return message.keep_trailers(asked)
    from zwarm_ci.hook import merged

    return merged.check(asked, terminal) if here else merged.start(asked)


def _pre_commit(asked: Asked, *, fix: bool) -> int:
    from zwarm_ci.hook import fixed, staged

    return fixed.fix(asked) if fix else staged.check(asked)


def _pre_push(asked: Asked, common: Common, *, repair: bool) -> int:
    from zwarm_ci.cli.progress import Progress
    from zwarm_ci.hook import pushed, repaired

    listens = not sys.stdin.isatty() and "PRE_COMMIT" not in asked.environ
    refs = os.fsdecode(sys.stdin.buffer.read()) if listens else ""
    if not repair:
        return pushed.verify(asked, refs)
    with Progress(
        quiet="PRE_COMMIT" in asked.environ or common.quiet
    ) as watch:  # the framework shows all of it afterwards
        return repaired.repair(asked, refs, watch)
