"""What wheels say of their own files: told from it, whether a file that was only linked elsewhere still holds what was installed."""

from __future__ import annotations

import base64
import csv
import hashlib
from collections.abc import Iterable
from pathlib import Path


class Records:
    """The RECORD files of installed packages as they were at first; a RECORD that has changed since vouches for nothing."""

    def __init__(self, folders: Iterable[Path]) -> None:
        found = (record for folder in folders for record in folder.glob("*.dist-info/RECORD"))
        self._digests = {record: _sha256(record) for record in found}
        self._files: dict[str, bytes] | None = None

    def vouch_for(self, path: str) -> bool:
        """Whether the file at `path` holds what its wheel says, or is a RECORD that holds what it did."""
        file = Path(path)
        if file in self._digests:
            return _sha256(file) == self._digests[file]
        if self._files is None:
            self._files = {name: digest for record in self._digests for name, digest in self._read(record)}
        wanted = self._files.get(path)
        return wanted is not None and wanted == _sha256(file)

    def _read(self, record: Path) -> Iterable[tuple[str, bytes]]:
        if _sha256(record) != self._digests[record]:
            return
        with record.open(encoding="utf-8", errors="replace", newline="") as rows:
            for row in csv.reader(rows):
                kind, _, digest = row[1].partition("=") if len(row) > 1 else ("", "", "")
                if kind == "sha256":
                    yield str(record.parents[1] / row[0]), base64.urlsafe_b64decode(digest + "=" * (-len(digest) % 4))


def _sha256(file: Path) -> bytes:
    try:
        return hashlib.sha256(file.read_bytes()).digest()
    except OSError:
        return b""
