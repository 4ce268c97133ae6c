"""At a commit: the checks' own fixers on what is staged. They edit files in the working tree, never the index, as the convention wants.

A file is written only where it is, byte for byte, what is staged: what a person has not staged yet is nobody's to change.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from zwarm_ci import globs
from zwarm_ci import site as places
from zwarm_ci.checks import argv_of, run_fix
from zwarm_ci.errors import BlockedError, CommandError, InterruptedRunError, LimitError
from zwarm_ci.hook.asked import Asked, say, working
from zwarm_ci.hook.ground import Ground, prepare
from zwarm_ci.repair.fixers import fix_command
from zwarm_ci.task import Check

_LINTED = (".py", ".pyi", ".ipynb")


def fix(asked: Asked) -> int:
    """Have fixers edit the staged files: 0 = they would change nothing, 1 = they did, or may not.

    Raises:
        ConfigError: the settings are wrong. InterruptedRunError: a person stopped it.
    """
    try:
        with prepare(asked) as ground:
            return _fix(ground) if any(c.fix or c.kind == "ruff" for c in ground.checks) else 0
    except InterruptedRunError as stop:
        if stop.signum != signal.SIGALRM:
            raise
        say(f"let go after {asked.seconds:.0f} s (hook.seconds): no file was changed")
    except (BlockedError, LimitError, CommandError) as error:
        say(f"{error.line}; no file was changed")
    return 0


def _fix(ground: Ground) -> int:
    prepared = ground.trees.fresh(ground.base, ground.checks, "fix")
    before = {path: _bytes(prepared.path / path) for path in sorted(ground.paths)}
    ran: dict[str, str] = {}
    for one in ground.checks:
        files = [p for p, data in before.items() if data is not None and globs.meant([p], one.files)]
        command = _command(one, files, prepared.path)
        outfit = prepared.outfits[one.name]
        if outfit.trouble or not command:
            continue
        working(f"{one.name}: {command}")
        scratch = ground.trees.scratch / f"fix-{secrets.token_hex(4)}"
        ended = run_fix(replace(one, fix=command), prepared.path, env=outfit.env, scratch=scratch)
        if ended is None or ended.timed_out:
            say(f"{one.name}: `{command}` did not end; no file was changed")
            return 0
        ran |= {
            p: command.partition(" -- ")[0] for p in before if p not in ran and _bytes(prepared.path / p) != before[p]
        }
    texts = ((path, before[path], _bytes(prepared.path / path)) for path in ran)
    return max([0, *(_hand_over(ground, p, old, new, ran[p]) for p, old, new in texts if old is not None)])


def _command(one: Check, files: list[str], folder: Path) -> str:
    """What fixes the files: ruff is told them, as it is in a repair, and passes over those that its settings exclude."""
    files = [f for f in files if f.endswith(_LINTED)] if one.kind == "ruff" else files
    command = fix_command(one, files, folder) if files else ""
    words = argv_of(command)[0] if command else []
    if one.kind == "ruff" and "--" in words:
        words.insert(words.index("--"), "--force-exclude")
        return shlex.join(words)
    return command


def _bytes(path: Path) -> bytes | None:
    """A regular file's content; None where there is none."""
    return path.read_bytes() if path.is_file() and not path.is_symlink() else None


def _hand_over(ground: Ground, path: str, old: bytes, new: bytes | None, command: str) -> int:
    """Put a fixed file into the working tree, if it may go there; 1 = this commit is not as the fixer wants it."""
    target = ground.user.top / path
    if new is None:
        say(f"{path}: `{command}` takes it away; that is left to you")
    elif _bytes(target) != old:
        say(
            f"{path}: `{command}` would change what is staged, but it has changes that are not: stage or stash them, then commit again"
        )
    else:
        _replace(ground, target, new)
        say(f"{path}: changed by `{command}`; look at it, stage it and commit again")
    return 1


def _replace(ground: Ground, target: Path, new: bytes) -> None:
    """In one step, with the mode that the file has; what is not whole yet lies in the state directory."""
    folder = places.state_folder(ground.user, ground.settings.state_dir)
    for part in _temporary(folder, new):
        shutil.copymode(target, part)
        part.replace(target)


def _temporary(folder: Path, data: bytes) -> Iterator[Path]:
    part = folder / f"fix-{secrets.token_hex(6)}.tmp"
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield part
    finally:
        part.unlink(missing_ok=True)
