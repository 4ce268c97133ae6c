"""Templates on operators, conditions and numbers: the slips of one character, and conditions that are missing or the wrong way round."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

from zwarm_ci.repair.source import NEAR, Raw, Source

_COMPARE: Mapping[type[ast.cmpop], tuple[str, tuple[str, ...]]] = {
    ast.Lt: ("<", ("<=", ">", ">=")),
    ast.LtE: ("<=", ("<", ">=", ">")),
    ast.Gt: (">", (">=", "<", "<=")),
    ast.GtE: (">=", (">", "<=", "<")),
    ast.Eq: ("==", ("!=", ">=", "<=", "in")),
    ast.NotEq: ("!=", ("==", ">", "<")),
    ast.Is: ("is", ("is not", "==")),
    ast.IsNot: ("is not", ("is",)),
    ast.In: ("in", ("not in", "==")),
    ast.NotIn: ("not in", ("in",)),
}
_ARITHMETIC: Mapping[type[ast.operator], tuple[str, tuple[str, ...]]] = {
    ast.Add: ("+", ("-", "*")),
    ast.Sub: ("-", ("+", "*", "/")),
    ast.Mult: ("*", ("/", "+", "**", "//", "-")),
    ast.Div: ("/", ("*", "//", "-")),
    ast.FloorDiv: ("//", ("/", "*", "%")),
    ast.Mod: ("%", ("//", "/", "*")),
    ast.Pow: ("**", ("*",)),
    ast.BitAnd: ("&", ("|", "^")),
    ast.BitOr: ("|", ("&", "^")),
    ast.BitXor: ("^", ("&", "|")),
    ast.LShift: ("<<", (">>",)),
    ast.RShift: (">>", ("<<",)),
}
_ORDER_MATTERS = (ast.Add, ast.Sub, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.LShift, ast.RShift)


def _operator(source: Source, left: ast.AST, right: ast.AST, old: str) -> tuple[int, int] | None:
    """Where operator `old` stands between two operands; comments between them are passed over."""
    start, gap = source.between(left, right)
    bare = re.sub(rb"#[^\r\n]*", lambda m: b" " * len(m.group()), gap)
    pattern = r"\s+".join(re.escape(part) for part in old.split())
    if old[0].isalpha():
        pattern = rf"\b{pattern}\b"
    match = re.search(pattern.encode(), bare)
    return (start + match.start(), start + match.end()) if match else None


def comparison(source: Source, node: ast.AST) -> Iterator[Raw]:
    """Another comparison: its boundary, its direction, its opposite."""
    if not isinstance(node, ast.Compare):
        return
    for (left, right), op in zip(pairwise([node.left, *node.comparators]), node.ops, strict=True):
        old, others = _COMPARE[type(op)]
        if place := _operator(source, left, right, old):
            for rank, new in enumerate(others):
                yield 1 if rank < 3 and new != "in" else 3, node, *place, new


def arithmetic(source: Source, node: ast.AST) -> Iterator[Raw]:
    """Another operator, operands swapped, one of them alone."""
    if not isinstance(node, ast.BinOp) or type(node.op) not in _ARITHMETIC:
        return
    old, others = _ARITHMETIC[type(node.op)]
    if place := _operator(source, node.left, node.right, old):
        for rank, new in enumerate(others):
            yield 1 if rank < 2 else 2, node, *place, new
    if isinstance(node.op, _ORDER_MATTERS):
        yield 2, node, *source.span(node), f"{source.atom(node.right)} {old} {source.atom(node.left)}"
    for side in (node.left, node.right):
        yield 3, node, *source.span(node), source.text(side)


def augmented(source: Source, node: ast.AST) -> Iterator[Raw]:
    """Another operator in `x += y`, or none."""
    if not isinstance(node, ast.AugAssign) or type(node.op) not in _ARITHMETIC:
        return
    old, others = _ARITHMETIC[type(node.op)]
    if place := _operator(source, node.target, node.value, f"{old}="):
        for new in others:
            yield 1, node, *place, f"{new}="
        yield 2, node, *place, "="


def assignment(source: Source, node: ast.AST) -> Iterator[Raw]:
    """Add to it instead of replacing it; keep the larger or smaller of the two."""
    if not isinstance(node, ast.Assign) or len(node.targets) > 1 or isinstance(node.targets[0], ast.Tuple | ast.List):
        return
    target, value = source.text(node.targets[0]), source.text(node.value)
    if place := _operator(source, node.targets[0], node.value, "="):
        for new in ("+=", "-="):
            yield 3, node, *place, new
    if not isinstance(node.value, ast.Constant | ast.Tuple | ast.Starred):
        for wrapped in (f"max({target}, {value})", f"min({target}, {value})", f"max(0, {value})"):
            yield 3, node, *source.span(node.value), wrapped


def boolean(source: Source, node: ast.AST) -> Iterator[Raw]:
    """`and` for `or`; a condition too many or the wrong way round."""
    if not isinstance(node, ast.BoolOp):
        return
    old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
    for left, right in pairwise(node.values):
        if place := _operator(source, left, right, old):
            yield 1, node, *place, new
    for dropped in node.values:
        rest = [source.atom(v) for v in node.values if v is not dropped]
        yield 2, node, *source.span(node), f" {old} ".join(rest)
    for value in node.values:
        yield 2, node, *source.span(value), source.negated(value)


def condition(source: Source, node: ast.AST) -> Iterator[Raw]:
    """The opposite of a test; `is None` where truth was asked for, and the reverse; one more condition."""
    tests = [node.test] if isinstance(node, ast.If | ast.While | ast.IfExp | ast.Assert) else []
    tests += [t for c in getattr(node, "generators", []) for t in c.ifs]
    for test in tests:
        if (
            not isinstance(test, ast.Compare) or len(test.ops) > 1
        ):  # one comparison has its opposite among the operators
            yield 1, test, *source.span(test), source.negated(test)
        if isinstance(test, ast.Name | ast.Attribute | ast.Subscript | ast.Call):
            yield 2, test, *source.span(test), f"{source.text(test)} is not None"
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            yield 2, test, *source.span(test), f"{source.atom(test.operand)} is None"
        if (
            isinstance(test, ast.Compare)
            and isinstance(test.ops[0], ast.Is | ast.IsNot)
            and source.text(test.comparators[0]) == "None"
        ):
            kept = source.atom(test.left)
            yield 2, test, *source.span(test), kept if isinstance(test.ops[0], ast.IsNot) else f"not {kept}"
    if isinstance(node, ast.While) and isinstance(node.test, ast.Constant):
        yield from ((2, node.test, *source.span(node.test), name) for name in source.names_near(node)[:4])
    if isinstance(node, ast.If | ast.While):
        yield from _more_condition(source, node.test)


def _more_condition(source: Source, test: ast.expr) -> Iterator[Raw]:
    for owner in dict.fromkeys(source.text(n.value) for n in ast.walk(test) if isinstance(n, ast.Attribute)):
        yield 2, test, *source.span(test), f"{owner} is None or {source.atom(test)}"
        yield 2, test, *source.span(test), f"{owner} is not None and {source.atom(test)}"
    for name in source.names_near(test)[:6]:
        if name not in source.text(test):
            yield 3, test, *source.span(test), f"{source.atom(test)} and {name}"
            yield 3, test, *source.span(test), f"{source.atom(test)} or not {name}"


def negation(source: Source, node: ast.AST) -> Iterator[Raw]:
    """A sign or a `not` that is too many or missing."""
    if isinstance(node, ast.UnaryOp):
        yield 1, node, *source.span(node), source.atom(node.operand)
    if isinstance(node, ast.Return) and node.value is not None:
        if isinstance(node.value, ast.Name | ast.Compare | ast.BoolOp | ast.Call | ast.Attribute):
            yield 2, node.value, *source.span(node.value), source.negated(node.value)
        if isinstance(node.value, ast.Name | ast.BinOp | ast.Call):
            yield 3, node.value, *source.span(node.value), f"-{source.atom(node.value)}"


def constant(source: Source, node: ast.AST) -> Iterator[Raw]:
    """One off, the other truth value, another text from nearby."""
    if not isinstance(node, ast.Constant) or source.is_docstring(node):
        return
    if isinstance(node.value, bool):
        yield 1, node, *source.span(node), str(not node.value)
    elif isinstance(node.value, int):
        for level, value in (
            (1, node.value + 1),
            (1, node.value - 1),
            (2, 0),
            (2, 1),
            (3, node.value * 10),
            (3, node.value // 10),
        ):
            yield level, node, *source.span(node), str(value) if value >= 0 else f"({value})"
    elif isinstance(node.value, str) and not isinstance(source.parents.get(node), ast.JoinedStr):
        if node.value.strip():
            yield from _other_strings(source, node)
        else:
            for text in ("''", "' '", "'\\n'", "', '"):
                yield 3, node, *source.span(node), text


def _other_strings(source: Source, node: ast.Constant) -> Iterator[Raw]:
    near = [
        n
        for n in source.strings
        if abs(n.lineno - node.lineno) <= NEAR
        and not source.is_docstring(n)
        and not isinstance(source.parents.get(n), ast.JoinedStr)
    ]
    for other in sorted(near, key=lambda n: abs(n.lineno - node.lineno))[:4]:
        yield 3, node, *source.span(node), source.text(other)


def one_off(source: Source, node: ast.AST) -> Iterator[Raw]:
    """`x + 1` and `x - 1` for operands of comparisons, bounds of slices, subscripts and ranges, and what is returned."""
    for level, part in _countable(node):
        if not isinstance(part, ast.Name | ast.Attribute | ast.Call | ast.BinOp | ast.Subscript):
            continue
        text = source.atom(part) if not isinstance(part, ast.BinOp) else source.text(part)
        for sign in ("+", "-"):
            yield level, part, *source.span(part), f"{text} {sign} 1"


def _countable(node: ast.AST) -> Iterator[tuple[int, ast.expr]]:
    if isinstance(node, ast.Compare):
        yield from ((2, part) for part in (node.left, *node.comparators))
    if isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Slice | ast.Tuple):
        yield 1, node.slice
    if isinstance(node, ast.Slice):
        yield from ((1, part) for part in (node.lower, node.upper) if part is not None)
    if isinstance(node, ast.Call):
        level = 1 if isinstance(node.func, ast.Name) and node.func.id == "range" else 3
        yield from ((level, part) for part in node.args)
    if isinstance(node, ast.Return) and node.value is not None:
        yield 2, node.value
    if isinstance(node, ast.Assign):
        yield 2 if isinstance(node.value, ast.Name) else 3, node.value
