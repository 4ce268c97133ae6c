"""The report on the terminal: plain text that reads well at 80 columns, coloured by rich where standard output is a terminal."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterator
from typing import TextIO

from zwarm_ci.pricing import format_cost
from zwarm_ci.reports import base
from zwarm_ci.scrub import one_line
from zwarm_ci.verdict import Outcome, TaskOutcome

name = "terminal"
filename = "terminal.txt"
_WIDTH = 80
_STYLES = {"✓": "green", "~": "yellow", "→": "cyan", "✗": "red"}
_SHOWN = 60  # tasks; the whole list is in the other reports
Span = tuple[str, str]  # text, rich style
Line = list[Span]


def render(outcome: Outcome) -> str:
    """The report as plain text."""
    return "".join("".join(text for text, _ in line).rstrip() + "\n" for line in lines(outcome))


def show(outcome: Outcome, stream: TextIO | None = None) -> None:
    """Print the report: coloured on a terminal unless NO_COLOR is set, plain otherwise."""
    out = stream or sys.stdout
    if not out.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        encoding = getattr(out, "encoding", None) or "utf-8"
        out.write(render(outcome).encode(encoding, "replace").decode(encoding))
        out.flush()
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(file=out, highlight=False, soft_wrap=True)
    for line in lines(outcome):
        console.print(Text.assemble(*line))


def lines(outcome: Outcome) -> Iterator[Line]:
    """The report line by line, as spans of text with a style."""
    outcome = base.cleaned(outcome)
    yield [("zwarm-ci ", "bold"), (one_line(f"{outcome.command} · run {outcome.run}"), "dim")]
    yield []
    good = outcome.exit_code == 0
    yield [("✓ " if good else "✗ ", "bold green" if good else "bold red"), (base.headline(outcome), "bold")]
    yield from _wrapped(outcome.reason, 2, "")
    for task in outcome.tasks[:_SHOWN]:
        yield []
        yield from _task(task)
    if len(outcome.tasks) > _SHOWN:
        yield []
        yield [(f"  … and {base.plural(len(outcome.tasks) - _SHOWN, 'more task')}, see summary.md", "dim")]
    yield []
    yield from _figures(outcome)
    yield from _next(outcome)


def _task(outcome: TaskOutcome) -> Iterator[Line]:
    mark = base.symbol(outcome)
    title = textwrap.wrap(one_line(outcome.task.title or outcome.task.id, 300), _WIDTH - 19) or ["(no title)"]
    yield [(f"  {mark} {base.words(outcome.status):<14} ", _STYLES[mark]), (title[0], "bold")]
    for more in title[1:]:
        yield [(" " * 19 + more, "bold")]
    yield from _wrapped(_how(outcome), 19, "dim")
    if outcome.status != "fixed":
        yield from _wrapped(outcome.reason, 19, "")
        yield from _errors(outcome)
    for found in outcome.review:
        yield from _wrapped(base.finding(found), 19, "yellow")


def _how(outcome: TaskOutcome) -> str:
    parts = [base.done(outcome)]
    if outcome.commit:
        parts.append(f"commit {outcome.commit[:10]}")
    if outcome.cost_usd:
        parts.append(format_cost(max(0.0, outcome.cost_usd)))
    return ", ".join(p for p in parts if p)


def _errors(outcome: TaskOutcome) -> Iterator[Line]:
    if outcome.solved:
        return
    for failure in outcome.task.failures[:3]:
        yield from _wrapped(failure.id, 19, "red", limit=200)
        yield from _wrapped(failure.message, 21, "dim")
    more = len(outcome.task.failures) - 3
    if more > 0:
        yield [(" " * 19 + f"… and {base.plural(more, 'more failure')}", "dim")]


def _figures(outcome: Outcome) -> Iterator[Line]:
    for number, (check, what) in enumerate(base.checks(outcome)):
        yield [("  checks   " if not number else " " * 11, "dim"), (one_line(f"{check}: {what}"), "")]
    runs = base.plural(outcome.suite_runs, "suite run")
    yield [("  cost     ", "dim"), (base.cost(outcome), ""), (f" · {runs}", "dim")]
    yield [("  time     ", "dim"), (base.time_spent(outcome), "")]
    if outcome.branch:
        at = f" at {outcome.head[:10]}" if outcome.head else ""
        yield [("  branch   ", "dim"), (one_line(outcome.branch + at), "")]
    for note in outcome.notes:
        yield from _wrapped(note, 2, "dim")


def _next(outcome: Outcome) -> Iterator[Line]:
    if base.claim(outcome):
        yield []
        yield from _wrapped(f"Shown of what is fixed: {base.claim(outcome)}.", 2, "")
    if base.next_command(outcome):
        yield []
        yield [("  Take it: ", ""), (base.next_command(outcome), "bold cyan")]


def _wrapped(text: str, indent: int, style: str, limit: int = 600) -> Iterator[Line]:
    """Paragraph of `text` at an indent; a word longer than the line is left whole, so that ids and paths can be copied."""
    pad = " " * indent
    for line in textwrap.wrap(one_line(text, limit), _WIDTH - indent, break_long_words=False, break_on_hyphens=False):
        yield [(pad + line, style)]
