"""What is not a plain file, and names that are two files on one system and one on another: links, submodules, modes, collisions."""

from __future__ import annotations

import posixpath
import unicodedata
from collections import Counter
from collections.abc import Iterator

from zwarm_ci.private import Change
from zwarm_ci.scrub import decode
from zwarm_ci.verdict import GuardFinding
from zwarm_ci.verify.guards.base import Family, Patch
from zwarm_ci.verify.guards.gitfiles import is_git

_LINK, _REPOSITORY, _ABSENT = "120000", "160000", "000000"
_ALLOW = "make this change yourself"


class Modes:
    """Refuses embedded repositories, links out of the tree, paths through links; asks for review of other links and mode changes."""

    name = "file-mode"
    family: Family = "reach"
    firm = False

    def look(self, patch: Patch) -> Iterator[GuardFinding]:
        for change in patch.changes:
            yield from self._one(patch, change)
        if any(c.status == "A" for c in patch.changes):
            yield from self._collisions(patch)
            yield from self._through(patch)

    def _one(self, patch: Patch, change: Change) -> Iterator[GuardFinding]:
        strict = patch.rules.strict
        if _REPOSITORY in {change.new_mode, change.old_mode}:
            if strict or _ABSENT in {change.new_mode, change.old_mode}:
                yield self._say(change.path, "adds, moves or removes an embedded repository or submodule")
        elif change.new_mode == _LINK:
            target = decode(patch.new_bytes(change.path))
            landed = posixpath.normpath(posixpath.join(posixpath.dirname(change.path), target))
            parts = landed.split("/")
            leaves = (
                target.startswith(("/", "~", "\\"))
                or parts[0] == ".."
                or ":" in target[:3]
                or any(map(is_git, parts))
                or "\0" in target
            )
            if leaves or strict:  # people may link to what lies in the tree
                yield self._say(change.path, f"links to {target[:200]}", refuse=leaves)
        elif strict and change.status != "D" and change.old_mode not in (_ABSENT, change.new_mode):
            detail = f"mode {change.old_mode} becomes {change.new_mode}"
            yield self._say(change.path, detail, refuse=True)

    def _collisions(self, patch: Patch) -> Iterator[GuardFinding]:
        """Added paths that a file system without case or with one Unicode form holds to be another path."""
        places = Counter(_key(place) for place in {place for path in patch.files() for place in _places(path)})
        for change in patch.changes:
            if change.status != "A":
                continue
            for place in _places(change.path):
                if places[_key(place)] > 1:
                    yield self._say(change.path, f"{place} is another path's name but for case or Unicode form")
                    break

    def _through(self, patch: Patch) -> Iterator[GuardFinding]:
        links = {rev: _links(patch, rev) for rev in (patch.base, patch.tree)}
        every = links[patch.base] | links[patch.tree]
        for change in patch.changes:
            if change.status == "A" and (through := next((p for p in _places(change.path)[:-1] if p in every), "")):
                yield self._say(change.path, f"goes through {through}, which is a link")

    def _say(self, path: str, detail: str, *, refuse: bool = True) -> GuardFinding:
        return GuardFinding(self.name, "refuse" if refuse else "review", path, None, detail, _ALLOW)


def _places(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]


def _key(place: str) -> str:
    return unicodedata.normalize("NFC", place).casefold()


def _links(patch: Patch, rev: str) -> frozenset[str]:
    listed = patch.repo.git.run("ls-tree", "-r", "-z", rev).stdout.split(b"\0")
    return frozenset(decode(row.partition(b"\t")[2]) for row in listed if row.startswith(_LINK.encode()))
