"""Sees whether the runner's own code at the end is what it was at the start, and whether a test is what its file says.

Runs in the repository's interpreter: Python 3.8 and pytest 6.2 or newer, standard library and pytest alone. It is imported before any
code of the tree; code objects cannot be changed, so it keeps them and compares by identity. Names are the same in every run, so
that what a repository does by itself, with honest plugins, can be taken off.
"""

from __future__ import annotations

import builtins
import importlib
import operator
import os
import sys
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Callable, Dict, FrozenSet, Iterator, List, Sequence, Set, Tuple

Part = Tuple[str, Any, str, Any, Any, Any, Any]  # name, dict it is in, key; what it was: value, code, defaults, cells
_FUNCTION, _CLASS, _MODULE, _BUILTIN, _CODE, _METHOD = (
    FunctionType,
    type,
    ModuleType,
    BuiltinFunctionType,
    CodeType,
    MethodType,
)
_type, _list, _callable, _getattr = type, list, callable, getattr
_all, _map, _is, _item = all, map, operator.is_, operator.getitem
_code, _defaults = operator.attrgetter("__code__"), operator.attrgetter("__defaults__")
_stat = os.stat
_MISSING = object()
_SYSTEM = {
    "os": ("_exit", "abort", "kill", "write", "open", "read"),
    "sys": ("exit", "excepthook"),
    "atexit": ("register",),
}
#: What the report is written with, and what tests may be made of; not everything of it is imported yet.
_NEEDED = ("ast", "json.encoder", "xml.etree.ElementTree", "unittest.case")
_WHOLE = (
    "_pytest.",
    "pluggy.",
    "unittest.",
    "zwarm_ci_",
    "json",
    "xml.etree.",
    "xdist.",
    "pytest",
    "ast",
    "importlib.",
)
#: What decides from the end of a test's call to its report; looked at after each test that matters.
_CORE = (
    "_pytest.runner.", "_pytest.reports.", "_pytest.outcomes.", "_pytest.python.", "_pytest.unittest.", "_pytest.skipping.", "_pytest._code.",
    "_pytest.assertion.", "_pytest.nodes.", "_pytest.junitxml.", "_pytest.raises.", "_pytest.python_api.", "_pytest.main.", "_pytest.terminal.",
    "pluggy.", "zwarm_ci_", "unittest.case.", "builtins.",
)  # fmt: skip
#: Packages of others in which a function of the tree has no business: they decide what passes.
_JUDGES = frozenset(
    "_pytest pytest pluggy unittest xdist hypothesis numpy.testing pandas._testing hamcrest assertpy sure nose expects testtools mock twisted.trial "
    "django.test pytest_asyncio anyio pytest_mock doctest difflib".split()
)


def inner(value: Any) -> Any:
    """The function inside of what a class holds."""
    kind = _type(value)
    if kind is staticmethod or kind is classmethod or kind is _METHOD:
        return value.__func__
    if kind is property:
        return value.fget
    return value


def _facts(value: Any) -> Tuple[Any, Any, Any]:
    function = inner(value)
    if _type(function) is not _FUNCTION:
        return None, None, None
    cells: Any = function.__closure__
    return function.__code__, function.__defaults__, cells


def _parts_of(module: ModuleType) -> Iterator[Part]:
    """What of a module runs: its functions and classes, and what its own classes hold."""
    for key, value in _list(module.__dict__.items()):
        if not _callable(value) and key != "__builtins__":
            continue
        yield ("%s.%s" % (module.__name__, key), module.__dict__, key, value, *_facts(value))
        if isinstance(value, type) and value.__module__ == module.__name__:
            for name, held in _list(value.__dict__.items()):
                if _callable(held) or _type(inner(held)) is _FUNCTION:
                    yield ("%s.%s.%s" % (module.__name__, key, name), value.__dict__, name, held, *_facts(held))


def origin(value: Any) -> str:
    """The file whose code a value runs; "" = none that can be told."""
    value = inner(value)
    seen = 0
    while _type(value) is not _FUNCTION and hasattr(value, "func") and seen < 5:
        value, seen = value.func, seen + 1  # functools.partial
    code: Any = _getattr(value, "__code__", None)
    if _type(code) is _CODE:
        return str(code.co_filename)
    owner = value if isinstance(value, type) else _type(value)
    module = sys.modules.get(_getattr(owner, "__module__", "") or "")
    return str(_getattr(module, "__file__", "") or "")


class Witness:
    """What the runner was made of when this process began."""

    def __init__(self) -> None:
        self.parts: Sequence[Part] = ()
        self.core: Sequence[Part] = ()
        self.columns: Tuple[Tuple[Any, ...], ...] = ()  # of `core`, for a quick look
        self.functions: FrozenSet[int] = frozenset()  # those of `core`, by identity
        self.whole: Sequence[Tuple[str, Any, Set[str]]] = ()  # a module's or class's dict and its keys
        self.held: Tuple[
            Tuple[str, Any, str, Any, Any], ...
        ] = ()  # name, owner, attribute; what it was, and what it is made of
        self.hooks: Dict[Tuple[str, str], Any] = {}
        self.exec: Any = None
        self.files: Tuple[Tuple[str, str, Tuple[int, ...]], ...] = ()  # a module, a file that it is made from, its mark
        self.met: Set[str] = set()  # what was seen changed after a test, and may have been put back since

    def begin(self) -> None:
        """Take everything down, once all of ours is imported and nothing of the tree."""
        for name in _NEEDED:
            importlib.import_module(name)
        parts: List[Part] = []
        whole: List[Tuple[str, Any, Set[str]]] = []
        for name, module in _list(sys.modules.items()):
            if name.startswith(_WHOLE) and _type(module) is ModuleType:
                parts += _parts_of(module)
                whole.append((name, module.__dict__, set(module.__dict__)))
                whole += [
                    ("%s.%s" % (name, key), value.__dict__, set(value.__dict__))
                    for key, value in _list(module.__dict__.items())
                    if isinstance(value, type) and value.__module__ == name
                ]
        parts += [
            ("builtins." + key, builtins.__dict__, key, value, None, None, None)
            for key, value in builtins.__dict__.items()
            if key != "_"
        ]
        for name, keys in _SYSTEM.items():
            space = __import__(name).__dict__
            parts += [("%s.%s" % (name, key), space, key, space[key], *_facts(space[key])) for key in keys]
        self.parts, self.whole = tuple(parts), tuple(whole)
        self.core = tuple(part for part in parts if part[0].startswith(_CORE))
        made = [part for part in self.core if part[4] is not None]
        self.columns = (
            tuple(part[1] for part in self.core), tuple(part[2] for part in self.core), tuple(part[3] for part in self.core),
            tuple(inner(part[3]) for part in made), tuple(part[4] for part in made), tuple(part[5] for part in made),
        )  # fmt: skip
        self.functions = frozenset(_map(id, self.columns[3]))
        self.files = tuple(_files())
        self.hold("zwarm_ci_witness.WITNESS", self, ("parts", "core", "whole", "columns", "functions", "files"))

    def hold(self, name: str, owner: Any, attributes: Sequence[str]) -> None:
        """Look at attributes of one of our own objects too, and at what the functions among them have bound."""
        found = [(n, _getattr(owner, n)) for n in attributes]
        self.held += tuple(("%s.%s" % (name, n), owner, n, value, _bound(value)) for n, value in found)

    def unheld(self) -> Iterator[str]:
        """Names of what is held and not what it was."""
        for name, owner, key, value, bound in self.held:
            if _getattr(owner, key, _MISSING) is not value or _bound(value) != bound:
                yield name

    def changed(self, parts: Sequence[Part]) -> List[Part]:
        """Those that are not what they were."""
        found = []
        for part in parts:
            value = part[1].get(part[2], _MISSING)
            if value is not part[3]:
                found.append(part)
            elif part[4] is not None:
                function = inner(value)
                if (
                    function.__code__ is not part[4]
                    or function.__defaults__ is not part[5]
                    or function.__closure__ is not part[6]
                ):
                    found.append(part)
        return found

    def same(self, recoded: bool) -> bool:
        """Whether all of `core` is what it was, in a fraction of the time that `changed` takes; a function's cells stay its own.

        `recoded`: whether any function may have other code or defaults than it had; looking at those is what takes long.
        """
        spaces, keys, values, functions, codes, defaults = self.columns
        try:
            same = _all(_map(_is, _map(_item, spaces, keys), values))
        except KeyError:
            return False
        if same and recoded:
            same = _all(_map(_is, _map(_code, functions), codes)) and _all(
                _map(_is, _map(_defaults, functions), defaults)
            )
        return same

    def rewritten(self) -> Iterator[str]:
        """Modules that were loaded from files which are others now: whoever runs next would load something else."""
        for name, path, mark in self.files:
            now = _mark(path)
            linked = now[:3] == mark[:3] and now[4:] != mark[4:]  # by an installation that shares the file
            if now != mark and not linked:
                yield "file of %s" % name

    def added(self) -> List[str]:
        """Names of functions and classes that were put beside them, but for the runner's own."""
        found = []
        for name, space, keys in self.whole:
            for key, value in _list(space.items()):
                if key not in keys and (_type(inner(value)) in (_FUNCTION, _BUILTIN) or isinstance(value, type)):
                    file = origin(value)
                    if not installed(file):
                        found.append("%s.%s" % (name, key))
        return found

    def after_test(self, tree: str, test_file: str, recoded: bool = True) -> Set[str]:
        """Note what is changed in this moment by something that is no test's; all that was noted so far."""
        for name, space, key, *_ in () if self.same(recoded) else self.changed(self.core):
            file = origin(space.get(key))
            if not _of_tests(file, tree, test_file):
                self.met.add(name)
        self.met.update(self.unheld())
        return self.met

    def note_hooks(self, manager: Any) -> None:
        """Keep who is called by which hook now."""
        self.hooks = {
            (hook, plugin): (impl, impl.function, *_facts(impl.function)) for hook, plugin, impl in _impls(manager)
        }
        self.exec = _getattr(manager, "_inner_hookexec", None)

    def hooks_changed(self, manager: Any, tree: str) -> Iterator[str]:
        """Hooks that are called no more or differently, and those of the tree that came since, a conftest's apart."""
        now = {(hook, plugin): impl for hook, plugin, impl in _impls(manager)}
        for (hook, plugin), (impl, function, code, defaults, _) in self.hooks.items():
            then = now.get((hook, plugin))
            if then is None:
                if _manager_has(manager, impl.plugin) or plugin.startswith("zwarm-ci"):
                    yield "hook %s of %s" % (hook, plugin)
            elif then is not impl or then.function != function or _facts(then.function)[:2] != (code, defaults):
                yield "hook %s of %s" % (hook, plugin)
        for (hook, plugin), impl in now.items():
            file = origin(impl.function)
            known = (hook, plugin) in self.hooks
            if (
                not known
                and (_inside(file, tree) or file.startswith("<") or not file)
                and os.path.basename(file) != "conftest.py"
            ):
                yield "hook %s of %s" % (hook, _short(file, tree))
        if self.hooks and _getattr(manager, "_inner_hookexec", None) != self.exec:
            yield "pluggy.PluginManager._inner_hookexec"

    def finders(self, tree: str) -> Iterator[str]:
        """Whatever of the tree stands between an import and its file."""
        for finder in [*sys.meta_path, *sys.path_hooks]:
            file = origin(finder)
            if _inside(file, tree):
                yield "import by %s" % _short(file, tree)

    def strays(self, tree: str) -> Iterator[str]:
        """Functions of the tree in the name of something that decides what passes."""
        seen: Set[int] = set()
        for name, module in _list(sys.modules.items()):
            heads = name.split(".")
            judges = _JUDGES.intersection((name, heads[0], ".".join(heads[:2])))
            if not judges or _inside(str(_getattr(module, "__file__", "") or ""), tree):
                continue
            spaces: List[Tuple[str, Any]] = [(name, module.__dict__)]
            spaces += [
                ("%s.%s" % (name, key), value.__dict__)
                for key, value in _list(module.__dict__.items())
                if isinstance(value, type) and value.__module__ == name
            ]
            for space_name, space in spaces:
                if id(space) in seen:
                    continue
                for key, value in _list(space.items()):
                    function = inner(value)
                    if _type(function) is _FUNCTION and _inside(function.__code__.co_filename, tree):
                        yield "%s.%s" % (space_name, key)

    def altered(self, tree: str, manager: Any = None) -> List[str]:
        """Everything that is not as it was, by name."""
        names = {part[0] for part in self.changed(self.parts)}
        names.update(self.added(), self.strays(tree), self.finders(tree), self.rewritten(), self.unheld(), self.met)
        if manager is not None:
            names.update(self.hooks_changed(manager, tree))
        return sorted(names)


def _bound(value: Any) -> Tuple[Any, ...]:
    """The code of a function and what stands in its cells, by identity."""
    if _type(value) is not _FUNCTION:
        return ()
    return (id(value.__code__), *(id(cell.cell_contents) for cell in value.__closure__ or ()))


def _files() -> Iterator[Tuple[str, str, Tuple[int, ...]]]:
    """What the modules that are loaded by now were made from; not their bytecode, which processes write for each other."""
    for name, module in _list(sys.modules.items()):
        path = _getattr(module, "__file__", None)
        if isinstance(path, str) and (mark := _mark(path)):
            yield name, path, mark


def _mark(path: str) -> Tuple[int, ...]:
    """(inode, size, time of its content, time of its inode, links) of a file; () where there is none."""
    try:
        found = _stat(path)
    except (OSError, ValueError):
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_nlink


def _impls(manager: Any) -> Iterator[Tuple[str, str, Any]]:
    for name, caller in _list(manager.hook.__dict__.items()):
        if not name.startswith("_"):
            for impl in caller.get_hookimpls():
                yield (
                    name,
                    str(impl.plugin_name) if not str(impl.plugin_name).isdigit() else _type(impl.plugin).__name__,
                    impl,
                )


def _manager_has(manager: Any, plugin: Any) -> bool:
    return any(plugin is one for one in manager.get_plugins())


def _inside(file: str, tree: str) -> bool:
    return os.path.isabs(file) and file.startswith(tree.rstrip(os.sep) + os.sep) and "-packages" + os.sep not in file


def installed(file: str) -> bool:
    """Whether a file is the standard library's or a package's that is installed."""
    return "%spackages%s" % ("-", os.sep) in file or file.startswith(os.path.dirname(os.__file__))


def _short(file: str, tree: str) -> str:
    return os.path.relpath(file, tree).replace(os.sep, "/") if _inside(file, tree) else file or "nowhere"


def _of_tests(file: str, tree: str, test_file: str) -> bool:
    """Whether code is a test's, a mock's, or installed: what a test puts in a place for a while."""
    return file == test_file or installed(file) or in_tests(file, tree)


def in_tests(file: str, tree: str) -> bool:
    """Whether a file of the tree is one of its tests."""
    name = os.path.basename(file)
    parts = _short(file, tree).split("/")
    tests = name.startswith("test_") or name.endswith("_test.py") or name == "conftest.py"
    return _inside(file, tree) and (tests or any(part in ("test", "tests", "testing") for part in parts[:-1]))


WITNESS = Witness()
#: The look at the end, from code that is held here and not looked up: what replaces the function does not replace this.
_LOOK: Tuple[CodeType, Callable[..., Any]] = (Witness.altered.__code__, Witness.altered)


def look(tree: str, manager: Any = None) -> List[str]:
    """`Witness.altered`, and whether it is still itself."""
    code, function = _LOOK
    fresh = _FUNCTION(code, globals(), "altered")
    names = list(fresh(WITNESS, tree, manager))
    if function.__code__ is not code or Witness.altered is not function:
        names.append("zwarm_ci_witness.Witness.altered")
    return names
