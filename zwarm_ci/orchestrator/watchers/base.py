"""What a watcher is given, what it may say, and the Protocol that every one follows. A watcher looks at facts; it changes nothing.

A variant is one file, a line in `WATCHERS` (watchers/__init__.py), or an entry point of the group `zwarm_ci.watchers`, and a call of
tests/conformance/watcher.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from zwarm_ci.config import Settings

#: What a watcher may say, the gravest first. A nudge rides on the tool's answer; a pause ends the host so that the run can be
#: resumed; an abort ends host and sessions. Saying nothing is to go on.
Action = Literal["abort", "pause", "nudge"]
ACTIONS: tuple[Action, ...] = ("abort", "pause", "nudge")
#: Tools that wait for a session; whoever waits is not idle.
WAITING = frozenset({"wait", "sleep"})
#: Tools that bring the work forward.
ACTING = frozenset({"delegate", "converse", "verify", "accept", "end_session", "exit", "chat"})


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a tool, answered. `number` counts from 1 over the whole run; `at` is Unix seconds.

    `answer` is empty for calls of an earlier process.
    """

    number: int
    tool: str
    args: Mapping[str, Any]
    success: bool
    answer: Mapping[str, Any] = field(default_factory=dict)
    at: float = 0.0

    @property
    def call(self) -> str:
        """The call as text; two calls are the same where this is."""
        return f"{self.tool}({json.dumps(self.args, sort_keys=True, ensure_ascii=False, default=str)})"

    @property
    def said(self) -> str:
        """The answer as text, without what watchers added to it."""
        told = {key: value for key, value in self.answer.items() if key != "watchers"}
        return json.dumps(told, sort_keys=True, ensure_ascii=False, default=str)


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file of a difference: lines that came and went; `binary` = it has none."""

    path: str
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    binary: bool = False


@dataclass(frozen=True, slots=True)
class Worker:
    """A session that was delegated to.

    Attributes:
        state: of `sessions.State`. turn: its last turn.
        task: what it was told. title: the task's first line.
        files: what it has changed against the base by the end of its last turn; empty while a turn is under way.
        verdict: of its last verification, a task's status; "" = never verified as it is.
        closed: a verdict was put on it, or its patch was accepted.
        proven: whether something that is red on the base stands for its task; None = that is not known yet.
    """

    id: str
    state: str
    turn: int
    task: str
    title: str = ""
    files: tuple[FileChange, ...] = ()
    verdict: str = ""
    accepted: bool = False
    closed: bool = False
    proven: bool | None = None

    @property
    def live(self) -> bool:
        """Whether a turn is under way."""
        return self.state in {"pending", "running"}

    @property
    def name(self) -> str:
        """As it is called in a message."""
        return f"session {self.id[:8]}"


@dataclass(frozen=True, slots=True)
class Meter:
    """How much of a limit is used. `limit` 0 = there is none. `remedy`: how it is raised. `hard`: at the limit the run is over."""

    name: str
    used: float
    limit: float
    remedy: str
    hard: bool = True

    @property
    def share(self) -> float:
        """Used of the limit, 1 = all; 0 without a limit."""
        return self.used / self.limit if self.limit else 0.0


@dataclass(frozen=True, slots=True)
class Scene:
    """What there is to see after a step. `steps` holds the newest last."""

    task: str
    steps: tuple[Step, ...]
    workers: tuple[Worker, ...] = ()
    meters: tuple[Meter, ...] = ()
    red: tuple[str, ...] = ()

    @property
    def last(self) -> Step:
        """The step that was just made."""
        return self.steps[-1]


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a watcher says. `message`: to the host, what to do instead, in a sentence or two.

    `key`: what it is about; a nudge of the same key is not repeated for some steps, with `once` never. "" = the message itself.
    Among opinions of one severity the higher `priority` comes first.
    """

    action: Action
    message: str
    key: str = ""
    priority: int = 0
    once: bool = False

    @property
    def about(self) -> str:
        """The key in effect."""
        return self.key or self.message


Ask = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Outfit:
    """What a watcher is made with: the settings of the base, and how a model is asked, metered and limited like every call.

    `ask` gives the model's answer, and raises `ZwarmError` where there is none; None = no model can be asked in this run.
    """

    settings: Settings
    ask: Ask | None = None


class Watcher(Protocol):
    """One kind of going astray.

    Attributes:
        name: what it is called in settings and messages.
        guards: something depends on it: where it fails, the run is paused. Of others a failure is said, and the run goes on.
    """

    name: str
    guards: bool

    def look(self, scene: Scene) -> Iterator[Opinion]:
        """What it has to say of the scene. Called after every step, beside the others, in a thread; remembers nothing itself."""
        ...


Make = Callable[[Outfit], Watcher]
