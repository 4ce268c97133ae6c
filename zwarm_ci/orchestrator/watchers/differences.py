"""A session's patch as files with the lines that came and went; of what git itself wrote, so every line is where it belongs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from zwarm_ci.orchestrator.watchers.base import FileChange
from zwarm_ci.scrub import decode

_FILE = b"diff --git "
_HUNK = re.compile(rb"^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")


def files_of(patch: bytes, paths: Sequence[str]) -> tuple[FileChange, ...]:
    """The files of a patch; `paths` are their names in the patch's order, as git counts them (`sessions.place.changed`)."""
    return tuple(_file(path, lines) for path, lines in zip(paths, _sections(patch), strict=False))


def _sections(patch: bytes) -> Iterator[list[bytes]]:
    """The lines of each file, below its `diff --git`; no line of a hunk begins so, for each has a mark before it."""
    lines: list[bytes] | None = None
    for line in patch.split(b"\n"):
        if line.startswith(_FILE):
            if lines is not None:
                yield lines
            lines = []
        elif lines is not None:
            lines.append(line)
    if lines is not None:
        yield lines


def _file(path: str, lines: list[bytes]) -> FileChange:
    marked: dict[bytes, list[str]] = {b"+": [], b"-": []}
    gone = come = 0
    binary = False
    for line in lines:
        if gone > 0 or come > 0:
            mark = line[:1]
            if mark in marked:
                marked[mark].append(decode(line[1:]))
            gone -= mark in {b"-", b" ", b""}
            come -= mark in {b"+", b" ", b""}
        elif header := _HUNK.match(line):
            gone, come = (int(n) if n is not None else 1 for n in header.groups())
        else:
            binary = binary or line.startswith((b"GIT binary patch", b"Binary files "))
    return FileChange(path, tuple(marked[b"+"]), tuple(marked[b"-"]), binary)
