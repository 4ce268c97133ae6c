"""The runs of a repository, each in a line, from its journal alone: outcome.json may hold a hundred thousand ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zwarm_ci import journal
from zwarm_ci.site import JOURNAL, documents_of

Record = Mapping[str, Any]
_MOST = 1e15  # what is more, below 0 or no number was not written by us
#: Commands whose runs go on by themselves: `COMMAND --resume RUN`.
HOSTED = ("orchestrate", "pilot")


@dataclass(frozen=True, slots=True)
class Run:
    """One run.

    Attributes:
        state: `running`, `cut off` (its process is gone without a last word), `damaged` (no journal that can be read), else how it ended.
        resumable: it can go on, see `resume`.
        began, ended: Unix seconds, 0 = not known; `ended` of a run that has not: its last sign of life.
        pid: of the process that made it last.
        turns: turns that have ended. now: what it is at, or was last.
        cost_usd: of its turns, as far as their price is known.
    """

    run: str
    command: str = ""
    state: str = "damaged"
    exit_code: int | None = None
    resumable: bool = False
    began: float = 0.0
    ended: float = 0.0
    pid: int = 0
    tasks: int = 0
    solved: int = 0
    turns: int = 0
    cost_usd: float = 0.0
    branch: str = ""
    now: str = ""

    @property
    def resume(self) -> str:
        """The command line that goes on with it."""
        return (
            f"zwarm-ci {self.command} --resume {self.run}" if self.command in HOSTED else f"zwarm-ci resume {self.run}"
        )

    @property
    def live(self) -> bool:
        """Whether a process makes it."""
        return self.state == "running"


def every(state: Path) -> list[Run]:
    """All runs below a state folder, the newest first."""
    runs = state / "runs"
    folders = [p for p in runs.iterdir() if p.is_dir() and not p.is_symlink()] if runs.is_dir() else []
    return [read(folder) for folder in sorted(folders, key=lambda p: p.name, reverse=True)]


def read(folder: Path) -> Run:
    """One run by its folder."""
    path = folder / JOURNAL
    held = journal.is_held(path)  # before it is read: a run that ends meanwhile has its last line in it
    records = list(journal.read(path))
    first = next((r for r in records if r["kind"] == "run_started"), None)
    if first is None:
        return Run(folder.name)
    last = records[-1]
    end = last if last["kind"] == "run_ended" else {}
    turns = [r for r in records if r["kind"] == "turn_ended"]
    costs = [_number(r, "cost_usd") for r in turns]
    status = _text(end, "status")
    tasks = int(_number(end, "tasks") or _number(_newest(records, "surveyed"), "tasks"))
    fixed = sum(r.get("status") == "fixed" for r in records if r["kind"] == "verdict")
    return Run(
        folder.name, _text(first, "command"), "running" if held else status or "cut off",
        end["exit_code"] if isinstance(end.get("exit_code"), int) else None,
        not held and status in {"", "interrupted"} and (_text(first, "command") in HOSTED or documents_of(folder).is_dir()),
        _number(first, "at"), _number(last, "at"), int(_number(_newest(records, "run_started", "run_resumed"), "pid")),
        tasks, min(tasks, int(_number(end, "solved") if "solved" in end else fixed)), len(turns),
        _number(end, "cost_usd") or sum(costs), _text(end, "branch"), _now(records),
    )  # fmt: skip


def _now(records: Sequence[Record]) -> str:
    """What the last lines say of what is being done."""
    last = _newest(records, "surveyed", "turn_started", "turn_left", "verdict", "delivering")
    task = _text(last, "task")
    said = {
        "surveyed": "planned",
        "turn_started": f"{task}: turn {last.get('turn')} of {_text(last, 'executor')}",
        "turn_left": f"{task}: verification",
        "verdict": f"{task}: {_text(last, 'status').replace('_', ' ')}",
        "delivering": "delivery",
    }
    return said.get(str(last.get("kind")), "checks before")


def _newest(records: Sequence[Record], *kinds: str) -> Record:
    return next((r for r in reversed(records) if r["kind"] in kinds), {})


def _text(record: Record, key: str) -> str:
    """A field that is a text; "" where it is none: a journal may have come with a clone."""
    value = record.get(key)
    return value if isinstance(value, str) else ""


def _number(record: Record, key: str) -> float:
    """A field that is a number of something; 0 where it is none."""
    value = record.get(key)
    return value if isinstance(value, int | float) and 0 <= value < _MOST else 0.0
