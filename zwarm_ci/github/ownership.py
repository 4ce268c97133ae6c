"""Whose is it: which commits of a branch are ours alone, and whether a commit is on another branch. Asked of the forge, not of git."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zwarm_ci.errors import ApiError, RefusedError
from zwarm_ci.github.api import Api, Json
from zwarm_ci.scrub import one_line, redact

_MOST = 100  # commits of a branch of ours that are looked at
_TRAILERS = ("Zwarm-Run", "Zwarm-Task", "Zwarm-Verified")


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch as it is there now; `tip` "" = there is none. `strange`: the first commit on it that is not ours."""

    tip: str = ""
    base: str = ""
    trees: tuple[str, ...] = ()
    strange: str = ""


def branch_of(api: Api, repo: str, branch: str, target: str) -> Branch:
    """What stands at `branch` beyond `target`."""
    tip = api.tip(repo, branch)
    if not tip:
        return Branch()
    found = api.compare(repo, target, tip)
    commits = [c for c in found.get("commits", []) if isinstance(c, dict)]
    base = str((found.get("merge_base_commit") or {}).get("sha", ""))
    trees = tuple(str(_inner(c).get("tree", {}).get("sha", "")) for c in commits)
    above, strange = base, ""
    for commit in commits:
        if not strange and not is_ours(commit, above):
            strange = str(commit.get("sha", ""))
        above = str(commit.get("sha", ""))
    if found.get("total_commits") != len(commits) or len(commits) >= _MOST:
        strange = strange or tip
    return Branch(tip, base, trees, strange)


def is_ours(commit: Json, above: str) -> bool:
    """Whether nobody but us made a commit: our trailers, the parent that it had, never amended or rebased (that changes the committer)."""
    parents = [p.get("sha") for p in commit.get("parents", []) if isinstance(p, dict)]
    inner = _inner(commit)
    rows = str(inner.get("message", "")).rstrip().rpartition("\n\n")[2].splitlines()
    trailers = [r.partition(":")[0] for r in rows if re.match(r"[A-Za-z-]+: \S", r)]
    made = inner.get("author") is not None and inner.get("author") == inner.get("committer")
    return parents == [above] and made and all(trailers.count(key) == 1 for key in _TRAILERS)


def require_ours(branch: Branch, name: str) -> None:
    """Raise where a push would overwrite somebody's commits.

    Raises:
        RefusedError: it would.
    """
    if branch.strange:
        raise RefusedError(
            f"{name} has commits that are not ours ({branch.strange[:12]}); nothing was overwritten",
            remedy="merge or close its pull request and delete the branch, then publish again",
        )


def require_on(api: Api, repo: str, base: str, target: str) -> None:
    """Raise where the commit that was repaired is not on the branch that the pull request is for.

    Raises:
        RefusedError: it is not, or there is no such branch.
    """
    if not is_ancestor(api, repo, base, target):
        raise RefusedError(
            f"the base {base[:12]} is not on {one_line(redact(target), 80)}",
            remedy="name the branch that was repaired: --base BRANCH",
        )


def is_ancestor(api: Api, repo: str, old: str, new: str) -> bool:
    """Whether everything of `old` is in `new`; not, where the forge does not know one of them."""
    try:
        found = api.compare(repo, old, new)
    except ApiError as error:
        if error.status == 404:
            return False
        raise
    merge_base = (found.get("merge_base_commit") or {}).get("sha")
    return found.get("status") in {"ahead", "identical"} and merge_base == (found.get("base_commit") or {}).get("sha")


def is_here(pull: Json, repo: str) -> bool:
    """Whether a pull request's branch is in the repository itself, where only people who may push can put one."""
    ends = [pull.get(side) for side in ("head", "base")]
    return all(
        isinstance(end, dict) and str((end.get("repo") or {}).get("full_name", "")).lower() == repo.lower()
        for end in ends
    )


def _inner(commit: Mapping[str, Any]) -> dict[str, Any]:
    found = commit.get("commit")
    return found if isinstance(found, dict) else {}
