"""Examples that doctest runs, in docstrings of Python and in texts: a case for each of them, an assertion for each answer."""

from __future__ import annotations

import ast
import doctest
import re
import warnings
from collections.abc import Iterator
from pathlib import PurePosixPath

from zwarm_ci.verify.reading.base import EXACT, PART, VACUOUS, Assertion, Note, TestCase, TestFile

_BEGINS = re.compile(r"^[ \t]*>>>(?: |$)", re.MULTILINE)
#: What an expression that is put between others must not have: it could make the others mean something else.
_BINDS = re.compile(r":=|\b(?:globals|locals|vars|setattr|exec|eval|update|lambda|sys|modules)\b|__")
_LENIENT = (doctest.ELLIPSIS, doctest.IGNORE_EXCEPTION_DETAIL)
_Owner = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def has_examples(text: str) -> bool:
    """Whether anything in a text looks like an example."""
    return bool(_BEGINS.search(text))


def read(path: str, source: str) -> TestFile:
    """The examples in `source`; a case has the name of what its docstring belongs to, the last of that name. Never raises."""
    parser = doctest.DocTestParser()
    try:
        cases = {name: _case(name, line, parser.get_examples(text)) for name, line, text in texts(path, source)}
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return TestFile(readable=False)
    return TestFile(cases=tuple(case for case in cases.values() if case.shape))


def sources(path: str, source: str) -> dict[str, tuple[str, ...]]:
    """The code of the examples in `source`, by the name of what they stand in; nothing where it cannot be read."""
    parser = doctest.DocTestParser()
    try:
        return {
            name: tuple(e.source.rstrip("\n") for e in parser.get_examples(t)) for name, _, t in texts(path, source)
        }
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}


def texts(path: str, source: str) -> Iterator[tuple[str, int, str]]:
    """(name, line of its first line, text) of every docstring, or of the one text that a file is.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: Python that cannot be parsed.
    """
    pure = PurePosixPath(path)
    if pure.suffix.lower() != ".py":
        yield pure.name, 1, source
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd escapes in their strings
        yield from _documented(ast.parse(source.removeprefix("\ufeff")), pure.stem)


def _documented(owner: _Owner, name: str, prefix: str = "") -> Iterator[tuple[str, int, str]]:
    if text := ast.get_docstring(owner, clean=False):
        yield name, owner.body[0].lineno, text
    if isinstance(owner, ast.FunctionDef | ast.AsyncFunctionDef):
        return  # what is defined in a function has no name that doctest could find
    for node in _defined(owner.body):
        yield from _documented(node, f"{prefix}{node.name}", f"{prefix}{node.name}.")


def _defined(body: list[ast.stmt]) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """Classes and functions of a body, those under conditions too."""
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
        elif isinstance(node, ast.If | ast.Try | ast.With):
            for block in (node.body, getattr(node, "orelse", []), getattr(node, "finalbody", [])):
                yield from _defined(block)


def _case(name: str, line: int, examples: list[doctest.Example]) -> TestCase:
    assertions, off, shape = [], [], []
    for example in examples:
        source, want, at = example.source.rstrip(), example.want.rstrip(), line + example.lineno
        options = {flag for flag, on in example.options.items() if on}
        if doctest.SKIP in options:
            off.append(Note(at, f"doctest: +SKIP: {source}"))
        shape.append(_shown(source, want, options))
        if want:
            assertions.append(Assertion(at, f"{source} -> {want}", source, want, _strength(want, options)))
    return TestCase(name, line, tuple(assertions), tuple(off), shape="\n".join(shape))


def _shown(source: str, want: str, options: set[int]) -> str:
    """One example on a line of a shape; `assert ` before what may stand between others and changes nothing for them."""
    line = f"{source} -> {want} {sorted(options)}".replace("\n", "\\n")
    return f"assert {line}" if want and _is_plain(source) else line


def _is_plain(source: str) -> bool:
    """Whether it is an expression that looks at things and binds no name."""
    try:
        ast.parse(source, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return not _BINDS.search(source)


def _strength(want: str, options: set[int]) -> int:
    if "..." not in want or not options.intersection(_LENIENT):
        return EXACT
    return PART if want.replace("...", "").strip() else VACUOUS
