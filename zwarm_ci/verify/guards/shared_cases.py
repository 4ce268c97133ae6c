"""Classes, fixtures and helpers of tests that stand in source: what test classes derive from, and what asserts by the runner's own means."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from zwarm_ci.scrub import decode
from zwarm_ci.verify.guards.base import Patch
from zwarm_ci.verify.guards.signs import tree

_Function = (ast.FunctionDef, ast.AsyncFunctionDef)
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
#: Calls that fail a test, and names of what is there to fail one.
_BY_RUNNER = re.compile(
    r"(?:^|\.)assert[A-Z]\w*$|^pytest\.fail$|(?:^|\.)testing\.assert_\w+$|^assert_(?:allclose|\w*almost_equal|array_\w+|\w+_equal)$"
)
_BY_NAME = re.compile(r"_?assert(?:_[a-z]|[A-Z])")
_CLASS = re.compile(r"^ *class +([A-Za-z_0-9]+) *[(](.*)")
_TEST = r"^ *(async +)?def +test"
_WORD = re.compile(r"[A-Za-z_]\w*(?=\s*[,)\[]|\s*$)")
_MANY = 60  # files that name something
_FAILS = frozenset("assertRaises assertRaisesRegex raises failureException AssertionError Failed pytester".split())


def changed(
    patch: Patch, bases: Mapping[str, set[str]], path: str, old: ast.Module, new: ast.Module
) -> Iterator[tuple[str, int]]:
    """(name, line) of whatever in a source file is a test's by what it is, and is not as the base has it."""
    for node in (n for n in old.body if isinstance(n, _Definition)):
        is_case = isinstance(node, ast.ClassDef) and node.name in bases
        ours = is_case or _is_fixture(node) or _asserts(patch, path, node)
        if ours and _with_all(old, node.name) != _with_all(new, node.name):
            yield node.name, node.lineno


def borrowed(bases: Mapping[str, set[str]], old: ast.Module, new: ast.Module) -> Iterator[tuple[str, int]]:
    """(name, line) of what tests derive from, or a module that holds it, where a source file begins to name it."""
    known = {name for name, _ in _named(old)} | {n.name for n in new.body if isinstance(n, ast.ClassDef)}
    ours = {name for name, files in bases.items() if files}  # of the source: not `type` or `Thread`
    yield from {name: line for name, line in _named(new) if name in ours - known}.items()
    homes = {PurePosixPath(path).with_suffix("").parts for paths in bases.values() for path in paths}
    before = {name for name, _ in imported(old)}
    for name, line in imported(new):
        parts = tuple(name.strip(".").split("."))[-2:]
        if name not in before and any(home[-len(parts) :] == parts for home in homes):
            yield name, line


def derived_from(patch: Patch) -> dict[str, set[str]]:
    """All that the base's classes of tests derive from: names, and the files of the source that hold them."""
    args = ("grep", "-nEI", "-e", _CLASS.pattern, "-e", _TEST, patch.base, "--", "*.py")
    bases: dict[str, set[str]] = {}
    homes: dict[str, set[str]] = {}
    found: set[str] = set()
    owners: list[tuple[int, str]] = []
    for line in decode(patch.repo.git.run(*args, check=False).stdout).splitlines():
        path, _, said = [*line.partition(":")[2].split(":", 2), "", ""][:3]
        indent = len(said) - len(said.lstrip())
        owners = [one for one in owners if one[0] < indent]
        if header := _CLASS.match(said):
            owners.append((indent, header[1] if patch.is_test(path) else ""))
            homes.setdefault(header[1], set()).update(() if patch.is_test(path) else (path,))
            bases.setdefault(header[1], set()).update(_WORD.findall(header[2]))
        elif owners:
            found.add(owners[-1][1])
    names = list(found)
    found = set()
    while names:
        more = bases.get(names.pop(), set()) - found
        found |= more
        names += more
    return {name: homes.get(name, set()) for name in found}


def is_subject(patch: Patch, name: str) -> bool:
    """Whether tests that name something look at how it fails, so that it is what they are about."""
    tests = [f for f in naming(patch, name)[:_MANY] if f.endswith(".py") and patch.is_test(f)]
    return any(any(word in _FAILS for word, _ in _named(module)) for f in tests if (module := tree(patch.old(f))))


def naming(patch: Patch, word: str) -> list[str]:
    """Files of the base that hold a word."""
    listed = decode(patch.repo.git.run("grep", "-lwFI", "-e", word, patch.base, check=False).stdout)
    return [line.partition(":")[2] for line in listed.splitlines()]


def _named(module: ast.Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(module):
        if isinstance(node, ast.Name | ast.Attribute):
            yield _last(node), node.lineno
        elif isinstance(node, ast.ImportFrom):
            yield from ((alias.name, node.lineno) for alias in node.names)


def imported(module: ast.Module) -> Iterator[tuple[str, int]]:
    """(dotted name, line) of what a module imports."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", node.lineno
            yield from ((f"{node.module or ''}.{alias.name}", node.lineno) for alias in node.names)


def _last(node: ast.expr) -> str:
    node = node.value if isinstance(node, ast.Subscript) else node
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _is_fixture(node: _Definition) -> bool:
    marks = [d.func if isinstance(d, ast.Call) else d for d in node.decorator_list]
    return any(_last(mark) in {"fixture", "yield_fixture"} for mark in marks)


def _asserts(patch: Patch, path: str, node: _Definition) -> bool:
    """Whether something fails tests by the runner's own means, or by its name is there to, and no source asks for it."""
    nodes = list(ast.walk(node))
    calls = [ast.unparse(n.func) for n in nodes if isinstance(n, ast.Call)]
    names = [n.name for n in nodes if isinstance(n, _Definition)]
    is_open = isinstance(node, ast.ClassDef) and any(_fails(n) for n in nodes)  # of a function another look is taken
    if not (is_open or any(map(_BY_RUNNER.search, calls)) or any(map(_BY_NAME.match, names))):
        return False
    files = naming(patch, node.name)
    used = [
        f for f in files if f != path and f.endswith(".py") and patch.is_source(f) and _uses(patch.old(f), node.name)
    ]
    return not used and any(patch.is_test(f) for f in [*files, *naming(patch, PurePosixPath(path).stem)])


def _fails(node: ast.AST) -> bool:
    """Whether something is a condition on which an assertion fails."""
    raised = [n.exc for n in node.body if isinstance(n, ast.Raise)] if isinstance(node, ast.If) else []
    return any(_last(e.func if isinstance(e, ast.Call) else e) == "AssertionError" for e in raised if e)


def _uses(text: str, name: str) -> bool:
    """Whether a file calls something of this name, or hands it on; an import alone is no use of it."""
    module = tree(text)
    nodes = ast.walk(module) if module is not None else ()
    return any(isinstance(n, ast.Name | ast.Attribute) and _last(n) == name for n in nodes)


def _with_all(module: ast.Module, name: str) -> frozenset[str]:
    """What a name stands for in a module, and all of the module that this goes back to, without its prose."""
    held: dict[str, list[ast.stmt]] = {}
    for node in module.body:
        for said in _binds(node):
            held.setdefault(said, []).append(node)
    found: set[str] = set()
    names, seen = [name], {name}
    while names:
        for node in held.get(names.pop(), []):
            found.add(_plain(node))
            more = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} & held.keys() - seen
            seen |= more
            names += more
    return frozenset(found)


def _binds(node: ast.stmt) -> set[str]:
    """The names that a statement of a module gives something, or changes something of."""
    if isinstance(node, _Definition):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def _plain(node: ast.stmt) -> str:
    """A statement as text, but for docstrings."""
    shown = ast.parse(ast.unparse(node))
    for part in ast.walk(shown):
        if isinstance(part, (*_Function, ast.ClassDef)):
            part.body = [
                n for n in part.body if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))
            ] or [ast.Pass()]
    return ast.unparse(shown)
