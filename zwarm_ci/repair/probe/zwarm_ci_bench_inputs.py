"""Do edits behave alike? Records what tests pass to the code under test, then calls it so, and a little otherwise, with each.

The calls may not write, delete, connect or start anything: an audit hook forbids it.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import inspect
import itertools
import os
import pickle
import re
import signal
import sys
from types import FrameType
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from zwarm_ci_bench_fork import forked
from zwarm_ci_bench_try import Edit, edited

CALLS = 40  # different calls of one function
SECONDS = 0.5  # for one call
Call = Tuple[str, str, str]  # module, function, pickled arguments in hex
_FORBIDDEN = set(
    "os.remove os.rename os.rmdir os.mkdir os.link os.symlink os.chmod os.chown os.truncate os.utime os.system os.exec os.fork "
    "os.forkpty os.posix_spawn os.kill subprocess.Popen socket.connect socket.bind socket.sendto shutil.rmtree shutil.move".split()
)


class TooLongError(BaseException):
    """A call used up its time; no `except Exception` of the code under test holds it up."""


def probe(order: Dict[str, Any], out: Callable[..., None], suite: Any) -> None:
    """Say the first call that tells two of the edits apart, or that none does."""
    recorded = forked(lambda: _record(order, suite), 20.0, 60.0)[0] or []
    answers = [_answers(order, recorded, edit) for edit in order["patches"]]
    for (one, first), (two, second) in itertools.combinations(enumerate(answers), 2):
        for call, gave in first.items():
            if second.get(call, gave) != gave:
                out(type="differ", patches=[one, two], call=call, answers=[gave, second[call]])
                return
    out(type="agree", calls=min(len(a) for a in answers))


def _record(order: Dict[str, Any], suite: Any) -> List[Call]:
    """Calls from test files into the code under test, each once."""
    root, tests = order["root"] + os.sep, set(order["tests"])
    found: Dict[Call, None] = {}
    counts: Dict[Any, int] = {}

    def on_call(frame: FrameType, event: str, _arg: Any) -> None:
        code, back = frame.f_code, frame.f_back
        if event != "call" or back is None or code.co_name.startswith("<"):
            return
        callee, caller = code.co_filename, back.f_code.co_filename
        if (
            not callee.startswith(root)
            or callee[len(root) :] in tests
            or caller[len(root) :] not in tests
            or counts.get(code, 0) >= CALLS
        ):
            return
        sys.setprofile(None)
        call = _pickled(frame)
        if call is not None and call not in found:
            found[call] = None
            counts[code] = counts.get(code, 0) + 1
        sys.setprofile(on_call)

    sys.setprofile(on_call)
    for item in [*suite.targets, *suite.others[: order["near"]]]:
        suite.run(item)
    sys.setprofile(None)
    return list(found)


def _pickled(frame: FrameType) -> Optional[Call]:
    code, given = frame.f_code, inspect.getargvalues(frame)
    values = [given.locals[name] for name in code.co_varnames[: code.co_argcount]]
    values += given.locals[given.varargs] if given.varargs else []
    kwargs = {
        k: given.locals[k] for k in code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    }
    kwargs.update(given.locals[given.keywords] if given.keywords else {})
    try:
        return frame.f_globals["__name__"], code.co_name, pickle.dumps((values, kwargs)).hex()
    except Exception:  # anything may refuse to be pickled, in any way; it is not recorded then
        return None


def _answers(order: Dict[str, Any], recorded: List[Call], edit: Edit) -> Dict[str, str]:
    """What each call gives with one edit; calls that do not give the same twice are left out."""
    runs = [forked(lambda: _called(order, recorded, edit), 10.0, 30.0)[0] or {} for _ in range(2)]
    return {call: gave for call, gave in runs[0].items() if runs[1].get(call) == gave}


def _called(order: Dict[str, Any], recorded: List[Call], edit: Edit) -> Dict[str, str]:
    _install(order, edit)
    sys.addaudithook(_forbid)
    signal.signal(signal.SIGVTALRM, _too_long)
    gave: Dict[str, str] = {}
    for module, name, pickled in recorded:
        for variant in itertools.count():
            arguments = _arguments(pickled, variant)
            if arguments is None:
                break
            function = _find(module, name, arguments[0])
            if function is not None:
                told = "{}.{}({})".format(module, name, _plain([*arguments[0], *arguments[1].items()])[1:-1])
                gave[told] = _outcome(function, *arguments)
    return gave


def _install(order: Dict[str, Any], edit: Edit) -> None:
    """Forget the tree's modules; from now on the edited file is read with the edit in it."""
    root, tests = order["root"] + os.sep, set(order["tests"])
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        if file.startswith(root) and file[len(root) :] not in tests:
            del sys.modules[name]
    target = os.path.join(order["root"], edit["path"])
    new = edited(target, edit)
    plain = importlib.machinery.SourceFileLoader.get_data

    def get_data(self: importlib.machinery.SourceFileLoader, path: str) -> bytes:
        return new if path == target else plain(self, path)

    setattr(importlib.machinery.SourceFileLoader, "get_data", get_data)  # noqa: B010 - a plain assignment is no method to mypy


def _arguments(pickled: str, variant: int) -> Optional[Tuple[List[Any], Dict[str, Any]]]:
    """Fresh arguments: as recorded, or with one of them changed a little; None = there is no such variant."""
    try:
        values, kwargs = pickle.loads(bytes.fromhex(pickled))
    except Exception:  # with the edit its class may be gone, or its __setstate__ may raise whatever it likes
        return None
    return next(itertools.islice(itertools.chain([(values, kwargs)], _mutations(values, kwargs)), variant, None), None)


def _outcome(function: Callable[..., Any], values: List[Any], kwargs: Dict[str, Any]) -> str:
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        value = function(*values, **kwargs)
        if inspect.isgenerator(value):
            value = list(itertools.islice(value, 50))
        return _plain([value, values])
    except TooLongError:
        return "does not end"
    except BaseException as error:  # whatever it raises is its answer
        return "raises " + type(error).__name__
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _find(module: str, name: str, values: List[Any]) -> Optional[Callable[..., Any]]:
    try:
        there = importlib.import_module(module)
    except Exception:  # importing runs code of the tree
        return None
    found = getattr(there, name, None)
    if found is None and values:
        owner = values[0] if isinstance(values[0], type) else type(values[0])
        found = inspect.getattr_static(owner, name, None)
        found = getattr(found, "__func__", found)
    return found if callable(found) else None


def _mutations(values: List[Any], kwargs: Dict[str, Any]) -> Iterator[Tuple[List[Any], Dict[str, Any]]]:
    for position, value in enumerate(values):
        for other in _near(value):
            yield [*values[:position], other, *values[position + 1 :]], kwargs
    for key, value in kwargs.items():
        for other in _near(value):
            yield values, dict(kwargs, **{key: other})


def _near(value: Any) -> List[Any]:
    """Values close to one; a text that may be a path stays what it is."""
    if type(value) is bool:
        return [not value]
    if type(value) is int:
        return [value + 1, value - 1]
    if type(value) is float:
        return [value + 1.0, value - 0.5]
    if type(value) is str and value and "/" not in value:
        return [value[:-1], value + value[0]]
    if type(value) in (list, tuple) and value:
        return [value[:-1], value + value[:1], value[::-1]]
    return []


def _plain(value: Any) -> str:
    return re.sub(r"0x[0-9a-fA-F]+", "0x", repr(value))[:600]


def _too_long(_signum: int, _frame: Optional[FrameType]) -> None:
    raise TooLongError


def _forbid(event: str, args: Tuple[Any, ...]) -> None:
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT
    if event in _FORBIDDEN or (event == "open" and isinstance(args[2], int) and args[2] & writing):
        raise PermissionError(event)
