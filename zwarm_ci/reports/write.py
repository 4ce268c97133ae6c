"""All reports of a run into a folder, each file whole or not at all."""

from __future__ import annotations

from pathlib import Path

from zwarm_ci.files import write_atomic
from zwarm_ci.reports import html, jsonreport, junit, markdown
from zwarm_ci.reports.base import Report, cleaned
from zwarm_ci.verdict import Outcome

#: Every report that is a file; outcome.json last, so that where it is, the others are.
REPORTS: dict[str, Report] = {r.name: r for r in (junit, markdown, html, jsonreport)}


def write_all(outcome: Outcome, folder: Path) -> list[Path]:
    """Write every report into `folder` (made where missing) and return their paths.

    Raises:
        OSError: the folder cannot be written.
    """
    outcome = cleaned(outcome)
    written = []
    for report in REPORTS.values():
        path = folder / report.filename
        write_atomic(path, report.render(outcome))
        written.append(path)
    return written
