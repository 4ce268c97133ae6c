"""Tables that a source file keeps as something else: packed, turned round, as numbers. They are unpacked, never run."""

from __future__ import annotations

import ast
import base64
import binascii
import codecs
import json
import re
import zlib
from collections.abc import Iterator

_MOST, _LONG, _LARGE = 40, 20_000, 1_000_000  # candidates of a file, characters of one, bytes that one unpacks to
_TEXT = re.compile(r"\"((?:[^\"\\\n]|\\.){8,})\"|'((?:[^'\\\n]|\\.){8,})'|`([^`]{8,})`")
_CODES = re.compile(r"\[\s*(-?\d{1,4}(?:\s*,\s*-?\d{1,4}){7,})\s*,?\s*\]")
_NUMBER = re.compile(r"(?<![\w.])(?:0x([0-9a-fA-F]{16,})|(\d{18,}))n?\b")


def tables(text: str) -> Iterator[tuple[object, int]]:
    """Every mapping or list that a literal of a text turns out to hold, with the line that it stands in."""
    left = _MOST
    for match in _TEXT.finditer(text):
        literal = next(g for g in match.groups() if g is not None)
        if left and len(literal) < _LONG:
            left -= 1
            yield from ((t, text.count("\n", 0, match.start()) + 1) for t in _found(_of_text(literal)))
    for match in _CODES.finditer(text):
        numbers = [int(n) for n in match[1].split(",")]
        yield from ((t, text.count("\n", 0, match.start()) + 1) for t in _found(_of_codes(numbers)))
    for match in _NUMBER.finditer(text):
        number = int(match[1], 16) if match[1] else int(match[2]) if len(match[2]) < 4000 else 0
        data = number.to_bytes((number.bit_length() + 7) // 8, "big")
        yield from ((t, text.count("\n", 0, match.start()) + 1) for t in _found(iter((data,))))


def _of_text(literal: str) -> Iterator[bytes]:
    plain = re.sub(r"\\(.)", r"\1", literal).encode("utf-8", "replace")
    yield plain[::-1]
    yield codecs.encode(plain.decode("utf-8", "replace"), "rot13").encode()
    for decode in (base64.b64decode, base64.b32decode, base64.b85decode, bytes.fromhex):
        try:
            yield decode(literal)
        except (ValueError, binascii.Error):
            continue


def _of_codes(numbers: list[int]) -> Iterator[bytes]:
    """Texts whose first character is a bracket, as codes that were moved or mixed with one number."""
    for first in b"{[":
        for made in ([n - numbers[0] + first for n in numbers], [n ^ numbers[0] ^ first for n in numbers]):
            if all(0 <= n < 256 for n in made):
                yield bytes(made)


def _found(candidates: Iterator[bytes]) -> Iterator[object]:
    for data in candidates:
        for made in (data, _unpacked(data)):
            text = made.decode("utf-8", "replace").strip()
            if text[:1] not in {"{", "["}:
                continue
            try:
                yield json.loads(text)
            except (ValueError, RecursionError):
                try:
                    yield ast.literal_eval(text)
                except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
                    continue


def _unpacked(data: bytes) -> bytes:
    for way in (15, -15, 31):
        try:
            return zlib.decompressobj(way).decompress(data, _LARGE)
        except zlib.error:
            continue
    return b""
