"""What a finished job says: its outputs, and the summary with the one line that takes the patch. Pure functions of the record."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from zwarm_ci.github import bundle
from zwarm_ci.reports import jsonreport, markdown
from zwarm_ci.scrub import decode, fenced
from zwarm_ci.scrub import markdown as safe
from zwarm_ci.verdict import Outcome

PATCH = "zwarm-ci.patch"
FOLDER = "zwarm-ci"  # where the one line puts the artifact


def record(folder: Path) -> Outcome | None:
    """The outcome that a run left in a folder; None = there was no run."""
    file = folder / "outcome.json"
    if not file.is_file():
        return None
    return jsonreport.outcome_of(jsonreport.from_json(decode(file.read_bytes())))


def outputs(outcome: Outcome, folder: Path, artifact: str) -> dict[str, str]:
    """The step's outputs for a run."""
    fixed = sum(t.status == "fixed" for t in outcome.tasks)
    judged = outcome.command == "verify" and outcome.exit_code == 0
    return {
        "status": outcome.status,
        "verified": str(bool(outcome.branch) or judged).lower(),
        "fixed": str(fixed),
        "remaining": str(sum(not t.solved for t in outcome.tasks)),
        "branch": outcome.branch or "",
        "commit": outcome.head or "",
        "patch": _path(folder / PATCH),
        "junit": _path(folder / "junit.xml"),
        "summary": _path(folder / "summary.md"),
        "outcome": _path(folder / "outcome.json"),
        "total_cost_usd": f"{max(0.0, outcome.cost_usd):.6f}",
        "input_tokens": str(outcome.usage.input_tokens),
        "output_tokens": str(outcome.usage.output_tokens),
        "cache_read_tokens": str(outcome.usage.cache_read_tokens),
        "cache_write_tokens": str(outcome.usage.cache_write_tokens),
        "folder": str(folder),
        "artifact": artifact,
    }


def _path(file: Path) -> str:
    return str(file) if file.is_file() else ""


def text(outcome: Outcome, folder: Path, artifact: str, said: tuple[str, ...]) -> str:
    """The step's summary of a run: what was decided, how to take the patch, then the report."""
    shown = markdown.render(replace(outcome, branch=None))  # `zwarm-ci take` is for the machine that ran; it is gone
    return "".join((heading(said), _take(outcome, folder, artifact), shown))


def heading(said: tuple[str, ...]) -> str:
    """What the Action itself has to say."""
    return "## zwarm-ci\n\n" + "".join(f"{safe(line)}\n\n" for line in said)


def _take(outcome: Outcome, folder: Path, artifact: str) -> str:
    if not (outcome.branch and (folder / PATCH).is_file()):
        return ""
    if not artifact:
        return f"The verified patch is in this job's folder only (`publish: none`): {safe(str(folder / PATCH))}\n\n"
    line = take_line(artifact, os.environ)
    also = f"git fetch {FOLDER}/{bundle.NAME} {shlex.quote(outcome.branch)}:{shlex.quote(outcome.branch)}"
    same = f"The same commits, byte for byte, where you have {safe(outcome.base[:12])}:\n\n{fenced(also, 'sh')}\n"
    return f"Take the patch, in a clone of the repository:\n\n{fenced(line, 'sh')}\n{same if (folder / bundle.NAME).is_file() else ''}"


def take_line(artifact: str, environ: Mapping[str, str]) -> str:
    """The one line that puts the verified commits on the current branch, with nothing but gh and git."""
    run, repo = environ.get("GITHUB_RUN_ID", ""), environ.get("GITHUB_REPOSITORY", "")
    number = f" {run}" if re.fullmatch(r"\d+", run) else ""
    where = f" -R {shlex.quote(repo)}" if repo else ""
    return f"gh run download{number}{where} -n {artifact} -D {FOLDER} && git am -3 {FOLDER}/{PATCH}"
