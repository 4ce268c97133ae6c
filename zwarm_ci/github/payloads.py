"""The parts of GitHub's webhook payloads that are used, as pydantic models: tolerant of what is new, strict on what is used.

A name, id or ref that git and GitHub would not make is refused here, so that nothing later meets it.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_NOT_IN_REFS = frozenset(" ~^:?*[\\")


def _ref(value: str) -> str:
    """A name that git lets a ref have (git-check-ref-format); quotes, `$(…)` and the like are allowed there."""
    bad = any(ord(c) < 32 or ord(c) == 127 or c in _NOT_IN_REFS for c in value)
    if bad or ".." in value or "@{" in value or value.startswith(("-", "/")) or value.endswith(("/", ".lock", ".")):
        raise ValueError("is no name of a ref")
    return value


def _name(value: str) -> str:
    if {".", ".."} & set(value.split("/")):  # it becomes a part of URLs
        raise ValueError("is no name of a repository")
    return value


Id = Annotated[int, Field(ge=1, le=2**63 - 1)]
Sha = Annotated[str, Field(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$")]
Ref = Annotated[str, Field(min_length=1, max_length=1024), AfterValidator(_ref)]
Word = Annotated[str, Field(pattern=r"^[A-Za-z_]{0,40}$")]
Login = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}(\[bot\])?$")]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}$"), AfterValidator(_name)]
Time = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")]


class Part(BaseModel):
    """What all parts have in common."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class User(Part):
    """An account."""

    id: Id
    login: Login
    type: Word = "User"


class Repo(Part):
    """A repository."""

    id: Id
    full_name: Name
    default_branch: Ref | None = None


class Label(Part):
    """A label."""

    name: str


class Commit(Part):
    """A commit, as far as events tell."""

    message: str = ""


class End(Part):
    """One side of a pull request; `repo` is null where a fork was deleted."""

    ref: Ref
    sha: Sha
    repo: Repo | None = None


class Issue(Part):
    """An issue, or the issue's side of a pull request."""

    number: Id
    title: str
    body: str | None = None
    user: User | None = None
    author_association: Word = ""
    labels: tuple[Label, ...] = ()
    pull_request: dict[str, object] | None = None
    created_at: Time
    updated_at: Time


class Pull(Issue):
    """A pull request."""

    head: End
    base: End


class Comment(Part):
    """A comment on an issue or pull request."""

    id: Id
    body: str | None = None
    user: User | None = None
    author_association: Word = ""
    created_at: Time


class PullRepo(Part):
    """A repository, named by its id."""

    id: Id


class RunPullEnd(Part):
    """One side of a pull request, as runs name it."""

    ref: Ref
    repo: PullRepo


class RunPull(Part):
    """A pull request, as runs name it; GitHub names none for forks."""

    number: Id
    base: RunPullEnd


class Run(Part):
    """A run of a workflow."""

    id: Id
    name: str | None = None
    conclusion: Word | None = None
    head_branch: Ref | None = None
    head_sha: Sha
    head_commit: Commit | None = None
    head_repository: Repo | None = None
    pull_requests: tuple[RunPull, ...] | None = None


class App(Part):
    """The app that made a check suite."""

    name: str = ""


class Suite(Part):
    """A check suite."""

    conclusion: Word | None = None
    head_branch: Ref | None = None
    head_sha: Sha
    head_commit: Commit | None = None
    pull_requests: tuple[RunPull, ...] | None = None
    app: App | None = None


class InnerSuite(Part):
    """A check suite, as its check runs name it."""

    head_branch: Ref | None = None
    pull_requests: tuple[RunPull, ...] | None = None


class Check(Part):
    """A check run."""

    name: str
    conclusion: Word | None = None
    head_sha: Sha
    check_suite: InnerSuite


class Group(Part):
    """A merge group."""

    head_sha: Sha
    head_ref: Ref
    base_ref: Ref
    head_commit: Commit | None = None


class Payload(Part):
    """What every event says but `schedule`."""

    action: Word = ""
    repository: Repo
    sender: User


class Push(Payload):
    """`push`."""

    ref: Ref
    after: Sha
    head_commit: Commit | None = None


class PullEvent(Payload):
    """`pull_request` and `pull_request_target`."""

    pull_request: Pull
    label: Label | None = None


class IssueEvent(Payload):
    """`issues`."""

    issue: Issue
    label: Label | None = None


class CommentEvent(Payload):
    """`issue_comment`."""

    issue: Issue
    comment: Comment


class RunEvent(Payload):
    """`workflow_run`."""

    workflow_run: Run


class SuiteEvent(Payload):
    """`check_suite`."""

    check_suite: Suite


class CheckEvent(Payload):
    """`check_run`."""

    check_run: Check


class Dispatch(Payload):
    """`workflow_dispatch`."""

    ref: Ref


class GroupEvent(Payload):
    """`merge_group`."""

    merge_group: Group


class Schedule(Part):
    """The one event that nobody causes; older servers name no repository either."""

    repository: Repo | None = None
