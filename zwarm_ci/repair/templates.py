"""Single edits worth trying on a suspicious line: about thirty templates, the likeliest kinds of slip first.

Each template yields (level, node, start, end, text): 1 = slips of one operator or one off, 2 = wrong name or missing condition,
3 = the long tail.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise

from zwarm_ci.repair.source import Edit, Source

Raw = tuple[int, ast.AST, int, int, str]
LEVELS = (1, 2, 3)
_NEAR = 8  # lines; a name further away is seldom the one that was meant
_NAMES = 8  # names tried for one that may be wrong

_COMPARE: Mapping[type[ast.cmpop], tuple[str, tuple[str, ...]]] = {
    ast.Lt: ("<", ("<=", ">", ">=")),
    ast.LtE: ("<=", ("<", ">=", ">")),
    ast.Gt: (">", (">=", "<", "<=")),
    ast.GtE: (">=", (">", "<=", "<")),
    ast.Eq: ("==", ("!=", ">=", "<=", "in")),
    ast.NotEq: ("!=", ("==", ">", "<")),
    ast.Is: ("is", ("is not", "==")),
    ast.IsNot: ("is not", ("is",)),
    ast.In: ("in", ("not in", "==")),
    ast.NotIn: ("not in", ("in",)),
}
_ARITHMETIC: Mapping[type[ast.operator], tuple[str, tuple[str, ...]]] = {
    ast.Add: ("+", ("-", "*")),
    ast.Sub: ("-", ("+", "*", "/")),
    ast.Mult: ("*", ("/", "+", "**", "//", "-")),
    ast.Div: ("/", ("*", "//", "-")),
    ast.FloorDiv: ("//", ("/", "*", "%")),
    ast.Mod: ("%", ("//", "/", "*")),
    ast.Pow: ("**", ("*",)),
    ast.BitAnd: ("&", ("|", "^")),
    ast.BitOr: ("|", ("&", "^")),
    ast.BitXor: ("^", ("&", "|")),
    ast.LShift: ("<<", (">>",)),
    ast.RShift: (">>", ("<<",)),
}
_ORDER_MATTERS = (ast.Sub, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.LShift, ast.RShift)
#: Names and methods that are mistaken for each other.
_RELATIVES = [
    "min max", "any all", "append extend", "append appendleft", "pop popleft", "add discard", "lower upper", "strip lstrip rstrip",
    "startswith endswith", "find rfind", "index rindex", "split rsplit", "keys values items", "floor ceil", "int float round", "sorted reversed",
    "partition rpartition", "ljust rjust", "removeprefix removesuffix", "union intersection difference", "update setdefault", "encode decode",
    "add update", "match search fullmatch", "sum len", "str repr", "list set", "first last", "left right", "start end", "insert append",
]  # fmt: skip


def edits(source: Source, lines: Iterable[int], level: int) -> Iterator[Edit]:
    """Edits of one level on the given lines, in the lines' order, each text once."""
    wanted = list(dict.fromkeys(lines))
    by_line = _by_line(source, frozenset(wanted))
    seen: set[tuple[int, int, str]] = set()
    for line in wanted:
        for node in by_line.get(line, ()):
            for template in _TEMPLATES:
                for at, changed, start, end, text in template(source, node):
                    same = source.content[start:end] == text.encode()
                    if at != level or same or (start, end, text) in seen:
                        continue
                    seen.add((start, end, text))
                    yield Edit(
                        source.path,
                        start,
                        end,
                        text,
                        changed.lineno,
                        template.__name__.strip("_"),
                        source.swappable(changed),
                    )  # type: ignore[attr-defined]


def _by_line(source: Source, wanted: frozenset[int]) -> dict[int, list[ast.AST]]:
    """Nodes by the suspicious line that they belong to: their own, else their statement's."""
    found: dict[int, list[ast.AST]] = {}
    for node in ast.walk(source.tree):
        line = getattr(node, "lineno", 0)
        if not line or _within_handler_or_annotation(source, node):
            continue
        if line not in wanted:
            line = getattr(source.statement(node), "lineno", 0)
        if line in wanted:
            found.setdefault(line, []).append(node)
    return found


def _within_handler_or_annotation(source: Source, node: ast.AST) -> bool:
    """What an `except` catches and what a type hint says is no repair: the one hides errors, the other does nothing."""
    below = node
    while below in source.parents and not isinstance(below, ast.stmt):
        above = source.parents[below]
        if isinstance(above, ast.ExceptHandler) and below is above.type:
            return True
        if below is getattr(above, "annotation", None) or below is getattr(above, "returns", None):
            return True
        below = above
    return False


def _operator(source: Source, left: ast.AST, right: ast.AST, old: str) -> tuple[int, int] | None:
    """Where operator `old` stands between two operands; comments between them are passed over."""
    start, gap = source.between(left, right)
    bare = re.sub(rb"#[^\r\n]*", lambda m: b" " * len(m.group()), gap)
    pattern = r"\s+".join(re.escape(part) for part in old.split())
    if old[0].isalpha():
        pattern = rf"\b{pattern}\b"
    match = re.search(pattern.encode(), bare)
    return (start + match.start(), start + match.end()) if match else None


def _comparison(source: Source, node: ast.AST) -> Iterator[Raw]:
    if not isinstance(node, ast.Compare):
        return
    for (left, right), op in zip(pairwise([node.left, *node.comparators]), node.ops, strict=True):
        old, others = _COMPARE[type(op)]
        if place := _operator(source, left, right, old):
            for rank, new in enumerate(others):
                yield 1 if rank < 3 and new != "in" else 3, node, *place, new


def _arithmetic(source: Source, node: ast.AST) -> Iterator[Raw]:
    if not isinstance(node, ast.BinOp) or type(node.op) not in _ARITHMETIC:
        return
    old, others = _ARITHMETIC[type(node.op)]
    if place := _operator(source, node.left, node.right, old):
        for rank, new in enumerate(others):
            yield 1 if rank < 2 else 2, node, *place, new
    if isinstance(node.op, _ORDER_MATTERS):
        yield 2, node, *source.span(node), f"{_atom(source, node.right)} {old} {_atom(source, node.left)}"
    for side in (node.left, node.right):
        yield 3, node, *source.span(node), source.text(side)


def _augmented(source: Source, node: ast.AST) -> Iterator[Raw]:
    if not isinstance(node, ast.AugAssign) or type(node.op) not in _ARITHMETIC:
        return
    old, others = _ARITHMETIC[type(node.op)]
    if place := _operator(source, node.target, node.value, f"{old}="):
        for new in others:
            yield 1, node, *place, f"{new}="
        yield 2, node, *place, "="


def _assignment(source: Source, node: ast.AST) -> Iterator[Raw]:
    if (
        isinstance(node, ast.Assign)
        and len(node.targets) == 1
        and (place := _operator(source, node.targets[0], node.value, "="))
    ):
        for new in ("+=", "-="):
            yield 3, node, *place, new


def _boolean(source: Source, node: ast.AST) -> Iterator[Raw]:
    if not isinstance(node, ast.BoolOp):
        return
    old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
    for left, right in pairwise(node.values):
        if place := _operator(source, left, right, old):
            yield 1, node, *place, new
    for dropped in node.values:
        rest = [_atom(source, v) for v in node.values if v is not dropped]
        yield 2, node, *source.span(node), f" {old} ".join(rest)
    for value in node.values:
        yield 2, node, *source.span(value), _negated(source, value)


def _condition(source: Source, node: ast.AST) -> Iterator[Raw]:
    tests = [node.test] if isinstance(node, ast.If | ast.While | ast.IfExp | ast.Assert) else []
    tests += [t for c in getattr(node, "generators", []) for t in c.ifs]
    for test in tests:
        if not isinstance(test, ast.Compare) or len(test.ops) > 1:  # one comparison has its opposite among the operators
            yield 1, test, *source.span(test), _negated(source, test)
        if isinstance(test, ast.Name | ast.Attribute | ast.Subscript | ast.Call):
            yield 2, test, *source.span(test), f"{source.text(test)} is not None"
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            yield 2, test, *source.span(test), f"{_atom(source, test.operand)} is None"
        if (
            isinstance(test, ast.Compare)
            and isinstance(test.ops[0], ast.Is | ast.IsNot)
            and source.text(test.comparators[0]) == "None"
        ):
            kept = _atom(source, test.left)
            yield 2, test, *source.span(test), kept if isinstance(test.ops[0], ast.IsNot) else f"not {kept}"
    if isinstance(node, ast.If | ast.While):
        yield from _more_condition(source, node.test)


def _more_condition(source: Source, test: ast.expr) -> Iterator[Raw]:
    for name in _names(source, test)[:4]:
        if name not in source.text(test):
            yield 3, test, *source.span(test), f"{_atom(source, test)} and {name}"
            yield 3, test, *source.span(test), f"{_atom(source, test)} or not {name}"


def _not(source: Source, node: ast.AST) -> Iterator[Raw]:
    if isinstance(node, ast.UnaryOp):
        yield 1, node, *source.span(node), _atom(source, node.operand)
    if isinstance(node, ast.Return) and node.value is not None:
        if isinstance(node.value, ast.Name | ast.Compare | ast.BoolOp | ast.Call | ast.Attribute):
            yield 2, node.value, *source.span(node.value), _negated(source, node.value)
        if isinstance(node.value, ast.Name | ast.BinOp | ast.Call):
            yield 3, node.value, *source.span(node.value), f"-{_atom(source, node.value)}"


def _constant(source: Source, node: ast.AST) -> Iterator[Raw]:
    if not isinstance(node, ast.Constant) or _is_docstring(source, node):
        return
    if isinstance(node.value, bool):
        yield 1, node, *source.span(node), str(not node.value)
    elif isinstance(node.value, int):
        for level, value in (
            (1, node.value + 1),
            (1, node.value - 1),
            (2, 0),
            (2, 1),
            (3, node.value * 10),
            (3, node.value // 10),
        ):
            yield level, node, *source.span(node), str(value) if value >= 0 else f"({value})"
    elif isinstance(node.value, str) and not isinstance(source.parents.get(node), ast.JoinedStr):
        if node.value.strip():
            yield from _other_strings(source, node)
        else:
            for text in ("''", "' '", "'\\n'", "', '"):
                yield 3, node, *source.span(node), text


def _other_strings(source: Source, node: ast.Constant) -> Iterator[Raw]:
    near = [
        n for n in ast.walk(source.tree)
        if isinstance(n, ast.Constant) and isinstance(n.value, str) and abs(n.lineno - node.lineno) <= _NEAR
        and not _is_docstring(source, n) and not isinstance(source.parents.get(n), ast.JoinedStr)
    ]  # fmt: skip
    for other in sorted(near, key=lambda n: abs(n.lineno - node.lineno))[:4]:
        yield 3, node, *source.span(node), source.text(other)


def _one_off(source: Source, node: ast.AST) -> Iterator[Raw]:
    """`x + 1` and `x - 1` for operands of comparisons, bounds of slices, subscripts and ranges, and what is returned."""
    for level, part in _countable(node):
        if not isinstance(part, ast.Name | ast.Attribute | ast.Call | ast.BinOp | ast.Subscript):
            continue
        text = _atom(source, part) if not isinstance(part, ast.BinOp) else source.text(part)
        for sign in ("+", "-"):
            yield level, part, *source.span(part), f"{text} {sign} 1"


def _countable(node: ast.AST) -> Iterator[tuple[int, ast.expr]]:
    if isinstance(node, ast.Compare):
        yield from ((2, part) for part in (node.left, *node.comparators))
    if isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Slice | ast.Tuple):
        yield 1, node.slice
    if isinstance(node, ast.Slice):
        yield from ((1, part) for part in (node.lower, node.upper) if part is not None)
    if isinstance(node, ast.Call):
        level = 1 if isinstance(node.func, ast.Name) and node.func.id == "range" else 3
        yield from ((level, part) for part in node.args)
    if isinstance(node, ast.Return) and node.value is not None:
        yield 2, node.value
    if isinstance(node, ast.Assign):
        yield 3, node.value


def _slice(source: Source, node: ast.AST) -> Iterator[Raw]:
    if not isinstance(node, ast.Slice):
        return
    lower, upper = (source.text(p) if p is not None else "" for p in (node.lower, node.upper))
    step = f":{source.text(node.step)}" if node.step is not None else ""
    for low, up in ((lower, ""), ("", upper), ("1", upper), (upper, lower), (lower, "-1")):
        yield 2, node, *source.span(node), f"{low}:{up}{step}"
    if step:
        yield 2, node, *source.span(node), f"{lower}:{upper}"


def _call(source: Source, node: ast.AST) -> Iterator[Raw]:
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
        yield 3, node, *source.span(node), _atom(source, node.args[0])
    if isinstance(node.func, ast.Attribute) and not node.args and not node.keywords:
        yield 3, node, *source.span(node), source.text(node.func.value)
    for dropped in (*node.args[1:], *node.keywords):
        before = [*node.args, *node.keywords]
        left = before[before.index(dropped) - 1]
        if before.index(dropped):
            yield 3, node, source.span(left)[1], source.span(dropped)[1], ""


def _relative(source: Source, node: ast.AST) -> Iterator[Raw]:
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


def _name(source: Source, node: ast.AST) -> Iterator[Raw]:
    """Another name that is used or bound within a few lines, or an argument of the function."""
    if not isinstance(node, ast.Name) or not isinstance(node.ctx, ast.Load):
        return
    called = isinstance(parent := source.parents.get(node), ast.Call) and parent.func is node
    for rank, other in enumerate(_names(source, node)):
        yield 3 if called or rank >= _NAMES else 2, node, *source.span(node), other
    attributes = _attributes(source, node)
    for attribute in [a for a in attributes if a.rpartition(".")[2] == node.id] + attributes[:2]:
        yield 3, node, *source.span(node), attribute


def _attribute(source: Source, node: ast.AST) -> Iterator[Raw]:
    if not isinstance(node, ast.Attribute) or not isinstance(node.ctx, ast.Load):
        return
    owner = source.text(node.value)
    end = source.span(node)[1]
    same = [n for n in ast.walk(source.tree) if isinstance(n, ast.Attribute) and source.text(n.value) == owner]
    names = dict.fromkeys(n.attr for n in sorted(same, key=lambda n: (abs(n.lineno - node.lineno), n.col_offset)))
    for other in list(names)[:_NAMES]:
        yield 2, node, end - len(node.attr.encode()), end, other


def _jump(source: Source, node: ast.AST) -> Iterator[Raw]:
    if isinstance(node, ast.Break):
        yield 1, node, *source.span(node), "continue"
        yield 3, node, *source.span(node), "pass"
    elif isinstance(node, ast.Continue):
        yield 1, node, *source.span(node), "break"
        yield 3, node, *source.span(node), "pass"


def _choice(source: Source, node: ast.AST) -> Iterator[Raw]:
    """Either branch of `a if c else b`; `a or b` where `a` may be false but not None; the part of an f-string stays."""
    if isinstance(node, ast.IfExp):
        for branch in (node.body, node.orelse):
            yield 2, node, *source.span(node), source.text(branch)
        swapped = f"{source.text(node.orelse)} if {source.text(node.test)} else {source.text(node.body)}"
        yield 2, node, *source.span(node), swapped
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or) and len(node.values) == 2:
        first, second = (_atom(source, v) for v in node.values)
        if isinstance(source.parents.get(node), ast.Assign | ast.Return | ast.Call | ast.keyword):
            yield 2, node, *source.span(node), f"{first} if {first} is not None else {second}"


def _returned(source: Source, node: ast.AST) -> Iterator[Raw]:
    if not isinstance(node, ast.Return) or node.value is None:
        return
    for other in ("None", "True", "False", "0", "[]", "''"):
        yield 3, node, *source.span(node.value), other
    if isinstance(node.value, ast.Tuple) and len(node.value.elts) == 2:
        first, second = (source.text(e) for e in node.value.elts)
        yield 2, node, *source.span(node.value), f"{second}, {first}"


def _appended(source: Source, node: ast.AST) -> Iterator[Raw]:
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


_TEMPLATES: tuple[Callable[[Source, ast.AST], Iterator[Raw]], ...] = (
    _comparison, _arithmetic, _augmented, _boolean, _condition, _not, _constant, _one_off, _slice, _call, _relative, _name, _attribute,
    _jump, _choice, _returned, _appended, _assignment,
)  # fmt: skip


def _names(source: Source, node: ast.AST) -> list[str]:
    """Names near `node` in its own function, the nearest first; its arguments count as near."""
    scope = source.scope(node)
    line = getattr(node, "lineno", 0)
    found: dict[str, int] = {}
    for other in ast.walk(scope or source.tree):
        if isinstance(other, ast.Name):
            away = abs(other.lineno - line)
        elif isinstance(other, ast.arg) and scope is not None:
            away = min(_NEAR, abs(other.lineno - line))
        else:
            continue
        name = other.id if isinstance(other, ast.Name) else other.arg
        if away <= _NEAR:
            found[name] = min(found.get(name, away), away)
    return sorted(found, key=lambda name: (found[name], name))


def _attributes(source: Source, node: ast.AST) -> list[str]:
    """`self.x` for each x that is used within a few lines of a method."""
    near = {
        source.text(n)
        for n in ast.walk(source.scope(node) or source.tree)
        if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id == "self"
    }
    return sorted(near)


def _is_docstring(source: Source, node: ast.Constant) -> bool:
    return isinstance(node.value, str) and isinstance(source.parents.get(node), ast.Expr)


def _negated(source: Source, test: ast.AST) -> str:
    return f"not {_atom(source, test)}"


def _atom(source: Source, node: ast.AST) -> str:
    """The node's text, in parentheses where another operator beside it could tear it apart."""
    text = source.text(node)
    loose = (
        ast.BinOp
        | ast.BoolOp
        | ast.Compare
        | ast.UnaryOp
        | ast.IfExp
        | ast.Lambda
        | ast.NamedExpr
        | ast.Await
        | ast.Tuple
        | ast.Yield
    )
    return f"({text})" if isinstance(node, loose) else text
