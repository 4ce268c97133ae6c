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
    """One turn that did not solve the task: who tried, what became of it and why, and the patch it offered ("" = none)."""

    who: str
    status: Status
    reason: str
    patch: str = ""
    origin: Origin | None = None


def first_message(task: Task, lessons: Sequence[Lesson]) -> str:
    """The text of a session's first turn."""
    return "\n\n".join([task.text, *_learned(lessons)])


def next_message(lesson: Lesson) -> str:
    """What a session is told after verification said no: the exact error."""
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
    for number, lesson in enumerate(lessons[-_LESSONS:], 1):
        text = f"{number}. {lesson.who}: {lesson.status.replace('_', ' ')}: {plain(lesson.reason)}"
        if origin := lesson.origin:
            text += f"\nThe lines that cause it came with commit {origin.revert[:12]} ({plain(origin.subject)}): {', '.join(origin.places)}"
        if lesson.patch:
            more = "\n[cut]" if len(lesson.patch) > _PATCH else ""
            text += f"\n```diff\n{lesson.patch[:_PATCH]}{more}\n```"
        parts.append(text)
    return parts
