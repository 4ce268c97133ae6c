"""Asks what a test asks with other inputs too, again, without a test runner and later, and looks whether answers compare honestly.

Its text is put into a rewritten copy of a test file (`verify/varied.py`) and runs in the repository's interpreter: Python 3.8 or
newer, standard library alone. A test of that copy always fails; its message holds what was seen, as digests on lines of their own.
"""

from __future__ import annotations

import ast
import copy
import importlib
import itertools
import operator
import os
import pickle
import re
import subprocess
import sys
import tempfile
import time
import types
from typing import Any, Dict, Iterator, List, Optional, Tuple

import zwarm_ci_ways as ways
from zwarm_ci_answers import answer, given, outcome, raised
from zwarm_ci_inputs import HELD, PLAIN, digest, fits, leaves, made_of, said, variants

_CALLS, _LEAVES, _WIDTH = (12, 60, 84)  # calls of one test, parts of their inputs, characters of a line
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
_TESTS = re.compile(r"test_|.*_test\.py$|conftest\.py$")
_deepcopy, _type = copy.deepcopy, type
_clock = time.monotonic


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
    # A thing of the tree's own class: of the same class, and other in every part.
    strangers += [other[0] for other in variants([item])[2:4] if other is not None] if made_of(item) else []
    return any(_equal(item, stranger) for stranger in strangers) or _is_vague(item)


def _is_vague(item: Any) -> bool:
    """Whether a thing of the tree's own class is equal to whole numbers that are not equal to one another."""
    held = made_of(item)
    if held is None:
        return False
    near = {
        n for value in list(held.values())[:9] if _type(value) in (int, float) for n in (value, value - 2, value + 2)
    }
    return sum(_equal(item, n) for n in near.union(range(-2, 30))) > 1


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

    def __init__(self, nonce: str, tree: str, tests: List[str], sources: Dict[str, str], file: str) -> None:
        self.sources, self.left, self.file = sources, _ALL, file
        self.known: Dict[str, bool] = {}
        self.nonce, self.tree, self.tests = nonce, os.path.realpath(tree), set(tests)
        self.set = dict(os.environ)  # what tests change of it is theirs
        self.begin()

    def begin(self) -> None:
        """A test begins."""
        self.noted: List[Noted] = []
        self.failed, self.inner = 0, ways.Inner()

    def go_on(self, error: BaseException) -> None:
        """After a statement of the test failed: with the next, unless the test is to end."""
        if isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit)) or _type(error).__name__ == "Skipped":
            raise error
        self.failed += 1

    def call(self, label: str, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call it as the test does, and keep what was asked and answered; `label` is what the test calls it."""
        if program := ways.program(function, args, kwargs, self._inside):
            return self._started(label, program, function, args, kwargs)
        own = self._own(function) or (ways.is_answered(function) and any(ways.is_of(a, self._inside) for a in args))
        return self._through(label, function, args, kwargs) if own else function(*args, **kwargs)

    def operate(self, label: str, name: str, /, *operands: Any) -> Any:
        """Work an operator of `operator` out as the test does; where a class of the tree has a part in it, it is kept."""
        function = getattr(operator, name)
        own = any(ways.is_of(o, self._inside) for o in operands)
        return self._through(label, function, operands, {}) if own else function(*operands)

    def get(self, label: str, owner: Any, name: str, /) -> Any:
        """An attribute; where the tree works it out it is kept."""
        function = ways.worked_out(owner, name, self._inside)
        return self._through(label, function, (owner,), {}) if function else getattr(owner, name)

    def _through(self, label: str, function: Any, args: Any, kwargs: Any) -> Any:
        asked = self._asked(function, args, kwargs)
        if asked is None:
            return function(*args, **kwargs)
        apart, owner = asked[0] if asked[0] is not None else function, getattr(function, "__self__", None)
        try:
            value = function(*args, **kwargs)
        except Exception as error:
            self.noted.append(Noted(label, apart, asked[1], raised(error), lie=False))
            raise
        if isinstance(value, types.CoroutineType) or hasattr(value, "__next__"):
            plain = all(_type(leaf) in PLAIN for _, leaf in leaves(asked[1]))
            told = answer(apart, asked[1]) if plain else "?-----"
        else:
            told = outcome(value, asked[1], [list(args), kwargs], owner)
        self.noted.append(Noted(label, apart, asked[1], told, lie=lies(value)))
        return value

    def _started(self, label: str, program: Any, function: Any, args: Any, kwargs: Any) -> Any:
        """Start a program of the tree as the test does, and keep what it printed."""
        asked = [[[os.fspath(w) for w in args[0][len(program.head) :]], kwargs.get("input")], {}]
        keep = len(self.noted) < _CALLS
        try:
            done = function(*args, **kwargs)
        except subprocess.CalledProcessError as error:
            if keep:
                self.noted.append(
                    Noted(
                        label,
                        program,
                        asked,
                        raised(ways.ExitError("%s %s" % (error.returncode, error.stdout))),
                        lie=False,
                    )
                )
            raise
        if keep:
            try:
                told = given(said(program.told(done)))
            except ways.ExitError as error:
                told = raised(error)
            self.noted.append(Noted(label, program, asked, told, lie=False))
        return done

    def _asked(self, function: Any, args: Any, kwargs: Any) -> Optional[Tuple[Any, Any]]:
        """(a copy of a bound method or None, copies of the arguments); None where the call is not looked at."""
        if len(self.noted) >= _CALLS:
            return None
        try:
            found = list(itertools.islice(leaves([list(args), kwargs]), _LEAVES + 1))
            if len(found) > _LEAVES or not all(fits(leaf) for _, leaf in found):
                return None
            owner = getattr(function, "__self__", None)
            bound = None
            if owner is not None and not isinstance(owner, (type, types.ModuleType)):
                bound = types.MethodType(function.__func__, _deepcopy(owner))
            return bound, _deepcopy([list(args), kwargs])
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
        return (
            self._inside(file)
            or self._helps(file)
            or any(
                value is function
                for module in list(sys.modules.values())
                if self._inside(getattr(module, "__file__", None))
                for value in list(vars(module).values())
            )
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

    def _helps(self, file: Any) -> bool:
        """Whether a file holds what other files of tests are helped by."""
        if not isinstance(file, str) or file == self.file:
            return False
        path = os.path.relpath(os.path.realpath(file), self.tree).replace(os.sep, "/")
        return path in self.tests and not _TESTS.match(os.path.basename(path))

    def report(self) -> None:
        """End the test with what was seen: how many statements failed, then line by line its calls.

        A call is its key, its answer, whether that lies and is the same again, the answers without a runner at once and later,
        and those to other inputs.
        """
        noted, started = self.noted, _clock()
        told_first = (("97", self.inner.reached(12)), ("98", self.inner.failed()), ("99", self.failed))
        lines = ["%s:%s:%s" % (self.nonce, number, text) for number, text in told_first]
        if self.left < 0:
            noted = []
        own = {n.key for n in noted}
        told = []
        for number, one in enumerate(noted):
            others = []
            for asked in variants(one.asked):
                key = asked and digest("%s %s" % (one.label, said(asked)), 8)
                others.append("------" if asked is None or key in own else answer(one.function, asked))
            told.append((number, one, others))
        again = {number: answer(one.function, one.asked) for number, one, _ in reversed(told)}
        outside = self._outside([one for _, one, _ in told])
        self.left -= _clock() - started
        for number, one, others in told:
            steady = "s" if again[number] == one.outcome else "d"
            text = "".join([one.key, one.outcome, "l" if one.lie else "t", steady] + outside[number] + others)
            lines += ["%s:%02d:%s" % (self.nonce, number, text[at : at + _WIDTH]) for at in range(0, len(text), _WIDTH)]
        raise AssertionError("\n" + "\n".join(lines))

    def _environment(self) -> Dict[str, str]:
        """The environment of a process that has no test runner: the least, and what a test has set itself."""
        own = {n: v for n, v in os.environ.items() if self.set.get(n) != v and not n.startswith("PYTEST")}
        return {**{n: os.environ[n] for n in _KEPT if n in os.environ}, **own}

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
            command, env = [sys.executable, "-c", _START], self._environment()
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
        if isinstance(function, operator.attrgetter) or (
            isinstance(function, types.MethodType) and not isinstance(function.__self__, type)
        ):
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
    first = [answer(function, asked) for _, function, asked in calls]
    for _, function, asked in calls:
        until = time.monotonic() + 0.5
        for _ in range(_TIMES):
            if time.monotonic() > until:
                break
            answer(function, asked)
    _forward()
    for (number, function, asked), at_once in zip(calls, first):  # noqa: B905 - Python 3.8
        print("\n%s=%d=%s%s" % (data["nonce"], number, at_once, answer(function, asked)))


def _forward() -> None:
    """Put the clocks of `time` forward."""
    for name, step in (("time", _LATER), ("monotonic", _LATER), ("perf_counter", _LATER), ("process_time", _LATER)):
        real, real_ns = getattr(time, name), getattr(time, name + "_ns")
        setattr(time, name, lambda real=real, step=step: real() + step)
        setattr(time, name + "_ns", lambda real=real_ns, step=step: real() + int(step * 1e9))
