"""Who may ask for what: a trigger, the settings of the base and what GitHub says -> run, run free of cost and secrets, stop, or nothing.

The order matters: the kill switch first, then whether there is anything to do, our own traces, bots, forks, and people last. Where
GitHub cannot be asked what has to be asked, nothing runs. Every reason is one line that says what to do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from zwarm_ci.config import STOP_LABEL, GithubSettings
from zwarm_ci.errors import ZwarmError
from zwarm_ci.github.event import EVENTS, Trigger
from zwarm_ci.github.words import line

#: The account behind GITHUB_TOKEN (github-actions[bot]): what it does is what some workflow did, ours perhaps.
ACTIONS_BOT = 41898282
BRANCH_PREFIX = "zwarm-ci/"
STOP_VARIABLE = "ZWARM_CI_STOP"
#: What our comments and pull requests begin with; a commit of ours ends with the trailer.
_MARKER = re.compile(r"<!--\s*zwarm-ci", re.IGNORECASE)
_TRAILER = re.compile(r"^Zwarm-Run:", re.MULTILINE)
_OFF = frozenset({"", "0", "false", "no", "off"})
_MAY_WRITE = frozenset({"admin", "maintain", "write"})
_RED = frozenset({"failure", "timed_out"})
#: Their workflows are the base's and have its secrets and token, whoever caused them: no code of a fork is run there.
_PRIVILEGED = frozenset({"pull_request_target", "workflow_run", "check_suite", "check_run", "issue_comment"})
_ASKED_FOR = frozenset({"issues", "issue_comment"})
_PULLS = frozenset({"pull_request", "pull_request_target"})
_CHECKS = frozenset({"workflow_run", "check_suite", "check_run"})
#: Their `body` is a commit's message.
_COMMITS = frozenset({"push", "workflow_run", "check_suite", "merge_group"})


Go = Literal["run", "free", "stop", "nothing"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done with an event, and why, in one line.

    `run` = everything that the ladder has; `free` = no key is used and nothing is paid or published: the free rungs, a bundle out;
    `stop` = the kill switch; `nothing` = not asked for, or not by somebody who may.
    """

    go: Go
    why: str


class Asks(Protocol):
    """What is asked of GitHub; raises `ZwarmError` where that is not possible."""

    def permission(self, repo: str, login: str) -> str:
        """admin, maintain, write, triage, read or none."""

    def issue(self, repo: str, number: int) -> Mapping[str, Any]:
        """An issue or pull request as it is now."""


@runtime_checkable
class AsksPulls(Protocol):
    """Also knows whose code a pull request holds."""

    def pulls(self, repo: str, *, head: str = "", state: str = "open") -> list[dict[str, Any]]:
        """Pull requests."""


def decide(trigger: Trigger | None, settings: GithubSettings, asks: Asks, environ: Mapping[str, str]) -> Decision:
    """What the event may start; None = an event that is not ours."""
    if environ.get(STOP_VARIABLE, "").strip().casefold() not in _OFF:
        return _so("stop", f"{STOP_VARIABLE} is set: nothing runs until it is taken away")
    if trigger is None:
        return _nothing(f"an event that zwarm-ci does not act on; those are {', '.join(EVENTS)}")
    label = _stop_label(trigger.labels, trigger)
    return label or _idle(trigger, settings) or _ours(trigger, environ) or _bot(trigger, settings) or _people(
        trigger, settings, asks
    )  # fmt: skip


def _nothing(why: str) -> Decision:
    return _so("nothing", why)


def _so(go: Go, why: str) -> Decision:
    """Names of branches, workflows and labels are somebody's words."""
    return Decision(go, line(why, 400))


def _stop_label(labels: tuple[str, ...], trigger: Trigger) -> Decision | None:
    if STOP_LABEL in {label.casefold() for label in labels}:
        what = "pull request" if trigger.is_pull else "issue"
        return _so("stop", f"{what} #{trigger.number} has the label {STOP_LABEL}: take it off to go on")
    return None


# ------------------------------------------------------------------------------------------------ is there anything to do


def _idle(trigger: Trigger, settings: GithubSettings) -> Decision | None:
    """What asks for nothing."""
    event, action = trigger.event, trigger.action
    if event == "push" and not trigger.sha:
        return _nothing(f"the push deletes {trigger.ref}; there is nothing to check")
    if event in _PULLS and action == "closed":
        return _nothing(f"pull request #{trigger.number} is closed; open it again to have it repaired")
    if event == "merge_group" and action != "checks_requested":
        return _nothing("the merge group is gone; there is nothing to check")
    if event in _CHECKS and action != "completed":
        return _nothing(f"{event} has not ended yet; listen to `types: [completed]`")
    if event in _CHECKS and trigger.conclusion not in _RED:
        return _nothing(f"{event} ended with {trigger.conclusion or 'nothing'}; only a failure is repaired")
    if event == "issue_comment" and (action != "created" or not trigger.command):
        edited = "a comment that is changed or deleted asks for nothing; " if action != "created" else ""
        return _nothing(f"{edited}write `/zwarm-ci fix` or `/zwarm-ci stop` on a line of its own in a new comment")
    if event == "issues":
        return _idle_issue(trigger, settings)
    return None


def _idle_issue(trigger: Trigger, settings: GithubSettings) -> Decision | None:
    asked = (
        trigger.action == "labeled" and trigger.argument.casefold() in {label.casefold() for label in settings.labels}
    ) or (trigger.action == "opened" and trigger.command)
    if asked:
        return None
    how = " or ".join([*(f"add the label {label}" for label in settings.labels), "comment `/zwarm-ci fix`"])
    return _nothing(f"issue #{trigger.number} was {trigger.action}, which asks for nothing; {how}")


# ------------------------------------------------------------------------------------------------------------- who did it


def _ours(trigger: Trigger, environ: Mapping[str, str]) -> Decision | None:
    """What we did ourselves starts nothing, or a repair would start the next one."""
    again = "start it by workflow_dispatch if it is wanted"
    if trigger.event == "issue_comment":
        if _MARKER.search(trigger.comment):
            return _nothing("the comment has the mark of zwarm-ci's own; write one of your own")
    elif trigger.event != "workflow_dispatch":
        if trigger.ref.casefold().startswith(BRANCH_PREFIX):
            return _nothing(f"{trigger.ref} is a branch of zwarm-ci itself; {again}")
        if trigger.event in _COMMITS and _TRAILER.search(trigger.body):
            return _nothing(f"the commit is zwarm-ci's own (it has the trailer Zwarm-Run); {again}")
        if trigger.event in _ASKED_FOR and _MARKER.search(trigger.body):
            return _nothing(f"issue #{trigger.number} is zwarm-ci's own; open one of your own")
    if trigger.event == "workflow_run" and trigger.workflow and trigger.workflow == environ.get("GITHUB_WORKFLOW"):
        return _nothing("the run is one of this same workflow; let it listen to others")
    if trigger.event in _CHECKS and trigger.workflow.casefold().startswith("zwarm-ci"):
        return _nothing(f"{line(trigger.workflow, 60)} is zwarm-ci's own; let the workflow listen to others")
    if trigger.actor.id == ACTIONS_BOT and trigger.event in _ASKED_FOR:
        return _nothing("a workflow wrote this (github-actions[bot]); a person has to ask")
    return None


def _bot(trigger: Trigger, settings: GithubSettings) -> Decision | None:
    """Bots count by number; a name that ends with `[bot]` is no recommendation, and one that does not is no proof."""
    actor = trigger.actor
    if trigger.event == "schedule" or actor.kind == "User" or actor.id in settings.bots:
        return None
    return _nothing(
        f"{actor.login} (id {actor.id}) is of the kind {actor.kind or 'unknown'}, not a person; "
        f"trust it by `bots = [{actor.id}]` below [github] in the settings"
    )


# ------------------------------------------------------------------------------------------------------------- people


def _people(trigger: Trigger, settings: GithubSettings, asks: Asks) -> Decision:
    if trigger.event in _ASKED_FOR:
        return _commanded(trigger, settings, asks)
    if trigger.fork and trigger.event in _PRIVILEGED:
        return _nothing(
            f"{trigger.event} has this repository's secrets and the commit is from {_whose(trigger)}: "
            "run zwarm-ci on `pull_request` for forks, there it is harmless"
        )
    if trigger.number and (stopped := _stopped_since(trigger, asks)):
        return stopped
    if trigger.event not in _PULLS:
        return _so("run", f"{trigger.event} in {trigger.repo or 'this repository'}")
    if trigger.fork:
        return _so(
            "free",
            f"pull request #{trigger.number} is from {_whose(trigger)}: free rungs alone, the patch comes as a bundle",
        )
    return _own_pull(trigger, settings, asks)


def _whose(trigger: Trigger) -> str:
    return f"the fork {trigger.head_repo}" if trigger.head_repo else "a fork, or from a place that GitHub does not name"


def _stopped_since(trigger: Trigger, asks: Asks) -> Decision | None:
    """The kill switch as it is now: a run that is started again has the event of its first time. Where GitHub does not tell, that is it."""
    try:
        now = asks.issue(trigger.repo, trigger.number)
    except ZwarmError:
        return None
    return _stop_label(_labels(now), trigger)


def _own_pull(trigger: Trigger, settings: GithubSettings, asks: Asks) -> Decision:
    """A branch of this repository: who pushed it could write. Its author's word for texts counts by association or permission."""
    author, actor = trigger.author, trigger.actor
    if actor.id in settings.bots or (author and (author.id in settings.bots or author.association in settings.trusted)):
        return _so("run", f"pull request #{trigger.number} of {(author or actor).login}")
    who = author or actor
    try:
        may = asks.permission(trigger.repo, who.login)
    except ZwarmError as error:
        return _so("free", f"GitHub does not say what {who.login} may do, so free rungs alone: {error.message}")
    if may in _MAY_WRITE:
        return _so("run", f"pull request #{trigger.number} of {who.login}, who may write here")
    said = f"{who.login} ({who.association or 'no association'}, {may}) is nobody that [github] trusted names"
    return _so("free", f"{said}: free rungs alone")


# ------------------------------------------------------------------------------------------------- what somebody asked for


def _commanded(trigger: Trigger, settings: GithubSettings, asks: Asks) -> Decision:
    """A label or a comment: its author by number, association and permission, then whether what was approved is still there."""
    refused = _author(trigger, settings)
    if refused:
        return refused
    actor = trigger.actor
    try:
        may = "write" if actor.id in settings.bots else asks.permission(trigger.repo, actor.login)
        if may not in _MAY_WRITE:
            return _nothing(
                f"{actor.login} may not write to {trigger.repo} (GitHub says {may}); ask somebody who may to comment `/zwarm-ci fix`"
            )
        if trigger.command == "stop":
            return _so("stop", f"{actor.login} said `/zwarm-ci stop` on #{trigger.number}")
        changed = _changed(trigger, asks.issue(trigger.repo, trigger.number))
        if changed is None and trigger.is_pull:
            changed = _foreign(trigger, asks)
    except ZwarmError as error:
        return _nothing(
            f"GitHub could not be asked who {actor.login} is, so nothing runs: {error.line}; give the job a token that may read this"
        )
    return changed or _so("run", f"{actor.login} asked for it on #{trigger.number}")


def _author(trigger: Trigger, settings: GithubSettings) -> Decision | None:
    """Who labels an issue is known by permission alone: GitHub names the association of authors only."""
    if trigger.event == "issues" and trigger.action == "labeled":
        return None
    actor, author = trigger.actor, trigger.author
    if author is None or author.id != actor.id:
        return _nothing(f"{actor.login} is not who wrote it; write a comment of your own")
    if actor.id in settings.bots or author.association in settings.trusted:
        return None
    return _nothing(
        f"{actor.login} is {author.association or 'unknown'} to {trigger.repo}; trusted are {', '.join(settings.trusted) or 'none'} "
        "([github] trusted in the settings)"
    )


def _changed(trigger: Trigger, now: Mapping[str, Any]) -> Decision | None:
    """Whether the issue is no longer what was approved: stopped, closed, or its text edited since."""
    if stopped := _stop_label(_labels(now), trigger):
        return stopped
    if now.get("state") == "closed":
        return _nothing(f"#{trigger.number} is closed; open it again and ask once more")
    if (now.get("title"), now.get("body") or "") != (trigger.title, trigger.body):
        return _nothing(f"#{trigger.number} was edited since it was approved; read it and ask once more")
    return None


def _foreign(trigger: Trigger, asks: Asks) -> Decision | None:
    """A comment's workflow has the repository's secrets, and its event does not say whose code the pull request holds."""
    listed = asks.pulls(trigger.repo) if isinstance(asks, AsksPulls) else []
    found = next((pull for pull in listed if pull.get("number") == trigger.number), None)
    if found is None:
        return _nothing(
            f"GitHub does not say whose code pull request #{trigger.number} holds, so none of it runs with secrets"
        )
    head = found.get("head")
    repo = head.get("repo") if isinstance(head, dict) else None
    if isinstance(repo, dict) and repo.get("id") == trigger.repo_id:
        return None
    return _nothing(
        f"pull request #{trigger.number} is from a fork, whose code is not run with secrets: "
        "run zwarm-ci on `pull_request`, or push the branch to this repository"
    )


def _labels(now: Mapping[str, Any]) -> tuple[str, ...]:
    found = now.get("labels")
    named = [entry.get("name") if isinstance(entry, dict) else entry for entry in found or () if entry]
    return tuple(name for name in named if isinstance(name, str))
