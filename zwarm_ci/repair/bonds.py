"""Which hunks only make sense together: a name's definition with its uses, and pieces that do not parse alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Sequence

from zwarm_ci.repair.hunks import Hunk, undone

#: What defines a name, in the languages that the checks know; group 1 or 2 is the name.
_DEFINES = re.compile(
    rb"\b(?:def|class|function|func|fn|const|let|var|struct|type|interface|enum|trait|mod)\s+([A-Za-z_]\w*)|^[^\S\n]*([A-Za-z_]\w*)\s*(?::[^=\n]+)?=[^=]",
    re.MULTILINE,
)
_IMPORTS = re.compile(rb"^[^\S\n]*(?:from\s+\S+\s+)?import\s+(.+)$", re.MULTILINE)
_WORD = re.compile(rb"[A-Za-z_]\w*")


class Bonds:
    """For hunks to be reversed: which others must be reversed with each. Positions in `hunks` stand for hunks."""

    def __init__(self, hunks: Sequence[Hunk]) -> None:
        self.hunks = tuple(hunks)
        self._needs = self._by_name()

    def closed(self, chosen: Iterable[int]) -> frozenset[int]:
        """`chosen` with all that must move with it."""
        found: set[int] = set()
        left = list(chosen)
        while left:
            item = left.pop()
            if item not in found:
                found.add(item)
                left.extend(self._needs[item] - found)
        return frozenset(found)

    def tie_what_does_not_parse(self, content: Callable[[str], bytes | None]) -> None:
        """Tie each Python hunk whose reverse alone does not parse to the nearest hunks of its file, until it does."""
        for number, hunk in enumerate(self.hunks):
            if hunk.whole is not None or not hunk.path.endswith(".py"):
                continue
            text = content(hunk.path)
            if text is None or not parses(text):
                continue
            self._needs[number] |= self._until_it_parses(number, text)

    def _until_it_parses(self, number: int, text: bytes) -> set[int]:
        hunk = self.hunks[number]
        beside = sorted(
            (n for n, h in enumerate(self.hunks) if n != number and h.path == hunk.path and h.whole is None),
            key=lambda n: abs(self.hunks[n].span.start - hunk.span.start),
        )
        together = {number}
        if parses(undone(text, [hunk])):
            return set()
        for other in beside:  # one companion is the common case: an opening and its closing
            if parses(undone(text, [hunk, self.hunks[other]])):
                return {other}
        for other in beside:
            together.add(other)
            if parses(undone(text, [self.hunks[n] for n in together])):
                return together - {number}
        return set()

    def _by_name(self) -> list[set[int]]:
        """Reversing what brought a definition takes its uses along; reversing what removed a use takes the definition back in."""
        needs: list[set[int]] = [set() for _ in self.hunks]
        made = [_defined(h.added) - _defined(h.removed) for h in self.hunks]
        gone = [_defined(h.removed) - _defined(h.added) for h in self.hunks]
        new_uses = [_words(h.added) - _words(h.removed) for h in self.hunks]
        old_uses = [_words(h.removed) - _words(h.added) for h in self.hunks]
        for one in range(len(self.hunks)):
            for other in range(len(self.hunks)):
                if one != other:
                    if made[one] & (new_uses[other] - made[other]):
                        needs[one].add(other)
                    if gone[one] & (old_uses[other] - gone[other]):
                        needs[other].add(one)
        return needs


def parses(text: bytes) -> bool:
    """Whether Python text parses with our own interpreter."""
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _defined(lines: Iterable[bytes]) -> frozenset[bytes]:
    text = b"".join(lines)
    names = {m.group(1) or m.group(2) for m in _DEFINES.finditer(text)}
    for imported in _IMPORTS.finditer(text):
        for part in imported.group(1).split(b","):
            if words := _WORD.findall(part):
                names.add(words[-1])
    return frozenset(names)


def _words(lines: Iterable[bytes]) -> frozenset[bytes]:
    return frozenset(_WORD.findall(b"".join(lines)))
