"""Takes a secret out of bytes that pass, whatever pieces they come in; holds back only what may be its beginning. Pure."""

from __future__ import annotations

from zwarm_ci.scrub import MASK

_MASK = MASK.encode()


class Masker:
    """Of one stream. A secret of "" leaves everything as it is."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What may go on now."""
        if not self._secret:
            return data
        data = (self._held + data).replace(self._secret, _MASK)
        most = min(len(data), len(self._secret) - 1)
        keep = next((n for n in range(most, 0, -1) if self._secret.startswith(data[-n:])), 0)
        self._held = data[len(data) - keep :]
        return data[: len(data) - keep]

    def close(self) -> bytes:
        """What was held back and is no secret after all."""
        held, self._held = self._held, b""
        return held

    def whole(self, data: bytes) -> bytes:
        """A whole text."""
        return data.replace(self._secret, _MASK) if self._secret else data

    def text(self, text: str) -> str:
        """The same for a header's value."""
        return text.replace(self._secret.decode(), MASK) if self._secret else text
