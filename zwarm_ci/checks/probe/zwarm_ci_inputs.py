"""Arguments of a call as comparable text, and the same arguments with other values.

Runs in the repository's interpreter: Python 3.8 or newer, standard library alone.
"""

from __future__ import annotations

import copy
import datetime as dt
import enum
import hashlib
import os
import re
import sys
import tempfile
import types
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePath
from typing import Any, Dict, Iterator, List, Optional, Tuple

PLAIN = (str, bytes, bool, int, float, complex, type(None))
HELD = (list, tuple, dict, set, frozenset)
ADDRESS = re.compile(r"\b0x[0-9a-fA-F]+")
#: What a call may be given besides: values of the standard library, and what is handed on as it is.
_VALUES = (dt.date, dt.time, dt.timedelta, Decimal, Fraction, PurePath, enum.Enum, set, frozenset)
_WHOLE = (types.FunctionType, types.BuiltinFunctionType, type)
_DEEP, _MOST = 4, 20000  # things in things, and characters of a file, that are given other values
_STEPS = (1, -1, 40, 10, 7, 400, 2, -30)  # days that a date is moved by
_sha, _repr, _type, _path, _copy = hashlib.sha256, repr, type, os.path, copy.copy
_LIBRARY = _path.dirname(os.__file__) + os.sep
_FOLDER = tempfile.gettempdir()


def digest(text: str, length: int) -> str:
    """The first `length` hex digits of a text's SHA-256."""
    return _sha(text.encode("utf-8", "replace")).hexdigest()[:length]


def said(value: Any, depth: int = 0) -> str:
    """A value as comparable text; "" where it has none."""
    kind = _type(value)
    if kind in PLAIN:
        return "%s:%s" % (kind.__name__, _placed(_repr(value)))
    if kind in HELD and depth < 5:
        if kind is dict:
            parts = ["%s=%s" % (said(k, depth + 1), said(v, depth + 1)) for k, v in value.items()]
        else:
            parts = [said(item, depth + 1) for item in value]
            parts = sorted(parts) if kind in (set, frozenset) else parts
        return "%s(%s)" % (kind.__name__, ",".join(parts))
    if isinstance(value, Path) and _path.isfile(str(value)):
        return "%s:%s" % (value.name, digest(_read(str(value)) or "", 16))
    if isinstance(value, (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType)) or hasattr(
        value, "__next__"
    ):
        return ""
    shown = _placed(ADDRESS.sub("0x", _repr(value)))
    held = getattr(value, "__dict__", None)
    if _type(held) is dict and depth < 3:
        shown += said(held, depth + 2)
    return "%s:%s" % (kind.__qualname__, shown)


def _placed(text: str) -> str:
    """A text without the folder for temporary files, which is another in each run."""
    return text.replace(_FOLDER, "/tmp") if _FOLDER in text else text


def fits(leaf: Any) -> bool:
    """Whether a leaf of arguments can be given once more, to a call of ours."""
    return _type(leaf) in PLAIN or isinstance(leaf, _VALUES + _WHOLE)


def made_of(value: Any) -> Optional[Dict[str, Any]]:
    """The attributes of a thing whose class the repository defines; None where it is no such thing, or has none."""
    kind = _type(value)
    if kind in PLAIN or isinstance(value, _VALUES + _WHOLE + HELD + (BaseException,)):
        return None
    file = getattr(sys.modules.get(kind.__module__), "__file__", None) or _LIBRARY
    held = getattr(value, "__dict__", None)
    own = not file.startswith(_LIBRARY) and "-packages" not in file
    return held if own and _type(held) is dict else None


def leaves(value: Any, path: Tuple[Any, ...] = ()) -> Iterator[Tuple[Tuple[Any, ...], Any]]:
    """(path, leaf) of everything plain in arguments; keys of dicts are no leaves."""
    held = made_of(value) if len(path) < _DEEP + 2 else None
    if held is not None:
        for name in held:
            for found in leaves(held[name], path + (("of", name),)):
                yield found
        return
    if isinstance(value, dict):
        for key in value:
            for found in leaves(value[key], path + (("key", key),)):
                yield found
    elif isinstance(value, (list, tuple)):
        for at, item in enumerate(value):
            for found in leaves(item, path + (("at", at),)):
                yield found
    else:
        yield path, value


def put(value: Any, path: Tuple[Any, ...], leaf: Any) -> Any:
    """A copy of `value` with another leaf at a path."""
    if not path:
        return leaf
    how, at = path[0]
    if how == "of":
        changed = _copy(value)
        changed.__dict__[at] = put(value.__dict__[at], path[1:], leaf)
        return changed
    if isinstance(value, dict):
        return {key: put(item, path[1:], leaf) if key == at else item for key, item in value.items()}
    made = [put(item, path[1:], leaf) if place == at else item for place, item in enumerate(value)]
    if not isinstance(value, tuple):
        return made
    return _type(value)(*made) if hasattr(value, "_fields") else tuple(made)


def _turned(char: str, step: int) -> str:
    first = 97 if "a" <= char <= "z" else 65 if "A" <= char <= "Z" else 0
    return chr((ord(char) - first + step) % 26 + first) if first else char


def _letters(text: str, step: int) -> str:
    return "".join(_turned(char, step) for char in text)


def _digits(text: str) -> str:
    return "".join(chr((ord(c) - 48 + 1) % 9 + 49) if "0" <= c <= "9" else c for c in text)


def _text(text: str, how: int) -> str:
    made = (
        _letters(text, 1),
        _digits(text),
        text + text,
        text + text[-1:],
        text[::-1],
        _digits(_letters(text, 7)),
        text[:1] + text,
        text[1:] + text[:1],
    )
    return made[how]


def other(leaf: Any, how: int) -> Any:
    """Another leaf of the same kind, one of eight; the leaf itself where it is an edge that honest code may ask for by name."""
    if leaf is None or isinstance(leaf, bool) or not leaf:
        return leaf
    if _type(leaf) is int:
        return (leaf + 1, leaf - 1, leaf * 2 + 1, leaf + 10, leaf + 7, leaf * 3, leaf + 2, leaf * 2)[how]
    if _type(leaf) is float:
        return (leaf + 1.0, leaf / 2, leaf * 2 + 0.5, leaf + 10.25, leaf * 1.25, leaf * 3, leaf - 0.5, leaf * 7)[how]
    if _type(leaf) is str:
        return _file(leaf, how) if os.sep in leaf and _path.isfile(leaf) else _text(leaf, how)
    if _type(leaf) is bytes:
        return _text(leaf.decode("latin-1"), how).encode("latin-1")
    return _value(leaf, how)


def _value(leaf: Any, how: int) -> Any:
    """Another value of a type of the standard library; the same where nothing is known of it."""
    kind = _type(leaf)
    if kind in (dt.date, dt.datetime):
        return leaf + dt.timedelta(days=_STEPS[how])
    if kind is dt.timedelta:
        return leaf * 2 + dt.timedelta(seconds=_STEPS[how])
    if kind in (Decimal, Fraction):
        return leaf + _STEPS[how]
    return kind(_file(str(leaf), how)) if isinstance(leaf, Path) and leaf.is_file() else leaf


def _read(name: str) -> Optional[str]:
    """The text of a file; None where it has none, or too much."""
    try:
        with open(name, encoding="utf-8") as file:
            text = file.read(_MOST + 1)
    except (OSError, ValueError):
        return None
    return text if len(text) <= _MOST else None


def _file(name: str, how: int) -> str:
    """The path of a file of the same name in a folder beside, whose text is another; the same where it cannot be read as text."""
    text = _read(name)
    if text is None:
        return name
    try:
        folder = _path.join(_path.dirname(name), "z%d" % how)
        os.makedirs(folder, exist_ok=True)
        made = _path.join(folder, _path.basename(name))
        with open(made, "w", encoding="utf-8") as file:
            file.write("\n".join(_text(line, how) for line in text.split("\n")))
    except (OSError, ValueError):
        return name
    return made


def variants(asked: Any) -> List[Any]:
    """Eight times the arguments with other values; None where one is the same as they are."""
    try:
        found = [(path, leaf) for path, leaf in leaves(asked) if other(leaf, 0) != leaf or other(leaf, 2) != leaf]
    except Exception:  # a date at the end of time
        found = []
    texts = any(isinstance(leaf, (str, bytes)) for _, leaf in found)  # one of them may say what is to be done
    made = []
    for how in range(8):
        value = asked
        chosen = found if how < 6 or not texts else (found[:1] if how == 6 else found[-1:])
        try:
            for number, (path, leaf) in enumerate(chosen):
                value = put(value, path, other(leaf, (how + number) % 8 if how == 5 else how))
            made.append(value if found and said(value) != said(asked) else None)
        except Exception:
            made.append(None)
    return made
