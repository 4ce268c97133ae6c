"""`models`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from zwarm_ci.cli.common import Common, common_options

if TYPE_CHECKING:
    from zwarm_ci.pricing import ModelInfo, Registry

_HEAD = ("model", "aliases", "input", "cached", "write", "output", "as of")


@click.command(short_help="models and prices")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@common_options
def models(common: Common, *, as_json: bool) -> int:
    """List models, their adapters, aliases and prices, those of your settings included.

    Prices are US dollars per million tokens, each as of its day; * marks an adapter's default.
    """
    registry = _registry(common)
    click.echo(as_document(registry) if as_json else as_table(registry))
    return 0


def _registry(common: Common) -> Registry:
    from zwarm_ci.errors import BlockedError
    from zwarm_ci.pricing import BUILT_IN
    from zwarm_ci.settings import of_head

    try:
        return of_head(common.directory, common.config, common.sets).registry()
    except BlockedError:
        if common.config or common.sets:
            raise
        return BUILT_IN  # outside a repository there are no settings to add


def as_document(registry: Registry) -> str:
    """The registry as JSON."""
    found = [
        {
            "model": m.canonical,
            "adapter": m.adapter,
            "aliases": list(m.aliases),
            "default": m.is_default,
            "input": float(m.input),
            "cached": float(m.input if m.cached is None else m.cached),
            "cache_write": float(m.input if m.cache_write is None else m.cache_write),
            "output": float(m.output),
            "as_of": m.as_of.isoformat() if m.as_of else None,
            "description": m.description,
        }
        for m in registry.models
    ]
    return json.dumps({"schema": 1, "models": found}, indent=2)


def as_table(registry: Registry) -> str:
    """The registry as a table, an adapter at a time."""
    from zwarm_ci.pricing import list_adapters, list_models

    rows = {a: [_row(m) for m in list_models(a, registry)] for a in list_adapters(registry)}
    widths = [
        max(len(row[n]) for row in [_HEAD, *(row for found in rows.values() for row in found)])
        for n in range(len(_HEAD))
    ]
    lines = []
    for adapter, found in rows.items():
        lines.append(f"{adapter}:")
        for row in (_HEAD, *found):
            cells = [
                cell.rjust(w) if 2 <= n <= 5 else cell.ljust(w)
                for n, (cell, w) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  " + "  ".join(cells).rstrip())
        lines.append("")
    return "\n".join(
        [*lines, "US dollars per million tokens; * = the adapter's default; write = into the provider's cache."]
    )


def _row(model: ModelInfo) -> tuple[str, ...]:
    from zwarm_ci.scrub import one_line

    prices = (model.input, model.cached, model.cache_write, model.output)
    shown = (f"{model.input if price is None else price:.4f}".rstrip("0").rstrip(".") for price in prices)
    name = one_line(model.canonical) + (" *" if model.is_default else "")
    return (name, one_line(", ".join(model.aliases)), *shown, model.as_of.isoformat() if model.as_of else "yours")
