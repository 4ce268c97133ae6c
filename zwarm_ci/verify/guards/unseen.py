"""Files that a linter or type checker complained of and that the patch takes out of its sight instead of mending them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from zwarm_ci.verify.guards.base import Patch
from zwarm_ci.verify.guards.linted import by_exit, files, kinds
from zwarm_ci.verify.guards.signs import CODE

#: Folders that linters and type checkers leave out without being told.
_SKIPPED = frozenset(
    "build dist out venv env node_modules vendor third_party site-packages __pypackages__ buck-out _build coverage".split()
)
_ALIKE = 0.5  # share of a file's lines that live on elsewhere
_SHORT = 4  # characters; a shorter line says nothing


def unseen(patch: Patch) -> Iterator[tuple[str, str, bool]]:
    """(path, what was done, whether that alone hides the complaint)."""
    asked = files(patch)
    if not asked and not (by_exit(patch) and patch.changes):
        return
    added = {c.path: _lines(patch.new(c.path)) for c in patch.changes if c.status == "A"}
    for change in patch.changes:
        path = change.path
        if path not in asked and not (by_exit(patch) and not patch.is_setting(path)):
            continue
        old, new = _lines(patch.old(path)), _lines(patch.new(path))
        gone = old - new
        if not gone:
            continue
        place = next((p for p, lines in added.items() if len(gone & lines) >= _ALIKE * len(old)), "")
        if place and (change.status == "D" or kinds(patch)):
            hidden = _left_out(path, place)
            yield path, f"what the check complained of lives on in {place}", hidden
        elif change.status == "D":
            yield path, "the file that the check may complain of is gone", False
        elif not new and path in asked:
            yield path, "the file that the check complained of is empty now", False


def _lines(text: str) -> frozenset[str]:
    return frozenset(line.strip() for line in text.split("\n") if len(line.strip()) >= _SHORT)


def _left_out(path: str, place: str) -> bool:
    """Whether tools that look at a path do not look at the other place."""
    old, new = PurePosixPath(path), PurePosixPath(place)
    folders = {p for p in new.parts[:-1] if p in _SKIPPED or p.startswith(".")} - set(old.parts)
    return bool(folders) or (old.suffix != new.suffix and (old.suffix in CODE) and new.suffix not in CODE)
