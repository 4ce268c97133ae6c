"""Which checks a repository has, read from its own settings files, each with the reason; nothing of it is run."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from zwarm_ci import globs
from zwarm_ci.detect import javascript, native, python
from zwarm_ci.detect.base import EnvOf, Tree
from zwarm_ci.detect.kinds import derive_kind
from zwarm_ci.task import Check, usual_files

__all__ = ["derive_kind", "detect"]
#: Tests first; each is given the tree and the environments of its folders.
_FINDERS = (python.tests, python.ruff, python.mypy, javascript.find, native.cargo, native.go, native.bazel)


def detect(tree: Path, env_of: EnvOf) -> tuple[tuple[Check, ...], tuple[str, ...]]:
    """The checks of a tree, tests first, and one line for each choice (and for what was seen but cannot run here)."""
    checks: list[Check] = []
    notes: list[str] = []
    for find in _FINDERS:
        for check, why in find(Tree(tree), env_of):
            if check is None:
                notes.append(why)
            else:
                chosen = _distinct(replace(check, files=_files(check)), {c.name for c in checks})
                checks.append(chosen)
                notes.append(f"chose `{chosen.run}` ({chosen.name}) because {why}")
    return tuple(checks), tuple(notes)


def _files(check: Check) -> tuple[str, ...]:
    """What it is about; a check that may be about anything is about sources, or a hook would never have nothing to do."""
    files = usual_files(check.kind, check.workdir)
    return files if files != globs.EVERYTHING else globs.SOURCES


def _distinct(check: Check, taken: Collection[str]) -> Check:
    """The check under a name that no other has: two languages may both call theirs `tests`."""
    names = (
        check.name,
        f"{check.name}-{check.kind}",
        *(f"{check.name}-{check.kind}-{n}" for n in range(2, len(taken) + 3)),
    )
    return replace(check, name=next(name for name in names if name not in taken))
