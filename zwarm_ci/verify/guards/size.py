"""A patch that nobody can review is not handed over as if it were reviewed: too much of it, programs, or text made for machines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from zwarm_ci.private import Change
from zwarm_ci.scrub import decode
from zwarm_ci.verdict import GuardFinding
from zwarm_ci.verify.guards.base import Family, Patch
from zwarm_ci.verify.guards.signs import CODE

_LARGEST = 1_000_000  # bytes of a picture or the like; more belongs into a store of its own
_MINIFIED = (
    5_000  # characters of a line of source; measured: no hand-written line of the repositories looked at is as long
)
#: First bytes of what a machine runs: ELF, Windows, Mach-O, Java, WebAssembly.
_PROGRAMS = (b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"\xfe\xed\xfa", b"\x00asm")
_PACKED = frozenset(
    {
        ".pyc",
        ".pyo",
        ".so",
        ".pyd",
        ".dll",
        ".exe",
        ".dylib",
        ".whl",
        ".egg",
        ".jar",
        ".class",
        ".wasm",
        ".node",
        ".o",
        ".a",
        ".pkl",
        ".pickle",
    }
)


#: What people do not write line by line; in their own commits it does not count.
_MADE = re.compile(
    r"\.(?:po|pot|mo|lock|snap|svg|csv|min\.js|map)$|(?:^|/)[\w.-]*lock[\w.-]*\.(?:json|ya?ml)$|(?:^|/)(?:fixtures|testdata|data|__snapshots__)/.*\.(?:json|txt|html|xml|md)$"
)


class Size:
    """Refuses more than the limits, and programs in binary; asks about large binaries and minified source."""

    name = "size"
    family: Family = "reach"
    firm = False

    def look(self, patch: Patch) -> Iterator[GuardFinding]:
        counted = frozenset(c.path for c in patch.changes if patch.rules.strict or not _MADE.search(c.path))
        files = len(counted)
        if files > patch.rules.max_files:
            yield self._refuse(f"{files} files changed, the limit is {patch.rules.max_files}", "verify.max_files")
        stat = decode(
            patch.repo.git.run("diff-tree", "-r", "--numstat", "-z", "--no-renames", patch.base, patch.tree).stdout
        )
        rows = (row.split("\t", 2) for row in stat.rstrip("\0").split("\0"))
        lines = sum(int(n) for *both, path in rows if path in counted for n in both if n.isdigit())
        if lines > patch.rules.max_lines:
            yield self._refuse(f"{lines} lines changed, the limit is {patch.rules.max_lines}", "verify.max_lines")
        for change in patch.changes:
            if change.status != "D" and change.new_mode.startswith("100"):
                yield from self._content(patch, change)

    def _content(self, patch: Patch, change: Change) -> Iterator[GuardFinding]:
        data, suffix = patch.new_bytes(change.path), PurePosixPath(change.path).suffix.lower()
        binary = b"\0" in data[:8000]
        allow = "commit it yourself"
        if binary and (data.startswith(_PROGRAMS) or suffix in _PACKED):
            yield GuardFinding(
                self.name, "refuse", change.path, None, "a program or packed code, which nobody can review", allow
            )
        elif binary and suffix in CODE and patch.rules.strict:
            yield GuardFinding(self.name, "refuse", change.path, None, "binary content in a source file", allow)
        elif binary and len(data) > _LARGEST:
            yield GuardFinding(self.name, "review", change.path, None, f"a binary file of {len(data)} bytes", allow)
        elif suffix in CODE and patch.rules.strict and patch.is_source(change.path):
            longest = max(map(len, data.split(b"\n")))
            if longest > _MINIFIED and longest > max(map(len, patch.old_bytes(change.path).split(b"\n"))):
                detail = f"a line of {longest} bytes, which nobody can review"
                yield GuardFinding(self.name, "review", change.path, None, detail, allow)

    def _refuse(self, detail: str, key: str) -> GuardFinding:
        return GuardFinding(self.name, "refuse", "", None, detail, f"raise {key}")
