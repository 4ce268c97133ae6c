"""Any command: its exit code is the result, under the one id `NAME::exit`, with the tail of what it printed."""

from __future__ import annotations

from dataclasses import replace

from zwarm_ci.checks import node, tox
from zwarm_ci.checks.base import Job, Parsed, last_words
from zwarm_ci.checks.reduce import reduce_log
from zwarm_ci.proc import Exit
from zwarm_ci.task import Check, Failure


def prepare(job: Job) -> Job:
    """Nothing is added, but that tox and nox make their environments outside the tree, and node's processes are watched."""
    if tox.tool_of(job.argv):
        return tox.prepare(job)
    return node.watched(job) if _may_start_node(job) else job


def _may_start_node(job: Job) -> bool:
    return any((folder / "package.json").is_file() for folder in (job.cwd, job.tree))


def read(job: Job, ended: Exit) -> Parsed:
    """0 = passed, anything else = failed."""
    parsed = parse(job.output(ended), check=job.check, code=ended.code)
    return replace(parsed, foreign=node.foreign(job)) if _may_start_node(job) else parsed


def parse(text: str, *, check: Check, code: int | None) -> Parsed:
    """The result for an output and an exit code (None = ended by the time limit)."""
    test_id = f"{check.name}::exit"
    if code == 0:
        return Parsed(passed=(test_id,))
    how = "timed out" if code is None else f"exit code {code}"
    words = last_words(text)
    failure = Failure(check.name, test_id, f"{how}: {words}" if words else how, reduce_log(text), shape=how)
    return Parsed(failed=(test_id,), failures=(failure,))
