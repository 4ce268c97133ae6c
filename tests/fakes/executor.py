"""An executor that does what a list of functions says, one a turn; for the loop, the judge and the pipeline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zwarm_ci.executors.base import Conduct, Order, Report

Edit = Callable[[Path], Report | None]


@dataclass
class Scripted:
    """Runs `edits[n]` on the worktree in its n-th turn, counted over sessions; the last one again when they run out."""

    edits: Sequence[Edit]
    deterministic: bool = False
    name: str = "scripted"
    orders: list[Order] = field(default_factory=list)

    def unusable(self) -> str:
        return ""

    def login(self) -> str:
        return ""

    def version(self) -> str:
        return ""

    def doubt(self) -> str:
        return ""

    def check(self, conduct: Conduct) -> None:
        return None

    def turn(self, order: Order, on_line: Callable[[bytes], None]) -> Report:
        edit = self.edits[min(len(self.orders), len(self.edits) - 1)]
        self.orders.append(order)
        on_line(b'{"type":"turn"}')
        return edit(order.worktree) or Report("completed", "done", "model")

    def headline(self, line: bytes) -> str:
        return ""
