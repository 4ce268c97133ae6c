"""mypy: its text output, which all its versions write alike once told to."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from zwarm_ci.checks.base import Finding, Job, Parsed, disagreement, from_findings, relative
from zwarm_ci.proc import Exit
from zwarm_ci.task import Check

_FLAGS = ("--show-error-codes", "--no-error-summary", "--no-pretty", "--no-color-output", "--hide-error-context")
_LINE = re.compile(
    r"^(?P<path>[^:\n]+?)(?::(?P<line>\d+)(?::\d+)*)?: (?P<kind>error|note): (?P<message>.*?)(?:\s+\[(?P<code>[a-z][a-z0-9-]*)\])?$"
)
_RED = (1, 2)  # 2 = an error that ended the analysis, a syntax error for one


def prepare(job: Job) -> Job:
    """Ask for one line an error, with its code; the cache stays out of the tree."""
    return replace(job, argv=(*job.argv, *_FLAGS)).with_env(MYPY_CACHE_DIR=str(job.folder / "mypy-cache"))


def read(job: Job, ended: Exit) -> Parsed:
    """The result of a run."""
    return parse(job.output(ended), check=job.check, code=ended.code, cwd=job.cwd, tree=job.tree)


def parse(text: str, *, check: Check, code: int | None, cwd: Path, tree: Path) -> Parsed:
    """Errors as findings; a note belongs to the error before it."""
    findings: list[Finding] = []
    for line in text.splitlines():
        match = _LINE.match(line)
        if not match:
            continue
        if match["kind"] == "note":
            if findings:
                findings[-1] = replace(findings[-1], detail=f"{findings[-1].detail}\n{line}")
            continue
        path = "" if match["path"] == "mypy" else relative(match["path"], cwd=cwd, tree=tree)
        findings.append(Finding(path, int(match["line"] or 0), match["code"] or "error", match["message"], line))
    return disagreement(check, code, from_findings(check, findings), red=_RED)
