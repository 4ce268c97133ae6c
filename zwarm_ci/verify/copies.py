"""Copies of tests that write down what they ask and are given (`checks/probe/zwarm_ci_varied.py`); nothing is run here."""

from __future__ import annotations

import ast
import re
import secrets
from collections.abc import Sequence
from pathlib import PurePosixPath

from zwarm_ci.checks.base import PROBE
from zwarm_ci.protected import is_test
from zwarm_ci.verify.guards.signs import tree

NONCE = f"z{secrets.token_hex(6)}"  # of this process, so that the base's copy is the same for each patch
#: What stands first in a copy: the witness by a name that nobody knows, and nothing of it where code could look for it.
_OPENING = """
import os as {n}_os, sys as {n}_sys, types as {n}_types
for {n}_name, {n}_text in {sources!r}.items():
    {n}_sys.modules[{n}_name] = {n}_all = {n}_types.ModuleType({n}_name)
    exec({n}_text, {n}_all.__dict__)
for {n}_name in {sources!r}:
    del {n}_sys.modules[{n}_name]
{n}_top = {n}_os.path.abspath(__file__)
for {n}_name in range({up}):
    {n}_top = {n}_os.path.dirname({n}_top)
{n} = {n}_all.Asked({n!r}, {n}_top, {tests!r}, {sources!r}, __file__)
"""
_WAITS = re.compile(r"[rR]aises|suppress|[wW]arns|deprecated_call|assertLogs")
#: Operators that a class may answer; of comparisons those that ask for more than equality, which is what an assertion is about.
_OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "truediv", ast.FloorDiv: "floordiv", ast.Mod: "mod", ast.Pow: "pow",
    ast.MatMult: "matmul", ast.BitAnd: "and_", ast.BitOr: "or_", ast.BitXor: "xor", ast.LShift: "lshift", ast.RShift: "rshift",
    ast.USub: "neg", ast.Invert: "invert", ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge", ast.In: "contains",
}  # fmt: skip
_FRAMES = frozenset({"super", "locals", "globals", "vars", "dir", "eval", "exec"})
#: The names that the examples of a module see.
_NAMES = """
import {module} as {n}_module
globals().update({{k: v for k, v in vars({n}_module).items() if not k.startswith("__")}})
"""


def rewritten(text: str, path: str, names: set[str], files: Sequence[str]) -> str:
    """A test file whose tests of these names tell what they ask and are given; "" where it cannot be made."""
    module = tree(text)
    if module is None or not any(
        isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) and n.name in names for n in ast.walk(module)
    ):
        return ""
    _Rewriter(names).visit(module)
    sources = {
        name: (PROBE / f"{name}.py").read_text()
        for name in ("zwarm_ci_inputs", "zwarm_ci_ways", "zwarm_ci_answers", "zwarm_ci_varied")
    }
    tests = [p for p in files if is_test(p) and p.endswith(".py")]
    lines = _OPENING.format(n=NONCE, sources=sources, up=path.count("/") + 1, tests=tests)
    at = 1 if module.body and _is_text(module.body[0]) else 0
    while at < len(module.body) and isinstance(node := module.body[at], ast.ImportFrom) and node.module == "__future__":
        at += 1
    module.body[at:at] = ast.parse(lines).body
    try:
        return ast.unparse(ast.fix_missing_locations(module)) + "\n"
    except (ValueError, RecursionError):
        return ""


def about(text: str, names: set[str]) -> str:
    """What a test file says of its tests of these names: without imports and its other tests."""
    module = tree(text)
    if module is None:
        return text
    try:
        return ast.unparse(_Kept(names).visit(module))
    except (ValueError, RecursionError):
        return text


class _Kept(ast.NodeTransformer):
    def __init__(self, names: set[str]) -> None:
        self.names = names

    def _test(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        return node if node.name in self.names or not node.name.startswith("test") else ast.Pass()

    visit_FunctionDef = visit_AsyncFunctionDef = _test  # noqa: N815 - as ast names them

    def visit_Import(self, _: ast.Import) -> ast.AST:
        return ast.Pass()

    def visit_ImportFrom(self, _: ast.ImportFrom) -> ast.AST:
        return ast.Pass()


def of_examples(text: str, path: str, wanted: Sequence[str], files: Sequence[str]) -> tuple[str, str, dict[str, str]]:
    """(path, text, id of a target -> id of its copy) of a test file that asks what the examples of a source file ask.

    `wanted`: the targets, ids of doctest. The path and the text are "" where none of them can be copied.
    """
    from zwarm_ci.verify.reading import doctests  # imports a debugger; few repositories run their examples

    module, made, ids = _module(path, files), [], {}
    copy = f"{path.rpartition('/')[0]}/test_{NONCE}_{PurePosixPath(path).stem}.py".lstrip("/")
    for number, (name, sources) in enumerate(doctests.sources(path, text).items()):
        target = f"{path}::{module}.{name}"
        body = [line for source in sources for line in source.split("\n")] if target in wanted else []
        if body and tree("\n".join(body)) is not None:
            ids[target] = f"{copy}::test_example_{number}"
            made.append(f"def test_example_{number}():\n" + "".join(f"    {line}\n" for line in body))
    if not made:
        return "", "", {}
    written = _NAMES.format(n=NONCE, module=module) + "\n\n" + "\n\n".join(made)
    names = {i.rpartition("::")[2] for i in ids.values()}
    return copy, rewritten(written, copy, names, [*files, copy]), ids


def _module(path: str, files: Sequence[str]) -> str:
    """The dotted name by which pytest imports a source file: from the first folder above that is no package."""
    parts = PurePosixPath(path).with_suffix("").parts
    first = len(parts) - 1
    while first and "/".join((*parts[:first], "__init__.py")) in files:
        first -= 1
    return ".".join(p for p in parts[first:] if p != "__init__")


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


class _Rewriter(ast.NodeTransformer):
    """Puts every call in functions through the witness, lets the chosen tests go on after what fails, and has them report."""

    def __init__(self, names: set[str]) -> None:
        self.names = names
        self.inside = 0
        self.chosen = False  # whether what we are in is a chosen test's own

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        outer, self.chosen = self.chosen, node.name in self.names and not self.inside
        self.inside += 1
        body = [self.visit(statement) for statement in node.body]
        self.inside -= 1
        self.chosen = outer
        if node.name in self.names and not self.inside:
            node.body = [_parsed("begin()"), _tried(_guarded(body), final=[_parsed("report()")])]
        else:
            node.body = body
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node)

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        return self._asserted(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        call = node.value.value if isinstance(node.value, ast.Await) else node.value
        asserts = isinstance(call, ast.Call) and getattr(call.func, "attr", "").startswith("assert")
        return self._asserted(node) if asserts else self.generic_visit(node)

    def _asserted(self, node: ast.stmt) -> ast.AST:
        """An assertion that a function asks which a test may hand on, and what becomes of it noted."""
        label = str(node.lineno)
        self.generic_visit(node)
        if not self.inside:
            return node
        if self.chosen:
            return ast.Try(
                body=[_parsed(f"inner.ask({label!r})"), node], handlers=[], orelse=[], finalbody=[ast.Pass()]
            )
        said = [_parsed(f"inner({label!r}, {failed})") for failed in (True, False)]
        handler = ast.ExceptHandler(ast.Name("BaseException", ast.Load()), None, [said[0], ast.Raise()])
        return ast.Try(body=[node], handlers=[handler], orelse=[said[1]], finalbody=[])

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        return self._operator(node, _OPERATORS.get(type(node.op)), node.left, node.right)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        return self._operator(node, _OPERATORS.get(type(node.op)), node.operand)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        read = isinstance(node.ctx, ast.Load) and not isinstance(node.slice, ast.Slice | ast.Tuple)
        return self._operator(node, "getitem" if read else None, node.value, node.slice)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        name = _OPERATORS.get(type(node.ops[0])) if len(node.ops) == 1 else None
        sides = (node.left, node.comparators[0])
        return self._operator(node, name, *(reversed(sides) if name == "contains" else sides))

    def _operator(self, node: ast.expr, name: str | None, *operands: ast.expr) -> ast.AST:
        plain = isinstance(node, ast.BinOp | ast.UnaryOp) and all(isinstance(o, ast.Constant) for o in operands)
        if not name or not self.inside or plain:
            return self.generic_visit(node)
        label = ast.unparse(node)
        return _asking("operate", label, ast.Constant(name), *map(self.visit, operands))

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        label = f".{node.attr}"
        self.generic_visit(node)
        mangled = node.attr.startswith("__") and not node.attr.endswith("__")
        if not self.inside or mangled or not isinstance(node.ctx, ast.Load):
            return node
        return _asking("get", label, node.value, ast.Constant(node.attr))

    def visit_Call(self, node: ast.Call) -> ast.AST:
        label = ast.unparse(node.func)
        if isinstance(node.func, ast.Attribute):  # a method is no attribute that is asked for
            node.func.value = self.visit(node.func.value)
            node.args = [self.visit(a) for a in node.args]
            node.keywords = [self.visit(k) for k in node.keywords]
        else:
            self.generic_visit(node)
        if not self.inside or (isinstance(node.func, ast.Name) and node.func.id in _FRAMES):
            return node
        return _asking("call", label, node.func, *node.args, keywords=node.keywords)


def _asking(how: str, label: str, *args: ast.expr, keywords: Sequence[ast.keyword] = ()) -> ast.expr:
    """A call of the witness in the place of an expression."""
    through = ast.Attribute(ast.Name(NONCE, ast.Load()), how, ast.Load())
    return ast.Call(through, [ast.Constant(label), *args], list(keywords))


def _parsed(call: str) -> ast.stmt:
    return ast.parse(f"{NONCE}.{call}").body[0]


def _tried(body: list[ast.stmt], *, final: list[ast.stmt] | None = None) -> ast.stmt:
    if final is not None:
        return ast.Try(body=body, handlers=[], orelse=[], finalbody=final)
    name = f"{NONCE}_error"
    handler = ast.ExceptHandler(ast.Name("BaseException", ast.Load()), name, [_parsed(f"go_on({name})")])
    return ast.Try(body=body, handlers=[handler], orelse=[], finalbody=[])


def _guarded(body: list[ast.stmt]) -> list[ast.stmt]:
    """Each statement by itself, those in loops and blocks too; a `while` only as a whole, since what ends it may be what fails.

    So is a block that waits for an error, which would miss it.
    """
    for node in body:
        if isinstance(node, ast.With | ast.AsyncWith) and any(_WAITS.search(ast.unparse(i)) for i in node.items):
            continue
        if isinstance(node, ast.For | ast.With | ast.AsyncFor | ast.AsyncWith | ast.If):
            node.body = _guarded(node.body)
    keep = (
        ast.FunctionDef,
        ast.AsyncFunctionDef,
        ast.ClassDef,
        ast.Import,
        ast.ImportFrom,
        ast.Global,
        ast.Nonlocal,
        ast.Pass,
    )
    return [node if isinstance(node, keep) else _tried([node]) for node in body]
