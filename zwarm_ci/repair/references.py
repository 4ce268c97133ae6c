"""Templates on calls, names, slices and what is returned: the wrong thing was named, or in the wrong order."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise

from zwarm_ci.repair.source import Raw, Source

_NAMES = 8  # names tried for one that may be wrong
#: Names and methods that are mistaken for each other.
_RELATIVES = [
    "min max", "any all", "append extend", "append appendleft", "pop popleft", "add discard", "lower upper", "strip lstrip rstrip",
    "startswith endswith", "find rfind", "index rindex", "split rsplit", "keys values items", "floor ceil", "int float round", "sorted reversed",
    "partition rpartition", "ljust rjust", "removeprefix removesuffix", "union intersection difference", "update setdefault", "encode decode",
    "add update", "match search fullmatch", "sum len", "str repr", "list set", "first last", "left right", "start end", "insert append",
]  # fmt: skip


def slice_(source: Source, node: ast.AST) -> Iterator[Raw]:
    """A bound that is missing, too many, or the other one."""
    if not isinstance(node, ast.Slice):
        return
    lower, upper = (source.text(p) if p is not None else "" for p in (node.lower, node.upper))
    step = f":{source.text(node.step)}" if node.step is not None else ""
    for low, up in ((lower, ""), ("", upper), ("1", upper), (upper, lower), (lower, "-1")):
        yield 2, node, *source.span(node), f"{low}:{up}{step}"
    if step:
        yield 2, node, *source.span(node), f"{lower}:{upper}"


def call(source: Source, node: ast.AST) -> Iterator[Raw]:
    """Arguments swapped or too many, a range that begins or ends wrong, a call too many."""
    if not isinstance(node, ast.Call):
        return
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    for left, right in pairwise(node.args):
        start, end = source.span(left)[0], source.span(right)[1]
        _, gap = source.between(left, right)
        yield 2, node, start, end, source.text(right) + gap.decode() + source.text(left)
    if name == "range" and len(node.args) == 1:
        (stop,) = node.args
        yield 1, node, *source.span(stop), f"1, {source.text(stop)}"
        yield 2, node, *source.span(stop), f"1, {source.text(stop)} + 1"
    if len(node.args) == 1 and not node.keywords and not isinstance(node.args[0], ast.Starred | ast.GeneratorExp):
        yield 3, node, *source.span(node), source.atom(node.args[0])
    if isinstance(node.func, ast.Attribute) and not node.args and not node.keywords:
        yield 3, node, *source.span(node), source.text(node.func.value)
    for argument in node.args:
        if isinstance(argument, ast.Name):
            yield 3, node, *source.span(argument), f"{argument.id}[1:]"
    parts: list[ast.AST] = [*node.args, *node.keywords]
    for kept, dropped in pairwise(parts):
        yield 3, node, source.span(kept)[1], source.span(dropped)[1], ""


def relative(source: Source, node: ast.AST) -> Iterator[Raw]:
    """A name or method that is often mistaken for this one."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        written, start, end = node.id, *source.span(node)
    elif isinstance(node, ast.Attribute):
        end = source.span(node)[1]
        written, start = node.attr, end - len(node.attr.encode())
    else:
        return
    for group in _RELATIVES:
        names = group.split()
        if written in names:
            for other in names:
                yield 1, node, start, end, other


def name(source: Source, node: ast.AST) -> Iterator[Raw]:
    """Another name that is used or bound within a few lines, or an argument of the function."""
    if not isinstance(node, ast.Name) or not isinstance(node.ctx, ast.Load):
        return
    called = isinstance(parent := source.parents.get(node), ast.Call) and parent.func is node
    for rank, other in enumerate(source.names_near(node)):
        yield 3 if called or rank >= _NAMES else 2, node, *source.span(node), other
    attributes = source.own_attributes(node)
    for attribute in [a for a in attributes if a.rpartition(".")[2] == node.id] + attributes[:2]:
        yield 3, node, *source.span(node), attribute


def attribute(source: Source, node: ast.AST) -> Iterator[Raw]:
    """Another attribute of the same thing, as it is used nearby."""
    if not isinstance(node, ast.Attribute) or not isinstance(node.ctx, ast.Load):
        return
    end = source.span(node)[1]
    same = source.attributes.get(source.text(node.value), [])
    names = dict.fromkeys(n.attr for n in sorted(same, key=lambda n: (abs(n.lineno - node.lineno), n.col_offset)))
    for other in list(names)[:_NAMES]:
        yield 2, node, end - len(node.attr.encode()), end, other


def jump(source: Source, node: ast.AST) -> Iterator[Raw]:
    """Leave the loop, or go on with it."""
    if isinstance(node, ast.Break):
        yield 1, node, *source.span(node), "continue"
        yield 3, node, *source.span(node), "pass"
    elif isinstance(node, ast.Continue):
        yield 1, node, *source.span(node), "break"
        yield 3, node, *source.span(node), "pass"


def choice(source: Source, node: ast.AST) -> Iterator[Raw]:
    """Either branch of `a if c else b`; `a or b` where `a` may be false but not None; the part of an f-string stays."""
    if isinstance(node, ast.IfExp):
        for branch in (node.body, node.orelse):
            yield 2, node, *source.span(node), source.text(branch)
        swapped = f"{source.text(node.orelse)} if {source.text(node.test)} else {source.text(node.body)}"
        yield 2, node, *source.span(node), swapped
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or) and len(node.values) == 2:
        first, second = (source.atom(v) for v in node.values)
        if isinstance(source.parents.get(node), ast.Assign | ast.Return | ast.Call | ast.keyword):
            yield 2, node, *source.span(node), f"{first} if {first} is not None else {second}"


def returned(source: Source, node: ast.AST) -> Iterator[Raw]:
    """Another simple result; a pair the other way round."""
    if not isinstance(node, ast.Return) or node.value is None:
        return
    for other in ("None", "True", "False", "0", "[]", "[[]]", "''"):
        yield 3, node, *source.span(node.value), other
    if isinstance(node.value, ast.Tuple) and len(node.value.elts) == 2:
        first, second = (source.text(e) for e in node.value.elts)
        yield 2, node, *source.span(node.value), f"{second}, {first}"


def appended(source: Source, node: ast.AST) -> Iterator[Raw]:
    """A list that is kept by reference where a copy was meant; one that is joined where an element was meant."""
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"append", "extend", "add"}
        and node.args
    ):
        text = source.text(node.args[0])
        for new in (f"list({text})", f"[{text}]"):
            yield 3, node, *source.span(node.args[0]), new
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and isinstance(node.right, ast.Name):
        yield 3, node, *source.span(node.right), f"[{source.text(node.right)}]"
