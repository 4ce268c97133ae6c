"""Answers that the sessions of a run share: what a check said of a tree, kept by tree, check and ids in the run's scratch folder.

Several processes ask at once; whoever comes second waits for the first one's run instead of making its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zwarm_ci.files import write_atomic
from zwarm_ci.task import failure_of
from zwarm_ci.verdict import CheckResult


@dataclass(frozen=True, slots=True)
class Archive:
    """The answers in `folder`."""

    folder: Path

    @contextlib.contextmanager
    def alone(self, tree: str, check: str, only: Sequence[str]) -> Iterator[None]:
        """Nobody else makes the same run meanwhile; the kernel lets go of the lock if its holder is killed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._path(tree, check, only).with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def get(self, tree: str, check: str, only: Sequence[str]) -> CheckResult | None:
        """What was said, if it was ever asked."""
        path = self._path(tree, check, only)
        return _result(json.loads(path.read_bytes())) if path.exists() else None

    def put(self, tree: str, only: Sequence[str], result: CheckResult) -> None:
        """Keep an answer."""
        write_atomic(self._path(tree, result.name, only), json.dumps(asdict(result)))

    def _path(self, tree: str, check: str, only: Sequence[str]) -> Path:
        digest = hashlib.sha256("\0".join((check, *only)).encode("utf-8", "surrogatepass")).hexdigest()[:24]
        return self.folder / f"{tree}-{digest}.json"


def _result(data: dict[str, Any]) -> CheckResult:
    lists = {name: tuple(value) for name, value in data.items() if isinstance(value, list) and name != "failures"}
    return CheckResult(**{**data, **lists, "failures": tuple(failure_of(f) for f in data["failures"])})
