"""A finished run's branch: its verified patches into the working tree, or out of the repository.

Reads commits and trailers with GitPython, behind `_commits`, since its own git processes would follow a hook's GIT_DIR.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zwarm_ci import site as places
from zwarm_ci.errors import BlockedError, UsageError
from zwarm_ci.files import write_atomic
from zwarm_ci.git import Repository, open_repository
from zwarm_ci.github import bundle
from zwarm_ci.private import PrivateRepository
from zwarm_ci.site import find_run


@dataclass(frozen=True, slots=True)
class TakenCommit:
    """One commit of a run's branch: which task it repairs and the digest of its evidence, from its trailers."""

    sha: str
    parent: str
    task: str
    subject: str
    message: str
    verified: str


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run with a branch."""

    id: str
    folder: Path
    branch: str
    base: str
    commits: tuple[TakenCommit, ...]


def _record(folder: Path) -> dict[str, Any]:
    """The run's outcome.json.

    Raises:
        UsageError: there is none that can be read.
    """
    try:
        found = json.loads((folder / "outcome.json").read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(
            f"run {folder.name} has no outcome.json", remedy="it has not ended, or was cut off; run again"
        ) from error
    return found if isinstance(found, dict) else {}


def read_run(user: Repository, folder: Path) -> Run:
    """The run in `folder`, its branch read and held against its evidence.

    Raises:
        UsageError: it left no branch, or the branch is gone or was changed.
    """
    outcome = _record(folder)
    branch, base, head = (str(outcome.get(key) or "") for key in ("branch", "base", "head"))
    if not branch:
        raise UsageError(f"run {folder.name} left no branch", remedy=str(outcome.get("reason", "")))
    tip = user.git.ask("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}")
    if tip != head:
        raise UsageError(
            f"branch {branch} " + ("was changed since the run" if tip else "is gone"),
            remedy="the patches are in " + str(folder),
        )
    commits = _commits(user, base, tip)
    for commit in commits:
        evidence = folder / "evidence" / f"{commit.task}.json"
        if not evidence.is_file() or hashlib.sha256(evidence.read_bytes()).hexdigest() != commit.verified:
            raise UsageError(f"{commit.task}: the evidence is not the one that its commit names", remedy="run again")
    return Run(folder.name, folder, branch, base, commits)


def _commits(user: Repository, base: str, tip: str) -> tuple[TakenCommit, ...]:
    import git

    with git.Repo(user.top) as repo:
        repo.git.update_environment(
            GIT_DIR=str(user.git_dir),
            GIT_WORK_TREE=str(user.top),
            GIT_INDEX_FILE=str(user.git_dir / "index"),
            GIT_OPTIONAL_LOCKS="0",
        )
        found = []
        for commit in repo.iter_commits(f"{base}..{tip}", reverse=True):
            trailers = commit.trailers_dict
            text = commit.message if isinstance(commit.message, str) else commit.message.decode("utf-8", "replace")
            subject = text.partition("\n")[0]
            task, verified = (trailers.get(k, [""])[0] for k in ("Zwarm-Task", "Zwarm-Verified"))
            found.append(TakenCommit(commit.hexsha, commit.parents[0].hexsha, task, subject, text, verified))
    return tuple(found)


def _chosen(run: Run, tasks: Sequence[str]) -> tuple[TakenCommit, ...]:
    known = {c.task for c in run.commits}
    if unknown := [t for t in tasks if t not in known]:
        raise UsageError(f"run {run.id} has no patch for {unknown[0]!r}", remedy="it has: " + ", ".join(sorted(known)))
    return tuple(c for c in run.commits if not tasks or c.task in tasks)


def take(directory: Path, state_dir: str, name: str, tasks: Sequence[str]) -> tuple[str, ...]:
    """Put a run's patches (those of `tasks`, or all) into the working tree, all or nothing; the index stays as it is.

    Returns:
        The subjects of the commits taken.

    Raises:
        UsageError: they do not fit the working tree.
    """
    user = open_repository(directory)
    run = read_run(user, find_run(user.top / state_dir, name))
    commits = _chosen(run, tasks)
    with places.workshop(user) as (_, private):
        before = private.tree_of(private.snapshot("worktree"))
        tree = before
        for commit in commits:
            merged = private.apply(tree, private.patch(commit.parent, commit.sha))
            if merged is None:
                raise UsageError(
                    f"{commit.task} does not fit the working tree as it is now",
                    remedy="commit or undo what you changed there",
                )
            tree = merged
        if patch := private.patch(before, tree):
            user.git.run("apply", "--whitespace=nowarn", "-", stdin=patch)
    return tuple(c.subject for c in commits)


def drop(directory: Path, state_dir: str, name: str, tasks: Sequence[str]) -> str:
    """Delete a run's branch, or take the commits of `tasks` out of it; the run's folder with its reports stays.

    Returns:
        What was done, in a sentence.

    Raises:
        BlockedError: the branch is checked out somewhere.
        UsageError: what would remain no longer fits together.
    """
    user = open_repository(directory)
    run = read_run(user, find_run(user.top / state_dir, name))
    if f"branch refs/heads/{run.branch}" in user.git.text("worktree", "list", "--porcelain").splitlines():
        raise BlockedError(f"{run.branch} is checked out", remedy="switch to another branch first")
    left = [c for c in run.commits if c not in _chosen(run, tasks)]
    ref = f"refs/heads/{run.branch}"
    if not left:
        user.git.run("update-ref", "-d", ref, run.commits[-1].sha)
        (run.folder / bundle.NAME).unlink(missing_ok=True)
        return f"{run.branch} is gone; its patches stay in {run.folder}"
    with places.workshop(user) as (_, private):
        made = _rebuilt(private, run, left)
        private.deliver(made[-1], ref, old=run.commits[-1].sha)
        bundle.write(private, run.base, run.branch, run.folder)
    _record_rebuilt(run, dict(zip((c.task for c in left), made, strict=True)))
    return (
        f"{run.branch} now has {len(left)} commit{'s' * (len(left) != 1)}; each was verified alone, not these together"
    )


def _rebuilt(private: PrivateRepository, run: Run, left: Sequence[TakenCommit]) -> list[str]:
    """The commits of a branch with `left` alone on it, in order."""
    made = [run.base]
    for commit in left:
        tree = private.apply(private.tree_of(made[-1]), private.patch(commit.parent, commit.sha))
        if tree is None:
            raise UsageError(f"{commit.task} needs a patch that would be dropped", remedy="drop it too")
        made.append(private.commit(tree, [made[-1]], commit.message))
    return made[1:]


def _record_rebuilt(run: Run, made: Mapping[str, str]) -> None:
    """Name the new commits in outcome.json; `made` has one per task that is still on the branch, the last one its head."""
    outcome = _record(run.folder)
    tasks = [{**t, "commit": made.get(t["id"])} for t in outcome["tasks"]]
    changed = {**outcome, "head": list(made.values())[-1], "tasks": tasks}
    write_atomic(run.folder / "outcome.json", json.dumps(changed, indent=2, ensure_ascii=False) + "\n")
