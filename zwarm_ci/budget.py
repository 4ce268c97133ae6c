"""The ledger of a run's limits: wall time and time spent in checks. Asked before something starts, told after it ended."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from zwarm_ci.errors import LimitError


@dataclass(slots=True)
class Ledger:
    """Limits in minutes; 0 = none. Safe to use from several threads; the clock is monotonic."""

    minutes: float = 0.0
    check_minutes: float = 0.0
    _started: float = field(default_factory=time.monotonic)
    _checks: float = 0.0
    _suite_runs: int = 0
    _granted: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._started

    @property
    def check_seconds(self) -> float:
        """Seconds that checks took, summed over parallel ones."""
        return self._checks

    @property
    def suite_runs(self) -> int:
        """Check processes started so far, an executor's own included."""
        return self._suite_runs

    def figures(self) -> dict[str, float]:
        """What was spent so far, for a run that may have to go on in another process."""
        return {"check_seconds": round(self._checks, 3), "suite_runs": self._suite_runs}

    @classmethod
    def going_on(
        cls, minutes: float, check_minutes: float, *, elapsed: float, check_seconds: float, suite_runs: int
    ) -> Ledger:
        """The ledger of a run that has spent this much before."""
        return cls(minutes, check_minutes, time.monotonic() - elapsed, check_seconds, suite_runs)

    def extend(self, seconds: float) -> None:
        """Grant time to verify together and deliver what was verified alone before the limit was reached."""
        with self._lock:
            self._granted = self.elapsed() + seconds

    def left(self) -> float:
        """Seconds that may still be spent; infinity without limits, never below 0."""
        wall = self.minutes * 60 - self.elapsed() if self.minutes else float("inf")
        checks = self.check_minutes * 60 - self._checks if self.check_minutes else float("inf")
        return max(0.0, min(wall, checks), self._granted - self.elapsed())

    def require(self) -> float:
        """Seconds left.

        Raises:
            LimitError: none are.
        """
        left = self.left()
        if left <= 0:
            which = "minutes" if self.minutes and self.elapsed() >= self.minutes * 60 else "check-minutes"
            limit = self.minutes if which == "minutes" else self.check_minutes
            raise LimitError(
                f"the limit of {limit:g} {which} is reached", remedy=f"raise budget.{which.replace('-', '_')}"
            )
        return left

    def spend(self, seconds: float, *, runs: int = 1) -> None:
        """Book check time and the number of check processes that took it."""
        with self._lock:
            self._checks += max(0.0, seconds)
            self._suite_runs += runs
