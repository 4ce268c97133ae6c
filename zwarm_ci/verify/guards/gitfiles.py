"""Paths that git reads as its own: a `.git` by any spelling, addresses of submodules that run something, a repository inside."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from pathlib import PurePosixPath

from zwarm_ci.verdict import GuardFinding
from zwarm_ci.verify.guards.base import Family, Patch

#: What HFS+ leaves out when it compares names, so that it takes such a name for `.git`.
_IGNORED = re.compile(r"[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_OWN = re.compile(r"^(?:\.git|git~\d+|gi[0-9a-f]{4}~\d+)(?:[. ]*|[. ]*:.*)$", re.IGNORECASE)
_RUNS = re.compile(
    r"^[^\S\n]*(?:update\s*=\s*!|url\s*=\s*(?:-|ext::|file:|/|fd::|\S*[`$;|]|\.\./\.\./\.\.)|path\s*=\s*(?:-|/|\S*\.\.|\.git))",
    re.IGNORECASE,
)
_PARTS = frozenset({"HEAD", "config", "packed-refs"})
_ALLOW = "make this change yourself, outside of a verified patch"


class GitFiles:
    """Refuses what git itself would obey, from people too."""

    name = "git-files"
    family: Family = "reach"
    firm = True

    def look(self, patch: Patch) -> Iterator[GuardFinding]:
        for change in patch.changes:
            if any(is_git(part) for part in PurePosixPath(change.path).parts):
                detail = "writes a path that git reads as its own"
                yield GuardFinding(self.name, "refuse", change.path, None, detail, _ALLOW)
            elif change.path.rsplit("/", 1)[-1].lower() in {".gitmodules", ".lfsconfig"} and change.status != "D":
                known = set(patch.old(change.path).splitlines())
                for number, line in enumerate(patch.new(change.path).split("\n"), 1):
                    if _RUNS.match(line) and line not in known:
                        detail = f"an address or path that git would run or leave the tree by: {line.strip()[:80]}"
                        yield GuardFinding(self.name, "refuse", change.path, number, detail, _ALLOW)
            elif change.status == "A" and change.path.rsplit("/", 1)[-1] == "HEAD" and _bare(patch, change.path):
                level = "refuse" if patch.rules.strict and not patch.is_test(change.path) else "review"
                detail = "a bare repository in the tree, whose settings git obeys there"
                yield GuardFinding(
                    self.name, "refuse" if level == "refuse" else "review", change.path, None, detail, _ALLOW
                )


def is_git(part: str) -> bool:
    """Whether some file system takes a part of a path for `.git`."""
    return bool(_OWN.match(_IGNORED.sub("", unicodedata.normalize("NFKC", part))))


def _bare(patch: Patch, path: str) -> bool:
    above = path[: -len("HEAD")]
    inside = {p[len(above) :].split("/")[0] for p in patch.files() if p.startswith(above)}
    return _PARTS & inside >= {"HEAD", "config"} and bool({"objects", "refs", "packed-refs"} & inside)
