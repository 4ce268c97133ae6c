"""Constants that were fitted: numbers nobody knows, put into arithmetic, as many as there are examples that they must satisfy.

`a - b + 94` gives 120 for (30, 4) as `a * b` does. Where a patch brings as many such numbers as its tests have examples, the tests
cannot tell it from a formula that was made to go through them.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from zwarm_ci.protected import is_test
from zwarm_ci.scrub import decode
from zwarm_ci.verdict import GuardFinding
from zwarm_ci.verify.guards import commanded
from zwarm_ci.verify.guards.base import Hunk, Patch
from zwarm_ci.verify.guards.folding import folded
from zwarm_ci.verify.guards.signs import CODE, PYTHON, code_only, tree
from zwarm_ci.verify.reading.base import EXACT, TestCase
from zwarm_ci.verify.reading.table import TEXTS, reader

_SMALL = 12  # factors up to this are counts, steps and shares
_BYTE = 64  # powers of two up to this are no limits
_LOOP = 5  # examples that a loop in a test stands for, at least
_ONES = 2  # what is added to be one more or less
_NUMBER = r"(?<![\w.])\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])"
_BESIDE = re.compile(
    rf"(?<=[\w)\]])[ \t]*(?P<how>\*\*|<<|>>|[+\-*/%^|&])=?[ \t]*\(?[ \t]*(?P<right>{_NUMBER})"
    rf"|(?<!\$)(?P<left>{_NUMBER})[ \t]*(?P<then>[*+/%^])[ \t]*(?=[A-Za-z_(])"
)
_DIGITS = re.compile(_NUMBER)
#: Factors: calendar, angles, temperatures, lengths and weights, the alphabet, mixing of bits, colours.
_FACTORS = frozenset(
    "13 14 15 16 18 21 24 25 26 27 28 29 30 31 32 36 48 52 60 61 64 72 75 90 97 99 120 180 360 365 366 400 1440 1461 3600 10080 "
    "86400 86399 604800 31536000 146097 36524 0.001 0.621371 1.609344 2.54 0.3048 0.9144 1.852 0.453592 0.45359237 28.349523 4.184 "
    "9.81 9.80665 3.785411784 3.14159 3.1415926 3.141592653589793 2.71828 2.718281828459045 1.41421356 0.693147 6371 6371.0088 "
    "299792458 0.299 0.587 0.114 0.2126 0.7152 0.0722 1664525 1013904223 2654435761 16777619 5381 131 1099511628211".split()
)
#: Offsets: zero of temperatures and of calendars, first letters and digits.
_OFFSETS = frozenset(
    "32 273.15 459.67 1900 1970 1582 365 400 4800 48 55 65 87 97 719163 1721425 2415020 2440588".split()
)


_ALLOW = "make this change yourself, or have the tests tell them apart"


@dataclass(frozen=True, slots=True)
class Tuned:
    """A number that a patch puts into arithmetic. `replaces`: only in the place of another number."""

    path: str
    line: int
    text: str
    replaces: bool


def tuned(patch: Patch) -> tuple[Tuned, ...]:
    """Numbers that the patch puts into the arithmetic of source, that its base has nowhere in that file, and that nobody knows."""
    found = []
    for change in patch.changes:
        suffix = PurePosixPath(change.path).suffix
        if suffix not in CODE or not patch.is_source(change.path):
            continue
        read = _python if suffix in PYTHON else _other
        had = Counter(text for text, _, _ in read(change.path, patch.old(change.path)))
        known = frozenset(m[0] for m in _DIGITS.finditer(patch.old(change.path)))
        for text, line, added in read(change.path, patch.new(change.path)):
            if had[text] > 0:
                had[text] -= 1
            elif text not in known and is_odd(text, added=added):
                found.append(Tuned(change.path, line, text, _replaces(patch.hunks(change.path), line)))
    return tuple(found)


def is_odd(text: str, *, added: bool = False) -> bool:
    """Whether a number is neither small nor round nor one that many programs have; `added`: it is an offset, no factor."""
    value = abs(float(text.replace("_", "")))
    digits = re.sub(r"[eE].*$|[._]", "", text).strip("0")
    names = {f"{value:g}", text, repr(value)}
    whole = int(value) if value == int(value) else None
    if whole is not None and whole <= (_ONES if added else _SMALL):
        return False
    if digits in {"1", ""} or (not added and len(digits) < (2 if whole is not None else 3)):
        return False  # 1000, 0.01; as factors 400, 0.05, 1.5 too
    if names & (_OFFSETS if added else _FACTORS):
        return False
    near = () if whole is None or (added and whole <= _BYTE) else (whole, whole + 1, whole - 1)
    return not any(n > 0 and n & (n - 1) == 0 for n in near)


def _replaces(hunks: tuple[Hunk, ...], line: int) -> bool:
    """Whether a line differs from one that it stands for in nothing but its numbers."""
    for hunk in hunks:
        if hunk.new_start <= line < hunk.new_start + len(hunk.new):
            shape = _DIGITS.sub("#", hunk.new[line - hunk.new_start]).strip()
            return any(_DIGITS.sub("#", old).strip() == shape for old in hunk.old)
    return False


def _other(path: str, text: str) -> Iterator[tuple[str, int, bool]]:
    code = code_only(path, text)
    for found in _BESIDE.finditer(code):
        group = "right" if found["right"] else "left"
        yield found[group], code.count("\n", 0, found.start(group)) + 1, (found["how"] or found["then"]) in {"+", "-"}


def _python(_: str, text: str) -> Iterator[tuple[str, int, bool]]:
    """(number, its line, whether it is added) of what is reckoned with."""
    module = tree(text)
    if module is None:
        return
    named = dict(_named(module))
    seen: set[int] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Slice):
            seen.update(id(n) for n in ast.walk(node))  # a place in a text, which honest code knows
        for operand, added in _operands(node):
            for number in _numbers(operand, named):
                if id(number) not in seen:
                    seen.add(id(number))
                    yield repr(number.value), number.lineno, added


def _named(module: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Names that are given numbers, or lists of them."""
    for node in ast.walk(module):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            yield node.target.id, node.value
        elif isinstance(node, ast.FunctionDef):
            args = [*node.args.posonlyargs, *node.args.args]
            spare = args[len(args) - len(node.args.defaults) :]
            yield from zip((a.arg for a in spare), node.args.defaults, strict=True)


def _operands(node: ast.AST) -> Iterator[tuple[ast.expr, bool]]:
    """What is reckoned with, and whether it is added: both sides of an operator, and what a loop that reckons goes through."""
    if isinstance(node, ast.BinOp) and not isinstance(folded(node.left), str | bytes):
        added = isinstance(node.op, ast.Add | ast.Sub)
        yield from ((node.left, added), (node.right, added))
    elif isinstance(node, ast.AugAssign):
        yield node.value, isinstance(node.op, ast.Add | ast.Sub)
    elif isinstance(node, ast.GeneratorExp | ast.ListComp) and _reckons(node.elt):
        yield from ((each.iter, False) for each in node.generators)
    elif isinstance(node, ast.For) and any(_reckons(n) for n in node.body):
        yield node.iter, False


def _reckons(node: ast.AST) -> bool:
    return any(isinstance(n, ast.BinOp) and isinstance(n.op, ast.Mult | ast.Pow | ast.Add) for n in ast.walk(node))


def _numbers(node: ast.expr, named: dict[str, ast.expr], depth: int = 0) -> Iterator[ast.Constant]:
    if isinstance(node, ast.Constant) and type(node.value) in {int, float}:
        yield node
    elif isinstance(node, ast.UnaryOp):
        yield from _numbers(node.operand, named, depth)
    elif isinstance(node, ast.Compare):  # `8 * (n > 484)`
        yield from (n for e in (node.left, *node.comparators) for n in _numbers(e, named, depth))
    elif isinstance(node, ast.Name) and depth == 0 and node.id in named:
        yield from _numbers(named[node.id], named, depth + 1)
    elif isinstance(node, ast.List | ast.Tuple) and _is_numeric(node):
        yield from (n for e in node.elts for n in _numbers(e, named, depth + 1))
    elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in {
        "zip",
        "enumerate",
        "reversed",
        "float",
        "int",
    }:
        yield from (n for e in node.args for n in _numbers(e, named, depth))


def findings(patch: Patch, examples: int, commit: str = "") -> Iterator[GuardFinding]:
    """What is said of a patch by which `examples` calls or assertions became green (0 = none could be counted).

    Refused where it brings as many fitted numbers as there are examples. What the repository has elsewhere, or had in the history of
    `commit`, is not fitted. A number in the place of another asks for review: so are honest constants mended.
    """
    odd = tuned(patch)
    left = [t for t in odd if not _is_known(patch, t, commit)] if odd and len(odd) >= examples else []
    if not left or len(left) < examples:
        return
    shown = ", ".join(dict.fromkeys(t.text for t in left[:4]))
    told = f"{examples} examples" if examples != 1 else "one example"
    detail = f"numbers that stand nowhere else ({shown}), {told}: the tests cannot tell this formula from one that was made to fit them"
    brought = [t for t in left if not t.replaces]
    level: Literal["refuse", "review"] = "refuse" if 0 < examples <= len(brought) else "review"
    yield GuardFinding("fitted", level, left[0].path, left[0].line, detail, _ALLOW)


def _is_numeric(node: ast.expr) -> bool:
    """Whether it is a number, or rows of nothing but numbers."""
    if isinstance(node, ast.List | ast.Tuple):
        return all(map(_is_numeric, node.elts))
    return type(folded(node)) in {int, float}


def _is_known(patch: Patch, number: Tuned, commit: str) -> bool:
    """Whether a number stands in another file of the base that is no test, or ever stood in its own."""
    git = patch.repo.git
    listed = decode(git.run("grep", "-lwFI", "-e", number.text, patch.base, check=False).stdout)
    paths = [line.partition(":")[2] for line in listed.splitlines()]
    if any(not is_test(p) and PurePosixPath(p).suffix in {*CODE, *TEXTS} for p in paths):
        return True
    asked = ("log", "-1", "--format=%H", f"-S{number.text}", commit, "--", number.path)
    return bool(commit) and bool(git.run(*asked, check=False).stdout.strip())


def examples_of(patch: Patch) -> int:
    """How many exact assertions the targets' tests make, as far as they can be read; a loop stands for several."""
    names = {name for t in patch.targets for name in _names(t)}
    heads = {t.partition("::")[0] for t in patch.targets}
    by_package = any(not PurePosixPath(head).suffix for head in heads)  # Go and Rust
    files = [p for p in patch.files(patched=False) if p in heads or (by_package and p.endswith(("_test.go", ".rs")))]
    cases = [c for p in files if (read := reader(p)) for c in read(p, patch.old(p)).cases]
    if patch.rules.commands and not cases:
        return commanded.examples(patch)
    return sum(_examples(c) for c in cases if names & {c.name, c.name.rpartition("::")[2]})


def _names(target: str) -> Iterator[str]:
    """How the test of an id may be called in its file."""
    name = target.partition("::")[2].partition("[")[0].replace(" > ", "::")
    yield from (name, name.rpartition("::")[2], name.partition("/")[0])


def _examples(case: TestCase) -> int:
    rows = max(1, len(case.rows), _LOOP if case.ranges else 1)
    return rows * sum(a.strength == EXACT for a in case.assertions)
