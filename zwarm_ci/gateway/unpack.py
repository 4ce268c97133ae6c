"""Compressed answers made plain as they come: not every CLI reads them, and the meter has to."""

from __future__ import annotations

import zlib

#: What the standard library can decode; anything else is refused rather than passed on unmetered.
KNOWN = frozenset({"", "identity", "gzip", "x-gzip", "deflate"})
_GZIP = 32 + zlib.MAX_WBITS  # gzip or zlib, by its header
_PIECE = 1 << 20  # bytes that leave at once, so that a small packet cannot become a huge one in memory


class BrokenError(ValueError):
    """The compressed bytes are none."""


class Unpacker:
    """Of one answer with that content-encoding."""

    def __init__(self, encoding: str) -> None:
        self._plain = encoding in {"", "identity"}
        self._head = (
            b""  # of a deflate answer, until it says whether it has zlib's header, which some servers leave out
        )
        self._inflate = None if encoding == "deflate" else zlib.decompressobj(_GZIP)

    def feed(self, data: bytes) -> list[bytes]:
        """All that can be said plainly by now.

        Raises:
            BrokenError: it is not what its header says.
        """
        if self._plain:
            return [data]
        try:
            return self._feed(data)
        except zlib.error as error:
            raise BrokenError(f"the answer's compression is broken: {error}") from error

    def _feed(self, data: bytes) -> list[bytes]:
        if self._inflate is None:
            self._head += data
            if len(self._head) < 2:
                return []
            headed = self._head[0] & 0x0F == 8 and int.from_bytes(self._head[:2]) % 31 == 0  # RFC 1950, 2.2
            self._inflate, data = zlib.decompressobj(zlib.MAX_WBITS if headed else -zlib.MAX_WBITS), self._head
        found = []
        while data:
            if self._inflate.eof:  # gzip members may follow each other
                self._inflate = zlib.decompressobj(_GZIP)
            if piece := self._inflate.decompress(data, _PIECE):
                found.append(piece)
            data = self._inflate.unconsumed_tail or self._inflate.unused_data
        return found
