"""What an orchestrated run knows, on disk: whole after every change, so that whoever serves its tools next goes on from there.

It bears a seal, for a state folder may have come with a clone: what this user on this machine did not write is not believed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from zwarm_ci import codec
from zwarm_ci.errors import UsageError
from zwarm_ci.files import write_atomic
from zwarm_ci.scrub import one_line
from zwarm_ci.task import Usage
from zwarm_ci.verdict import Status

SCHEMA = 1  # 1: first form; {"schema", "seal": HMAC-SHA256 of the canonical JSON of "state", "state"}
FILE = "state.json"
_CALLS = 200  # the last ones are kept; the journal has them all


@dataclass(frozen=True, slots=True)
class Asked:
    """What the run was asked for, as far as it is needed to go on. `words`: the task of a person; "" = there is none."""

    command: str
    words: str = ""
    directory: str = ""
    commands: tuple[str, ...] = ()
    source: str = "worktree"
    base: str = ""
    branch: str = ""
    apply: bool = False
    strict_flaky: bool = False
    config_file: str = ""
    sets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a tool. `given`: its arguments as JSON; `success` None = it has no answer yet. `at`: Unix seconds."""

    step: int
    tool: str
    given: str
    at: float
    success: bool | None = None
    said: str = ""

    @property
    def args(self) -> Mapping[str, Any]:
        """The arguments."""
        found: Mapping[str, Any] = json.loads(self.given)
        return found


@dataclass(frozen=True, slots=True)
class Totals:
    """What a session had used when a turn of it had ended. `seconds` are those of the turn alone."""

    turn: int
    state: str
    reason: str
    usage: Usage
    cost_usd: float
    unpriced_tokens: int
    denials: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Hearing:
    """What verification said of one tree, held to `expects`, in `seconds`. `document`: name and digest of the file that has it whole."""

    turn: int
    tree: str
    expects: tuple[str, ...] | None
    status: Status
    reason: str
    seconds: float
    document: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Delegated:
    """A session of the run.

    Attributes:
        number: from 1, in the order in which they began. executor, model: who does it.
        task: what it was told first. expects: what must be green with its patch; None = all that is red on the base.
        base: the commit that it works on; another than the run's where it stands on patches that were accepted before.
        replaces: the session whose work it does again.
        work: the file of its task, where red checks stand for it. sets: settings that it began with. step: the call that began it.
        totals: one for each turn that has ended.
        accepted: the tree that was taken; "" = none.
    """

    id: str
    number: int
    task: str
    title: str
    executor: str
    model: str
    base: str
    expects: tuple[str, ...] | None = None
    replaces: str = ""
    work: str = ""
    sets: tuple[str, ...] = ()
    step: int = 0
    totals: tuple[Totals, ...] = ()
    hearings: tuple[Hearing, ...] = ()
    accepted: str = ""

    @property
    def last(self) -> Hearing | None:
        """The last verification."""
        return self.hearings[-1] if self.hearings else None


@dataclass(frozen=True, slots=True)
class State:
    """Everything.

    Attributes:
        head, base: the user's HEAD and the commit that is worked on.
        place: folder with the run's private repository, outside the repository. seal: its seal, see `PrivateRepository.seal`.
        tag: carried by all processes of who serves the run now, or did last.
        steps: calls so far. seconds, check_seconds, suite_runs: what was used by earlier processes of the run.
        accepted: ids in the order of their acceptance.
        before: document of what was found on the base; ("", "") = nothing yet.
        question: what a person is asked; "" = nothing. summary: what the orchestrator said at its end.
        halted: why no tool works any more; `resumable`: until somebody goes on.
        exited: `exit` was allowed. concluded: the run has its last record.
        deliveries: branches made. notes: JSON of others, by name.
    """

    run: str
    asked: Asked
    head: str
    base: str
    place: str
    seal: str
    tag: str
    steps: int = 0
    seconds: float = 0.0
    check_seconds: float = 0.0
    suite_runs: int = 0
    sessions: tuple[Delegated, ...] = ()
    accepted: tuple[str, ...] = ()
    before: tuple[str, str] = ("", "")
    question: str = ""
    summary: str = ""
    halted: str = ""
    resumable: bool = False
    exited: bool = False
    concluded: bool = False
    deliveries: int = 0
    calls: tuple[Call, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)

    def session(self, session_id: str) -> Delegated:
        """The session of that whole id."""
        return next(s for s in self.sessions if s.id == session_id)

    def find(self, prefix: str) -> Delegated:
        """The session whose id begins with `prefix`.

        Raises:
            UsageError: none or several do.
        """
        known = [s.id for s in self.sessions]
        found = [s for s in self.sessions if prefix and s.id.startswith(prefix)]
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(
                f"several sessions begin with {one_line(prefix, 40)!r}", remedy=", ".join(s.id for s in found[:5])
            )
        remedy = f"known: {', '.join(known[-10:])}" if known else "there is none yet; delegate a task"
        raise UsageError(f"no session begins with {one_line(prefix, 40)!r}", remedy=remedy)

    def with_session(self, changed: Delegated) -> State:
        """The same with one session as it is now, or with a new one."""
        if any(s.id == changed.id for s in self.sessions):
            return replace(self, sessions=tuple(changed if s.id == changed.id else s for s in self.sessions))
        return replace(self, sessions=(*self.sessions, changed))

    def with_call(self, call: Call) -> State:
        """The same with a call, as it stands now."""
        kept = tuple(c for c in self.calls if c.step != call.step)[-(_CALLS - 1) :]
        return replace(self, calls=(*kept, call), steps=max(self.steps, call.step))


class Book:
    """The state of one run in its file. Safe to use from several threads of the one process that serves the run."""

    def __init__(self, folder: Path, key: bytes, state: State) -> None:
        self.folder, self._key, self._state = folder, key, state
        self._lock = threading.RLock()

    @property
    def state(self) -> State:
        """As it is now."""
        with self._lock:
            return self._state

    def change(self, make: Callable[[State], State], *, later: bool = False) -> State:
        """Make of the state another one; it is on disk when this returns, or, where that is enough, `later` with the next one."""
        with self._lock:
            made = make(self._state)
            if later:
                self._state = made
            elif made != self._state or not (self.folder / FILE).exists():
                data = codec.to_data(made)
                document = {"schema": SCHEMA, "seal": _seal(self._key, data), "state": data}
                write_atomic(self.folder / FILE, json.dumps(document, ensure_ascii=True) + "\n")
                self._state = made
            return made

    def session(self, session_id: str, **fields: Any) -> Delegated:
        """Change fields of one session; the session as it is then."""
        return self.change(lambda s: s.with_session(replace(s.session(session_id), **fields))).session(session_id)

    def keep(self, name: str, value: Any) -> tuple[str, str]:
        """Keep a value too large for the state in a file of its own; its name and digest."""
        data = json.dumps(codec.to_data(value)).encode()
        write_atomic(self.folder / name, data)
        return name, hashlib.sha256(data).hexdigest()


def read(folder: Path, key: bytes) -> Book:
    """The book of a run that goes on.

    Raises:
        UsageError: there is none, or none that this user wrote on this machine.
    """
    file = folder / FILE
    try:
        document = json.loads(file.read_bytes())
        number, data, seal = (document[name] for name in ("schema", "state", "seal"))
        if number != SCHEMA:
            raise UsageError(f"{file} has schema {number}, this version reads {SCHEMA}")
        if not key or not hmac.compare_digest(str(seal).encode(), _seal(key, data).encode()):
            raise UsageError(f"{file} was not written by you on this machine, so nothing in it is believed")
        return Book(folder, key, codec.from_data(State, data))
    except FileNotFoundError as error:
        raise UsageError(f"{folder.parent.name} is no orchestrated run", remedy="see .zwarm/runs") from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"{file} cannot be read: {one_line(str(error), 100)}") from error


def note(value: Any) -> str:
    """A note's text, the same for the same value."""
    return json.dumps(value, sort_keys=True)


def fetch(folder: Path, document: Sequence[str]) -> Any:
    """The data of a document that the state names.

    Raises:
        UsageError: it cannot be read, or is not what was written.
    """
    name, digest = document
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        raise UsageError(f"{folder / name} cannot be read: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise UsageError(f"{folder / name} is not what was written")
    return json.loads(data)


def _seal(key: bytes, data: Any) -> str:
    return hmac.new(key, json.dumps(data, sort_keys=True).encode(), "sha256").hexdigest()
