"""Protected paths: tests, their data and settings, CI and tool settings are the base's."""

from __future__ import annotations

from collections.abc import Iterator

from zwarm_ci.protected import is_protected, is_setting
from zwarm_ci.verdict import GuardFinding
from zwarm_ci.verify.guards.base import Family, Patch

_WHAT = {"A": "adds", "M": "changes", "D": "deletes", "T": "changes the type of"}


class ProtectedPaths:
    """A patch that touches the oracle is refused; with `--allow-test-edits` tests go to review, settings never pass."""

    name = "protected-path"
    family: Family = "runner"
    firm = False

    def look(self, patch: Patch) -> Iterator[GuardFinding]:
        for change in patch.changes:
            if not is_protected(change.path, patch.rules.protect):
                continue
            setting = is_setting(change.path)
            allowed = patch.rules.allow_test_edits and not setting
            kind = "a setting of the checks or of CI" if setting else "a test or its data"
            yield GuardFinding(
                self.name,
                "review" if allowed else "refuse",
                change.path,
                None,
                f"{_WHAT.get(change.status, 'touches')} {kind}",
                "edit it yourself and run again" if setting else "--allow-test-edits",
            )
