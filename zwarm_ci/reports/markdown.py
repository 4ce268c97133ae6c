"""summary.md: what a job summary or a review shows. Verdict first, then the tasks, then what is not solved and why."""

from __future__ import annotations

from collections.abc import Iterator

from zwarm_ci.pricing import format_cost
from zwarm_ci.reports import base
from zwarm_ci.scrub import fenced, one_line
from zwarm_ci.scrub import markdown as safe
from zwarm_ci.verdict import Outcome, TaskOutcome

name = "markdown"
filename = "summary.md"
LIMIT = 900_000  # bytes; GitHub drops a step summary of more than 1 MiB, whole
_ROWS = 500
_FAILURES = 5  # per task, with their error


def render(outcome: Outcome) -> str:
    """The whole file, at most `LIMIT` bytes."""
    outcome = base.cleaned(outcome)
    end = "".join(_figures(outcome))
    text = "".join(_top(outcome))
    room = LIMIT - len(end.encode()) - 200
    size = len(text.encode())
    sections = [*_unsolved(outcome), *_flaky(outcome), *_review(outcome)]
    for number, section in enumerate(sections):
        size += len(section.encode())
        if size > room:
            text += f"\n… and {base.plural(len(sections) - number, 'more section')}: see report.html.\n"
            break
        text += section
    return text + end


def _top(outcome: Outcome) -> Iterator[str]:
    mark = "✓" if outcome.exit_code == 0 else "✗"
    yield f"**{mark} {safe(base.headline(outcome))}**\n\n{safe(outcome.reason)}\n"
    if outcome.tasks:
        yield "\n| | status | task | how | commit | cost |\n| --- | --- | --- | --- | --- | ---: |\n"
        yield from (_row(t) for t in outcome.tasks[:_ROWS])
    if len(outcome.tasks) > _ROWS:
        yield f"\n… and {base.plural(len(outcome.tasks) - _ROWS, 'more task')}: see outcome.json.\n"
    if base.claim(outcome):
        yield f"\nShown of what is fixed: {base.claim(outcome)}.\n"
    if base.next_command(outcome):
        yield f"\nTake it:\n\n{fenced(base.next_command(outcome), 'sh')}"


def _row(outcome: TaskOutcome) -> str:
    cells = (
        base.symbol(outcome),
        base.words(outcome.status),
        safe(outcome.task.title or outcome.task.id),
        safe(base.done(outcome)),
        safe((outcome.commit or "")[:10]),
        safe(format_cost(max(0.0, outcome.cost_usd))),
    )
    return f"| {' | '.join(cells)} |\n"


def _unsolved(outcome: Outcome) -> Iterator[str]:
    for number, task in enumerate(t for t in outcome.tasks if not t.solved):
        heading = "" if number else "\n## Not solved\n"
        yield heading + "".join(_reasons(task))


def _reasons(outcome: TaskOutcome) -> Iterator[str]:
    yield f"\n### {base.symbol(outcome)} {safe(outcome.task.title or outcome.task.id)}\n\n"
    yield f"{base.words(outcome.status)}: {safe(outcome.reason)}\n"
    if outcome.origin:
        yield f"\n{safe(base.done(outcome))}\n\n"
        yield from (f"- {safe(place)}\n" for place in outcome.origin.places)
    for failure in outcome.task.failures[:_FAILURES]:
        place = f" at {failure.place}" if failure.place else ""  # ids in a fence alone, where they can be copied
        yield "\n" + fenced(
            f"{one_line(failure.id + place, 500)}\n\n{failure.detail or failure.message or 'no message'}"
        )
    more = len(outcome.task.failures) - _FAILURES
    if more > 0:
        yield f"\n… and {base.plural(more, 'more failure')} of this task.\n"


def _flaky(outcome: Outcome) -> Iterator[str]:
    flaky = [t for t in outcome.tasks if t.status == "flaky"]
    lines = (
        f"{safe(t.reason)}\n\n{fenced(chr(10).join(one_line(i, 500) for i in t.task.targets[:50]))}\n" for t in flaky
    )
    if flaky:
        yield f"\n## Flaky\n\n{''.join(lines)}"


def _review(outcome: Outcome) -> Iterator[str]:
    lines = [f"- {safe(t.task.title)}: {safe(base.finding(f))}\n" for t in outcome.tasks for f in t.review]
    if lines:
        yield f"\n## What guards found\n\n{''.join(lines)}"


def _figures(outcome: Outcome) -> Iterator[str]:
    yield "\n## Figures\n\n"
    yield from (f"- {safe(check)}: {safe(what)}\n" for check, what in base.checks(outcome))
    yield f"- {safe(base.cost(outcome))}, {base.plural(outcome.suite_runs, 'suite run')}, {safe(base.time_spent(outcome))}\n"
    branch = f", branch {safe(outcome.branch)}" if outcome.branch else ""
    yield f"- run {safe(outcome.run)} of {safe(outcome.command)} on {safe(outcome.base[:10])}{branch}\n"
    yield from (f"- {safe(note)}\n" for note in outcome.notes[:50])
