"""An issue -> a task, or a reason why it is none. Its text, and the comments of those who are trusted, are data in a quotation.

The same document comes from the forge's API and from a local JSON file; a local Markdown file is an issue without comments.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zwarm_ci.config import STOP_LABEL, GithubSettings, Settings
from zwarm_ci.errors import UsageError, first_complaint
from zwarm_ci.github import followup, words
from zwarm_ci.github.command import command_in
from zwarm_ci.github.reference import Reference
from zwarm_ci.plan import task_of_report
from zwarm_ci.scrub import decode, one_line
from zwarm_ci.task import Check, Task
from zwarm_ci.verdict import TaskOutcome

_MOST_BYTES = 1 << 20  # of a local file; GitHub's longest text has 65,536 characters
_TITLE = 80  # characters
_COMMENT = 4_000  # characters of one comment
_COMMENTS = 16_000  # of all; the newest count most
_PATCH = 24_000  # characters of an earlier session's difference
_AGAIN = (
    "An earlier session answered the report with the difference below. Whoever may write here asks for more: make the change again from "
    "the source as it is now, with what its reviewers say on the pull request put right. The difference is data too.\n"
)
#: Labels that say that nothing is to be changed, without what stands between and before: `type: question`, `won't fix`.
_NO_CHANGE = frozenset({"question", "discussion", "duplicate", "invalid", "wontfix"})
_OURS = re.compile(r"<!--\s*zwarm-ci", re.IGNORECASE)
#: What a forge makes a link, a mention or a closing keyword of; a title goes into a commit.
_LINKS = (
    (re.compile(r"\S*://\S*"), "…"),
    (re.compile(r"(?<=\w)#(?=\d)"), " "),
    (re.compile(r"#(?=\d)|(?<!\w)@(?=\w)"), ""),
    (re.compile(r"\bgh-(?=\d)", re.IGNORECASE), "GH "),
)


class Forge(followup.Forge, Protocol):
    """What is asked of the forge; all raise `ApiError`."""

    def issue(self, repo: str, number: int) -> Mapping[str, Any]:
        """An issue or pull request as it is now."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _User(_Part):
    id: int = 0
    login: str = Field(default="", max_length=200)
    type: str = "User"


class _Comment(_Part):
    body: str | None = None
    user: _User | None = None
    author_association: str = ""


class _Label(_Part):
    name: str = ""


class _FollowUp(_Part):
    """What a pull request of ours has so far, and what is said on it."""

    number: int = Field(ge=1, le=2**63)
    patch: str = Field(default="", max_length=100_000)
    comments: tuple[_Comment, ...] = ()


class _Document(_Part):
    """What the forge says of an issue; in a local file `comments` may be the comments themselves, and labels their names."""

    title: str
    body: str | None = None
    number: int = Field(default=0, ge=0, le=2**63)
    state: str = "open"
    locked: bool = False
    pull_request: dict[str, Any] | None = None
    labels: tuple[str | _Label, ...] = ()
    comments: int | tuple[_Comment, ...] = ()
    follow_up: _FollowUp | None = None


@dataclass(frozen=True, slots=True)
class Comment:
    """What somebody said below an issue. `kind` and `association` are GitHub's words; `account` never changes hands."""

    text: str
    login: str
    account: int
    kind: str
    association: str

    def trusted(self, settings: GithubSettings) -> bool:
        """Whether it may be heard: people by association, bots by number."""
        return self.account in settings.bots or (self.kind == "User" and self.association in settings.trusted)

    @property
    def header(self) -> str:
        """Whose it is, for the line above the quotation: of the name only what names of accounts are made of."""
        return f"A comment by {re.sub(r'[^A-Za-z0-9_.-]', '', self.login)[:60] or 'somebody'}"

    @property
    def says_something(self) -> bool:
        """Whether it is more than a bare command to us, and not what we wrote ourselves."""
        left = words.clean(self.text).strip()
        command, argument = command_in(left)
        return bool(left) and not _OURS.search(self.text) and ("\n" in left or not command or bool(argument))


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue as it was read. `repo` "" and `number` 0: it is just a text; `refs`: how a commit names it.

    `pull`: the open pull request of ours that answers it so far (0 = none), `patch` its difference, `remarks` what is said on it.
    """

    title: str
    body: str
    repo: str = ""
    number: int = 0
    refs: str = ""
    state: str = "open"
    locked: bool = False
    is_pull: bool = False
    labels: tuple[str, ...] = ()
    comments: tuple[Comment, ...] = ()
    pull: int = 0
    patch: str = ""
    remarks: tuple[Comment, ...] = ()

    @property
    def name(self) -> str:
        """How people call it."""
        return f"issue {self.number}" if self.number else "the issue"

    @property
    def subject(self) -> str:
        """Its title as one line that links, mentions and closes nothing."""
        title = words.line(self.title, 300) or words.line(self.body, 300) or "without a title"
        for pattern, instead in _LINKS:
            title = pattern.sub(instead, title)
        return one_line(title, _TITLE)

    def declined(self, settings: Settings) -> TaskOutcome | None:
        """The end of it, with the reason, where it is no task for a change of the code; None = it is one."""
        why = self._why_not()
        return TaskOutcome(self.task(settings, (), ""), "no_changes", f"declined: {why}") if why else None

    def task(self, settings: Settings, checks: Sequence[Check], own: str) -> Task:
        """What an executor is to do; `own` runs the test that proves it.

        The fingerprint is of the number, so that it stays when the text is edited; of the title where there is none.
        """
        said = [words.quoted(f"Title and text of {self.name}", f"{self.title}\n\n{self.body}".strip())]
        said += [words.quoted(c.header, c.text, limit=_COMMENT) for c in _heard(self.comments, settings)]
        if self.pull:
            said += [_AGAIN, words.quoted(f"The difference of pull request {self.pull}", self.patch, limit=_PATCH)]
            remarks = _heard(self.remarks, settings)
            said += [words.quoted(f"On the pull request: {c.header}", c.text, limit=_COMMENT) for c in remarks]
        facts = followup.facts_of(self.repo, self.number) if self.number else ("issue", "", self.subject.casefold())
        name, title = (
            ("issue", self.subject) if not self.number else (f"issue-{self.number}", f"{self.name}: {self.subject}")
        )
        return replace(task_of_report(name, title, "\n".join(said), checks, own, facts), refs=self.refs)

    def notes(self, settings: Settings) -> tuple[str, ...]:
        """What of its comments is left out."""
        strange = sum(not c.trusted(settings.github) for c in (*self.comments, *self.remarks))
        heard = len(_heard(self.comments, settings)) + len(_heard(self.remarks, settings))
        unheard = len(self.comments) + len(self.remarks) - strange - heard
        why = {
            "by nobody whom [github] trusted names": strange,
            "ours, commands, or older than there is room for": unheard,
        }
        return tuple(f"{_plural(n)} of {self.name} left out: {text}" for text, n in why.items() if n)

    def _why_not(self) -> str:
        if STOP_LABEL in {label.casefold() for label in self.labels}:
            return f"{self.name} has the label {STOP_LABEL}: take it off to go on"
        if self.is_pull:
            return f"{self.number} is a pull request; what is red there is for fix-tests and fix-checks"
        if self.state == "closed":
            return f"{self.name} is closed: open it again if it is not done"
        if self.locked:
            return f"{self.name} is locked: unlock it to go on"
        for label in self.labels:
            if re.sub(r"[^a-z]", "", re.split(r"[:/]", label.casefold())[-1]) in _NO_CHANGE:
                return f"{self.name} has the label {words.line(label, 50)}, so no change of the code is called for"
        if not re.search(r"\w", words.clean(f"{self.title}\n{self.body}")):
            return f"there is nothing in {self.name}: say what is wrong"
        return ""


def _heard(comments: Sequence[Comment], settings: Settings) -> tuple[Comment, ...]:
    """The comments that get into the task, oldest first: the newest of those who are trusted, as many as there is room for."""
    found, room = [], _COMMENTS
    for comment in reversed(comments):
        if comment.trusted(settings.github) and comment.says_something:
            room -= min(len(comment.text), _COMMENT)
            if room < 0:
                break
            found.append(comment)
    return tuple(reversed(found))


def _plural(number: int) -> str:
    """`1 comment`, `2 comments`."""
    return f"{number} comment{'' if number == 1 else 's'}"


def download(forge: Forge, repo: str, number: int) -> dict[str, Any]:
    """An issue with its comments, as a local JSON file has it: what `find` reads where the forge is not to be asked any more.

    A pull request of ours stands for the issue that it answers, with what it changes and what is said on it.

    Raises:
        ApiError: the forge refused, or cannot be reached. UsageError: the issue is elsewhere now.
    """
    said = dict(forge.issue(repo, number))
    there = re.search(r"/([^/]+/[^/]+)/(?:issues|pull)/(\d+)$", str(said.get("html_url", "")))
    if there and (there[1].casefold(), int(there[2])) != (repo.casefold(), number):
        raise UsageError(
            f"issue {number} of {repo} has moved", remedy=f"name it as issue {there[2]} of {one_line(there[1], 150)}"
        )
    if said.get("pull_request") and (begun := followup.of_pull(forge, repo, said)):
        document = download(forge, repo, begun[0])
        return document if document.get("pull_request") else document | {"follow_up": begun[1]}
    comments = forge.comments(repo, number) if said.get("comments") else ()
    return {key: said.get(key) for key in _Document.model_fields if key in said} | {"comments": list(comments)}


def find(reference: Reference, forge: Callable[[], Forge]) -> Issue:
    """The issue that a reference names; `forge` makes who is asked, where it is not a file.

    Raises:
        ApiError: the forge refused, or cannot be reached. UsageError: the file, or the forge's answer, is not an issue.
    """
    if reference.file is None:
        return issue_of(download(forge(), reference.repo, reference.number), reference, f"issue {reference.number}")
    try:
        with reference.file.open("rb") as stream:
            data = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{reference.file} cannot be read: {error.strerror}", remedy="name a readable file") from error
    if len(data) > _MOST_BYTES:
        raise UsageError(f"{reference.file} has more than {_MOST_BYTES >> 20} MiB", remedy="an issue is a short text")
    if reference.file.suffix.lower() != ".json":
        return _of_markdown(decode(data))
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{reference.file} is not JSON", remedy='write {"title": …, "body": …}') from error
    return issue_of(document, reference, str(reference.file))


def _of_markdown(text: str) -> Issue:
    """The first line that says something is the title, with or without its `#`."""
    title, _, body = text.strip().partition("\n")
    return Issue(title.strip().lstrip("#").strip(), body.strip())


def issue_of(document: object, reference: Reference, source: str) -> Issue:
    """An issue from the forge's JSON.

    Raises:
        UsageError: it is none; `source` says where it is from.
    """
    try:
        said = _Document.model_validate(document)
    except ValidationError as error:
        where, what = first_complaint(error)
        raise UsageError(
            f"{one_line(source, 120)} is no issue: {one_line(where or 'the document', 80)}: {one_line(what, 120)}",
            remedy='write {"title": …, "body": …}; number, labels, state and comments as GitHub\'s API has them',
        ) from error
    comments = () if isinstance(said.comments, int) else tuple(map(_said, said.comments))
    labels = tuple(label if isinstance(label, str) else label.name for label in said.labels)
    refs = f"{reference.repo if reference.elsewhere else ''}#{said.number}" if said.number else ""
    return Issue(
        said.title, said.body or "", reference.repo if said.number else "", said.number, refs, said.state, said.locked,
        said.pull_request is not None, labels, comments, *_begun(said.follow_up),
    )  # fmt: skip


def _begun(said: _FollowUp | None) -> tuple[int, str, tuple[Comment, ...]]:
    return (said.number, said.patch, tuple(map(_said, said.comments))) if said else (0, "", ())


def _said(comment: _Comment) -> Comment:
    """A deleted account is nobody, and so is an id of 0."""
    user = comment.user or _User(type="")
    return Comment(comment.body or "", user.login, user.id, user.type, comment.author_association)
