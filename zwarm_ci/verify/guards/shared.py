"""What tests share though it lies beside the source: functions that assert for them, and modules of nothing but their values.

By its path such a file is source; but no source uses it, and a repair has no reason to change what it asserts or holds. Python.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from zwarm_ci.verdict import GuardFinding
from zwarm_ci.verify.guards.base import Family, Patch
from zwarm_ci.verify.guards.shared_cases import borrowed, changed, derived_from, imported, is_subject, naming
from zwarm_ci.verify.guards.signs import CODE, tree

_ENTRIES = frozenset({"__init__", "__main__", "__about__", "version", "_version", "setup"})
_ALLOW = "--allow-test-edits"
_Function = ast.FunctionDef | ast.AsyncFunctionDef


class Shared:
    """Refuses that what tests alone assert by, or compare with, says less or something else."""

    name = "shared"
    family: Family = "tests"
    firm = False

    def look(self, patch: Patch) -> Iterator[GuardFinding]:
        bases = derived_from(patch) if patch.rules.strict else {}
        for change in patch.changes if patch.rules.strict else ():
            pure = PurePosixPath(change.path)
            if pure.suffix != ".py" or pure.stem in _ENTRIES or not patch.is_source(change.path):
                continue
            old, new = tree(patch.old(change.path)), tree(patch.new(change.path)) or ast.Module([], [])
            yield from self._cases(patch, bases, change.path, old or ast.Module([], []), new)
            if old is not None and old.body:
                yield from self._file(patch, change.path, old, new)

    def _file(self, patch: Patch, path: str, old: ast.Module, new: ast.Module) -> Iterator[GuardFinding]:
        left = Counter(said for function in _functions(new) for said in _asserted(function))
        for function in _functions(old):
            asserted = Counter(_asserted(function))
            if not asserted or _works(function) or not asserted - left:
                continue
            if _is_for_tests(patch, path, function.name):
                gone = next(iter(asserted - left))
                detail = f"{function.name}, by which tests assert, no longer asks for `{gone[:80]}`"
                yield GuardFinding(self.name, "refuse", path, function.lineno, detail, _ALLOW)
        if _values(old) and _values(old) != _values(new) and _is_for_tests(patch, path, PurePosixPath(path).stem):
            detail = "holds values that nothing but tests uses, and holds others now"
            yield GuardFinding(self.name, "refuse" if _beside(patch, path) else "review", path, None, detail, _ALLOW)

    def _cases(
        self, patch: Patch, bases: Mapping[str, set[str]], path: str, old: ast.Module, new: ast.Module
    ) -> Iterator[GuardFinding]:
        for name, line in changed(patch, bases, path, old, new):
            about = is_subject(patch, name) or not (_beside(patch, path, name) or _beside(patch, path))
            detail = f"{name}, which tests are made with, is not what it was"
            yield GuardFinding(self.name, "review" if about else "refuse", path, line, detail, _ALLOW)
        for name, line in borrowed(bases, old, new):
            detail = f"source begins to know {name}, which tests are made with"
            yield GuardFinding(self.name, "refuse", path, line, detail, _ALLOW)


def _functions(module: ast.Module) -> list[_Function]:
    return [n for n in ast.walk(module) if isinstance(n, _Function)]


def _asserted(function: _Function) -> Iterator[str]:
    """The conditions that a function holds its arguments to."""
    for node in ast.walk(function):
        raises = isinstance(node, ast.If) and any(isinstance(n, ast.Raise) and _is_assertion(n) for n in node.body)
        if raises or isinstance(node, ast.Assert):
            assert isinstance(node, ast.If | ast.Assert)
            yield ast.unparse(node.test)


def _is_assertion(node: ast.Raise) -> bool:
    raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    return isinstance(raised, ast.Name) and raised.id == "AssertionError"


def _works(function: _Function) -> bool:
    """Whether a function gives or changes something, so that it is more than an assertion."""
    for node in ast.walk(function):
        if isinstance(node, ast.Return) and node.value is not None:
            return True
        if isinstance(node, ast.Yield | ast.YieldFrom | ast.AugAssign | ast.Delete):
            return True
        if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
            return True
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.Await):
            return True
    return False


def _values(module: ast.Module) -> list[str]:
    """The assignments of a module of plain values; none where it is more than that."""
    body = [n for n in module.body if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))]
    plain = all(isinstance(n, ast.Assign) and _is_plain(n.value) for n in body)
    return [ast.unparse(n) for n in body] if plain else []


def _is_plain(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def _is_for_tests(patch: Patch, path: str, name: str) -> bool:
    """Whether the base's tests name something of a file, and no other code or setting of the base names the file."""
    stem = PurePosixPath(path).stem
    named = set(naming(patch, stem)) - {path}
    asked = {t.partition("::")[0] for t in patch.targets}
    tests = {p for p in named if patch.is_test(p) or p in asked}
    others = any(PurePosixPath(p).suffix in CODE or patch.is_setting(p) for p in named - tests)
    if others or not tests:
        return False
    return name == stem or (bool(tests.intersection(naming(patch, name))) and not _uses(patch.old(path), name))


def _beside(patch: Patch, path: str, name: str = "") -> bool:
    """Whether a test that names a module, or something of it, is about another module of the source, and not about that."""
    pure = PurePosixPath(path)
    files = [
        PurePosixPath(p) for p in patch.files(patched=False) if p.endswith(".py") and p != path and patch.is_source(p)
    ]
    subjects = {f.parent.name if f.stem == "__init__" else f.stem for f in files} - {pure.stem, *pure.parts}
    return any(subjects & _imported(patch.old(p)) for p in naming(patch, name or pure.stem) if patch.is_test(p))


def _imported(text: str) -> set[str]:
    """Every part of a name that a file imports."""
    return {part for name, _ in imported(tree(text) or ast.Module([], [])) for part in name.split(".")}


def _uses(text: str, name: str) -> bool:
    """Whether a file uses a name of its own."""
    module = tree(text)
    return module is not None and any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(module))
