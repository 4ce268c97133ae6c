"""One file that is to be written: shown as a difference, done whole or not at all, remembered so that it can be undone."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from pathlib import Path

from zwarm_ci.errors import BlockedError
from zwarm_ci.files import write_atomic
from zwarm_ci.scrub import decode

_NEW = 0o644


@dataclass(frozen=True, slots=True)
class Step:
    """One file to write.

    Attributes:
        path: absolute.
        before: what is there now; None = nothing.
        after: what will be.
        inserted: the part of `after` that is ours, where the rest is a person's; b"" = all of it.
        mode: permissions of a new file; one that is there keeps its own.
        aside: where the file that is there goes first, whole; None = it is written over.
        why: what it is for, in words.
    """

    path: Path
    before: bytes | None
    after: bytes
    inserted: bytes = b""
    mode: int = _NEW
    aside: Path | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """What a step does, for the record: the permissions that were there, and the folders that are made for it, outermost first."""

    step: Step
    old_mode: int | None
    folders: tuple[Path, ...]


def content(path: Path) -> bytes | None:
    """A file's bytes; None = there is none."""
    return path.read_bytes() if path.is_file() else None


def inside(top: Path, relative: str) -> Path | None:
    """The file `relative` of a working tree; None where a link in the tree leads out of it."""
    path = top / relative
    real = path.resolve()
    return real if real.is_relative_to(top.resolve()) else None


def difference(step: Step, top: Path) -> str:
    """What the step changes, as a unified difference."""
    name = shown(step.path, top)
    head = f"{name}: {step.why}" if step.why else name
    if step.aside is not None:
        return f"{head}\n{shown(step.aside, top)}: what is there now, unchanged\n" + compared(None, step.after, name)
    return f"{head}\n" + compared(step.before, step.after, name)


def compared(before: bytes | None, after: bytes | None, name: str) -> str:
    """The unified difference of two texts of a file; None = there is none."""
    old, new = (decode(text or b"").splitlines() for text in (before, after))
    names = ("/dev/null" if before is None else name, "/dev/null" if after is None else name)
    lines = difflib.unified_diff(old, new, *names, lineterm="")
    return "".join(f"    {line}\n" for line in lines)


def shown(path: Path, top: Path) -> str:
    """A path as a person reads it: relative to the working tree where it lies in there."""
    return str(path.relative_to(top)) if path.is_relative_to(top) else str(path)


def ready(step: Step) -> Done:
    """What doing the step will change, for the record, which is written first.

    Raises:
        BlockedError: the file is no longer what it was when it was shown.
    """
    if content(step.path) != step.before or (step.aside is not None and os.path.lexists(step.aside)):
        raise BlockedError(f"{step.path} has changed meanwhile", remedy="run `zwarm-ci init` again")
    old_mode = step.path.stat().st_mode & 0o7777 if step.before is not None else None
    return Done(step, old_mode, _missing(step.path.parent))


def carry_out(done: Done) -> None:
    """Write the file.

    Raises:
        BlockedError: it cannot be written; it is then as it was.
    """
    step = done.step
    try:
        if step.aside is not None:
            step.path.rename(step.aside)
        put(step.path, step.after, step.mode if done.old_mode is None or step.aside is not None else done.old_mode)
    except OSError as error:
        if step.aside is not None and os.path.lexists(step.aside) and not os.path.lexists(step.path):
            step.aside.rename(step.path)
        raise BlockedError(f"{step.path} cannot be written: {error.strerror}", remedy="make it writable") from error


def put(path: Path, data: bytes, mode: int) -> None:
    """Write a whole file with these permissions."""
    write_atomic(path, data)
    path.chmod(mode)


def _missing(folder: Path) -> tuple[Path, ...]:
    """The folders that have to be made, outermost first."""
    found: list[Path] = []
    while not folder.exists():
        found.append(folder)
        folder = folder.parent
    return tuple(reversed(found))
