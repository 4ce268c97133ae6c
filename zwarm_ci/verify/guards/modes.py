"""What is not a plain file: links that leave the tree, embedded repositories, changed permissions, names that git itself reads."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import PurePosixPath

from zwarm_ci.private import Change
from zwarm_ci.scrub import decode
from zwarm_ci.verdict import GuardFinding
from zwarm_ci.verify.guards.base import Family, Patch

_LINK, _REPOSITORY = "120000", "160000"


class Modes:
    """Refuses embedded repositories, links out of the tree and `.git` files; asks for review of links and mode changes."""

    name = "file-mode"
    family: Family = "reach"
    firm = True

    def look(self, patch: Patch) -> Iterator[GuardFinding]:
        for change in patch.changes:
            if any(part.lower().rstrip(". ") == ".git" for part in PurePosixPath(change.path).parts):
                yield self._say(change, "refuse", "writes a path that git reads as its own")
            elif _REPOSITORY in {change.new_mode, change.old_mode}:
                yield self._say(change, "refuse", "adds, moves or removes an embedded repository or submodule")
            elif change.new_mode == _LINK:
                target = decode(patch.repo.read(patch.tree, change.path) or b"")
                landed = posixpath.normpath(posixpath.join(posixpath.dirname(change.path), target))
                leaves = target.startswith("/") or landed.split("/")[0] == ".."
                yield self._say(change, "refuse" if leaves else "review", f"links to {target}")
            elif change.status != "D" and change.old_mode not in ("000000", change.new_mode):
                yield self._say(change, "review", f"mode {change.old_mode} becomes {change.new_mode}")

    def _say(self, change: Change, level: str, detail: str) -> GuardFinding:
        return GuardFinding(
            self.name,
            "refuse" if level == "refuse" else "review",
            change.path,
            None,
            detail,
            "make this change yourself",
        )
