"""tsc, the TypeScript compiler: its plain text output."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from zwarm_ci.checks import node
from zwarm_ci.checks.base import Finding, Job, Parsed, disagreement, from_findings, relative
from zwarm_ci.proc import Exit
from zwarm_ci.task import Check

_LINE = re.compile(r"^(?:(?P<path>.+?)\((?P<line>\d+),\d+\): )?error (?P<code>TS\d+): (?P<message>.*)$")
_RED = (1, 2)  # 1 = errors and nothing written, 2 = errors, and files written all the same


def prepare(job: Job) -> Job:
    """One line an error, without colours or pictures."""
    return node.watched(replace(job, argv=(*job.argv, "--pretty", "false")))


def read(job: Job, ended: Exit) -> Parsed:
    """The result of a run."""
    parsed = parse(job.output(ended), check=job.check, code=ended.code, cwd=job.cwd, tree=job.tree)
    return replace(parsed, foreign=node.foreign(job))


def parse(text: str, *, check: Check, code: int | None, cwd: Path, tree: Path) -> Parsed:
    """Errors as findings; indented lines belong to the error before them."""
    findings: list[Finding] = []
    for line in text.splitlines():
        if match := _LINE.match(line):
            path = relative(match["path"], cwd=cwd, tree=tree) if match["path"] else ""
            findings.append(Finding(path, int(match["line"] or 0), match["code"], match["message"], line))
        elif findings and line.startswith("  "):
            findings[-1] = replace(findings[-1], detail=f"{findings[-1].detail}\n{line}")
    return disagreement(check, code, from_findings(check, findings), red=_RED)
