"""Live progress on standard error: what each task is doing, for how long, at what cost, and the suite runs spent.

One line a task that is rewritten where standard error is a terminal; plain lines, and a sign of life a minute, elsewhere.
"""

from __future__ import annotations

import os
import select
import sys
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from zwarm_ci.budget import Ledger
from zwarm_ci.scrub import one_line, redact
from zwarm_ci.stop import STOP
from zwarm_ci.task import Task
from zwarm_ci.verdict import TaskOutcome

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

_LIFE = 55.0  # seconds between signs of life in a log: at least one a minute
_SIGNS = {"fixed": "✓", "already_green": "✓", "flaky": "~"}


@dataclass(slots=True)
class _Line:
    title: str
    text: str = "waiting"
    since: float = field(default_factory=time.monotonic)
    ended: bool = False


class Progress:
    """A `pipeline.Watch`. Use as a context manager around the run."""

    def __init__(
        self, *, quiet: bool = False, verbose: bool = False, stream: TextIO | None = None, yes: bool = False
    ) -> None:
        self._stream = stream or sys.stderr
        self._assume_yes = yes
        self._quiet = quiet
        self._live_wanted = not quiet and not verbose and self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._lock = threading.Lock()
        self._ledger = Ledger()
        self._stage = "starting"
        self._spent = 0.0
        self._lines: dict[str, _Line] = {}
        self._live: Live | None = None
        self._over = threading.Event()
        self._heart = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        if self._live_wanted:
            from rich.console import Console
            from rich.live import Live

            console = Console(file=self._stream, highlight=False)
            self._live = Live(get_renderable=self._render, console=console, refresh_per_second=4, transient=True)
            self._live.start()
        elif not self._quiet:
            self._heart.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._live is not None:
            self._live.stop()

    def begin(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def stage(self, text: str) -> None:
        self._stage = one_line(redact(text), 120)
        self._print(self._stage)

    def plan(self, tasks: tuple[Task, ...]) -> None:
        with self._lock:
            self._lines = {t.id: _Line(one_line(t.title, 70)) for t in tasks}
        self.stage(f"{len(tasks)} task{'s' * (len(tasks) != 1)} to repair" if tasks else "nothing to repair")

    def task(self, task: Task, text: str) -> None:
        said = one_line(redact(text), 100)
        with self._lock:
            line = self._lines.setdefault(task.id, _Line(one_line(task.title, 70)))
            if line.text == "waiting":
                line.since = time.monotonic()
            line.text = said
        self._print(f"{task.id}: {said}")

    def ended(self, outcome: TaskOutcome) -> None:
        said = f"{outcome.status.replace('_', ' ')}, ${outcome.cost_usd:.2f}: {one_line(redact(outcome.reason), 160)}"
        with self._lock:
            line = self._lines.setdefault(outcome.task.id, _Line(one_line(outcome.task.title, 70)))
            line.text, line.ended = said, True
            self._spent += outcome.cost_usd
        self._print(f"{_SIGNS.get(outcome.status, '✗')} {outcome.task.id}: {said}")

    def ask(self, question: str) -> bool:
        """Put the question before the first paid call, where a person can answer; nobody there or `--yes` is a yes."""
        if self._assume_yes or not (sys.stdin.isatty() and self._stream.isatty()):
            return True
        if self._live is not None:
            self._live.stop()
        self._stream.write(f"zwarm-ci: {question} [y/N] ")
        self._stream.flush()
        answer = self._answer()
        if self._live is not None:
            self._live.start()
        return answer in {"y", "yes"}

    def _answer(self) -> str:
        """A line from the terminal; "" where none comes before the run's time is over.

        Raises:
            InterruptedRunError: the run was stopped meanwhile.
        """
        left = self._ledger.left()
        ready, _, _ = select.select([sys.stdin, STOP.reader], [], [], None if left == float("inf") else left)
        STOP.check()
        return sys.stdin.readline().strip().lower() if ready else ""

    def _print(self, text: str) -> None:
        if self._live is None and not self._quiet:
            with self._lock:
                try:
                    self._stream.write(f"[{self._ledger.elapsed():6.1f} s] {text}\n")
                    self._stream.flush()
                except (
                    OSError
                ):  # who read the progress has left (`2>&1 | head`), or the terminal is gone: the run goes on
                    self._quiet = True

    def _beat(self) -> None:
        while not self._over.wait(_LIFE):
            with self._lock:
                busy = [f"{k}: {v.text}" for k, v in self._lines.items() if not v.ended and v.text != "waiting"]
            self._print(f"still at work, {self._ledger.suite_runs} suite runs: {'; '.join(busy) or self._stage}")

    def _render(self) -> RenderableType:
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 1))
        now = time.monotonic()
        with self._lock:
            for width in (
                1,
                max(map(len, [*self._lines, "9999 s"])),
                6,
                None,
            ):  # the text alone is cut where it is narrow
                table.add_column(no_wrap=True, overflow="ellipsis", min_width=width)
            for name, line in self._lines.items():
                spent = "" if line.ended or line.text == "waiting" else f"{now - line.since:4.0f} s"
                table.add_row(
                    Text("·" if not line.ended else "•"), Text(name, style="bold"), Text(spent), Text(line.text)
                )
        elapsed = f"{self._ledger.elapsed():4.0f} s"
        table.add_row(
            Text("»"),
            Text(elapsed),
            Text(""),
            Text(f"{self._stage}; {self._ledger.suite_runs} suite runs, ${self._spent:.2f}"),
        )
        return table
