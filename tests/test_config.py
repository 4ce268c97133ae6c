"""Settings: every key arrives where it belongs, and every origin beats the one before."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from zwarm_ci import config, globs
from zwarm_ci.errors import ConfigError
from zwarm_ci.task import Check, Kind


def kind_of(command: str) -> Kind:
    return "pytest" if "pytest" in command else "generic"


def load(
    toml: bytes | None = None,
    project: bytes | None = None,
    *,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    sets: Sequence[str] = (),
) -> config.Settings:
    files = {config.REPO_FILE: toml, config.PYPROJECT: project}
    return config.load(
        read=files.get,
        base_label="abc123",
        config_file=file,
        environ=environ or {},
        sets=sets,
        known_rungs={"embedded", "codex", "claude"},
        derive_kind=kind_of,
    )


# ---------------------------------------------------------------------------------------------------------------- values

#: Every key of the contract that has an effect, with another value than its default.
ALL = """\
state_dir = ".state"
[executor]
ladder = ["embedded", "codex:mini"]
sandbox = "read-only"
web_search = true
timeout = 10
silence = 20.5
reasoning_effort = "low"
env = ["LICENCE_SERVER"]
gateway = false
inherit_user_config = true
[loop]
turns = 4
sessions = 5
[checks.tests]
run = "make test"
kind = "pytest"
workdir = "sub"
timeout = 60
files = ["src/**"]
fix = "make fix"
setup = "make setup"
env = ["TEST_DB"]
include = [".env.test"]
exclusive = true
services.up = "docker compose up -d"
services.down = "docker compose down"
isolation = "inplace"
network = true
[verify]
protect = ["golden/**"]
allow_test_edits = true
strict = false
reruns = 6
burn_in = 7
max_files = 8
max_lines = 9
[budget]
usd = 0
task_usd = 1.5
day_usd = 2
minutes = 10
check_minutes = 0
[hook]
seconds = 5
strict = true
[github]
draft = false
labels = ["bot", "ci"]
trusted = ["OWNER", "CONTRIBUTOR"]
check_run = true
bots = [29139614]
[orchestrator]
host = "codex"
lm = "gpt-5.1-codex-max"
max_steps = 7
parallel_delegations = 2
allowed_dirs = ["src"]
compaction.max_tokens = 0
compaction.threshold_pct = 0.5
[watchers]
enabled = ["pattern", "llm"]
pattern.rules = [{ regex = "rm -rf", on = "difference", action = "abort", message = "no" }]
scope.paths = ["src/**"]
scope.avoid = ["licence"]
budget.tokens = 1000000
budget.sessions = 12
llm.model = "haiku"
llm.every = 3
[weave]
project = "team/shop"
[models."my.model"]
adapter = "codex"
aliases = ["mine"]
input = 1
cached = 0.1
cache_write = 1.5
output = 2.25
"""


def test_the_contracts_defaults() -> None:
    settings = load()
    assert settings == replace(config.Settings(), origins=settings.origins)
    assert (settings.state_dir, settings.rungs, settings.checks) == (".zwarm", (("embedded", ""),), ())
    assert (settings.executor.timeout, settings.executor.silence) == (3600, 600)
    assert (settings.executor.sandbox, settings.executor.reasoning_effort) == ("workspace-write", "high")
    assert (settings.executor.gateway, settings.executor.web_search) == (True, False)
    assert not settings.executor.inherit_user_config
    assert (settings.loop.turns, settings.loop.sessions) == (3, 2)
    assert (settings.budget.usd, settings.budget.task_usd, settings.budget.day_usd) == (10, 3, 50)
    assert (settings.verify.reruns, settings.verify.burn_in) == (2, 3)
    assert (settings.verify.max_files, settings.verify.max_lines) == (40, 2000)
    assert (settings.hook.seconds, settings.hook.strict) == (20, False)
    assert (settings.budget.minutes, settings.budget.check_minutes) == (60, 120)
    assert (settings.github.draft, settings.github.labels, settings.github.bots) == (True, ("zwarm-ci",), ())
    assert settings.github.trusted == ("OWNER", "MEMBER", "COLLABORATOR")
    assert (settings.orchestrator.host, settings.orchestrator.lm, settings.orchestrator.max_steps) == ("claude", "", 50)
    assert (settings.orchestrator.parallel_delegations, settings.orchestrator.allowed_dirs) == (4, ())
    assert settings.orchestrator.compaction.at == 85_000
    assert settings.watchers.enabled == ("progress", "budget", "scope", "quality", "delegation")
    assert set(settings.origins.values()) == {"default"}


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        ('watchers.pattern.rules=[{ regex = "(" }]', "watchers.pattern.rules.0.regex is no regular expression"),
        ('watchers.pattern.rules=[{ regex = "x", on = "mood" }]', "watchers.pattern.rules.0.on must be 'call', 'output' or 'difference'"),
        ('watchers.pattern.rules=[{ regex = "x", act = "abort" }]', "watchers.pattern.rules.0.act"),
        ("orchestrator.max_steps=0", "orchestrator.max_steps must be greater than or equal to 1"),
        ("orchestrator.host=gemini", "orchestrator.host must be 'claude' or 'codex'"),
        ("orchestrator.compaction.threshold_pct=1.5", "threshold_pct must be less than or equal to 1"),
        ('orchestrator.allowed_dirs=["/etc"]', "must be a path inside the repository"),
    ],
)  # fmt: skip
def test_who_plans_and_who_watches_is_checked(sets: str, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        load(sets=[sets])


def test_every_key_arrives_where_it_belongs() -> None:
    settings = load(ALL.encode())
    expected = Check("tests", "make test", "pytest", "sub", 60, "make fix", "make setup", ("TEST_DB",), (".env.test",))
    expected = replace(expected, services_up="docker compose up -d", services_down="docker compose down")
    expected = replace(expected, exclusive=True, isolation="inplace", network=True, files=("src/**",))
    assert settings.checks == (expected,)
    assert settings.hook == config.HookSettings(5, settings.hook.strict)
    assert settings.hook.strict
    assert (settings.loop.turns, settings.loop.sessions, settings.executor.silence) == (4, 5, 20.5)
    assert settings.rungs == (("embedded", ""), ("codex", "gpt-5.1-codex-mini"))
    assert (settings.budget.usd, settings.budget.task_usd, settings.budget.day_usd) == (0, 1.5, 2)
    assert settings.verify.allow_test_edits
    assert settings.verify == config.VerifySettings(
        ("golden/**",), settings.verify.allow_test_edits, 6, 7, strict=False, max_files=8, max_lines=9
    )
    assert (settings.budget.minutes, settings.budget.check_minutes) == (10, 0)
    assert settings.weave.project == "team/shop"
    assert (settings.github.draft, settings.github.labels) == (False, ("bot", "ci"))
    assert (settings.github.trusted, settings.github.bots) == (("OWNER", "CONTRIBUTOR"), (29139614,))
    planner, watchers = settings.orchestrator, settings.watchers
    assert (planner.host, planner.lm, planner.max_steps) == ("codex", "gpt-5.1-codex-max", 7)
    assert (planner.parallel_delegations, planner.allowed_dirs, planner.compaction.at) == (2, ("src",), 0)
    assert watchers.pattern.rules == (config.RuleTable("rm -rf", "difference", "abort", "no"),)
    assert (watchers.enabled, watchers.scope.paths, watchers.scope.avoid) == (
        ("pattern", "llm"),
        ("src/**",),
        ("licence",),
    )
    assert (watchers.budget.tokens, watchers.budget.sessions, watchers.llm.model, watchers.llm.every) == (
        1_000_000,
        12,
        "haiku",
        3,
    )
    (model,) = settings.models
    assert (model.name, model.input, model.cache_write) == ("my.model", Decimal("1.0"), Decimal("1.5"))
    found = settings.registry().resolve("mine")
    assert found
    assert found.canonical == "my.model"
    defaults = config.values(load(b'[checks.tests]\nrun = "x"'))
    changed = {k for k, v in config.values(settings).items() if v != defaults.get(k)}
    named = {k.replace("checks.tests", "checks.*").replace('models."my.model"', "models.*") for k in changed}
    assert named == set(config.known_keys()) - {"executor.adapter", "executor.model"}


@pytest.mark.parametrize("key", config.known_keys())
def test_every_known_key_is_accepted_and_listed(key: str) -> None:
    name = key.replace("checks.*", "checks.tests").replace("models.*", "models.haiku")
    texts = {
        "kind": "go",
        "isolation": "inplace",
        "state_dir": "s",
        "adapter": "claude" if "models" in key else "embedded",
        "model": "haiku",
        "sandbox": "read-only",
        "host": "codex",
        "threshold_pct": "0.5",
        "rules": '[{ regex = "x" }]',
        "project": "team/shop",
    }
    last = key.rsplit(".", 1)[-1]
    lists: dict[str, list[str] | list[int]] = {
        "ladder": ["embedded"], "env": ["A"], "include": ["a"], "protect": ["a"], "aliases": ["a"], "labels": ["a"], "trusted": ["OWNER"],
        "bots": [5], "files": ["**/*.py"], "allowed_dirs": ["src"], "enabled": ["budget"], "paths": ["src"], "avoid": ["x"],
    }  # fmt: skip
    flags = {
        "exclusive",
        "allow_test_edits",
        "strict",
        "network",
        "web_search",
        "gateway",
        "inherit_user_config",
        "draft",
        "check_run",
    }
    value = texts.get(last) or lists.get(last) or ("true" if last in flags else "5")
    settings = load(b'[checks.tests]\nrun = "x"', sets=[f"{name}={str(value).replace(chr(39), chr(34))}"])
    assert settings.origins[name] == "--set"
    assert config.values(settings)[name] not in ["", (), None]


def test_a_checks_kind_and_files_follow_from_its_command() -> None:
    tests, lint = load(b'[checks.t]\nrun = "python -m pytest"\n[checks.l]\nrun = "npm run lint"').checks
    assert (tests.kind, lint.kind) == ("pytest", "generic")
    assert globs.meant(["src/app.py"], tests.files)
    assert not globs.meant(["notes.md"], tests.files)
    assert globs.meant(["notes.md"], lint.files)
    (inner,) = load(b'[checks.t]\nrun = "python -m pytest"\nworkdir = "packages/a"').checks
    assert globs.meant(["packages/a/x/app.py"], inner.files)
    assert not globs.meant(["packages/b/app.py"], inner.files)


# --------------------------------------------------------------------------------------------------------------- origins


def test_each_origin_beats_the_one_before(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("loop.turns = 3\nexecutor.silence = 3\nbudget.minutes = 3\n")
    settings = load(
        b"loop.turns = 2\nexecutor.silence = 2\nbudget.minutes = 2\nverify.reruns = 2",
        file=file,
        environ={"ZWARM_CI_BUDGET__MINUTES": "4", "ZWARM_CI_EXECUTOR__SILENCE": "4", "PATH": "/bin"},
        sets=["executor.silence=5"],
    )
    assert (settings.verify.reruns, settings.loop.turns, settings.budget.minutes, settings.executor.silence) == (
        2,
        3,
        4,
        5,
    )
    assert settings.origins["verify.reruns"] == ".zwarm/config.toml at base abc123"
    assert settings.origins["loop.turns"] == f"--config {file}"
    assert settings.origins["budget.minutes"] == "ZWARM_CI_BUDGET__MINUTES"
    assert settings.origins["executor.silence"] == "--set"
    assert settings.origins["verify.burn_in"] == "default"


def test_pyprojects_table_is_an_origin_too() -> None:
    settings = load(project=b'[project]\nname = "x"\n[tool.zwarm-ci.loop]\nturns = 7')
    assert (settings.loop.turns, settings.origins["loop.turns"]) == (7, "pyproject.toml [tool.zwarm-ci]")
    assert load(b"loop.turns = 1", project=b"[tool.ruff]\nfix = true").loop.turns == 1


def test_one_key_of_a_configured_check_can_be_set() -> None:
    settings = load(b'[checks.tests]\nrun = "pytest -q"', sets=["checks.tests.timeout=5", "checks.more.run=true"])
    assert [(c.name, c.run, c.timeout) for c in settings.checks] == [("tests", "pytest -q", 5), ("more", "true", 900)]
    assert settings.origins["checks.tests.run"] == ".zwarm/config.toml at base abc123"
    assert settings.origins["checks.tests.timeout"] == "--set"


@pytest.mark.parametrize(
    ("raw", "run"),
    [
        ("true", "true"),
        ("5", "5"),
        ("pytest -q", "pytest -q"),
        ('"pytest \\"-k a\\""', 'pytest "-k a"'),
        ("a=b c", "a=b c"),
    ],
)
def test_where_text_is_wanted_a_value_is_text(raw: str, run: str) -> None:
    assert load(sets=[f"checks.tests.run={raw}"]).checks[0].run == run


def test_variables_that_are_no_settings_are_left_alone() -> None:
    names = ("ZWARM_CI_CODEX", "ZWARM_CI_CLAUDE", "ZWARM_CI_TAG", "ZWARM_CI_PROBE", "ZWARM_CI_PROBE_ROOTS", "ZWARM_CIX", "ZWARM_CI_TOKEN",
             "ZWARM_CI_STOP", "ZWARM_CI_INPUT_MODE")  # fmt: skip
    assert set(load(environ=dict.fromkeys(names, "x")).origins.values()) == {"default"}


def test_a_later_adapter_replaces_an_earlier_ladder() -> None:
    settings = load(b'executor.ladder = ["embedded"]', sets=["executor.adapter=embedded"])
    assert settings.executor.ladder == ()
    assert settings.origins["executor.ladder"] == "default"
    assert settings.rungs == (("embedded", ""),)


@pytest.mark.parametrize(
    ("sets", "rungs"),
    [
        (["executor.model=opus"], [("claude", "opus")]),
        (["executor.model=max"], [("codex", "gpt-5.1-codex-max")]),
        (["executor.adapter=claude"], [("claude", "sonnet")]),
        (["executor.adapter=codex", "executor.model=a-new-one"], [("codex", "a-new-one")]),
        (['executor.ladder=["embedded", "codex", "claude:opus"]'], [("embedded", ""), ("codex", "gpt-5.1-codex-mini"), ("claude", "opus")]),
        (['models.mine.adapter="codex"', "executor.model=mine", "models.mine.input=0", "models.mine.output=0"], [("codex", "mine")]),
        (['executor.ladder=["codex"]', "executor.model=haiku"], [("claude", "haiku")]),
    ],
)  # fmt: skip
def test_the_ladder_in_effect(sets: list[str], rungs: list[tuple[str, str]]) -> None:
    assert list(load(sets=sets).rungs) == rungs


def test_byte_order_mark_and_windows_line_ends_are_fine() -> None:
    assert load(b"\xef\xbb\xbf[loop]\r\nturns = 9\r\n").loop.turns == 9
