"""Constant expressions worked out without running anything: `"py" + "test"`, `"".join([...])`, `chr(112)`, `"tsetyp"[::-1]`, `4 - 1`."""

from __future__ import annotations

import ast
import base64
import binascii
import operator

_MOST = 2000  # characters or digits of a value
_ARITHMETIC = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.BitXor: operator.xor,
}
_METHODS = frozenset(
    {"lower", "upper", "strip", "title", "swapcase", "replace", "removeprefix", "removesuffix", "decode", "encode"}
)


def folded(node: ast.expr | None, depth: int = 0) -> object:
    """The constant that an expression is; None where it is none (or is None)."""
    if depth > 20:
        return None
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = folded(node.operand, depth + 1)
        return -value if isinstance(value, int | float) else None
    if isinstance(node, ast.List | ast.Tuple):
        parts = [folded(item, depth + 1) for item in node.elts]
        return None if any(part is None for part in parts) else tuple(parts)
    if isinstance(node, ast.BinOp):
        return _arithmetic(node, depth)
    if isinstance(node, ast.JoinedStr):
        texts = [folded(v.value if isinstance(v, ast.FormattedValue) else v, depth + 1) for v in node.values]
        return None if any(t is None for t in texts) else "".join(map(str, texts))[:_MOST]
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        return _sliced(node, node.slice, depth)
    return _called(node, depth) if isinstance(node, ast.Call) else None


def _arithmetic(node: ast.BinOp, depth: int) -> object:
    left, right = folded(node.left, depth + 1), folded(node.right, depth + 1)
    work = _ARITHMETIC.get(type(node.op))
    if work is None or left is None or right is None:
        return None
    if isinstance(node.op, ast.Mult) and not all(isinstance(x, int | float) and abs(x) < 1e9 for x in (left, right)):
        return None
    try:
        found: object = work(left, right)
    except (TypeError, ValueError, ArithmeticError, KeyError, OverflowError):
        return None
    return found if not isinstance(found, str | bytes | tuple) or len(found) < _MOST else None


def _sliced(node: ast.Subscript, part: ast.Slice, depth: int) -> object:
    value = folded(node.value, depth + 1)
    bounds = [folded(b, depth + 1) for b in (part.lower, part.upper, part.step)]
    if (
        not isinstance(value, str | bytes | tuple)
        or not all(isinstance(b, int | None) for b in bounds)
        or bounds[2] == 0
    ):
        return None
    start, stop, step = (b if isinstance(b, int) else None for b in bounds)
    return value[start:stop:step]


def _tuple(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else ()


def _called(node: ast.Call, depth: int) -> object:
    args = [folded(a, depth + 1) for a in node.args]
    if node.keywords or any(a is None for a in args):
        return None
    name = (
        node.func.attr
        if isinstance(node.func, ast.Attribute)
        else node.func.id
        if isinstance(node.func, ast.Name)
        else ""
    )
    try:
        if name in {"chr", "str"} and len(args) == 1:
            return chr(args[0]) if name == "chr" and isinstance(args[0], int) else str(args[0])
        if name in {"bytes", "bytearray"} and isinstance(args[0] if args else None, tuple):
            return bytes(part for part in _tuple(args[0]) if isinstance(part, int))
        if name == "fromhex" and isinstance(args[0], str):
            return bytes.fromhex(args[0])
        if name in {"b64decode", "urlsafe_b64decode"} and isinstance(args[0], str | bytes):
            return base64.b64decode(args[0])
        holder = folded(node.func.value, depth + 1) if isinstance(node.func, ast.Attribute) else None
        if name == "join" and isinstance(holder, str) and isinstance(args[0], tuple):
            return holder.join(map(str, args[0]))
        if name in _METHODS and isinstance(holder, str | bytes):
            found: object = getattr(holder, name)(*args)
            return found
    except (TypeError, ValueError, AttributeError, IndexError, LookupError, OverflowError, binascii.Error):
        return None
    return None
