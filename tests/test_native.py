"""Native settings of the CLIs: what a repository may say, and what it may not."""

from __future__ import annotations

import pytest

from zwarm_ci.errors import ConfigError
from zwarm_ci.executors.native import CLAUDE, CODEX, ClaudeNative, claude_native, codex_native


def test_nothing_is_nothing() -> None:
    assert codex_native("") == {}
    assert claude_native("") == ClaudeNative()


def test_codex_gets_them_as_they_stand() -> None:
    text = 'model_verbosity = "low"\nmodel_context_window = 1000\n[features]\ngoals = true\n[sandbox_workspace_write]\nnetwork_access = true'
    assert codex_native(text) == {
        "model_verbosity": "low",
        "model_context_window": 1000,
        "features": {"goals": True},
        "sandbox_workspace_write": {"network_access": True},
    }


def test_claude_gets_each_by_its_way() -> None:
    text = """
language = "French"
disallowed_tools = ["Grep", "Bash(curl *)"]
fallback_model = "claude-haiku-4-5"
max_turns = 3
bash_max_timeout_ms = 1000
disable_auto_compact = true
append_system_prompt = "be brief"
"""
    native = claude_native(text)
    assert native.settings == {"language": "French"}
    assert native.env == {"BASH_MAX_TIMEOUT_MS": "1000", "DISABLE_AUTO_COMPACT": "1"}
    assert native.flags == (
        "--fallback-model", "claude-haiku-4-5", "--max-turns", "3", "--disallowedTools", "Grep,Bash(curl *)",
    )  # fmt: skip
    assert native.instructions == "be brief"
    assert claude_native("disable_auto_compact = false").env == {}


PROGRAM, ENDPOINT, KEY = "chooses a program", "chooses an endpoint", "chooses a key"
SANDBOX, ENVIRONMENT = "goes round the sandbox", "chooses the environment"
REFUSED_CODEX = {
    "sandbox_mode = 'danger-full-access'": SANDBOX,
    "approval_policy = 'on-request'": SANDBOX,
    "sandbox_workspace_write.writable_roots = ['/']": SANDBOX,
    "projects.'/w'.trust_level = 'trusted'": SANDBOX,
    "model_provider = 'mine'": ENDPOINT,
    "model_providers.zwarm.base_url = 'http://x'": ENDPOINT,
    "openai_base_url = 'http://x'": ENDPOINT,
    "chatgpt_base_url = 'http://x'": ENDPOINT,
    "otel.exporter = 'x'": ENDPOINT,
    "mcp_servers.x.command = 'x'": PROGRAM,
    "notify = ['x']": PROGRAM,
    "hooks.Stop = []": PROGRAM,
    "features.plugins = true": PROGRAM,
    "features.hooks = true": PROGRAM,
    "zsh_path = '/x'": PROGRAM,
    "cli_auth_credentials_store = 'keyring'": KEY,
    "shell_environment_policy.inherit = 'all'": ENVIRONMENT,
    "model = 'gpt-9'": "belongs into .zwarm/config.toml",
    "profile = 'x'": "belongs into .zwarm/config.toml",
    "model_verbosty = 'low'": "unknown setting",
    "features.banana = true": "unknown setting",
    "'' = 1": "unknown setting",
}
REFUSED_CLAUDE = {
    "env.X = 'y'": ENVIRONMENT,
    "apiKeyHelper = 'x'": PROGRAM,
    "hooks.Stop = []": PROGRAM,
    "statusLine.command = 'x'": PROGRAM,
    "enabledPlugins.x = true": PROGRAM,
    "mcpServers.x.command = 'x'": PROGRAM,
    "permissions.allow = ['Bash']": SANDBOX,
    "permissions.additionalDirectories = ['/']": SANDBOX,
    "permissions.defaultMode = 'bypassPermissions'": SANDBOX,
    "sandbox.enabled = false": SANDBOX,
    "dangerously_skip_permissions = true": SANDBOX,
    "ANTHROPIC_BASE_URL = 'x'": ENDPOINT,
    "api_key = 'x'": KEY,
    "max_turn = 3": "unknown setting",
}


@pytest.mark.parametrize(("text", "why"), REFUSED_CODEX.items())
def test_what_codex_is_not_told(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=rf"^\.zwarm/codex\.toml: .*{why}"):
        codex_native(text)


@pytest.mark.parametrize(("text", "why"), REFUSED_CLAUDE.items())
def test_what_claude_is_not_told(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=rf"^\.zwarm/claude\.toml: .*{why}"):
        claude_native(text)


def test_the_nearest_name_is_said() -> None:
    with pytest.raises(ConfigError) as caught:
        codex_native("model_verbosty = 'low'")
    assert caught.value.remedy == "did you mean model_verbosity?"


@pytest.mark.parametrize(
    "text",
    [
        "max_turns = 0", "max_turns = true", "max_turns = 1e9", "max_turns = 100000000000", "language = 3", 'language = "a\\u0000"',
        "fallback_model = '--dangerously-skip-permissions'", "disallowed_tools = ['--x']", "disallowed_tools = 'Bash'",
        "permissions.deny = [3]", "permissions = 3", "alwaysThinkingEnabled = 'yes'",
    ],
)  # fmt: skip
def test_values_are_looked_at(text: str) -> None:
    with pytest.raises(ConfigError):
        claude_native(text)


@pytest.mark.parametrize(
    "text",
    ["model_verbosity = 'loud'", "features = 3", "features.goals = 'x'", "a = [", "a = 1\na = 2", "a = " + "[" * 5000],
)
def test_codex_values_are_looked_at_and_bad_toml_is_said(text: str) -> None:
    with pytest.raises(ConfigError, match=r"\.zwarm/codex\.toml"):
        codex_native(text)


def test_no_name_on_a_list_is_one_that_is_refused_by_its_look() -> None:
    """What is allowed is allowed knowingly: the one that looks like a way round the sandbox is a switch inside of it."""
    from zwarm_ci.executors.native import _blame

    suspicious = {key for key in (*CODEX, *CLAUDE) if not _blame(key).startswith("unknown")}
    assert suspicious == {
        "allow_login_shell", "features.unified_exec", "sandbox_workspace_write.network_access", "sandbox_workspace_write.exclude_slash_tmp",
        "sandbox_workspace_write.exclude_tmpdir_env_var", "permissions.deny", "includeCoAuthoredBy",
    }  # fmt: skip
