"""Frozen dataclasses as JSON values and back, by their own annotations; for files that this program writes for itself alone."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
_PLAIN = (str, int, float, bool)


def to_data(value: Any) -> Any:
    """`value` as what `json` writes: dataclasses as tables, mappings as rows of key and value, sets in order, paths and money as text.

    Raises:
        TypeError: there is something in it that is none of these.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_data(getattr(value, f.name)) for f in fields(value) if f.init}
    if isinstance(value, Mapping):
        return [[to_data(key), to_data(one)] for key, one in value.items()]
    if isinstance(value, frozenset | set):
        return [to_data(one) for one in sorted(value)]
    if isinstance(value, tuple | list):
        return [to_data(one) for one in value]
    if isinstance(value, Path | Decimal):
        return str(value)
    if value is None or isinstance(value, _PLAIN):
        return value
    raise TypeError(f"{type(value).__name__} cannot be written down")


def from_data(kind: type[T], data: Any) -> T:
    """The value of `kind` that `to_data` wrote.

    Raises:
        ValueError: it is something else.
    """
    try:
        made: T = _value(kind, data)
    except (KeyError, TypeError, ArithmeticError) as error:
        raise ValueError(f"no {getattr(kind, '__name__', kind)}: {error}") from error
    return made


def _value(kind: Any, data: Any) -> Any:
    origin, args = get_origin(kind), get_args(kind)
    if kind is Any:
        return data
    if is_dataclass(kind):
        return _table(kind, data)
    if origin is not None:
        return _made_of(kind, origin, args, data)
    if kind in {Path, Decimal}:
        return kind(_checked(data, isinstance(data, str), kind))
    if kind is float:
        return float(_checked(data, type(data) in {int, float}, kind))
    return _checked(data, type(data) is kind, kind)


def _made_of(kind: Any, origin: Any, args: tuple[Any, ...], data: Any) -> Any:
    if origin is Literal:
        return _checked(data, data in args, kind)
    if origin in {Union, types.UnionType}:
        return _either(args, data)
    rows = _checked(data, isinstance(data, list), kind)
    if origin is tuple:
        return _tuple(args, rows)
    if issubclass(origin, Mapping):
        return {_value(args[0], key): _value(args[1], one) for key, one in rows}
    return origin(_value(args[0], one) for one in rows)


def _table(kind: Any, data: Any) -> Any:
    hints = get_type_hints(kind)
    known = {f.name for f in fields(kind) if f.init}
    if not isinstance(data, dict) or not data.keys() <= known:
        raise ValueError(f"no {kind.__name__}")
    return kind(**{name: _value(hints[name], one) for name, one in data.items()})


def _tuple(args: tuple[Any, ...], data: list[Any]) -> tuple[Any, ...]:
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(_value(args[0], one) for one in data)
    return tuple(_value(kind, one) for kind, one in zip(args, data, strict=True))


def _either(args: tuple[Any, ...], data: Any) -> Any:
    if data is None and types.NoneType in args:
        return None
    (kind,) = (arg for arg in args if arg is not types.NoneType)
    return _value(kind, data)


def _checked(data: Any, fits: bool, kind: Any) -> Any:
    if not fits:
        raise ValueError(f"{str(data)[:40]!r} is no {getattr(kind, '__name__', kind)}")
    return data
