"""Single edits worth trying on a suspicious line: about thirty templates, the likeliest kinds of slip first.

Each template yields (level, node, start, end, text): 1 = slips of one operator or one off, 2 = wrong name or missing condition,
3 = the long tail.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator

from zwarm_ci.repair import references, slips
from zwarm_ci.repair.source import Edit, Raw, Source

LEVELS = (1, 2, 3)
_TEMPLATES: tuple[Callable[[Source, ast.AST], Iterator[Raw]], ...] = (
    slips.comparison, slips.arithmetic, slips.augmented, slips.boolean, slips.condition, slips.negation, slips.constant, slips.one_off,
    references.slice_, references.call, references.relative, references.name, references.attribute, references.jump, references.choice,
    references.returned, references.appended, slips.assignment,
)  # fmt: skip


def edits(source: Source, lines: Iterable[int], level: int) -> Iterator[Edit]:
    """Edits of one level on the given lines, in the lines' order, each text once."""
    wanted = list(dict.fromkeys(lines))
    by_line = _by_line(source, frozenset(wanted))
    seen: set[tuple[int, int, str]] = set()
    for line in wanted:
        for raw in (raw for node in by_line.get(line, ()) for template in _TEMPLATES for raw in template(source, node)):
            at, node, start, end, text = raw
            if at == level and source.content[start:end] != text.encode() and (start, end, text) not in seen:
                seen.add((start, end, text))
                yield Edit(source.path, start, end, text, source.line(node), source.swappable(node))


def _by_line(source: Source, wanted: frozenset[int]) -> dict[int, list[ast.AST]]:
    """Nodes by the suspicious line that they belong to: their own, else their statement's."""
    found: dict[int, list[ast.AST]] = {}
    for node in ast.walk(source.tree):
        line = getattr(node, "lineno", 0)
        if not line or _within_handler_or_annotation(source, node):
            continue
        if line not in wanted:
            line = getattr(source.statement(node), "lineno", 0)
        if line in wanted:
            found.setdefault(line, []).append(node)
    return found


def _within_handler_or_annotation(source: Source, node: ast.AST) -> bool:
    """What an `except` catches and what a type hint says is no repair: the one hides errors, the other does nothing."""
    below = node
    while below in source.parents and not isinstance(below, ast.stmt):
        above = source.parents[below]
        if isinstance(above, ast.ExceptHandler) and below is above.type:
            return True
        if below is getattr(above, "annotation", None) or below is getattr(above, "returns", None):
            return True
        below = above
    return False
