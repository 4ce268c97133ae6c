"""The canonical text of a piece of Python: equal for two pieces that do the same by the same words."""

from __future__ import annotations

import ast

from zwarm_ci.verify.reading.python_assertions import last, text
from zwarm_ci.verify.reading.python_body import Function, elements


class _Canonical(ast.NodeTransformer):
    """What makes no difference to what a test does is left out: docstrings, annotations, messages, names of rows, rows themselves."""

    def _function(self, node: Function) -> ast.AST:
        node.returns = None
        for arg in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]:
            arg.annotation = None
        self._without_docstring(node)
        return self.generic_visit(node)

    visit_FunctionDef = visit_AsyncFunctionDef = _function  # noqa: N815 - ast's names

    def _without_docstring(self, node: Function | ast.ClassDef) -> None:
        if isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant):
            node.body = node.body[1:] or [ast.Pass()]

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self._without_docstring(node)
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        return ast.Assign([node.target], node.value, lineno=node.lineno) if node.value else ast.Pass()

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        node.msg = None
        return self.generic_visit(node)


def shape(node: ast.stmt) -> str:
    """Canonical text of a statement, one line each; of a test without its name and its rows, which are told apart. Changes `node`."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        if node.name.startswith("test"):
            node.name = "_"
            node.args.args = [a for a in node.args.args if a.arg != "self"]  # in a class or not is no difference
        for at, decorator in enumerate(node.decorator_list):
            if isinstance(decorator, ast.Call) and last(decorator) == "parametrize":
                several = decorator.args[1:2]
                inline = bool(several) and elements(several[0]) is not None
                kept = [k for k in decorator.keywords if k.arg not in {"ids", "argvalues"}]
                node.decorator_list[at] = ast.Call(decorator.func, decorator.args[: 1 if inline else 2], kept)
    return text(_Canonical().visit(node))
