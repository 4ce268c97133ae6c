"""`.zwarm/codex.toml` and `.zwarm/claude.toml`: further settings of the CLIs, each by name and type.

They come from a repository, so nothing in them may choose an endpoint, a key, a program, a variable or a way round the sandbox.
What is on no list here is refused; a CLI's next version may give any name a meaning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from zwarm_ci.errors import ConfigError

_MOST = 10_000_000  # of tokens, milliseconds or characters; more is a slip
#: Why a name is refused that is not merely unknown; the first pattern that fits says it.
_DANGERS = (
    (r"hook|mcp|plugin|notify|command|script|helper|program|_path$|statusline|zsh|marketplace|apps|exec", "chooses a program"),
    (r"url|provider|endpoint|proxy|host|oss|gateway|bedrock|vertex|otel|telemetry", "chooses an endpoint"),
    (r"key|token$|auth|credential|login|secret|account", "chooses a key or login"),
    (r"env(ironment)?(_|$|\.)", "chooses the environment"),
    (r"sandbox|approv|permission|trust|bypass|danger|writable|director|rules|^projects", "goes round the sandbox or its approvals"),
    (r"^model$|profile|web_?search|effort", "belongs into .zwarm/config.toml"),
)  # fmt: skip
Check = Callable[[Any], bool]


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MOST


def _text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def _word(value: Any) -> bool:
    """A model's or tool's name: nothing that could be read as a flag."""
    return isinstance(value, str) and bool(re.fullmatch(r"[A-Za-z0-9][\w.:@/-]{0,99}", value))


def _texts(value: Any) -> bool:
    """Names of tools, with patterns in brackets: `Bash(curl *)`."""
    return isinstance(value, list) and all(isinstance(v, str) and re.fullmatch(r"[A-Za-z]\w*(\(.{0,200}\))?", v) for v in value)  # fmt: skip


def _one_of(*words: str) -> Check:
    return lambda value: value in words


#: Settings of codex by their own names, and what their values may be.
CODEX: Mapping[str, Check] = {
    "model_verbosity": _one_of("low", "medium", "high"),
    "model_reasoning_summary": _one_of("auto", "concise", "detailed", "none"),
    "model_supports_reasoning_summaries": _flag,
    "model_context_window": _count,
    "model_auto_compact_token_limit": _count,
    "tool_output_token_limit": _count,
    "hide_agent_reasoning": _flag,
    "show_raw_agent_reasoning": _flag,
    "personality": _one_of("none", "friendly", "pragmatic"),
    "compact_prompt": _text,
    "developer_instructions": _text,
    "allow_login_shell": _flag,
    "tools.view_image": _flag,
    "features.goals": _flag,
    "features.shell_snapshot": _flag,
    "features.unified_exec": _flag,
    "features.view_image": _flag,
    "features.apply_patch_freeform": _flag,
    "sandbox_workspace_write.network_access": _flag,
    "sandbox_workspace_write.exclude_slash_tmp": _flag,
    "sandbox_workspace_write.exclude_tmpdir_env_var": _flag,
}
#: Settings of claude: first those of its settings file by their own names, then what it takes as flags or variables.
CLAUDE: Mapping[str, Check] = {
    "alwaysThinkingEnabled": _flag,
    "includeCoAuthoredBy": _flag,
    "language": _text,
    "permissions.deny": _texts,
    "append_system_prompt": _text,
    "disallowed_tools": _texts,
    "fallback_model": _word,
    "max_turns": _count,
    "max_output_tokens": _count,
    "max_thinking_tokens": _count,
    "bash_default_timeout_ms": _count,
    "bash_max_timeout_ms": _count,
    "bash_max_output_length": _count,
    "disable_auto_compact": _flag,
}
_VARIABLES = {
    "max_output_tokens": "CLAUDE_CODE_MAX_OUTPUT_TOKENS",
    "max_thinking_tokens": "MAX_THINKING_TOKENS",
    "bash_default_timeout_ms": "BASH_DEFAULT_TIMEOUT_MS",
    "bash_max_timeout_ms": "BASH_MAX_TIMEOUT_MS",
    "bash_max_output_length": "BASH_MAX_OUTPUT_LENGTH",
    "disable_auto_compact": "DISABLE_AUTO_COMPACT",
}
_SETTINGS = frozenset({"alwaysThinkingEnabled", "includeCoAuthoredBy", "language", "permissions"})
_FLAGS = {"fallback_model": "--fallback-model", "max_turns": "--max-turns"}


@dataclass(frozen=True, slots=True)
class ClaudeNative:
    """What claude is given beyond our own settings: its settings file, variables, flags, and text for its system prompt."""

    settings: dict[str, Any] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    instructions: str = ""


def codex_native(text: str) -> dict[str, Any]:
    """The settings in `.zwarm/codex.toml`, nested as there.

    Raises:
        ConfigError: no TOML, or a setting that is unknown, of the wrong type, or not a repository's to choose.
    """
    data = _parsed(".zwarm/codex.toml", text)
    _check(".zwarm/codex.toml", data, CODEX)
    return data


def claude_native(text: str) -> ClaudeNative:
    """The settings in `.zwarm/claude.toml`, by the way that they reach claude.

    Raises:
        ConfigError: as `codex_native`.
    """
    data = _parsed(".zwarm/claude.toml", text)
    _check(".zwarm/claude.toml", data, CLAUDE)
    env = {_VARIABLES[k]: _said(v) for k, v in data.items() if k in _VARIABLES and v is not False}
    flags = [part for k, v in data.items() if k in _FLAGS for part in (_FLAGS[k], str(v))]
    if tools := data.get("disallowed_tools"):
        flags += ["--disallowedTools", ",".join(tools)]
    settings = {k: v for k, v in data.items() if k in _SETTINGS}
    return ClaudeNative(settings, env, tuple(flags), data.get("append_system_prompt", ""))


def _said(value: Any) -> str:
    return "1" if value is True else str(value)


def _parsed(name: str, text: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{name}: {str(error).splitlines()[0]}", remedy="make it valid TOML") from error


def _check(name: str, data: Mapping[str, Any], known: Mapping[str, Check]) -> None:
    for key, value in _leaves(data, "", known):
        if key not in known:
            raise ConfigError(f"{name}: {_blame(key)}", remedy=_near(key, known))
        if not known[key](value):
            raise ConfigError(f"{name}: {key} cannot be {str(value)[:80]!r}", remedy="see the CLI's own documentation")


def _leaves(data: Mapping[str, Any], above: str, known: Mapping[str, Check]) -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        path = f"{above}{key}"
        if isinstance(value, dict) and path not in known and any(k.startswith(f"{path}.") for k in known):
            yield from _leaves(value, f"{path}.", known)
        else:
            yield path, value


def _blame(key: str) -> str:
    for pattern, why in _DANGERS:
        if re.search(pattern, key, re.IGNORECASE):
            return f"{key!r} is not a repository's to set: it {why}"
    return f"unknown setting {key!r}"


def _near(key: str, known: Mapping[str, Check]) -> str:
    import difflib

    near = difflib.get_close_matches(key, known, 1)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
