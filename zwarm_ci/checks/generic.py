"""Any command: its exit code is the result, under the one id `NAME::exit`, with the tail of what it printed."""

from __future__ import annotations

from zwarm_ci.checks.base import Job, Parsed, last_words
from zwarm_ci.checks.reduce import reduce_log
from zwarm_ci.proc import Exit
from zwarm_ci.task import Check, Failure


def prepare(job: Job) -> Job:
    """Nothing is added."""
    return job


def read(job: Job, ended: Exit) -> Parsed:
    """0 = passed, anything else = failed."""
    return parse(job.output(ended), check=job.check, code=ended.code)


def parse(text: str, *, check: Check, code: int | None) -> Parsed:
    """The result for an output and an exit code (None = ended by the time limit)."""
    test_id = f"{check.name}::exit"
    if code == 0:
        return Parsed(passed=(test_id,))
    how = "timed out" if code is None else f"exit code {code}"
    words = last_words(text)
    failure = Failure(check.name, test_id, f"{how}: {words}" if words else how, reduce_log(text), shape=how)
    return Parsed(failed=(test_id,), failures=(failure,))
