"""One event of a stream, whichever the provider."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from zwarm_ci.task import Usage


class Event(NamedTuple):
    """`told` = what it tells of the call's usage so far, None = nothing."""

    type: str
    fields: dict[str, Any]
    told: Usage | None = None

    def text(self, number: int | None) -> bytes:
        """The event as it goes over the wire; `number` in its stream where the provider gives one."""
        numbered = {} if number is None else {"sequence_number": number}
        return f"event: {self.type}\ndata: {json.dumps({'type': self.type, **numbered, **self.fields})}\n\n".encode()
