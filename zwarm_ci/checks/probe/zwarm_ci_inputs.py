"""Arguments of a call as comparable text, and the same arguments with other values.

Runs in the repository's interpreter: Python 3.8 or newer, standard library alone.
"""

from __future__ import annotations

import hashlib
import re
import types
from typing import Any, Iterator, List, Tuple

PLAIN = (str, bytes, bool, int, float, complex, type(None))
HELD = (list, tuple, dict, set, frozenset)
ADDRESS = re.compile(r"\b0x[0-9a-fA-F]+")
_sha, _repr, _type = hashlib.sha256, repr, type


def digest(text: str, length: int) -> str:
    """The first `length` hex digits of a text's SHA-256."""
    return _sha(text.encode("utf-8", "replace")).hexdigest()[:length]


def said(value: Any, depth: int = 0) -> str:
    """A value as comparable text; "" where it has none."""
    kind = _type(value)
    if kind in PLAIN:
        return "%s:%s" % (kind.__name__, _repr(value))
    if kind in HELD and depth < 5:
        if kind is dict:
            parts = ["%s=%s" % (said(k, depth + 1), said(v, depth + 1)) for k, v in value.items()]
        else:
            parts = [said(item, depth + 1) for item in value]
            parts = sorted(parts) if kind in (set, frozenset) else parts
        return "%s(%s)" % (kind.__name__, ",".join(parts))
    if isinstance(value, (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType)) or hasattr(
        value, "__next__"
    ):
        return ""
    shown = ADDRESS.sub("0x", _repr(value))
    held = getattr(value, "__dict__", None)
    if _type(held) is dict and depth < 3:
        shown += said(held, depth + 2)
    return "%s:%s" % (kind.__qualname__, shown)


def leaves(value: Any, path: Tuple[Any, ...] = ()) -> Iterator[Tuple[Tuple[Any, ...], Any]]:
    """(path, leaf) of everything plain in arguments; keys of dicts are no leaves."""
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
        return _text(leaf, how)
    if _type(leaf) is bytes:
        return _text(leaf.decode("latin-1"), how).encode("latin-1")
    return leaf


def variants(asked: Any) -> List[Any]:
    """Eight times the arguments with other values; None where one is the same as they are."""
    found = [(path, leaf) for path, leaf in leaves(asked) if other(leaf, 0) != leaf or other(leaf, 2) != leaf]
    made = []
    for how in range(8):
        value = asked
        chosen = found if how < 6 else (found[:1] if how == 6 else found[-1:])
        for number, (path, leaf) in enumerate(chosen):
            value = put(value, path, other(leaf, (how + number) % 8 if how == 5 else how))
        made.append(value if found and said(value) != said(asked) else None)
    return made
