"""Sees whether a test is what its file says, and its file what the caller knows.

Runs in the repository's interpreter: Python 3.8 and pytest 6.2 or newer, standard library and pytest alone.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import os
from types import CodeType, FunctionType, ModuleType
from typing import Any, Dict, Iterator, List, Optional, Set, Tuple

from zwarm_ci_witness import inner

_FUNCTION, _MODULE, _CODE, _type, _list, _getattr = FunctionType, ModuleType, CodeType, type, list, getattr
_open, _read, _close = os.open, os.read, os.close
_MOST = 200  # things that decorators may have put round a function


class Texts:
    """What the code of test files must be, by what their files hold."""

    def __init__(self, tree: str, digests: Dict[str, str]) -> None:
        self.tree, self.digests = tree, digests
        self.codes: Dict[str, Dict[Any, str]] = {}
        self.documents: Dict[str, Dict[str, str]] = {}

    def wrong(self, item: Any, path: str, config: Any) -> str:
        """What is not as the file of a test says; "" where it is, or nothing can be told."""
        expected = self._expected(path, config)
        if expected is None:
            return "test file %s" % path
        examples = _getattr(item, "dtest", None)
        if examples is not None and not self._documented(examples, path):
            return "test text of %s" % path
        function = _getattr(item, "obj", None)
        name = _getattr(item, "originalname", None) or item.name.split("[")[0]
        full = os.path.join(self.tree, path)
        found = [code for code in _reachable(function) if os.path.realpath(code.co_filename) == full]
        if any(_digest(code) not in expected for code in found):
            return "test code of %s" % path
        module = _getattr(item, "module", None)
        for held in _list(_getattr(module, "__dict__", {}).values()):
            code: Any = _getattr(inner(held), "__code__", None)
            if _type(code) is _CODE and os.path.realpath(code.co_filename) == full and _digest(code) not in expected:
                return "test code of %s" % path
        if (
            name in expected.values()
            and function is not None
            and not any(expected.get(_digest(code)) == name for code in found)
        ):
            return "test code of %s" % path
        return ""

    def _documented(self, examples: Any, path: str) -> bool:
        """Whether examples of doctest stand in the docstring of what they are named after."""
        if path not in self.documents:
            text = _bytes(os.path.join(self.tree, path))
            self.documents[path] = dict(_docstrings(ast.parse(text), ""))
        known = self.documents[path]
        held = inspect.cleandoc(str(_getattr(examples, "docstring", "")))
        _, _, name = str(_getattr(examples, "name", "")).rpartition(os.path.basename(path).split(".")[0] + ".")
        if name in known:
            return known[name] == held
        return held in known.values() or "__test__." in name  # of a name that its code made

    def _expected(self, path: str, config: Any) -> Optional[Dict[Any, str]]:
        """Digest -> name of each piece of code of a file; None where the file is not what the caller knows."""
        if path not in self.codes:
            full = os.path.join(self.tree, path)
            text = _bytes(full)
            if hashlib.sha256(text).hexdigest() != self.digests[path]:
                return None
            made = [compile(text, full, "exec", dont_inherit=True)]
            rewritten = _rewritten(full, config)
            self.codes[path] = {_digest(c): c.co_name for top in [*made, *rewritten] for c in _all_codes(top)}
        return self.codes[path]


def _docstrings(owner: Any, prefix: str) -> Iterator[Tuple[str, str]]:
    """(name, cleaned text) of every docstring; names of what is nested have those of its classes and blocks of code in them."""
    text = ast.get_docstring(owner, clean=False)
    if text is not None:
        yield prefix[:-1], inspect.cleandoc(text)
    todo: List[Any] = _list(owner.body)
    while todo:
        node = todo.pop(0)
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from _docstrings(node, "%s%s." % (prefix, node.name))
        else:
            todo[:0] = [part for name in ("body", "orelse", "finalbody") for part in _getattr(node, name, [])]


def _bytes(path: str) -> bytes:
    handle = _open(path, os.O_RDONLY)
    chunks: List[bytes] = []
    try:
        while True:
            chunk = _read(handle, 1 << 20)
            if not chunk:
                return b"".join(chunks)
            chunks.append(chunk)
    finally:
        _close(handle)


def _rewritten(path: str, config: Any) -> List[CodeType]:
    """The code of a file with its assertions rewritten, as pytest does it."""
    from pathlib import Path

    from _pytest.assertion import rewrite

    return [rewrite._rewrite_test(Path(path), config)[1]]


def _all_codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for const in code.co_consts:
        if _type(const) is _CODE:
            yield from _all_codes(const)


def _digest(code: CodeType) -> Any:
    """What a piece of code does, as a value that is the same for each time that it is compiled."""
    consts = tuple(_digest(c) if _type(c) is _CODE else _constant(c) for c in code.co_consts)
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return code.co_name, code.co_firstlineno, code.co_code, consts, names, code.co_flags


def _constant(value: Any) -> Any:
    if _type(value) is tuple:
        return tuple(_constant(v) for v in value)
    if _type(value) is frozenset:
        return "frozenset", tuple(sorted(repr(v) for v in value))
    return _type(value).__name__, repr(value)


def _reachable(value: Any) -> List[CodeType]:
    """The code of a function, and of what decorators have wrapped."""
    found: List[CodeType] = []
    todo: List[Any] = [value]
    seen: Set[int] = set()
    while todo and len(seen) < _MOST:
        one = inner(todo.pop())
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        if _type(one) is _FUNCTION:
            found.append(one.__code__)
            for cell in one.__closure__ or ():
                try:
                    todo.append(cell.cell_contents)
                except ValueError:
                    continue
        held: Any = _getattr(one, "__dict__", None)
        if _type(one) is _MODULE or isinstance(one, type) or _type(held) is not dict:
            continue
        if _type(one) is functools.partial:
            todo.append(one.func)
        todo += [held.get(name) for name in ("__wrapped__", "func", "function", "inner_test", "hypothesis")]
    return found
