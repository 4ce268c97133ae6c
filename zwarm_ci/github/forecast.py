"""What the Action would do with a payload, and why not; nothing is started. Where there is no token, it says what would be asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zwarm_ci.config import GithubSettings
from zwarm_ci.errors import UsageError
from zwarm_ci.github.api import token_of
from zwarm_ci.github.event import MOST_BYTES, Trigger, read
from zwarm_ci.github.trust import Asks, Decision, decide
from zwarm_ci.github.words import line

_PERSONS, _APPS = ("ghp_", "gho_", "ghu_", "github_pat_"), ("ghs_",)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is known of the event as (topic, line), the decision, and what was taken for granted instead of asked."""

    event: str
    facts: tuple[tuple[str, str], ...]
    decision: Decision
    assumed: tuple[str, ...] = ()


class _Assumed:
    """GitHub's answers where it is not asked: each in the trigger's favour, and written down."""

    def __init__(self, trigger: Trigger | None) -> None:
        self.trigger, self.said = trigger, list[str]()

    def permission(self, repo: str, login: str) -> str:
        self.said.append(f"{login} may write to {repo}: the permission would be asked of GitHub")
        return "write"

    def issue(self, repo: str, number: int) -> Mapping[str, Any]:
        self.said.append(f"#{number} is still as the payload has it: it would be looked at again")
        seen = self.trigger
        return {"title": seen.title, "body": seen.body, "labels": list(seen.labels), "state": "open"} if seen else {}

    def pulls(self, repo: str, *, head: str = "", state: str = "open") -> list[dict[str, Any]]:
        seen = self.trigger
        if seen is None:
            return []
        self.said.append(f"#{seen.number} is from {repo} itself: GitHub would be asked whose code it is")
        return [{"number": seen.number, "head": {"repo": {"id": seen.repo_id}}}]


def foresee(
    event: str, payload: Path, settings: GithubSettings, environ: Mapping[str, str], asks: Asks | None = None
) -> Forecast:
    """Read the payload and decide as the Action does; `asks` None = GitHub is not asked.

    Raises:
        UsageError: the file cannot be read, or is no payload of that event.
    """
    try:
        with payload.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"--event {payload}: {error.strerror or error}") from error
    trigger = read(event, data)
    assumed = _Assumed(trigger)
    decision = decide(trigger, settings, asks or assumed, environ)
    facts = _facts(trigger) if trigger else ()
    if decision.go in {"run", "free"}:
        facts = (*facts, ("checks", starts(environ)))
    return Forecast(event, facts, decision, tuple(dict.fromkeys(assumed.said)))


def starts(environ: Mapping[str, str]) -> str:
    """Whether a workflow would start on a pull request that is opened with the token that is set, as far as it shows."""
    token = token_of(environ)
    if token.startswith(_PERSONS):
        return "start by themselves on a pull request of this token, a person's"
    if token and not token.startswith(_APPS):
        return "no token of GitHub's is set, so whether they start on a pull request cannot be told"
    remedy = "for checks that do, give the step with `publish` the `token:` of a GitHub App or a person"
    if token and environ.get("GITHUB_ACTIONS") != "true":
        return (
            f"start by themselves on a pull request if this token is an App's, not if it is a workflow's own; {remedy}"
        )
    return f"do not start by themselves on a pull request that the workflow's own GITHUB_TOKEN opens; {remedy}"


def _facts(trigger: Trigger) -> tuple[tuple[str, str], ...]:
    actor, author = trigger.actor, trigger.author
    by = f"{actor.login} (id {actor.id}, {actor.kind})" if actor.id else "nobody"
    wrote = f"{author.login} (id {author.id}), {author.association or 'of no association'}" if author else ""
    what = "pull request" if trigger.is_pull else "issue"
    commit = " ".join(filter(None, [trigger.sha[:12], f"on {trigger.ref}" if trigger.ref else ""]))
    source = f"{commit}, from {trigger.head_repo or 'a place that is not named'}" if trigger.fork else commit
    facts = (
        ("event", f"{trigger.event} {trigger.action}".strip()),
        ("in", trigger.repo),
        ("by", by),
        ("written by", wrote),
        ("about", f"{what} #{trigger.number} {trigger.title}" if trigger.number else ""),
        ("commit", source),
        ("ended with", trigger.conclusion),
        ("command", f"/zwarm-ci {trigger.command} {trigger.argument}".strip() if trigger.command else ""),
    )
    return tuple((topic, line(text)) for topic, text in facts if text)


def as_text(forecast: Forecast) -> str:
    """What a person reads."""
    does = {
        "run": "the Action would run",
        "free": "the Action would run its free rungs alone",
        "stop": "the Action would stop",
        "nothing": "the Action would do nothing",
    }
    rows = [*forecast.facts, ("decision", f"{does[forecast.decision.go]}: {forecast.decision.why}")]
    rows += [("assumed", text) for text in forecast.assumed]
    width = max(len(topic) for topic, _ in rows)
    return "".join(f"{topic:<{width}}  {text}\n" for topic, text in rows)


def as_json(forecast: Forecast) -> str:
    """The same as one JSON document."""
    document = {
        "schema": 1,
        "event": line(forecast.event, 60),
        "facts": [{"topic": topic, "line": text} for topic, text in forecast.facts],
        "go": forecast.decision.go,
        "why": forecast.decision.why,
        "assumed": list(forecast.assumed),
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
