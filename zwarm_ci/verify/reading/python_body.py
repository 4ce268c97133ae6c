"""What the body of a Python test does: its assertions, and what keeps them from running, counting or meaning anything."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from zwarm_ci.verify.reading import python_assertions as assertions
from zwarm_ci.verify.reading.base import Assertion, Note
from zwarm_ci.verify.reading.python_assertions import always, last, literal, text

Function = ast.FunctionDef | ast.AsyncFunctionDef
OFF_MARK = re.compile(r"^_?(skip|xfail|expected_?failure|ignore|disable|todo|quarantine|flaky|rerun)", re.IGNORECASE)
_OFF_CALLS = frozenset({"skip", "xfail", "importorskip", "skipTest", "SkipTest", "Skipped", "exit", "_exit", "reject"})
_PATCHES = re.compile(
    r"(^|\.)(mock|mocker|patch|patcher|monkeypatch|mp|m)\b.*$|^(class_|module_|session_|package_)?mocker\b"
)
_MOCKS = frozenset(
    {"MagicMock", "Mock", "AsyncMock", "PropertyMock", "NonCallableMock", "create_autospec", "SimpleNamespace"}
)
_STRATEGY = re.compile(r"\b(st|strategies|integers|floats|text|lists|builds|characters|binary)\b.*\(")
_BOUNDS = re.compile(
    r"(^|_)(min|max)_|^(count|repeat|repeats|times|n|iterations|examples|number|loops|size|start|stop|step)$"
)
#: What says that a coroutine is meant to be run by a plug-in.
ASYNC_MARK = re.compile(
    r"asyncio|anyio|trio|gen_test|curio|tornado|coroutine|inlineCallbacks|aio|loop|async", re.IGNORECASE
)


@dataclass(slots=True)
class Body:
    """What was found so far. `leaky`: names of the file that swallow failures; `tables`: names that stand for literal rows."""

    imported: frozenset[str]
    leaky: frozenset[str] = frozenset()
    tables: Mapping[str, ast.expr] = field(default_factory=dict)
    assertions: list[Assertion] = field(default_factory=list)
    off: list[Note] = field(default_factory=list)
    swallows: list[Note] = field(default_factory=list)
    doubles: list[Note] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    ranges: list[Note] = field(default_factory=list)

    def read(self, function: Function) -> None:
        """Take in the whole body of a test."""
        if all(_is_nothing(s) for s in function.body):
            self.off.append(Note(function.lineno, "empty"))
        self.block(function.body)
        if any(isinstance(n, ast.Yield | ast.YieldFrom) for n in walk(function.body)):
            self.off.append(Note(function.lineno, "yields, so that nothing of it runs"))
        for name in sorted({n.id for n in ast.walk(function) if isinstance(n, ast.Name)} & self.leaky):
            self.swallows.append(Note(function.lineno, f"through {name}"))
        self._early(function)

    def _early(self, function: Function) -> None:
        """Returns ahead of an assertion, breaks and continues ahead of one in the same loop."""
        for node, around, end in _with_conditions(function.body, "", function.end_lineno or 0):
            over = tuple(a.text for a in self.assertions if node.lineno < a.line <= end)
            if not over:
                continue
            if isinstance(node, ast.Return):
                self.off.append(Note(node.lineno, f"returns early{around}", over))
            elif isinstance(node, ast.Continue | ast.Break):
                self.off.append(Note(node.lineno, f"leaves a loop early{around}", over))

    def block(self, statements: Sequence[ast.stmt]) -> None:
        """Take in statements in their order."""
        for statement in statements:
            self._statement(statement)

    def _statement(self, node: ast.stmt) -> None:  # noqa: C901, PLR0912 - one flat case a kind of statement
        match node:
            case ast.Assert(test=test):
                self.assertions += assertions.of_condition(test, node.lineno)
            case ast.If():
                self._if(node)
            case ast.While(test=test) if always(test) is False:
                self._never(node, node.body)
            case ast.For() | ast.AsyncFor():
                self._for(node)
            case ast.Try() | ast.TryStar():
                self.guarded(node)
            case ast.With() | ast.AsyncWith():
                self._with(node)
            case ast.Raise(exc=ast.expr() as error) if last(error) in _OFF_CALLS or "skip.Exception" in text(error):
                self.off.append(Note(node.lineno, text(node)))
            case (
                ast.Assign()
                | ast.AnnAssign()
                | ast.AugAssign()
                | ast.FunctionDef()
                | ast.ClassDef()
                | ast.Import()
                | ast.ImportFrom()
            ):
                self.doubles += replaces(node, self.imported)
        for name in ("body", "orelse", "finalbody"):
            if not isinstance(node, ast.If | ast.ClassDef):
                self.block(getattr(node, name, ()))
        for inner in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
            self.block(inner.body)
        for part in ast.iter_child_nodes(node):
            if isinstance(part, ast.expr | ast.withitem | ast.keyword):
                self.expression(part)

    def _if(self, node: ast.If) -> None:
        self.assertions += assertions.of_test(node)
        told = always(node.test)
        for branch, dead, other in ((node.body, told is False, node.orelse), (node.orelse, told is True, node.body)):
            if dead:
                self._never(node, branch)
            known = len(self.assertions)
            self.block(branch)
            if told is None and not holds(other) and not _is_loud(other):
                condition = text(node.test) if branch is node.body else f"not {text(node.test)}"
                self.off += [Note(a.line, f"only if {condition}: {a.text}") for a in self.assertions[known:]]

    def _never(self, node: ast.stmt, body: Sequence[ast.stmt]) -> None:
        if holds(body):
            self.off.append(Note(node.lineno, "a condition that never holds"))

    def _for(self, node: ast.For | ast.AsyncFor) -> None:
        over = self._resolved(node.iter)
        items = elements(over)
        if items is not None:
            self.rows += [f"for {text(node.target)}: {text(i)}" for i in items]
        empty = items == [] or (literal(over)[0] and not literal(over)[1]) or _span(over) == 0
        if empty:
            self._never(node, node.body)

    def _resolved(self, node: ast.expr) -> ast.expr:
        while isinstance(node, ast.Call) and last(node) in {"enumerate", "list", "tuple", "sorted", "iter", "items"}:
            if isinstance(node.func, ast.Attribute):
                node = node.func.value
            elif node.args:
                node = node.args[0]
            else:
                break
        return self.tables.get(node.id, node) if isinstance(node, ast.Name) else node

    def guarded(self, node: ast.Try | ast.TryStar) -> None:
        """What handlers keep from being seen."""
        inside = holds(node.body)
        for handler in node.handlers:
            silent = all(_is_nothing(s) or _prints(s) for s in handler.body)
            if not inside and not (is_broad(handler.type) and silent):
                continue
            if not _is_loud(handler.body):
                kind = text(handler.type) if handler.type else "anything"
                self.swallows.append(Note(handler.lineno, f"except {kind}"))
        for part in walk(node.finalbody):
            if isinstance(part, ast.Return | ast.Break | ast.Continue):
                self.swallows.append(Note(part.lineno, "leaves in a finally"))

    def _with(self, node: ast.With | ast.AsyncWith) -> None:
        inside = holds(node.body)
        for item in node.items:
            call = item.context_expr
            name = last(call)
            if not isinstance(call, ast.Call):
                continue
            if name == "suppress" and (inside or any(is_broad(a) for a in call.args)):
                self.swallows.append(Note(call.lineno, text(call)))
            if name in assertions.RAISING:
                body = "; ".join(text(s) for s in node.body)
                self.assertions.append(assertions.raised(call, body))
                if inside and any(is_broad(a) for a in call.args):
                    self.swallows.append(Note(call.lineno, f"{text(call)} round an assertion"))

    def expression(self, node: ast.AST) -> None:
        """Take in what an expression calls, wherever in it."""
        for part in ast.walk(node):
            if isinstance(part, ast.Call):
                self._call(part)

    def _call(self, node: ast.Call) -> None:
        name, line = last(node), node.lineno
        self.assertions += assertions.of_call(node)
        receiver = text(node.func.value) if isinstance(node.func, ast.Attribute) else ""
        if name in _OFF_CALLS and (
            receiver in {"pytest", "self", "sys", "os", "unittest", "cls", "hypothesis"}
            or (name in self.imported and not receiver)
        ):
            self.off.append(Note(line, text(node)))
        if name == "assume" and node.args:
            told = always(node.args[0])
            (self.off if told is False else self.ranges).append(Note(line, text(node)))
        if name == "filter" and _STRATEGY.search(receiver):
            self.ranges.append(Note(line, f"filter({', '.join(map(text, node.args))})"))
        if name in {"push", "push_async_exit"} and any(
            isinstance(a, ast.Lambda) and always(a.body) is not False for a in node.args
        ):
            self.swallows.append(Note(line, text(node)))
        if any(k.arg == "return_exceptions" and literal(k.value) == (True, True) for k in node.keywords):
            self.swallows.append(Note(line, f"{name}(return_exceptions=True)"))
        if is_double(node, self.imported):
            self.doubles.append(Note(line, text(node)))
        self.ranges += extents(node)


def holds(block: Sequence[ast.stmt]) -> bool:
    """Whether there is an assertion in statements."""
    for node in walk(block):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call) and (
            last(node) in assertions.RAISING or last(node).startswith(("assert", "fail"))
        ):
            return True
    return False


def _is_nothing(node: ast.stmt) -> bool:
    plain = isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    return plain or (isinstance(node, ast.Return) and (node.value is None or literal(node.value)[0]))


def _prints(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and last(node.value) in {"print", "debug", "info"}
    )


def walk(statements: Sequence[ast.stmt]) -> Iterator[ast.AST]:
    """Every node in statements, those of nested functions and classes left out."""
    ahead: list[ast.AST] = list(reversed(statements))
    while ahead:
        node = ahead.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            ahead.extend(reversed(list(ast.iter_child_nodes(node))))


def _with_conditions(statements: Sequence[ast.stmt], around: str, end: int) -> Iterator[tuple[ast.stmt, str, int]]:
    """Every statement outside nested functions, the conditions it stands under, the last line of what it may leave."""
    for node in statements:
        yield node, around, end
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        inner = f"{around} if {text(node.test)}" if isinstance(node, ast.If) else around
        last_line = (node.end_lineno or end) if isinstance(node, ast.For | ast.AsyncFor | ast.While) else end
        for name in ("body", "orelse", "finalbody"):
            yield from _with_conditions(getattr(node, name, ()), inner, last_line)
        for part in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
            yield from _with_conditions(part.body, f"{around} in one case", last_line)


def _is_loud(body: Sequence[ast.stmt]) -> bool:
    """Whether a handler raises, fails or asserts something, so that it hides nothing."""
    for node in walk(body):
        if isinstance(node, ast.Raise):
            return True
        if isinstance(node, ast.Assert) and always(node.test) is not True:
            return True
        if isinstance(node, ast.Call) and (
            last(node).startswith("assert") or last(node) in {"fail", "skip", "xfail", "skipTest"}
        ):
            return True
    return False


def is_broad(kind: ast.expr | None) -> bool:
    """Whether an `except` of this kind catches a failed assertion."""
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return any(k is None or last(k) in assertions.BROAD for k in kinds)


def elements(node: ast.expr) -> list[ast.expr] | None:
    """The items of a list, tuple, set or dict that stands in the source; None for anything else."""
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return list(node.elts)
    if isinstance(node, ast.Dict):
        return [ast.Tuple([k or ast.Constant(None), v]) for k, v in zip(node.keys, node.values, strict=True)]
    return None


def _span(node: ast.expr) -> int | None:
    """How many numbers a literal `range(...)` has."""
    if isinstance(node, ast.Call) and last(node) == "range":
        said = [literal(a)[1] for a in node.args]
        if said and all(isinstance(n, int) for n in said) and len(said) < 4 and 0 not in said[2:]:
            return len(range(*(n for n in said if isinstance(n, int))))
    return None


def extents(node: ast.Call) -> Iterator[Note]:
    """How much a call goes through, where that is a number in the source."""
    if _span(node) is not None:
        yield Note(node.lineno, text(node))
    for word in node.keywords:
        known, value = literal(word.value)
        number = known and isinstance(value, int | float) and not isinstance(value, bool)
        if number and word.arg and _BOUNDS.search(word.arg):
            yield Note(node.lineno, f"{last(node)} {word.arg}={value}")
    if last(node) in {"integers", "floats", "repeat"}:
        for name, arg in zip(("min_value", "max_value"), node.args, strict=False):
            if literal(arg)[0]:
                yield Note(node.lineno, f"{last(node)} {name}={literal(arg)[1]}")


def is_double(node: ast.Call, imported: frozenset[str]) -> bool:
    """Whether a call puts something else in the place of code."""
    name, whole = last(node), text(node.func)
    if name in {"setattr", "setitem", "delattr", "delitem", "syspath_prepend"} and isinstance(node.func, ast.Attribute):
        return True
    if name in {"setattr", "delattr"} and node.args:
        return _root(node.args[0]) in imported
    if name in {"patch", "patch_object", "spec_set", "stub"} or re.search(
        r"(^|\.)patch(\.(object|dict|multiple))?$", whole
    ):
        return True
    return bool(_PATCHES.search(whole)) and name in {"patch", "object", "multiple", "dict", "stub", "replace"}


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def replaces(node: ast.stmt, imported: frozenset[str]) -> Iterator[Note]:
    """What a statement puts over an imported name or into an imported module or class."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        if node.name in imported:
            yield Note(node.lineno, f"redefines {node.name}")
    elif isinstance(node, ast.Import | ast.ImportFrom):
        for alias in node.names:
            bound = alias.asname or alias.name.partition(".")[0]
            if bound in imported and (alias.asname or isinstance(node, ast.ImportFrom)):
                where = getattr(node, "module", None) or ""
                yield Note(node.lineno, f"imports {bound} from {where or alias.name}")
    else:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets:
            if isinstance(target, ast.Name) and target.id in imported:
                yield Note(node.lineno, f"redefines {target.id}")
            elif isinstance(target, ast.Attribute | ast.Subscript):
                root = _root(target)
                known = root in imported and (
                    isinstance(target, ast.Attribute) or root == "sys" or "__dict__" in text(target)
                )
                if known or root in {"globals", "builtins", "__builtins__"}:
                    yield Note(node.lineno, f"sets {text(target)}")
