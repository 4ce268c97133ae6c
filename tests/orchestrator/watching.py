"""Scenes for tests of watchers, in as few words as possible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zwarm_ci.config import Settings
from zwarm_ci.orchestrator.watchers import WATCHERS
from zwarm_ci.orchestrator.watchers.base import Ask, FileChange, Meter, Opinion, Outfit, Scene, Step, Worker

Call = tuple[str, Mapping[str, Any]] | tuple[str, Mapping[str, Any], Mapping[str, Any]]


def steps(*calls: Call, first: int = 1) -> tuple[Step, ...]:
    """Steps of these calls: tool, arguments, and, where it matters, the answer."""
    made = []
    for number, (tool, args, *said) in enumerate(calls, first):
        answer = {"success": True, **(said[0] if said else {})}
        made.append(Step(number, tool, args, bool(answer["success"]), answer, float(number)))
    return tuple(made)


def scene(*calls: Call, workers: Sequence[Worker] = (), meters: Sequence[Meter] = (), task: str = "") -> Scene:
    """What there is to see after these calls."""
    return Scene(task, steps(*calls or (("status", {}),)), tuple(workers), tuple(meters))


def worker(*files: FileChange, task: str = "make it work", state: str = "completed", **more: Any) -> Worker:
    """A session that has had its turn."""
    return Worker("5e55104a1b2c", state, 1, task, files=files, **more)


def changed(path: str, *, added: Sequence[str] = ("x = 1",), removed: Sequence[str] = ()) -> FileChange:
    """A file of a difference."""
    return FileChange(path, tuple(added), tuple(removed))


def look(name: str, given: Scene, settings: Settings | None = None, ask: Ask | None = None) -> list[Opinion]:
    """What a built-in watcher says of a scene."""
    return list(WATCHERS[name](Outfit(settings or Settings(), ask)).look(given))
