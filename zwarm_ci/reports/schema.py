"""The published JSON Schema of outcome.json: models of what `jsonreport.document` writes, loaded by nothing else.

Unknown keys are allowed, so that a later version may add some without a new schema number.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from zwarm_ci.verdict import Method, RunStatus, Status

FILE = Path(__file__).with_name("outcome.schema.json")


class _Model(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)


class UsageModel(_Model):
    """Tokens in disjoint buckets, but for reasoning tokens, which are a part of the output."""

    input_tokens: int = Field(description="uncached input")
    cache_read_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int


class CheckModel(_Model):
    """One run of one check."""

    name: str
    command: str
    exit_code: int | None = Field(description="null where it never ran or was ended by a limit")
    passed: list[str]
    failed: list[str]
    skipped: list[str]
    seconds: float
    trouble: str = Field(description="why the result cannot be believed; empty = it can")
    timed_out: bool


class FindingModel(_Model):
    """What a guard saw in a patch."""

    guard: str
    level: Literal["refuse", "review"]
    path: str
    line: int | None
    detail: str
    allow: str


class OriginModel(_Model):
    """The commit that brought a regression, and where."""

    revert: str
    author: str
    subject: str
    places: list[str]


class ErrorModel(_Model):
    """What one failure said before the repair; the detail is bounded, and empty beyond a task's first failures."""

    id: str
    place: str | None
    message: str
    detail: str


class AttemptSecondsModel(_Model):
    """Where an attempt's time went."""

    executor: float
    verify: float


class AttemptModel(_Model):
    """One turn of one session, and its verification."""

    session: str
    turn: int
    executor: str
    model: str
    usage: UsageModel
    cost_usd: float | None = Field(description="null = the price is unknown")
    provider_cost_usd: float | None
    seconds: AttemptSecondsModel
    verdict: Status
    reason: str
    denials: int
    guards: list[FindingModel]
    checks: list[CheckModel]


class TaskModel(_Model):
    """What became of a task."""

    id: str
    title: str
    fingerprint: str = Field(description="hex; stable over line moves and runs")
    check: str
    failures: list[str] = Field(description="the ids that were to become green")
    errors: list[ErrorModel]
    status: Status
    reason: str
    method: Method | None
    origin: OriginModel | None
    patch: str | None
    commit: str | None
    evidence: str | None
    review: list[FindingModel]
    cost_usd: float | None
    attempts: list[AttemptModel]


class ChecksModel(_Model):
    """All checks before and after."""

    before: list[CheckModel]
    after: list[CheckModel]


class SecondsModel(_Model):
    """Where the run's time went."""

    wall: float
    executor: float
    verify: float
    checks: float


class OutcomeModel(_Model):
    """The record of a run of zwarm-ci (outcome.json)."""

    number: Literal[1] = Field(alias="schema")
    run: str
    command: str
    repo: Literal["."]
    source_head: str = Field(description="the user's HEAD; differs from base where uncommitted work was repaired")
    base: str
    branch: str | None
    head: str | None
    status: RunStatus
    exit_code: int
    reason: str
    checks: ChecksModel
    tasks: list[TaskModel]
    usage: UsageModel
    cost_usd: float | None
    unpriced_tokens: int
    seconds: SecondsModel
    suite_runs: int
    limits: dict[str, float | None]
    notes: list[str]


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) as a dict."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "zwarm-ci outcome, schema 1"}
    made = OutcomeModel.model_json_schema(by_alias=True)
    return {**head, **{key: value for key, value in made.items() if key not in head}}


def text() -> str:
    """The schema as the package ships it in `outcome.schema.json`."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
