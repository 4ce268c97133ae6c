"""A bundle -> one branch and one draft pull request, opened or brought up to date. The only part with a write token.

No code of the repository runs and no check: what is pushed was verified elsewhere, and is held against its evidence here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from zwarm_ci.config import Settings
from zwarm_ci.errors import ApiError, RefusedError
from zwarm_ci.github import codeowners, marker, ownership, remote, review
from zwarm_ci.github.api import Api, Json, split
from zwarm_ci.github.bundle import Bundle
from zwarm_ci.github.proof import Proof, establish
from zwarm_ci.github.remote import Remote
from zwarm_ci.private import PrivateRepository
from zwarm_ci.scrub import one_line
from zwarm_ci.verdict import Outcome
from zwarm_ci.verify.guards import Rules

T = TypeVar("T")
SCHEMA = 1  # 1: first published form of what `publish --json` prints
_SHOWN = 60  # files whose difference is shown
#: GITHUB_TOKEN's account on github.com, and its name on other servers.
_ACTIONS = (41898282, "github-actions[bot]")
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for. `draft` and `labels` None = as the settings of the base say; `tell`: the number of who asked, 0 = nobody."""

    repo: str
    remote: str
    target: str = ""
    draft: bool | None = None
    labels: tuple[str, ...] | None = None
    tell: int = 0


@dataclass(frozen=True, slots=True)
class Means:
    """How the base's settings are read, and what guards obey by them."""

    settings: Callable[[PrivateRepository, str], Settings]
    rules: Callable[[PrivateRepository, Settings, Outcome], Rules]


@dataclass(slots=True)
class Published:
    """What was done. `action`: opened, updated, unchanged, kept (a better one is open), declined (a person closed it), nothing."""

    action: str
    reason: str
    target: str
    branch: str = ""
    head: str = ""
    number: int = 0
    url: str = ""
    draft: bool = False
    closed: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """As `publish --json` prints it."""
        pull = {"number": self.number, "url": self.url, "draft": self.draft} if self.number else None
        return {
            "schema": SCHEMA, "action": self.action, "reason": self.reason, "target": self.target, "branch": self.branch or None,
            "head": self.head or None, "pull": pull, "closed": self.closed, "notes": self.notes,
        }  # fmt: skip


def publish(bundle: Bundle, api: Api, wanted: Wanted, token: str, means: Means) -> Published:
    """Push the bundle's branch and open or update its pull request; close those of ours that it makes stale.

    Raises:
        RefusedError: the bundle is not what was verified, or somebody else's work is in the way; nothing was pushed.
        ApiError: the forge refuses or cannot be reached; what was done until then is said.
    """
    about = api.repository(wanted.repo)  # the first request: it says too what the token may do
    target = wanted.target or str(about["default_branch"])
    if not bundle.head:
        done = Published("nothing", f"the run left no branch: {bundle.outcome.reason}", target)
        _close_stale(api, wanted.repo, bundle, done)
        return done
    far = Remote(wanted.remote, token, api.pause)
    with remote.workshop(bundle.base) as repo:
        far.fetch(repo, bundle.base)
        settings = means.settings(repo, bundle.base)
        rules = means.rules(repo, settings, bundle.outcome)
        proof = establish(repo, bundle, rules, workflows="workflow" in (api.scopes or ()))
        ownership.require_on(api, wanted.repo, bundle.base, target)
        job = _Job(api, wanted, bundle, proof, repo, far, settings, target)
        done = job.deliver()
    if done.action in {"opened", "updated", "unchanged"}:
        _close_stale(api, wanted.repo, bundle, done)
    return done


@dataclass(frozen=True, slots=True)
class _Job:
    """One delivery while it goes on."""

    api: Api
    wanted: Wanted
    bundle: Bundle
    proof: Proof
    repo: PrivateRepository
    far: Remote
    settings: Settings
    target: str

    @property
    def outcome(self) -> Outcome:
        return self.bundle.outcome

    @property
    def branch(self) -> str:
        return review.branch(self.outcome)

    def deliver(self) -> Published:
        pulls = self._pulls()
        now = next((p for p in pulls if p.get("state") == "open"), None)
        there = ownership.branch_of(self.api, self.wanted.repo, self.branch, self.target)
        same = there.base == self.bundle.base and there.trees == self.proof.trees
        if end := self._left_alone(now, pulls[0] if pulls else None, same=same):
            return end
        if not same:
            ownership.require_ours(there, self.branch)
            self.far.push(self.repo, self.bundle.head, self.branch, there.tip)
        head = there.tip if same else self.bundle.head
        done = Published(
            "unchanged" if same and now else "updated" if now else "opened",
            self.outcome.reason,
            self.target,
            self.branch,
            head,
        )
        try:
            pull = self._opened(done) if now is None else self._updated(now, done, same=same)
        except ApiError as error:
            said = f"{self.branch} is pushed, but it has no pull request: {error.message}"
            raise ApiError(said, remedy=error.remedy, status=error.status, transient=error.transient) from error
        done.number, done.url, done.draft = int(pull["number"]), str(pull.get("html_url", "")), bool(pull.get("draft"))
        self._tell(pull, done)
        return done

    def _pulls(self) -> list[Json]:
        found = self.api.pulls(self.wanted.repo, head=self.branch, state="all")
        return [p for p in found if ownership.is_here(p, self.wanted.repo) and p["base"].get("ref") == self.target]

    def _left_alone(self, now: Json | None, newest: Json | None, *, same: bool) -> Published | None:
        """Why nothing is to be done: an open one repairs more of the same base, or a person closed one with the same patch."""
        pull = now or newest
        known = marker.find(str((pull or {}).get("body") or ""))
        if pull is None or known is None:
            return None
        own = review.mark(self.outcome)
        based = known.base == own.base
        end = Published(
            "",
            "",
            self.target,
            self.branch,
            str(pull["head"].get("sha", "")),
            int(pull["number"]),
            str(pull.get("html_url", "")),
        )
        if now and based and set(known.tasks) > set(own.tasks):
            end.action, end.reason = "kept", f"#{end.number} repairs more of the same commit"
            return end
        declined = (
            not now
            and not known.stale
            and not pull.get("merged_at")
            and (same or based)
            and set(known.tasks) >= set(own.tasks)
        )
        if declined:
            end.action = "declined"
            end.reason = f"a person closed #{end.number}, which had this patch; reopen it to have it kept up to date"
            return end
        return None

    def _facts(self, *, silent: bool) -> review.Facts:
        base, head = self.bundle.base, self.bundle.head
        evidence = {p.outcome.task.id: p.evidence for p in self.bundle.pieces}
        diffs = remote.differences(self.repo, base, head, _SHOWN)
        return review.Facts(
            evidence, self.proof.findings, remote.counts(self.repo, base, head), diffs, self.target, silent
        )

    def _opened(self, done: Published) -> Json:
        pull = self._create(done)
        if _by_actions(pull):
            body = review.body(self.outcome, self._facts(silent=True))
            pull = self.api.update_pull(self.wanted.repo, int(pull["number"]), body=body)
        labels = self.settings.github.labels if self.wanted.labels is None else self.wanted.labels
        if labels:
            self._try(done, "labels", lambda: self.api.add_labels(self.wanted.repo, int(pull["number"]), labels))
        self._reviewers(pull, done)
        return pull

    def _create(self, done: Published) -> Json:
        draft = self.settings.github.draft if self.wanted.draft is None else self.wanted.draft
        texts = {"title": review.title(self.outcome), "body": review.body(self.outcome, self._facts(silent=False))}

        def create(*, draft: bool) -> Json:
            return self.api.create_pull(self.wanted.repo, **texts, head=self.branch, base=self.target, draft=draft)

        def find() -> Json | None:
            return next((p for p in self._pulls() if p.get("state") == "open"), None)

        try:
            return _surely(self.api, lambda: create(draft=draft), find)
        except ApiError as error:
            if not (draft and error.status == 422 and "raft pull request" in error.message):
                raise
        done.notes.append(
            "the forge has no drafts in this repository, so it is open for review: it was verified, but nobody has looked at it"
        )
        return _surely(self.api, lambda: create(draft=False), find)

    def _updated(self, now: Json, done: Published, *, same: bool) -> Json:
        if same:
            return now
        body = review.body(self.outcome, self._facts(silent=_by_actions(now)))
        return self.api.update_pull(self.wanted.repo, int(now["number"]), title=review.title(self.outcome), body=body)

    def _reviewers(self, pull: Json, done: Published) -> None:
        owner = split(self.wanted.repo)[0]
        paths = [c.path for c in self.proof.changes]
        found = codeowners.owners(lambda path: self.repo.read(self.bundle.base, path), paths, owner)
        author = str((pull.get("user") or {}).get("login", "")).lower()
        users = [u for u in found.users if u.lower() != author]
        if users or found.teams:
            number = int(pull["number"])
            asked = self._try(
                done, "reviewers", lambda: self.api.request_reviewers(self.wanted.repo, number, users, found.teams)
            )
            if not asked and users and found.teams:  # a workflow's token sees no teams
                self._try(done, "reviewers", lambda: self.api.request_reviewers(self.wanted.repo, number, users))

    def _tell(self, pull: Json, done: Published) -> None:
        """One comment where the work was asked for, and on the pull request itself once it changes, since an edited text tells nobody."""
        what = {"opened": "Opened", "updated": "Brought up to date"}.get(done.action, "As it was")
        told = [n for n in (self.wanted.tell, done.number if done.action == "updated" else 0) if n]
        for number in dict.fromkeys(told):
            text = review.comment(self.outcome, done.number, done.url, what=what)
            post = functools.partial(_sticky, self.api, self.wanted.repo, number, text, pull)
            self._try(done, f"comment on #{number}", post)
        if self.settings.github.check_run and done.action != "unchanged":
            self._try(done, "check run", functools.partial(self._check_run, done))

    def _check_run(self, done: Published) -> None:
        """Say beside the branch's own checks what was verified; a look of a person is still due where findings ask for it."""
        review_due = any(task.review for task in self.outcome.tasks)
        self.api.create_check_run(
            self.wanted.repo, name="zwarm-ci", sha=done.head, conclusion="neutral" if review_due else "success",
            title=review.title(self.outcome), summary=review.comment(self.outcome, done.number, done.url, what="Verified"),
        )  # fmt: skip

    def _try(self, done: Published, what: str, action: Callable[[], object]) -> bool:
        """Something that is good to have: where the forge refuses, that is said and nothing else is lost."""
        try:
            _surely(self.api, action, lambda: None)
        except ApiError as error:
            done.notes.append(one_line(f"{what}: {error.line}", 300))
            return False
        return True


def _surely(api: Api, action: Callable[[], T], find: Callable[[], T | None]) -> T:
    """Do what may have been done although its answer was lost: look for it before it is tried again."""
    for attempt in range(1, _TRIES + 1):
        try:
            return action()
        except ApiError as error:
            lost = error.status == 0 or error.status >= 500
            if (lost or "already exists" in error.message) and (found := find()) is not None:
                return found
            if not lost or attempt == _TRIES:
                raise
            api.pause(2.0**attempt)
    raise AssertionError("the last attempt returns or raises")


def _by_actions(pull: Mapping[str, Any]) -> bool:
    """Whether a workflow's own token opened it: no checks start by themselves then."""
    user = pull.get("user") or {}
    return (user.get("id"), user.get("login")) == _ACTIONS or (
        user.get("type") == "Bot" and user.get("login") == _ACTIONS[1]
    )


def _sticky(api: Api, repo: str, number: int, text: str, pull: Json) -> None:
    """Our comment there, changed where there is one; a comment of somebody else that looks like it is not ours."""
    own = (pull.get("user") or {}).get("id")
    mine = [
        c
        for c in api.comments(repo, number)
        if review.STICKY in str(c.get("body")) and (c.get("user") or {}).get("id") == own
    ]
    if not mine:
        api.create_comment(repo, number, text)
    elif mine[0].get("body") != text:
        api.update_comment(repo, int(mine[0]["id"]), text)


def _close_stale(api: Api, repo: str, bundle: Bundle, done: Published) -> None:
    """Close our open pull requests for the same branch that this run makes needless; what does not work is noted."""
    try:
        if not done.number:  # nobody has looked yet whether the run was on that branch at all
            ownership.require_on(api, repo, bundle.base, done.target)
        for pull in api.pulls(repo):
            why = _stale(api, repo, bundle, done, pull)
            if why:
                _close(api, repo, pull, why)
                done.closed.append(int(pull["number"]))
    except (ApiError, RefusedError) as error:
        done.notes.append(one_line(f"stale pull requests: {error.line}", 300))


def _stale(api: Api, repo: str, bundle: Bundle, done: Published, pull: Json) -> str:
    """Why an open pull request is needless; "" = it is not, or not ours to close."""
    known = marker.find(str(pull.get("body") or ""))
    if known is None or not ownership.is_here(pull, repo) or pull["base"].get("ref") != done.target:
        return ""
    if not str(pull["head"].get("ref", "")).startswith(review.PREFIX) or int(pull["number"]) == done.number:
        return ""
    tasks = {t.task.fingerprint for t in review.delivered(bundle.outcome)}
    superseded = bool(done.number and known.tasks) and set(known.tasks) <= tasks
    if not superseded and not marker.passes(known, bundle.outcome.before):
        return ""
    if pull["head"].get("sha") != known.head or not ownership.is_ancestor(api, repo, known.base, bundle.base):
        return ""
    return f"#{done.number} repairs this too" if superseded else f"what this repairs passes on {bundle.base[:12]}"


def _close(api: Api, repo: str, pull: Json, why: str) -> None:
    number, body = int(pull["number"]), str(pull.get("body") or "")
    known = marker.find(body)
    api.close_pull(repo, number, body=marker.closed(body, known) if known else "")
    api.create_comment(repo, number, f"Closed by zwarm-ci: {why}.\n")


__all__: Sequence[str] = ("Means", "Published", "Wanted", "publish")
