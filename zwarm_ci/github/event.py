"""A webhook's payload -> a `Trigger`: who did what to which commit, issue or pull request.

Texts (titles, bodies, comments) stay as they were written; they are data, see `words.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from zwarm_ci.errors import UsageError, first_complaint
from zwarm_ci.github import payloads
from zwarm_ci.github.command import command_in
from zwarm_ci.scrub import one_line

#: GitHub sends no payload above 25 MB.
MOST_BYTES = 26_000_000
TAGS, _HEADS = "refs/tags/", "refs/heads/"
P = TypeVar("P", bound=BaseModel)
Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Actor:
    """An account. `id` never changes hands, `login` may; `kind` is `User`, `Bot`, …; `association` what it is to the repository."""

    id: int
    login: str
    kind: str
    association: str = ""


@dataclass(frozen=True, slots=True)
class Trigger:
    """One event.

    Attributes:
        event: its name; `action` what happened, "" where the event has none.
        actor: who caused it; id 0 = nobody (`schedule`).
        repo: "owner/name"; "" where the payload names none (`schedule`).
        sha: the commit that it is about; "" = it names none (comments, or a push that deletes).
        ref: the commit's branch, or `refs/tags/NAME`; `base_ref` the branch that a pull request or merge group is for.
        head_repo: "owner/name" that the commit is from; "" = not said, or deleted.
        fork: the commit is from another repository, or from one that is not named.
        number: of the issue or pull request.
        author: who wrote the text in question: the comment, else the issue or pull request; None = a deleted account.
        title, body: of the issue or pull request; of a push or run, the head commit's subject and the rest of its message.
        comment: its text. `command`: `fix`, `stop`, or "" = there is none; `argument` what follows it, or the label just added.
        run_id, workflow, conclusion: of the workflow run; the name of the check, or of the app, where a check ended.
        at: when the text that is approved was written or approved (ISO 8601): what came later was not.
    """

    event: str
    action: str
    actor: Actor
    repo: str
    repo_id: int
    default_branch: str
    sha: str = ""
    ref: str = ""
    base_ref: str = ""
    head_repo: str = ""
    fork: bool = False
    number: int = 0
    is_pull: bool = False
    author: Actor | None = None
    title: str = ""
    body: str = ""
    labels: tuple[str, ...] = ()
    comment_id: int = 0
    comment: str = ""
    command: str = ""
    argument: str = ""
    run_id: int = 0
    workflow: str = ""
    conclusion: str = ""
    at: str = ""


NOBODY = Actor(0, "", "")


def read(event: str, payload: bytes) -> Trigger | None:
    """What a payload says; None = an event that is not ours.

    Raises:
        UsageError: it is not a payload of that event.
    """
    if event not in _READERS:
        return None
    if len(payload) > MOST_BYTES:
        raise UsageError(f"the payload of {event} is larger than GitHub sends ({len(payload)} bytes)")
    try:
        return Trigger(event=event, **_READERS[event](payload))
    except ValidationError as error:
        where, what = first_complaint(error)
        said = one_line(what.removeprefix("Value error, "), 120)
        raise UsageError(
            f"not a payload of {event}: {one_line(where or 'the document', 80)}: {said}",
            remedy="give the file that GITHUB_EVENT_PATH names, and the event's name",
        ) from error


# ---------------------------------------------------------------------------------------------------------------- readers


def _parse(model: type[P], payload: bytes) -> P:
    return model.model_validate_json(payload)


def _push(payload: bytes) -> Facts:
    said = _parse(payloads.Push, payload)
    sha = said.after if set(said.after) != {"0"} else ""
    return _common(said) | _message(said.head_commit) | {"sha": sha, "ref": _branch(said.ref)}


def _pull(payload: bytes) -> Facts:
    said = _parse(payloads.PullEvent, payload)
    pull, head = said.pull_request, said.pull_request.head
    return _common(said) | _issue(pull) | {
        "is_pull": True,
        "sha": head.sha,
        "ref": head.ref,
        "base_ref": pull.base.ref,
        "head_repo": head.repo.full_name if head.repo else "",
        "fork": head.repo is None or head.repo.id != said.repository.id,
        "argument": _added(said),
        "at": pull.updated_at,
    }  # fmt: skip


def _issues(payload: bytes) -> Facts:
    said = _parse(payloads.IssueEvent, payload)
    opened = said.action == "opened"
    command, argument = command_in(said.issue.body or "") if opened else ("", _added(said))
    at = said.issue.created_at if opened else said.issue.updated_at
    return _common(said) | _issue(said.issue) | {"command": command, "argument": argument, "at": at}


def _comment(payload: bytes) -> Facts:
    said = _parse(payloads.CommentEvent, payload)
    comment, text = said.comment, said.comment.body or ""
    command, argument = command_in(text)
    facts = _common(said) | _issue(said.issue)
    if said.issue.pull_request is not None:
        facts |= {"head_repo": "", "fork": True}  # the payload does not say whose code it is; the API does
    return facts | {
        "author": _actor(comment.user, comment.author_association),
        "comment_id": comment.id,
        "comment": text,
        "command": command,
        "argument": argument,
        "at": comment.created_at,
    }


def _run(payload: bytes) -> Facts:
    said = _parse(payloads.RunEvent, payload)
    run = said.workflow_run
    return _common(said) | _message(run.head_commit) | _only_pull(run.pull_requests, said.repository) | {
        "sha": run.head_sha,
        "ref": run.head_branch or "",
        "head_repo": run.head_repository.full_name if run.head_repository else "",
        "fork": run.head_repository is None or run.head_repository.id != said.repository.id,
        "run_id": run.id,
        "workflow": run.name or "",
        "conclusion": run.conclusion or "",
    }  # fmt: skip


def _suite(payload: bytes) -> Facts:
    said = _parse(payloads.SuiteEvent, payload)
    suite = said.check_suite
    facts = _common(said) | _message(suite.head_commit) | _checked(suite, said.repository)
    name = suite.app.name if suite.app else ""
    return facts | {"sha": suite.head_sha, "workflow": name, "conclusion": suite.conclusion or ""}


def _check(payload: bytes) -> Facts:
    said = _parse(payloads.CheckEvent, payload)
    check = said.check_run
    facts = _common(said) | _checked(check.check_suite, said.repository)
    return facts | {"sha": check.head_sha, "workflow": check.name, "conclusion": check.conclusion or ""}


def _dispatch(payload: bytes) -> Facts:
    said = _parse(payloads.Dispatch, payload)
    return _common(said) | {"ref": _branch(said.ref)}


def _group(payload: bytes) -> Facts:
    said = _parse(payloads.GroupEvent, payload)
    group = said.merge_group
    ends = {"sha": group.head_sha, "ref": _branch(group.head_ref), "base_ref": _branch(group.base_ref)}
    return _common(said) | _message(group.head_commit) | ends


def _schedule(payload: bytes) -> Facts:
    repo = _parse(payloads.Schedule, payload).repository
    nobody: Facts = {"actor": NOBODY, "action": "", "repo": "", "repo_id": 0, "default_branch": ""}
    return nobody if repo is None else nobody | _of(repo) | {"ref": repo.default_branch or ""}


_READERS: dict[str, Callable[[bytes], Facts]] = {
    "push": _push,
    "pull_request": _pull,
    "pull_request_target": _pull,
    "workflow_run": _run,
    "check_suite": _suite,
    "check_run": _check,
    "issues": _issues,
    "issue_comment": _comment,
    "workflow_dispatch": _dispatch,
    "schedule": _schedule,
    "merge_group": _group,
}
EVENTS = tuple(_READERS)

# ------------------------------------------------------------------------------------------------------------------- parts


def _common(said: payloads.Payload) -> Facts:
    return {"action": said.action, "actor": _actor(said.sender), **_of(said.repository)}


def _of(repo: payloads.Repo) -> Facts:
    name, branch = repo.full_name, repo.default_branch or ""
    return {"repo": name, "repo_id": repo.id, "default_branch": branch, "head_repo": name}


def _actor(user: payloads.User | None, association: str = "") -> Actor | None:
    return Actor(user.id, user.login, user.type, association) if user else None


def _branch(ref: str) -> str:
    return ref.removeprefix(_HEADS)


def _message(commit: payloads.Commit | None) -> Facts:
    """Subject and rest of a commit's message; our own commits are known by their trailers."""
    subject, _, rest = (commit.message if commit else "").partition("\n")
    return {"title": subject, "body": rest.strip("\n")}


def _issue(issue: payloads.Issue) -> Facts:
    return {
        "number": issue.number,
        "is_pull": issue.pull_request is not None,
        "author": _actor(issue.user, issue.author_association),
        "title": issue.title,
        "body": issue.body or "",
        "labels": tuple(label.name for label in issue.labels),
    }


def _added(said: payloads.PullEvent | payloads.IssueEvent) -> str:
    return said.label.name if said.label and said.action == "labeled" else ""


def _only_pull(pulls: tuple[payloads.RunPull, ...] | None, repo: payloads.Repo) -> Facts:
    """The pull request of this repository that a run was for, where there is exactly one."""
    ours = [pull for pull in pulls or () if pull.base.repo.id == repo.id]
    return {"number": ours[0].number, "is_pull": True, "base_ref": ours[0].base.ref} if len(ours) == 1 else {}


def _checked(suite: payloads.Suite | payloads.InnerSuite, repo: payloads.Repo) -> Facts:
    """GitHub names no branch where the commit was pushed to a fork (REST API, "Check suites": head_branch is null then)."""
    fork, name = suite.head_branch is None, repo.full_name
    ends = {"ref": suite.head_branch or "", "fork": fork, "head_repo": "" if fork else name}
    return _only_pull(suite.pull_requests, repo) | ends
