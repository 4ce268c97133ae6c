"""Zero-context hunks of a commit, and their reverse on a later tree: two edits two lines apart are two hunks.

A hunk is kept as line numbers and bytes, never as patch text, so any encoding and line ending goes through untouched.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from zwarm_ci.git import ZERO
from zwarm_ci.private import Change, PrivateRepository

_HEADER = re.compile(rb"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", re.MULTILINE)
_ABSENT = "000000"
_TEXT_MODES = frozenset({"100644", "100755"})


@dataclass(frozen=True, slots=True)
class Span:
    """Lines `start`..`start + count` (from 0, end exclusive) of one file; `count` 0 = the gap before line `start`."""

    start: int
    count: int

    @property
    def end(self) -> int:
        """The first line after it."""
        return self.start + self.count


@dataclass(frozen=True, slots=True)
class Hunk:
    """One separable change of `path`.

    Attributes:
        span: the lines that it put into the file, in today's file (the base's).
        removed: the lines that it took away, which its reverse brings back.
        added: the lines that it put there.
        whole: for a file that was made, deleted, replaced as binary, or whose mode changed: the state before
            (mode, blob), `000000` = there was none. Then span and lines are empty.
    """

    path: str
    span: Span = Span(0, 0)
    removed: tuple[bytes, ...] = ()
    added: tuple[bytes, ...] = ()
    whole: tuple[str, str] | None = None

    @property
    def place(self) -> str:
        """`path:12-14` in today's file, lines from 1."""
        if self.whole is not None:
            return self.path
        first, last = self.span.start + 1, self.span.end
        return f"{self.path}:{first}" if last <= first else f"{self.path}:{first}-{last}"


@dataclass(frozen=True, slots=True)
class Found:
    """The hunks of a difference that can be reversed on the base, and in one sentence each why others cannot."""

    hunks: tuple[Hunk, ...]
    left_out: tuple[str, ...]


def hunks_of(repo: PrivateRepository, old: str, new: str, base: str, keep_out: Callable[[str], bool]) -> Found:
    """The hunks of `old`..`new` as they stand in `base`, files for which `keep_out` is true left aside."""
    today = {path: (mode, blob) for mode, blob, path in _entries(repo, base)}
    found: list[Hunk] = []
    left_out: list[str] = []
    for change in repo.changes(old, new):
        if keep_out(change.path):
            continue
        now = today.get(change.path, (_ABSENT, ZERO))
        if _is_edit(change):
            got, lost = _edits(repo, change, now)
        else:
            got, lost = _whole(change, now)
        found += got
        left_out += lost
    return Found(tuple(found), tuple(left_out))


def reverse(repo: PrivateRepository, base: str, hunks: Iterable[Hunk]) -> str:
    """The tree id of `base` with `hunks` undone."""
    by_path: dict[str, list[Hunk]] = {}
    for hunk in hunks:
        by_path.setdefault(hunk.path, []).append(hunk)
    modes = {path: mode for mode, _, path in _entries(repo, base)} if by_path else {}
    return repo.with_entries(
        base, [_entry(repo, base, p, modes.get(p, _ABSENT), group) for p, group in sorted(by_path.items())]
    )


def replaced(repo: PrivateRepository, base: str, path: str, content: bytes) -> str:
    """The tree id of `base` with other content in a file that it has."""
    mode = next(mode for mode, _, name in _entries(repo, base) if name == path)
    return repo.with_entries(base, [_line(repo, mode, path, content)])


def undone(content: bytes, hunks: Iterable[Hunk]) -> bytes:
    """`content` of today's file with the hunks' lines put back."""
    lines = split(content)
    for hunk in sorted(hunks, key=lambda h: (h.span.start, h.span.count), reverse=True):
        lines[hunk.span.start : hunk.span.end] = hunk.removed
    # A file's last line may lack its newline; where it is the last no more, it needs one.
    return b"".join(line if line.endswith(b"\n") else line + b"\n" for line in lines[:-1]) + b"".join(lines[-1:])


def split(content: bytes) -> list[bytes]:
    """Lines as git counts them: by LF alone, each with its own ending."""
    lines = content.split(b"\n")
    return [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def _is_edit(change: Change) -> bool:
    return change.old_mode in _TEXT_MODES and change.new_mode in _TEXT_MODES


def _edits(repo: PrivateRepository, change: Change, now: tuple[str, str]) -> tuple[list[Hunk], list[str]]:
    """The hunks inside one file, moved to where they are today."""
    if now[0] not in _TEXT_MODES:
        return [], [f"{change.path} is gone or of another kind by now"]
    found: list[Hunk] = []
    lost: list[str] = []
    if change.old_mode != change.new_mode and now[0] == change.new_mode:
        found.append(Hunk(change.path, whole=(change.old_mode, now[1])))
    spans = _spans(repo, change.old, change.new)
    if not spans and change.old != change.new:
        got, left = _whole(change, now)
        return found + got, left
    later = _spans(repo, change.new, now[1])
    old, new = split(_blob(repo, change.old)), split(_blob(repo, change.new))
    for before, after in spans:
        moved = _today(after, later)
        if moved is None:
            lost.append(f"later commits moved over {change.path}:{after.start + 1}")
        else:
            found.append(
                Hunk(change.path, moved, tuple(old[before.start : before.end]), tuple(new[after.start : after.end]))
            )
    return found, lost


def _whole(change: Change, now: tuple[str, str]) -> tuple[list[Hunk], list[str]]:
    if now != (change.new_mode, change.new):
        return [], [f"{change.path} was changed again later"]
    return [Hunk(change.path, whole=(change.old_mode, change.old))], []


def _spans(repo: PrivateRepository, old: str, new: str) -> list[tuple[Span, Span]]:
    """Where two blobs differ, by git's own zero-context difference; none for equal or binary ones."""
    if old == new:
        return []
    said = repo.git.run(
        "diff", "-U0", "--no-ext-diff", "--no-textconv", "--no-color", "--diff-algorithm=histogram", "--no-indent-heuristic",
        "--inter-hunk-context=0", old, new,
    ).stdout  # fmt: skip
    return [(_span(m.group(1), m.group(2)), _span(m.group(3), m.group(4))) for m in _HEADER.finditer(b"\n" + said)]


def _span(start: bytes, count: bytes | None) -> Span:
    """A header's `start,count` from 0; for count 0 git names the line before the gap."""
    number, lines = int(start), 1 if count is None else int(count)
    return Span(number if lines == 0 else number - 1, lines)


def _today(span: Span, later: Sequence[tuple[Span, Span]]) -> Span | None:
    """Where lines of the commit's version are today; None where a later change reaches into them."""
    shift = 0
    for before, after in later:
        if before.count == span.count == 0 and before.start == span.start:
            return None  # lines came into the very gap: before or after them is not known
        if before.end <= span.start:
            shift += after.count - before.count
        elif before.start < span.end:
            return None
    return Span(span.start + shift, span.count)


def _blob(repo: PrivateRepository, blob: str) -> bytes:
    return repo.git.run("cat-file", "blob", blob).stdout


def _entries(repo: PrivateRepository, tree: str) -> list[tuple[str, str, str]]:
    """(mode, object, path) of every file in `tree`."""
    found = []
    for line in repo.git.run("ls-tree", "-r", "-z", tree).stdout.split(b"\0"):
        if line:
            meta, _, name = line.partition(b"\t")
            mode, _, blob = meta.decode().split()
            found.append((mode, blob, os.fsdecode(name)))
    return found


def _entry(repo: PrivateRepository, base: str, path: str, mode: str, group: list[Hunk]) -> bytes:
    """The index line of a path with `group` undone."""
    edits = [hunk for hunk in group if hunk.whole is None]
    for hunk in group:
        if hunk.whole is not None:
            mode, blob = hunk.whole
            if not edits:
                return f"{mode} {blob}\t".encode() + os.fsencode(path)
    return _line(repo, mode, path, undone(repo.read(base, path) or b"", edits))


def _line(repo: PrivateRepository, mode: str, path: str, content: bytes) -> bytes:
    blob = repo.git.text("hash-object", "-w", "--stdin", stdin=content)
    return f"{mode} {blob}\t".encode() + os.fsencode(path)
