"""Tests of the base that a person's patch breaks and states anew: another behaviour, which its author says, or a test made to fit?"""

from __future__ import annotations

from collections.abc import Sequence

from zwarm_ci.task import Check
from zwarm_ci.verdict import CheckResult
from zwarm_ci.verify.cause import is_sources
from zwarm_ci.verify.court import Court
from zwarm_ci.verify.guards import Patch
from zwarm_ci.verify.reading.base import TestCase
from zwarm_ci.verify.reading.table import reader


def restated(court: Court, check: Check, patch: Patch, red: Sequence[str], delivered: CheckResult) -> bool:
    """Whether each of `red`, tests of the base that fail with the patch, was itself changed by it and now fails without its source.

    Then the two states of the test tell the two states of the source apart. A test that passes with and without the source was
    loosened; one whose own text is the same passes by something beside it. What is deleted is another finding's matter.
    """
    asked: list[list[str]] = []
    for test_id in red:
        path, _, inner = test_id.partition("::")
        now = _rewritten(patch, path, inner.partition("[")[0])
        if now is None:
            return False
        asked += [[i for i in delivered.passed if i.partition("[")[0] == name] for name in now]
    if not asked:
        return True
    if not all(asked):
        return False
    tests = court.trees.repo.overlay(patch.base, patch.tree, lambda path: not is_sources(patch, path))
    result = court.trees.anew(check, tests, only=tuple(dict.fromkeys(i for ids in asked for i in ids)))
    return not result.trouble and all(any(result.state(i) not in {"passed", "skipped"} for i in ids) for ids in asked)


def _rewritten(patch: Patch, path: str, name: str) -> tuple[str, ...] | None:
    """Ids of tests that must fail without the source, for one test of the base that the patch changed; None where it did not.

    No `name` = a whole module, which cannot be imported with the patch: those of its tests that are not as they were.
    """
    read = reader(path)
    change = next((c for c in patch.changes if c.path == path), None)
    if read is None or change is None:
        return None
    before = {c.name: c for c in read(path, patch.old(path)).cases}
    after = {c.name: c for c in read(path, patch.new(path)).cases} if change.status != "D" else {}
    if not name:
        return tuple(f"{path}::{n}" for n, c in after.items() if n in before and not _same(before[n], c))
    if name not in before:
        return None
    if name not in after:
        return ()
    return None if _same(before[name], after[name]) else (f"{path}::{name}",)


def _same(old: TestCase, new: TestCase) -> bool:
    return (old.shape, old.rows) == (new.shape, new.rows)


__all__ = ["restated"]
