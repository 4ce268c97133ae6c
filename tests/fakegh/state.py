"""What the double knows: repositories (real bare ones), tokens, issues, pull requests, comments, jobs, and faults that a test asks for."""

from __future__ import annotations

import re
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ACTIONS = ("github-actions[bot]", 41898282)  # who GITHUB_TOKEN is, on github.com
WRITE = ("contents:write", "pull-requests:write", "issues:write")


@dataclass(frozen=True)
class Token:
    """A token: what it may do. `kind`: actions (a workflow's GITHUB_TOKEN), app, or pat (a classic one, whose scopes the forge tells)."""

    name: str
    value: str
    scopes: frozenset[str]
    kind: str
    login: str
    user: int

    def may(self, scope: str) -> bool:
        area, _, level = scope.partition(":")
        return scope in self.scopes or (level == "read" and f"{area}:write" in self.scopes)


@dataclass(frozen=True)
class Request:
    """One request as it came. `who` is the token's name, "" = none; `sent` is its JSON."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    who: str
    sent: Any
    status: int


@dataclass
class Fault:
    """What a request gets instead of its answer, so often."""

    method: str
    path: re.Pattern[str]
    status: int
    message: str
    headers: dict[str, str]
    times: int
    after: bool  # the request is done first, and only its answer is lost


@dataclass
class Issue:
    """An issue; a pull request is one too."""

    repo: str
    number: int
    title: str
    body: str
    login: str
    user: int
    state: str = "open"
    labels: list[str] = field(default_factory=list)
    association: str = "NONE"
    updated: str = "2026-01-02T03:04:05Z"
    comments: list[dict[str, Any]] = field(default_factory=list)
    pull: dict[str, Any] | None = None  # head, base, draft, reviewers, teams, sha


@dataclass
class State:
    """All of it; one lock around every answer."""

    root: Path
    lock: threading.RLock = field(default_factory=threading.RLock)
    tokens: dict[str, Token] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    heard: threading.Event = field(default_factory=threading.Event)  # set by every request
    problems: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    issues: dict[tuple[str, int], Issue] = field(default_factory=dict)
    permissions: dict[tuple[str, str], str] = field(default_factory=dict)
    protected: set[tuple[str, str]] = field(default_factory=set)
    jobs: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    logs: dict[int, str] = field(default_factory=dict)
    check_runs: list[dict[str, Any]] = field(default_factory=list)
    pulls_by_actions: bool = True
    drafts: bool = True
    longest_body: int = 65_536
    reviewable: set[str] | None = None  # logins that can be asked for a review; None = all

    def git(self, repo: str, *args: str) -> str | None:
        """Standard output of a git command in a bare repository; None where git says no."""
        done = subprocess.run(
            ["git", "--git-dir", str(self.root / f"{repo}.git"), *args], capture_output=True, text=True, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else None

    def tip(self, repo: str, branch: str) -> str | None:
        return self.git(repo, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}")

    def next_number(self, repo: str) -> int:
        return 1 + max((number for owner, number in self.issues if owner == repo), default=0)
