"""A run as spans: one for the run, one a task, one an attempt. Pure; names as OpenTelemetry's conventions for generative AI have them.

What a model or a person wrote (titles, reasons, messages) is in no span.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from zwarm_ci.reports.base import cleaned
from zwarm_ci.verdict import SOLVED, Attempt, Outcome, TaskOutcome

#: Who answers an executor's calls, by the name that the conventions give it; an executor that is not here asks no model.
PROVIDERS = {"codex": "openai", "claude": "anthropic"}
Value = str | int | float
Turn = tuple[str, int]  # a session's id and the number of its turn
_NANO = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Span:
    """One span as it leaves.

    Attributes:
        trace, id, parent: hex, 32 and 16 digits; `parent` "" = the root. The same for the same run, so that nothing is there twice.
        start, end: nanoseconds since 1970.
        error: what it ended in where that is not a solution; "" = it went well.
    """

    trace: str
    id: str
    parent: str
    name: str
    start: int
    end: int
    attributes: dict[str, Value]
    error: str = ""


@dataclass(frozen=True, slots=True)
class _Clock:
    """When the run began and ended, and each turn that somebody wrote down; seconds since 1970."""

    begun: float
    now: float
    turns: Mapping[Turn, float]

    def of(self, attempt: Attempt, after: float) -> tuple[float, float]:
        """From when to when; a turn that nobody wrote down came next `after` another. None ends later than the run."""
        start = min(max(0.0, self.turns.get((attempt.session, attempt.turn), after)), self.now)
        return start, min(start + attempt.executor_seconds + attempt.verify_seconds, self.now)


def spans(outcome: Outcome, turns: Mapping[Turn, float], now: float) -> tuple[Span, ...]:
    """The run's spans, the root first, every string of them scrubbed.

    Args:
        outcome: the record.
        turns: when a turn began, as far as it is known; seconds since 1970.
        now: when the run ended, likewise.
    """
    outcome = cleaned(outcome)
    clock = _Clock(max(0.0, now - outcome.seconds.wall), now, turns)
    trace, root = _digits(outcome, 32), _digits(outcome, 16, "run")
    below = [s for number, task in enumerate(outcome.tasks) for s in _of_task(outcome, number, task, clock)]
    start = min([_nano(clock.begun), *(s.start for s in below)])
    failed = outcome.status if outcome.exit_code else ""
    name = f"invoke_workflow {outcome.command}"
    return (Span(trace, root, "", name, start, _nano(now), _attributes(_of_run(outcome), failed), failed), *below)


def _of_task(outcome: Outcome, number: int, task: TaskOutcome, clock: _Clock) -> Iterator[Span]:
    trace, own = _digits(outcome, 32), _digits(outcome, 16, "task", number)
    times, last = [], clock.begun
    for made in task.attempts:
        times.append(clock.of(made, last))
        last = times[-1][1]
    start, end = min((t[0] for t in times), default=clock.begun), max((t[1] for t in times), default=clock.begun)
    failed = "" if task.solved else task.status
    given = _attributes(_about_task(task), failed)
    yield Span(trace, own, _digits(outcome, 16, "run"), f"task {task.task.id}", _nano(start), _nano(end), given, failed)
    for place, (made, (start, end)) in enumerate(zip(task.attempts, times, strict=True)):
        failed = "" if made.verdict in SOLVED else made.verdict
        yield Span(
            trace, _digits(outcome, 16, "attempt", number, place), own, _name(made), _nano(start), _nano(end),
            _attributes({**_genai(made), **_about_attempt(made)}, failed), failed,
        )  # fmt: skip


def _of_run(outcome: Outcome) -> dict[str, Value | None]:
    return {
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.workflow.name": outcome.command,
        "zwarm.run": outcome.run,
        "zwarm.status": outcome.status,
        "zwarm.exit_code": outcome.exit_code,
        "zwarm.tasks": len(outcome.tasks),
        "zwarm.solved": sum(t.solved for t in outcome.tasks),
        "zwarm.cost_usd": outcome.cost_usd,
        "zwarm.unpriced_tokens": outcome.unpriced_tokens,
        "zwarm.suite_runs": outcome.suite_runs,
        "zwarm.base": outcome.base,
        "zwarm.branch": outcome.branch,
        "zwarm.head": outcome.head,
    }


def _about_task(task: TaskOutcome) -> dict[str, Value | None]:
    return {
        "zwarm.task": task.task.id,
        "zwarm.check": task.task.check,
        "zwarm.fingerprint": task.task.fingerprint,
        "zwarm.failures": len(task.task.failures),
        "zwarm.status": task.status,
        "zwarm.method": task.method,
        "zwarm.cost_usd": task.cost_usd,
        "zwarm.commit": task.commit,
    }


def _about_attempt(made: Attempt) -> dict[str, Value | None]:
    return {
        "zwarm.session": made.session,
        "zwarm.turn": made.turn,
        "zwarm.executor": made.executor,
        "zwarm.verdict": made.verdict,
        "zwarm.cost_usd": made.cost_usd,
        "zwarm.executor_seconds": made.executor_seconds,
        "zwarm.verify_seconds": made.verify_seconds,
        "zwarm.denials": made.denials,
        "zwarm.refusals": sum(f.level == "refuse" for f in made.guards),
    }


def _genai(made: Attempt) -> dict[str, Value | None]:
    """What the conventions ask of an agent's turn; nothing for an executor without a model. All input counts as input, cached too."""
    provider, used = PROVIDERS.get(made.executor), made.usage
    if provider is None:
        return {}
    return {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": provider,
        "gen_ai.agent.name": made.executor,
        "gen_ai.conversation.id": made.session,
        "gen_ai.request.model": made.model or None,
        "gen_ai.usage.input_tokens": used.input_tokens + used.cache_read_tokens + used.cache_write_tokens,
        "gen_ai.usage.cache_read.input_tokens": used.cache_read_tokens,
        "gen_ai.usage.cache_creation.input_tokens": used.cache_write_tokens,
        "gen_ai.usage.output_tokens": used.output_tokens,
        "gen_ai.usage.reasoning.output_tokens": used.reasoning_tokens,
    }


def _name(made: Attempt) -> str:
    return f"{'invoke_agent' if made.executor in PROVIDERS else 'attempt'} {made.executor}"


def _attributes(given: Mapping[str, Value | None], failed: str) -> dict[str, Value]:
    """What is known; OpenTelemetry has no null."""
    known = {name: value for name, value in given.items() if value is not None}
    return {**known, "error.type": failed} if failed else known


def _digits(outcome: Outcome, digits: int, *place: str | int) -> str:
    text = "\0".join((outcome.run, outcome.base, *map(str, place)))
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def _nano(seconds: float) -> int:
    return round(seconds * _NANO)
