"""What decides how git reads and writes a repository of ours, remembered, so that nobody who can reach it changes it unseen.

An executor without a sandbox knows from its worktree where the run's private repository is. A filter or attribute put there
would have verification check out something else than what is delivered.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

_FILES = (
    "config",
    "config.worktree",
    "shallow",
    "info/attributes",
    "info/grafts",
    "info/sparse-checkout",
    "hooks",
    "objects/info/alternates",
)


@dataclass(slots=True)
class Seal:
    """The settings, attributes, hooks and borrowed places of one repository as they were last known to be ours."""

    top: Path
    kept: dict[str, bytes] = field(default_factory=dict)

    def take(self) -> None:
        """What stands there now is ours."""
        self.kept = _read(self.top)

    @property
    def digest(self) -> str:
        """SHA-256 of what was taken, for whoever comes back later."""
        return hashlib.sha256(repr(sorted(self.kept.items())).encode()).hexdigest()

    def mend(self) -> tuple[str, ...]:
        """Put everything back as it was; the files that were not."""
        now = _read(self.top)
        changed = tuple(sorted(name for name in {*now, *self.kept} if now.get(name) != self.kept.get(name)))
        for name in changed:
            path = self.top / name
            if path.is_symlink() or not path.is_dir():
                path.unlink(missing_ok=True)
            else:
                shutil.rmtree(path)
            if name in self.kept:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self.kept[name])
        return changed


def _read(top: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for name in _FILES:
        path = top / name
        if path.is_symlink():  # we make none
            found[name] = b"-> " + os.fsencode(path.readlink())
        elif path.is_file():
            found[name] = path.read_bytes()
        elif path.is_dir():
            for below in sorted(path.rglob("*")):
                if below.is_symlink() or not below.is_dir():
                    held = b"-> " + os.fsencode(below.readlink()) if below.is_symlink() else below.read_bytes()
                    found[below.relative_to(top).as_posix()] = held
    return found
