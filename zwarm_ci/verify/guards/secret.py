"""Secrets: nothing that looks like a credential, and nothing ignored or secret that a check was given, leaves in a patch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from zwarm_ci.protected import is_test
from zwarm_ci.scrub import concealed, find_secrets, guessed_secrets, is_secret_path
from zwarm_ci.verdict import GuardFinding
from zwarm_ci.verify.guards.base import Family, Patch

_ALLOW = "take it out of the patch; commit it yourself if it is none"
#: Settings of a tool that are named like secrets for what they may hold; what they do hold is looked at line by line.
_OFTEN_PLAIN = re.compile(r"(?:^|/)\.(?:npmrc|pypirc)$|(?:^|/)secrets?\.(?:json|ya?ml|toml)$|\.envrc$")


class Secrets:
    """Refuses files named like secrets, files listed under `include`, and token-shaped text; a likely guess asks for review."""

    name = "secret"
    family: Family = "reach"
    firm = True

    def look(self, patch: Patch) -> Iterator[GuardFinding]:
        for change in patch.changes:
            if change.status == "D":
                continue
            if is_secret_path(change.path) and (change.status == "A" or patch.rules.strict):
                level = (
                    "review"
                    if not patch.rules.strict and (is_test(change.path) or _OFTEN_PLAIN.search(change.path))
                    else "refuse"
                )
                detail = "the name is that of a file of secrets"
                yield GuardFinding(
                    self.name, "refuse" if level == "refuse" else "review", change.path, None, detail, _ALLOW
                )
            elif any(fnmatchcase(change.path, glob) for glob in patch.rules.included):
                detail = "an ignored file that a check was given (include) is in the patch"
                yield GuardFinding(self.name, "refuse", change.path, None, detail, _ALLOW)
        yield from self._lines(patch)

    def _lines(self, patch: Patch) -> Iterator[GuardFinding]:
        known = concealed()
        gone = "\n".join(text for _, _, text in patch.removed())  # what only moved is no news
        for path, line, text in patch.added():
            if any(value in text for value in known):
                yield GuardFinding(self.name, "refuse", path, line, "a value that a check was given in secret", _ALLOW)
            for found in find_secrets(text):
                moved = found.removesuffix("…") in gone and text.strip() in gone
                key = "PRIVATE KEY" in text and is_test(path) and not patch.rules.strict
                if not moved:
                    detail = f"looks like a credential: {found}"
                    yield GuardFinding(self.name, "review" if key else "refuse", path, line, detail, _ALLOW)
            locked = (
                PurePosixPath(path).suffix in {".lock", ".sum", ".snap", ".svg", ".map"}
                or "lock" in PurePosixPath(path).name
            )
            if locked or (not patch.rules.strict and is_test(path)):
                continue
            for found in guessed_secrets(text):
                if text.strip() not in gone:
                    yield GuardFinding(self.name, "review", path, line, f"may be a credential: {found}", _ALLOW)
