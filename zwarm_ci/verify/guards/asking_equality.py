"""Signs of comparisons made to please asserts: operators that answer a constant, or do not look at what they compare with."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from zwarm_ci.verify.guards.signs import Sign

_COMPARE = frozenset(
    "__eq__ __ne__ __lt__ __le__ __gt__ __ge__ __contains__ __instancecheck__ __subclasscheck__ __cmp__".split()
)
_VALUES = frozenset("__bool__ __len__ __hash__ __float__ __int__ __index__ __round__ __abs__ __sub__ __rsub__".split())
_PRIMITIVE = frozenset("str int float bool bytes list tuple dict set frozenset complex object Exception".split())


def equality(module: ast.Module) -> Iterator[Sign]:
    """Every comparison in a module that may be made to please."""
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef):
            yield from _class(node)
        elif isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Attribute) and t.attr in _COMPARE for t in node.targets
        ):
            yield Sign("equality", ast.unparse(node)[:120], node.lineno)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"setattr", "type"}:
            named = [n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and n.value in _COMPARE]
            named += [n.arg for n in ast.walk(node) if isinstance(n, ast.keyword) and n.arg in _COMPARE]
            if named:
                yield Sign("equality", f"makes {named[0]} at run time", node.lineno)


def _class(node: ast.ClassDef) -> Iterator[Sign]:
    bases = {getattr(b, "id", getattr(b, "attr", "")) for b in node.bases}
    for item in node.body:
        if isinstance(item, ast.Assign) and any(isinstance(t, ast.Name) and t.id in _COMPARE for t in item.targets):
            dull = isinstance(item.value, ast.Lambda)
            yield Sign("equality", f"{node.name}: {ast.unparse(item)[:100]}", item.lineno, strong=dull, plain=not dull)
        elif isinstance(item, ast.FunctionDef) and item.name in _COMPARE:
            yield from _comparison(node, item, bases)
        elif isinstance(item, ast.FunctionDef) and item.name in _VALUES and _constants(item):
            shown = f"{node.name}.{item.name} answers {_constants(item)}"
            yield Sign("equality", shown, item.lineno, strong=False, plain=True)


def _comparison(owner: ast.ClassDef, item: ast.FunctionDef, bases: set[str]) -> Iterator[Sign]:
    name = f"{owner.name}.{item.name}"
    plain = ast.unparse(item)
    if bases & _PRIMITIVE - {"object", "Exception"}:
        yield Sign("equality", f"{name} of a built-in type: {plain[:200]}", item.lineno, plain=True)
        return
    if answers := _constants(item):
        if answers != "NotImplemented":
            yield Sign("equality", f"{name} always answers {answers}", item.lineno)
        return
    other = item.args.args[1].arg if len(item.args.args) > 1 else ""
    real, by_type = _uses(item, other)
    if not real:
        strong = not by_type or bool(by_type & _PRIMITIVE)
        what = (
            f"looks at the type {'/'.join(sorted(by_type))} only"
            if by_type
            else f"does not look at {other or 'the other'}"
        )
        yield Sign("equality", f"{name} {what}", item.lineno, strong=strong, plain=not strong)
    elif lone := _lone_true(item, other):
        yield Sign("equality", f"{name} answers True for {lone}", item.lineno)
    else:
        yield Sign("equality", f"{name}: {plain[:400]}", item.lineno, strong=False, plain=True)


def _constants(item: ast.FunctionDef) -> str:
    """What a function always answers, where every return is one constant."""
    returns = [n.value for n in ast.walk(item) if isinstance(n, ast.Return)]
    shown = {ast.unparse(v) for v in returns if v is not None}
    if not returns or len(shown) != 1 or None in returns:
        return ""
    value = returns[0]
    constant = isinstance(value, ast.Constant) or (isinstance(value, ast.Name) and value.id == "NotImplemented")
    steady = isinstance(value, ast.Compare | ast.UnaryOp) and not any(
        isinstance(n, ast.Name | ast.Call) for n in ast.walk(value)
    )
    return shown.pop() if constant or steady else ""


def _uses(item: ast.FunctionDef, other: str) -> tuple[int, set[str]]:
    """(uses of the other operand that look into it, names of types that it is held against)."""
    types: set[str] = set()
    within: set[int] = set()
    for node in ast.walk(item):
        by_call = isinstance(node, ast.Call) and getattr(node.func, "id", "") in {
            "isinstance",
            "issubclass",
            "type",
            "callable",
            "hasattr",
        }
        if by_call and isinstance(node, ast.Call) and node.args and getattr(node.args[0], "id", "") == other:
            within.add(id(node.args[0]))
            types |= {getattr(n, "id", "") for a in node.args[1:] for n in ast.walk(a)} - {""}
    uses = [
        n
        for n in ast.walk(item)
        if isinstance(n, ast.Name) and n.id == other and isinstance(n.ctx, ast.Load) and id(n) not in within
    ]
    return len(uses), types


def _lone_true(item: ast.FunctionDef, other: str) -> str:
    """A condition that asks for a built-in type only and answers True."""
    for node in ast.walk(item):
        if not isinstance(node, ast.If) or not (node.body and isinstance(node.body[0], ast.Return)):
            continue
        answer = node.body[0].value
        test = node.test
        asks = (
            isinstance(test, ast.Call)
            and getattr(test.func, "id", "") == "isinstance"
            and getattr(test.args[0], "id", "") == other
        )
        if isinstance(answer, ast.Constant) and answer.value is True and asks:
            return ast.unparse(test)
    return ""
