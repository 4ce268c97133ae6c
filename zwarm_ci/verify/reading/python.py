"""The tests of a Python file: pytest's functions and classes, unittest's methods. Read with `ast`; nothing is imported or run."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from zwarm_ci.verify.reading.base import Assertion, Note, TestCase, TestFile
from zwarm_ci.verify.reading.changes import UNMARKED_ASYNC
from zwarm_ci.verify.reading.python_assertions import always, last, literal, text
from zwarm_ci.verify.reading.python_body import (
    ASYNC_MARK,
    OFF_MARK,
    Body,
    Function,
    elements,
    replaces,
    walk,
)
from zwarm_ci.verify.reading.python_shape import shape

_SETUPS = frozenset({"setUp", "setUpClass", "asyncSetUp", "setup", "setup_method", "setup_class", "setup_module", "setup_function",
                     "setUpModule", "run", "__init_subclass__"})  # fmt: skip
_NEVER_COLLECTED = frozenset(
    {"fixture", "property", "contextmanager", "asynccontextmanager", "cached_property", "overload"}
)
_IGNORES = frozenset({"collect_ignore", "collect_ignore_glob", "__test__"})


def read(path: str, source: str) -> TestFile:
    """The tests in `source`; never raises for any text."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes in their strings
            tree = ast.parse(source.removeprefix("\ufeff"))
        return _Reading(path, tree).file()
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return TestFile(readable=False)


@dataclass(slots=True)
class _Scope:
    """The module or a class. `prefix`: of its tests' names; `marks`: what keeps all in it off."""

    prefix: str = ""
    marks: tuple[Note, ...] = ()
    asynchronous: bool = False
    fixtures: tuple[Function, ...] = ()
    condition: str = ""


@dataclass(slots=True)
class _Reading:
    path: str
    tree: ast.Module
    cases: list[TestCase] = field(default_factory=list)
    helpers: dict[str, str] = field(default_factory=dict)
    off: list[Note] = field(default_factory=list)
    subjects: dict[str, tuple[str, ...]] = field(default_factory=dict)
    imported: frozenset[str] = frozenset()
    tables: dict[str, ast.expr] = field(default_factory=dict)
    leaky: frozenset[str] = frozenset()
    fixtures: dict[str, Function] = field(default_factory=dict)
    skipping: frozenset[str] = frozenset()
    functions: dict[str, Function] = field(default_factory=dict)
    called: dict[str, tuple[Assertion, ...]] = field(default_factory=dict)
    over: dict[str, list[Note]] = field(default_factory=dict)

    def file(self) -> TestFile:
        self._imports()
        self._names()
        scope = _Scope(asynchronous=any(ASYNC_MARK.search(text(v)) for v in _assigned(self.tree.body, "pytestmark")))
        scope.fixtures = tuple(f for f in self.fixtures.values() if _is_autouse(f))
        self._scan(self.tree.body, scope)
        return TestFile(tuple(_numbered(self.cases)), (), tuple(self.off), self.subjects, self.helpers)

    def _imports(self) -> None:
        """Every import of the file, those in tests too; only what stands at the top can be redefined."""
        top = set()
        package = PurePosixPath(self.path).parent.parts
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    self.subjects.setdefault(alias.name, (f" as {alias.asname}" if alias.asname else "",))
            elif isinstance(node, ast.ImportFrom):
                above = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
                module = ".".join(filter(None, [above, node.module or ""]))
                names = {
                    *self.subjects.get(module, ()),
                    *(f"{a.name} as {a.asname}" if a.asname else a.name for a in node.names),
                }
                self.subjects[module] = tuple(sorted(names))
        for node in walk(self.tree.body):
            if isinstance(node, ast.Import | ast.ImportFrom):
                top |= {a.asname or a.name.partition(".")[0] for a in node.names}
        self.imported = frozenset(top - {"*"})

    def _names(self) -> None:
        """What names of the module stand for: tables of rows, fixtures, marks that skip, helpers that swallow."""
        leaky: set[str] = set()
        skipping: set[str] = set()
        for node in self._outside_functions(self.tree.body):
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                name = node.targets[0].id
                if elements(node.value) is not None:
                    self.tables[name] = node.value
                if any(
                    isinstance(p, ast.Attribute | ast.Name) and OFF_MARK.match(last(p)) for p in ast.walk(node.value)
                ):
                    skipping.add(name)
                self.over.setdefault(name, []).append(Note(node.lineno, f"rebound: {text(node)[:80]}"))
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                self._definition(node, leaky, skipping)
            elif isinstance(node, ast.Delete):
                for target in node.targets:
                    self.over.setdefault(last(target), []).append(Note(node.lineno, text(node)[:80]))
            elif isinstance(node, ast.Call | ast.Assign):
                self._touched(node)
        self.leaky, self.skipping = frozenset(leaky), frozenset(skipping)

    def _outside_functions(self, block: Sequence[ast.stmt]) -> Iterator[ast.AST]:
        for node in walk(block):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from self._outside_functions(node.body)

    def _touched(self, node: ast.Call | ast.Assign) -> None:
        """A module-level call or assignment that names a test: `setattr(TestX, "test_a", …)`, `TestX.test_a = …`."""
        parts = ast.walk(node) if isinstance(node, ast.Call) else (p for t in node.targets for p in ast.walk(t))
        for part in parts:
            value = part.value if isinstance(part, ast.Constant) else ""
            if isinstance(part, ast.Attribute) or (isinstance(part, ast.Name) and isinstance(node, ast.Assign)):
                value = last(part)
            if isinstance(value, str) and value.startswith("test"):
                self.over.setdefault(value, []).append(Note(node.lineno, f"touched: {text(node)[:80]}"))

    def _definition(self, node: Function | ast.ClassDef, leaky: set[str], skipping: set[str]) -> None:
        if isinstance(node, ast.ClassDef):
            exits = [
                m
                for m in node.body
                if isinstance(m, ast.FunctionDef | ast.AsyncFunctionDef) and m.name in {"__exit__", "__aexit__"}
            ]
            if any(
                isinstance(r, ast.Return) and r.value and always(r.value) is not False
                for m in exits
                for r in walk(m.body)
            ):
                leaky.add(node.name)
            return
        if any(last(d) == "fixture" for d in node.decorator_list):
            self.fixtures[node.name] = node
        if not node.name.startswith("test"):
            self.functions.setdefault(node.name, node)
            body = Body(frozenset())
            for part in ast.walk(node):
                if isinstance(part, ast.Try) and (any(_calls_something(s) for s in part.body)):
                    body.guarded(part)
            if body.swallows:
                leaky.add(node.name)
            if any(OFF_MARK.match(last(p)) for p in ast.walk(node) if isinstance(p, ast.Attribute)):
                skipping.add(node.name)

    def _scan(self, block: Sequence[ast.stmt], scope: _Scope) -> None:
        marks = [*scope.marks, *(n for v in _assigned(block, "pytestmark") for n in self._marks([v]))]
        if not scope.prefix:
            self.off += [n for n in marks if n not in scope.marks]
            marks = list(scope.marks)
        here = _Scope(scope.prefix, tuple(marks), scope.asynchronous, scope.fixtures, scope.condition)
        defined: dict[str, int] = {}
        for node in block:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                if node.name in defined and not {last(d) for d in node.decorator_list} & {
                    "setter",
                    "overload",
                    "register",
                }:
                    self._overridden(f"{scope.prefix}{node.name}", node.lineno)
                defined[node.name] = node.lineno
            self._member(node, here)

    def _overridden(self, name: str, line: int) -> None:
        for at, case in enumerate(self.cases):
            if case.name == name or case.name.startswith(f"{name}::"):
                self.cases[at] = replace(case, off=(*case.off, Note(line, "defined again further down")))

    def _member(self, node: ast.stmt, scope: _Scope) -> None:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() if node.name.startswith("test") and not _is_no_test(node):
                self._case(node, scope)
            case ast.ClassDef() if _is_test_class(node, self.tree):
                self._class(node, scope)
            case ast.If() | ast.Try() | ast.With():
                self._branches(node, scope)
            case ast.Import() | ast.ImportFrom():
                return
            case ast.Expr(value=ast.Constant()):
                return
            case _:
                self._helper(node, scope)

    def _branches(self, node: ast.If | ast.Try | ast.With, scope: _Scope) -> None:
        around = scope
        if isinstance(node, ast.If):
            if "__main__" in text(node.test):
                return
            dead = always(node.test) is False
            said = "in a condition that never holds" if dead else f"defined only if {text(node.test)}"
            around = _Scope(scope.prefix, (*scope.marks, Note(node.lineno, said)), scope.asynchronous, scope.fixtures)
        self._scan(node.body, around)
        for handler in getattr(node, "handlers", ()):
            self._scan(handler.body, scope)
        self._scan(getattr(node, "orelse", []), around)
        self._scan(getattr(node, "finalbody", []), scope)

    def _class(self, node: ast.ClassDef, scope: _Scope) -> None:
        marks = [*scope.marks, *self._marks(node.decorator_list)]
        methods = {m.name: m for m in node.body if isinstance(m, ast.FunctionDef | ast.AsyncFunctionDef)}
        unit = any("Case" in last(b) or "Test" in last(b) for b in node.bases)
        if "__init__" in methods and not unit:
            marks.append(Note(methods["__init__"].lineno, "a class with __init__ is not collected"))
        for name in _IGNORES:
            values = (v for v in _assigned(node.body, name) if always(v) is False)
            marks += [Note(v.lineno, f"{name} = {text(v)}") for v in values]
        runs_async = scope.asynchronous or any(ASYNC_MARK.search(text(e)) for e in [*node.bases, *node.decorator_list])
        runs_async = runs_async or any(ASYNC_MARK.search(text(v)) for v in _assigned(node.body, "pytestmark"))
        fixtures = (*scope.fixtures, *(m for m in methods.values() if _is_autouse(m) or m.name in _SETUPS))
        prefix = f"{scope.prefix}{node.name}::"
        self.helpers[prefix.removesuffix("::")] = ", ".join(
            map(text, [*node.bases, *node.keywords, *_plain(node.decorator_list)])
        )
        self._scan(node.body, _Scope(prefix, tuple(marks), runs_async, fixtures))

    def _marks(self, expressions: Sequence[ast.expr]) -> Iterator[Note]:
        """Marks that skip or that expect a failure, through names of the module too."""
        for value in expressions:
            for part in elements(value) or [value]:
                whole = part.func if isinstance(part, ast.Call) else part
                if OFF_MARK.match(last(part)) or (isinstance(whole, ast.Name) and whole.id in self.skipping):
                    yield Note(part.lineno, text(part))

    def _case(self, node: Function, scope: _Scope) -> None:
        body = Body(self.imported, self.leaky, self.tables)
        body.off += [*scope.marks, *self._marks(node.decorator_list), *self.over.get(node.name, ())]
        for decorator in node.decorator_list:
            self._decorator(decorator, body)
        taken = {a.arg for a in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]}
        used = [self.fixtures[n] for n in sorted(taken & self.fixtures.keys())]
        for fixture in [*scope.fixtures, *used]:
            self._set_up(fixture, body)
        for statement in self.tree.body:
            if isinstance(statement, ast.Assign | ast.FunctionDef | ast.ClassDef):
                body.doubles += replaces(statement, self.imported)
        body.read(node)
        body.assertions += self._called(node)
        marked = any(ASYNC_MARK.search(text(d)) for d in node.decorator_list)
        if isinstance(node, ast.AsyncFunctionDef) and not marked and not scope.asynchronous:
            body.off.append(Note(node.lineno, UNMARKED_ASYNC))
        name, line = f"{scope.prefix}{node.name}", node.lineno
        self.cases.append(
            TestCase(
                name,
                line,
                tuple(body.assertions),
                tuple(body.off),
                tuple(body.swallows),
                tuple(body.doubles),
                tuple(body.rows),
                tuple(body.ranges),
                shape(node),
            )
        )

    def _called(self, node: Function) -> Iterator[Assertion]:
        """The assertions of the file's own helpers that a test calls: they are the test's, wherever they stand."""
        for name in dict.fromkeys(last(p) for p in ast.walk(node) if isinstance(p, ast.Call)):
            if name not in self.called and (helper := self.functions.get(name)) is not None:
                body = Body(self.imported)
                body.block(helper.body)
                self.called[name] = tuple(body.assertions)
            yield from self.called.get(name, ())

    def _set_up(self, fixture: Function, body: Body) -> None:
        """What a fixture or a set-up does to a test: only what keeps it off and what it replaces."""
        inner = Body(self.imported, self.leaky, self.tables)
        inner.block(fixture.body)
        body.off += [n for n in inner.off if not n.text.startswith("only if")]
        body.doubles += inner.doubles

    def _decorator(self, node: ast.expr, body: Body) -> None:
        body.expression(node)
        if not isinstance(node, ast.Call) and last(node) in self.leaky:
            body.swallows.append(Note(node.lineno, f"through {last(node)}"))
        if not isinstance(node, ast.Call) or last(node) not in {
            "parametrize",
            "expand",
            "data",
            "example",
            "params",
            "product",
        }:
            return
        values = node.args[1:2] if last(node) == "parametrize" else node.args
        values = values or [k.value for k in node.keywords if k.arg in {"argvalues", None}]
        what = text(node.args[0]) if last(node) == "parametrize" and node.args else last(node)
        if last(node) in {"data", "example", "params"}:
            items = [*values, *([ast.Tuple([k.value for k in node.keywords])] if node.keywords else [])]
        else:
            items = [
                i for v in values for i in elements(self.tables.get(v.id, v) if isinstance(v, ast.Name) else v) or ()
            ]
        for item in items:
            body.rows.append(f"{what}: {self._row(item, body)}")

    def _row(self, item: ast.expr, body: Body) -> str:
        if not (isinstance(item, ast.Call) and last(item) == "param"):
            return text(item)
        row = ", ".join(map(text, item.args))
        for key in item.keywords:
            if key.arg == "marks":
                body.off += [Note(n.line, f"row {row}: {n.text}") for n in self._marks([key.value])]
        return row if len(item.args) == 1 else f"({row})"

    def _helper(self, node: ast.stmt, scope: _Scope) -> None:
        names = []
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names = [node.name]
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            plain = [n for t in targets for n in (elements(t) or [t])]
            names = [n.id for n in plain if isinstance(n, ast.Name)]
            if _IGNORES & set(names) and node.value is not None and not scope.prefix:
                self.off.append(Note(node.lineno, text(node)))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and OFF_MARK.match(last(node.value)):
            self.off.append(Note(node.lineno, text(node)))
        if any("importorskip" in text(c) for c in walk([node]) if isinstance(c, ast.Call)) and not isinstance(
            node, Function | ast.ClassDef
        ):
            self.off.append(Note(node.lineno, text(node)))
        said = shape(node)
        for name in names or [f"statement {said[:60]}"]:
            if name != "pytestmark":
                key = f"{scope.prefix}{name}"
                self.helpers[key] = f"{self.helpers[key]}\n{said}" if key in self.helpers else said


def _is_autouse(node: Function) -> bool:
    decorators = [d for d in node.decorator_list if isinstance(d, ast.Call) and last(d) == "fixture"]
    return any(k.arg == "autouse" and literal(k.value) != (True, False) for d in decorators for k in d.keywords)


def _calls_something(node: ast.stmt) -> bool:
    return any(
        isinstance(p, ast.Yield | ast.Assert)
        or (isinstance(p, ast.Call) and last(p) in {"func", "fn", "f", "test", "function"})
        for p in ast.walk(node)
    )


def _is_no_test(node: Function) -> bool:
    return any(last(d) in _NEVER_COLLECTED for d in node.decorator_list)


def _is_test_class(node: ast.ClassDef, tree: ast.Module) -> bool:
    """Whether a runner collects a class, itself or through one that derives from it; an imported base may make it a test case."""
    has_tests = any(
        isinstance(m, ast.FunctionDef | ast.AsyncFunctionDef) and m.name.startswith("test") for m in ast.walk(node)
    )
    if not has_tests and not node.name.startswith("Test"):
        return False
    bases = [b for b in node.bases if last(b) not in {"object", "ABC", "Generic", "Protocol"}]
    if node.name.startswith("Test") or bases:
        return True
    return any(isinstance(c, ast.ClassDef) and any(last(b) == node.name for b in c.bases) for c in tree.body)


def _assigned(block: Sequence[ast.stmt], name: str) -> Iterator[ast.expr]:
    for node in block:
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(t, ast.Name) and t.id == name for t in targets):
                yield node.value


def _plain(decorators: Sequence[ast.expr]) -> list[ast.expr]:
    return [d for d in decorators if last(d) != "parametrize"]


def _numbered(cases: Sequence[TestCase]) -> Iterator[TestCase]:
    seen: dict[str, int] = {}
    for case in cases:
        seen[case.name] = seen.get(case.name, 0) + 1
        yield case if seen[case.name] == 1 else replace(case, name=f"{case.name}#{seen[case.name]}")
