"""`interactive`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from zwarm_ci.cli.common import Common, common_options


@click.command(short_help="a prompt over sessions")
@click.option("--yes", is_flag=True, help="No question before the first paid call.")
@common_options
def interactive(common: Common, *, yes: bool) -> int:
    """Open a prompt over sessions: start, watch, converse, verify, end them. `help` lists its verbs.

    What it starts goes on when it is left. All its sessions together spend at most budget.usd.
    """
    from zwarm_ci import pricing
    from zwarm_ci.cli import run as run_command
    from zwarm_ci.errors import BlockedError, UsageError
    from zwarm_ci.executors import EXECUTORS
    from zwarm_ci.git import open_repository
    from zwarm_ci.repl.acts import Room
    from zwarm_ci.sessions import Store
    from zwarm_ci.settings import of_head
    from zwarm_ci.site import state_folder

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("interactive needs a terminal", remedy="use `zwarm-ci session …` in scripts")
    try:
        import prompt_toolkit  # noqa: F401 - the one that may be missing

        from zwarm_ci.repl.prompt import loop
    except ModuleNotFoundError as error:
        raise BlockedError(f"the prompt needs {error.name}", remedy="pip install 'zwarm-ci[orchestrate]'") from error
    settings = of_head(common.directory, common.config, common.sets)
    user = open_repository(common.directory)
    state = state_folder(user, settings.state_dir)
    given = [part for one in common.sets for part in ("--set", one)]
    given += ["--config", str(common.config)] if common.config else []

    def run(argv: Sequence[str]) -> int:
        """A command of ours, with what this one was given; what the line itself names counts more."""
        nonlocal yes
        verb = 2 if argv[0] == "session" else 1
        spends = argv[verb - 1] in {"start", "converse"}
        agreed = ["--yes"] if yes and spends else []
        code = run_command([*argv[:verb], "-C", str(common.directory), *given, *agreed, *argv[verb:]])
        yes = yes or (spends and code == 0)  # a person is asked once
        return code

    known = settings.registry().models
    models = [(name, m.adapter) for m in known for name in (m.canonical, *m.aliases)]
    adapters = [*(n for n in EXECUTORS if n in pricing.list_adapters())]
    room = Room(common.directory, Store(state), run, click.echo)
    return loop(room, models, adapters, remembered(user.top))


def remembered(top: Path) -> Path:
    """Where a repository's lines are kept: with the user, for what lies in the repository may have come with a clone."""
    import hashlib
    import os

    from zwarm_ci.files import kept_folder

    folder = kept_folder("interactive")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder / hashlib.sha256(os.fsencode(top)).hexdigest()[:16]
