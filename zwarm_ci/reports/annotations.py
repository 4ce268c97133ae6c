"""Annotations of a run on GitHub: what failed stands at its line, what wants review too. Workflow commands, one a line.

GitHub shows ten of each level a step and drops the rest without a word, so the last of ten says how many there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from zwarm_ci.reports import base
from zwarm_ci.scrub import one_line
from zwarm_ci.task import Failure
from zwarm_ci.verdict import Outcome, TaskOutcome

name = "annotations"
filename = "annotations.txt"
LIMIT = 10  # of each level
_TEXT = 1000  # characters of one annotation
_DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = {**_DATA, ":": "%3A", ",": "%2C"}


@dataclass(frozen=True, slots=True)
class _Note:
    """What is said at a place; `line` 0 = the whole file, `path` empty = nowhere."""

    title: str
    text: str
    path: str = ""
    line: int = 0


def render(outcome: Outcome) -> str:
    """At most ten errors and ten warnings; "" where there is nothing to say."""
    outcome = base.cleaned(outcome)
    levels = {"error": tuple(_errors(outcome)), "warning": tuple(_warnings(outcome))}
    return "".join(f"{line}\n" for level, notes in levels.items() for line in _shown(level, notes))


def command(word: str, text: str = "", **properties: str) -> str:
    """One workflow command; nothing in text or properties can end it or begin another."""
    given = ",".join(f"{key}={_escaped(value, _PROPERTY)}" for key, value in properties.items() if value)
    return f"::{word}{' ' * bool(given)}{given}::{_escaped(text, _DATA)}"


def _escaped(text: str, table: dict[str, str]) -> str:
    return "".join(table.get(character, character) for character in text)


def _shown(level: str, notes: tuple[_Note, ...]) -> Iterator[str]:
    whole = len(notes) <= LIMIT
    for note in notes if whole else notes[: LIMIT - 1]:
        line = str(note.line) if note.line else ""
        yield command(level, one_line(note.text, _TEXT), file=note.path, line=line, title=one_line(note.title, 200))
    if not whole:
        yield command(level, f"{len(notes) - LIMIT + 1} more: see the summary of this job", title="zwarm-ci")


def _errors(outcome: Outcome) -> Iterator[_Note]:
    """What remains red, each failure at the line where it came up."""
    for task in outcome.tasks:
        if not task.solved:
            failures = task.task.failures or (Failure(task.task.check, task.task.title),)
            yield from (_failure(task, failure) for failure in failures)


def _failure(outcome: TaskOutcome, failure: Failure) -> _Note:
    said = f"{failure.message} — " if failure.message else ""
    place = failure.place
    text = f"{said}{base.words(outcome.status)}: {outcome.reason}"
    return _Note(failure.id, text, place.path if place else "", place.line if place else 0)


def _warnings(outcome: Outcome) -> Iterator[_Note]:
    """What asks for review in patches that are offered, and what is flaky."""
    for task in outcome.tasks:
        if task.status == "flaky":
            yield from (_failure(task, failure) for failure in task.task.failures)
        if task.solved:
            yield from (
                _Note(
                    f"please review: {task.task.title}", f"{found.guard}: {found.detail}", found.path, found.line or 0
                )
                for found in task.review
            )
