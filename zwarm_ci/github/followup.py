"""A comment on a pull request of ours: which issue it answers, what the pull request changes so far, and what is said on it.

It begins a fresh session, which is told all of that; its patch takes the place of the earlier one.

The pull request's text says which tasks its branch does, and may have been edited; its commits name the issue. Only where both say the
same is it believed, so that nobody is led to another issue.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from zwarm_ci.errors import ZwarmError
from zwarm_ci.github import marker, review
from zwarm_ci.plan import fingerprint_of

_REFS = re.compile(r"^Refs: #(\d{1,12})$", re.MULTILINE)
_MOST = 40_000  # characters of the difference; more of it is nothing that a prompt should hold


class Forge(Protocol):
    """What is asked of the forge; all raise `ApiError`."""

    def comments(self, repo: str, number: int) -> Sequence[Mapping[str, Any]]:
        """The comments of a pull request, oldest first."""

    def pulls(self, repo: str, *, head: str = "", state: str = "open") -> Sequence[Mapping[str, Any]]:
        """Pull requests."""

    def compare(self, repo: str, base: str, head: str) -> Mapping[str, Any]:
        """How two commits stand to each other, with `commits` and `files`."""


def facts_of(repo: str, number: int) -> tuple[str, str, str]:
    """What the fingerprint of an issue's task is of."""
    return ("issue", repo.casefold(), str(number))


def of_pull(forge: Forge, repo: str, said: Mapping[str, Any]) -> tuple[int, dict[str, Any]] | None:
    """The issue that an open pull request of ours answers, and what it has so far; None where it is none of ours.

    `said` is the pull request as an issue.

    Raises:
        ApiError: the forge refused, or cannot be reached.
    """
    mark, number = marker.find(str(said.get("body"))), said.get("number")
    if mark is None or not isinstance(number, int) or said.get("state") != "open":
        return None
    own = forge.pulls(repo, head=review.branch_of(mark.kind, mark.fingerprint))
    head = next((p.get("head") for p in own if p.get("number") == number), None)
    if not isinstance(head, Mapping) or not isinstance(sha := head.get("sha"), str):
        return None
    try:
        compared = forge.compare(repo, mark.base, sha)
    except ZwarmError:  # the base is gone: nothing is known of what the branch has
        return None
    named = {int(n) for text in _messages(compared) for n in _REFS.findall(text)}
    issue = next((n for n in sorted(named) if fingerprint_of(facts_of(repo, n)) in mark.tasks), None)
    if issue is None:
        return None
    return issue, {"number": number, "patch": _difference(compared), "comments": list(forge.comments(repo, number))}


def _messages(compared: Mapping[str, Any]) -> list[str]:
    commits = compared.get("commits")
    inner = [c.get("commit") for c in commits if isinstance(c, Mapping)] if isinstance(commits, list) else []
    return [str(c.get("message")) for c in inner if isinstance(c, Mapping)]


def _difference(compared: Mapping[str, Any]) -> str:
    """The files' differences, one behind the other; those without one (binary, too large) by their names."""
    files = compared.get("files")
    parts = [
        f"--- {f.get('filename')} ({f.get('status')})\n{f.get('patch') or '(not shown)'}\n"
        for f in (files if isinstance(files, list) else [])
        if isinstance(f, Mapping)
    ]
    return "".join(parts)[:_MOST]
