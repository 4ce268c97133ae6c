"""What a run had done before it was cut off, as its journal tells it: the turns of each task in order, each as far as it came.

A run that goes on tells its story again; a turn that is known here is neither made nor paid nor judged a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, TypeVar

from zwarm_ci.bystanders import Seen
from zwarm_ci.codec import from_data
from zwarm_ci.executors.base import Report
from zwarm_ci.task import Task
from zwarm_ci.verdict import Verdict

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Left:
    """What a turn left: the tree of its worktree, files of the run's own repository that were put back, and what was seen elsewhere."""

    tree: str
    mended: tuple[str, ...]
    seen: Seen


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a session, as far as it came.

    Attributes:
        session, number: whose it is, and which. rung: who did it, as the ladder names it. paid: whether that costs money. metered: a gateway
            booked its calls one by one.
        report: None = it was cut off, and nobody knows what it used.
        left: None = it was cut off before its work was kept. verdict: None = it was not judged.
    """

    session: str
    number: int
    rung: str
    paid: bool
    metered: bool = False
    report: Report | None = None
    left: Left | None = None
    verdict: Verdict | None = None

    @property
    def finished(self) -> bool:
        """Whether its work is there, so that it need not be made again."""
        return self.report is not None and self.left is not None


@dataclass(frozen=True, slots=True)
class Past:
    """What is known. `turns` by task id; `delivering`: the head that was about to be delivered, "" = none was; `surveyed`: see `survey`."""

    turns: Mapping[str, tuple[Turn, ...]] = field(default_factory=dict)
    delivering: str = ""
    surveyed: Any = None

    def spent(self) -> dict[str, Decimal]:
        """Dollars by task, of turns whose cost is known."""
        costs = {task: [t.report.cost_usd for t in turns if t.report] for task, turns in self.turns.items()}
        return {task: sum((Decimal(repr(c)) for c in known if c), Decimal(0)) for task, known in costs.items()}

    def about(self, before: Iterable[Task], now: Iterable[Task]) -> Past:
        """The past without the turns of tasks that are others now than before."""
        same = {(t.id, t.fingerprint) for t in before} & {(t.id, t.fingerprint) for t in now}
        return replace(self, turns={i: turns for i, turns in self.turns.items() if i in {name for name, _ in same}})

    @property
    def sessions(self) -> tuple[str, ...]:
        """The ids of all its sessions."""
        return tuple(dict.fromkeys(t.session for turns in self.turns.values() for t in turns))


NEW = Past()  # of a run that has just begun


def recalled(records: Iterable[Mapping[str, Any]], document: Callable[[Mapping[str, Any]], Any]) -> Past:
    """The past that sealed records of a journal tell; `document` reads what a record names.

    Raises:
        OSError, ValueError: a document is missing, or is not what was written.
    """
    turns: dict[str, list[Turn]] = {}
    delivering, surveyed = "", None
    for record in records:
        match record["kind"]:
            case "surveyed":
                surveyed = document(record)
            case "delivering":
                delivering = str(record["head"])
            case "turn_started":
                begun = Turn(record["session"], record["turn"], record["rung"], record["paid"], record["metered"])
                turns.setdefault(record["task"], []).append(begun)
            case "turn_ended":
                _fill(turns, record, report=from_data(Report, document(record)))
            case "turn_left":
                _fill(turns, record, left=from_data(Left, document(record)))
            case "verdict":
                _fill(turns, record, verdict=from_data(Verdict, document(record)))
    return Past({task: tuple(known) for task, known in turns.items()}, delivering, surveyed)


def _fill(turns: dict[str, list[Turn]], record: Mapping[str, Any], **more: Any) -> None:
    """Add to the newest turn of the session that a record speaks of."""
    known = turns.get(record["task"], [])
    for index in range(len(known) - 1, -1, -1):
        if (known[index].session, known[index].number) == (record["session"], record["turn"]):
            known[index] = replace(known[index], **more)
            return
