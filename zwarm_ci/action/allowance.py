"""Whether a failure may be paid for once more: not where an open pull request of ours repairs it, and only so often a day.

Asked before the first paid turn of a task. Rungs that cost nothing are not counted.
"""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Mapping
from pathlib import Path

from zwarm_ci.executors.base import Order
from zwarm_ci.github.attempts import NAME, Attempts
from zwarm_ci.scrub import decode

#: Paid attempts at one failure in a day (UTC): a repair that is merged and red again twice is a person's.
A_DAY = 3


class Allowance:
    """One run's; safe to ask from several threads. `spoken_for`: fingerprint -> the line that says who repairs it."""

    def __init__(self, spoken_for: Mapping[str, str]) -> None:
        self._spoken_for = spoken_for
        self._lock = threading.Lock()
        self._answers: dict[str, str] = {}

    def refused(self, order: Order) -> str:
        """Why the task of a paid turn may not be worked on; "" = it may, and the attempt is written down.

        Raises:
            BlockedError: the ledger cannot be read or written.
        """
        fingerprint = order.task.fingerprint
        if fingerprint in self._spoken_for:
            return self._spoken_for[fingerprint]
        with self._lock:
            if fingerprint not in self._answers:
                today = dt.datetime.now(dt.UTC).date()
                ledger = Attempts(order.folder.parent.parent / NAME)  # the state folder, in which sessions/ID is
                may, why = ledger.claim(fingerprint, today, A_DAY, order.session)
                self._answers[fingerprint] = "" if may else why
            return self._answers[fingerprint]


def read(file: str) -> Allowance:
    """What the first half wrote down; "" = nothing."""
    found = json.loads(decode(Path(file).read_bytes())) if file else {}
    return Allowance({str(key): str(why) for key, why in found.items()})
