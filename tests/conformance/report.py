"""What every report owes its reader; a new report's test module calls `check` for each case and is done."""

from __future__ import annotations

import re

import pytest

from tests import outcomes
from zwarm_ci.reports import jsonreport
from zwarm_ci.reports.base import Report

CASES = (*outcomes.OUTCOMES, "hostile", "huge")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\ud800-\udfff\ufeff\ufffe\uffff]")
_MOST = {
    "outcome.json": 16,
    "junit.xml": 16,
    "report.html": 10,
    "summary.md": 0.9,
    "terminal.txt": 0.1,
}  # MB, of `huge`


def check(report: Report, case: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Hold one report against one outcome and return its text."""
    monkeypatch.setenv("SERVICE_PASSWORD", outcomes.CANARIES[-1])
    made = {"hostile": outcomes.hostile, "huge": outcomes.huge}.get(case, lambda: outcomes.OUTCOMES[case])
    text = report.render(made())
    assert text.endswith("\n")
    text.encode("utf-8")
    assert not _CONTROLS.search(text)
    assert not [c for c in outcomes.CANARIES if c in text or c.replace("_", r"\_") in text]
    assert len(text.encode()) <= _MOST[report.filename] * 1_000_000
    if case != "huge":
        assert report.render(made()) == text
    record = jsonreport.from_json(jsonreport.to_json(made()))
    assert report.render(jsonreport.outcome_of(record)) == text, "not a function of outcome.json"
    return text
