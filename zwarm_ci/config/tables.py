"""What a settings file may say: the tables, their types and limits; checked by pydantic, frozen ever after."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Annotated, Any

from pydantic import Field, Strict

from zwarm_ci import pricing
from zwarm_ci.config.orchestrating import OrchestratorSettings, WatchersSettings
from zwarm_ci.config.scalars import (
    Accounts,
    Associations,
    CheckName,
    Count,
    Dollars,
    Duration,
    Flag,
    Folder,
    Globs,
    Inside,
    Labels,
    Minutes,
    OptionalText,
    Paths,
    Price,
    Table,
    Text,
    Texts,
    Variables,
    WeaveProject,
)
from zwarm_ci.task import Check, Isolation, Kind, Sandbox


@dataclass(frozen=True)
class ExecutorSettings(Table):
    """Who works: `ladder` of rungs tried in order, or one `adapter` and `model`; seconds per session, seconds without an event.

    The rest is how the CLIs behave; see `executors.base.Conduct`. `gateway` False = the CLIs' own logins.
    """

    ladder: Texts = ()
    adapter: OptionalText = ""
    model: OptionalText = ""
    sandbox: Sandbox = "workspace-write"
    web_search: Flag = False
    timeout: Duration = 3600.0
    silence: Duration = 600.0
    reasoning_effort: OptionalText = "high"
    env: Variables = ()
    gateway: Flag = True
    inherit_user_config: Flag = False


@dataclass(frozen=True)
class LoopSettings(Table):
    """Turns in one session, the first included, and fresh sessions on one rung."""

    turns: Count = 3
    sessions: Count = 2


@dataclass(frozen=True)
class VerifySettings(Table):
    """How hard a patch is looked at; `protect` are globs beside the built-in ones.

    `strict` is for `verify`: False = people's own commits, of which just secrets, `.git` edits and exit-code masking are refused.
    What executors make is always looked at strictly.
    """

    protect: Texts = ()
    allow_test_edits: Flag = False
    reruns: Annotated[int, Strict(), Field(ge=0, le=100)] = 2
    burn_in: Annotated[int, Strict(), Field(ge=0, le=100)] = 3
    strict: Flag = True
    max_files: Annotated[int, Strict(), Field(ge=1, le=100_000)] = 40
    max_lines: Annotated[int, Strict(), Field(ge=1, le=10_000_000)] = 2000


@dataclass(frozen=True)
class BudgetSettings(Table):
    """Dollars for a run, a task and a day (UTC); 0 = nothing may be spent. Minutes of wall time and of check time; 0 = no limit."""

    usd: Dollars = 10.0
    task_usd: Dollars = 3.0
    day_usd: Dollars = 50.0
    minutes: Minutes = 60.0
    check_minutes: Minutes = 120.0


@dataclass(frozen=True)
class GithubSettings(Table):
    """Pull requests and who may ask for work.

    `draft`: pull requests are opened as drafts. `labels`: put on them; and put on an issue by somebody who may write, each asks
    for its repair. `trusted`: what GitHub must say of an author. `bots`: numeric ids of bots that count as people who may write.
    `check_run`: `publish` says as a check run too what was verified; its job needs `checks: write`.
    """

    draft: Flag = True
    labels: Labels = ("zwarm-ci",)
    trusted: Associations = ("OWNER", "MEMBER", "COLLABORATOR")
    bots: Accounts = ()
    check_run: Flag = False


@dataclass(frozen=True)
class WeaveSettings(Table):
    """Where a run's trace goes beside an OpenTelemetry endpoint: `project` is TEAM/NAME of Weave's; "" = nowhere."""

    project: WeaveProject = ""


@dataclass(frozen=True)
class ServicesTable(Table):
    """What a check needs running beside it: the command that starts it in a worktree, and the one that ends it."""

    up: OptionalText = ""
    down: OptionalText = ""


@dataclass(frozen=True)
class HookSettings(Table):
    """Git hooks: seconds until one lets go, and whether what is pushed is looked at as strictly as an executor's patch."""

    seconds: Duration = 20.0
    strict: Flag = False


@dataclass(frozen=True)
class CheckTable(Table):
    """One `[checks.NAME]`. `files` None = what its kind is usually about."""

    run: OptionalText = ""
    kind: Kind | None = None
    workdir: Inside = "."
    timeout: Duration = 900.0
    files: Globs | None = None
    fix: OptionalText = ""
    setup: OptionalText = ""
    env: Variables = ()
    include: Paths = ()
    services: ServicesTable = ServicesTable()
    exclusive: Flag = False
    isolation: Isolation = "twin"
    network: Flag = False


@dataclass(frozen=True)
class ModelTable(Table):
    """One `[models."NAME"]`, prices per million tokens."""

    adapter: Text | None = None
    aliases: Texts | None = None
    input: Price | None = None
    cached: Price | None = None
    cache_write: Price | None = None
    output: Price | None = None


@dataclass(frozen=True)
class Tables(Table):
    """A whole settings file."""

    state_dir: Folder = ".zwarm"
    executor: ExecutorSettings = ExecutorSettings()
    loop: LoopSettings = LoopSettings()
    checks: dict[CheckName, CheckTable] = field(default_factory=dict)
    verify: VerifySettings = VerifySettings()
    budget: BudgetSettings = BudgetSettings()
    hook: HookSettings = HookSettings()
    github: GithubSettings = GithubSettings()
    orchestrator: OrchestratorSettings = OrchestratorSettings()
    watchers: WatchersSettings = WatchersSettings()
    weave: WeaveSettings = WeaveSettings()
    models: dict[Text, ModelTable] = field(default_factory=dict)


@dataclass(frozen=True)
class Settings:
    """Effective settings. `checks` is empty where none is configured (they are detected then).

    `origins`: dotted key -> `default`, `.zwarm/config.toml at base …`, `pyproject.toml [tool.zwarm-ci]`, `--config FILE`, the
    variable's name, or `--set`; the keys of every check and model that a user named, and all others. `rungs`: the ladder in
    effect, adapter and model of each ("" = the adapter's own default).
    """

    state_dir: str = ".zwarm"
    executor: ExecutorSettings = ExecutorSettings()
    loop: LoopSettings = LoopSettings()
    checks: tuple[Check, ...] = ()
    verify: VerifySettings = VerifySettings()
    budget: BudgetSettings = BudgetSettings()
    models: tuple[pricing.ModelOverride, ...] = ()
    rungs: tuple[tuple[str, str], ...] = (("embedded", ""),)
    origins: Mapping[str, str] = field(default_factory=dict)
    github: GithubSettings = GithubSettings()
    orchestrator: OrchestratorSettings = OrchestratorSettings()
    watchers: WatchersSettings = WatchersSettings()
    hook: HookSettings = HookSettings()
    weave: WeaveSettings = WeaveSettings()

    def registry(self) -> pricing.Registry:
        """The model registry with the user's entries."""
        return pricing.registry(self.models)


def known_keys() -> tuple[str, ...]:
    """Every key that this version accepts; `*` stands for the name of a check or model."""
    found: list[str] = []
    for name, table in (("", Tables), ("checks.*.", CheckTable), ("models.*.", ModelTable)):
        found += [f"{name}{key}" for key in _field_keys(table)]
    return tuple(found)


def values(settings: Settings) -> dict[str, Any]:
    """The settings as dotted key -> value, as `config show` lists them. A model shows only what the user gave."""
    flat: dict[str, Any] = {"state_dir": settings.state_dir}
    for name in ("executor", "loop", "verify", "budget", "hook", "github", "orchestrator", "watchers", "weave"):
        flat |= {f"{name}.{key}": value for key, value in _field_values(getattr(settings, name))}
    for check in settings.checks:
        flat |= {
            dotted(("checks", check.name, *key.split("."))): getattr(check, key.replace(".", "_"))
            for key in _field_keys(CheckTable)
        }
    for model in settings.models:
        given = {key: getattr(model, key) for key in _field_keys(ModelTable)}
        flat |= {dotted(("models", model.name, key)): value for key, value in given.items() if value is not None}
    return flat


def _field_keys(table: type[Table]) -> Iterator[str]:
    for entry in fields(table):
        if isinstance(entry.default, Table):
            yield from (f"{entry.name}.{key}" for key in _field_keys(type(entry.default)))
        elif entry.name not in {"checks", "models"}:
            yield entry.name


def _field_values(table: Table) -> Iterator[tuple[str, Any]]:
    """A table's values by dotted key; tables in a list as dicts."""
    for entry in fields(table):
        value = getattr(table, entry.name)
        if isinstance(value, Table):
            yield from ((f"{entry.name}.{key}", inner) for key, inner in _field_values(value))
        else:
            listed = isinstance(value, tuple) and any(isinstance(v, Table) for v in value)
            yield entry.name, tuple(dict(_field_values(v)) for v in value) if listed else value


def pattern_of(path: tuple[str, ...]) -> str:
    """The path as `known_keys` writes it."""
    named = len(path) > 1 and path[0] in {"checks", "models"}
    return ".".join((path[0], "*", *path[2:]) if named else path)


def dotted(path: Sequence[str]) -> str:
    """The path as TOML writes it."""
    return ".".join(quoted(part) for part in path)


def quoted(part: str) -> str:
    """One part of a key, in quotes where TOML wants them."""
    return part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else f'"{part}"'


def toml(value: Any) -> str:
    """A setting's value as TOML writes it."""
    if isinstance(value, list):
        return f"[{', '.join(toml(v) for v in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{quoted(k)} = {toml(v)}' for k, v in value.items())}}}"
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value, ensure_ascii=False)  # strings and booleans are written alike in both
