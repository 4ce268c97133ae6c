"""Names that a Python function makes its own, so that what it sets of them is set of no import of that name."""

from __future__ import annotations

import ast
from collections.abc import Iterator

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


def made(function: ast.FunctionDef | ast.AsyncFunctionDef) -> frozenset[str]:
    """Local names that get nothing but what a class makes (`t = Thread()`), as far as its capital letter tells."""
    own: set[str] = set()
    other: set[str] = set()
    for node in _inside(function):
        if isinstance(node, ast.Global | ast.Nonlocal):
            other.update(node.names)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            other.update((a.asname or a.name).partition(".")[0] for a in node.names)
        elif isinstance(node, ast.Assign) and _is_object(node.value):
            own.update(t.id for t in node.targets if isinstance(t, ast.Name))
            other.update(n.id for t in node.targets if not isinstance(t, ast.Name) for n in _stored(t))
        elif isinstance(node, ast.stmt | ast.NamedExpr | ast.withitem | ast.comprehension):
            parts = [getattr(node, n, None) for n in ("target", "optional_vars")] + list(getattr(node, "targets", ()))
            other.update(n.id for part in parts if isinstance(part, ast.AST) for n in _stored(part))
    return frozenset(own - other)


def holder_is(node: ast.AST, names: frozenset[str]) -> bool:
    """Whether a statement sets attributes of these names alone."""
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    held = [t.value for t in targets if isinstance(t, ast.Attribute)]
    return bool(held) and len(held) == len(targets) and all(isinstance(h, ast.Name) and h.id in names for h in held)


def _is_object(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2][:1].isupper()


def _stored(node: ast.AST) -> Iterator[ast.Name]:
    return (n for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))


def _inside(function: ast.AST) -> Iterator[ast.AST]:
    """Everything in a function but what its own functions and classes hold."""
    left = list(ast.iter_child_nodes(function))
    while left:
        node = left.pop()
        yield node
        if not isinstance(node, _SCOPES):
            left.extend(ast.iter_child_nodes(node))
