"""Secrets that a check lists and that are not there: on a pull request from a fork nobody can give them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zwarm_ci.task import Check

_MOST_BYTES = 4 * 1024 * 1024  # GitHub's own limit is 64 KiB for what it sends; an event file is far below this


def credentials(check: Check, environ: Mapping[str, str]) -> str:
    """Why `check` cannot be believed where variables that it lists are not set; "" = all are.

    In a GitHub workflow an empty one counts as not set: that is what a secret is on a fork.
    """
    in_workflow = environ.get("GITHUB_ACTIONS") == "true"
    missing = [name for name in check.env if not environ.get(name) and (in_workflow or name not in environ)]
    if not missing:
        return ""
    names = ", ".join(missing)
    be = "is" if len(missing) == 1 else "are"
    if is_fork(environ):
        return (
            f"credentials: {names} {be} not set here: secrets are not given to pull requests from forks "
            f"(run it on a branch of this repository, or take {names} out of env of [checks.{check.name}])"
        )
    return f"credentials: {names} {be} not set here (set it where zwarm-ci runs, or take it out of env of [checks.{check.name}])"


def is_fork(environ: Mapping[str, str]) -> bool:
    """Whether this is CI of a pull request from a fork (GitHub's event file, GitLab's variables)."""
    source, target = (
        environ.get(name, "") for name in ("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "CI_MERGE_REQUEST_PROJECT_ID")
    )
    if source and target and source != target:
        return True
    if not environ.get("GITHUB_EVENT_NAME", "").startswith("pull_request"):
        return False
    event = _event(environ.get("GITHUB_EVENT_PATH", ""))
    head = _of(_of(event, "pull_request"), "head")
    theirs = _of(head, "repo")
    ours = _of(_of(_of(event, "pull_request"), "base"), "repo") or _of(event, "repository")
    if theirs.get("fork") is True and not ours.get("fork"):
        return True
    names = [repo.get("full_name") for repo in (theirs, ours)]
    if head and not theirs:
        return True  # the fork was deleted meanwhile
    return all(isinstance(name, str) for name in names) and names[0] != names[1]


def _event(path: str) -> dict[str, Any]:
    try:
        with Path(path).open("rb") as file:
            data = json.loads(file.read(_MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _of(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    return value if isinstance(value, dict) else {}
