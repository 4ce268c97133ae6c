"""A person leads: each of their lines is a turn of the host, with the tools, watchers and limits that `orchestrate` has.

Everything is on disk after each step, so a pilot that is left, or killed, goes on with `pilot --resume`; each turn
leaves a checkpoint, see checkpoints.py.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from zwarm_ci import proc
from zwarm_ci.errors import BlockedError, CommandError, ConfigError, InterruptedRunError, LimitError, UsageError
from zwarm_ci.orchestrator import checkpoints, prompts
from zwarm_ci.orchestrator.host import Host, Watch
from zwarm_ci.orchestrator.relay import Listener
from zwarm_ci.orchestrator.seat import bounds
from zwarm_ci.orchestrator.tools import Toolset
from zwarm_ci.orchestrator.watchers.base import Step
from zwarm_ci.pipeline import Finished
from zwarm_ci.scrub import one_line
from zwarm_ci.selection import Request
from zwarm_ci.stop import STOP


@dataclass(frozen=True, slots=True)
class Person:
    """Who leads.

    Attributes:
        read: their next line; None = they leave.
        answer: what they answer to a question that the host asks in the middle of its turn.
        say: where they are told something.
        on_step: called after each call of a tool.
    """

    read: Callable[[], str | None]
    answer: Callable[[str], str]
    say: Callable[[str], None]
    on_step: Callable[[Step], None] = lambda _: None


def pilot(request: Request, resume: str, person: Person, watch: Watch) -> Finished | None:
    """Do what a person says, turn by turn; `resume` names a run that goes on ("" = a new one).

    Returns:
        The run's record, once `exit` was accepted or the run was ended; None = the person has left, and it can go on.

    Raises:
        UsageError, BlockedError: it cannot begin. InterruptedRunError: SIGTERM, or the terminal is gone.
    """
    more = {"ask": watch.ask, "tell": watch.stage, "person": person.answer}
    with proc.stoppable(), contextlib.ExitStack() as end:
        if resume:
            toolset = Toolset.resume(request.directory, resume, means=request.means, sets=request.sets, **more)
        else:
            toolset = Toolset.begin(request, **more)
        end.callback(toolset.close)
        try:
            host = Host(toolset, ask=watch.ask, tell=watch.stage, on_step=person.on_step, part="pilot")
        except (ConfigError, BlockedError):
            end.close()
            if not resume:
                toolset.abandon()
            raise
        end.callback(host.close)
        watch.begin(toolset.instance.facts.ledger)
        toolset.prepare()
        person.say(f"run {toolset.run}, {host.rung.name}; `:status` says how things stand, `:quit` or ^D leaves")
        with Listener(toolset.call, host.socket):
            return _turns(toolset, host, person, again=bool(resume))


def _turns(toolset: Toolset, host: Host, person: Person, *, again: bool) -> Finished | None:
    """A turn for each line, until somebody ends it."""
    while True:
        words = person.read()
        if words is None or words.strip() in {":quit", ":q", ":exit"}:
            person.say(f"left; go on with: zwarm-ci pilot --resume {toolset.run}")
            return None
        if not words.strip():
            continue
        if words.strip() == ":status":
            person.say(standing(toolset))
            continue
        try:
            person.say(_turn(toolset, host, words, again=again))
            again = False
        except InterruptedRunError as error:
            if error.signum != signal.SIGINT:
                raise
            STOP.clear()
            person.say("interrupted; what sessions do goes on")
        except LimitError as error:
            return toolset.finish(stopped=error.line, leave=True, host=host.planner.attempts)
        if host.over:
            return _ended(toolset, host)
        _keep(toolset, person, words)


def _keep(toolset: Toolset, person: Person, words: str) -> None:
    """A checkpoint after a turn. There is none where a session writes so fast that its files cannot be read, which is said."""
    try:
        checkpoints.save(toolset.instance, words)
    except (CommandError, UsageError) as error:
        person.say(f"no checkpoint was made of this turn: {one_line(error.line, 300)}")
    except InterruptedRunError as error:
        if error.signum != signal.SIGINT:
            raise
        STOP.clear()
        person.say("no checkpoint was made of this turn: interrupted")


def _turn(toolset: Toolset, host: Host, words: str, *, again: bool) -> str:
    """One turn; what the host answers, or why there is no answer."""
    message = words
    if not host.planner.native:
        message = prompts.first(words, datetime.now(UTC).date(), bounds(toolset))
        if again:  # it began in another process, and its conversation is lost
            message = f"{message}\n{prompts.again('its memory is lost')}"
    elif again:
        message = prompts.again("a new process goes on with it", words)
    taken_back = toolset.noted(checkpoints.NOTE)
    report = host.say(f"{taken_back}\n\n{message}" if taken_back else message)
    if taken_back:  # a turn that was interrupted may not have heard of it, and the next one is told again
        toolset.note(checkpoints.NOTE, None)
    if report.trouble == "budget":
        raise LimitError(report.message)
    return report.message if report.state == "completed" else f"{report.state.replace('_', ' ')}: {report.message}"


def _ended(toolset: Toolset, host: Host) -> Finished:
    """The record of a run that `exit` or a watcher ended."""
    state = toolset.state
    if state.exited:
        host.planner.because(f"exit was accepted: {state.summary}", "already_green")
        return toolset.finish(host=host.planner.attempts)
    resume = f"; go on with: zwarm-ci pilot --resume {toolset.run}" if state.resumable else ""
    return toolset.finish(stopped=f"{state.halted}{resume}", leave=state.resumable, host=host.planner.attempts)


def standing(toolset: Toolset) -> str:
    """How the run stands: steps, money, sessions with their verdicts, what `exit` would be refused for."""
    state, money = toolset.state, toolset.money()
    live = {m.id: m.state for m in toolset.metas()}
    lines = [f"{state.steps} steps, ${money.usd:.4f} by sessions, {len(state.accepted)} accepted"]
    for session in state.sessions:
        said = f", {session.last.status.replace('_', ' ')}" if session.last else ""
        taken = ", accepted" if session.accepted else ""
        lines.append(f"{session.id}  {live.get(session.id, 'gone')}{said}{taken}  {session.title}")
    return "\n".join([*lines, *(f"missing: {line}" for line in toolset.missing())])
