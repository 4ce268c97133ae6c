"""Sees code of the tree, tests apart, that looks at the tests it is held to, at who calls it, or into what lay elsewhere before.

By the interpreter's audit events (PEP 578), whose hooks nobody can take away: however it is spelled, a file is opened, a frame is
asked for. Runs in the repository's interpreter: Python 3.8 or newer, standard library alone.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
import time
from types import FrameType, FunctionType
from typing import Any, Callable, Dict, Optional, Set, Tuple

from zwarm_ci_witness import WITNESS, in_tests, installed

_FRAMES = frozenset(
    "sys._getframe sys._current_frames gc.get_objects gc.get_referrers gc.get_referents sys.settrace sys.setprofile".split()
)
_HEARD = _FRAMES | {"open", "object.__getattr__", "object.__setattr__"}
_FIELDS = frozenset({"tb_frame", "gi_frame", "cr_frame", "ag_frame"})
_RECODED = frozenset({"__code__", "__defaults__"})
_THROUGH = tuple("%s%s.py" % (os.sep, name) for name in ("inspect", "traceback"))  # they hand frames on
_RUNNER = tuple("%s%s%s" % (os.sep, name, os.sep) for name in ("_pytest", "pluggy", "unittest"))
#: Where anybody, or whoever works here, can put a file that no tree has; what was there when a run began is none of its own.
_ELSEWHERE = tuple(
    os.sep + name + os.sep
    for name in ("tmp", "var/tmp", "dev/shm", "home", "root", "mnt", "media", "srv", "run", "Users", "private")
)
_getframe, _realpath, _fsdecode, _stat = sys._getframe, os.path.realpath, os.fsdecode, os.stat
_STARTED = time.time()


class Asks:
    """Names of what was seen, such as `reads tests/test_a.py: shop.py` and `opens /tmp/x: shop.py`, in `met`; `tell` gets each at once.

    `files`: paths of test files from the tree's top. `recoded`: whether a function that the witness keeps has been given other code.
    """

    def __init__(self, tree: str, files: Dict[str, str], tell: Callable[[str], None]) -> None:
        self.tell, self.busy = tell, False
        self.met: Set[str] = set()
        self.hooked = self.recoded = False
        self.want(tree, files)

    def want(self, tree: str, files: Dict[str, str]) -> None:
        """Begin to look at what is done about `files`."""
        self.tree = tree
        self.files = {os.path.join(tree, name): name for name in files}
        self.names = {os.path.basename(name) for name in files}
        places = (tree, tempfile.gettempdir(), os.path.expanduser("~"), sys.prefix, sys.base_prefix, sys.exec_prefix)
        self.own = tuple(_realpath(place).rstrip(os.sep) + os.sep for place in places)
        self.compiled = _realpath(sys.pycache_prefix) + os.sep if sys.pycache_prefix else ""
        if files and not self.hooked:
            self.hooked = True
            sys.addaudithook(self.hear)

    def unheard(self, ours: Callable[..., Any], *args: Any) -> Any:
        """Call something of our own, whose looks at thousands of functions would each be an event."""
        self.busy = True
        try:
            return ours(*args)
        finally:
            self.busy = False

    def hear(self, event: str, args: Tuple[Any, ...]) -> None:
        """An audit event."""
        if event == "object.__setattr__" and args[1] in _RECODED and id(args[0]) in WITNESS.functions:
            self.recoded = True
        if self.busy or event not in _HEARD:
            return
        self.busy = True  # what follows raises events too
        try:
            name = self._seen(event, args)
            if name and name not in self.met:
                self.met.add(name)
                self.tell(name)
        finally:
            self.busy = False

    def _seen(self, event: str, args: Tuple[Any, ...]) -> str:
        frame: Optional[FrameType] = _getframe(2)
        if event == "open":
            read = self._test_of(args[0])
            how, what = ("reads", read) if read else ("opens", self._elsewhere(args[0]))
            return "%s %s: %s" % (how, what, source) if what and (source := self._source(frame, far=True)) else ""
        if event in _FRAMES:
            while frame is not None and frame.f_code.co_filename.endswith(_THROUGH):
                frame = frame.f_back
            return "asks %s: %s" % (event, source) if (source := self._source(frame, far=False)) else ""
        if args[1] in _FIELDS:
            return "asks %s: %s" % (args[1], source) if (source := self._source(frame, far=False)) else ""
        if args[1] != "__code__" or type(args[0]) is not FunctionType:
            return ""
        read = self._test_of(args[0].__code__.co_filename)
        return "reads %s: %s" % (read, source) if read and (source := self._source(frame, far=False)) else ""

    def _test_of(self, opened: Any) -> str:
        """The wanted file that something opened is, or was compiled from; "" = none."""
        if not isinstance(opened, (str, bytes)):
            return ""
        path = _fsdecode(opened)
        base = os.path.basename(path)
        if base in self.names:
            return self.files.get(_realpath(path), "")
        if base.endswith(".pyc"):
            source = os.path.join(os.path.dirname(os.path.dirname(_realpath(path))), base.split(".")[0] + ".py")
            return self.files.get(source, "")
        return ""

    def _elsewhere(self, opened: Any) -> str:
        """The file that something opened is, where it lay in none of the run's own places before this process began; "" = none."""
        if not isinstance(opened, (str, bytes)):
            return ""
        path = _realpath(_fsdecode(opened))
        if not path.startswith(_ELSEWHERE) or installed(path) or path.startswith(self.own) or self._bytecode(path):
            return ""
        try:
            held = _stat(path)
        except (OSError, ValueError):
            return ""
        return path if stat.S_ISREG(held.st_mode) and max(held.st_ctime, held.st_mtime) < _STARTED else ""

    def _bytecode(self, path: str) -> bool:
        """Whether a file is what the interpreter keeps of a module's source that is there: what an import opens."""
        if not self.compiled or not path.startswith(self.compiled) or not path.endswith(".pyc"):
            return False
        folder, name = os.path.split(os.sep + path[len(self.compiled) :])
        return os.path.exists(os.path.join(folder, name.split(".")[0] + ".py"))

    def _source(self, frame: Optional[FrameType], *, far: bool) -> str:
        """The file of the tree, no test, whose code does this; `far`: by way of installed code too, but not of the runner."""
        while frame is not None:
            file = frame.f_code.co_filename
            if any(part in file for part in _RUNNER):
                return ""
            if not installed(file) and not file.startswith("<"):
                path = _realpath(os.path.join(self.tree, file))
                inside = path.startswith(self.tree.rstrip(os.sep) + os.sep)
                if not inside or path in self.files or in_tests(path, self.tree):
                    return ""
                return os.path.relpath(path, self.tree).replace(os.sep, "/")
            if not far:
                return ""
            frame = frame.f_back
        return ""
