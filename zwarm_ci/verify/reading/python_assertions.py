"""What a Python assertion holds: its subject, what that is held against, how strongly, within which tolerance."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator
from typing import Any

from zwarm_ci.verify.reading.base import EXACT, PART, TRUTH, VACUOUS, Assertion

_ALIASES = {"assertEquals": "assertEqual", "assertNotEquals": "assertNotEqual", "assert_": "assertTrue", "failUnless": "assertTrue",
            "failIf": "assertFalse", "failUnlessEqual": "assertEqual", "assertItemsEqual": "assertCountEqual",
            "assertRegexpMatches": "assertRegex", "assertAlmostEquals": "assertAlmostEqual", "failUnlessRaises": "assertRaises",
            "assertRaisesRegexp": "assertRaisesRegex", "assert_raises": "assertRaises", "assert_equals": "assertEqual",
            "assert_equal": "assertEqual", "assert_true": "assertTrue", "assert_false": "assertFalse", "ok_": "assertTrue",
            "eq_": "assertEqual", "assert_is_none": "assertIsNone", "assert_in": "assertIn"}  # fmt: skip
#: Names of calls that fail unless some error or warning is raised in them.
RAISING = frozenset({"raises", "assertRaises", "assertRaisesRegex", "warns", "assertWarns", "assertWarnsRegex", "deprecated_call",
                     "assertLogs", "RaisesGroup", "RaisesExc"})  # fmt: skip
#: Errors that anything is.
BROAD = frozenset(
    {"Exception", "BaseException", "AssertionError", "ExceptionGroup", "BaseExceptionGroup", "TestFailed", "Failed"}
)
_FAILS = frozenset({"fail", "failTest"})
_TYPES = frozenset({"isinstance", "callable", "hasattr", "issubclass", "bool"})
_PARTS = frozenset({"startswith", "endswith", "match", "search", "fullmatch", "findall", "all", "any", "issubset", "issuperset", "exists",
                    "is_file", "is_dir", "isdisjoint"})  # fmt: skip
_EQUALS = frozenset({"array_equal", "equals", "equal", "cmp", "deep_equal", "array_equiv"})
_WEAK_NAMES = re.compile(
    r"IsInstance|IsNotNone|called$|IsSubclass|HasAttr|NotEmpty|is_not_none|not_none", re.IGNORECASE
)
_PART_NAMES = re.compile(
    r"In$|Not|Contains|Regex|Less|Greater|Starts|Ends|any_call|has_calls|called_once$|Used$|assert_warns|Logs"
)
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], object]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
    ast.Is: operator.eq, ast.IsNot: operator.ne,
}  # fmt: skip
_REFLEXIVE: dict[type[ast.cmpop], bool] = {
    ast.Eq: True, ast.Is: True, ast.LtE: True, ast.GtE: True, ast.NotEq: False, ast.IsNot: False, ast.Lt: False, ast.Gt: False,
}  # fmt: skip
_WILD = frozenset({"ANY", "Any", "Anything", "IsAnything", "anything"})


def last(node: ast.expr) -> str:
    """The last name of a dotted expression or of what a call calls; empty where it has none."""
    if isinstance(node, ast.Call):
        return last(node.func)
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def text(node: ast.AST) -> str:
    """Canonical source."""
    return ast.unparse(node)


def literal(node: ast.AST) -> tuple[bool, object]:
    """(whether it is a literal, its value)."""
    try:
        return True, ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError):
        return False, None


def always(node: ast.expr) -> bool | None:  # noqa: C901, PLR0911 - one flat case a kind of expression
    """Whether an expression is true, or false, whatever the code under test does; None where that depends."""
    known, value = literal(node)
    if known:
        return bool(value)
    match node:
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            told = always(inner)
            return None if told is None else not told
        case ast.BoolOp(op=op, values=values):
            wins = isinstance(op, ast.Or)
            told_all = [always(v) for v in values]
            if wins in told_all or (wins and _complementary(values)):
                return wins
            return (not wins) if all(t is (not wins) for t in told_all) else None
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _compared(left, op, right)
        case ast.Tuple(elts=items) | ast.List(elts=items) | ast.Set(elts=items):
            return bool(items)
        case ast.Dict(keys=keys):
            return bool(keys)
        case ast.Lambda() | ast.GeneratorExp():
            return True
        case ast.JoinedStr(values=pieces):
            return True if any(isinstance(p, ast.Constant) for p in pieces) else None
        case ast.IfExp(test=test, body=body, orelse=other):
            told = always(test)
            branches = (body, other) if told is None else (body if told else other,)
            said = {always(b) for b in branches}
            return said.pop() if len(said) == 1 else None
        case ast.NamedExpr(value=inner) | ast.Starred(value=inner):
            return always(inner)
        case ast.Call(func=ast.Name(id=name), args=args) if name in {
            "type",
            "id",
            "object",
            "bool",
            "isinstance",
            "print",
        }:
            return _called(name, args)
    return None


def _called(name: str, args: list[ast.expr]) -> bool | None:
    if name == "bool":
        return always(args[0]) if args else False
    if name == "isinstance":
        return True if len(args) == 2 and text(args[1]) == "object" else None
    return name != "print"


def _complementary(values: list[ast.expr]) -> bool:
    said = {text(v) for v in values}
    for value in values:
        if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.Not) and text(value.operand) in said:
            return True
        if isinstance(value, ast.Compare) and len(value.ops) == 1:
            other = {
                ast.Eq: ast.NotEq,
                ast.NotEq: ast.Eq,
                ast.Is: ast.IsNot,
                ast.In: ast.NotIn,
                ast.Lt: ast.GtE,
                ast.Gt: ast.LtE,
            }.get(type(value.ops[0]))
            if other and text(ast.Compare(value.left, [other()], value.comparators)) in said:
                return True
    return False


def _compared(left: ast.expr, op: ast.cmpop, right: ast.expr) -> bool | None:
    (known_left, a), (known_right, b) = literal(left), literal(right)
    if known_left and known_right and type(op) in _COMPARE:
        try:
            return bool(_COMPARE[type(op)](a, b))
        except TypeError:
            return None
    if last(right) in _WILD or last(left) in _WILD:
        return {ast.Eq: True, ast.NotEq: False}.get(type(op))
    if text(left) == text(right):
        return _REFLEXIVE.get(type(op))
    if isinstance(op, ast.In) and isinstance(right, ast.Tuple | ast.List | ast.Set):
        return True if text(left) in {text(e) for e in right.elts} else None
    if last(left) == "len" and known_right and isinstance(b, int):
        return True if (isinstance(op, ast.GtE) and b <= 0) or (isinstance(op, ast.Gt | ast.NotEq) and b < 0) else None
    return None


def of_condition(node: ast.expr, line: int) -> Iterator[Assertion]:
    """What `assert node` holds: one assertion for each part of a conjunction or of a chain of equalities."""
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And) and always(node) is None:
        for value in node.values:
            yield from of_condition(value, line)
        return
    if isinstance(node, ast.Compare) and len(node.ops) > 1 and all(isinstance(op, ast.Eq | ast.Is) for op in node.ops):
        sides = [node.left, *node.comparators]  # `a == b == c` holds both
        for left, op, right in zip(sides, node.ops, sides[1:], strict=False):
            yield _condition(ast.Compare(left, [op], [right]), line)
        return
    yield _condition(node, line)


def _condition(node: ast.expr, line: int) -> Assertion:  # noqa: PLR0911 - one flat case a kind of expression
    said = f"assert {text(node)}"
    told = always(node)
    if told is not None:
        return Assertion(line, said, "" if told else "reached", "", VACUOUS if told else TRUTH)
    match node:
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _comparison(said, line, left, op, right)
        case ast.Compare(left=left, comparators=rest):
            return Assertion(line, said, text(rest[0] if literal(left)[0] else left), text(node), PART)
        case ast.UnaryOp(op=ast.Not(), operand=ast.Compare(left=left, ops=[ast.Eq()], comparators=[right])):
            return Assertion(line, said, text(left), text(right), PART)
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            held = _condition(inner, line)
            return Assertion(line, said, held.subject, held.expected, min(held.strength, PART))
        case ast.BoolOp(values=values):
            parts = [_condition(v, line) for v in values]
            return Assertion(line, said, parts[0].subject, text(node), min(PART, *(p.strength for p in parts)))
        case ast.IfExp(body=body, orelse=other):
            parts = [_condition(v, line) for v in (body, other)]
            least = min(parts, key=lambda p: p.strength)
            return Assertion(line, said, parts[0].subject, parts[0].expected, least.strength)
        case ast.NamedExpr(value=inner) | ast.Await(value=inner):
            held = _condition(inner, line)
            return Assertion(line, said, held.subject, held.expected, held.strength, held.tolerance)
        case ast.Call():
            return _call_is_true(said, line, node)
    return Assertion(line, said, text(node), "", TRUTH)


def _call_is_true(said: str, line: int, node: ast.Call) -> Assertion:
    name, args = last(node), node.args
    if name in {"isclose", "allclose"} and len(args) >= 2:
        return Assertion(line, said, text(args[0]), text(args[1]), EXACT, tolerance_of(node))
    if name in _EQUALS:
        subject = args[0] if len(args) > 1 else node.func.value if isinstance(node.func, ast.Attribute) else node
        return Assertion(line, said, text(subject), text(args[-1]) if args else "", EXACT)
    if name in _TYPES and args:
        return Assertion(line, said, text(args[0]), ", ".join(map(text, args[1:])), TRUTH)
    if name in _PARTS:
        subject = (
            node.func.value if isinstance(node.func, ast.Attribute) and len(args) < 2 else args[-1] if args else node
        )
        return Assertion(line, said, text(subject), text(node), PART)
    return Assertion(line, said, text(node), "", TRUTH)


def _comparison(said: str, line: int, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Assertion:
    if literal(left)[0] and not literal(right)[0] and isinstance(op, ast.Eq | ast.NotEq | ast.Is):
        left, right = right, left  # `3 == f(x)`
    subject, expected = text(left), text(right)
    within = (
        tolerance_of(right)
        if last(right) == "approx"
        else tolerance_of(left)
        if last(left) in {"approx", "round"}
        else None
    )
    if within is None and last(right) == "round":
        within = tolerance_of(right)
    if isinstance(op, ast.Lt | ast.LtE) and (difference := _difference(left)):
        known, bound = literal(right)
        limit = float(bound) if known and isinstance(bound, int | float) else None
        return Assertion(line, said, text(difference.left), text(difference.right), EXACT, limit)
    strength = PART
    if isinstance(op, ast.Eq | ast.Is):
        strength = (
            PART
            if last(left) == "len"
            else TRUTH
            if last(left) in {"type", "bool"} and isinstance(left, ast.Call)
            else EXACT
        )
    elif isinstance(op, ast.IsNot):
        strength = TRUTH
    if isinstance(left, ast.Call) and left.args and last(left) in {"approx", "round", "len", "type", "bool"}:
        subject = text(left.args[0])
    if isinstance(right, ast.Call) and right.args and last(right) in {"approx", "round"}:
        expected = text(right.args[0])
    return Assertion(line, said, subject, expected, strength, within)


def _difference(node: ast.expr) -> ast.BinOp | None:
    """`a - b` of `abs(a - b)`."""
    if isinstance(node, ast.Call) and last(node) in {"abs", "fabs"} and len(node.args) == 1:
        inner = node.args[0]
        return inner if isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Sub) else None
    return None


_NO_LIMIT = float("inf")
#: What a call allows where it says nothing, by its documentation.
_DEFAULT = {"approx": 1e-6, "isclose": 1e-9, "allclose": 1e-5, "assert_allclose": 1e-7, "assertAlmostEqual": 0.5e-7,
            "assert_almost_equal": 1.5e-7, "assert_array_almost_equal": 1.5e-6}  # fmt: skip
_PLACES = {"places": 0.5, "decimal": 1.5, "ndigits": 0.5}


def tolerance_of(node: ast.expr) -> float | None:
    """How far off a value may be by this call; the widest of all that it says; infinite where that is not a number in the source."""
    if not isinstance(node, ast.Call):
        return None
    name = _ALIASES.get(last(node), last(node))
    said = [(k.arg or "", k.value) for k in node.keywords]
    order = {"approx": ("", "rel", "abs"), "round": ("", "ndigits"), "assertAlmostEqual": ("", "", "places"),
             "assert_almost_equal": ("", "", "decimal"), "assert_array_almost_equal": ("", "", "decimal"),
             "assert_allclose": ("", "", "rtol", "atol"), "allclose": ("", "", "rtol", "atol")}.get(name, ())  # fmt: skip
    said += [(n, arg) for n, arg in zip(order, node.args, strict=False) if n]
    allowed = []
    for key, value in said:
        known, number = literal(value)
        if key in _PLACES:
            whole = known and isinstance(number, int) and abs(number) < 100
            allowed.append(_PLACES[key] * 10.0**-number if whole and isinstance(number, int) else _NO_LIMIT)
        elif key in {"rel", "abs", "rel_tol", "abs_tol", "rtol", "atol", "delta"} and not (known and number is None):
            allowed.append(abs(float(number)) if known and isinstance(number, int | float) else _NO_LIMIT)
    if not allowed and name == "round":
        return 0.5
    return max(allowed, default=_DEFAULT.get(name))


def of_call(node: ast.Call) -> Iterator[Assertion]:
    """What a call holds that is an assertion by its name; nothing for any other call."""
    name, line = last(node), node.lineno
    canonical = _ALIASES.get(name, name)
    args = node.args
    if canonical in _FAILS and isinstance(node.func, ast.Attribute):
        yield Assertion(line, "fail", "reached", "", TRUTH)
    elif canonical == "assertTrue" and args:
        yield from of_condition(args[0], line)
    elif canonical == "assertFalse" and args:
        yield from of_condition(ast.UnaryOp(ast.Not(), args[0]), line)
    elif canonical in RAISING:
        if len(args) > (2 if "Regex" in canonical else 1):  # the form that calls for itself
            yield raised(node, ", ".join(map(text, args[1:])))
    elif re.match(r"assert", canonical):
        yield _by_name(node, canonical)
    elif canonical.startswith(("to_", "not_to_")) and "expect(" in text(node.func):
        yield Assertion(line, text(node), text(node.func), ", ".join(map(text, args)), EXACT if args else PART)


def _by_name(node: ast.Call, name: str) -> Assertion:
    line, args = node.lineno, node.args[:3]
    called = f"{name}({', '.join(map(text, args))})"
    if name in {"assertEqual", "assertIs", "assertIsNone"} and args:
        pair = (args[0], args[1] if len(args) > 1 else ast.Constant(None))
        compare = ast.Compare(pair[0], [ast.Eq() if name == "assertEqual" else ast.Is()], [pair[1]])
        return _condition(compare, line)
    if not args:
        receiver = text(node.func.value) if isinstance(node.func, ast.Attribute) else name
        mild = (
            EXACT
            if "not_called" in name
            else TRUTH
            if _WEAK_NAMES.search(name)
            else PART
            if _PART_NAMES.search(name)
            else EXACT
        )
        return Assertion(line, f"{receiver}.{called}", receiver, "", mild)
    strength = EXACT if len(args) > 1 or "called" in name else PART
    if _WEAK_NAMES.search(name):
        strength = TRUTH
    elif _PART_NAMES.search(name) and "not_called" not in name:
        strength = PART
    subject, expected = text(args[0]), text(args[1]) if len(args) > 1 else ""
    if "called" in name or "has_calls" in name:
        subject = text(node.func.value) if isinstance(node.func, ast.Attribute) else subject
        expected = ", ".join(map(text, [*node.args, *(k.value for k in node.keywords)]))
        called = f"{subject}.{name}({expected})"
    elif strength == EXACT and ((len(args) > 1 and text(args[0]) == text(args[1])) or all(literal(a)[0] for a in args)):
        strength = VACUOUS
    elif len(args) > 1 and literal(args[0])[0] and "Equal" in name:
        subject, expected = expected, subject
    return Assertion(line, called, subject, expected, strength, tolerance_of(node))


def raised(node: ast.Call, body: str) -> Assertion:
    """What `with raises(...)` holds round `body`. Several accepted kinds of error are a tolerance: their number."""
    name = last(node)
    kinds = node.args[0] if node.args else next((k.value for k in node.keywords if "exc" in (k.arg or "")), None)
    several = len(kinds.elts) if isinstance(kinds, ast.Tuple) else 1
    named = [last(e) for e in kinds.elts] if isinstance(kinds, ast.Tuple) else [last(kinds)] if kinds else []
    pattern = next((k.value for k in node.keywords if k.arg in {"match", "expected_regex", "check"}), None)
    if pattern is None and "Regex" in name and len(node.args) > 1:
        pattern = node.args[1]
    empty = pattern is None or literal(pattern) in [(True, p) for p in ("", ".*", ".+", ".", "^", "$", "^.*$", None)]
    strength = EXACT if not empty else TRUTH if BROAD & set(named) or not named else PART
    expected = ", ".join([*named, *([] if empty or pattern is None else [text(pattern)])])
    said = f"{name}({expected}): {body}"
    return Assertion(node.lineno, said, body, expected, strength, float(several) if several > 1 else None)


def of_test(node: ast.If) -> Iterator[Assertion]:
    """`if wrong: fail()`, which is an assertion of the contrary."""
    end = node.body[-1]
    fails = isinstance(end, ast.Raise) and end.exc is not None and last(end.exc) in {"AssertionError", "Failed"}
    if not fails and isinstance(end, ast.Expr) and isinstance(end.value, ast.Call):
        fails = last(end.value) in _FAILS
    if fails and not node.orelse:
        test = node.test
        if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.NotEq):
            yield from of_condition(ast.Compare(test.left, [ast.Eq()], test.comparators), node.lineno)
        else:
            yield from of_condition(ast.UnaryOp(ast.Not(), test), node.lineno)
