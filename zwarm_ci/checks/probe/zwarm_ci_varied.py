"""Asks what a test asks with other inputs too, again, without a test runner and later, and looks whether answers compare honestly.

Its text is put into a rewritten copy of a test file (`verify/varied.py`) and runs in the repository's interpreter: Python 3.8 or
newer, standard library alone. A test of that copy always fails; its message holds what was seen, as digests on lines of their own.
"""

from __future__ import annotations

import ast
import asyncio
import copy
import importlib
import itertools
import os
import pickle
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import types
from typing import Any, Dict, Iterator, List, Optional, Tuple

from zwarm_ci_inputs import ADDRESS, HELD, PLAIN, digest, leaves, said, variants

_CALLS, _LEAVES, _WAIT, _WIDTH = (
    8,
    60,
    1.0,
    84,
)  # calls of one test, parts of their inputs, seconds for each, characters of a line
_EACH = 200  # of what an iterator gives
_TIMES, _LATER = (
    120,
    100000.0,
)  # calls after which, and seconds by which the clock is put forward when, it is asked once more
_ALONE, _ALL = (
    20.0,
    15.0,
)  # seconds for what is asked in a process without a test runner; after which no test is asked about any more
_KEPT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "LANG", "LC_ALL", "TMPDIR")
_START = """
import pickle, sys, types
data = pickle.load(sys.stdin.buffer)
for name, text in data["sources"].items():
    sys.modules[name] = module = types.ModuleType(name)
    exec(text, module.__dict__)
module.alone(data)
"""
_deepcopy, _type = copy.deepcopy, type
_alarm, _handler, _now_in, _clock = signal.setitimer, signal.signal, threading.current_thread, time.monotonic


class _LateError(Exception):
    """A call with other inputs takes too long."""


def lies(value: Any) -> bool:
    """Whether something compares equal to what nobody can know, or is as near to everything as it takes."""
    for item in _inside(value, 0):
        if _lies(item):
            return True
    return False


def _inside(value: Any, depth: int) -> Iterator[Any]:
    if _type(value) in PLAIN:
        return
    if _type(value) in HELD and depth < 4:
        for item in list(value.values() if _type(value) is dict else value)[:50]:
            for found in _inside(item, depth + 1):
                yield found
    else:
        yield value


def _lies(item: Any) -> bool:
    if _shows_another(item):
        return True
    fresh = _type("Fresh", (), {})()
    word = os.urandom(8).hex()
    number = int.from_bytes(os.urandom(5), "big") + 3
    strangers = [fresh, word, number, number + 0.25, [word], (number,), {word: 1}, word.encode()]
    # What a thing of a built-in type is, whatever it says, and something else than that.
    if isinstance(item, str):
        strangers.append(str.__add__(item, word))
    elif isinstance(item, int):
        strangers.append(int.__add__(item, 7))
    elif isinstance(item, float):
        strangers.append(float.__add__(float.__mul__(item, 1.05), 1.0))
    elif hasattr(item, "__float__"):
        try:
            strangers.append(float(item) * 1.1 + 3)
        except Exception:
            pass
    return any(_equal(item, stranger) for stranger in strangers)


def _shows_another(item: Any) -> bool:
    """Whether a thing of a built-in type shows itself as another value of that type, as examples in docstrings see it."""
    kind = next((k for k in (float, int, str) if isinstance(item, k)), None)
    own = _type(item).__dict__.get("__repr__")
    if kind is None or not isinstance(own, types.FunctionType) or hasattr(_type(item), "__members__"):
        return False
    try:
        shown = ast.literal_eval(repr(item))
    except Exception:
        return False  # `$1.50` and `<Level 3>` say that they are something else
    alike = (str,) if kind is str else (int, float)
    return _type(shown) in alike and kind.__eq__(item, kind(shown)) is not True


def _equal(item: Any, stranger: Any) -> bool:
    """Whether one of the ways to ask says that they are equal."""
    for question in (lambda: item == stranger, lambda: stranger == item, lambda: not item != stranger):
        try:
            if question() is True:
                return True
        except Exception:
            continue
    return False


class Noted:
    """One call of a test and what it gave."""

    def __init__(self, label: str, function: Any, asked: Any, outcome: str, *, lie: bool) -> None:
        self.label = label
        self.function, self.asked, self.outcome, self.lie = function, asked, outcome, lie
        self.key = digest("%s %s" % (label, said(asked)), 8)


class Asked:
    """Stands between a test and what it calls. `nonce` is in every line of the message; `tree` is the repository's folder."""

    def __init__(self, nonce: str, tree: str, tests: List[str], sources: Dict[str, str]) -> None:
        self.sources, self.left = sources, _ALL
        self.known: Dict[str, bool] = {}
        self.nonce, self.tree, self.tests = nonce, os.path.realpath(tree), set(tests)
        self.begin()

    def begin(self) -> None:
        """A test begins."""
        self.noted: List[Noted] = []
        self.failed = 0

    def go_on(self, error: BaseException) -> None:
        """After a statement of the test failed: with the next, unless the test is to end."""
        if isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit)) or _type(error).__name__ == "Skipped":
            raise error
        self.failed += 1

    def call(self, label: str, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call it as the test does, and keep what was asked and answered; `label` is what the test calls it."""
        asked = self._asked(function, args, kwargs)
        if asked is None:
            return function(*args, **kwargs)
        apart = asked[0] if asked[0] is not None else function
        try:
            value = function(*args, **kwargs)
        except Exception as error:
            self.noted.append(Noted(label, apart, asked[1], _raised(error), lie=False))
            raise
        text = said(value)
        outcome = _given(text) if text else _answer(apart, asked[1])
        self.noted.append(Noted(label, apart, asked[1], outcome, lie=lies(value)))
        return value

    def _asked(self, function: Any, args: Any, kwargs: Any) -> Optional[Tuple[Any, Any]]:
        """(a copy of a bound method or None, copies of the arguments); None where the call is not looked at."""
        if len(self.noted) >= _CALLS or not self._own(function):
            return None
        found = list(leaves([args, kwargs]))
        if len(found) > _LEAVES or not all(_type(leaf) in PLAIN + (set, frozenset) for _, leaf in found):
            return None
        try:
            owner = getattr(function, "__self__", None)
            bound = None
            if owner is not None and not isinstance(owner, (type, types.ModuleType)):
                bound = types.MethodType(function.__func__, _deepcopy(owner))
            return bound, _deepcopy([args, kwargs])
        except Exception:
            return None

    def _own(self, function: Any) -> bool:
        """Whether a thing is defined in a file of the tree that is no test."""
        inner = getattr(function, "__wrapped__", function)
        code = getattr(getattr(inner, "__func__", inner), "__code__", None) or getattr(function, "__code__", None)
        file = getattr(code, "co_filename", None)
        if file is None and isinstance(function, type):
            file = getattr(sys.modules.get(function.__module__), "__file__", None)
        if file is None:
            module = sys.modules.get(getattr(function, "__module__", None) or "")
            file = getattr(module, "__file__", None)
        return self._inside(file) or any(
            value is function
            for module in list(sys.modules.values())
            if self._inside(getattr(module, "__file__", None))
            for value in list(vars(module).values())
        )

    def _inside(self, file: Any) -> bool:
        """Whether a file is one of the tree that is no test."""
        if not isinstance(file, str):
            return False
        if file not in self.known:
            path = os.path.realpath(file)
            inside = path.startswith(self.tree.rstrip(os.sep) + os.sep) and "-packages" + os.sep not in path
            self.known[file] = inside and os.path.relpath(path, self.tree).replace(os.sep, "/") not in self.tests
        return self.known[file]

    def report(self) -> None:
        """End the test with what was seen: how many statements failed, then line by line its calls.

        A call is its key, its answer, whether that lies and is the same again, the answers without a runner at once and later,
        and those to other inputs.
        """
        noted, started = self.noted, _clock()
        if self.left < 0:
            noted = []
        own = {n.key for n in noted}
        told = []
        for number, one in enumerate(noted):
            others = []
            for asked in variants(one.asked):
                key = asked and digest("%s %s" % (one.label, said(asked)), 8)
                others.append("------" if asked is None or key in own else _answer(one.function, asked))
            told.append((number, one, others))
        again = {number: _answer(one.function, one.asked) for number, one, _ in reversed(told)}
        outside = self._outside([one for _, one, _ in told])
        self.left -= _clock() - started
        lines = ["%s:99:%d" % (self.nonce, self.failed)]
        for number, one, others in told:
            steady = "s" if again[number] == one.outcome else "d"
            text = "".join([one.key, one.outcome, "l" if one.lie else "t", steady] + outside[number] + others)
            lines += ["%s:%02d:%s" % (self.nonce, number, text[at : at + _WIDTH]) for at in range(0, len(text), _WIDTH)]
        raise AssertionError("\n" + "\n".join(lines))

    def _outside(self, noted: List[Noted]) -> List[List[str]]:
        """What each call gives in a process of its own that has no test runner, at once and later; `?` where it cannot be asked there."""
        none = ["?-----", "?-----"]
        packed = [_packed(one) for one in noted]
        if not any(packed):
            return [none for _ in noted]
        data = {
            "sources": self.sources,
            "path": [os.path.abspath(p) for p in sys.path],
            "calls": packed,
            "nonce": self.nonce,
        }
        with tempfile.TemporaryDirectory() as folder:
            command, env = [sys.executable, "-c", _START], {n: os.environ[n] for n in _KEPT if n in os.environ}
            try:
                done = subprocess.run(
                    command,
                    input=pickle.dumps(data),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    cwd=folder,
                    env=env,
                    timeout=_ALONE,
                    check=False,
                )
            except (OSError, subprocess.SubprocessError):
                return [none for _ in noted]
        found = re.findall(r"%s=(\d+)=(.{6})(.{6})" % self.nonce, done.stdout.decode("utf-8", "replace"))
        seen = {int(number): [first, later] for number, first, later in found}
        return [seen.get(number, none) for number in range(len(noted))]


def _packed(one: Noted) -> Optional[bytes]:
    """(module, name or bound method, arguments) for another process; None where that cannot be."""
    function = one.function
    try:
        if isinstance(function, types.MethodType) and not isinstance(function.__self__, type):
            return pickle.dumps(("", function, one.asked))
        module, name = getattr(function, "__module__", None) or "", getattr(function, "__qualname__", "")
        if "<" in name or _named(sys.modules.get(module), name) is not function:
            module, name = next(
                (holder, n) for holder in list(sys.modules) for n, value in _names(holder) if value is function
            )
        return pickle.dumps((module, name, one.asked))
    except Exception:
        return None


def _names(module: str) -> List[Tuple[str, Any]]:
    """What a module that is no test's own holds."""
    held = sys.modules[module]
    return [] if getattr(held, "__file__", None) is None or "test" in module else list(vars(held).items())


def _named(holder: Any, name: str) -> Any:
    for part in name.split("."):
        holder = getattr(holder, part, None)
    return holder


def alone(data: Any) -> None:
    """Answer in a process of its own: each call at once, and again after many calls and with the clock put forward."""
    sys.path[:] = data["path"]
    calls = []
    for number, packed in enumerate(data["calls"]):
        try:
            module, name, asked = pickle.loads(packed)
            calls.append((number, _named(importlib.import_module(module), name) if module else name, asked))
        except Exception:
            continue
    first = [_answer(function, asked) for _, function, asked in calls]
    for _, function, asked in calls:
        until = time.monotonic() + 0.5
        for _ in range(_TIMES):
            if time.monotonic() > until:
                break
            _answer(function, asked)
    _forward()
    for (number, function, asked), at_once in zip(calls, first):  # noqa: B905 - Python 3.8
        print("\n%s=%d=%s%s" % (data["nonce"], number, at_once, _answer(function, asked)))


def _forward() -> None:
    """Put the clocks of `time` forward."""
    for name, step in (("time", _LATER), ("monotonic", _LATER), ("perf_counter", _LATER), ("process_time", _LATER)):
        real, real_ns = getattr(time, name), getattr(time, name + "_ns")
        setattr(time, name, lambda real=real, step=step: real() + step)
        setattr(time, name + "_ns", lambda real=real_ns, step=step: real() + int(step * 1e9))


def _given(text: str) -> str:
    """A value as `v`, one digit of its type and four of the whole."""
    return "v" + digest(re.split(r"\W", text)[0], 1) + digest(text, 4)


def _raised(error: Exception) -> str:
    return "x" + digest(
        "%s %s" % (_type(error).__name__, ADDRESS.sub("0x", str(error)) if not isinstance(error, _LateError) else ""), 5
    )


def _answer(function: Any, asked: Any) -> str:
    """What a call gives, as six characters: `v`, a digit of its type and a digest, `x` and that of an exception, `?` where nothing can be told."""

    def late(number: int, frame: Any) -> None:
        raise _LateError

    owner = getattr(function, "__self__", None)
    before = None
    try:
        args, kwargs = _deepcopy(asked)
        if owner is not None and not isinstance(owner, (type, types.ModuleType)):
            function = types.MethodType(function.__func__, _deepcopy(owner))
        if hasattr(signal, "SIGALRM") and _now_in() is threading.main_thread():
            before = _handler(signal.SIGALRM, late)
            _alarm(signal.ITIMER_REAL, _WAIT)
        value = function(*args, **kwargs)
        if isinstance(value, types.CoroutineType):
            value = asyncio.run(value)
        if hasattr(value, "__next__"):
            value = ["each", *itertools.islice(value, _EACH)]
        text = said(value)
        return _given(text) if text else "?-----"
    except _LateError:
        return "?-----"
    except Exception as error:
        return _raised(error)
    except BaseException:  # SystemExit of a program's main, or the runner's own outcomes
        return "?-----"
    finally:
        if before is not None:
            _alarm(signal.ITIMER_REAL, 0)
            _handler(signal.SIGALRM, before)
