"""What the adapters of real CLIs share: finding the program, its environment, one turn of it, and how its end is understood.

A turn's state comes from the process's exit and the CLI's final event together; neither is believed alone.
"""

from __future__ import annotations

import functools
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from zwarm_ci.environment import given
from zwarm_ci.errors import BlockedError, ConfigError
from zwarm_ci.executors.base import Conduct, Order, Report, State, Trouble
from zwarm_ci.executors.homes import Home, Layout
from zwarm_ci.executors.trajectory import read_event, text_at
from zwarm_ci.proc import Exit, run, run_lines
from zwarm_ci.scrub import child_env, decode, one_line, plain, redact
from zwarm_ci.task import Usage

#: Never in an executor's environment, even if asked for by name: credentials of the forge and the providers, and what names an endpoint.
_FORBIDDEN = re.compile(
    r"^(GITHUB_TOKEN|GH_TOKEN|GH_ENTERPRISE_TOKEN|GITHUB_ENTERPRISE_TOKEN|GITHUB_PAT|GITLAB_TOKEN|CI_JOB_TOKEN|ACTIONS_.*|OPENAI_.*|CODEX_.*"
    r"|ANTHROPIC_.*|CLAUDE_.*|AZURE_OPENAI_.*|ZWARM_CI_.*|GIT_.*|HOME|TMPDIR)$"
)
#: For CLIs that reach their provider themselves; a gateway on this machine needs none of them.
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy", "NODE_EXTRA_CA_CERTS")
#: Git as the executor's commands see it: no configuration of the user's or the machine's, no stored password, no question.
_GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "credential.helper", "GIT_CONFIG_VALUE_0": "",
}  # fmt: skip
#: Our gateway's refusals begin so; see gateway/desk.py.
OURS = "zwarm-ci: "
_SERVER_ERROR = 500
_LOOPBACK = "127.0.0.1,localhost,::1"
_LONGEST = 400  # characters of a report's message
_TAIL, _TAIL_LENGTH = 3, 240  # lines and characters of standard error
_STALL_SHARE = 0.5  # of the silence allowed: the CLI notices a stalled answer, and asks again, before we end it
#: What a failed call's HTTP status means; any other from 500 on is an outage, any other below is the request's own fault.
_STATUSES: Mapping[int, Trouble] = {
    401: "credentials",
    402: "credentials",
    403: "credentials",
    407: "outage",
    408: "outage",
    429: "rate_limit",
    529: "rate_limit",
}
_STATUS = re.compile(r"(?:status:? |API Error: |\()(\d{3})\b")
#: What failures without a status say, in the order in which they are asked.
_WORDS: tuple[tuple[Trouble, str], ...] = (
    (
        "credentials",
        r"not logged in|authenticat|invalid.{0,9}api.key|missing environment variable|quota exceeded|credit balance",
    ),
    ("rate_limit", r"rate.?limit|usage limit|too many requests|overloaded"),
    (
        "outage",
        r"high demand|stream (disconnected|closed)|idle timeout|connection|to connect|sending request|timed? ?out|network|server.?error",
    ),
)
_AGAIN_IN = re.compile(
    r"(?:try again|retry)[^.\n]{0,20}? in (\d+(?:\.\d+)?) ?(ms|milli|s|sec|m|min|h|hour)", re.IGNORECASE
)
_UNITS = {"ms": 0.001, "milli": 0.001, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "hour": 3600.0}


@dataclass(frozen=True, slots=True)
class Program:
    """A CLI: its name, the variable that names its path, how it is installed, and the versions that our tests ran with."""

    name: str
    variable: str
    install: str
    known_good: tuple[str, str]  # the first one, and the first one no longer

    def find(self) -> Path | None:
        """The file to start: the variable's, else the first on PATH; None where there is none that can be executed."""
        import shutil

        named = given().get(self.variable)
        found = shutil.which(os.path.expanduser(named) if named else self.name)  # noqa: PTH111 - as the shell does it
        return Path(found).absolute() if found else None

    def unusable(self) -> str:
        """Why it cannot be started, with the remedy; "" = it can."""
        if self.find():
            return ""
        if named := given().get(self.variable):
            return f"{self.variable} names {one_line(named)}, which is no program (set it to {self.name}'s path)"
        return f"{self.name} is not installed ({self.install}, or set {self.variable})"

    def version(self) -> str:
        """Its version as three numbers; "" where it does not say.

        Raises:
            BlockedError: it is not installed.
        """
        path = self.find()
        if path is None:
            raise BlockedError(self.unusable())
        return _version(str(path), path.stat().st_mtime)

    def doubt(self) -> str:
        """What speaks against this version, in one line; "" = our tests ran with it, or its like."""
        version = self.version()
        if not version:
            return f"{self.name} does not say its version"
        first, end = self.known_good
        if _numbers(first) <= _numbers(version) < _numbers(end):
            return ""
        return f"{self.name} {version} is untried; known to work: {first} up to, not including, {end}"


@functools.cache
def _version(path: str, _changed: float) -> str:
    done = run([path, "--version"], cwd=Path("/"), env=child_env(), timeout=30.0)
    found = re.search(r"\d+\.\d+\.\d+", decode(done.stdout)) if done.ok else None
    return found[0] if found else ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(n) for n in version.split("."))


class Cli:
    """What both CLIs answer alike: whether it is there, in which version, and with whose login. Part of an `Executor`."""

    deterministic = False
    program: ClassVar[Program]
    layout: ClassVar[Layout]

    def unusable(self) -> str:
        """Whether the CLI is installed."""
        return self.program.unusable()

    def login(self) -> str:
        """The user's own login, by its file's path."""
        own = self.layout.own_login
        return str(own) if own else ""

    def version(self) -> str:
        """Its version; see `Program.version`."""
        return self.program.version()

    def doubt(self) -> str:
        """What speaks against this version; "" = nothing."""
        return self.program.doubt()


@dataclass(slots=True)
class Heard:
    """What has been understood of a turn's events so far.

    Attributes:
        native: the CLI's id of the conversation.
        said: its last message. failure: what its final event, or its last error, gives as the reason.
        final: the event that ends a turn came; `failed`: it says that the turn failed.
        open: tool calls under way, by id; while there are any, silence is the tool's and not the provider's.
        status: HTTP status that ended the turn; 0 = not said. retry_after: seconds.
        models: this turn's usage by the model that answered. total: the CLI's count in the conversation.
        unanswered: no tool was under way when the turn had been silent for too long; None = it never was.
        exact: nothing more can have been used than `models` says.
        cost: the CLI's own figure in dollars; None = it has none.
    """

    native: str = ""
    said: str = ""
    failure: str = ""
    final: bool = False
    failed: bool = False
    open: set[str] = field(default_factory=set)
    unanswered: bool | None = None
    status: int = 0
    retry_after: float = 0.0
    denials: int = 0
    models: dict[str, Usage] = field(default_factory=dict)
    total: Usage = Usage()
    exact: bool = False
    cost: float | None = None
    trouble: Trouble = ""


def environment(order: Order, home: Home, extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of a turn: the allow-list, what the settings name (see `refuse`), the home, git without credentials, `extra`."""
    proxies = () if order.endpoint else (*_PROXIES, "NO_PROXY", "no_proxy")
    env = child_env(names=(*order.conduct.env, *proxies))
    beside = ",".join(filter(None, (env.get("NO_PROXY") or env.get("no_proxy", ""), _LOOPBACK)))
    ours = {"HOME": str(home.path), "TMPDIR": str(order.scratch), "NO_PROXY": beside, "no_proxy": beside}
    return {**env, **_GIT, **ours, **extra}


def refuse(conduct: Conduct) -> None:
    """Raise `ConfigError` where `executor.env` names a variable that no executor may have."""
    if bad := next((name for name in conduct.env if _FORBIDDEN.match(name.upper())), ""):
        raise ConfigError(f"executor.env: no executor gets {bad}", remedy="take it out of the list")


def effort(conduct: Conduct, words: Sequence[str], like: Mapping[str, str]) -> str:
    """The reasoning effort in this CLI's own word; "" = its default.

    Raises:
        ConfigError: neither CLI knows it.
    """
    word = like.get(conduct.reasoning_effort, conduct.reasoning_effort)
    if word and word not in words:
        raise ConfigError(
            f"executor.reasoning_effort: {one_line(word, 40)} is unknown", remedy=f"one of {', '.join(words)}"
        )
    return word


def stall_ms(order: Order) -> int:
    """Milliseconds after which the CLI itself gives up an answer that does not come."""
    return max(1000, int(order.silence * _STALL_SHARE * 1000))


def penniless(order: Order) -> Report | None:
    """The report of a turn that may not begin because nothing is left to spend and no gateway stands before the provider."""
    if order.endpoint is not None or order.budget_usd is None or order.budget_usd > 0:
        return None
    return Report("failed", "nothing is left to spend", native=order.native, total=order.total, trouble="budget")


def play(
    argv: Sequence[str],
    order: Order,
    env: Mapping[str, str],
    prompt: str,
    hear: Callable[[bytes], None],
    heard: Heard,
    marks: Mapping[str, str],
) -> Exit:
    """Start the CLI in the worktree, the prompt on its standard input, and read its lines until it and all it started have ended.

    `marks` are variables of the CLI's own that what it starts carries; more may be added while it runs.
    """
    order.folder.mkdir(parents=True, exist_ok=True)
    order.scratch.mkdir(parents=True, exist_ok=True)
    last = time.monotonic()

    def on_line(line: bytes) -> None:
        nonlocal last
        now = time.monotonic()
        if heard.unanswered is None and now - last >= order.silence:  # what comes now is said while it is being ended
            heard.unanswered = not heard.open
        last = now
        hear(line)

    return run_lines(
        argv, cwd=order.worktree, env=env, timeout=order.timeout, silence=order.silence, on_line=on_line,
        stdin=prompt.encode("utf-8", "replace"), supervised=True, marks=marks, halt=order.halt,
    )  # fmt: skip


def report(order: Order, ended: Exit, heard: Heard) -> Report:
    """How the turn ended, and what is known of what it used."""
    usage = sum(heard.models.values(), Usage())
    state, message, trouble = _verdict(order, ended, heard)
    if state != "completed":
        _keep_stderr(order, ended)
    return Report(
        state, one_line(redact(message), _LONGEST), "model" if state == "completed" else None, usage=usage, cost_usd=None if usage.total else 0.0,
        provider_cost_usd=heard.cost, seconds=ended.seconds, denials=heard.denials, native=heard.native, total=heard.total,
        models=tuple(sorted(heard.models.items())), trouble=trouble,
        lower_bound=not (heard.final and heard.exact) or state in {"timed_out", "killed"},
        retry_after=heard.retry_after if trouble == "rate_limit" else 0.0, left=ended.left,
    )  # fmt: skip


def _verdict(order: Order, ended: Exit, heard: Heard) -> tuple[State, str, Trouble]:
    """State, message and trouble of a turn, from its process's end and its final event."""
    if ended.halted:
        return "killed", ended.halted, ""
    if ended.timed_out:
        return "timed_out", f"the turn's {order.timeout:.0f} s were over", ""
    if ended.silent:
        # With no tool under way it is the provider that did not answer; a tool that hangs is the session's own doing.
        unanswered = not heard.open if heard.unanswered is None else heard.unanswered
        return "timed_out", f"no event for {order.silence:.0f} s", "outage" if unanswered else ""
    if heard.final and not heard.failed and ended.code == 0:
        return "completed", heard.said, ""
    tail = _tail(ended)
    if heard.final and not heard.failed:
        return "failed", f"it said that it was done, but ended with {ended.code}: {tail or 'and said nothing else'}", ""
    if heard.final:
        reason = heard.failure or f"it ended with {ended.code} and gave no reason"
        return "failed", _ours(reason) or reason, heard.trouble or trouble_of(reason, heard.status)
    if heard.failure:
        reason = f"ended with {ended.code} and without a result: {heard.failure}"
        return "failed", reason, heard.trouble or trouble_of(heard.failure, heard.status)
    return "failed", f"ended with {ended.code} and without a result: {tail or 'it said nothing'}", ""


def trouble_of(reason: str, status: int = 0) -> Trouble:
    """What kind of trouble a failure's text and HTTP status tell of; "" = none that a provider or limit is to blame for."""
    if OURS in reason:
        return "budget"
    if not status and (found := _STATUS.search(reason)):
        status = int(found[1])
    if status and (trouble := _STATUSES.get(status, "outage" if status >= _SERVER_ERROR else "")):
        return trouble
    if status or reason.startswith("{"):  # the provider's own answer to a request that it did not like
        return ""
    return next((trouble for trouble, words in _WORDS if re.search(words, reason, re.IGNORECASE)), "")


def wait_of(text: str) -> float:
    """Seconds that a provider's text asks to wait (`try again in 1.2s`); 0 = it does not say."""
    found = _AGAIN_IN.search(text)
    return float(found[1]) * _UNITS[found[2].lower()] if found else 0.0


def _ours(reason: str) -> str:
    """Our gateway's own words in a failure, without what the CLI put round them; "" where they are not ours."""
    if OURS not in reason:
        return ""
    body = read_event(reason[reason.find("{") :].encode("utf-8", "replace")) if "{" in reason else {}
    words = text_at(body, "error", "message") or text_at(body, "message") or reason
    return words[words.find(OURS) :] if OURS in words else reason


def _tail(ended: Exit) -> str:
    """The end of standard error, where the reason of a crash stands, as one line."""
    lines = [" ".join(plain(line).split()) for line in decode(ended.stderr).splitlines()]
    text = " / ".join([line for line in lines if line][-_TAIL:])
    return text if len(text) <= _TAIL_LENGTH else f"…{text[-_TAIL_LENGTH:]}"


def _keep_stderr(order: Order, ended: Exit) -> None:
    if said := decode(ended.stderr).strip():
        (order.folder / f"stderr_{order.turn}.txt").write_text(redact(said) + "\n", encoding="utf-8")
