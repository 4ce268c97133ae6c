"""`action`, which action.yml calls; nobody else does, so no help shows it."""

from __future__ import annotations

from collections.abc import Sequence

import click


@click.command(hidden=True)
@click.option("--decided", type=click.Choice(["run", "free"]), help="What was decided while there was a token.")
@click.option("--said", multiple=True, help="Lines for the summary.")
@click.option("--asked", default="", help="What a person asked for in words.")
@click.option("--spoken-for", default="", help="File: which tasks an open pull request repairs.")
def action(decided: str | None, said: tuple[str, ...], asked: str, spoken_for: str) -> int:
    """Do what a step of GitHub Actions asks for, by its inputs and its event."""
    from zwarm_ci.action import story
    from zwarm_ci.cli import names

    if decided is None:
        return story.begin(_run, names())
    return story.act(_run, free=decided == "free", said=said, asked=asked, spoken_for=spoken_for)


def _run(arguments: Sequence[str]) -> int:
    """Another command in this process.

    Raises:
        ZwarmError: as that command; wrong usage too.
    """
    from zwarm_ci.cli import main
    from zwarm_ci.errors import UsageError

    try:
        result = main.main(list(arguments), prog_name="zwarm-ci", standalone_mode=False)
    except click.ClickException as error:
        raise UsageError(error.format_message()) from error
    return result if isinstance(result, int) else 0
