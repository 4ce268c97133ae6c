"""The tables `orchestrator` and `watchers`: which CLI plans and delegates, within which limits, and who looks over its shoulder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, Strict

from zwarm_ci.config.scalars import OptionalText, Paths, Table, Texts

#: What a rule of the user's is searched in: the host's calls, what they answered, what sessions changed.
On = Literal["call", "output", "difference"]
#: What a watcher may say; `continue` is said by saying nothing.
Action = Literal["nudge", "pause", "abort"]


def _regex(value: str) -> str:
    try:
        re.compile(value)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"is no regular expression: {error}") from error
    return value


Regex = Annotated[str, Strict(), Field(min_length=1, max_length=1000), AfterValidator(_regex)]
Steps = Annotated[int, Strict(), Field(ge=1, le=100_000)]
#: 0 = no limit.
Limit = Annotated[int, Strict(), Field(ge=0, le=10**12)]


@dataclass(frozen=True)
class CompactionTable(Table):
    """When a host is to compact its context: at a share of so many tokens. 0 tokens = when the host itself wants to."""

    max_tokens: Limit = 100_000
    threshold_pct: Annotated[float, Strict(), Field(gt=0, le=1)] = 0.85

    @property
    def at(self) -> int:
        """Tokens of context at which it is due; 0 = the host's own business."""
        return int(self.max_tokens * self.threshold_pct)


@dataclass(frozen=True)
class OrchestratorSettings(Table):
    """Who plans and delegates: the CLI, its model ("" = its default), calls of tools at most, sessions at once.

    `allowed_dirs`: folders that delegated work may go to; empty = anywhere in the repository.
    """

    host: Literal["claude", "codex"] = "claude"
    lm: OptionalText = ""
    max_steps: Steps = 50
    parallel_delegations: Annotated[int, Strict(), Field(ge=1, le=64)] = 4
    allowed_dirs: Paths = ()
    compaction: CompactionTable = CompactionTable()


@dataclass(frozen=True)
class RuleTable(Table):
    """One rule of the `pattern` watcher: a regular expression, where it is searched, and what follows."""

    regex: Regex
    on: On = "call"
    action: Action = "nudge"
    message: OptionalText = ""


@dataclass(frozen=True)
class PatternTable(Table):
    """The user's own rules."""

    rules: tuple[RuleTable, ...] = ()


@dataclass(frozen=True)
class ScopeTable(Table):
    """Globs that changes must keep to (empty = what a task names), and words that tasks must not be about."""

    paths: Texts = ()
    avoid: Texts = ()


@dataclass(frozen=True)
class SpendTable(Table):
    """Limits beside those of `budget`: tokens and sessions of a run; 0 = none."""

    tokens: Limit = 0
    sessions: Limit = 0


@dataclass(frozen=True)
class LlmTable(Table):
    """The small model whose opinion is asked every so many steps; it can nudge and nothing more."""

    model: OptionalText = ""
    every: Steps = 10


@dataclass(frozen=True)
class WatchersSettings(Table):
    """Who looks at every step of an orchestrator; the names of those that are on, and what some of them want to know."""

    enabled: Texts = ("progress", "budget", "scope", "quality", "delegation")
    pattern: PatternTable = PatternTable()
    scope: ScopeTable = ScopeTable()
    budget: SpendTable = SpendTable()
    llm: LlmTable = LlmTable()
