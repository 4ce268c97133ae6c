"""What the pytest plugin and the unittest runner share: orders from the caller, exceptions as plain data, the event file.

Runs in the repository's interpreter: Python 3.8 or newer, standard library alone.
"""

from __future__ import annotations

import atexit
import filecmp
import hashlib
import itertools
import json
import os
import sys
import time
from types import TracebackType
from typing import Any, Callable, Dict, List, Optional, Set, Tuple, Type

_HERE = os.path.dirname(os.path.abspath(__file__))
_TEXT = 16 * 1024  # characters of one failure's text
_FRAMES = 60
_SOURCES = ("src", "", "lib", "python")  # where a tree keeps its packages
Data = Dict[str, Any]
Writer = Callable[[Data], None]
_now = time.monotonic  # tests that freeze the time change the name


class Orders:
    """What the caller asked for. `given` is False where there are no orders, and then nothing is done or written."""

    def __init__(self, data: Data, *, worker: bool = False) -> None:
        self.worker = worker
        self.pid = os.getpid()
        self.take(data)

    def take(self, data: Data) -> None:
        """Be these orders; an xdist worker gets them after it was started."""
        self.given = bool(data)
        self.data = {name: value for name, value in data.items() if name not in ("key", "out")}
        self.tree = os.path.realpath(data.get("tree") or os.sep)
        self.top = os.path.realpath(data.get("top") or os.sep)
        self.xml: str = data.get("xml", "")
        self.canary: str = data.get("canary", "")
        self.mark: str = data.get("mark", "")  # in the names of doomed copies
        self.only: Optional[List[str]] = data.get("only")
        self.doom = bool(data.get("doom"))  # whatever runs fails once it has run
        self.targets: List[str] = data.get("targets") or []
        self.files: Dict[str, str] = data.get("files") or {}  # what the targets' files hold, by SHA-256
        self.lines: List[str] = data.get("lines") or []
        self.quiet = bool(data.get("quiet"))  # the canary's failure stays out of the exit code
        self.copies = bool(data.get("copies"))  # what is tested is installed from the tree, as a copy

    @property
    def canary_id(self) -> str:
        """The id under which the canary is reported."""
        return "%s.py::must_fail" % self.canary

    def from_top(self, nodeid: str, root: str) -> str:
        """A node id, which counts from pytest's root, with its path from the tree's top, as the caller has it."""
        path, colons, rest = nodeid.partition("::")
        full = os.path.normpath(os.path.join(root, path))
        if not (full + os.sep).startswith(self.tree.rstrip(os.sep) + os.sep):
            return nodeid
        return os.path.relpath(full, self.tree).replace(os.sep, "/") + colons + rest


def take_orders() -> Tuple[Orders, Writer, Dict[str, str]]:
    """Read the orders and take every trace of them away; also what writes events, and what xdist's workers are to be started with.

    The file with the key is gone before any code of the tree is imported. Where the same command may start more than one
    runner, it comes back when this process ends.
    """
    path = os.environ.pop("ZWARM_CI_PROBE", "")
    worker = os.environ.pop("ZWARM_CI_PROBE_WORKER", "") == "1"
    if not path:
        return Orders({}), _no_writer, {}
    if worker:
        data = json.loads(path)
    else:
        with open(path, "rb") as file:
            text = file.read()
        data = json.loads(text.decode("utf-8"))
        _take_away(path, text, data.get("again", ""))
    before = {"ZWARM_CI_PROBE": json.dumps({"restore": data["restore"]}), "ZWARM_CI_PROBE_WORKER": "1"}
    for name, value in data["restore"].items():
        if name in os.environ:
            before[name] = os.environ[name]
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    if worker:
        return Orders({}, worker=True), _no_writer, before
    return Orders(data), _writer(data["out"], data.get("key", "").encode()), before


def _take_away(path: str, text: bytes, again: str) -> None:
    if again == "at once":  # several runners at the same time
        return
    os.unlink(path)
    if again:
        pid = os.getpid()

        def back() -> None:
            if os.getpid() == pid:
                with open(path, "wb") as file:
                    file.write(text)

        atexit.register(back)  # the first that is registered is the last to run


def _no_writer(data: Data) -> None:
    """Where nobody listens."""


def _writer(path: str, key: bytes) -> Writer:
    """What writes events to the caller's file, each with its number and a signature; only this function's inside has the key.

    What it needs is bound here, before any code of the tree could put something else in its place. Each line has a key of its own
    that is made of the one before and replaces it: whoever finds the key later cannot sign again what was written by then.
    """
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    encode, write, sign, numbers = json.JSONEncoder(default=str).encode, os.write, hashlib.blake2b, itertools.count()
    keys = [key]
    process, own_pid, pid = os.urandom(6).hex(), os.getpid, os.getpid()

    def send(data: Data) -> None:
        if own_pid() != pid:  # a process that a test forked off
            return
        signed = ("%s\t%s.%d" % (encode(data), process, next(numbers))).encode()
        rest = signed + b"." + sign(signed, key=keys[0], digest_size=16).hexdigest().encode() + b"\n"
        keys[0] = sign(keys[0], digest_size=32).digest()
        while rest:
            rest = rest[write(handle, rest) :]

    return send


def step_back() -> None:
    """Leave this folder on sys.path, for xdist's workers, but last, where it shadows nothing."""
    here = [p for p in sys.path if p and os.path.abspath(p) == _HERE]
    for entry in here:
        sys.path.remove(entry)
    if here:
        sys.path.append(_HERE)


def withdraw() -> None:
    """Take our modules off the list of what is imported: nobody finds them there by their names, which are no secret."""
    for name in [n for n in sys.modules if n.startswith("zwarm_ci_")]:
        del sys.modules[name]


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
    elif orders.copies and copied_from(path, orders.tree):
        frames.append([copied_from(path, orders.tree), line or 0])


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
    folders: Dict[str, str] = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str):
            continue
        path = _real(file, folders)
        if _inside(path, orders.tree):
            continue
        if orders.top != orders.tree and _inside(path, orders.top) and "-packages" + os.sep not in path:
            foreign.add(os.path.relpath(path, orders.top).replace(os.sep, "/"))
        elif orders.copies:
            source = copied_from(path, orders.tree)
            if source and not filecmp.cmp(path, os.path.join(orders.tree, source), shallow=False):
                shadowed.add(source)
        elif "." not in name and "-packages" + os.sep in path:
            shadowed.update(_sources(name, orders.tree))
    return {"foreign": sorted(foreign), "shadowed": sorted(shadowed)}


def _real(file: str, folders: Dict[str, str]) -> str:
    """A file's real path; `folders` keeps those of the folders, which many files share."""
    folder, base = os.path.split(file)
    if folder not in folders:
        folders[folder] = os.path.realpath(folder)
    path = os.path.join(folders[folder], base)
    return os.path.realpath(path) if os.path.islink(path) else path


def copied_from(path: str, tree: str) -> str:
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
    """Writes the events, one signed JSON line each; a process that a test forked off writes nothing."""

    __slots__ = ("send",)

    def __init__(self, send: Writer) -> None:
        self.send = send

    def __call__(self, event: str, **data: Any) -> None:
        """Write one event."""
        data["event"] = event
        data["at"] = round(_now(), 4)
        self.send(data)
