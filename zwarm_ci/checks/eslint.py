"""ESLint: its JSON report, written to a file of ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from zwarm_ci.checks import node
from zwarm_ci.checks.base import MAX_OUTPUT, Finding, Job, Parsed, disagreement, from_findings, last_words, relative
from zwarm_ci.proc import Exit
from zwarm_ci.scrub import decode
from zwarm_ci.task import Check

_ERROR, _WARNING = 2, 1


def prepare(job: Job) -> Job:
    """The last format and file named on the command line are the ones that count."""
    words = ("--format", "json", "--output-file", str(job.folder / "eslint.json"))
    return node.watched(replace(job, argv=(*job.argv, *words)))


def read(job: Job, ended: Exit) -> Parsed:
    """The result of a run."""
    report = job.folder / "eslint.json"
    if not report.is_file():
        words = last_words(job.output(ended))
        trouble = f"check: eslint wrote no report, it said: {words} (run `{job.check.run}` by hand)"
        return Parsed(trouble="" if ended.timed_out else trouble)
    with report.open("rb") as file:
        text = decode(file.read(MAX_OUTPUT))
    parsed = parse(text, check=job.check, code=ended.code, cwd=job.cwd, tree=job.tree)
    return replace(parsed, foreign=node.foreign(job))


def parse(text: str, *, check: Check, code: int | None, cwd: Path, tree: Path) -> Parsed:
    """Errors as findings, and warnings where they alone made the run red (`--max-warnings`)."""
    try:
        entries = json.loads(text)
        errors = [f for entry in entries for f in _findings(entry, _ERROR, cwd, tree)]
        warnings = [f for entry in entries for f in _findings(entry, _WARNING, cwd, tree)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return Parsed(
            trouble=f'runner: eslint\'s report cannot be read: {type(error).__name__} (use `kind = "generic"`)'
        )
    found = errors if errors or code != 1 else warnings
    return disagreement(check, code, from_findings(check, found))


def _findings(entry: dict[str, Any], severity: int, cwd: Path, tree: Path) -> Iterator[Finding]:
    path = relative(str(entry["filePath"]), cwd=cwd, tree=tree)
    for said in entry["messages"]:
        if said["severity"] == severity:
            rule, line = str(said.get("ruleId") or "syntax"), int(said.get("line") or 0)
            message = str(said["message"])
            yield Finding(path, line, rule, message, f"{path}:{line}: {rule} {message}", bool(said.get("fix")))
