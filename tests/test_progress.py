"""What a person sees while a run is at work."""

from __future__ import annotations

import io

from rich.console import Console

from zwarm_ci.cli.progress import Progress
from zwarm_ci.task import Task

TASK = Task("tests-12", "t::a: boom", "0" * 16, "tests", ())


def drawn(progress: Progress, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(progress._render())
    text = console.file.getvalue()  # type: ignore[attr-defined] # it is our StringIO
    assert isinstance(text, str)
    return text


def test_a_narrow_terminal_cuts_the_text_and_neither_names_nor_seconds() -> None:
    progress = Progress(stream=io.StringIO())
    progress.stage("tests: 3 red, running them again in fresh processes")
    progress.plan((TASK,))
    progress.task(TASK, "embedded: the failing ids on the source of 29aea0826b")
    text = drawn(progress, 40)
    assert "tests-12" in text
    assert "0 s" in text
    assert all(len(line) <= 40 for line in text.splitlines()), text


def test_the_last_line_says_what_the_run_is_at() -> None:
    progress = Progress(stream=io.StringIO())
    progress.stage("tests: 3 red, running them again")
    progress.plan((TASK,))
    assert "1 task to repair" in drawn(progress, 100)
    assert "running them again" not in drawn(progress, 100)


def test_progress_without_a_reader_goes_quiet() -> None:
    class Gone(io.StringIO):
        def write(self, text: str, /) -> int:
            raise BrokenPipeError(text)

    progress = Progress(stream=Gone())
    progress.stage("checks before")
    progress.task(TASK, "at work")
