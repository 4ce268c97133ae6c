"""Which lines of some files of the tree ran in this process: by sys.monitoring (3.12 and newer), else by a trace of these files alone.

Runs in the repository's interpreter: Python 3.8 or newer, standard library alone.
"""

from __future__ import annotations

import os
import sys
import threading
from types import CodeType, FrameType
from typing import Any, Callable, Dict, List, Optional, Set

_TOOL = 4  # a number that sys.monitoring gives to nobody; coverage has 1


class Lines:
    """Executed lines by path. `known` is False where somebody else took the trace away from us."""

    def __init__(self, tree: str, paths: List[str], source_of: Callable[[str], str]) -> None:
        self.source_of = source_of
        self.monitored = hasattr(sys, "monitoring")
        self.want(tree, paths)

    def want(self, tree: str, paths: List[str]) -> None:
        """Begin to look at `paths` of a tree."""
        self.tree = tree
        self.seen: Dict[str, Set[int]] = {path: set() for path in paths}
        self.files: Dict[str, Optional[str]] = {}
        self.known = bool(paths)
        if paths:
            (self._monitor if self.monitored else self._trace)()

    def path_of(self, filename: str) -> Optional[str]:
        """The wanted path that a code object's file name means."""
        if filename not in self.files:
            full = os.path.realpath(filename)
            inside = full.startswith(self.tree.rstrip(os.sep) + os.sep)
            name = os.path.relpath(full, self.tree).replace(os.sep, "/") if inside else self.source_of(full)
            self.files[filename] = name if name in self.seen else None
        return self.files[filename]

    def _monitor(self) -> None:
        monitoring: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore]  # 3.12
        try:
            monitoring.use_tool_id(_TOOL, "zwarm-ci")
        except ValueError:
            self.known = False
            return

        def line(code: CodeType, number: int) -> Any:
            path = self.path_of(code.co_filename)
            if path is not None and number:  # an empty module is said to run its line 0
                self.seen[path].add(number)
            return monitoring.DISABLE

        self._callback: Any = line
        monitoring.register_callback(_TOOL, monitoring.events.LINE, line)
        monitoring.set_events(_TOOL, monitoring.events.LINE)

    def _trace(self) -> None:
        before = sys.gettrace()
        if before is not None:
            self.known = False  # a debugger's, or coverage's own
            return

        def local(frame: FrameType, event: str, arg: Any) -> Any:
            if event == "line":
                path = self.files[frame.f_code.co_filename]
                if path is not None and frame.f_lineno:
                    self.seen[path].add(frame.f_lineno)
            return local

        def called(frame: FrameType, event: str, arg: Any) -> Any:
            return local if self.path_of(frame.f_code.co_filename) is not None else None

        self._callback = called
        sys.settrace(called)
        threading.settrace(called)

    def result(self) -> Dict[str, List[int]]:
        """Lines by path so far; paths of which nothing is known are absent."""
        if self.known and not self.monitored and sys.gettrace() is not self._callback:
            self.known = False
        if self.known and self.monitored:
            monitoring: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
            self.known = monitoring.get_tool(_TOOL) == "zwarm-ci"
        return {path: sorted(lines) for path, lines in self.seen.items()} if self.known else {}


def merged(parts: List[Dict[str, List[int]]], paths: List[str]) -> Dict[str, List[int]]:
    """What several processes ran; a path that one of them knows nothing of is absent."""
    known = [path for path in paths if parts and all(path in part for part in parts)]
    return {path: sorted({line for part in parts for line in part[path]}) for path in known}
