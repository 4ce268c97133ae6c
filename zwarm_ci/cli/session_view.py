"""Sessions as text and as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from zwarm_ci.executors.trajectory import Step, trajectory
from zwarm_ci.scrub import one_line, plain, redact
from zwarm_ci.sessions import Meta, Store, as_dict
from zwarm_ci.sessions.place import Changed

_TAIL = 1 << 20  # bytes of the last turn that `peek` looks at
_HEAD = ("", "id", "state", "turn", "who", "cost", "what")
_SHOWN_LINES = 12


@dataclass(frozen=True, slots=True)
class Seen:
    """A step of a session, or (`told`) what it was asked."""

    kind: str
    text: str
    detail: str = ""
    exit_code: int | None = None


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


def steps_of(store: Store, meta: Meta) -> Iterator[Seen]:
    """What was said to the session and what it did, in order."""
    told = {
        r["turn"]: str(r.get("text", ""))
        for r in store.events(meta.id)[0]
        if r.get("kind") == "message" and "turn" in r
    }
    for path in store.turns(meta.id):
        turn = int(path.stem.rpartition("_")[2])
        if turn in told:
            yield Seen("told", told[turn])
        with path.open("rb") as file:
            for step in trajectory(meta.executor, (text.rstrip(b"\n") for text in file)):
                yield _seen(step)


def last_step(store: Store, meta: Meta) -> Seen | None:
    """The last message of the last turn, or its last step where it has said nothing yet."""
    turns = store.turns(meta.id)
    if not turns:
        return None
    with turns[-1].open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL))
        lines = file.read().split(b"\n")
    steps = list(trajectory(meta.executor, lines[1:] if size > _TAIL else lines))
    said = [s for s in steps if s.kind == "message"]
    return _seen(said[-1] if said and not meta.live else steps[-1]) if steps else None


def _seen(step: Step) -> Seen:
    return Seen(step.kind, step.text, step.detail, step.exit_code)


def step_dict(step: Seen) -> dict[str, Any]:
    """A step for JSON."""
    return asdict(step)


def step_text(step: Seen, *, full: bool) -> str:
    """A step for people: what kind, then its text, with its output below."""
    code = "" if step.exit_code is None else f" [{step.exit_code}]"
    text = plain(redact(step.text)).strip()
    detail = plain(redact(step.detail)).strip()
    if not full:
        text, detail = one_line(text, 300), "\n".join(detail.splitlines()[:_SHOWN_LINES])
        detail = detail[: _SHOWN_LINES * 160]
    body = "".join(f"\n    {row}" for row in detail.splitlines()) if detail else ""
    return f"{step.kind:<9} {text}{code}{body}"
