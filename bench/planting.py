"""Edits for a benchmark: harmless ones, one that breaks behaviour, and lint; each replaces one line of a file.

Pure functions of source texts; the caller decides by running tests and linters which edits to believe.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

GAP = 3  # unchanged lines between two edits, so that each is a hunk of its own
UNUSED_MODULES = ("colorsys", "wave", "zipapp")
_SWAPS: Mapping[type[ast.AST], tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "+"),
    ast.And: ("and", "or"),
    ast.Or: ("or", "and"),
}


@dataclass(frozen=True, slots=True)
class Edit:
    """Line `line` (from 1) of `path` becomes the lines `after`; `what` says it in a word."""

    path: str
    line: int
    after: tuple[str, ...]
    what: str


def apply(text: str, edits: Iterable[Edit]) -> str:
    """`text` with edits of different lines."""
    lines = text.splitlines(keepends=True)
    for edit in edits:
        lines[edit.line - 1] = "".join(f"{line}\n" for line in edit.after)
    return "".join(lines)


def far_from(edit: Edit, others: Iterable[Edit]) -> bool:
    """Whether `edit` stays a hunk of its own beside the others."""
    return all(o.path != edit.path or abs(o.line - edit.line) > GAP for o in others)


def harmless(path: str, text: str, pick: random.Random) -> list[Edit]:
    """Edits that change no behaviour, in an order drawn by `pick`: a comment, a blank line, a pair of parentheses."""
    lines = text.splitlines()
    found: list[Edit] = []
    for stmt in _statements(text):
        before = lines[stmt.lineno - 1]
        if stmt.lineno != stmt.end_lineno or not _alone(stmt, before):
            continue
        indent = before[: stmt.col_offset]
        kinds: list[tuple[tuple[str, ...], str]] = [((f"{indent}# looked at again", before), "comment")]
        if stmt.lineno > 1 and lines[stmt.lineno - 2].strip():
            kinds.append((("", before), "blank line"))
        if "#" not in before:
            kinds.append(((f"{before}  # as before",), "comment behind"))
        if isinstance(stmt, ast.Return) and stmt.value and not isinstance(stmt.value, ast.Tuple | ast.Yield):
            kinds.append(((f"{indent}return ({ast.get_source_segment(text, stmt.value)})",), "parentheses"))
        after, what = pick.choice(kinds)
        found.append(Edit(path, stmt.lineno, after, what))
    pick.shuffle(found)
    return found


def breaking(path: str, text: str, pick: random.Random) -> list[Edit]:
    """Edits of one operator, number or returned value inside functions, in an order drawn by `pick`."""
    lines = text.splitlines()
    found = []
    for function in ast.walk(ast.parse(text)):
        if isinstance(function, ast.FunctionDef):
            for node in (n for stmt in function.body for n in ast.walk(stmt)):
                for line, start, end, new in _mutations(node, lines):
                    old = lines[line - 1]
                    found.append(Edit(path, line, (old[:start] + new + old[end:],), f"{old[start:end]} -> {new}"))
    found = list(dict.fromkeys(found))
    pick.shuffle(found)
    return found


def unused_import(path: str, text: str, module: str) -> Edit | None:
    """An import that nothing needs, after the first one that the module has; None where it has none on one line."""
    lines = text.splitlines()
    for stmt in ast.parse(text).body:
        future = isinstance(stmt, ast.ImportFrom) and stmt.module == "__future__"
        if isinstance(stmt, ast.Import | ast.ImportFrom) and not future and stmt.lineno == stmt.end_lineno:
            if module in text or not _alone(stmt, lines[stmt.lineno - 1]):
                return None
            return Edit(path, stmt.lineno, (lines[stmt.lineno - 1], f"import {module}"), f"unused import of {module}")
    return None


def needless_f(path: str, text: str) -> Iterator[Edit]:
    """String literals that become f-strings without a placeholder; whether ruff sees it so is for the caller to try."""
    lines = text.splitlines()
    for stmt in _statements(text):
        for node in ast.walk(stmt):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.lineno == node.end_lineno:
                line = lines[node.lineno - 1]
                literal = line[node.col_offset : node.end_col_offset]
                if line.isascii() and literal[:1] in {"'", '"'} and not set(literal) & set("{}\\"):
                    after = (f"{line[: node.col_offset]}f{line[node.col_offset :]}",)
                    yield Edit(path, node.lineno, after, "f-string without a placeholder")


def _statements(text: str) -> Iterator[ast.stmt]:
    """Statements inside functions, docstrings and definitions left out."""
    for function in ast.walk(ast.parse(text)):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                plain = isinstance(node, ast.Assign | ast.AugAssign | ast.Return | ast.Raise | ast.Expr)
                if isinstance(node, ast.stmt) and plain and not _is_text(node):
                    yield node


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _alone(stmt: ast.stmt, line: str) -> bool:
    """Whether nothing else is on the statement's line; columns are bytes, so lines must be ASCII."""
    rest = line[stmt.end_col_offset :].strip()
    return line.isascii() and not line[: stmt.col_offset].strip() and (not rest or rest.startswith("#"))


def _mutations(node: ast.AST, lines: list[str]) -> Iterator[tuple[int, int, int, str]]:
    """(line, start column, end column, new text) of each change of `node` that stays on one line."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        yield from _swap(node.left, node.ops[0], node.comparators[0], lines)
    elif isinstance(node, ast.BinOp):
        yield from _swap(node.left, node.op, node.right, lines)
    elif isinstance(node, ast.BoolOp):
        for left, right in zip(node.values, node.values[1:], strict=False):
            yield from _swap(left, node.op, right, lines)
    elif isinstance(node, ast.Constant) and type(node.value) is int and lines[node.lineno - 1].isascii():
        yield node.lineno, node.col_offset, node.end_col_offset or 0, str(node.value + 1)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not) and lines[node.lineno - 1].isascii():
        yield (
            node.lineno,
            node.col_offset,
            node.operand.col_offset,
            "" if node.lineno == node.operand.lineno else "not ",
        )


def _swap(left: ast.expr, op: ast.AST, right: ast.expr, lines: list[str]) -> Iterator[tuple[int, int, int, str]]:
    line = lines[right.lineno - 1]
    if type(op) in _SWAPS and left.end_lineno == right.lineno and line.isascii():
        old, new = _SWAPS[type(op)]
        start, end = left.end_col_offset or 0, right.col_offset
        if line[start:end].count(old) == 1:
            yield right.lineno, start, end, line[start:end].replace(old, new)
