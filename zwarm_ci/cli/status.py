"""`status`, `history` and `cost`: what is running, what ran, what it cost."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zwarm_ci.cli.common import Common, common_options

if TYPE_CHECKING:
    from zwarm_ci.history.money import Cost
    from zwarm_ci.history.runs import Run
    from zwarm_ci.sessions import Meta

_SESSION = "session"


@click.command(short_help="what is running")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@common_options
def status(common: Common, *, as_json: bool) -> int:
    """Show what is running, what was cut off and can go on, and sessions whose end nobody has looked at."""
    from zwarm_ci.cli.session_view import as_json_of, table
    from zwarm_ci.history import runs
    from zwarm_ci.sessions import Store

    state = _state(common)
    found = [r for r in runs.every(state) if r.live or r.resumable]
    metas = Store(state).all()[0]
    shown = [m for m in metas if m.live or m.attention]
    if as_json:
        _print({"runs": [_run_dict(r) for r in found], "sessions": [as_json_of(m) for m in shown]})
        return 0
    if not found and not shown:
        click.echo("Nothing is running, and nothing waits for you.")
    for run in found:
        click.echo(_standing(run))
    if shown:
        click.echo(table(shown))
    return 0


@click.command(short_help="what ran")
@click.option(
    "--kind", metavar="KIND", help="A command's name, such as fix-tests, or `session`: those that you started."
)
@click.option("--session", "wanted", metavar="ID", help="All that is known to have happened to one session.")
@click.option("-n", "--limit", type=click.IntRange(1), default=20, metavar="N", help="The newest N [20].")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@common_options
def history(common: Common, kind: str | None, wanted: str | None, limit: int, *, as_json: bool) -> int:
    """List what ran here, the newest first: runs, and sessions that were started by themselves."""
    if wanted is not None:
        return _of_session(common, wanted, as_json=as_json)
    from zwarm_ci.errors import UsageError
    from zwarm_ci.history import runs
    from zwarm_ci.sessions import Store

    state = _state(common)
    entries = [_run_dict(r) for r in runs.every(state)]
    entries += [_session_dict(m) for m in Store(state).all()[0] if not m.run]
    kinds = sorted({e["kind"] for e in entries if e["kind"]})
    if kind is not None:
        if kind not in kinds and kind != _SESSION:
            raise UsageError(
                f"nothing of the kind {kind!r} ran here", remedy=f"known: {', '.join(kinds) or 'none yet'}"
            )
        entries = [e for e in entries if e["kind"] == kind]
    entries = sorted(entries, key=lambda e: -float(e["began"]))[:limit]
    if as_json:
        _print({"history": entries})
    else:
        click.echo(_columns([_HEAD, *(_row(e) for e in entries)]) if entries else "Nothing ran here yet.")
    return 0


@click.command(short_help="what it cost")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@common_options
def cost(common: Common, *, as_json: bool) -> int:
    """Show what was spent: by day, by executor and model, by command. Days are UTC; all runs and sessions here count."""
    from zwarm_ci.history import money, runs
    from zwarm_ci.sessions import Store
    from zwarm_ci.settings import of_head

    state = _state(common)
    found = money.cost(state, runs.every(state), Store(state).all()[0])
    limit = of_head(common.directory, common.config, common.sets).budget.day_usd
    if as_json:
        _print(_cost_dict(found, limit))
    else:
        click.echo(_cost_text(found, limit))
    return 0


def _state(common: Common) -> Path:
    from zwarm_ci.cli.take import state_dir
    from zwarm_ci.git import open_repository

    return open_repository(common.directory).top / state_dir(common)


def _print(document: dict[str, Any]) -> None:
    click.echo(json.dumps({"schema": 1, **document}, indent=2, allow_nan=False))


_HEAD = ("began", "what", "name", "state", "solved", "cost", "seconds", "branch or title")


def _run_dict(run: Run) -> dict[str, Any]:
    return {
        "kind": run.command or "?", "name": run.run, "state": run.state, "exit_code": run.exit_code, "resumable": run.resumable,
        "began": run.began, "seconds": round(max(0.0, run.ended - run.began), 3), "pid": run.pid if run.live else None,
        "tasks": run.tasks, "solved": run.solved, "turns": run.turns, "cost_usd": run.cost_usd, "branch": run.branch or None,
        "now": run.now if run.live or run.resumable else None, "title": None,
    }  # fmt: skip


def _session_dict(meta: Meta) -> dict[str, Any]:
    return {
        "kind": _SESSION, "name": meta.id, "state": meta.state, "exit_code": None, "resumable": False, "began": meta.created_at,
        "seconds": round(max(0.0, meta.updated_at - meta.created_at), 3), "pid": meta.owner.pid if meta.live else None, "tasks": 0,
        "solved": 0, "turns": meta.turn, "cost_usd": float(meta.cost_usd), "branch": None, "now": None, "title": meta.title,
    }  # fmt: skip


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    from zwarm_ci.pricing import format_cost

    solved = f"{entry['solved']}/{entry['tasks']}" if entry["tasks"] else "-"
    return (
        _when(entry["began"]), entry["kind"], entry["name"], f"{entry['state']}{' (resume)' if entry['resumable'] else ''}", solved,
        format_cost(max(0.0, entry["cost_usd"])), f"{entry['seconds']:.0f}", entry["branch"] or entry["title"] or "",
    )  # fmt: skip


def _standing(run: Run) -> str:
    from zwarm_ci.pricing import format_cost
    from zwarm_ci.scrub import one_line

    tasks = f"{run.solved} of {run.tasks} tasks fixed, " if run.tasks else ""
    spent = f"{tasks}{run.turns} turns, {format_cost(max(0.0, run.cost_usd))}"
    end = f"since {_when(run.began)}, process {run.pid}" if run.live else run.resume
    return one_line(f"{run.run}  {run.command}  {run.state}: {run.now}; {spent}; {end}", 300)


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(at)) if 0 < at < 1e11 else "?"


def _columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows as lines, columns one below the other; text of journals and sessions without effect."""
    from zwarm_ci.scrub import one_line, redact

    shown = [[one_line(redact(cell), 80) for cell in row] for row in rows]
    widths = [max(len(row[n]) for row in shown) for n in range(len(rows[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in shown)


def _of_session(common: Common, wanted: str, *, as_json: bool) -> int:
    """What its own events and its run's journal say, in order."""
    from zwarm_ci import journal
    from zwarm_ci.cli.session_view import as_json_of
    from zwarm_ci.scrub import one_line, redact
    from zwarm_ci.sessions import Store

    state = _state(common)
    store = Store(state)
    meta = store.load(store.find(wanted))
    events = [{"source": "session", **e} for e in store.events(meta.id)[0]]
    if meta.run:
        records = journal.read(state / "runs" / meta.run / "journal.jsonl")
        kept = (r for r in records if r.get("session") == meta.id)
        events += [
            {"source": "run", **{k: v for k, v in r.items() if k not in {"seal", "document", "pack"}}} for r in kept
        ]
    events.sort(key=lambda e: e["at"] if isinstance(e.get("at"), int | float) else 0.0)
    if as_json:
        _print({"session": as_json_of(meta), "events": events})
        return 0
    for event in events:
        more = {
            k: v
            for k, v in event.items()
            if k not in {"schema", "at", "kind", "source", "session"} and v not in {"", None}
        }
        said = ", ".join(f"{key} {value}" for key, value in more.items())
        at = event["at"] if isinstance(event.get("at"), int | float) else 0.0
        click.echo(f"{_when(at)}  {one_line(str(event.get('kind')), 20):<13} {one_line(redact(said), 200)}".rstrip())
    return 0


def _cost_dict(found: Cost, limit: float) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "today_usd": float(found.last(1)),
        "day_limit_usd": limit,
        "days": [{"day": day.isoformat(), "usd": float(usd)} for day, usd in found.days],
        "models": [{**asdict(m), "cost_usd": float(m.cost_usd)} for m in found.models],
        "commands": [{**asdict(c), "usd_per_solved": c.usd_per_solved} for c in found.commands],
        "trouble": found.trouble or None,
    }


def _cost_text(found: Cost, limit: float) -> str:
    from zwarm_ci.pricing import format_cost

    spans = ((1, "today"), (7, "7 days"), (30, "30 days"), (100_000, "all"))
    said = [f"{name} {format_cost(found.last(days))}" for days, name in spans]
    lines = [f"{', '.join(said)}; at most {format_cost(limit)} a day", *filter(None, [found.trouble])]
    if found.models:
        rows = [("executor", "model", "sessions", "turns", "tokens", "cost")]
        rows += [
            (m.executor, m.model or "-", str(m.sessions), str(m.turns), f"{m.usage.total:,}",
             ("≥ " if m.lower_bound or m.unpriced_tokens else "") + format_cost(m.cost_usd))
            for m in found.models
        ]  # fmt: skip
        lines += ["", _columns(rows)]
    if found.commands:
        head = ("command", "runs", "solved", "cost", "per solved task")
        table = [
            (c.command, str(c.runs), f"{c.solved} of {c.tasks}", format_cost(c.cost_usd), format_cost(c.usd_per_solved))
            for c in found.commands
        ]
        lines += ["", _columns([head, *table])]
    return "\n".join(lines)
