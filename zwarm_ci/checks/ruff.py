"""`ruff check`: its JSON report, written to a file of ours whatever the command prints."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from zwarm_ci.checks.base import MAX_OUTPUT, Finding, Job, Parsed, disagreement, from_findings, last_words, relative
from zwarm_ci.proc import Exit
from zwarm_ci.scrub import decode
from zwarm_ci.task import Check

_OURS = ("--output-format", "--output-file", "-o")


def prepare(job: Job) -> Job:
    """Format and file go through ruff's own variables, so that wrappers pass them on; the command's own give way."""
    report = job.folder / "ruff.json"
    argv = _without_output(job.argv)
    if "check" in argv:  # a project's own `fix = true` would mend the tree instead of reporting on it
        argv += ("--no-fix", "--no-fix-only")
    return replace(job, argv=argv).with_env(
        RUFF_OUTPUT_FORMAT="json", RUFF_OUTPUT_FILE=str(report), RUFF_CACHE_DIR=str(job.folder / "ruff-cache")
    )


def _without_output(argv: tuple[str, ...]) -> tuple[str, ...]:
    out: list[str] = []
    skip = False
    for word in argv:
        if skip:
            skip = False
        elif word in _OURS:
            skip = True
        elif not word.startswith(tuple(f"{name}=" for name in _OURS)):
            out.append(word)
    return tuple(out)


def read(job: Job, ended: Exit) -> Parsed:
    """The findings of a run."""
    report = job.folder / "ruff.json"
    if not report.is_file():
        if ended.timed_out:
            return Parsed()
        words = last_words(job.output(ended))
        return Parsed(trouble=f"check: ruff wrote no report, it said: {words} (run `{job.check.run}` by hand)")
    with report.open("rb") as file:
        text = decode(file.read(MAX_OUTPUT))
    return parse(text, check=job.check, code=ended.code, cwd=job.cwd, tree=job.tree)


def parse(text: str, *, check: Check, code: int | None, cwd: Path, tree: Path) -> Parsed:
    """Findings of ruff's JSON report."""
    try:
        entries = json.loads(text)
        findings = [_finding(entry, cwd, tree) for entry in entries]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return Parsed(trouble=f'runner: ruff\'s report cannot be read: {type(error).__name__} (use `kind = "generic"`)')
    return disagreement(check, code, from_findings(check, findings))


def _finding(entry: dict[str, Any], cwd: Path, tree: Path) -> Finding:
    path = relative(str(entry["filename"]), cwd=cwd, tree=tree)
    line = int(entry["location"]["row"])
    rule = str(entry["code"] or "invalid-syntax")  # syntax errors had code null until ruff 0.12
    message = str(entry["message"])
    fix = entry.get("fix") or {}
    detail = f"{path}:{line}: {rule} {message}" + (f"\nhelp: {fix['message']}" if fix.get("message") else "")
    return Finding(path, line, rule, message, detail, fix.get("applicability") == "safe")
