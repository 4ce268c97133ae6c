"""Tests that do what they do and then fail, so that whoever makes a failing test pass is seen.

Runs in the repository's interpreter: Python 3.8 and pytest 6.2 or newer, standard library and pytest alone. The test's own function is
wrapped at the last moment, as deep inside as can be: what swallows a failure anywhere outside of it swallows this one too.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

_FAILURE = AssertionError  # whatever the name means later
MOST = 5  # copies in one run: one for each module of a target


def failing(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, which fails once it has done what it does; looks the same from outside."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def run_async(*args: Any, **kwargs: Any) -> None:
            await function(*args, **kwargs)
            raise _FAILURE("assert 0 == 1")

        return run_async

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> None:
        function(*args, **kwargs)
        raise _FAILURE("assert 0 == 1")

    return run


def doom(item: Any) -> Callable[[], None]:
    """Make a pytest item that is about to be called fail; gives back what takes that away again."""
    try:
        original = item.obj
    except AttributeError:
        original = None
    if not inspect.isroutine(original):
        item.runtest = failing(item.runtest)
        return lambda: item.__dict__.pop("runtest", None)
    made = failing(original)
    item.obj = made
    case = _case_of(item)
    if case is not None:
        setattr(case, item.name, made)

    def undo() -> None:
        item.obj = original
        if case is not None:
            case.__dict__.pop(item.name, None)

    return undo


def _case_of(item: Any) -> Optional[Any]:
    """The unittest.TestCase that a pytest item runs; its async tests are called through it. None = it is no such item."""
    if type(item).__name__ != "TestCaseFunction":
        return None
    return getattr(item, "_testcase", None) or getattr(item, "instance", None)


def plant(items: List[Any], is_target: Callable[[Any], bool], mark: str) -> Tuple[Dict[str, str], List[str]]:
    """Put a copy of a target behind the last test of its module, one a module, at most `MOST`, with `mark` in its name.

    Gives each copy's id with that of its target, and the ids of targets of which no copy could be made.
    """
    chosen: Dict[str, Any] = {}
    for item in items:
        if is_target(item):
            chosen.setdefault(item.nodeid.split("::")[0], item)
    copies: Dict[str, str] = {}
    failed: List[str] = []
    for module, target in list(chosen.items())[:MOST]:
        made = _copy(target, mark)
        if made is None:
            failed.append(target.nodeid)
            continue
        last = max(n for n, item in enumerate(items) if item.nodeid.split("::")[0] == module)
        items.insert(last + 1, made)
        copies[made.nodeid] = target.nodeid
    return copies, failed


def _copy(item: Any, mark: str) -> Optional[Any]:
    original = getattr(item, "originalname", None) or item.name.split("[")[0]
    base = "%s_%s" % (original, mark)
    name = base + item.name[len(original) :]
    try:
        holder = item.parent.obj
        if not inspect.ismodule(holder) and not inspect.isclass(holder):
            holder = type(holder)  # before pytest 7, a class's tests are those of an instance
        setattr(holder, base, inspect.getattr_static(holder, original))
        if type(item).__name__ == "TestCaseFunction":
            made = type(item).from_parent(item.parent, name=name)
        else:
            made = type(item).from_parent(
                item.parent,
                name=name,
                callspec=getattr(item, "callspec", None),
                keywords=dict(item.keywords),
                fixtureinfo=item._fixtureinfo,
                originalname=base,
            )
    except (TypeError, AttributeError, ValueError, KeyError):  # an item of a plugin's own kind
        return None
    made.own_markers = list(item.own_markers)
    made.user_properties = list(item.user_properties)
    return made


def plant_cases(tests: List[Any], targets: Iterable[str], id_of: Callable[[Any], str], mark: str) -> Dict[str, str]:
    """The same for unittest: each copy's id with that of its target."""
    wanted = set(targets)
    chosen: Dict[str, Any] = {}
    for test in tests:
        if id_of(test) in wanted and hasattr(test, "_testMethodName"):
            chosen.setdefault(type(test).__module__, test)
    copies: Dict[str, str] = {}
    for target in list(chosen.values())[:MOST]:
        made = type(target)(target._testMethodName)
        name = "%s_%s" % (id_of(target), mark)
        made.id = functools.partial(str, name)
        doom_case(made)
        tests.insert(max(n for n, t in enumerate(tests) if type(t) is type(target)) + 1, made)
        copies[name] = id_of(target)
    return copies


def doom_case(test: Any) -> bool:
    """Make a unittest.TestCase fail once it has run; whether that could be done."""
    name = getattr(test, "_testMethodName", "")
    if not name:
        return False
    setattr(test, name, failing(getattr(test, name)))
    return True
