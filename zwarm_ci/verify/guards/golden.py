"""Recorded answers: snapshots, golden files, cassettes and the data of tests say what is right, and a patch may add but not change them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from zwarm_ci.private import Change
from zwarm_ci.verdict import GuardFinding
from zwarm_ci.verify.guards.asking_data import of_tests
from zwarm_ci.verify.guards.base import Family, Patch
from zwarm_ci.verify.guards.weakened import UNREAD
from zwarm_ci.verify.reading.table import reader

_FOLDERS = frozenset({"__snapshots__", "__image_snapshots__", "snapshots", "golden", "goldens", "gold", "expected", "testdata",
                      "test-data", "test_data", "cassettes", "approvals", "approved", "baselines", "__recordings__"})  # fmt: skip
_NAMES = re.compile(
    r"\.(snap|ambr|golden|gold|expected|approved|stdout|stderr)$|\.(approved|expected|golden|snapshot)\.\w+$|[-_.](golden|expected|snapshot)\.\w+$",
    re.IGNORECASE,
)
_PROSE = re.compile(r"^(readme|changelog|license|contributing)(\..*)?$", re.IGNORECASE)
#: How a file of many snapshots begins each of them.
_ENTRY = {".snap": re.compile(r"^(?=exports\[`)", re.MULTILINE), ".ambr": re.compile(r"^(?=# name:)", re.MULTILINE)}
_WHAT = {"D": "deletes", "T": "changes the type of"}


class Golden:
    """Refuses changed or deleted recorded answers and test data; of people's commits only answers that nothing else explains."""

    name = "golden-file"
    family: Family = "tests"
    firm = False

    def look(self, patch: Patch) -> Iterator[GuardFinding]:
        arrived = {(c.new, PurePosixPath(c.path).name) for c in patch.changes if c.status == "A"}
        explained = any(c.path for c in patch.changes if _explains(patch, c.path))
        held = of_tests(patch) if patch.rules.strict else frozenset()
        for change in patch.changes:
            recorded = is_recorded(change.path) or change.path in held
            if change.status == "A" or not (recorded or (patch.rules.strict and _is_data(patch, change.path))):
                continue
            if (change.old, PurePosixPath(change.path).name) in arrived or _only_more(patch, change):
                continue
            if patch.rules.strict or not explained:
                what = "a recorded answer" if recorded else "data of tests"
                why = "" if patch.rules.strict else ", and no change of a test or of the source explains it"
                detail = f"{_WHAT.get(change.status, 'changes')} {what}{why}"
                yield GuardFinding(self.name, "refuse", change.path, None, detail, "--allow-test-edits")


def is_recorded(path: str) -> bool:
    """Whether a path is an answer that was recorded or written down once, by the conventions of the field; no source."""
    pure = PurePosixPath(path)
    if reader(path) is not None or _PROSE.match(pure.name):
        return False
    return bool(_NAMES.search(pure.name)) or any(part.lower() in _FOLDERS for part in pure.parts[:-1])


def _is_data(patch: Patch, path: str) -> bool:
    """Whether a path is a file of tests that is no source."""
    pure = PurePosixPath(path)
    known = reader(path) is not None or pure.suffix.lower() in UNREAD
    return patch.is_test(path) and not known and not _PROSE.match(pure.name)


def _explains(patch: Patch, path: str) -> bool:
    """Whether a change of this path can be why a recorded answer is another one."""
    return (
        not is_recorded(path)
        and not _is_data(patch, path)
        and not re.search(r"\.(md|rst|txt)$|^docs?/", path, re.IGNORECASE)
    )


def _only_more(patch: Patch, change: Change) -> bool:
    """Whether a file of many snapshots has all that it had."""
    entry = _ENTRY.get(PurePosixPath(change.path).suffix)
    if entry is None or change.status != "M":
        return False
    old, new = (
        {part.strip() for part in entry.split(text)[1:]} for text in (patch.old(change.path), patch.new(change.path))
    )
    return bool(old) and old <= new
