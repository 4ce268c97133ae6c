"""A patch that nobody can review is not handed over as if it were reviewed."""

from __future__ import annotations

from collections.abc import Iterator

from zwarm_ci.scrub import decode
from zwarm_ci.verdict import GuardFinding
from zwarm_ci.verify.guards.base import Family, Patch


class Size:
    """Refuses more files than `verify.max_files` or more changed lines than `verify.max_lines`."""

    name = "size"
    family: Family = "reach"
    firm = False

    def look(self, patch: Patch) -> Iterator[GuardFinding]:
        files = len(patch.changes)
        if files > patch.rules.max_files:
            yield self._refuse(f"{files} files changed, the limit is {patch.rules.max_files}", "verify.max_files")
        stat = decode(patch.repo.git.run("diff-tree", "-r", "--numstat", "--no-renames", patch.base, patch.tree).stdout)
        lines = sum(int(n) for row in stat.splitlines() for n in row.split("\t")[:2] if n.isdigit())
        if lines > patch.rules.max_lines:
            yield self._refuse(f"{lines} lines changed, the limit is {patch.rules.max_lines}", "verify.max_lines")

    def _refuse(self, detail: str, key: str) -> GuardFinding:
        return GuardFinding(self.name, "refuse", "", None, detail, f"raise {key}")
