"""Variables that a check lists and that are not there, and why they cannot be on a fork."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from zwarm_ci.diagnose import credentials, is_fork
from zwarm_ci.task import Check

CHECK = Check("e2e", "pytest", env=("API_TOKEN", "REGION"))
OURS: dict[str, Any] = {"full_name": "ada/shop", "fork": False}
THEIRS: dict[str, Any] = {"full_name": "bob/shop", "fork": True}


def event(tmp_path: Path, head: object, base: object = OURS, **more: object) -> dict[str, str]:
    file = tmp_path / "event.json"
    file.write_text(json.dumps({"pull_request": {"head": {"repo": head}, "base": {"repo": base}}, **more}))
    return {"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(file), "GITHUB_ACTIONS": "true"}


@pytest.mark.parametrize(
    ("head", "base", "fork"),
    [
        (THEIRS, OURS, True), (OURS, OURS, False), (None, OURS, True), ({"full_name": "bob/shop"}, OURS, True),
        ({**OURS, "fork": True}, {**OURS, "fork": True}, False), (THEIRS, {**THEIRS, "full_name": "eve/shop"}, True), ({}, {}, True), ("x", 1, True),
    ],
)  # fmt: skip
def test_a_pull_request_from_a_fork(tmp_path: Path, head: object, base: object, fork: bool) -> None:
    assert is_fork(event(tmp_path, head, base)) == fork


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"pull_request": 1}', '{"pull_request": {"head": 7}}', "[" * 100_000, "\0\xff"]
)
def test_an_event_that_says_nothing(tmp_path: Path, text: str) -> None:
    file = tmp_path / "event.json"
    file.write_text(text)
    assert not is_fork({"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(file)})


def test_other_events_are_no_forks(tmp_path: Path) -> None:
    environ = event(tmp_path, THEIRS)
    assert is_fork({**environ, "GITHUB_EVENT_NAME": "pull_request_target"})
    assert not is_fork({**environ, "GITHUB_EVENT_NAME": "push"})
    assert not is_fork({**environ, "GITHUB_EVENT_PATH": str(tmp_path / "none")})
    assert not is_fork({})
    assert is_fork({"CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "2", "CI_MERGE_REQUEST_PROJECT_ID": "1"})
    assert not is_fork({"CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "1", "CI_MERGE_REQUEST_PROJECT_ID": "1"})


def test_credentials_that_are_not_there(tmp_path: Path) -> None:
    assert credentials(CHECK, {"API_TOKEN": "x", "REGION": ""}) == ""
    assert credentials(Check("t", "x"), {}) == ""
    assert credentials(CHECK, {"REGION": "x"}) == (
        "credentials: API_TOKEN is not set here (set it where zwarm-ci runs, or take it out of env of [checks.e2e])"
    )
    said = credentials(CHECK, {**event(tmp_path, THEIRS), "API_TOKEN": ""})
    assert said == (
        "credentials: API_TOKEN, REGION are not set here: secrets are not given to pull requests from forks "
        "(run it on a branch of this repository, or take API_TOKEN, REGION out of env of [checks.e2e])"
    )
