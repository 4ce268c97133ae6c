"""`completion`."""

from __future__ import annotations

import click

_VARIABLE = "_ZWARM_CI_COMPLETE"  # the one that click looks for


@click.command(short_help="completion for a shell")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    r"""Print the script that lets SHELL complete commands, options and their values.

    \b
    bash  eval "$(zwarm-ci completion bash)"         in ~/.bashrc
    zsh   eval "$(zwarm-ci completion zsh)"          in ~/.zshrc, after compinit
    fish  zwarm-ci completion fish >~/.config/fish/completions/zwarm-ci.fish
    """
    from zwarm_ci.cli import main

    click.echo(_script(main, shell))
    return 0


def _script(command: click.Command, shell: str) -> str:
    """Click's script for the shell, with two differences.

    Its check of bash's version is left out: it asks the bash on PATH, not the one that reads this. And what is asked at each TAB
    gets no provider's key, for which a gateway would be started.
    """
    from click.shell_completion import get_completion_class

    from zwarm_ci.gateway.keys import KEY_NAMES, UPSTREAM_NAMES

    found = get_completion_class(shell)
    assert found is not None, f"click knows {shell}"
    made = found(command, {}, "zwarm-ci", _VARIABLE)
    names = [*(n for several in KEY_NAMES.values() for n in several), *UPSTREAM_NAMES.values()]
    without = "env " + "".join(f"-u {name} " for name in names)
    return (made.source_template % made.source_vars()).replace("env ", without, 1)
