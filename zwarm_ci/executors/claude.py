"""The Claude Code CLI: one process a turn, resumed by session id; its settings and sessions are in a folder of our session's.

A process a turn costs about a second at its start; it needs no state of ours between turns and is ended like any other.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from zwarm_ci import pricing
from zwarm_ci.executors import cli, serving
from zwarm_ci.executors.base import Conduct, Order, Report, Trouble
from zwarm_ci.executors.cli import Heard, Program
from zwarm_ci.executors.homes import Home, Layout, home
from zwarm_ci.executors.jail import jail
from zwarm_ci.executors.native import ClaudeNative, claude_native
from zwarm_ci.executors.trajectory import blocks, claude_step, headline, number_at, read_event, text_at
from zwarm_ci.task import Usage

PROGRAM = Program("claude", "ZWARM_CI_CLAUDE", "npm install -g @anthropic-ai/claude-code", ("2.1.197", "2.2.0"))
LAYOUT = Layout("CLAUDE_CONFIG_DIR", ".claude", ".credentials.json")
EFFORTS = ("low", "medium", "high", "xhigh", "max")
_LIKE = {"none": "low", "minimal": "low", "ultra": "max"}  # words that codex alone has
_READING, _WRITING, _WEB = ("Read", "Glob", "Grep"), ("Bash", "Edit", "Write"), ("WebSearch", "WebFetch")
#: Permission mode and tools by sandbox. Nobody is there to be asked, so what a mode does not allow is denied and counted.
_MODES = {"read-only": "dontAsk", "workspace-write": "acceptEdits", "danger-full-access": "bypassPermissions"}
_RETRIES = "2"  # its own 10 take minutes, over a wrong key too
#: The settings of a user, and the repository's CLAUDE.md, memory and skills, play no part.
_ISOLATED = {"CLAUDE_CODE_DISABLE_CLAUDE_MDS": "1", "CLAUDE_CODE_DISABLE_AUTO_MEMORY": "1"}
_QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1", "CLAUDE_CODE_MAX_RETRIES": _RETRIES,
    "CLAUDE_CODE_DISABLE_CRON": "1",
    "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",  # a turn ends with all that it started
}  # fmt: skip
#: Its words for a failed call, in `error` of a message or a retry, as troubles.
_ERRORS: Mapping[str, Trouble] = {
    "authentication_failed": "credentials", "billing_error": "credentials", "rate_limit": "rate_limit", "overloaded": "rate_limit",
    "server_error": "outage",
}  # fmt: skip
_BROKE_OFF = "[ede_diagnostic]"  # its word for a message without an end
#: Where it says what was used: of a model in the result, and of a message or turn.
_MODEL = ("inputTokens", "cacheReadInputTokens", "cacheCreationInputTokens", "outputTokens")
_MESSAGE = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
_SUBTYPES: Mapping[str, Trouble] = {"error_max_budget_usd": "budget"}


class Claude(cli.Cli):
    """Starts `claude -p` and reads its events. Nothing is kept here between turns; the conversation is in the session's home."""

    name = "claude"
    program, layout = PROGRAM, LAYOUT

    def check(self, conduct: Conduct) -> None:
        """Raise `ConfigError` where `conduct` says something that claude cannot be told, or must not."""
        cli.refuse(conduct)
        cli.effort(conduct, EFFORTS, _LIKE)
        claude_native(conduct.native)

    def turn(self, order: Order, on_line: Callable[[bytes], None]) -> Report:
        """Run one turn; see `Executor.turn`.

        Raises:
            ConfigError: the settings name a variable or a native setting that no executor gets.
            BlockedError: claude cannot be started.
        """
        self.check(order.conduct)
        if report := cli.penniless(order):
            return report
        heard = Heard(native=order.native or str(uuid.uuid4()), total=order.total)
        started = _Started()

        def hear(line: bytes) -> None:
            on_line(line)
            event = read_event(line)
            started.listen(event)
            listen(heard, event)

        with home(order, LAYOUT) as own:
            argv, env = _command(order, own, heard.native)
            marks = {"CLAUDE_CODE_SESSION_ID": heard.native}
            ended = cli.play([*_jail(order, own), *argv], order, env, order.message, hear, heard, marks)
            heard.models = heard.models or started.models
            if not (heard.final and not heard.failed) and _transcript(own.config, heard.native) is None:
                heard.native = order.native  # nothing that could be resumed was written
        heard.total = order.total + sum(heard.models.values(), Usage())
        return cli.report(order, ended, heard)

    def headline(self, line: bytes) -> str:
        """A command, a change of files or a message."""
        return headline(claude_step(read_event(line)))


class _Started:
    """Usage of a turn without a result: what each message said at its begin. Its output is counted as it began, so it is too low."""

    def __init__(self) -> None:
        self._messages: dict[str, tuple[str, Usage]] = {}

    def listen(self, event: dict[str, Any]) -> None:
        message = event.get("message")
        if event.get("type") == "assistant" and isinstance(message, dict) and isinstance(message.get("usage"), dict):
            used = _usage(message["usage"], _MESSAGE)
            self._messages[text_at(message, "id")] = (text_at(message, "model"), used)

    @property
    def models(self) -> dict[str, Usage]:
        """By model; each message once, however many events it came in."""
        total: dict[str, Usage] = {}
        for model, used in self._messages.values():
            if used.total:
                total[model] = total.get(model, Usage()) + used
        return total


def listen(heard: Heard, event: dict[str, Any]) -> None:
    """Understand one event. API errors come as a result of subtype success, so `is_error` alone says whether a turn failed."""
    kind, subtype = text_at(event, "type"), text_at(event, "subtype")
    if kind == "system" and subtype == "init":
        heard.native = text_at(event, "session_id") or heard.native
    elif kind == "system" and subtype == "api_retry":
        heard.trouble = _ERRORS.get(text_at(event, "error"), "outage")
        heard.retry_after = _asked(event.get("retry_delay_ms"))
    elif kind in {"assistant", "user"}:
        _converse(heard, event)
    elif kind == "result":
        _result(heard, event, subtype)


def _asked(delay: object) -> float:
    """Seconds that the provider asks to wait. Its own figure is in whole seconds (`retry-after`); claude's is not."""
    return delay / 1000 if isinstance(delay, int) and not isinstance(delay, bool) and delay % 1000 == 0 else 0.0


def _converse(heard: Heard, event: dict[str, Any]) -> None:
    error = text_at(event, "error")
    heard.trouble = _ERRORS.get(error, "") if error else ""  # an answer came: what was retried before is over
    for block in blocks(event):
        if block.get("type") == "tool_use":
            heard.open.add(text_at(block, "id"))
        elif block.get("type") == "tool_result":
            heard.open.discard(text_at(block, "tool_use_id"))
        elif block.get("type") == "text" and event.get("type") == "assistant" and not event.get("parent_tool_use_id"):
            heard.said = text_at(block, "text")


def _result(heard: Heard, event: dict[str, Any], subtype: str) -> None:
    said = text_at(event, "result")
    heard.final, heard.failed = True, bool(event.get("is_error")) or subtype != "success"
    heard.status = number_at(event, "api_error_status")
    heard.said = said or heard.said
    if heard.failed:
        given = event.get("errors")
        errors = [e for e in given if isinstance(e, str)] if isinstance(given, list) else []
        heard.failure = said or "; ".join(errors) or subtype
        if heard.failure.startswith(_BROKE_OFF):
            heard.failure, heard.trouble = f"the answer broke off: {heard.failure}", "outage"
        else:
            heard.trouble = _SUBTYPES.get(subtype, "") or cli.trouble_of(heard.failure, heard.status) or heard.trouble
        heard.retry_after = cli.wait_of(said) or heard.retry_after
    denials = event.get("permission_denials")
    heard.denials = len(denials) if isinstance(denials, list) else 0
    cost = event.get("total_cost_usd")
    heard.cost = float(cost) if isinstance(cost, int | float) and not isinstance(cost, bool) and cost >= 0 else None
    used, turn = event.get("modelUsage"), event.get("usage")
    if isinstance(used, dict):
        heard.models = {model: _usage(figures, _MODEL) for model, figures in used.items() if isinstance(figures, dict)}
        # What was counted but not answered (a stream that was cut) is missing in the turn's own figures; the lost call may have used more.
        answered = _usage(turn, _MESSAGE).total if isinstance(turn, dict) else 0
        heard.exact = answered >= sum(used.total for used in heard.models.values()) and heard.trouble != "outage"


def _usage(figures: dict[str, Any], names: Sequence[str]) -> Usage:
    """Figures under their names; the buckets are disjoint as they are, and thinking is a part of the output."""
    return Usage(*(number_at(figures, name) for name in names))


def _transcript(config: Path, session: str) -> Path | None:
    """Claude's own record of a conversation."""
    if not re.fullmatch(r"[0-9A-Za-z-]+", session):
        return None
    return next((config / "projects").glob(f"*/{session}.jsonl"), None)


def _move_here(config: Path, session: str, cwd: Path) -> None:
    """Put a conversation where claude looks for it: it resumes only those of its current folder, and a worktree may have moved."""
    found = _transcript(config, session)
    here = config / "projects" / re.sub(r"[^A-Za-z0-9]", "-", str(cwd.resolve()))
    if found and found.parent != here and not here.exists():
        found.parent.rename(here)


def _model(order: Order) -> str:
    return order.model or pricing.get_default_model("claude") or ""


def _command(order: Order, own: Home, session: str) -> tuple[list[str], dict[str, str]]:
    """Argument list and environment of a turn."""
    conduct, native = order.conduct, claude_native(order.conduct.native)
    argv = [
        str(_binary()), "-p", "--output-format", "stream-json", "--verbose", "--model", _model(order),
        "--permission-mode", _MODES[conduct.sandbox], *native.flags,
        *(serving.claude_flags(order.tools, own) if order.tools else _tools(conduct)),
    ]  # fmt: skip
    if order.native:
        _move_here(own.config, session, order.worktree)
    argv += ["--resume" if order.native else "--session-id", session]
    if word := cli.effort(conduct, EFFORTS, _LIKE):
        argv += ["--effort", word]
    if order.endpoint is None and order.budget_usd is not None:
        argv += ["--max-budget-usd", f"{order.budget_usd:.6f}"]
    argv += _isolation(order, own, native)
    extra = {
        **_QUIET,
        **native.env,
        "CLAUDE_CONFIG_DIR": str(own.config),
        "API_TIMEOUT_MS": str(cli.stall_ms(order)),
        "CLAUDE_CODE_TMPDIR": str(order.scratch),
    }
    if order.tools:
        extra |= serving.claude_env(order.tools)
    if own.isolated:
        extra |= _ISOLATED
    if conduct.sandbox == "danger-full-access" and os.geteuid() == 0:
        extra["IS_SANDBOX"] = "1"  # root is refused this mode without it
    if order.endpoint:
        extra |= {"ANTHROPIC_BASE_URL": order.endpoint.url, "ANTHROPIC_API_KEY": order.endpoint.token}
    return argv, cli.environment(order, own, extra)


def _jail(order: Order, own: Home) -> tuple[str, ...]:
    """What keeps claude's commands from writing elsewhere, where the settings ask for it and this machine can."""
    conduct = order.conduct
    if not conduct.confined or conduct.sandbox == "danger-full-access":
        return ()
    order.scratch.mkdir(parents=True, exist_ok=True)
    kept = (own.path,) if own.isolated else (own.config, order.folder)
    login = (own.login,) if own.login else ()
    return jail((*kept, *login, order.scratch, *((order.worktree,) if conduct.sandbox == "workspace-write" else ())))


def _tools(conduct: Conduct) -> list[str]:
    """The tools that are offered, and those that need no permission. Edits need one outside of the worktree, so they are not named."""
    web = _WEB if conduct.web_search else ()
    if conduct.sandbox == "read-only":
        return ["--tools", ",".join((*_READING, *web)), "--allowedTools", ",".join((*_READING, *web))]
    return ["--tools", ",".join((*_READING, *_WRITING, *web)), "--allowedTools", ",".join((*_READING, "Bash", *web))]


def _isolation(order: Order, own: Home, native: ClaudeNative) -> list[str]:
    """Flags that keep a user's and the repository's settings out, and put the base's instructions in by a file."""
    folder = own if own.isolated else Home(order.folder.resolve(), order.folder.resolve(), isolated=True)
    words = "\n\n".join(filter(None, (order.conduct.instructions, native.instructions)))
    instructions = folder.write("instructions.md", words)
    settings = folder.write("zwarm.json", json.dumps(native.settings) if native.settings else "")
    flag = "--system-prompt-file" if order.tools else "--append-system-prompt-file"
    argv = [flag, str(instructions)] if instructions else []
    argv += ["--settings", str(settings)] if settings else []
    if own.isolated:
        argv += [*([] if order.tools else ["--strict-mcp-config"]), "--setting-sources", "", "--disable-slash-commands"]
    return argv


def _binary() -> Path:
    from zwarm_ci.errors import BlockedError

    found = PROGRAM.find()
    if found is None:
        raise BlockedError(PROGRAM.unusable())
    return found
