"""Secrets: nothing that looks like a credential, and nothing ignored or secret that a check was given, leaves in a patch."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from zwarm_ci.scrub import concealed, find_secrets, is_secret_path
from zwarm_ci.verdict import GuardFinding
from zwarm_ci.verify.guards.base import Family, Patch


class Secrets:
    """Refuses files named like secrets, files listed under `include`, and token-shaped text in added lines."""

    name = "secret"
    family: Family = "reach"
    firm = True

    def look(self, patch: Patch) -> Iterator[GuardFinding]:
        for change in patch.changes:
            if change.status == "D":
                continue
            if is_secret_path(change.path):
                yield GuardFinding(
                    self.name,
                    "refuse",
                    change.path,
                    None,
                    "the name is that of a file of secrets",
                    "commit it yourself",
                )
            elif any(fnmatchcase(change.path, glob) for glob in patch.rules.included):
                detail = "an ignored file that a check was given (include) is in the patch"
                yield GuardFinding(self.name, "refuse", change.path, None, detail, "commit it yourself")
        known = concealed()
        for path, line, text in patch.added():
            if any(value in text for value in known):
                detail = "a value that a check was given in secret"
                yield GuardFinding(self.name, "refuse", path, line, detail, "commit it yourself")
            for found in find_secrets(text):
                yield GuardFinding(
                    self.name, "refuse", path, line, f"looks like a credential: {found}", "commit it yourself"
                )
