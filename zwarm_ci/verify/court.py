"""What stays the same for every judgement of a run, and how a reason not to accept leaves the rooms in which it is found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from zwarm_ci.baseline import Baseline
from zwarm_ci.task import Check
from zwarm_ci.trees import Grounds, Trees
from zwarm_ci.verdict import GuardFinding, Status
from zwarm_ci.verify import guards

SHOWN = 5  # ids named in a one-line reason


class Opinion(Protocol):
    """A second reader of an accepted patch, such as another vendor's model: it sees the difference, never how it came about.

    What it says can ask for review and do nothing else, whatever level it gives.
    """

    name: str

    def __call__(self, title: str, patch: str) -> Sequence[GuardFinding]:
        """Findings on a patch (unified difference) offered as a repair of `title`; OSError = no opinion could be had."""
        ...


@dataclass(frozen=True, slots=True)
class Court:
    """What stays the same for every judgement of a run.

    Attributes:
        burn_in: fresh runs of the targets; three times as many for code that touches time, threads or randomness.
        opinions: second readers of what is accepted.
        defer: a task's verification runs what its change can reach; the whole runs once, on all patches together.
        prove: accept only with a test in the patch that fails without the patch's source.
    """

    trees: Trees
    base: str
    checks: tuple[Check, ...]
    baseline: Baseline
    rules: guards.Rules
    reruns: int
    burn_in: int
    opinions: tuple[Opinion, ...] = ()
    defer: bool = False
    prove: bool = False

    def grounds(self) -> dict[str, Grounds]:
        """Per check, where and under what its runs take place."""
        return {c.name: self.trees.grounds(c) for c in self.checks}

    def check(self, name: str) -> Check:
        """The check of that name."""
        return next(c for c in self.checks if c.name == name)


class Rejected(Exception):  # noqa: N818 - control flow inside this room: a red verdict leaves judge() as a value
    """A reason not to accept, raised where it is found and turned into a Verdict at one place; `draft`: see `Verdict`."""

    def __init__(self, status: Status, reason: str, *, draft: bool = False) -> None:
        super().__init__(reason)
        self.status, self.reason, self.draft = status, reason, draft


def names(ids: Sequence[str]) -> str:
    """The first few ids, and how many more there are."""
    more = f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
    return ", ".join(ids[:SHOWN]) + more
