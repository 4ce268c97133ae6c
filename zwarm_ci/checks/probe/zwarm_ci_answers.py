"""What a call gives, as six characters, and what it gives when it is called apart from its test.

Runs in the repository's interpreter beside `zwarm_ci_varied`: Python 3.8 or newer, standard library alone.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
import re
import signal
import threading
import types
from typing import Any, List

from zwarm_ci_inputs import ADDRESS, digest, said

_WAIT = 1.0  # seconds for each call
_EACH = 200  # of what an iterator gives
_deepcopy, _type = copy.deepcopy, type
_alarm, _handler, _now_in = signal.setitimer, signal.signal, threading.current_thread


class _LateError(Exception):
    """A call with other inputs takes too long."""


def given(text: str) -> str:
    """A value as `v`, one digit of its type and four of the whole."""
    return "v" + digest(re.split(r"\W", text)[0], 1) + digest(text, 4)


def raised(error: Exception) -> str:
    """An exception as `x` and a digest of its type and what it says."""
    return "x" + digest(
        "%s %s" % (_type(error).__name__, ADDRESS.sub("0x", str(error)) if not isinstance(error, _LateError) else ""), 5
    )


def outcome(value: Any, asked: Any, left: Any, owner: Any) -> str:
    """What was given, with what became of the arguments, or of the owner where nothing was given."""
    text, after = said(value), said(left)
    if text and after != said(asked):
        text += after
    if value is None and owner is not None and not isinstance(owner, types.ModuleType):
        text += said(owner)
    return given(text) if text else "?-----"


def _awaited(value: Any) -> Any:
    """What a coroutine gives; in a thread of its own where a loop runs in this one."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(value)
    given: List[Any] = []

    def work() -> None:
        try:
            given.append((asyncio.run(value), None))
        except Exception as error:
            given.append((None, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(_WAIT)
    if not given:
        raise _LateError
    if given[0][1] is not None:
        raise given[0][1]
    return given[0][0]


def answer(function: Any, asked: Any) -> str:
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
            value = _awaited(value)
        if hasattr(value, "__next__"):
            value = ["each", *itertools.islice(value, _EACH)]
        return outcome(value, asked, [args, kwargs], getattr(function, "__self__", None))
    except _LateError:
        return "?-----"
    except Exception as error:
        return raised(error)
    except BaseException:  # SystemExit of a program's main, or the runner's own outcomes
        return "?-----"
    finally:
        if before is not None:
            _alarm(signal.ITIMER_REAL, 0)
            _handler(signal.SIGALRM, before)
