"""What was written and what was there before, kept in git's own folder, so that `init --remove` puts it back byte for byte."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zwarm_ci import shims
from zwarm_ci.errors import BlockedError
from zwarm_ci.files import write_atomic
from zwarm_ci.git import STATE_IGNORE, Repository
from zwarm_ci.init.steps import Done, Step, compared, content, put, shown

SCHEMA = 1  # 1: first


@dataclass(frozen=True, slots=True)
class Entry:
    """One file that was written. Paths in the working tree are kept relative to it, so that the repository may be moved."""

    path: Path
    before: bytes | None
    after: bytes
    inserted: bytes
    old_mode: int | None


@dataclass(frozen=True, slots=True)
class Undo:
    """One file to put back.

    `after`: what it will hold, None = it goes; `back`: the file that takes its place, whole, instead.
    """

    path: Path
    after: bytes | None
    mode: int | None = None
    back: Path | None = None
    why: str = ""

    def shown(self, top: Path) -> str:
        """What it changes, for a person."""
        name = shown(self.path, top)
        if self.back is not None:
            return f"{name}: again what was there before, from {shown(self.back, top)}\n"
        if self.after is None:
            return f"{name}: removed\n"
        return f"{name}: {self.why}\n{compared(content(self.path), self.after, name)}"


def file_of(user: Repository) -> Path:
    """Where the record is."""
    return user.git_dir / "zwarm-ci" / "init.json"


def load(user: Repository) -> tuple[list[Entry], list[Path]]:
    """What was written, in its order, and the folders that were made for it, outermost first.

    Raises:
        BlockedError: the record cannot be read.
    """
    raw = content(file_of(user))
    if raw is None:
        return [], []
    try:
        found = json.loads(raw)
        schema = found["schema"]
        entries = [_entry(user.top, data) for data in found["files"]]
        folders = [user.top / folder for folder in found["folders"]]
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable(user, f"{type(error).__name__}: {error}") from error
    if schema != SCHEMA:
        raise _unreadable(user, f"its schema is {schema}, not {SCHEMA}")
    return entries, folders


def _unreadable(user: Repository, why: str) -> BlockedError:
    return BlockedError(
        f"{file_of(user)} is not what this version of init writes: {why}", remedy="undo by hand, then delete it"
    )


def add(user: Repository, done: Done) -> None:
    """Remember one step, before it is done: what was not done is undone by doing nothing.

    Native hooks need no record: they say themselves what they are.
    """
    entries, folders = load(user)
    step = done.step
    if not _is_hook(step):
        entries.append(Entry(step.path, step.before, step.after, step.inserted, done.old_mode))
    folders += [f for f in done.folders if f not in folders]
    document = {
        "schema": SCHEMA,
        "files": [_data(user.top, entry) for entry in entries],
        "folders": [_relative(user.top, folder) for folder in folders],
    }
    write_atomic(file_of(user), json.dumps(document, indent=1) + "\n")


def _is_hook(step: Step) -> bool:
    return step.path.name in shims.STAGES and shims.is_ours(step.after, step.path.name)


def _data(top: Path, entry: Entry) -> dict[str, Any]:
    return {
        "path": _relative(top, entry.path),
        "before": None if entry.before is None else base64.b64encode(entry.before).decode(),
        "after": base64.b64encode(entry.after).decode(),
        "inserted": base64.b64encode(entry.inserted).decode(),
        "mode": entry.old_mode,
    }


def _entry(top: Path, data: dict[str, Any]) -> Entry:
    before = None if data["before"] is None else base64.b64decode(data["before"])
    after, inserted = base64.b64decode(data["after"]), base64.b64decode(data["inserted"])
    return Entry(top / data["path"], before, after, inserted, data["mode"])


def _relative(top: Path, path: Path) -> str:
    return str(path.relative_to(top)) if path.is_relative_to(top) else str(path)


def undo(user: Repository) -> tuple[list[Undo], list[str]]:
    """What puts everything back, and what has to be left, with the reason.

    Raises:
        BlockedError: see `load`.
    """
    steps: list[Undo] = []
    left: list[str] = []
    now: dict[Path, bytes | None] = {}
    entries, _ = load(user)
    for entry in reversed(entries):
        here = now.get(entry.path, content(entry.path))
        found = _undone(entry, here)
        if isinstance(found, str):
            left.append(f"{shown(entry.path, user.top)}: {found}")
        elif found is not None:
            steps = [s for s in steps if s.path != entry.path] + [found]
            now[entry.path] = found.after
    for found in _hooks(user):
        if isinstance(found, str):
            left.append(found)
        else:
            steps.append(found)
    return steps, left


def _undone(entry: Entry, here: bytes | None) -> Undo | str | None:
    """How one entry is undone; in words, why it is left; None = it is undone already."""
    if here == entry.before:
        return None
    if here == entry.after:
        if entry.before is None and entry.after == STATE_IGNORE.encode() and _in_use(entry.path):
            return None  # it keeps runs out of git
        return Undo(entry.path, entry.before, entry.old_mode, why="as it was")
    if here is None:
        return "it is gone, and stays so"
    if entry.inserted and here.count(entry.inserted) == 1:
        kept = here.replace(entry.inserted, b"")
        return Undo(entry.path, kept, entry.old_mode, why="without our lines; what you changed since stays")
    return "changed since it was written, so it is left as it is"


def _in_use(ignore: Path) -> bool:
    """Whether a state folder holds more than what `init` writes."""
    return any(p.name not in {".gitignore", "config.toml"} for p in ignore.parent.iterdir())


def _hooks(user: Repository) -> Iterator[Undo | str]:
    """Our hooks, recognised by their text, wherever git or another tool put them."""
    where = shims.folder(user)
    own = (user.common_dir / "hooks",)
    for path in own if where.closed or where.path in own else (where.path, *own):
        for stage in shims.STAGES:
            hook = shims.look(shims.Folder(path, ""), stage)
            ours = hook.path if hook.state == "ours" else hook.moved
            if ours is None and hook.state == "none" and hook.before is not None:
                ours = hook.path  # deleted, or the install was cut off
            if ours is not None:
                yield Undo(ours, None, back=hook.before)
            elif hook.state == "changed":
                yield f"{shown(hook.path, user.top)}: changed since it was written, so it is left as it is"
            elif hook.before is not None:
                yield f"{shown(hook.before, user.top)}: a hook that ours called; ours is gone, so it is left as it is"


def put_back(user: Repository, steps: list[Undo]) -> None:
    """Do it, then forget: the record, and the folders that were made and are empty now.

    Raises:
        BlockedError: a file cannot be written or removed; the record stays.
    """
    for step in steps:
        try:
            if step.back is not None:
                step.back.replace(step.path)
            elif step.after is None:
                step.path.unlink(missing_ok=True)
            else:
                put(step.path, step.after, step.mode if step.mode is not None else 0o644)
        except OSError as error:
            raise BlockedError(
                f"{step.path} cannot be put back: {error.strerror}", remedy="make it writable"
            ) from error
    _, folders = load(user)
    for folder in reversed(folders):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    file_of(user).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # there is more of ours in it, or nothing ever was
        file_of(user).parent.rmdir()
