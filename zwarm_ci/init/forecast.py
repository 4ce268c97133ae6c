"""What a first repair would do here, and cost at most: the checks as they ran, and the ladder as it stands."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from zwarm_ci.preview import preview
from zwarm_ci.pricing import format_cost
from zwarm_ci.selection import Request
from zwarm_ci.task import Check
from zwarm_ci.verdict import CheckResult

_SHOWN = 3  # ids named for one check


def text(
    request: Request,
    checks: Sequence[Check],
    results: Sequence[CheckResult],
    lacks: Sequence[tuple[str, tuple[str, ...], str]],
) -> str:
    """The lines that end `init`.

    Raises:
        UsageError, BlockedError: a repair could not begin, for the reason that it says.
    """
    if not results:
        why = "; ".join(f"{check}: {reason}" for check, _, reason in lacks) or "none was found"
        return f"No check ran ({why}). Name one in .zwarm/config.toml: [checks.tests] run = …"
    lines = [_ran(result) for result in results]
    lines += [f"{check}: {reason}" for check, _, reason in lacks]
    if lacks:
        lines.append("`zwarm-ci doctor` says what lacks, and the settings that supply it.")
    tests = {c.name for c in checks if c.is_test}
    command = "fix-tests" if tests and any(r.failed for r in results if r.name in tests) else "fix-checks"
    command = "fix-tests" if tests and not any(r.failed for r in results) else command
    return "\n".join([*lines, "", _would(replace(request, command=command), results, tests)])


def _ran(result: CheckResult) -> str:
    if result.trouble:
        return f"{result.name}: cannot be believed: {result.trouble}"
    named = (
        f": {', '.join(result.failed[:_SHOWN])}{' …' if len(result.failed) > _SHOWN else ''}" if result.failed else ""
    )
    return f"{result.name}: {len(result.passed)} passed, {len(result.failed)} failed{named}"


def _would(request: Request, results: Sequence[CheckResult], tests: set[str]) -> str:
    only_tests = request.command == "fix-tests"
    red = sum(len(r.failed) for r in results if not only_tests or r.name in tests)
    said = json.loads(preview(replace(request, tests_only=only_tests), as_json=True))
    who = f"by {' → '.join(said['ladder'])}, within {said['minutes']:g} minutes"
    cost = f"cost at most {format_cost(said['cost_ceiling_usd'])}"
    notes = "".join(f"\n{note}" for note in said["notes"])
    if not red:
        what = f"A first `zwarm-ci {request.command}` would find nothing red now, and spend nothing."
        return f"{what} What turns red later is repaired {who}; {cost}.{notes}"
    return f"A first `zwarm-ci {request.command}` would repair what is red ({red} in all), {who}; {cost}.{notes}"
