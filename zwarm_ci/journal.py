"""Append-only record of a run: a JSON object a line, on disk before what it announces begins.

Each line bears a seal, so that a run goes on from nothing but what was written by the same user on this machine: a journal may
have come with a clone. What is too large for a line is a document of its own, named in the line with its digest.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zwarm_ci.files import kept_folder, locked, write_atomic

#: 1: {"schema", "at", "kind", …}; `at` is Unix time in seconds. 2: and "seal", HMAC-SHA256 of the line without it.
SCHEMA = 2
_SIZE = 32  # bytes of a key, those of its digest
_LOOKS = 200


class Journal:
    """The journal at `path`. One writer a run; lines of several threads do not mix.

    With `documents`, a folder, there is room for what does not fit into a line; without it nothing of that is kept, and the run
    cannot go on from here.
    """

    def __init__(self, path: Path, *, key: bytes = b"", documents: Path | None = None) -> None:
        self._path, self._key, self._documents = path, key, documents
        self._lock = threading.Lock()
        self._held = -1

    @property
    def keeps(self) -> bool:
        """Whether documents are kept."""
        return self._documents is not None

    def write(self, kind: str, *, document: Any = None, **fields: Any) -> None:
        """Append one record and have it, with its document, on disk when this returns."""
        if document is not None and self._documents is not None:
            fields["document"] = self.keep(f"{kind}-{secrets.token_hex(4)}.json", json.dumps(document).encode())
        record = {"schema": SCHEMA, "at": round(time.time(), 3), "kind": kind, **fields}
        line = json.dumps({**record, "seal": _seal(self._key, record)} if self._key else record)
        with self._lock, self._path.open("ab") as file:
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def keep(self, name: str, data: bytes) -> list[str]:
        """Keep a document; its name and digest."""
        if self._documents is not None:
            write_atomic(self._documents / name, data)
        return [name, hashlib.sha256(data).hexdigest()]

    def hold(self) -> bool:
        """Say that this process makes the run, until it dies or calls `release`; False = another one does."""
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        if not _locks(handle):
            os.close(handle)
            return False
        self._held = handle
        end = os.lseek(handle, 0, os.SEEK_END)
        if end and os.pread(handle, 1, end - 1) != b"\n":  # a line that a killed process left half
            os.write(handle, b"\n")
        return True

    def release(self) -> None:
        """The run is made by nobody any more."""
        if self._held >= 0:
            os.close(self._held)
            self._held = -1


def _locks(handle: int) -> bool:
    """Take the lock alone. Who just looks (`is_held`) has it for a moment too; for that the processor is given up a few times."""
    for _ in range(_LOOKS):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.sched_yield()
        else:
            return True
    return False


def is_held(path: Path) -> bool:
    """Whether a process makes the run whose journal this is, here or in another container on the same files."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The records in order; a torn or foreign line (a crash, a full disk) is passed over, what follows it is not."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(record, dict) and "kind" in record:
                yield record


def sealed(path: Path, key: bytes) -> Iterator[dict[str, Any]]:
    """The records that bear our seal, in order; none where there is no key."""
    for record in read(path) if key else ():
        seal = record.pop("seal", None)
        if isinstance(seal, str) and hmac.compare_digest(seal.encode(), _seal(key, record).encode()):
            yield record


def document(folder: Path, named: Any) -> bytes:
    """The document that a sealed record names.

    Raises:
        OSError: it cannot be read. ValueError: it is not what was written.
    """
    name, digest = named
    data = (folder / str(name)).read_bytes()
    if hashlib.sha256(data).hexdigest() != digest:
        raise ValueError(f"{name} was changed")
    return data


def key_of(run: str) -> bytes:
    """What a run's journal is sealed with: made of a secret of this user's on this machine; b"" = none can be kept here."""
    file = kept_folder("seals") / "key"
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with locked(file.with_name("lock")):
            if not file.exists():
                write_atomic(file, secrets.token_bytes(_SIZE))
            secret = file.read_bytes()
    except OSError:
        return b""
    return hmac.digest(secret, run.encode(), "sha256") if len(secret) == _SIZE else b""


def _seal(key: bytes, record: dict[str, Any]) -> str:
    return hmac.new(key, json.dumps(record, sort_keys=True).encode(), "sha256").hexdigest()
