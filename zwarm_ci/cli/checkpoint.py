"""`checkpoint ls` and `checkpoint goto`."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zwarm_ci.cli.common import Common, common_options

if TYPE_CHECKING:
    from zwarm_ci.orchestrator.checkpoints import Checkpoint, Gone

_COLUMNS = ("number", "time", "sessions", "accepted", "cost", "said")
_SHORT = 8  # characters of an id


@click.group(short_help="how a pilot stood after each turn, and back there")
def checkpoint() -> None:
    """How a `pilot` stood after each of your turns, and back there.

    RUN is a run's name, a prefix of one, or `latest`; without it the newest that has checkpoints.
    """


@checkpoint.command(short_help="list them")
@click.argument("run", metavar="[RUN]", default="")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@common_options
def ls(common: Common, run: str, *, as_json: bool) -> int:
    """List the checkpoints of a run, the first one first."""
    from zwarm_ci.orchestrator.checkpoints import every, find

    folder = find(_state(common), run)
    found = every(folder)
    if as_json:
        rows = [_row(c) for c in found]
        click.echo(json.dumps({"schema": 1, "run": folder.name, "checkpoints": rows}, indent=2, allow_nan=False))
        return 0
    click.echo(f"run {folder.name}")
    click.echo(_table(found))
    return 0


@checkpoint.command(short_help="go back to one")
@click.argument("number", type=click.IntRange(1), metavar="N")
@click.option("--run", default="", metavar="RUN", help="Of which run [the newest that has checkpoints].")
@common_options
def goto(common: Common, number: int, run: str) -> int:
    """Bring files, verdicts and what is accepted back to checkpoint N, and end sessions that began later.

    What was spent stays spent, and the journal stays. How the run stood before becomes a checkpoint too. Nobody may serve the run
    meanwhile: leave its pilot first.
    """
    from zwarm_ci.orchestrator.checkpoints import goto as go

    click.echo(_said(go(common.directory, _state(common), run, number)))
    return 0


def _state(common: Common) -> Path:
    from zwarm_ci.cli.take import state_dir
    from zwarm_ci.git import open_repository

    return open_repository(common.directory).top / state_dir(common)


def _row(one: Checkpoint) -> dict[str, Any]:
    sessions = [{"id": s.id, "tree": s.tree, "live": s.live, "verdict": s.verdict or None} for s in one.stands]
    return {
        "number": one.number, "at": one.at, "words": one.words, "commit": one.commit, "steps": one.steps, "cost_usd": one.cost_usd,
        "accepted": list(one.accepted), "sessions": sessions,
    }  # fmt: skip


def _table(found: list[Checkpoint]) -> str:
    from zwarm_ci.pricing import format_cost

    rows = [_COLUMNS]
    for one in found:
        when = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(one.at))
        counts = (str(len(one.stands)), str(len(one.accepted)), format_cost(one.cost_usd))
        rows.append((str(one.number), when, *counts, one.words))
    widths = [max(len(row[n]) for row in rows) for n in range(len(_COLUMNS))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def _said(gone: Gone) -> str:
    """What was done, in lines."""
    to = f"run {gone.run} stands at checkpoint {gone.checkpoint.number}: {gone.checkpoint.words}"
    if gone.before is None:
        return f"{to}\nit stood there already"
    lines = [to]
    for what, ids in (
        ("stopped in their turn", gone.killed), ("ended, for they began later", gone.ended), ("open again", gone.reopened),
        ("deleted since, so their files do not come back", gone.lost),
    ):  # fmt: skip
        lines += [f"{what}: {', '.join(i[:_SHORT] for i in ids)}"] if ids else []
    lines.append(f"how it stood before is checkpoint {gone.before}")
    return "\n".join([*lines, f"go on with: zwarm-ci pilot --resume {gone.run}"])
