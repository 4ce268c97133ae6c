"""`take` and `drop`."""

from __future__ import annotations

import click

from zwarm_ci.cli.common import Common, common_options


@click.command(short_help="put a run's patches into the working tree")
@click.argument("run")
@click.argument("tasks", nargs=-1, metavar="[TASK]...")
@common_options
def take(common: Common, run: str, tasks: tuple[str, ...]) -> int:
    """Put the verified patches of RUN (or those of TASKs) into the working tree.

    RUN is a run's name, a prefix of one, or `latest`. All or nothing; the index stays as it is.
    """
    from zwarm_ci.scrub import one_line
    from zwarm_ci.take import take as take_patches

    for subject in take_patches(common.directory, state_dir(common), run, tasks):
        click.echo(f"taken: {one_line(subject)}")
    return 0


@click.command(short_help="throw a run's branch away")
@click.argument("run")
@click.argument("tasks", nargs=-1, metavar="[TASK]...")
@common_options
def drop(common: Common, run: str, tasks: tuple[str, ...]) -> int:
    """Delete the branch of RUN, or take the commits of TASKs out of it. Reports and patches of the run stay."""
    from zwarm_ci.take import drop as drop_branch

    click.echo(drop_branch(common.directory, state_dir(common), run, tasks))
    return 0


def state_dir(common: Common) -> str:
    """The state directory by the settings of HEAD."""
    from zwarm_ci.settings import of_head

    return of_head(common.directory, common.config, common.sets).state_dir
