"""What a guard is given and the Protocol that it follows. A guard looks at the patch alone; it runs nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from zwarm_ci.private import Change, PrivateRepository
from zwarm_ci.protected import is_protected, is_setting, is_test
from zwarm_ci.scrub import decode
from zwarm_ci.verdict import GuardFinding

_HUNK = re.compile(rb"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_FILES = frozenset({"100644", "100755"})
#: What a guard is about. Findings of `tests` go to review under `--allow-test-edits`.
Family = Literal["tests", "runner", "asking", "thresholds", "reach", "process"]


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings of the base commit that guards obey.

    Attributes:
        protect: globs of more paths that are the oracle's.
        included: ignored files that checks were given; never in a patch.
        strict: False for people's own commits: what is not firm asks for review at most.
        about: paths that the task itself is about, such as a manifest that it names; they may change.
        commands: those of the checks that nothing here knows more of than their exit code.
    """

    protect: tuple[str, ...] = ()
    allow_test_edits: bool = False
    max_files: int = 40
    max_lines: int = 2000
    included: tuple[str, ...] = ()
    strict: bool = True
    about: frozenset[str] = frozenset()
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines that changed together, without context. Line numbers count from 1; where one side is empty, git's line before it."""

    path: str
    old_start: int
    old: tuple[str, ...]
    new_start: int
    new: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Patch:
    """The difference of a tree against the base, whoever made it. `targets`: ids that it must make green, as far as known."""

    repo: PrivateRepository
    base: str
    tree: str
    changes: tuple[Change, ...]
    rules: Rules
    targets: tuple[str, ...] = ()
    _kept: dict[tuple[str, str], object] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def between(cls, repo: PrivateRepository, base: str, tree: str, rules: Rules, targets: Sequence[str] = ()) -> Patch:
        """The difference of `tree` against the base's tree."""
        return cls(repo, base, tree, tuple(repo.changes(base, tree)), rules, tuple(targets))

    def old_bytes(self, path: str) -> bytes:
        """The base's content of a path, a link's target included; empty where there is none."""
        return self._blob(self.base, path)

    def new_bytes(self, path: str) -> bytes:
        """The patched content of a path; empty where there is none."""
        return self._blob(self.tree, path)

    def old(self, path: str) -> str:
        """The base's text of a path; what is not UTF-8 becomes U+FFFD."""
        return decode(self.old_bytes(path))

    def new(self, path: str) -> str:
        """The patched text of a path."""
        return decode(self.new_bytes(path))

    def _blob(self, rev: str, path: str) -> bytes:
        key = (rev, path)
        if ("blobs", "") not in self._kept:
            self._kept["blobs", ""] = True
            self._fetch()
        if key not in self._kept:
            self._kept[key] = self.repo.read(rev, path) or b""
        found = self._kept[key]
        assert isinstance(found, bytes)
        return found

    def _fetch(self) -> None:
        """Both sides of every changed file and link at once: a process each would be most of what guards take."""
        wanted = [
            (rev, c.path, blob)
            for c in self.changes
            for rev, mode, blob in ((self.base, c.old_mode, c.old), (self.tree, c.new_mode, c.new))
            if mode in {*_FILES, "120000"}
        ]
        asked = "".join(f"{blob}\n" for _, _, blob in wanted).encode()
        said = self.repo.git.run("cat-file", "--batch", stdin=asked).stdout if wanted else b""
        at = 0
        for rev, path, _ in wanted:
            end = said.index(b"\n", at)
            head = said[at:end].split()
            if len(head) != 3:  # `missing`: in a partial clone
                at = end + 1
                continue
            size = int(head[2])
            self._kept[rev, path] = said[end + 1 : end + 1 + size]
            at = end + 1 + size + 1

    def files(self, *, patched: bool = True) -> Sequence[str]:
        """Every path of the patched tree, or of the base's."""
        rev = self.tree if patched else self.base
        key = ("files of", rev)
        if key not in self._kept:
            self._kept[key] = tuple(self.repo.files(rev))
        found = self._kept[key]
        assert isinstance(found, tuple)
        return found

    def is_test(self, path: str) -> bool:
        """Whether a path is a test, its data or helper, by convention or by `protect`; settings are none."""
        return not is_setting(path) and is_protected(path, self.rules.protect)

    def is_setting(self, path: str) -> bool:
        """Whether a path decides how checks run."""
        return is_setting(path)

    def is_source(self, path: str) -> bool:
        """Whether a path is neither a test nor a setting."""
        return not is_test(path) and not self.is_setting(path) and not self.is_test(path)

    def hunks(self, path: str = "") -> tuple[Hunk, ...]:
        """The changed lines of all text files, or of one, in the order of paths and lines."""
        key = ("hunks of", "")
        if key not in self._kept:
            self._kept[key] = tuple(self._hunks())
        found = self._kept[key]
        assert isinstance(found, tuple)
        return tuple(h for h in found if h.path == path) if path else found

    def _hunks(self) -> Iterator[Hunk]:
        shown = self.repo.git.run(
            "diff-tree", "-p", "-r", "-U0", "--text", "--no-renames", "--no-ext-diff", "--no-textconv", self.base, self.tree
        ).stdout.split(b"\n")  # fmt: skip
        # A section a path, in the order of the changes; a changed type is a deletion and an addition. No name need be unquoted.
        paths = iter([c for c in self.changes for _ in range(2 if c.status == "T" else 1)])
        change, at = None, 0
        while at < len(shown):
            if shown[at].startswith(b"diff --git "):
                change = next(paths)
            header = _HUNK.match(shown[at])
            at += 1
            if not header or change is None:
                continue
            gone, come = (int(n) if n is not None else 1 for n in (header[2], header[4]))
            lines: dict[bytes, list[str]] = {b"-": [], b"+": []}
            while at < len(shown) and (len(lines[b"-"]) < gone or len(lines[b"+"]) < come):
                if shown[at][:1] in lines:
                    lines[shown[at][:1]].append(decode(shown[at][1:]))
                at += 1
            if {change.old_mode, change.new_mode} & _FILES:
                yield Hunk(change.path, int(header[1]), tuple(lines[b"-"]), int(header[3]), tuple(lines[b"+"]))

    def added(self) -> Iterator[tuple[str, int, str]]:
        """(path, line number in the new file, text) of every added line of text files."""
        for hunk in self.hunks():
            for number, text in enumerate(hunk.new, hunk.new_start):
                yield hunk.path, number, text

    def removed(self) -> Iterator[tuple[str, int, str]]:
        """(path, line number in the old file, text) of every removed line of text files."""
        for hunk in self.hunks():
            for number, text in enumerate(hunk.old, hunk.old_start):
                yield hunk.path, number, text


class Guard(Protocol):
    """One kind of cheating or harm.

    Attributes:
        name: what findings are labelled with.
        family: see `Family`.
        firm: refuses people's own commits too (`verify.strict = false`).
    """

    name: str
    family: Family
    firm: bool

    def look(self, patch: Patch) -> Iterator[GuardFinding]:
        """Every finding in the patch, in the order of its paths, with the level of a strict verification.

        A guard that has nothing to say of an honest person's commit looks at `patch.rules.strict` itself.
        """
        ...


def levelled(guard: Guard, finding: GuardFinding, rules: Rules) -> GuardFinding:
    """The finding with the level that the rules give it; never silenced."""
    eased = (guard.family == "tests" and rules.allow_test_edits) or (not rules.strict and not guard.firm)
    return replace(finding, level="review") if eased else finding
