"""outcome.json: the record of a run, and its reader. Numbers as numbers, text cleaned, nothing that needs another file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from zwarm_ci.errors import UsageError
from zwarm_ci.reports.base import cleaned
from zwarm_ci.scrub import one_line
from zwarm_ci.task import Failure, Origin, Place, Task, Usage
from zwarm_ci.verdict import SCHEMA, Attempt, CheckResult, GuardFinding, Outcome, Seconds, TaskOutcome

name = "json"
filename = "outcome.json"
T = TypeVar("T")
_USAGE = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")


def render(outcome: Outcome) -> str:
    """outcome.json's text."""
    return json.dumps(document(outcome), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def to_json(outcome: Outcome) -> str:
    """outcome.json's text."""
    return render(outcome)


def schema() -> dict[str, Any]:
    """The published JSON Schema (draft 2020-12), as the package ships it."""
    shipped = Path(__file__).with_name("outcome.schema.json").read_text(encoding="utf-8")
    return dict(json.loads(shipped))


def document(outcome: Outcome) -> dict[str, Any]:
    """outcome.json as a dict, cleaned; the keys are published by `schema`."""
    outcome = cleaned(outcome)
    spent = outcome.seconds
    return {
        "schema": SCHEMA,
        "run": outcome.run,
        "command": outcome.command,
        "repo": ".",
        "source_head": outcome.source_head,
        "base": outcome.base,
        "branch": outcome.branch,
        "head": outcome.head,
        "status": outcome.status,
        "exit_code": outcome.exit_code,
        "reason": outcome.reason,
        "checks": {"before": [_check(c) for c in outcome.before], "after": [_check(c) for c in outcome.after]},
        "tasks": [_task(t) for t in outcome.tasks],
        "usage": _usage(outcome.usage),
        "cost_usd": _number(outcome.cost_usd),
        "unpriced_tokens": outcome.unpriced_tokens,
        "seconds": {
            "wall": _seconds(spent.wall),
            "executor": _seconds(spent.executor),
            "verify": _seconds(spent.verify),
            "checks": _seconds(spent.checks),
        },
        "suite_runs": outcome.suite_runs,
        "limits": {key: _number(value) for key, value in outcome.limits.items()},
        "notes": list(outcome.notes),
    }


def _task(outcome: TaskOutcome) -> dict[str, Any]:
    origin = outcome.origin
    return {
        "id": outcome.task.id,
        "title": outcome.task.title,
        "fingerprint": outcome.task.fingerprint,
        "check": outcome.task.check,
        "failures": list(outcome.task.targets),
        "errors": [_error(f) for f in outcome.task.failures],
        "status": outcome.status,
        "reason": outcome.reason,
        "method": outcome.method,
        "origin": origin
        and {
            "revert": origin.revert,
            "author": origin.author,
            "subject": origin.subject,
            "places": list(origin.places),
        },
        "patch": outcome.patch,
        "commit": outcome.commit,
        "evidence": outcome.evidence,
        "review": [_finding(f) for f in outcome.review],
        "cost_usd": _number(outcome.cost_usd),
        "attempts": [_attempt(a) for a in outcome.attempts],
    }


def _error(failure: Failure) -> dict[str, Any]:
    place = str(failure.place) if failure.place else None
    return {"id": failure.id, "place": place, "message": failure.message, "detail": failure.detail}


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "session": attempt.session,
        "turn": attempt.turn,
        "executor": attempt.executor,
        "model": attempt.model,
        "usage": _usage(attempt.usage),
        "cost_usd": _number(attempt.cost_usd),
        "provider_cost_usd": _number(attempt.provider_cost_usd),
        "seconds": {"executor": _seconds(attempt.executor_seconds), "verify": _seconds(attempt.verify_seconds)},
        "verdict": attempt.verdict,
        "reason": attempt.reason,
        "denials": attempt.denials,
        "guards": [_finding(f) for f in attempt.guards],
        "checks": [_check(c) for c in attempt.checks],
    }


def _check(check: CheckResult) -> dict[str, Any]:
    return {
        "name": check.name,
        "command": check.command,
        "exit_code": check.exit_code,
        "passed": list(check.passed),
        "failed": list(check.failed),
        "skipped": list(check.skipped),
        "seconds": _seconds(check.seconds),
        "trouble": check.trouble,
        "timed_out": check.timed_out,
    }


def _finding(finding: GuardFinding) -> dict[str, Any]:
    return {
        "guard": finding.guard,
        "level": finding.level,
        "path": finding.path,
        "line": finding.line,
        "detail": finding.detail,
        "allow": finding.allow,
    }


def _usage(usage: Usage) -> dict[str, int]:
    return {key: getattr(usage, key) for key in _USAGE}


def _seconds(value: float) -> float:
    return round(value, 3) if math.isfinite(value) else 0.0


def _number(value: float | None) -> float | None:
    """JSON has no infinity: no limit, like no known price, is null."""
    return value if value is not None and math.isfinite(value) else None


def from_json(text: str) -> dict[str, Any]:
    """outcome.json's content; keys that we do not know stay.

    Raises:
        UsageError: not JSON, not an outcome, or one with a later schema.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"not an outcome.json: {one_line(str(error))}") from error
    number = found.get("schema") if isinstance(found, dict) else None
    if not isinstance(number, int) or number < 1:
        raise UsageError("not an outcome.json: it has no schema number")
    if number > SCHEMA:
        raise UsageError(f"outcome.json has schema {number}, this version reads {SCHEMA}", remedy="upgrade zwarm-ci")
    return dict(found)


def outcome_of(found: Mapping[str, Any]) -> Outcome:
    """The Outcome that outcome.json records, as far as reports need it; what is missing or malformed is as if empty."""
    checks, spent = _table(found, "checks"), _table(found, "seconds")
    return Outcome(
        run=_of(found, "run", ""),
        command=_of(found, "command", ""),
        source_head=_of(found, "source_head", ""),
        base=_of(found, "base", ""),
        status=_of(found, "status", "not_fixed"),
        exit_code=_of(found, "exit_code", 1),
        reason=_of(found, "reason", ""),
        branch=_of(found, "branch", "") or None,
        head=_of(found, "head", "") or None,
        before=tuple(_read_check(c) for c in _dicts(checks, "before")),
        after=tuple(_read_check(c) for c in _dicts(checks, "after")),
        tasks=tuple(_read_task(t) for t in _dicts(found, "tasks")),
        usage=_read_usage(_table(found, "usage")),
        cost_usd=_float(found, "cost_usd"),
        unpriced_tokens=_of(found, "unpriced_tokens", 0),
        seconds=Seconds(*(_float(spent, key) for key in ("wall", "executor", "verify", "checks"))),
        suite_runs=_of(found, "suite_runs", 0),
        limits={k: _limit(v) for k, v in _table(found, "limits").items() if v is None or isinstance(v, int | float)},
        notes=_strings(found, "notes"),
    )


def _read_task(found: Mapping[str, Any]) -> TaskOutcome:
    check = _of(found, "check", "")
    errors = {_of(e, "id", ""): e for e in _dicts(found, "errors")}
    failures = tuple(_read_failure(check, i, errors.get(i, {})) for i in _strings(found, "failures"))
    origin = _table(found, "origin")
    return TaskOutcome(
        task=Task(_of(found, "id", ""), _of(found, "title", ""), _of(found, "fingerprint", ""), check, failures),
        status=_of(found, "status", "unverifiable"),
        reason=_of(found, "reason", ""),
        method=_of(found, "method", "") or None,  # type: ignore[arg-type] # a method of a later version is shown as it is
        origin=_read_origin(origin) if origin else None,
        patch=_of(found, "patch", "") or None,
        commit=_of(found, "commit", "") or None,
        evidence=_of(found, "evidence", "") or None,
        review=tuple(_read_finding(f) for f in _dicts(found, "review")),
        cost_usd=_float(found, "cost_usd"),
        attempts=tuple(_read_attempt(a) for a in _dicts(found, "attempts")),
    )


def _read_origin(found: Mapping[str, Any]) -> Origin:
    return Origin(
        _of(found, "revert", ""), _of(found, "author", ""), _of(found, "subject", ""), _strings(found, "places")
    )


def _read_failure(check: str, test_id: str, found: Mapping[str, Any]) -> Failure:
    path, colon, line = _of(found, "place", "").rpartition(":")
    place = Place(path, int(line)) if colon and line.isdecimal() else Place(path + colon + line) if line else None
    return Failure(check, test_id, _of(found, "message", ""), _of(found, "detail", ""), place)


def _read_attempt(found: Mapping[str, Any]) -> Attempt:
    spent = _table(found, "seconds")
    return Attempt(
        session=_of(found, "session", ""),
        turn=_of(found, "turn", 1),
        executor=_of(found, "executor", ""),
        model=_of(found, "model", ""),
        verdict=_of(found, "verdict", "unverifiable"),
        reason=_of(found, "reason", ""),
        usage=_read_usage(_table(found, "usage")),
        cost_usd=_float(found, "cost_usd") if found.get("cost_usd") is not None else None,
        provider_cost_usd=_float(found, "provider_cost_usd") if found.get("provider_cost_usd") is not None else None,
        executor_seconds=_float(spent, "executor"),
        verify_seconds=_float(spent, "verify"),
        denials=_of(found, "denials", 0),
        guards=tuple(_read_finding(f) for f in _dicts(found, "guards")),
        checks=tuple(_read_check(c) for c in _dicts(found, "checks")),
    )


def _read_check(found: Mapping[str, Any]) -> CheckResult:
    code = found.get("exit_code")
    return CheckResult(
        name=_of(found, "name", ""),
        command=_of(found, "command", ""),
        exit_code=code if isinstance(code, int) else None,
        passed=_strings(found, "passed"),
        failed=_strings(found, "failed"),
        skipped=_strings(found, "skipped"),
        seconds=_float(found, "seconds"),
        trouble=_of(found, "trouble", ""),
        timed_out=_of(found, "timed_out", False),  # noqa: FBT003 - the value that stands for a missing one
    )


def _read_finding(found: Mapping[str, Any]) -> GuardFinding:
    line = found.get("line")
    level: Any = _of(found, "level", "review")
    return GuardFinding(
        guard=_of(found, "guard", ""),
        level=level,
        path=_of(found, "path", ""),
        line=line if isinstance(line, int) else None,
        detail=_of(found, "detail", ""),
        allow=_of(found, "allow", ""),
    )


def _read_usage(found: Mapping[str, Any]) -> Usage:
    return Usage(*(_of(found, key, 0) for key in _USAGE))


def _of(found: Mapping[str, Any], key: str, missing: T) -> T:
    """The value, if it has the type of what stands for a missing one."""
    value = found.get(key)
    return value if type(value) is type(missing) else missing


def _table(found: Mapping[str, Any], key: str) -> dict[str, Any]:
    return _of(found, key, {})


def _float(found: Mapping[str, Any], key: str) -> float:
    value = found.get(key)
    return float(value) if isinstance(value, int | float) else 0.0


def _limit(value: float | None) -> float:
    return math.inf if value is None else float(value)


def _dicts(found: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    values: list[Any] = _of(found, key, [])
    return [v for v in values if isinstance(v, dict)]


def _strings(found: Mapping[str, Any], key: str) -> tuple[str, ...]:
    values: list[Any] = _of(found, key, [])
    return tuple(v for v in values if isinstance(v, str))
