"""What an executor is given, what it says at the end, and the Protocol that every variant follows.

A variant is one file, a line in `EXECUTORS` (executors/__init__.py) and a call of tests/conformance/executor.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from zwarm_ci.proc import Halt
from zwarm_ci.task import Check, Endpoint, Origin, Sandbox, Task, Usage
from zwarm_ci.verdict import Method

#: How a session's turn ended. Only `completed` says that the executor itself came to an end it intended.
State = Literal["completed", "failed", "killed", "timed_out", "interrupted", "blocked"]
#: Why a turn failed, as far as the loop acts on it: limits of rate are waited for, an outage is no attempt, a limit of ours ends the task.
Trouble = Literal["", "rate_limit", "outage", "credentials", "budget"]


@dataclass(frozen=True, slots=True)
class Conduct:
    """How a CLI is to behave; the embedded executor has no use for it.

    Attributes:
        sandbox: what its commands may write; `danger-full-access` only where a person asked for it by name.
        reasoning_effort: in the CLI's own words; "" = its default.
        env: names of variables that pass to it from our environment.
        inherit_user_config: its own home with configuration, MCP servers and hooks, instead of an isolated one.
        native: further settings of the CLI as TOML text, from the base's `.zwarm/codex.toml` or `.zwarm/claude.toml`.
        instructions: what AGENTS.md and CLAUDE.md say at the base; the worktree's own are not read.
        confined: a CLI that has no sandbox of its own (claude) gets one of ours, where this machine can; see `jail.means`.
    """

    sandbox: Sandbox = "workspace-write"
    web_search: bool = False
    reasoning_effort: str = "high"
    env: tuple[str, ...] = ()
    inherit_user_config: bool = False
    native: str = ""
    instructions: str = ""
    confined: bool = False


@dataclass(frozen=True, slots=True)
class Workbench:
    """What executors that work on history and checks themselves (the embedded one) may use. Read-only but for new objects.

    Attributes:
        private: the run's private bare repository (git dir); holds `base` and all its history that the clone has.
        top: the original checkout, for mapping its interpreter and editable installs; never written.
        base: the commit under repair.
        checks: the run's checks; the first is the one that the task's failures belong to.
        last_green: commit named by `--last-green` or CI's record; empty = search first parents.
        revert: may a regression be undone (protected or default branch, `--allow-revert`, or `last_green` by hand)?
            False = name the hunks only (`attributed`).
        protect: the user's own globs from `verify.protect`.
        shared: folder for answers that the sessions of one run share; None = none.
        cohort: all red ids of the task's check; one run on an old source answers for every task.
        built_for: the commit that the checkout stands at, to which what is built there belongs; "" = `base`.
    """

    private: Path
    top: Path
    base: str
    checks: tuple[Check, ...]
    last_green: str = ""
    revert: bool = False
    protect: tuple[str, ...] = ()
    shared: Path | None = None
    cohort: tuple[str, ...] = ()
    built_for: str = ""


@dataclass(frozen=True, slots=True)
class Tools:
    """An MCP server whose tools are all that a CLI has in a turn: it reads and writes nothing by itself. The conduct must be read-only.

    Attributes:
        server: its name, as the model sees it. names: its tools.
        argv, env: how it is started; it talks over its standard streams.
        seconds: that one call may take at most.
        context: tokens of context that it may have, and share: of them, at which it is to compact; 0 tokens = when it wants to.
    """

    server: str
    names: tuple[str, ...]
    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    seconds: float = 600.0
    context: int = 0
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Order:
    """One turn of one session.

    Attributes:
        session: id. turn: from 1. model: "" = the executor's default.
        message: turn 1 the task's text, later the exact error that verification gave.
        worktree: folder to edit; at the base in turn 1 of a session, reset to the base by the loop before turn 1 only.
        refused: tree ids of results that verification refused in this task already; not to be offered again.
        folder: the session's own folder, for files that the executor wants kept.
        scratch: TMPDIR of this session; deleted with the run.
        timeout: seconds for the turn. silence: seconds without an event.
        native: the CLI's own id of the conversation that goes on; "" = it begins.
        total: what the CLI had counted in that conversation when its last turn ended; codex goes on counting from there.
        endpoint: where model calls go; None = the CLI's own login.
        halt: with what somebody else may end this turn.
        budget_usd: what may still be spent, for a CLI that can limit itself; None = no limit.
        tools: in the place of the CLI's own; None = it has these. `conduct.instructions` is the whole system prompt then.
    """

    session: str
    turn: int
    model: str
    task: Task
    message: str
    worktree: Path
    workbench: Workbench
    folder: Path
    scratch: Path
    timeout: float
    silence: float
    refused: tuple[str, ...] = ()
    native: str = ""
    total: Usage = Usage()
    endpoint: Endpoint | None = None
    conduct: Conduct = Conduct()
    budget_usd: float | None = None
    halt: Halt | None = field(default=None, compare=False)
    tools: Tools | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What an executor says of its turn. Nobody believes it; the worktree's difference is what is judged.

    `attributed` = the cause is named in `origin` and `message`, but no patch is offered (Workbench.revert is False).
    `suite_runs` counts check runs that the executor made itself. `cost_usd` None = unknown price.
    `native` is the CLI's own id of the conversation, `total` its count so far in it. `models` is this turn's usage by the
    model that answered ("" = not said). `lower_bound`: the turn ended so that more may have been used than is known.
    `retry_after`: seconds that the provider asked to wait; 0 = not said. `left`: names of processes that it left running; all were ended.
    """

    state: State
    message: str
    method: Method | None = None
    origin: Origin | None = None
    attributed: bool = False
    usage: Usage = Usage()
    cost_usd: float | None = 0.0
    provider_cost_usd: float | None = None
    seconds: float = 0.0
    denials: int = 0
    suite_runs: int = 0
    native: str = ""
    total: Usage = Usage()
    models: tuple[tuple[str, Usage], ...] = ()
    lower_bound: bool = False
    trouble: Trouble = ""
    retry_after: float = 0.0
    left: tuple[str, ...] = ()


class Executor(Protocol):
    """A way to get work done in a worktree. Implementations keep no state between calls; sessions are on disk."""

    name: str
    #: Whether the same order gives the same result; a fresh session would then be wasted.
    deterministic: bool

    def unusable(self) -> str:
        """Why this executor cannot run here, in one line with the remedy; "" = it can."""
        ...

    def login(self) -> str:
        """Where it finds a login of its own, in a few words; "" = it has none, or needs none."""
        ...

    def version(self) -> str:
        """What it says its version is; "" = it has none of its own, or is not there."""
        ...

    def doubt(self) -> str:
        """What speaks against this version, in a line; "" = nothing known."""
        ...

    def check(self, conduct: Conduct) -> None:
        """Look at what it would be asked to do.

        Raises:
            ConfigError: it cannot be done, or may not.
        """
        ...

    def turn(self, order: Order, on_line: Callable[[bytes], None]) -> Report:
        """Run one turn to its end; `on_line` gets each raw event line as it comes (it is kept untouched).

        Raises:
            InterruptedRunError: the run was stopped; nothing of the session is alive.
        """
        ...

    def headline(self, line: bytes) -> str:
        """What a raw event line says of the work in a few words for the progress display; "" = nothing worth showing."""
        ...
