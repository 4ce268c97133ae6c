"""How tasks are spread over jobs, what each may spend, and the matrix that starts them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import ROUND_DOWN, Decimal
from typing import Any

from zwarm_ci.fanout.sheet import Job, Sheet
from zwarm_ci.purse import Limits
from zwarm_ci.scrub import one_line, plain

MOST_JOBS = 256  # of one matrix of GitHub Actions
_MINUTES_AT_MOST = 360  # of a job on GitHub's own machines
_CENT_OF_A_CENT = Decimal("0.0001")


def packed(seconds: Sequence[float], most: int) -> tuple[tuple[int, ...], ...]:
    """Indices of tasks by job, at most `most` jobs: the longest first, each to the job with least to do.

    Args:
        seconds: what one run of each task's check took.
        most: jobs.
    """
    count = min(most, len(seconds))
    loads, jobs = [0.0] * count, [[] for _ in range(count)]  # type: list[float], list[list[int]]
    for index in sorted(range(len(seconds)), key=lambda i: -seconds[i]):
        least = min(range(count), key=lambda job: (loads[job], len(jobs[job])))
        loads[least] += seconds[index]
        jobs[least].append(index)
    return tuple(sorted(tuple(sorted(job)) for job in jobs))


def share(limits: Limits, today: Decimal, tasks: int) -> Decimal:
    """Dollars that each of `tasks` may spend, so that all of them together keep the limits of the run and of the day.

    `today`: what was spent today before.
    """
    left = [limits.run] if limits.run is not None else []
    left += [max(Decimal(0), limits.day - today)] if limits.day is not None else []
    each = [min(left) / max(1, tasks)] if left else []
    each += [limits.task] if limits.task is not None else []
    return min(each, default=Decimal(0)).quantize(_CENT_OF_A_CENT, ROUND_DOWN)


def minutes(limit: float, suites: float) -> int:
    """Whole minutes after which a job may be ended from outside: its own limit, and time to get ready and to end in good order.

    Args:
        limit: minutes of wall time that the job keeps by itself; 0 = none.
        suites: seconds that one run of all checks takes.
    """
    if not limit:
        return _MINUTES_AT_MOST
    ready = max(5.0, 2 * suites / 60)  # a clone, an environment, and the checks before where they must run again
    return min(_MINUTES_AT_MOST, math.ceil(limit + ready))


def matrix(sheet: Sheet) -> dict[str, Any]:
    """The matrix of a GitHub Actions workflow: `{"include": [{"job": "001", "title": …, "minutes": …}]}`."""
    titles = {t.id: t.title for t in sheet.tasks}
    return {"include": [{"job": j.id, "title": _title(j, titles), "minutes": j.minutes} for j in sheet.jobs]}


def _title(job: Job, titles: Mapping[str, str]) -> str:
    more = f" and {len(job.tasks) - 1} more" if len(job.tasks) > 1 else ""
    return one_line(plain(titles[job.tasks[0]]), 60) + more
