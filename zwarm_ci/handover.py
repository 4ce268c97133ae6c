"""What a run hands over: patch and evidence files, one commit per task on one new branch, the verified patch in the working tree."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace

from zwarm_ci.errors import BlockedError
from zwarm_ci.files import write_atomic
from zwarm_ci.git import Repository
from zwarm_ci.integrate import Union
from zwarm_ci.past import Past
from zwarm_ci.private import PrivateRepository
from zwarm_ci.scrub import one_line, redact
from zwarm_ci.site import Site
from zwarm_ci.task import Origin
from zwarm_ci.verdict import TaskOutcome
from zwarm_ci.verify.evidence import digest


def write_files(site: Site, union: Union, outcomes: Sequence[TaskOutcome]) -> tuple[TaskOutcome, ...]:
    """patches/TASK.patch and evidence/TASK.json of every task with an accepted patch; the outcomes that name them.

    A draft, which lacks its proof, is kept as a patch alone: it is on no branch.
    """
    base = site.private.tree_of(union.court.base)
    written = []
    for solved, given in zip(union.done, outcomes, strict=True):
        outcome = given
        if solved.tree and outcome.status in {"fixed", "conflict"}:
            patch, evidence = f"patches/{outcome.task.id}.patch", f"evidence/{outcome.task.id}.json"
            write_atomic(site.folder / patch, site.private.patch(base, solved.tree))
            write_atomic(site.folder / evidence, solved.evidence)
            outcome = replace(outcome, patch=patch, evidence=evidence)
        elif solved.draft and not outcome.solved:
            patch = f"patches/{outcome.task.id}.patch"
            write_atomic(site.folder / patch, site.private.patch(base, solved.draft))
            outcome = replace(outcome, patch=patch, reason=f"{outcome.reason}; the patch is kept as a draft: {patch}")
        written.append(outcome)
    return tuple(written)


def drafts(site: Site, outcomes: Sequence[TaskOutcome]) -> tuple[str, ...]:
    """A line for each draft that says how to look at it in the checkout."""
    top = site.user.top
    folder = site.folder.relative_to(top) if site.folder.is_relative_to(top) else site.folder
    kept = (o.patch for o in outcomes if o.patch and o.status not in {"fixed", "conflict"})
    return tuple(f"draft, not verified: git apply {shlex.quote(str(folder / patch))}" for patch in kept)


def commit_all(site: Site, union: Union, outcomes: Sequence[TaskOutcome]) -> tuple[str, tuple[TaskOutcome, ...]]:
    """One commit per merged patch, in order, on the base: the last commit, and the outcomes that name theirs."""
    head, named = union.court.base, list(outcomes)
    for index, tree in union.steps:
        outcome = named[index]
        head = site.private.commit(tree, [head], message(site.run, outcome, union.done[index].evidence))
        named[index] = replace(outcome, commit=head)
    return head, tuple(named)


def message(run: str, outcome: TaskOutcome, evidence: str) -> str:
    """A commit's subject, body and trailers."""
    last = outcome.attempts[-1]
    trailers = {
        **(
            {"Refs": outcome.task.refs} if outcome.task.refs else {}
        ),  # no `Fixes`: whether an issue is done is a person's word
        "Zwarm-Run": run,
        "Zwarm-Task": outcome.task.id,
        "Zwarm-Method": outcome.method or "model",
        "Zwarm-Executor": last.executor + (f":{last.model}" if last.model else ""),
        "Zwarm-Cost-USD": f"{outcome.cost_usd:.2f}",
        "Zwarm-Verified": digest(evidence),
    }
    ids = "\n".join(f"- {one_line(redact(t))}" for t in outcome.task.targets[:20])
    more = f"\n- and {len(outcome.task.targets) - 20} more" if len(outcome.task.targets) > 20 else ""
    # Of a report by anybody no word goes in here, nor what a model that read it said: forges act on `closes #1` and `@name`.
    body = one_line(redact(last.reason if outcome.task.quoted else outcome.reason), 500)
    body += f"\n\nGreen in a clean worktree with the tests of the base:\n{ids}{more}" if ids else ""
    return f"{subject(outcome)}\n\n{body}\n\n" + "".join(f"{k}: {v}\n" for k, v in trailers.items())


def subject(outcome: TaskOutcome) -> str:
    """A commit's first line; the same for the same repair, whatever the run."""
    title = redact(outcome.task.title)
    if outcome.method == "revert" and outcome.origin:
        return one_line(f"revert of {outcome.origin.revert[:12]} {_places(outcome.origin)}", 100)
    if outcome.method == "template":
        return one_line(f"plausible edit for {title}", 100)
    return one_line(f"fix {title}", 100)


def _places(origin: Origin) -> str:
    return ", ".join(origin.places[:3]) + (" …" if len(origin.places) > 3 else "")


def free_branch(site: Site, name: str, past: Past) -> None:
    """See to it that a branch `name` can be made, or is the one that the run made before it was cut off.

    Raises:
        UsageError: it cannot. BlockedError: that one is checked out.
    """
    if not past.delivering or _tip(site, name) != past.delivering:
        site.user.free_branch(name)
    elif f"branch refs/heads/{name}" in site.user.git.text("worktree", "list", "--porcelain").splitlines():
        raise BlockedError(
            f"{name}, which the run goes on with, is checked out", remedy="switch to another branch first"
        )


def deliver(site: Site, branch: str, head: str, past: Past) -> None:
    """Make the branch; one that the run made before it was cut off is put in its place."""
    site.journal.write("delivering", branch=branch, head=head)
    made = past.delivering if past.delivering and _tip(site, branch) == past.delivering else ""
    site.private.deliver(head, f"refs/heads/{branch}", old=made)


def _tip(site: Site, branch: str) -> str:
    return site.user.git.ask("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}")


def apply_to_worktree(user: Repository, private: PrivateRepository, base: str, head: str) -> tuple[str, ...]:
    """Put the difference of two commits into the user's working tree; all of it or nothing. The index stays as it is.

    Returns:
        A line for the report where it did not fit, because the working tree has changed since. What is there already fits.
    """
    patch = private.patch(base, head)
    if user.git.run("apply", "--check", "--reverse", "--whitespace=nowarn", "-", stdin=patch, check=False).ok:
        return ()
    if not user.git.run("apply", "--check", "--whitespace=nowarn", "-", stdin=patch, check=False).ok:
        return ("not applied: the verified patch no longer fits the working tree; it is on the branch",)
    user.git.run("apply", "--whitespace=nowarn", "-", stdin=patch)
    return ()
