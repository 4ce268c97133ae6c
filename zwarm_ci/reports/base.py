"""What every report is, and the words that they share: the headline, what was done, what to do next, what is claimed.

A report is a module with `name`, `filename` and `render`, a line in `REPORTS` (reports/write.py) and a call of
tests/conformance/report.py.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any, Protocol, TypeVar

from zwarm_ci.pricing import format_cost
from zwarm_ci.protected import is_protected
from zwarm_ci.scrub import one_line, plain, redactor
from zwarm_ci.task import Failure
from zwarm_ci.verdict import SOLVED, Attempt, CheckResult, GuardFinding, Outcome, Status, TaskOutcome, count

T = TypeVar("T")
DETAIL = 4000  # characters of one failure's traceback that leave
REASON = 1000  # characters of a reason
_BREAKS = re.compile(r"[\n\t\u2028\u2029]+")
DETAILED = 20  # failures of one task that keep a traceback; the others keep their message
SYMBOLS: dict[Status, str] = {"fixed": "✓", "already_green": "✓", "flaky": "~", "attributed": "→"}
METHODS = {
    "fixer": "the check's own fix",
    "revert": "revert",
    "known_error": "known error",
    "template": "plausible edit from a template",
    "model": "model",
}


class Report(Protocol):
    """A form of the outcome. `render` is pure, takes hostile text and returns what may leave this machine."""

    name: str
    filename: str

    def render(self, outcome: Outcome, /) -> str:
        """The whole report."""
        ...


def cleaned(outcome: Outcome) -> Outcome:
    """The outcome with every string of it redacted, printable and, but for tracebacks, one line; twice changes nothing."""
    mask = redactor()

    @functools.cache  # names and messages repeat thousands of times
    def clean(text: str) -> str:
        masked = mask(text)
        shown = plain(masked)
        return masked if shown == masked else mask(shown)  # what is invisible may have split a token

    short = replace(outcome, tasks=tuple(_with_failures(t, _few_details) for t in outcome.tasks))  # before, for speed
    found = _mapped(short, clean)
    tasks = tuple(_with_failures(t, _bounded) for t in found.tasks)  # after, so that no token is cut in two
    return replace(found, reason=one_line(found.reason, REASON), tasks=tuple(_short(t) for t in tasks))


def _mapped(value: T, clean: Callable[[str], str]) -> T:
    changed: Any = value
    if isinstance(value, str):
        changed = _BREAKS.sub(" ", clean(value))
    elif isinstance(value, tuple):
        changed = tuple(_mapped(v, clean) for v in value)
    elif isinstance(value, dict):
        changed = {_mapped(k, clean): _mapped(v, clean) for k, v in value.items()}
    elif is_dataclass(value) and not isinstance(value, type):
        changed = replace(value, **{f.name: _mapped(getattr(value, f.name), clean) for f in fields(value)})
        if isinstance(value, Failure):
            changed = replace(changed, detail=clean(value.detail))
    return changed  # type: ignore[no-any-return] # same type, other strings


def _short(outcome: TaskOutcome) -> TaskOutcome:
    task = replace(outcome.task, title=one_line(outcome.task.title), text="")
    attempts = tuple(replace(a, reason=one_line(a.reason, REASON)) for a in outcome.attempts)
    return replace(outcome, task=task, reason=one_line(outcome.reason, REASON), attempts=attempts)


def _with_failures(outcome: TaskOutcome, change: Callable[[int, Failure], Failure]) -> TaskOutcome:
    failures = tuple(change(number, f) for number, f in enumerate(outcome.task.failures))
    return replace(outcome, task=replace(outcome.task, failures=failures))


def _few_details(number: int, failure: Failure) -> Failure:
    return failure if number < DETAILED else replace(failure, detail="")


def _bounded(_number: int, failure: Failure) -> Failure:
    return replace(failure, message=one_line(failure.message, 400), detail=cut(failure.detail, DETAIL))


def cut(text: str, limit: int) -> str:
    """At most `limit` characters, of the beginning (the cause) and the end (the assertion)."""
    mark = "\n… cut …\n"
    if len(text) <= limit:
        return text
    head = (limit - len(mark)) // 3
    return text[:head] + mark + text[-(limit - len(mark) - head) :]


def words(status: str) -> str:
    """A status for people."""
    return status.replace("_", " ")


def symbol(outcome: TaskOutcome) -> str:
    """One character that says how it went."""
    return SYMBOLS.get(outcome.status, "✗")


def headline(outcome: Outcome) -> str:
    """The verdict in one line: `partly fixed: 5 of 7 tasks solved (3 fixed, 1 already green, 1 flaky)`."""
    total = len(outcome.tasks)
    if not total:
        return words(outcome.status)
    by_status = count(outcome.tasks)
    solved = [f"{n} {words(status)}" for status, n in by_status.items() if status in SOLVED]
    number = sum(t.solved for t in outcome.tasks)
    inside = f" ({', '.join(solved)})" if len(solved) > 1 or any("fixed" not in s for s in solved) else ""
    return f"{words(outcome.status)}: {number} of {plural(total, 'task')} solved{inside}"


def plural(number: int, noun: str) -> str:
    """`1 task`, `2 tasks`, `12,000 tasks`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def done(outcome: TaskOutcome) -> str:
    """What was done for the task, in one line; "" where nothing was."""
    if outcome.origin:
        origin = outcome.origin
        places = f" at {', '.join(origin.places[:3])}" if origin.places else ""
        more = f" and {len(origin.places) - 3} more" if len(origin.places) > 3 else ""
        verb = "caused by" if outcome.status == "attributed" else "revert of"
        return one_line(f"{verb} {origin.revert[:10]}{places}{more} ({origin.author}: {origin.subject})", 300)
    if outcome.method is None or not outcome.solved:
        return ""
    models = dict.fromkeys(a.model for a in outcome.attempts if a.model)
    return (
        f"{METHODS[outcome.method]} {', '.join(models)}".strip()
        if outcome.method == "model"
        else METHODS[outcome.method]
    )


def claim(outcome: Outcome) -> str:
    """What the delivered patches were shown to be, and no more; "" where none is delivered."""
    fixed = [t for t in outcome.tasks if t.status == "fixed"]
    if not fixed:
        return ""
    tests = any(is_protected(f.path) for t in fixed for f in t.review)
    in_words = any(not t.task.failures for t in fixed)  # nothing red stood for it, and its patch may bring tests
    untouched = "no test weakened" if in_words else "tests untouched"
    parts = [
        *(["a test of its own fails without it"] if outcome.command == "fix-issue" else []),
        "nothing that passed fails" if in_words else "green for the stated cause",
        "tests or their settings changed (see what asks for review)" if tests else untouched,
        *(["evidence attached"] if all(t.evidence for t in fixed) else []),
    ]
    return ", ".join(parts)


def next_command(outcome: Outcome) -> str:
    """The command that takes what was repaired; "" where there is nothing to take."""
    delivered = outcome.branch and any(t.status == "fixed" for t in outcome.tasks)
    return f"zwarm-ci take {outcome.run}" if delivered else ""


def change(before: CheckResult, after: CheckResult | None) -> str:
    """`12 failed → 2 failed` of one check."""
    then = state(before)
    return then if after is None or state(after) == then else f"{then} → {state(after)}"


def state(check: CheckResult) -> str:
    """One check's result in a few words."""
    if check.trouble:
        return one_line(check.trouble)
    if check.failed:
        return f"{len(check.failed):,} failed"
    if check.timed_out:
        return "timed out"
    return "green" if check.exit_code == 0 else f"exit code {check.exit_code}"


def checks(outcome: Outcome) -> list[tuple[str, str]]:
    """Each check's name and what became of it."""
    after = {c.name: c for c in outcome.after}
    return [(c.name, change(c, after.get(c.name))) for c in outcome.before]


def finding(found: GuardFinding) -> str:
    """One guard's finding in one line."""
    verb = "refused" if found.level == "refuse" else "please review"
    place = f" {found.path}:{found.line}" if found.line else f" {found.path}" if found.path else ""
    allow = f" (allow it with {found.allow})" if found.allow else ""
    return one_line(f"{verb}{place}: {found.detail}{allow}", 400)


def cost(outcome: Outcome) -> str:
    """What the run cost; says so where a part of it has no known price."""
    total = format_cost(max(0.0, outcome.cost_usd))
    return f"{total} and {outcome.unpriced_tokens:,} tokens of unknown price" if outcome.unpriced_tokens else total


def seconds(value: float) -> str:
    """`3.2 s`, `4 min 05 s`."""
    value = round(value, 3)  # as outcome.json has it
    if round(value, 1) < 60:
        return f"{value:.1f} s"
    whole = round(value)
    return f"{whole // 60} min {whole % 60:02d} s"


def time_spent(outcome: Outcome) -> str:
    """Wall time, and what it went into (parallel work counts each time)."""
    spent = outcome.seconds
    parts = {"checks": spent.checks, "executor": spent.executor, "verification": spent.verify}
    inside = ", ".join(f"{name} {seconds(value)}" for name, value in parts.items() if value)
    return seconds(spent.wall) + (f" ({inside})" if inside else "")


def tokens(attempts: tuple[Attempt, ...]) -> int:
    """Tokens of all attempts."""
    return sum(a.usage.total for a in attempts)
