"""With the token: what the event is, whether it may have something run, and which checks a failed workflow had."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from zwarm_ci import settings as loading
from zwarm_ci.action.inputs import Inputs
from zwarm_ci.config import GithubSettings
from zwarm_ci.errors import BlockedError, UsageError
from zwarm_ci.git import open_repository
from zwarm_ci.github import event, trust
from zwarm_ci.github.event import Trigger
from zwarm_ci.github.trust import Decision

#: Events for which any CI runs the code with neither secrets nor a token; `verify` does no more than that.
_ANY_CI = frozenset({"push", "pull_request", "merge_group", "schedule", "workflow_dispatch"})


@dataclass(frozen=True, slots=True)
class Case:
    """An event and what was decided of it; `trigger` None = it is none of ours."""

    trigger: Trigger | None
    decision: Decision


def decide(inputs: Inputs, environ: Mapping[str, str]) -> Case:
    """Look at the event of this job, and ask the forge who may have it acted on.

    Raises:
        UsageError: there is no event, or no payload of it.
    """
    name, payload = environ.get("GITHUB_EVENT_NAME", ""), environ.get("GITHUB_EVENT_PATH", "")
    if not name or not payload:
        raise UsageError("GITHUB_EVENT_NAME or GITHUB_EVENT_PATH is not set", remedy="a workflow's step sets them")
    try:
        trigger = event.read(name, Path(payload).read_bytes())
    except OSError as error:
        raise UsageError(
            f"the event's payload cannot be read: {error.strerror}", remedy="see GITHUB_EVENT_PATH"
        ) from error
    from zwarm_ci.github.api import Api

    settings = trusted(trigger, inputs, environ) if trigger else GithubSettings()
    found = trust.decide(trigger, settings, Api(inputs.token), environ)
    if found.go == "nothing" and inputs.mode == "verify" and name in _ANY_CI:
        found = Decision("free", "verify needs no trust: no executor, no token, no secret, as in any CI")
    if found.go == "free" and inputs.mode == "publish":
        found = Decision("nothing", "what is made of a fork's code is handed over as a bundle, never published")
    return Case(trigger, found)


def trusted(trigger: Trigger, inputs: Inputs, environ: Mapping[str, str]) -> GithubSettings:
    """Whom the repository trusts, as the event's own commit says it; a fork's word counts for nothing."""
    sha = environ.get("GITHUB_SHA", "")
    if trigger.fork or not sha:
        return GithubSettings()
    try:
        user = open_repository(Path(inputs.directory))
        commit = user.commit_of(sha)
    except (BlockedError, UsageError):  # `publish` needs no checkout, and a shallow one may be of another commit
        return GithubSettings()

    def read(path: str) -> bytes | None:
        result = user.git.run("cat-file", "blob", f"{commit}:{path}", check=False)
        return result.stdout if result.ok else None

    return loading.load(read, commit[:12], Path(inputs.config) if inputs.config else None, ()).github


def target(case: Case) -> str:
    """The branch that a pull request is for; "" = the default one."""
    trigger = case.trigger
    if trigger is None or trigger.ref.startswith(event.TAGS):
        return ""
    return trigger.base_ref if trigger.event == "merge_group" else trigger.ref


def behind(case: Case, directory: str) -> str:
    """A line where the checkout is not of the commit that the event is about; "" = it is, or nobody can tell."""
    wanted = case.trigger.sha if case.trigger else ""
    try:
        head = open_repository(Path(directory)).head if wanted else ""
    except (BlockedError, UsageError):  # the run itself says so
        return ""
    if head in {
        "",
        wanted,
        os.environ.get("GITHUB_SHA"),
    }:  # a pull request's own commit is not the one that GitHub merges for it
        return ""
    return f"the event is about {wanted[:12]}, the checkout is {head[:12]}: give actions/checkout `ref: {wanted}` to repair that one"
