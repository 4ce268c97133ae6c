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
    status = f"  {mark} {base.words(outcome.status)}:"
    title = outcome.task.title or outcome.task.id
    first, *more = _wrap(f"{status[2:]} {title}", "  ", "    ")
    yield [(first[: len(status)], _STYLES[mark]), (first[len(status) :], "bold")]
    yield from ([(line, "bold")] for line in more)
    yield from _wrapped(_how(outcome), 4, "dim")
    if outcome.status != "fixed":
        yield from _wrapped(outcome.reason, 4, "")
        yield from _errors(outcome, title)
    for found in outcome.review:
        yield from _wrapped(base.finding(found), 4, "yellow")


def _how(outcome: TaskOutcome) -> str:
    parts = [base.done(outcome)]
    if outcome.commit:
        parts.append(f"commit {outcome.commit[:10]}")
    if outcome.cost_usd:
        parts.append(format_cost(max(0.0, outcome.cost_usd)))
    return ", ".join(p for p in parts if p)


def _errors(outcome: TaskOutcome, title: str) -> Iterator[Line]:
    if outcome.solved:
        return
    for failure in outcome.task.failures[:3]:
        named = failure.id in title
        if not named:
            yield from _wrapped(failure.id, 4, "red", limit=200)
        yield from _wrapped(failure.message, 4 if named else 6, "dim")
    more = len(outcome.task.failures) - 3
    if more > 0:
        yield [(f"    … and {base.plural(more, 'more failure')}", "dim")]


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
    commands = {
        "Take it:": base.next_command(outcome),
        "Details:": f"zwarm-ci report {outcome.run} --open" if outcome.tasks else "",
    }
    if any(commands.values()):
        yield []
    yield from ([(f"  {what} ", ""), (command, "bold cyan")] for what, command in commands.items() if command)


def _wrapped(text: str, indent: int, style: str, limit: int = 600) -> Iterator[Line]:
    """Paragraph of `text` at an indent; a word longer than the line is left whole, so that ids and paths can be copied."""
    pad = " " * indent
    yield from ([(line, style)] for line in _wrap(one_line(text, limit), pad, pad))


def _wrap(text: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
