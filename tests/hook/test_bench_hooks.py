"""bench/hooks.py measures what it says, and judges by it."""

from __future__ import annotations

from pathlib import Path

import pytest

import hooks


def test_every_case_runs_and_what_is_kept_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = hooks.cases(tmp_path, files=30)
    times = hooks.measure(found, 1)
    assert {name: len(values) for name, values in times.items()} == dict.fromkeys(found, 1)
    assert list(found)[-1] == "pre-commit, empty hook"
    kept = tmp_path / "cache" / "zwarm-ci" / "hook"
    assert {entry.name for entry in kept.iterdir()} == {"globs", "green"}
    assert (
        len(list((kept / "green").iterdir())) == 1
    )  # of the content that was checked; the idle one had nothing to check


def test_a_goal_that_is_missed_is_named() -> None:
    times = {
        "python -c pass": [10.0],
        "zwarm-ci --version": [20.0],
        "hook, nothing to do": [30.1],
        "hook, known content": [60.0],
    }
    assert hooks.too_slow(times) == ["hook, nothing to do: 3.01 x, the goal is 3 x"]
