"""How often a failure was tried, per fingerprint and day, so that no loop of repairs forms.

A file of JSON lines in the state folder, appended to under a lock before an attempt begins. A line that is torn or not ours counts
for nothing and takes no other with it. Where the folder does not outlive the machine, the pull requests on the forge are the ledger.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from zwarm_ci.errors import BlockedError
from zwarm_ci.files import locked, write_atomic
from zwarm_ci.github import marker
from zwarm_ci.github.trust import BRANCH_PREFIX
from zwarm_ci.github.words import line

SCHEMA = 1  # 1: first form; `fingerprint`, `day` (ISO), `run`
NAME = "attempts.jsonl"
_MOST_BYTES = 1_000_000  # a larger file is written anew with the days that still count
_KEPT = timedelta(days=31)
_NAMED = 200  # characters of a fingerprint or run
_LONGEST = 4096  # bytes of a line; ours are far below


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt: which failure, when, in which run."""

    fingerprint: str
    day: date
    run: str = ""


@dataclass(frozen=True, slots=True)
class Attempts:
    """The ledger of one state folder. Days are UTC; `limit_per_day` 0 = none may be made."""

    path: Path

    def allowed(self, fingerprint: str, today: date, limit_per_day: int) -> tuple[bool, str]:
        """Whether one more may be made, and the line that says why (not).

        Raises:
            BlockedError: the file cannot be read.
        """
        with self._alone():
            return _judge(self._read(), fingerprint, today, limit_per_day)

    def record(self, fingerprint: str, today: date, run: str = "") -> None:
        """Write down that an attempt begins; on disk when this returns.

        Raises:
            BlockedError: the file cannot be written; the attempt must not begin.
        """
        with self._alone():
            self._append(Attempt(fingerprint, today, run))

    def claim(self, fingerprint: str, today: date, limit_per_day: int, run: str = "") -> tuple[bool, str]:
        """`allowed` and `record` in one: of two that ask at once for the last attempt, one gets it."""
        with self._alone():
            may, why = _judge(self._read(), fingerprint, today, limit_per_day)
            if may:
                self._append(Attempt(fingerprint, today, run))
            return may, why

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            with locked(self.path.with_name(f".{self.path.name}.lock")):
                yield
        except OSError as error:
            said = f"{self.path}: {error.strerror or error}"
            raise BlockedError(said, remedy="make it a file that can be read and written") from error

    def _read(self) -> list[Attempt]:
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return []
        return [attempt for entry in raw.split(b"\n") if (attempt := _attempt(entry))]

    def _append(self, attempt: Attempt) -> None:
        known = self.path.read_bytes() if self.path.exists() else b""
        if len(known) > _MOST_BYTES:
            recent = [a for a in self._read() if a.day >= attempt.day - _KEPT]
            known = b"".join(map(_line, recent))
        elif known and not known.endswith(b"\n"):
            known += b"\n"  # the writer of the last line died in it
        write_atomic(self.path, known + _line(attempt))


def _judge(made: Iterable[Attempt], fingerprint: str, today: date, limit: int) -> tuple[bool, str]:
    """Days to come count as today: a clock that was put back gives no new attempts."""
    days = [a.day for a in made if a.fingerprint == fingerprint[:_NAMED] and a.day >= today]
    ahead = f" ({len(days) - days.count(today)} dated later: was the clock wrong?)" if set(days) - {today} else ""
    said = f"{line(fingerprint, 40)} was tried {len(days)} of {limit} times today{ahead}"
    return (True, said) if len(days) < limit else (False, f"{said}: look at it yourself, or wait for tomorrow (UTC)")


def _line(attempt: Attempt) -> bytes:
    document = {"schema": SCHEMA, "fingerprint": attempt.fingerprint[:_NAMED], "day": attempt.day.isoformat()}
    return (json.dumps(document | {"run": attempt.run[:_NAMED]}) + "\n").encode()


def _attempt(entry: bytes) -> Attempt | None:
    if not entry.strip() or len(entry) > _LONGEST:
        return None
    try:
        data = json.loads(entry)
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            return None
        fingerprint, day, run = data["fingerprint"], date.fromisoformat(data["day"]), data.get("run", "")
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return Attempt(fingerprint, day, run) if isinstance(fingerprint, str) and isinstance(run, str) else None


def answered(pulls: Iterable[Mapping[str, Any]], branch: str, today: date) -> tuple[bool, str]:
    """What the forge says of a failure whose pull requests have the branch `branch`: whether one more attempt may be made, and why.

    `pulls` are pull requests as the API gives them, open and closed. One that is open answers the failure; one that somebody closed
    without a merge says no for that day (UTC); what was merged and is red again is new.
    """
    for pull in pulls:
        if not _is_ours(pull, branch):
            continue
        number = pull.get("number")
        if pull.get("state") == "open":
            return False, f"pull request #{number} repairs it already: merge it, or close it to have another"
        if not pull.get("merged_at") and _day(pull.get("closed_at")) >= today:
            return (
                False,
                f"pull request #{number} was closed today without a merge; the next attempt is tomorrow's (UTC)",
            )
    return True, "no pull request answers it"


def spoken_for(pulls: Iterable[Mapping[str, Any]], today: date) -> dict[str, str]:
    """Fingerprints of the tasks that pull requests of ours answer today, each with the line that says how."""
    found: dict[str, str] = {}
    for pull in pulls:
        head = pull.get("head")
        ref = str(head.get("ref")) if isinstance(head, Mapping) else ""
        mark = marker.find(str(pull.get("body"))) if ref.startswith(BRANCH_PREFIX) else None
        may, why = answered([pull], ref, today)
        if mark and not may:
            found |= {task: found.get(task, why) for task in mark.tasks}
    return found


def _is_ours(pull: Mapping[str, Any], branch: str) -> bool:
    """Whether the branch is the repository's own; a fork's of that name is somebody's else."""
    head, base = pull.get("head"), pull.get("base")
    if not isinstance(head, Mapping) or not isinstance(base, Mapping) or head.get("ref") != branch:
        return False
    from_, to = head.get("repo"), base.get("repo")
    return isinstance(from_, Mapping) and isinstance(to, Mapping) and from_.get("id") == to.get("id") is not None


def _day(text: object) -> date:
    """The day of a time of the API; what is no time counts as long ago."""
    try:
        return date.fromisoformat(str(text)[:10])
    except ValueError:
        return date.min
