"""Sessions on disk: `.zwarm/sessions/ID/{meta.json, turns/turn_N.jsonl, events.jsonl}`; one store for all executors.

turn_N.jsonl holds the executor's own events, untouched: the ground truth. meta.json is written whole or not at all.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from zwarm_ci.errors import UsageError
from zwarm_ci.files import write_atomic
from zwarm_ci.scrub import redact

SCHEMA = 1  # 1: first form of meta.json and events.jsonl
State = Literal["pending", "running", "completed", "failed", "killed", "timed_out", "interrupted", "blocked"]
_NEXT: dict[State, frozenset[State]] = {
    "pending": frozenset({"running", "failed", "killed", "interrupted"}),
    "running": frozenset({"completed", "failed", "killed", "timed_out", "interrupted", "blocked"}),
    "completed": frozenset({"running"}),  # converse
    "failed": frozenset({"running"}),
    "timed_out": frozenset({"running"}),
    "interrupted": frozenset({"running"}),
    "blocked": frozenset({"running"}),
    "killed": frozenset(),
}


@dataclass(frozen=True, slots=True)
class Meta:
    """What meta.json says of a session. Times are Unix seconds."""

    id: str
    run: str
    task: str
    executor: str
    model: str
    state: State
    turn: int
    created_at: float
    updated_at: float
    reason: str = ""
    schema: int = SCHEMA


class Store:
    """The sessions below one state folder."""

    def __init__(self, state_dir: Path) -> None:
        self.root = state_dir / "sessions"

    def create(self, *, run: str, task: str, executor: str, model: str) -> Meta:
        """A new session in state pending."""
        now = time.time()
        meta = Meta(secrets.token_hex(6), run, task, executor, model, "pending", 0, now, now)
        (self.folder(meta.id) / "turns").mkdir(parents=True)
        self._save(meta)
        return meta

    def folder(self, session_id: str) -> Path:
        """The session's own folder."""
        return self.root / session_id

    def move(self, meta: Meta, state: State, *, turn: int | None = None, reason: str = "") -> Meta:
        """The session in its next state, saved.

        Raises:
            UsageError: there is no way from its state to that one.
        """
        if state not in _NEXT[meta.state]:
            raise UsageError(f"session {meta.id} is {meta.state}; it cannot become {state}")
        moved = replace(
            meta, state=state, turn=meta.turn if turn is None else turn, updated_at=time.time(), reason=redact(reason)
        )
        self._save(moved)
        self.event(moved, "state", state=state, turn=moved.turn, reason=moved.reason)
        return moved

    def event(self, meta: Meta, kind: str, **fields: Any) -> None:
        """Append to events.jsonl."""
        record = {"schema": SCHEMA, "at": round(time.time(), 3), "kind": kind, **fields}
        with (self.folder(meta.id) / "events.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def turn_file(self, meta: Meta, turn: int) -> Path:
        """Where the raw events of a turn are kept."""
        return self.folder(meta.id) / "turns" / f"turn_{turn}.jsonl"

    def _save(self, meta: Meta) -> None:
        write_atomic(self.folder(meta.id) / "meta.json", json.dumps(asdict(meta), indent=1))
