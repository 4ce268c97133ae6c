"""The end of sessions: judged, removed, collected. Nothing of a session that is running is touched."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace

from zwarm_ci.errors import UsageError
from zwarm_ci.files import write_atomic
from zwarm_ci.git import Repository
from zwarm_ci.scrub import redact
from zwarm_ci.sessions import place, watch
from zwarm_ci.sessions.meta import Meta, Word
from zwarm_ci.sessions.store import Store

_MAKING = 3600.0  # seconds after which nobody is still making a session


def end(store: Store, session_id: str, user: Repository, verdict: Word, reason: str) -> Meta:
    """Close a session with a word on it: no further turn; its worktree goes, its patch stays in its folder.

    Raises:
        UsageError: it is running.
    """
    _rest(store, session_id)

    def judged(meta: Meta) -> Meta:
        if meta.live:
            raise UsageError(f"session {meta.id} is {meta.state}", remedy=f"zwarm-ci session kill {meta.id}")
        if place.of(meta) is not None:
            write_atomic(store.folder(meta.id) / place.PATCH, place.patch(store, meta, user))
            place.discard(meta)
        return replace(meta, verdict=verdict, verdict_reason=redact(reason))

    meta = store.update(session_id, judged)
    store.event(meta, "end", verdict=verdict, reason=meta.verdict_reason)
    return meta


def remove(store: Store, session_id: str) -> None:
    """Delete a session and its worktree; one whose meta.json is damaged too.

    Raises:
        UsageError: it is running.
    """
    meta = _rest(store, session_id)
    if meta is None or not store.is_run(session_id):
        store.remove(session_id)
        if meta is not None:
            place.discard(meta)
        return
    raise UsageError(f"session {session_id} is {meta.state}", remedy=f"zwarm-ci session kill {session_id}")


def collect(store: Store, older: float) -> tuple[list[str], list[str]]:
    """Remove what did not change for `older` seconds; the ids of these, and of those that stay since nobody has looked at them."""
    removed, kept = [], []
    for meta in store.all()[0]:
        if meta.live or time.time() - meta.updated_at < older:
            continue
        if meta.attention:
            kept.append(meta.id)
        else:
            remove(store, meta.id)
            removed.append(meta.id)
    _tidy(store, max(older, _MAKING))
    return removed, kept


def _tidy(store: Store, older: float) -> None:
    """Remove what a process that was killed while it made or removed a session has left."""
    for path in store.root.glob(".*"):
        if time.time() - path.lstat().st_mtime > older:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _rest(store: Store, session_id: str) -> Meta | None:
    """What is known of it, when nothing that a dead process of it left is alive; None = its record is damaged."""
    try:
        meta = store.load(session_id)
    except UsageError:
        return None
    if not meta.live:
        watch.sweep(meta)
    return meta
