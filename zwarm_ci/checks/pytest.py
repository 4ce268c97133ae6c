"""Pytest: results per id from a probe inside the run, cross-checked with its JUnit report, its exit code and a canary."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from zwarm_ci.checks import runners, several, tox
from zwarm_ci.checks.base import PROBE, Job, Parsed
from zwarm_ci.checks.events import fold
from zwarm_ci.checks.junit_xml import MAX_XML
from zwarm_ci.checks.prefix import OF_THE_RUN
from zwarm_ci.checks.pytest_result import Witnesses, parse
from zwarm_ci.proc import Exit

__all__ = ["Witnesses", "orders", "parse", "prepare", "read", "read_without_junit"]
_EVENTS = "probe.jsonl"
_XML = "pytest.xml"


def prepare(job: Job) -> Job:
    """Load the probe through PYTEST_ADDOPTS, so that it comes along with `uv run pytest`, `make test` and the like."""
    if tox.tool_of(job.argv):
        job = tox.let_through(tox.prepare(job))
    return orders(job).with_env(
        PYTEST_ADDOPTS=" ".join(
            [
                "-p zwarm_ci_probe",
                shlex.quote("-ocache_dir=" + str(job.folder / "cache")),
                job.env.get("PYTEST_ADDOPTS", ""),
            ]
        ).strip()
    )


def orders(job: Job) -> Job:
    """Write the probe's orders and put its folder on PYTHONPATH; what it restores is what the tests see."""
    asked = None if not job.only or any(i.endswith(OF_THE_RUN) for i in job.only) else list(job.only)
    targets = list(job.watch.targets)
    data = {
        "quiet": _goes_on(job),
        "copies": tox.is_session(job),
        "out": str(job.folder / _EVENTS),
        "xml": str(job.folder / _XML),
        "tree": str(job.tree),
        "top": str(job.top),
        "key": _key(job),
        "again": "at once" if tox.is_session(job) else "" if _is_direct(job) else "later",
        "canary": canary_name(job) if job.canary else "",
        "mark": _mark(job),
        "doom": job.watch.doom,
        "targets": targets,
        "files": _digests(job, [*targets, *(asked or ())]),
        "lines": list(job.watch.lines),
        "only": asked,
        "restore": {name: job.env.get(name) for name in ("PYTHONPATH", "PYTEST_ADDOPTS")},
    }
    file = job.folder / "orders.json"
    file.write_text(json.dumps(data), encoding="utf-8")
    path = [str(PROBE), *filter(None, [job.env.get("PYTHONPATH")])]
    return job.with_env(ZWARM_CI_PROBE=str(file), PYTHONPATH=os.pathsep.join(path))


def _goes_on(job: Job) -> bool:
    """Whether more may follow in the same command, which the canary must not keep from being run."""
    return tox.is_session(job) or runners.is_script(job)


def canary_name(job: Job) -> str:
    """The canary's module name, which no tree can guess."""
    return f"zwarm_ci_canary_{job.secret[:16]}"


def _mark(job: Job) -> str:
    """What the names of doomed copies have in them, and no other test's has."""
    return job.secret[16:24]


def _key(job: Job) -> str:
    return job.secret[24:]


def _is_direct(job: Job) -> bool:
    """Whether the command itself is the one process that runs the tests."""
    name = Path(job.argv[0]).name
    return name.startswith(("python", "pytest", "py.test")) and not runners.is_script(job)


def _digests(job: Job, ids: Sequence[str]) -> dict[str, str]:
    """What the files of these ids hold now, before anything of the tree has run."""
    made = {}
    for name in dict.fromkeys(i.partition("::")[0] for i in ids):
        file = job.tree / name
        if name.endswith(".py") and file.is_file() and file.resolve().is_relative_to(job.tree):
            made[name] = hashlib.sha256(file.read_bytes()).hexdigest()
    return made


def witnesses(job: Job, ended: Exit, events: bytes) -> Witnesses:
    """What a run left behind, beside the probe's lines."""
    report = _report_of(job, events)
    junit = None
    if report is not None:
        with report.open("rb") as stream:
            junit = stream.read(MAX_XML + 1)
    canary = canary_name(job) if job.canary else ""
    python = job.check.run.split()[0] if tox.is_session(job) else job.argv[0]
    return Witnesses(
        events, junit, job.output(ended), ended.code, ended.timed_out, ended.seconds, canary, job.only, python,
        quiet=_goes_on(job), key=_key(job), mark=_mark(job), doomed=bool(job.watch.targets),
    )  # fmt: skip


def _report_of(job: Job, events: bytes) -> Path | None:
    finish = fold(events, _key(job)).finish or {}
    report = job.cwd / str(finish["xml"]) if finish.get("xml") else None
    return report if report is not None and report.is_file() else None


def _events(job: Job) -> bytes:
    file = job.folder / _EVENTS
    return file.read_bytes() if file.is_file() else b""


def read_without_junit(job: Job, ended: Exit) -> Parsed:
    """The result of our unittest runner, which speaks as the probe does and writes no JUnit report."""
    return parse(
        replace(witnesses(job, ended, _events(job)), writes_junit=False), check=job.check, cwd=job.cwd, tree=job.tree
    )


def read(job: Job, ended: Exit) -> Parsed:
    """The result of a run."""
    whole = witnesses(job, ended, _events(job))
    if not tox.is_session(job):
        return parse(whole, check=job.check, cwd=job.cwd, tree=job.tree)
    events = several.split(whole.events)
    reports = [_report_of(job, part) for part in events]
    parts = [  # where two sessions write one report, the last has overwritten it
        replace(witnesses(job, ended, part), writes_junit=report not in reports[number + 1 :])
        for number, (part, report) in enumerate(zip(events, reports, strict=True))
    ]
    return several.together(parts, whole, check=job.check, cwd=job.cwd, tree=job.tree)
