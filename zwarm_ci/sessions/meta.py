"""What meta.json says of a session: its state, by one transition table, who runs it, what it used, and how a person judged it."""

from __future__ import annotations

import json
import os
import types
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from zwarm_ci.reap import start_time
from zwarm_ci.task import Usage

#: 1: first form of meta.json and events.jsonl. 2: title, native id, usage, cost, worktree, owner, verdict, ack, parent.
SCHEMA = 2
State = Literal["pending", "running", "completed", "failed", "killed", "timed_out", "interrupted", "blocked"]
STATES: tuple[State, ...] = get_args(State)
#: Somebody's process is at it; the others are ends, from which a further turn may begin.
LIVE: frozenset[State] = frozenset({"pending", "running"})
_CONVERSE: frozenset[State] = frozenset({"running"})
NEXT: Mapping[State, frozenset[State]] = types.MappingProxyType(
    {
        "pending": frozenset({"running", "failed", "killed", "interrupted", "blocked"}),
        "running": frozenset({"completed", "failed", "killed", "timed_out", "interrupted", "blocked"}),
        "completed": _CONVERSE,
        "failed": _CONVERSE,
        "killed": _CONVERSE,  # a person stops what goes wrong, and then says what to do instead
        "timed_out": _CONVERSE,
        "interrupted": _CONVERSE,
        "blocked": _CONVERSE,
    }
)
Word = Literal["", "passed", "failed", "abandoned"]
WORDS: tuple[Word, ...] = get_args(Word)


@dataclass(frozen=True, slots=True)
class Owner:
    """A process, told apart from every other one: its number, its start (field 22 of /proc/PID/stat) and the boot it belongs to."""

    pid: int = 0
    start: str = ""
    boot: str = ""

    @classmethod
    def me(cls) -> Owner:
        """This process."""
        return cls(os.getpid(), start_time(os.getpid()), _boot_id())

    def pidfd(self) -> int | None:
        """A handle of that very process; None where it is gone or cannot be seen from here. The caller closes it."""
        if not self.pid or self.boot != _boot_id():
            return None
        try:
            handle = os.pidfd_open(self.pid)
        except OSError:
            return None
        if start_time(self.pid) == self.start:  # the handle is held: what we looked at is what it names
            return handle
        os.close(handle)
        return None


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


@dataclass(frozen=True, slots=True)
class Meta:
    """What is known of a session.

    Attributes:
        run, task: ids; "" for a session that a person started by itself.
        executor, model: the adapter and what it was asked for.
        turn: number of the last turn, from 1; 0 = none yet.
        created_at, updated_at: Unix seconds.
        reason: the last turn's message, or why it did not end well.
        native: the CLI's own id of the conversation.
        usage: tokens of all turns. total: what the CLI itself counts in that conversation so far.
        cost_usd: of all turns. unpriced_tokens: tokens in them without a known price.
        lower_bound: a turn ended so that more may have been used than is known.
        worktree, base: where it works and from which commit; "" = in a run's own worktree, gone with it.
        owner: the process that runs it, or ran it last.
        verdict, verdict_reason: a person's or orchestrator's word at the end; "" = not ended.
        acked: somebody has seen how its last turn ended.
        tag: what is in the environment of everything that the owner started (`proc.TAG`), itself or with more behind a dot.
        parent: the session that this one follows (fresh start) or was forked from.
    """

    id: str
    run: str
    task: str
    executor: str
    model: str
    state: State
    turn: int
    created_at: float
    updated_at: float
    reason: str = ""
    title: str = ""
    native: str = ""
    usage: Usage = Usage()
    total: Usage = Usage()
    cost_usd: Decimal = Decimal(0)
    unpriced_tokens: int = 0
    lower_bound: bool = False
    denials: int = 0
    worktree: str = ""
    base: str = ""
    owner: Owner = Owner()
    verdict: Word = ""
    verdict_reason: str = ""
    acked: bool = False
    tag: str = ""
    parent: str = ""
    schema: int = SCHEMA

    @property
    def live(self) -> bool:
        """Whether a process is at it, or is about to be."""
        return self.state in LIVE

    @property
    def attention(self) -> bool:
        """Whether somebody should look: its last turn has ended, and nobody acknowledged, judged or awaited that.

        What a run's session completed is judged by the run itself; its other ends are worth a look.
        """
        return not (self.live or self.acked or self.verdict or (self.run and self.state == "completed"))

    def orphaned(self) -> Meta:
        """The same session, whose process is gone, as it is to be shown."""
        begun = f"in turn {self.turn}" if self.state == "running" else "before its first turn"
        return replace(self, state="interrupted", reason=f"its process {self.owner.pid} ended {begun} without a word")


def to_json(meta: Meta) -> str:
    """The text of meta.json."""
    return json.dumps(as_dict(meta), indent=1, ensure_ascii=False)


def as_dict(meta: Meta) -> dict[str, Any]:
    """Every field for JSON; money as a number."""
    return {**asdict(meta), "cost_usd": float(meta.cost_usd)}


def from_json(text: bytes) -> Meta:
    """The session that meta.json speaks of; a field that schema 1 did not have is empty.

    Raises:
        ValueError: it was cut, is no meta.json, or a newer version wrote it. The message says what is wrong.
    """
    data = json.loads(text)
    if not isinstance(data, dict) or not isinstance(data.get("schema"), int):
        raise ValueError("it is no record of a session")  # noqa: TRY004 - whoever reads files expects one error
    if data["schema"] > SCHEMA:
        raise ValueError(f"a newer version wrote it (schema {data['schema']})")
    values: dict[str, Any] = {}
    for entry in fields(Meta):
        if entry.name in data:
            values[entry.name] = _value(entry.name, data[entry.name])
        elif entry.default is MISSING:
            raise ValueError(f"{entry.name} is missing")
    return Meta(**{**values, "schema": SCHEMA})


def _value(name: str, value: Any) -> Any:
    """`value` as the field has it; `ValueError` where it is of another kind."""
    kind = _KINDS[name]
    if kind is Decimal and isinstance(value, int | float):
        return Decimal(str(value))
    if kind in {Usage, Owner}:
        inner = get_type_hints(kind)
        if isinstance(value, dict) and all(k in inner and isinstance(v, inner[k]) for k, v in value.items()):
            return kind(**value)
    elif choices := get_args(kind):
        if value in choices:
            return value
    elif isinstance(value, int) and kind is float:
        return float(value)
    elif isinstance(value, kind) and isinstance(value, bool) == (kind is bool):
        return value
    raise ValueError(f"{name} is {str(value)[:40]!r}")


_KINDS = get_type_hints(Meta)
