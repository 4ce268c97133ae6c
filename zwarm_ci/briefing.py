"""What a fresh session is told: the task, and what the sessions before it learned the hard way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zwarm_ci.scrub import plain
from zwarm_ci.task import Origin, Task
from zwarm_ci.verdict import Status

_PATCH = 4000  # characters of one refused patch
_LESSONS = 4  # the newest; older ones said less


@dataclass(frozen=True, slots=True)
class Lesson:
    """One turn that did not solve the task: who tried, what became of it and why, and the patch it offered ("" = none).

    `draft`: the patch lacked nothing but its proof.
    """

    who: str
    status: Status
    reason: str
    patch: str = ""
    origin: Origin | None = None
    draft: bool = False


def first_message(task: Task, lessons: Sequence[Lesson]) -> str:
    """The text of a session's first turn."""
    return "\n\n".join([task.text, *_learned(lessons)])


def next_message(lesson: Lesson, *, in_words: bool = False) -> str:
    """What a session is told after verification said no: the exact error. `in_words`: nothing is red that stands for the task."""
    if lesson.draft:
        return (
            f"Verification in a clean checkout refused the change: {plain(lesson.reason)}\n"
            "Nothing else speaks against it, so keep it. Add a new test of the behaviour that it repairs, where this project's tests "
            "are: by an assertion of its own it must fail on the source as it was, and pass with your change. Where the change "
            "brings something new, let the test first assert that it is there."
        )
    if lesson.status == "no_changes" and in_words:
        return (
            "Nothing in this folder differs from before. If no change of the code is called for, change nothing and say why in a "
            "few sentences; else make the change."
        )
    if lesson.status == "no_changes":
        return (
            "Nothing in this folder differs from before, and in a clean checkout the check is as red as it was. "
            "Change the code so that it passes; do not change tests or settings."
        )
    return f"Verification in a clean checkout refused the change: {plain(lesson.reason)}\nMake another change."


def _learned(lessons: Sequence[Lesson]) -> list[str]:
    if not lessons:
        return []
    parts = ["What was tried before and refused, oldest first. Do not offer it again."]
    if any(lesson.draft for lesson in lessons[-_LESSONS:]):
        parts[0] += " What lacked nothing but a test may come again, with the test."
    for number, lesson in enumerate(lessons[-_LESSONS:], 1):
        text = f"{number}. {lesson.who}: {lesson.status.replace('_', ' ')}: {plain(lesson.reason)}"
        if origin := lesson.origin:
            text += f"\nThe lines that cause it came with commit {origin.revert[:12]} ({plain(origin.subject)}): {', '.join(origin.places)}"
        if lesson.patch:
            more = "\n[cut]" if len(lesson.patch) > _PATCH else ""
            text += f"\n```diff\n{lesson.patch[:_PATCH]}{more}\n```"
        parts.append(text)
    return parts
