"""The ways in which a test asks that are no plain call: operators, attributes that are worked out, built-in functions, programs.

Runs in the repository's interpreter beside `zwarm_ci_varied`: Python 3.8 or newer, standard library alone.
"""

from __future__ import annotations

import functools
import operator
import os
import subprocess
import sys
import types
from typing import Any, Callable, Dict, List, Optional

from zwarm_ci_inputs import PLAIN

#: Built-in functions that a class answers by its own methods.
_ANSWERED = (
    len, str, repr, int, float, bool, list, tuple, dict, set, sorted, sum, max, min, iter, next, round, abs, format, bytes, reversed,
)  # fmt: skip
_WORKED_OUT = (property, functools.cached_property)
_PROGRAMS = (subprocess.run, subprocess.check_output)
_run, _type, _python = subprocess.run, type, os.path.realpath(sys.executable)


class ExitError(Exception):
    """A program ended badly."""


class Inner:
    """What the assertions of functions that a test hands on said when they were last asked."""

    def __init__(self) -> None:
        self.last: Dict[str, bool] = {}

    def __call__(self, label: str, failed: bool) -> None:
        """An assertion was asked."""
        self.last[label] = failed

    def ask(self, label: str) -> None:
        """A test reaches an assertion of its own."""
        self.last.setdefault(label, False)

    def reached(self, most: int) -> str:
        """The labels of what was asked; `?` where there are more than that."""
        return "-" + "-".join(sorted(self.last)) if len(self.last) <= most else "?"

    def failed(self) -> int:
        """How many said no."""
        return sum(self.last.values())


class Program:
    """A program of the repository as a function of its arguments: what it prints."""

    def __init__(self, head: List[str], given: Any) -> None:
        self.head = head
        self.given = {
            k: v for k, v in given.items() if k not in ("capture_output", "stdout", "stderr", "check", "input")
        }

    def __call__(self, tail: List[str], sent: Any = None) -> Any:
        sending = {} if sent is None else {"input": sent}
        done = _run(self.head + tail, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **sending, **self.given)
        return self.told(done)

    def told(self, done: Any) -> Any:
        """What a run of it printed.

        Raises:
            ExitError: it ended badly.
        """
        if getattr(done, "returncode", 0):
            raise ExitError("%s %s" % (done.returncode, done.stdout))
        return getattr(done, "stdout", done)


def program(function: Any, args: Any, kwargs: Any, is_own: Callable[[Any], bool]) -> Optional[Program]:
    """The program of the tree that a test starts with arguments of its own; None where it starts something else."""
    if not any(function is p for p in _PROGRAMS) or len(args) != 1 or _type(args[0]) is not list or kwargs.get("shell"):
        return None
    words = args[0]
    if not words or not all(isinstance(w, (str, os.PathLike)) for w in words):
        return None
    kept = (kwargs.get("capture_output") or kwargs.get("stdout") == subprocess.PIPE) and "stderr" not in kwargs
    if function is subprocess.run and not kept and kwargs.get("stdout") != subprocess.PIPE:
        return None
    if os.path.realpath(words[0]) != _python:
        at = 1 if is_own(os.path.abspath(words[0])) else 0
    elif len(words) > 2 and words[1] == "-m":
        at = 3
    else:
        cwd = os.fspath(kwargs.get("cwd") or os.curdir)
        at = next((n + 1 for n, w in enumerate(words) if n and is_own(os.path.abspath(os.path.join(cwd, w)))), 0)
    return Program([os.fspath(w) for w in words[:at]], kwargs) if at else None


def is_answered(function: Any) -> bool:
    """Whether a built-in function asks the class of what it is given."""
    return any(function is f for f in _ANSWERED)


def is_of(value: Any, is_own: Callable[[Any], bool]) -> bool:
    """Whether a thing's class, or one that it comes from, is the tree's."""
    kind = _type(value)
    return kind not in PLAIN and any(
        is_own(getattr(sys.modules.get(k.__module__), "__file__", None)) for k in kind.__mro__[:-1]
    )


def worked_out(owner: Any, name: str, is_own: Callable[[Any], bool]) -> Optional[Callable[[Any], Any]]:
    """What gives an attribute that the tree's code works out when it is asked for; None where it is held, or a method."""
    kind = _type(owner)
    if kind in PLAIN or isinstance(owner, (type, types.ModuleType)) or not is_of(owner, is_own):
        return None
    held = next((vars(k)[name] for k in kind.__mro__ if name in vars(k)), None)
    asked = held is None and hasattr(kind, "__getattr__") and name not in getattr(owner, "__dict__", {})
    return operator.attrgetter(name) if asked or isinstance(held, _WORKED_OUT) else None
