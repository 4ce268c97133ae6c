"""Sessions as text and as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from zwarm_ci.executors.steps import Seen
from zwarm_ci.scrub import one_line, plain, redact
from zwarm_ci.sessions import Meta, Store, as_dict
from zwarm_ci.sessions.place import Changed

_HEAD = ("", "id", "state", "turn", "who", "cost", "what")


def as_json_of(meta: Meta) -> dict[str, Any]:
    """Every field, and whether it needs attention."""
    return {**as_dict(meta), "attention": meta.attention}


def table(metas: Sequence[Meta]) -> str:
    """A line for each session."""
    rows = [_HEAD, *(_row(m) for m in metas)]
    widths = [max(len(row[n]) for row in rows) for n in range(len(_HEAD) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[-1]]).rstrip() for row in rows
    )


def line(meta: Meta) -> str:
    """A session in a line: how it stands, and its last word."""
    said = one_line(meta.verdict_reason if meta.verdict else meta.reason, 160)
    return f"{meta.id}  {_state(meta)}" + (f"  {said}" if said else "")


def _state(meta: Meta) -> str:
    return f"{meta.state}, {meta.verdict}" if meta.verdict else meta.state


def _row(meta: Meta) -> tuple[str, ...]:
    what = meta.title or " ".join(filter(None, (meta.run, meta.task)))
    return (
        "!" if meta.attention else "",
        meta.id,
        _state(meta),
        str(meta.turn),
        _who(meta),
        _cost(meta),
        one_line(what, 60),
    )


def _who(meta: Meta) -> str:
    return one_line(f"{meta.executor}:{meta.model}".rstrip(":"), 40)


def _cost(meta: Meta) -> str:
    at_least = "≥ " if meta.lower_bound or meta.unpriced_tokens else ""
    return f"{at_least}${meta.cost_usd:.4f}" if meta.cost_usd or at_least else "-"


def described(meta: Meta, files: Sequence[Changed], history: Sequence[dict[str, Any]], cut: int) -> str:
    """Everything about one session."""
    used = meta.usage
    tokens = (
        f"{used.input_tokens} in, {used.cache_read_tokens} + {used.cache_write_tokens} cache, {used.output_tokens} out"
    )
    facts = {
        "session": meta.id,
        "title": meta.title,
        "run": " ".join(filter(None, (meta.run, meta.task))),
        "follows": meta.parent,
        "state": f"{_state(meta)}{'  (needs attention)' if meta.attention else ''}",
        "last word": meta.verdict_reason or meta.reason,
        "turns": str(meta.turn),
        "executor": _who(meta),
        "its own id": meta.native,
        "tokens": tokens + (f", {meta.unpriced_tokens} without a price" if meta.unpriced_tokens else ""),
        "cost": _cost(meta),
        "denials": str(meta.denials or ""),
        "process": f"{meta.owner.pid}" if meta.live else "",
        "base": meta.base,
        "worktree": meta.worktree if not meta.verdict else "",
    }
    lines = [f"{name:<11} {one_line(redact(text), 400)}" for name, text in facts.items() if text]
    for record in history:
        if record.get("kind") == "state":
            at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(float(record.get("at", 0))))
            lines.append(f"{'':<11} {at}Z {record.get('state')}, turn {record.get('turn')}")
    if cut:
        lines.append(f"{'':<11} {cut} lines of events.jsonl are cut or no JSON")
    lines += ["changed", *(_diffstat(files) or ["  nothing"])]
    return plain("\n".join(lines))


def _diffstat(files: Sequence[Changed]) -> list[str]:
    counts = ["binary" if f.added is None else f"+{f.added} -{f.removed}" for f in files]
    width = max(map(len, counts), default=0)
    return [f"  {count:<{width}}  {one_line(f.path, 200)}" for f, count in zip(files, counts, strict=True)]


def raw_turns(store: Store, session_id: str) -> list[dict[str, Any]]:
    """The events of each turn; `bad_lines` are no JSON: cut by a kill, or garbage."""
    found = []
    for path in store.turns(session_id):
        events, bad = [], 0
        for text in filter(None, path.read_bytes().split(b"\n")):
            try:
                events.append(json.loads(text))
            except ValueError:
                bad += 1
        found.append({"turn": int(path.stem.rpartition("_")[2]), "events": events, "bad_lines": bad})
    return found


def step_dict(step: Seen) -> dict[str, Any]:
    """A step for JSON."""
    return asdict(step)
