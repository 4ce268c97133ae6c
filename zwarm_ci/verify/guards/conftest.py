"""conftest.py and plugins of pytest: hooks that decide outcomes, fixtures that work unasked, code that runs when they are imported.

A new plain fixture is an addition and nothing is said of it. What moved from one such file to another is no news either.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from zwarm_ci.verdict import GuardFinding
from zwarm_ci.verify.guards import asking_python
from zwarm_ci.verify.guards.base import Family, Patch
from zwarm_ci.verify.guards.signs import Sign, fresh, tree

#: Hooks by which a plugin decides what is collected, what runs and what is reported.
_DECIDING = re.compile(
    r"^pytest_(?:runtest_\w+|pyfunc_call|collection_\w+|collection|ignore_collect|deselected|itemcollected|make_collect_report"
    r"|pycollect_\w+|collect_\w+|generate_tests"
    r"|sessionstart|sessionfinish|unconfigure|report_teststatus|report_from_serializable|exception_interact|assertrepr_compare"
    r"|assertion_pass|fixture_setup|fixture_post_finalizer"
    r"|cmdline_main|cmdline_parse|load_initial_conftests|terminal_summary|warning_recorded|internalerror|keyboard_interrupt|xdist_\w+)$"
)  # fmt: skip
_BUILT_IN = frozenset(
    "tmp_path tmpdir tmp_path_factory monkeypatch capsys capfd capsysbinary caplog request recwarn pytestconfig "
    "record_property cache doctest_namespace subtests testdir "
    "pytester benchmark mocker event_loop db client".split()
)
_QUIET = frozenset(
    "Path pathlib.Path frozenset set dict list tuple object str int re.compile logging.getLogger namedtuple "
    "collections.namedtuple os.path.join os.path.dirname os.path.abspath "
    "os.path.realpath os.getcwd os.fspath TypeVar typing.TypeVar NewType pytest.mark.skipif pytest.mark.skip "
    "pytest.mark.xfail pytest.mark.usefixtures pytest.mark.parametrize "
    "pytest.fixture timedelta datetime.timedelta datetime range len Decimal".split()
)
_YOURS, _EDITS = "make this change yourself", "--allow-test-edits"
#: Signs that are harmful in code of tests as well; that tests import their runner and end a process is their work.
_HARMFUL = frozenset({"patch", "exit", "equality"})


#: What concerns one module of tests alone where it stands in one; the guards of tests look at it.
_OWN = frozenset({"fixture", "helper", "code at import"})


@dataclass(frozen=True, slots=True)
class _Part:
    """One thing that a plugin does. `decides`: people's own commits are asked about it too."""

    kind: str
    name: str
    shape: str
    line: int
    decides: bool = False


class Conftest:
    """Refuses added and changed hooks, fixtures that work unasked, and whatever else a plugin does to all tests."""

    name = "conftest"
    family: Family = "runner"
    firm = False

    def look(self, patch: Patch) -> Iterator[GuardFinding]:
        paths = [
            c.path
            for c in patch.changes
            if c.path.endswith(".py") and (patch.is_test(c.path) or _is_plugin(patch, c.path))
        ]
        plugins = [p for p in paths if _is_plugin(patch, p)]
        before = {p: _parts(patch.old(p)) for p in plugins}
        known = {(part.kind, part.name, part.shape) for parts in before.values() for part in parts or ()}
        after = {p: _parts(patch.new(p)) for p in plugins}
        kept = {(part.kind, part.name, part.shape) for parts in after.values() for part in parts or ()}
        for path in plugins:
            yield from self._plugin(patch, path, before[path], after[path], known, kept)
        yield from self._helpers(patch, [p for p in paths if patch.is_test(p)])

    def _plugin(
        self,
        patch: Patch,
        path: str,
        before: tuple[_Part, ...] | None,
        after: tuple[_Part, ...] | None,
        known: set[tuple[str, str, str]],
        kept: set[tuple[str, str, str]],
    ) -> Iterator[GuardFinding]:
        if after is None:
            yield self._say(path, None, "cannot be read as Python", _YOURS, strict=True)
            return
        own = {(p.kind, p.name): p for p in before or ()}
        source = not patch.is_test(path)  # the project is a plugin itself: its own hooks are its work
        for part in after:
            if (part.kind, part.name, part.shape) in known:
                continue
            if part.kind in _OWN and _is_module(path):
                continue
            changed = (part.kind, part.name) in own
            if part.kind in {"fixture", "helper"} and not changed and part.name not in _BUILT_IN:
                continue
            if not patch.rules.strict and not part.decides:
                continue
            if source and not part.decides:
                continue
            shared = part.kind in {"fixture", "helper"} and patch.rules.allow_test_edits
            verb = "changes" if changed else "adds"
            yield self._say(
                path, part.line, f"{verb} {part.kind} {part.name}", _EDITS if shared else _YOURS, strict=not shared
            )
        for part in before or ():
            if part.kind in _OWN and _is_module(path):
                continue
            gone = (part.kind, part.name) not in {(p.kind, p.name) for p in after} and (
                part.kind,
                part.name,
                part.shape,
            ) not in kept
            if (
                gone
                and not source
                and part.kind != "helper"
                and (patch.rules.strict or (part.decides and part.kind == "hook"))
            ):
                yield self._say(
                    path, None, f"takes away {part.kind} {part.name}", _EDITS, strict=not patch.rules.allow_test_edits
                )

    def _helpers(self, patch: Patch, paths: list[str]) -> Iterator[GuardFinding]:
        """Code of tests, of any name, that patches the runner or ends it; strictly only what no honest test does."""
        for path, sign, _ in fresh(patch, paths, _read):
            honest = sign.plain or (not patch.rules.strict and sign.kind != "patch")
            if not honest:
                yield self._say(path, sign.line, f"code of tests that tampers: {sign.text}", _YOURS, strict=True)

    def _say(self, path: str, line: int | None, detail: str, allow: str, *, strict: bool) -> GuardFinding:
        return GuardFinding(self.name, "refuse" if strict else "review", path, line, detail, allow)


def _read(_: str, text: str) -> list[Sign]:
    return [
        s
        for s in asking_python.signs(text)
        if s.kind in _HARMFUL and s.strong and not s.text.startswith(("imports", "raises", "replaces Exception"))
    ]


def _is_module(path: str) -> bool:
    """Whether a file is a module of tests rather than a conftest.py or plugin."""
    return bool(re.search(r"(?:^|/)(?:test_[^/]*|[^/]*_test|tests?)\.py$", path))


def _is_plugin(patch: Patch, path: str) -> bool:
    if not path.endswith(".py"):
        return False
    if PurePosixPath(path).name == "conftest.py":
        return True
    return any(
        re.search(
            r"^[^\S\n]*(?:async )?def pytest_(?!asyncio)\w+\(|\bhookimpl\b|^pytest_plugins\b|^collect_ignore",
            t,
            re.MULTILINE,
        )
        for t in (patch.old(path), patch.new(path))
    )


def _parts(text: str) -> tuple[_Part, ...] | None:
    """What a plugin consists of; None where it is no Python."""
    module = tree(text)
    if module is None:
        return None if text else ()
    try:
        return tuple(part for node in module.body for part in _part(node))
    except RecursionError:
        return None


def _part(node: ast.stmt) -> Iterator[_Part]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield _function(node, "")
    elif isinstance(node, ast.ClassDef):
        hooks = [n for n in node.body if isinstance(n, ast.FunctionDef) and n.name.startswith("pytest_")]
        yield from (_function(n, f"{node.name}.") for n in hooks)
        if not hooks:
            yield _Part("helper", node.name, ast.dump(node), node.lineno)
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from _imported(node)
    elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        yield from _assignment(node)
    elif isinstance(node, ast.If) and any(
        isinstance(n, ast.Name) and n.id == "TYPE_CHECKING" for n in ast.walk(node.test)
    ):
        return
    else:
        yield from _running(node)


def _running(node: ast.stmt) -> Iterator[_Part]:
    """Statements that run when the file is imported, with what is defined inside of them."""
    blocks = isinstance(node, ast.If | ast.Try | ast.With | ast.For | ast.While)
    if blocks:
        yield from (part for child in _inner(node) for part in _part(child))
    quiet = isinstance(node, ast.Pass | ast.If | ast.Try) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )
    if not quiet:
        yield _Part("code at import", ast.unparse(node).split("\n")[0][:100], ast.dump(node), node.lineno)


def _inner(node: ast.stmt) -> list[ast.stmt]:
    """The statements right below a block, those of its handlers too."""
    found = [child for name in ("body", "orelse", "finalbody") for child in getattr(node, name, [])]
    return found + [child for handler in getattr(node, "handlers", []) for child in handler.body]


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[_Part]:
    for alias in node.names:
        if alias.name.startswith("pytest_") and isinstance(node, ast.ImportFrom):
            yield _Part(
                "hook", alias.name, ast.dump(node), node.lineno, bool(_DECIDING.match(alias.asname or alias.name))
            )
        elif alias.name == "*":
            yield _Part("star import", ast.unparse(node), "", node.lineno)


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef, prefix: str) -> _Part:
    shape = ast.dump(node)
    if node.name.startswith("pytest_") or "hookimpl" in "".join(map(ast.unparse, node.decorator_list)):
        return _Part(
            "hook", prefix + node.name, shape, node.lineno, bool(_DECIDING.match(node.name)) or "specname" in shape
        )
    marks = " ".join(map(ast.unparse, node.decorator_list))
    if "fixture" not in marks:
        return _Part("helper", node.name, shape, node.lineno)
    if "autouse=True" in marks or re.search(r"autouse=(?!False)", marks):
        patches = bool(
            re.search(
                r"monkeypatch\.(?:setattr|setitem|delattr)|mocker\.|\bpatch\b|\bsetattr\(|\.return_value|sys\.modules",
                ast.unparse(node),
            )
        )
        return _Part("fixture for all tests", node.name, shape, node.lineno, patches)
    return _Part("fixture", node.name, shape, node.lineno)


def _assignment(node: ast.Assign | ast.AnnAssign | ast.AugAssign) -> Iterator[_Part]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    for target in targets:
        name = ast.unparse(target)
        if name.startswith(("collect_ignore", "pytestmark", "pytest_")):
            decides = name.startswith("collect_ignore") or bool(_DECIDING.match(name))
            yield _Part("setting", name, ast.dump(node), node.lineno, decides)
        elif isinstance(target, ast.Attribute | ast.Subscript):
            harmless = name.startswith("os.environ[")
            yield _Part("code at import", ast.unparse(node)[:100], ast.dump(node), node.lineno, decides=not harmless)
        elif node.value is not None and any(_loud(n) for n in ast.walk(node.value)):
            yield _Part("code at import", ast.unparse(node)[:100], ast.dump(node), node.lineno)


def _loud(node: ast.AST) -> bool:
    """A call that may do something beyond making a value."""
    if not isinstance(node, ast.Call):
        return False
    name = ast.unparse(node.func)
    return (
        name not in _QUIET
        and not name.startswith(("Path(", "pathlib.Path(", "pytest.mark."))
        and name.rsplit(".", maxsplit=1)[-1]
        not in {"resolve", "absolute", "joinpath", "split", "strip", "encode", "format", "join", "get"}
    )
