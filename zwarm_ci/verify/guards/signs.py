"""What guards of source code share: signs of a kind found in a file, and those of a patch that its base did not have.

Signs are compared by what they say, not by their line, so that moved or reformatted code is no news.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from zwarm_ci.verify.guards.base import Patch

PYTHON = frozenset({".py", ".pyi", ".pyx", ".pyw"})
SCRIPT = frozenset({".js", ".jsx", ".ts", ".tsx", ".mjs", ".cjs", ".mts", ".cts", ".vue", ".svelte"})
CODE = (
    PYTHON
    | SCRIPT
    | frozenset(
        {
            ".go",
            ".rs",
            ".rb",
            ".java",
            ".kt",
            ".cs",
            ".php",
            ".c",
            ".cc",
            ".cpp",
            ".h",
            ".swift",
            ".scala",
            ".ex",
            ".exs",
            ".lua",
            ".sh",
        }
    )
)
#: Characters that are read of a file and of a line: more is no source that a person wrote, and is said to be unreadable.
MOST, LONGEST = 2_000_000, 20_000
_COMMENT = re.compile(r"//[^\n]*|/\*[\s\S]*?\*/|(\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)")
_HASH = re.compile(r"#[^\n]*|(\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*')")


@dataclass(frozen=True, slots=True)
class Sign:
    """One place that means something. `strong`: it can fool a runner by itself; `plain`: common in honest code too."""

    kind: str
    text: str
    line: int
    strong: bool = True
    plain: bool = False


def tree(text: str) -> ast.Module | None:
    """The syntax tree; None where the text is no Python."""
    if len(text) > MOST:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def code_only(path: str, text: str) -> str:
    """The text with comments blanked, strings kept; lines stay where they are."""
    pattern = _HASH if PurePosixPath(path).suffix in {*PYTHON, ".rb", ".sh", ".ex", ".exs"} else _COMMENT
    return pattern.sub(lambda m: m[1] or "\n" * m[0].count("\n"), text[:MOST])


def unreadable(text: str) -> str:
    """Why a source file cannot be read as one ("" = it can)."""
    if len(text) > MOST:
        return f"{len(text)} characters, too many to be read"
    if "\x00" in text:
        return "binary content in a source file"
    longest = max((len(line) for line in text.split("\n")), default=0)
    return f"a line of {longest} characters, too long to be read" if longest > LONGEST else ""


def fresh(
    patch: Patch, paths: list[str], read: Callable[[str, str], list[Sign]]
) -> Iterator[tuple[str, Sign, frozenset[str]]]:
    """(path, sign, kinds that this file had before) of every sign that the patch adds."""
    before: Counter[tuple[str, str]] = Counter()
    kinds: dict[str, frozenset[str]] = {}
    for path in paths:
        old = read(path, patch.old(path))
        before.update((s.kind, s.text) for s in old)
        kinds[path] = frozenset(s.kind for s in old)
    for path in paths:
        touched = _touched(patch, path)
        for sign in read(path, patch.new(path)):
            if touched is not None and sign.line not in touched:
                continue
            if before[sign.kind, sign.text] > 0:
                before[sign.kind, sign.text] -= 1
            else:
                yield path, sign, kinds[path]


def _touched(patch: Patch, path: str) -> frozenset[int] | None:
    """In a person's mending of a file that does not parse on the base: the lines that changed, as no sign of the base is known."""
    if patch.rules.strict or PurePosixPath(path).suffix not in PYTHON or tree(patch.old(path)) is not None:
        return None
    return frozenset(n for h in patch.hunks(path) for n in range(h.new_start, h.new_start + len(h.new)))
