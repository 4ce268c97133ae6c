"""Append-only record of a run: a JSON object a line, on disk before what it announces begins."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SCHEMA = 1  # 1: {"schema", "at", "kind", …}; `at` is Unix time in seconds


class Journal:
    """The journal at `path`. One writer a run; lines of several threads do not mix."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def write(self, kind: str, **fields: Any) -> None:
        """Append one record and have it on disk when this returns."""
        line = json.dumps({"schema": SCHEMA, "at": round(time.time(), 3), "kind": kind, **fields}, ensure_ascii=True)
        with self._lock, self._path.open("ab") as file:
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The records in order; a torn or foreign line (a crash, a full disk) is passed over, what follows it is not."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict) and "kind" in record:
                yield record
