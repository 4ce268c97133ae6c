"""Sessions below one state folder, shared by any number of processes.

Changes are made under a lock of the session (`lock`). Whoever runs it holds a second one (`owner.lock`) for as long: the kernel frees
that when the process dies, however it dies, so a session is alive exactly while it is held.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, Protocol

from zwarm_ci.errors import UsageError
from zwarm_ci.files import locked, write_atomic
from zwarm_ci.scrub import one_line, redact
from zwarm_ci.sessions.meta import NEXT, SCHEMA, Meta, Owner, State, from_json, to_json
from zwarm_ci.task import Usage

_META, _EVENTS, _LOCK, _OWNER, _WATCH = "meta.json", "events.jsonl", "lock", "owner.lock", "watch"
_LINE_FEED = b"\n"


@dataclass(frozen=True, slots=True)
class Damaged:
    """A session whose meta.json cannot be read, and why."""

    id: str
    why: str


class TurnEnd(Protocol):
    """As much of an executor's report as a session keeps."""

    @property
    def state(self) -> State: ...
    @property
    def message(self) -> str: ...
    @property
    def native(self) -> str: ...
    @property
    def usage(self) -> Usage: ...
    @property
    def total(self) -> Usage: ...
    @property
    def cost_usd(self) -> float | None: ...
    @property
    def denials(self) -> int: ...
    @property
    def lower_bound(self) -> bool: ...


class Store:
    """The sessions below one state folder. Safe to use from several threads and processes."""

    def __init__(self, state_dir: Path) -> None:
        self.root = state_dir / "sessions"
        self._held: dict[str, int] = {}

    def create(self, *, run: str, task: str, executor: str, model: str, **more: Any) -> Meta:
        """A new session in state pending, run by this process; `more` are further fields of `Meta`."""
        now = time.time()
        meta = Meta(
            secrets.token_hex(6), run, task, executor, model, "pending", 0, now, now, owner=Owner.me(), **_shown(more)
        )
        making = self.folder(f".{meta.id}")  # to others it is there whole or not at all
        (making / "turns").mkdir(parents=True)
        self._own(meta.id, making)
        self._save(meta, making)
        making.rename(self.folder(meta.id))
        return meta

    def folder(self, session_id: str) -> Path:
        """The session's own folder."""
        return self.root / session_id

    def turn_file(self, meta: Meta, turn: int) -> Path:
        """Where the raw events of a turn are kept."""
        return self.folder(meta.id) / "turns" / f"turn_{turn}.jsonl"

    def ids(self) -> list[str]:
        """The ids of all sessions, in no order that means anything."""
        try:
            return sorted(e.name for e in os.scandir(self.root) if e.is_dir() and not e.name.startswith("."))
        except FileNotFoundError:
            return []

    def find(self, prefix: str) -> str:
        """The id that begins with `prefix`.

        Raises:
            UsageError: none or several do; it names them, or the nearest.
        """
        known = self.ids()
        found = [prefix] if prefix in known else [i for i in known if prefix and i.startswith(prefix)]
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(f"several sessions begin with {one_line(prefix, 40)!r}", remedy=", ".join(found[:5]))
        from difflib import get_close_matches

        near = get_close_matches(prefix, known, 1, 0.5)
        remedy = f"did you mean {near[0]}?" if near else "see `zwarm-ci session ls`"
        raise UsageError(f"no session begins with {one_line(prefix, 40)!r}", remedy=remedy)

    def load(self, session_id: str) -> Meta:
        """What is known of a session; one whose process is gone is `interrupted`, which is not written here.

        Raises:
            UsageError: there is none of that id, or its meta.json is damaged.
        """
        meta = self._read(session_id)
        if meta.live and not self.is_run(session_id):
            meta = self._read(session_id)  # it may just have come to its end, which is written before the lock is freed
            return meta.orphaned() if meta.live else meta
        return meta

    def all(self) -> tuple[list[Meta], list[Damaged]]:
        """Every session, the newest first, and those that cannot be read. No event file is opened."""
        metas, damaged = [], []
        for session_id in self.ids():
            try:
                metas.append(self.load(session_id))
            except UsageError as error:
                if (self.folder(session_id)).is_dir():  # not removed meanwhile
                    damaged.append(Damaged(session_id, error.message))
        return sorted(metas, key=lambda m: (m.created_at, m.id), reverse=True), damaged

    def is_run(self, session_id: str) -> bool:
        """Whether a process holds the session, here or in another container on the same files."""
        try:
            with (self.folder(session_id) / _OWNER).open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def move(self, meta: Meta, state: State, *, turn: int | None = None, reason: str = "", **more: Any) -> Meta:
        """The session in its next state, saved; `more` are further fields of `Meta`. A running session is this process's.

        Raises:
            UsageError: there is no way from its state to that one, another process runs it, or it was ended.
        """
        with self._changing(meta.id):
            now = self._settled(meta)
            if now.live and meta.id not in self._held:
                raise UsageError(f"session {meta.id} is {now.state}", remedy=f"process {now.owner.pid} is at it")
            if state not in NEXT[now.state]:
                raise UsageError(f"session {meta.id} is {now.state}; it cannot become {state}")
            if now.verdict:
                raise UsageError(f"session {meta.id} was ended: {now.verdict}", remedy="start another one")
            if state == "running":
                self._own(meta.id, self.folder(meta.id))
                more = {"owner": Owner.me(), "acked": False, **more}
            moved = replace(now, state=state, turn=now.turn if turn is None else turn, reason=reason, **_shown(more))
            moved = self._save(moved)
            self.event(moved, "state", state=state, turn=moved.turn, reason=moved.reason)
            if not moved.live:
                self._disown(meta.id)
        self.wake(meta.id)
        return moved

    def close_turn(self, meta: Meta, end: TurnEnd, state: State | None = None) -> Meta:
        """The session at the end of a turn, with what the turn used; `state` where it is another than the executor says.

        Raises:
            UsageError: see `move`.
        """
        unpriced = end.usage.total if end.cost_usd is None else 0
        return self.move(
            meta, state or end.state, reason=end.message, native=end.native or meta.native, usage=meta.usage + end.usage,
            total=end.total if end.total.total else meta.total, denials=meta.denials + end.denials,
            cost_usd=meta.cost_usd + Decimal(repr(end.cost_usd or 0.0)), unpriced_tokens=meta.unpriced_tokens + unpriced,
            lower_bound=meta.lower_bound or end.lower_bound,
        )  # fmt: skip

    def settle(self, session_id: str, state: State = "interrupted", reason: str = "") -> Meta:
        """Write down that the process of a session is gone: `state` (killed, where it was us), `reason` where we know better.

        Raises:
            UsageError: there is none of that id, or its meta.json is damaged.
        """
        self._read(session_id)
        with self._changing(session_id):
            return self._settled(None, session_id, state, reason)

    def update(self, session_id: str, change: Callable[[Meta], Meta]) -> Meta:
        """The session as `change` makes it of what is on disk, saved; its state stays.

        Raises:
            UsageError: there is none of that id, its meta.json is damaged, or `change` says no.
        """
        self._read(session_id)  # before a lock file is made for what is not there
        with self._changing(session_id):
            now = self._settled(None, session_id)
            changed = change(now)
            if changed != now:
                changed = self._save(changed)
        self.wake(session_id)
        return changed

    def remove(self, session_id: str) -> None:
        """Delete a session that nobody runs; to others it is there whole or not at all.

        Raises:
            UsageError: a process is at it.
        """
        with self._changing(session_id):
            if self.is_run(session_id):
                raise UsageError(f"session {session_id} is running", remedy=f"zwarm-ci session kill {session_id}")
            gone = self.root / f".{session_id}-{secrets.token_hex(4)}"
            self.folder(session_id).rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

    def event(self, meta: Meta, kind: str, **fields: Any) -> None:
        """Append to events.jsonl; a line that a killed process left half is closed first."""
        record = {"schema": SCHEMA, "at": round(time.time(), 3), "kind": kind, **fields}
        with _appending(self.folder(meta.id) / _EVENTS) as file:
            file.write(json.dumps(record).encode() + _LINE_FEED)

    def events(self, session_id: str) -> tuple[list[dict[str, Any]], int]:
        """The records of events.jsonl, and how many lines are none (cut by a kill or a full disk)."""
        try:
            lines = (self.folder(session_id) / _EVENTS).read_bytes().split(_LINE_FEED)
        except FileNotFoundError:
            return [], 0
        found, bad = [], 0
        for line in filter(None, lines):
            try:
                record = json.loads(line)
            except ValueError:
                bad += 1
                continue
            found.append(record) if isinstance(record, dict) else None
        return found, bad

    def turns(self, session_id: str) -> list[Path]:
        """The files of its turns, in order."""
        found = (self.folder(session_id) / "turns").glob("turn_*.jsonl")
        return sorted(found, key=lambda p: (len(p.name), p.name))

    @contextlib.contextmanager
    def recording(self, meta: Meta, turn: int) -> Iterator[Callable[[bytes], None]]:
        """A function that keeps one raw event line of a turn, untouched, and wakes whoever follows; a turn tried again goes on."""
        path = self.turn_file(meta, turn)
        path.parent.mkdir(parents=True, exist_ok=True)
        with _appending(path) as file:

            def keep(line: bytes) -> None:
                file.write(line + _LINE_FEED)
                file.flush()
                self.wake(meta.id)

            yield keep

    def watch_folder(self, session_id: str) -> Path:
        """Where those who wait for news have their FIFOs; see watch.py."""
        return self.folder(session_id) / _WATCH

    def owner_file(self, session_id: str) -> Path:
        """The file whose lock says that the session is run."""
        return self.folder(session_id) / _OWNER

    def wake(self, session_id: str) -> None:
        """Tell everyone who follows the session that there is something new; nobody can hold us up by not reading."""
        try:
            watchers = [Path(entry.path) for entry in os.scandir(self.watch_folder(session_id))]
        except OSError:
            return
        for fifo in watchers:
            with contextlib.suppress(OSError):  # full: a wake-up is on its way already; no reader: it has gone
                handle = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
                try:
                    os.write(handle, b"x")
                finally:
                    os.close(handle)

    def _read(self, session_id: str) -> Meta:
        try:
            return from_json((self.folder(session_id) / _META).read_bytes())
        except FileNotFoundError as error:
            raise UsageError(f"session {session_id} has no meta.json") from error
        except (OSError, ValueError) as error:
            raise UsageError(
                f"the meta.json of session {session_id} cannot be read: {one_line(str(error), 100)}",
                remedy=f"its events are in {self.folder(session_id)}; `session rm` removes it",
            ) from error

    def _settled(self, mine: Meta | None, session_id: str = "", state: State = "interrupted", reason: str = "") -> Meta:
        """What is on disk, under the lock: a session whose process is gone becomes interrupted; `mine` stands in where it is damaged."""
        session_id = mine.id if mine else session_id
        try:
            now = self._read(session_id)
        except UsageError:
            if mine is None or session_id not in self._held:
                raise
            return mine
        if not now.live or session_id in self._held or self.is_run(session_id):
            return now
        lost = now.orphaned()
        lost = self._save(replace(lost, state=state, reason=reason or lost.reason))
        self.event(lost, "state", state=lost.state, turn=lost.turn, reason=lost.reason)
        return lost

    @contextlib.contextmanager
    def _changing(self, session_id: str) -> Iterator[None]:
        with locked(self.folder(session_id) / _LOCK):
            yield

    def _own(self, session_id: str, folder: Path) -> None:
        """Hold the session. Called where nobody runs it, so what keeps us waiting is at most somebody's short look (`is_run`)."""
        if session_id not in self._held:
            handle = os.open(folder / _OWNER, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(handle, fcntl.LOCK_EX)
            self._held[session_id] = handle  # until `_disown`, or until we die

    def _disown(self, session_id: str) -> None:
        if (handle := self._held.pop(session_id, None)) is not None:
            os.close(handle)

    def _save(self, meta: Meta, folder: Path | None = None) -> Meta:
        saved = replace(meta, updated_at=time.time(), reason=redact(meta.reason))
        write_atomic((folder or self.folder(meta.id)) / _META, to_json(saved))
        return saved


@contextlib.contextmanager
def _appending(path: Path) -> Iterator[IO[bytes]]:
    """A file of lines to add to; what a killed process left half becomes a line of its own."""
    with path.open("a+b") as file:
        end = file.seek(0, os.SEEK_END)
        if end and os.pread(file.fileno(), 1, end - 1) != _LINE_FEED:
            file.write(_LINE_FEED)
        yield file


def _shown(more: dict[str, Any]) -> dict[str, Any]:
    """Fields whose text people or models wrote, without secrets."""
    return {key: redact(value) if key in {"title", "verdict_reason"} else value for key, value in more.items()}
