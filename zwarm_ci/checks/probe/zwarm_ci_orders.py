"""What the pytest plugin and the unittest runner share: orders from the caller, exceptions as plain data, the event file.

Runs in the repository's interpreter: Python 3.8 or newer, standard library alone.
"""

from __future__ import annotations

import filecmp
import json
import os
import sys
import time
from types import TracebackType
from typing import Any, Dict, List, Optional, Set, Tuple, Type

_HERE = os.path.dirname(os.path.abspath(__file__))
_TEXT = 16 * 1024  # characters of one failure's text
_FRAMES = 60
_SOURCES = ("src", "", "lib", "python")  # where a tree keeps its packages
Data = Dict[str, Any]


class Orders:
    """What the caller asked for. `given` is False where there are no orders, and then nothing is done or written."""

    def __init__(self, data: Data, *, worker: bool = False) -> None:
        self.given = bool(data)
        self.worker = worker
        self.out: str = data.get("out", "")
        self.tree = os.path.realpath(data.get("tree") or os.sep)
        self.top = os.path.realpath(data.get("top") or os.sep)
        self.xml: str = data.get("xml", "")
        self.canary: str = data.get("canary", "")
        self.only: Optional[List[str]] = data.get("only")
        self.quiet = bool(data.get("quiet"))  # the canary's failure stays out of the exit code
        self.copies = bool(data.get("copies"))  # what is tested is installed from the tree, as a copy
        self.pid = os.getpid()

    @property
    def canary_id(self) -> str:
        """The id under which the canary is reported."""
        return "%s.py::must_fail" % self.canary


def take_orders() -> Tuple[Orders, Dict[str, str]]:
    """Read the orders and take every trace of them out of the environment; also what it held, to hand on to xdist's workers."""
    path = os.environ.pop("ZWARM_CI_PROBE", "")
    worker = os.environ.pop("ZWARM_CI_PROBE_WORKER", "") == "1"
    if not path:
        return Orders({}), {}
    with open(path, encoding="utf-8") as file:
        data = json.load(file)
    before = {"ZWARM_CI_PROBE": path}
    for name, value in data["restore"].items():
        if name in os.environ:
            before[name] = os.environ[name]
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    return Orders(data, worker=worker), before


def step_back() -> None:
    """Leave this folder on sys.path, for xdist's workers, but last, where it shadows nothing."""
    here = [p for p in sys.path if p and os.path.abspath(p) == _HERE]
    for entry in here:
        sys.path.remove(entry)
    if here:
        sys.path.append(_HERE)


def clean(text: object, limit: int = _TEXT) -> str:
    """`text` without lone surrogates and at most `limit` characters, its middle left out."""
    said = str(text).encode("utf-8", "replace").decode("utf-8")
    if len(said) <= limit:
        return said
    half = limit // 2
    return "%s\n[... %d characters left out ...]\n%s" % (said[:half], len(said) - 2 * half, said[-half:])


def _inside(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)


def _add_frame(frames: List[List[Any]], filename: str, line: Optional[int], orders: Orders) -> None:
    if filename.startswith("<"):
        return
    path = os.path.realpath(filename)
    if _inside(path, orders.tree) and "site-packages" not in path:
        frames.append([os.path.relpath(path, orders.tree).replace(os.sep, "/"), line or 0])
    elif orders.copies and _copied_from(path, orders.tree):
        frames.append([_copied_from(path, orders.tree), line or 0])


def _frames_of(traceback: Optional[TracebackType], orders: Orders) -> List[List[Any]]:
    frames: List[List[Any]] = []
    while traceback is not None:
        _add_frame(frames, traceback.tb_frame.f_code.co_filename, traceback.tb_lineno, orders)
        traceback = traceback.tb_next
    return frames[-_FRAMES:]


def describe(
    kind: Type[BaseException], value: BaseException, traceback: Optional[TracebackType], orders: Orders
) -> Data:
    """Type, message and the repository's own frames (path relative to the tree, line; outermost first) of an exception."""
    if kind.__name__ == "CollectError" and value.__cause__ is not None:  # pytest's wrapper says less than what it wraps
        value = value.__cause__
        kind, traceback = type(value), value.__traceback__
    frames = _frames_of(traceback, orders)
    if isinstance(value, SyntaxError) and value.filename:
        _add_frame(frames, value.filename, value.lineno, orders)
    try:
        message = str(value)
    except Exception as error:  # an exception whose __str__ raises is still a failure
        message = "unprintable: %s" % type(error).__name__
    return {"type": kind.__name__, "message": clean(message, 2000), "frames": frames}


def strangers(orders: Orders) -> Data:
    """What was imported here and is not the tree's.

    `foreign`: files of the original checkout, relative to it; packages installed there are not its own. `shadowed`: packages and
    modules of the tree, relative to it, in whose place an installed one of the same name was imported; where installed copies are
    what is tested, files of the tree that the imported copy differs from.
    """
    foreign: Set[str] = set()
    shadowed: Set[str] = set()
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str):
            continue
        path = os.path.realpath(file)
        if _inside(path, orders.tree):
            continue
        if orders.top != orders.tree and _inside(path, orders.top) and "-packages" + os.sep not in path:
            foreign.add(os.path.relpath(path, orders.top).replace(os.sep, "/"))
        elif orders.copies:
            source = _copied_from(path, orders.tree)
            if source and not filecmp.cmp(path, os.path.join(orders.tree, source), shallow=False):
                shadowed.add(source)
        elif "." not in name and "-packages" + os.sep in path:
            shadowed.update(_sources(name, orders.tree))
    return {"foreign": sorted(foreign), "shadowed": sorted(shadowed)}


def _copied_from(path: str, tree: str) -> str:
    """The file of `tree`, relative to it, that an installed file is a copy of; "" = none."""
    _, installed, name = path.rpartition("-packages" + os.sep)
    for folder in _SOURCES if installed else ():
        source = os.path.join(folder, name)
        if os.path.isfile(os.path.join(tree, source)):
            return source.replace(os.sep, "/")
    return ""


def _sources(name: str, tree: str) -> List[str]:
    """Where `tree` has a package or module called `name`, relative to it."""
    found = []
    for folder in _SOURCES:
        path = os.path.join(tree, folder, name)
        if os.path.isfile(os.path.join(path, "__init__.py")):
            found.append(os.path.relpath(path, tree).replace(os.sep, "/"))
        elif os.path.isfile(path + ".py"):
            found.append(os.path.relpath(path + ".py", tree).replace(os.sep, "/"))
    return found


class Log:
    """Writes the events, one JSON line each; a process that a test forked off writes nothing."""

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self.file = open(orders.out, "a", encoding="utf-8") if orders.given and not orders.worker else None

    def __call__(self, event: str, **data: Any) -> None:
        """Write one event."""
        if self.file is None or os.getpid() != self.orders.pid:
            return
        data["event"] = event
        data["at"] = round(time.monotonic(), 4)
        self.file.write(json.dumps(data, default=str) + "\n")
        self.file.flush()
