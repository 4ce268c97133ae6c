"""What a guard is given and the Protocol it follows. A guard looks at the patch alone; it runs nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from zwarm_ci.private import Change, PrivateRepository
from zwarm_ci.scrub import decode
from zwarm_ci.verdict import GuardFinding

_HUNK = re.compile(rb"^@@ -\d+(?:,\d+)? \+(\d+)(?:,\d+)? @@")


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings of the base commit that guards obey. `included`: ignored files that checks were given; never in a patch."""

    protect: tuple[str, ...] = ()
    allow_test_edits: bool = False
    max_files: int = 40
    max_lines: int = 2000
    included: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Patch:
    """The difference of a tree against the base, whoever made it."""

    repo: PrivateRepository
    base: str
    tree: str
    changes: tuple[Change, ...]
    rules: Rules

    def added(self) -> Iterator[tuple[str, int, str]]:
        """(path, line number in the new file, text) of every added line of text files."""
        for change in self.changes:
            if change.new_mode not in {"100644", "100755"}:
                continue
            number = 0  # 0 = still in the header, whose `+++` is none of the file's
            for line in self.repo.git.run(
                "diff-tree", "-p", "-r", "-U0", "--text", "--no-renames", "--no-ext-diff", "--no-textconv", self.base, self.tree,
                "--", f":(top,literal){change.path}",
            ).stdout.split(b"\n"):  # fmt: skip
                if header := _HUNK.match(line):
                    number = int(header[1])
                elif number and line.startswith(b"+"):
                    yield change.path, number, decode(line[1:])
                    number += 1


class Guard(Protocol):
    """One kind of cheating or harm. `name` is what findings are labelled with."""

    name: str

    def look(self, patch: Patch) -> Iterator[GuardFinding]:
        """Every finding in the patch, in the order of its paths."""
        ...
