"""Folds the probe's JSON lines (probe/zwarm_ci_probe.py) into what happened to each id."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from zwarm_ci.checks.junit_xml import RANK, State
from zwarm_ci.checks.reduce import reduce_log
from zwarm_ci.scrub import one_line
from zwarm_ci.task import Check, Failure, Place

Event = dict[str, Any]
_STATES: dict[str, State] = {"passed": "passed", "failed": "failed", "skipped": "skipped"}
_BLAMED = 0.5  # under xdist several tests run when time is up; those that ran this share of the longest are to blame


@dataclass(slots=True)
class Fold:
    """What the events said. `outcomes` is in the order in which tests ended; `running` holds when each began."""

    loaded: Event | None = None
    configured: Event | None = None
    session: Event | None = None
    collected: list[str] | None = None
    modules: dict[str, None] = field(default_factory=dict)
    outcomes: dict[str, State] = field(default_factory=dict)
    red: dict[str, Event] = field(default_factory=dict)
    collect_errors: dict[str, Event] = field(default_factory=dict)
    running: dict[str, float] = field(default_factory=dict)
    collecting: str = ""
    stopped: Event | None = None
    internal_error: Event | None = None
    conftest_error: Event | None = None
    finish: Event | None = None
    garbled: int = 0
    forged: int = 0
    copies: dict[str, str] = field(default_factory=dict)
    undoomed: dict[str, None] = field(default_factory=dict)
    altered: dict[str, None] = field(default_factory=dict)
    last: float = 0.0

    def add(self, event: Event) -> None:
        """Take one event in.

        Raises:
            KeyError, TypeError, ValueError: it is none of the probe's.
        """
        kind = event["event"]
        self.last = float(event["at"])
        if kind in ("loaded", "configured", "session", "internal_error", "conftest_error", "finish"):
            setattr(self, kind, event)
            if kind == "finish":  # what one of several said of the runner, none after it takes back
                self.altered.update(dict.fromkeys(str(name) for name in event.get("altered", ())))
        elif kind == "altered":
            self.altered.update(dict.fromkeys(str(name) for name in event["names"]))
        elif kind == "interrupted":
            self.stopped = event
        elif kind == "collected":
            self.collecting = ""
            if self.collected is None:  # each xdist worker says the same
                self.collected = [str(i) for i in event["ids"]]
        elif kind == "planted":  # likewise
            self.copies.update({str(copy): str(target) for copy, target in event["copies"].items()})
            self.undoomed.update(dict.fromkeys(str(i) for i in event["undoomed"]))
        else:
            self._add_test(kind, str(event["id"]), event)

    def _add_test(self, kind: str, test_id: str, event: Event) -> None:
        if kind == "collecting":
            self.collecting = test_id
        elif kind == "module":
            self.collecting = ""
            if event["skipped"]:
                self.outcomes[test_id] = "skipped"
            else:
                self.modules[test_id] = None
        elif kind == "collect_error":
            self.collecting = ""
            self.collect_errors.setdefault(test_id, event)
        elif kind == "start":
            self.running[test_id] = float(event["at"])
        elif kind == "end":
            self.running.pop(test_id, None)
        elif kind == "report":
            self._report(test_id, event)

    def _report(self, test_id: str, event: Event) -> None:
        state = _STATES.get(event["outcome"])
        if state is None:  # "rerun" and the like: the last attempt counts
            return
        before = self.outcomes.get(test_id)
        if before is None or RANK[state] > RANK[before]:
            self.outcomes[test_id] = state
        if state == "failed":
            self.red.setdefault(test_id, event)

    def hanging(self) -> list[str]:
        """The tests (or the module in collection) to blame where time ran out, longest first."""
        if not self.running:
            return [self.collecting] if self.collecting else []
        ages = {test_id: self.last - began for test_id, began in self.running.items()}
        longest = max(ages.values())
        return sorted((i for i, age in ages.items() if age >= _BLAMED * longest), key=lambda i: -ages[i])

    def ids(self, state: State) -> tuple[str, ...]:
        """The ids in one state."""
        return tuple(i for i, found in self.outcomes.items() if found == state)


def fold(data: bytes, key: str = "") -> Fold:
    """Every event of a probe's file; lines cut off by a killed process are counted, not believed.

    With a key, each line must bear its signature and follow the one before it of the same process: none is made up, none is gone.
    """
    made = Fold()
    chains: dict[bytes, tuple[int, bytes]] = {}
    for line in data.split(b"\n"):
        if not line.strip():
            continue
        text, _, mark = line.partition(b"\t")
        if key and not _is_signed(text, mark, key, chains):
            made.forged += 1
            continue
        try:
            made.add(json.loads(text))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            made.garbled += 1
    return made


def _is_signed(text: bytes, mark: bytes, key: str, chains: dict[bytes, tuple[int, bytes]]) -> bool:
    """Whether a line is the next one of its process (probe/zwarm_ci_orders.py, `_writer`): number and key follow from the last."""
    head, _, signature = mark.rpartition(b".")
    process, _, number = head.partition(b".")
    expected, own = chains.get(process, (0, key.encode()))
    signed = hashlib.blake2b(text + b"\t" + head, key=own, digest_size=16).hexdigest().encode()
    if not hmac.compare_digest(signed, signature) or number != b"%d" % expected:
        return False
    chains[process] = (expected + 1, hashlib.blake2b(own, digest_size=32).digest())
    return True


def failure_of(check: Check, test_id: str, event: Event, *, prefix: str = "") -> Failure:
    """The failure that a red event describes."""
    exc = event.get("exc") or {}
    text = str(event.get("text") or "")
    frames = places(exc.get("frames") or ())
    kind = str(exc.get("type") or _shape_of(text))
    said = (
        f"{kind}: {exc['message']}"
        if exc.get("message")
        else (text.strip().split("\n")[0] or kind)
        if not exc
        else kind
    )
    when = event.get("when")
    if when in ("setup", "teardown"):
        prefix = f"at {when}: "
    place = frames[-1] if frames else None
    return Failure(check.name, test_id, one_line(prefix + said), reduce_log(text), place, kind, frames=frames)


def places(frames: Iterable[Any]) -> tuple[Place, ...]:
    """[[path, line], ...] as places."""
    return tuple(Place(str(path), int(line)) for path, line in frames)


def _shape_of(text: str) -> str:
    if text.startswith("[XPASS(strict)]"):
        return "XPASS"
    return "WorkerCrash" if "crashed while running" in text else "Failed"
