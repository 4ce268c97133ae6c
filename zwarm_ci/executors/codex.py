"""The codex CLI: one process a turn, resumed by thread id; its settings go into the session's own CODEX_HOME."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from zwarm_ci import pricing
from zwarm_ci.executors import cli, serving
from zwarm_ci.executors.base import Conduct, Order, Report
from zwarm_ci.executors.cli import Heard, Program
from zwarm_ci.executors.homes import Home, Layout, home
from zwarm_ci.executors.native import codex_native
from zwarm_ci.executors.trajectory import codex_step, headline, number_at, read_event, text_at
from zwarm_ci.proc import Exit
from zwarm_ci.scrub import decode
from zwarm_ci.task import Endpoint, Usage

PROGRAM = Program("codex", "ZWARM_CI_CODEX", "npm install -g @openai/codex", ("0.169.0", "0.170.0"))
LAYOUT = Layout("CODEX_HOME", ".codex", "auth.json")
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra")
#: The variable that holds the gateway's token; no tool's shell gets it.
TOKEN = "ZWARM_CI_TOKEN"  # noqa: S105 - a name
_PROVIDER = "zwarm"
_RETRIES = {"request_max_retries": 2, "stream_max_retries": 3}  # codex's own are 4 and 5, which makes 30 calls of one
_NATIVE = "codex-*/vendor/*/bin/codex"  # in node_modules/@openai, beside or below the wrapper's package
_DENIED = re.compile(r"router: error=(?:patch rejected|approval policy is|.*rejected by user approval)")


class Codex(cli.Cli):
    """Starts `codex exec` and reads its events. Nothing is kept here between turns; the thread is in the session's home."""

    name = "codex"
    program, layout = PROGRAM, LAYOUT

    def check(self, conduct: Conduct) -> None:
        """Raise `ConfigError` where `conduct` says something that codex cannot be told, or must not."""
        cli.refuse(conduct)
        cli.effort(conduct, EFFORTS, {})
        codex_native(conduct.native)

    def turn(self, order: Order, on_line: Callable[[bytes], None]) -> Report:
        """Run one turn; see `Executor.turn`.

        Raises:
            ConfigError: the settings name a variable or a native setting that no executor gets.
            BlockedError: codex cannot be started.
        """
        self.check(order.conduct)
        if report := cli.penniless(order):
            return report
        heard = Heard(native=order.native, total=order.total)
        marks: dict[str, str] = {}

        def hear(line: bytes) -> None:
            on_line(line)
            listen(heard, read_event(line))
            if heard.native:
                marks["CODEX_THREAD_ID"] = heard.native

        with home(order, LAYOUT) as own:
            argv, env, prompt = _command(order, own)
            ended = cli.play(argv, order, env, prompt, hear, heard, marks)
            _count(order, own, heard, ended)
        return cli.report(order, ended, heard)

    def headline(self, line: bytes) -> str:
        """A command, a change of files or a message."""
        return headline(codex_step(read_event(line)))


def listen(heard: Heard, event: dict[str, Any]) -> None:
    """Understand one event. `error` events announce retries as well as ends, so they are only the reason of last resort."""
    kind = text_at(event, "type")
    item = text_at(event, "item", "type")
    if kind == "thread.started":
        heard.native = text_at(event, "thread_id") or heard.native
    elif kind == "turn.started":
        heard.open.clear()
    elif kind == "item.started":
        heard.open.add(text_at(event, "item", "id"))
    elif kind == "item.completed":
        heard.open.discard(text_at(event, "item", "id"))
        if item == "agent_message":
            heard.said = text_at(event, "item", "text")
        heard.denials += text_at(event, "item", "status") == "declined"
    elif kind == "turn.completed":
        heard.final, heard.failed, heard.exact = True, False, True
        heard.total = _usage(event.get("usage"))
    elif kind in {"error", "turn.failed"}:
        said = text_at(event, "error", "message") or text_at(event, "message")
        heard.failure = said or heard.failure
        heard.retry_after = cli.wait_of(said) or heard.retry_after
        if kind == "turn.failed":
            heard.final = heard.failed = True


def _count(order: Order, own: Home, heard: Heard, ended: Exit) -> None:
    """This turn's usage: codex counts by thread, over resumes; a turn without a final count is looked up in its own record."""
    heard.denials += sum(bool(_DENIED.search(line)) for line in decode(ended.stderr).splitlines())
    recorded = _rollout(own.config, heard.native)
    if not heard.exact:
        heard.total = _recorded_total(recorded) or order.total
        if recorded is None:
            heard.native = order.native  # nothing that could be resumed was written
    begun = order.total if heard.native == order.native and _includes(heard.total, order.total) else Usage()
    used = heard.total - begun
    if used.total:
        heard.models[_model(order)] = used


def _includes(total: Usage, before: Usage) -> bool:
    """Whether a count can have come from going on after `before`; a smaller one has begun anew."""
    return total.total >= before.total and total.output_tokens >= before.output_tokens


def _usage(counted: object) -> Usage:
    """Codex's figures in disjoint buckets: its input includes what was read from and written to the cache."""
    figures = counted if isinstance(counted, dict) else {}
    read, write = number_at(figures, "cached_input_tokens"), number_at(figures, "cache_write_input_tokens")
    fresh = max(0, number_at(figures, "input_tokens") - read - write)
    return Usage(fresh, read, write, number_at(figures, "output_tokens"), number_at(figures, "reasoning_output_tokens"))


def _rollout(config: Path, thread: str) -> Path | None:
    """Codex's own record of a thread."""
    if not re.fullmatch(r"[0-9A-Za-z-]+", thread):
        return None
    return next((config / "sessions").glob(f"*/*/*/rollout-*-{thread}.jsonl"), None)


def _recorded_total(rollout: Path | None) -> Usage | None:
    """The thread's count as it was last written down, after each call; None where it never was."""
    last = None
    if rollout is not None:
        with rollout.open("rb") as lines:
            for line in lines:
                if b'"token_count"' in line and (event := read_event(line)):
                    info = event.get("payload", {}).get("info") if isinstance(event.get("payload"), dict) else None
                    last = info.get("total_token_usage") if isinstance(info, dict) else last
    return _usage(last) if last is not None else None


def _model(order: Order) -> str:
    return order.model or pricing.get_default_model("codex") or ""


def _command(order: Order, own: Home) -> tuple[list[str], dict[str, str], str]:
    """Argument list, environment and standard input of a turn."""
    conduct, prompt = order.conduct, order.message
    settings = _settings(order)
    if order.tools:
        catalog = serving.codex_catalog(_binary(), own)
        settings = _merged(serving.codex_settings(order.tools, conduct.instructions, catalog), settings)
        conduct = replace(conduct, instructions="")
    argv = [
        str(_binary()),
        "exec",
        "--json",
        "--skip-git-repo-check",
        "-C",
        str(order.worktree),
        "--sandbox",
        conduct.sandbox,
    ]
    if own.isolated:
        own.write("AGENTS.md", conduct.instructions)
        own.write("config.toml", "".join(f"{key} = {value}\n" for key, value in _flat(settings)))
    else:
        argv += [part for key, value in _flat(settings) for part in ("-c", f"{key}={value}")]
        if conduct.instructions and not order.native:
            prompt = f"<AGENTS.md>\n{conduct.instructions}\n</AGENTS.md>\n\n{prompt}"
    argv += ["-m", _model(order), *(("resume", order.native) if order.native else ()), "-"]
    extra = {"CODEX_HOME": str(own.config)}
    if order.endpoint:
        extra[TOKEN] = order.endpoint.token
    return argv, cli.environment(order, own, extra), prompt


def _settings(order: Order) -> dict[str, Any]:
    """What goes into config.toml, the native settings below ours."""
    conduct = order.conduct
    ours: dict[str, Any] = {
        "approval_policy": "never",
        "project_doc_max_bytes": 0,  # AGENTS.md comes from the base, in CODEX_HOME
        "web_search": "live" if conduct.web_search else "disabled",
        "features": {"plugins": False, "unbounded_connection_retries": False},
        "analytics": {"enabled": False},
        # /tmp may hold other sessions' worktrees; each has a TMPDIR of its own.
        "sandbox_workspace_write": {"exclude_slash_tmp": True},
        # A subagent's tokens are on a thread of its own, which the final count leaves out.
        "agents": {"enabled": False},
        "shell_environment_policy": {"inherit": "all", "ignore_default_excludes": True, "exclude": [TOKEN]},
    }
    if word := cli.effort(conduct, EFFORTS, {}):
        ours["model_reasoning_effort"] = word
    if not conduct.inherit_user_config:
        ours |= {
            "check_for_update_on_startup": False,
            "cli_auth_credentials_store": "file",
            "history": {"persistence": "none"},
            # The worktree's own skills would come in with the bundled ones.
            "skills": {"include_instructions": False, "bundled": {"enabled": False}},
        }
        ours["features"] |= {"goals": False, "multi_agent_v2": False}
    if order.endpoint:
        ours |= {"model_provider": _PROVIDER, "model_providers": {_PROVIDER: _provider(order, order.endpoint)}}
    return _merged(codex_native(conduct.native), ours)


def _provider(order: Order, endpoint: Endpoint) -> dict[str, Any]:
    return {
        "name": _PROVIDER,
        "base_url": f"{endpoint.url}/v1",
        "env_key": TOKEN,
        "wire_api": "responses",
        "supports_websockets": False,
        "stream_idle_timeout_ms": cli.stall_ms(order),
        **_RETRIES,
    }


def _merged(native: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """Both, table by table; native settings may change our defaults, for none of their names is one that we rely on."""
    both: dict[str, Any] = dict(ours)
    for key, value in native.items():
        mine = both.get(key)
        both[key] = _merged(value, mine if isinstance(mine, dict) else {}) if isinstance(value, dict) else value
    return both


def _flat(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Dotted keys with their values as TOML writes them."""
    from zwarm_ci.config.tables import quoted, toml

    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{quoted(key)}.")
        else:
            yield f"{above}{quoted(key)}", toml(value)


def _binary() -> Path:
    """The program to start: the native one inside of the npm package where there is one, for its wrapper can be killed without it.

    Raises:
        BlockedError: codex is not installed.
    """
    found = PROGRAM.find()
    if found is None:
        from zwarm_ci.errors import BlockedError

        raise BlockedError(PROGRAM.unusable())
    wrapper = found.resolve()
    if wrapper.name != "codex.js":
        return found
    package = wrapper.parents[1]
    places = (package.parent, package / "node_modules" / "@openai")
    natives = (path for place in places for path in sorted(place.glob(_NATIVE)))
    return next(natives, next(package.glob("vendor/*/bin/codex"), found))
