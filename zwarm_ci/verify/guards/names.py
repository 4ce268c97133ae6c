"""File names that a shell, a CI system or another file system takes for something else than a name."""

from __future__ import annotations

import re
from collections.abc import Iterator

from zwarm_ci.scrub import one_line
from zwarm_ci.verdict import GuardFinding
from zwarm_ci.verify.guards.base import Family, Patch

_WHAT = (
    (re.compile(r"[\x00-\x1f\x7f\x80-\x9f\ud800-\udfff\u2028\u2029]"), "control characters or bytes that are no text"),
    (re.compile(r"(?:^|[\s/])::|##\[|%0[AaDd]|::(?:set-output|set-env|add-path|error|warning|notice|stop-commands|save-state|add-mask"
        r"|debug|group)\b"), "a workflow command"),
    (re.compile(r"(?:^|/)-"), "a leading dash, which commands take for an option"),
    (re.compile(r"(?:^|/)\.\.(?:/|$)|\\|^/|(?:^|/)~"), "a way out of the tree"),
    (re.compile(r"(?:^|/)(?:con|prn|aux|nul|com\d|lpt\d|conin\$|conout\$)(?:\.[^/]*)?(?:/|$)", re.IGNORECASE), "a device's name on Windows"),
    (re.compile(r"[<>:\"|?*]|[ .](?:/|$)"), "a name that Windows cannot hold"),
    (re.compile(r"[$`;&]\(|`|\$\(|\$\{|;|&&|\n"), "text that a shell would run"),
    (re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u00ad\U000e0000-\U000e007f]"), "invisible or direction-changing characters"),
)  # fmt: skip
_LONGEST = 240  # characters of a path that Windows still checks out below a short folder


class Names:
    """Refuses added paths whose name does something."""

    name = "file-name"
    family: Family = "reach"
    firm = False

    def look(self, patch: Patch) -> Iterator[GuardFinding]:
        for change in patch.changes:
            if change.status != "A":
                continue
            for pattern, what in _WHAT:
                if pattern.search(change.path):
                    yield self._say(change.path, f"the name has {what}: {one_line(ascii(change.path)[1:-1], 80)}")
                    break
            else:
                if len(change.path) > _LONGEST and patch.rules.strict:
                    yield self._say(change.path, f"a path of {len(change.path)} characters")

    def _say(self, path: str, detail: str) -> GuardFinding:
        return GuardFinding(self.name, "refuse", path, None, detail, "give it a plain name, or add it yourself")
