"""Payloads as GitHub sends them, cut down to what matters, with much that is not used left in; written by hand."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

SHA = "ec26c3e57ca3a959ca5aad62de7213c562f8c821"
OTHER = "380387fbc80638b734a49e1be1c4dfec1c01b33c"
REPO = {
    "id": 186853002, "node_id": "R_1", "name": "demo", "full_name": "octo/demo", "private": False, "default_branch": "main",
    "owner": {"login": "octo", "id": 1, "type": "Organization"}, "fork": False, "created_at": 1557933565, "topics": [],
}  # fmt: skip
FORK = {**REPO, "id": 999, "full_name": "eve/demo", "fork": True}
ADA = {"login": "ada", "id": 7, "node_id": "U_7", "type": "User", "site_admin": False}
EVE = {"login": "eve", "id": 666, "node_id": "U_666", "type": "User", "site_admin": False}
BOT = {"login": "renovate[bot]", "id": 29139614, "node_id": "B_1", "type": "Bot", "site_admin": False}
ACTIONS = {"login": "github-actions[bot]", "id": 41898282, "node_id": "B_2", "type": "Bot", "site_admin": False}
COMMIT = {"id": SHA, "tree_id": OTHER, "message": "Break it\n\nWith a body.", "timestamp": "2026-01-01T12:00:00Z"}
ISSUE: dict[str, Any] = {
    "id": 444500041, "number": 12, "title": "It is broken", "user": ADA, "labels": [{"id": 1, "name": "bug", "color": "d73a4a"}],
    "state": "open", "locked": False, "comments": 0, "created_at": "2026-01-01T12:00:00Z", "updated_at": "2026-01-01T12:05:00Z",
    "closed_at": None, "author_association": "MEMBER", "body": "Two and two is five.",
}  # fmt: skip
PULL: dict[str, Any] = {
    **ISSUE, "number": 2, "title": "Change it", "draft": False, "merged": False, "mergeable": None,
    "head": {"label": "octo:change", "ref": "change", "sha": SHA, "user": ADA, "repo": REPO},
    "base": {"label": "octo:main", "ref": "main", "sha": OTHER, "user": ADA, "repo": REPO},
}  # fmt: skip
RUN_PULL = {
    "id": 5,
    "number": 2,
    "head": {"ref": "change", "sha": SHA, "repo": {"id": REPO["id"], "name": "demo"}},
    "base": {"ref": "main", "sha": OTHER, "repo": {"id": REPO["id"], "name": "demo"}},
}
RUN: dict[str, Any] = {
    "id": 1589141559, "name": "CI", "head_branch": "change", "head_sha": SHA, "event": "push", "status": "completed",
    "conclusion": "failure", "head_commit": COMMIT, "head_repository": REPO, "repository": REPO, "pull_requests": [RUN_PULL],
    "path": ".github/workflows/ci.yml", "run_attempt": 1,
}  # fmt: skip
SUITE: dict[str, Any] = {
    "id": 118578147, "head_branch": "change", "head_sha": SHA, "status": "completed", "conclusion": "failure", "head_commit": COMMIT,
    "pull_requests": [], "app": {"id": 29310, "name": "Other CI", "owner": ADA}, "before": OTHER, "after": SHA,
}  # fmt: skip
CHECK: dict[str, Any] = {
    "id": 128620228, "name": "lint", "head_sha": SHA, "status": "completed", "conclusion": "failure", "external_id": "",
    "output": {"title": None, "summary": None}, "check_suite": SUITE, "app": {"id": 29310}, "pull_requests": [],
}  # fmt: skip
COMMON: dict[str, Any] = {"repository": REPO, "sender": ADA, "organization": {"login": "octo", "id": 1}}
PAYLOADS: dict[str, dict[str, Any]] = {
    "push": {
        **COMMON, "ref": "refs/heads/change", "before": OTHER, "after": SHA, "created": False, "deleted": False, "base_ref": None,
        "commits": [COMMIT], "head_commit": COMMIT, "pusher": {"name": "ada", "email": "ada@example.org"},
    },
    "pull_request": {**COMMON, "action": "synchronize", "number": 2, "pull_request": PULL},
    "pull_request_target": {**COMMON, "action": "opened", "number": 2, "pull_request": PULL},
    "workflow_run": {**COMMON, "action": "completed", "workflow_run": RUN, "workflow": {"id": 3, "name": "CI"}},
    "check_suite": {**COMMON, "action": "completed", "check_suite": SUITE},
    "check_run": {**COMMON, "action": "completed", "check_run": CHECK},
    "issues": {**COMMON, "action": "labeled", "issue": ISSUE, "label": {"id": 9, "name": "zwarm-ci", "color": "000000"}},
    "issue_comment": {
        **COMMON, "action": "created", "issue": ISSUE,
        "comment": {
            "id": 492700400, "body": "Please.\n\n/zwarm-ci fix\n", "user": ADA, "author_association": "MEMBER",
            "created_at": "2026-01-01T13:00:00Z", "updated_at": "2026-01-01T13:00:00Z",
        },
    },
    "workflow_dispatch": {**COMMON, "inputs": {"mode": "fix-tests"}, "ref": "refs/heads/main", "workflow": "x.yml"},
    "schedule": {"schedule": "0 3 * * *", "repository": REPO, "workflow": ".github/workflows/sweep.yml"},
    "merge_group": {
        **COMMON, "action": "checks_requested",
        "merge_group": {
            "head_sha": SHA, "head_ref": f"refs/heads/gh-readonly-queue/main/pr-2-{OTHER}", "base_sha": OTHER, "base_ref": "refs/heads/main",
            "head_commit": COMMIT,
        },
    },
}  # fmt: skip


def changed(event: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The event's payload with other values at dotted places; a value of `...` takes the place away."""
    document: dict[str, Any] = copy.deepcopy(PAYLOADS[event])
    for place, value in changes.items():
        *above, last = place.split(".")
        node: dict[str, Any] = document
        for name in above:
            node = node[name]
        if value is ...:
            del node[last]
        else:
            node[last] = value
    return document


def payload(event: str, changes: Mapping[str, Any] | None = None) -> bytes:
    """The same as a file of it."""
    return json.dumps(changed(event, changes or {})).encode()
