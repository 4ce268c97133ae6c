"""Watches what sessions make: too much at once, behaviour without a test, tests made weaker. Verification judges; this is said earlier."""

from __future__ import annotations

import re
from collections.abc import Iterator

from zwarm_ci.orchestrator.watchers.base import FileChange, Opinion, Outfit, Scene, Worker
from zwarm_ci.protected import is_setting, is_test

_ASSERTS = re.compile(r"\bassert\w*\b|\bexpect\s*\(|\braises\b|\bt\.(?:Error|Fatal)|\.should\b")
_SKIPS = re.compile(
    r"\b(?:skip|skipif|xfail|importorskip)\b|\.(?:skip|only|todo)\s*\(|\b(?:xit|xdescribe|xtest)\s*\(|#\[ignore|\bt\.Skip"
)


class Quality:
    """Advises."""

    name = "quality"
    guards = False

    def __init__(self, outfit: Outfit) -> None:
        self._limits = outfit.settings.verify

    def look(self, scene: Scene) -> Iterator[Opinion]:
        """See the module."""
        for worker in scene.workers:
            if worker.files and not worker.closed:
                for about, said in self._faults(worker):
                    yield Opinion(
                        "nudge", f"{worker.name} {said}", f"{worker.id} turn {worker.turn} {about}", once=True
                    )

    def _faults(self, worker: Worker) -> Iterator[tuple[str, str]]:
        files = worker.files
        lines = sum(len(f.added) + len(f.removed) for f in files)
        if len(files) > self._limits.max_files or lines > self._limits.max_lines:
            yield (
                "size",
                f"changed {len(files)} files, {lines} lines: more than verify.max_files and verify.max_lines let pass. Split the task.",
            )
        tests = [f for f in files if is_test(f.path)]
        sources = [f for f in files if f.added and not is_test(f.path) and not is_setting(f.path) and not f.binary]
        if sources and not tests and worker.proven is False:
            yield (
                "no test",
                f"changed {sources[0].path} and no test, and no red check stands for its task. Ask it for a test that fails without the change.",
            )
        if weaker := [f.path for f in tests if _weaker(f)]:
            yield (
                "weaker tests",
                f"made {weaker[0]} weaker (assertions gone, or tests skipped). Verification refuses that; have it taken back.",
            )


def _weaker(file: FileChange) -> bool:
    """Whether a test's file asserts less than before, or skips more."""

    def count(pattern: re.Pattern[str], lines: tuple[str, ...]) -> int:
        return sum(bool(pattern.search(line)) for line in lines)

    less = count(_ASSERTS, file.removed) > count(_ASSERTS, file.added)
    return less or count(_SKIPS, file.added) > count(_SKIPS, file.removed)
