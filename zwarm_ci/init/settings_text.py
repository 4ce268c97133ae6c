"""The settings file: only what differs from what is detected and from the defaults."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zwarm_ci.config import PYPROJECT, REPO_FILE, toml
from zwarm_ci.git import STATE_IGNORE, Repository
from zwarm_ci.init.steps import Step, content, inside

_HEAD = "# Settings of zwarm-ci; what is not said here is detected, or a default. `zwarm-ci config show --origin` says what is in force.\n"
DEFAULT = ("embedded",)


def plan(user: Repository, ladder: Sequence[str], checks: str) -> tuple[list[Step], list[str]]:
    """The settings file with the ladder, and with `checks` (TOML) where there is none yet; what is left undone, with the reason."""
    path, project = inside(user.top, REPO_FILE), inside(user.top, PYPROJECT)
    if path is None or project is None:
        return [], ["settings: a link leads out of the repository, so nothing is written there (take it away)"]
    places: tuple[tuple[Path, tuple[str, ...]], ...] = ((path, ()), (project, ("tool", "zwarm-ci")))
    for file, prefix in places:
        text = content(file)
        if text is not None and (not prefix or _is_ours(text)):
            steps, left = _with(ladder, text, file, prefix)
            return steps, [
                *left,
                *([f"{file.name}: it has settings already (add what `doctor` proposes)"] if checks else []),
            ]
    body = [f"[executor]\nladder = {toml(list(ladder))}\n"] if ladder and tuple(ladder) != DEFAULT else []
    body += [checks.rstrip() + "\n"] if checks else []
    if not body:
        return [], []
    steps = [Step(path, None, "\n".join((_HEAD, *body)).encode(), why="what differs from what is detected; commit it")]
    ignore = path.with_name(".gitignore")
    if content(ignore) is None:
        steps.insert(0, Step(ignore, None, STATE_IGNORE.encode(), why="keeps runs and sessions out of git"))
    return steps, []


def _is_ours(pyproject: bytes) -> bool:
    try:
        found = tomllib.loads(pyproject.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):
        return False
    return bool(_dig(found, ("tool", "zwarm-ci")))


def _with(ladder: Sequence[str], before: bytes, path: Path, prefix: tuple[str, ...]) -> tuple[list[Step], list[str]]:
    if not ladder:
        return [], []
    made = with_ladder(before.decode("utf-8", "replace"), prefix, ladder)
    if made is None:
        key = ".".join((*prefix, "executor", "ladder"))
        return [], [
            f"{path.name}: it says already who works, or cannot be added to safely (set {key} = {toml(list(ladder))} there)"
        ]
    after, inserted = made
    if not inserted:
        return [], []
    return [Step(path, before, after.encode(), inserted.encode(), why="who works")], []


def with_ladder(text: str, prefix: tuple[str, ...], ladder: Sequence[str]) -> tuple[str, str] | None:
    """The TOML with `executor.ladder` below `prefix`, and what was inserted ("" = it says so already).

    None where it says something else, or where the result would not say exactly that, and all else as before.
    """
    try:
        before = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
    executor = _dig(before, (*prefix, "executor"))
    if executor and executor.get("ladder") == list(ladder):
        return text, ""
    if executor is not None and {"ladder", "adapter", "model"} & executor.keys():
        return None
    newline = "\r\n" if "\r\n" in text else "\n"
    title = ".".join((*prefix, "executor"))
    line = f"ladder = {toml(list(ladder))}{newline}"
    if header := re.search(rf"^\[{re.escape(title)}\][^\n]*\n", text, re.MULTILINE):
        made, inserted = text[: header.end()] + line + text[header.end() :], line
    else:
        gap = newline if text.endswith("\n") or not text else newline * 2
        inserted = f"{gap}[{title}]{newline}{line}"
        made = text + inserted
    return (made, inserted) if _says(made, before, prefix, ladder) else None


def _says(made: str, before: Mapping[str, Any], prefix: tuple[str, ...], ladder: Sequence[str]) -> bool:
    try:
        after = tomllib.loads(made)
    except tomllib.TOMLDecodeError:
        return False
    executor = _dig(after, (*prefix, "executor")) or {}
    if executor.pop("ladder", None) != list(ladder):
        return False
    if not executor and _dig(before, (*prefix, "executor")) is None:
        above = _dig(after, prefix) if prefix else after
        assert above is not None
        above.pop("executor")
    return after == before


def _dig(data: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any] | None:
    found: Any = data
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None
