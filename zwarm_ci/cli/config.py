"""`config show`."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import click

from zwarm_ci.cli.common import Common, common_options


@click.group(short_help="the settings in effect")
def config() -> None:
    """The settings in effect, and where each came from."""


@config.command(short_help="show them")
@click.option("--origin", is_flag=True, help="Say where each value came from.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@common_options
def show(common: Common, *, origin: bool, as_json: bool) -> int:
    """Show the settings that a run on HEAD would have, as TOML.

    In order of strength: defaults, .zwarm/config.toml or [tool.zwarm-ci] in pyproject.toml, --config, ZWARM_CI_* variables, --set.
    """
    from zwarm_ci.config import toml, values
    from zwarm_ci.scrub import plain, redactor
    from zwarm_ci.settings import of_head

    settings = of_head(common.directory, common.config, common.sets)
    mask = redactor()
    shown = {key: _clean(value, mask) for key, value in values(settings).items()}
    if as_json:
        found = {k: {"value": v, "origin": settings.origins[k]} for k, v in shown.items()} if origin else shown
        click.echo(json.dumps({"schema": 1, "settings": found}, indent=2, ensure_ascii=False))
        return 0
    for key, value in shown.items():
        line = f"{key} = {toml(value)}"
        click.echo(plain(f"{line:<40} # {settings.origins[key]}" if origin else line))
    if not settings.checks:
        click.echo("# no check is configured: a run detects them")
    return 0


def _clean(value: Any, mask: Any) -> Any:
    if isinstance(value, tuple):
        return [_clean(v, mask) for v in value]
    if isinstance(value, dict):
        return {key: _clean(v, mask) for key, v in value.items()}
    if isinstance(value, str):
        return mask(value)
    return float(value) if isinstance(value, Decimal) else value
