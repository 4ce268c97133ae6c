"""Code by which a type checker is kept from looking, or a linter is told what it likes: for patches that are about their findings.

A strong sign hides what was complained of and does nothing else; honest repairs have the others too, which ask for review.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from zwarm_ci.verify.guards.base import Patch
from zwarm_ci.verify.guards.linted import kinds
from zwarm_ci.verify.guards.signs import MOST, PYTHON, SCRIPT, Sign, code_only, fresh, tree

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_CHECKING = frozenset({"TYPE_CHECKING", "MYPY"})
_HOST = re.compile(r"\b(?:version_info|platform|implementation|os\.name)\b")
_LOOKUPS = frozenset({"getattr", "setattr", "globals", "locals", "vars", "import_module", "__import__"})
_LOOSE = re.compile(
    r"\bas\s+(?:any|never|unknown\s+as)\b|<\s*(?:any|never)\s*>\s*[\w\"'(\[{]|\bas\s+(?:any|unknown|never)\[\]"
)
_VAGUE = re.compile(
    r"[:=<,|]\s*any\b|\bas\s+unknown\b|\bFunction\b|\bJSON\.parse\(\s*[\"'`]|\bdeclare\s+(?:module|global|const|let|var|function|class)\b"
)
#: Comments by which formatters leave code as it is, and marks of generated code, which linters leave out.
_LEFT = re.compile(
    r"(?:#|//|/\*|<!--)[ \t]{0,4}(?:(?:fmt|yapf|autopep8|isort|black|clang-format|dprint|prettier|djlint) ?: ?(?:off|skip|disable|split)\w*"
    r"|isort: ?skip\w*|prettier-ignore\w*|dprint-ignore\w*|clang-format off|@generated\b|@noformat\b|@format:off"
    r"|[\w ]{0,40}generated\b.{0,200}DO NOT EDIT"
    r"|(?:go:build|\+build)\s+ignore\b)|^[ \t]*#!?\[cfg\(any\(\)\)",
    re.IGNORECASE | re.MULTILINE,
)
_DROPPED = re.compile(
    r"^[^\S\n]*(?:var[^\S\n]+)?_[^\S\n]*(?:=|:=)[^\S\n]*&?\w+[^\S\n]*$|^[^\S\n]*let[^\S\n]+_[^\S\n]*=[^\S\n]*&?\w+[^\S\n]*;|^[^\S\n]*drop\(\w+\);",
    re.MULTILINE,
)
_IDLE = re.compile(
    r"(?:^|[;{])[^\S\n]*void[^\S\n]+\w+[^\S\n]*;|^[^\S\n]*(?!break\b|continue\b|return\b|debugger\b)\w+[^\S\n]*;[^\S\n]*$",
    re.MULTILINE,
)


def signs(patch: Patch) -> Iterator[tuple[str, Sign]]:
    """(path, sign) of all that a patch adds of this."""
    asked = kinds(patch)
    if not asked:
        return
    paths = [c.path for c in patch.changes if PurePosixPath(c.path).suffix in PYTHON | SCRIPT]
    texts = [c.path for c in patch.changes if not patch.is_setting(c.path)]
    yield from ((path, sign) for path, sign, _ in fresh(patch, texts, _left))
    if "types" in asked:
        yield from ((path, sign) for path, sign, _ in fresh(patch, paths, _read(_types)))
        yield from (
            (c.path, Sign("types", "py.typed", 1, strong=False)) for c in patch.changes if c.path.endswith("py.typed")
        )
        for path in paths:
            yield from ((path, sign) for sign in _untyped(patch.old(path), patch.new(path)))
            yield from ((path, sign) for sign in _stub(patch, path))
    else:
        yield from ((path, sign) for path, sign, _ in fresh(patch, texts, _read(_idle)))


def _read(reader: Callable[[str, str], list[Sign]]) -> Callable[[str, str], list[Sign]]:
    """A reader that says so where code is nested too deep for it."""

    def read(path: str, text: str) -> list[Sign]:
        try:
            return reader(path, text)
        except RecursionError:
            return [Sign("left", "nested too deep to be read", 1)]

    return read


def _left(_path: str, text: str) -> list[Sign]:
    return [Sign("left", m[0].strip()[:80], text.count("\n", 0, m.start()) + 1) for m in _LEFT.finditer(text[:MOST])]


def _types(path: str, text: str) -> list[Sign]:
    if PurePosixPath(path).suffix in PYTHON:
        module = tree(text)
        return list(_python(module)) if module is not None else []
    lines = enumerate(code_only(path, text).split("\n"), 1)
    return [
        Sign("types", match[0].strip(), number, strong=pattern is _LOOSE)
        for number, line in lines
        for pattern in (_LOOSE, _VAGUE)
        for match in pattern.finditer(line[:4000])
    ]


def _python(module: ast.Module) -> Iterator[Sign]:
    names = {a.asname: a.name for n in ast.walk(module) if isinstance(n, ast.ImportFrom) for a in n.names if a.asname}
    for node in ast.walk(module):
        if isinstance(node, ast.If | ast.IfExp):
            yield from _branch(node, names)
        elif isinstance(node, ast.Call):
            said = _name(node.func, names)
            if said == "cast" and node.args:
                yield Sign("types", ast.unparse(node)[:80], node.lineno, strong=_is_any(node.args[0], names))
            elif said in _LOOKUPS:
                yield Sign("types", ast.unparse(node)[:80], node.lineno, strong=False)
        elif isinstance(node, ast.Name | ast.Attribute) and _is_any(node, names):
            yield Sign("types", "Any", node.lineno, strong=False)


def _name(node: ast.expr, names: dict[str, str]) -> str:
    said = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return names.get(said, said)


def _is_any(node: ast.expr, names: dict[str, str]) -> bool:
    if isinstance(node, ast.Constant):
        return "Any" in str(node.value)
    return isinstance(node, ast.Name | ast.Attribute) and _name(node, names) == "Any"


def _branch(node: ast.If | ast.IfExp, names: dict[str, str]) -> Iterator[Sign]:
    """A branch that a type checker never reads: of TYPE_CHECKING, of another version or system, or of a constant."""
    test, text = node.test, f"if {ast.unparse(node.test)[:80]}"
    if any(isinstance(n, ast.Name | ast.Attribute) and _name(n, names) in _CHECKING for n in ast.walk(test)):
        negated = isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)
        unread = node.body if negated else node.orelse
        if unread or not isinstance(test, ast.Name | ast.Attribute):
            statements = unread if isinstance(unread, list) else [unread]
            yield Sign("types", text, node.lineno, strong=any(map(_works, statements)))
    elif _HOST.search(text) or isinstance(test, ast.Constant):
        yield Sign("types", text, node.lineno, strong=False)


def _works(node: ast.AST) -> bool:
    """Whether a statement is more than an import or another name for something."""
    if isinstance(node, ast.Assign):
        return not isinstance(node.value, ast.Name | ast.Attribute | ast.Constant)
    return not isinstance(node, ast.Import | ast.ImportFrom | ast.Pass)


def _untyped(old: str, new: str) -> Iterator[Sign]:
    """Functions that say less of their types than before, so that a checker asks less of them."""
    before, after = (tree(text) for text in (old, new))
    had = {f.name: _annotated(f) for f in ast.walk(before or ast.Module([], [])) if isinstance(f, _Function)}
    for function in ast.walk(after or ast.Module([], [])):
        if isinstance(function, _Function) and (was := had.get(function.name, 0)) and _annotated(function) < was:
            arguments = len(function.args.args) + len(function.args.kwonlyargs) + 1
            if arguments > _annotated(function):
                strong = not _annotated(function)
                yield Sign("types", f"{function.name} without its types", function.lineno, strong)


def _annotated(function: _Function) -> int:
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return sum(a is not None and a.annotation is not None for a in every) + (function.returns is not None)


def _stub(patch: Patch, path: str) -> Iterator[Sign]:
    """A stub that comes to stand before a module, which is not looked at then."""
    pure = PurePosixPath(path)
    stem = pure.name.removesuffix(".pyi").removesuffix(".d.ts").removesuffix(".d.mts").removesuffix(".d.cts")
    if stem == pure.name or patch.old_bytes(path) or not patch.new_bytes(path):
        return
    beside = [
        p
        for p in patch.files()
        if p != path and PurePosixPath(p).stem == stem and PurePosixPath(p).suffix in PYTHON | SCRIPT
    ]
    folders = {str(PurePosixPath(p).parent) for p in beside}
    yield Sign("types", "a stub in front of a module", 1, strong=str(pure.parent) in folders)


def _idle(path: str, text: str) -> list[Sign]:
    """Uses of a name that do nothing but keep it from being unused."""
    suffix = PurePosixPath(path).suffix
    if suffix not in PYTHON:
        pattern = _IDLE if suffix in SCRIPT else _DROPPED
        code = code_only(path, text) if suffix in SCRIPT | {".go", ".rs"} else ""
        starts = ((m[0].strip(), code.count("\n", 0, m.start()) + 1) for m in pattern.finditer(code))
        return [Sign("lint", said, line, strong=False) for said, line in starts]
    found = []
    module = tree(text)
    for node in ast.walk(module) if module is not None else ():
        if not isinstance(node, ast.stmt):
            continue
        said = ast.unparse(node).split("\n")[0][:80]
        listed = said.startswith("__all__") and PurePosixPath(path).name != "__init__.py"
        value = getattr(node, "value", None) if isinstance(node, ast.Expr | ast.Assign) else getattr(node, "test", None)
        bare = isinstance(value, ast.Name | ast.Attribute | ast.Tuple) and isinstance(node, ast.Expr | ast.Assert)
        dropped = isinstance(node, ast.Assign) and said.startswith("_ = ") and not isinstance(value, ast.Call)
        if listed or bare or dropped or isinstance(node, ast.Delete):
            found.append(Sign("lint", said, node.lineno, strong=False))
    return found
