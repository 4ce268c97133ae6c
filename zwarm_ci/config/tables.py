"""What a settings file may say: the tables, their types and limits; checked by pydantic, frozen ever after."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, ConfigDict, Field, Strict

from zwarm_ci import pricing
from zwarm_ci.scrub import plain
from zwarm_ci.task import Check, Isolation, Kind, Sandbox

#: Keys of the contract that a later version brings; `*` stands for a name.
LATER = frozenset("checks.*.files hook orchestrator watchers weave".split())
_WEEK = 7 * 24 * 3600.0
#: What GitHub says of an author and somebody may trust. `NONE` and first-timers are everybody, so they are no choice.
ASSOCIATIONS = ("OWNER", "MEMBER", "COLLABORATOR", "CONTRIBUTOR")
#: Put on an issue or a pull request: nothing is done there.
STOP_LABEL = "zwarm-ci:stop"


def _text(value: str) -> str:
    if plain(value) != value or "\n" in value:
        raise ValueError("must be one line without control or invisible characters")
    if not value.strip():
        raise ValueError("must not be empty")
    return value


def _optional(value: str) -> str:
    return _text(value) if value else value


def _inside(value: str) -> str:
    path = PurePosixPath(_text(value))
    if path.is_absolute() or ".." in path.parts or "\\" in value:
        raise ValueError("must be a path inside the repository")
    return str(path)


def _folder(value: str) -> str:
    inside = _inside(value)
    if inside == "." or PurePosixPath(inside).parts[0].lower() == ".git":
        raise ValueError("must be a folder of its own inside the repository")
    return inside


def _variable(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise ValueError("must be the name of an environment variable")
    return value


def _association(value: str) -> str:
    if value not in ASSOCIATIONS:
        near = difflib.get_close_matches(value.upper()[:40], ASSOCIATIONS, n=1, cutoff=0.0)[0]
        raise ValueError(f"must be one of {', '.join(ASSOCIATIONS)}; the nearest is {near}")
    return value


def _label(value: str) -> str:
    if len(_text(value)) > 50 or "," in value:
        raise ValueError("must be a label of GitHub: at most 50 characters, no comma")
    if value.casefold() == STOP_LABEL:
        raise ValueError("is the label that stops everything; choose another")
    return value


# Scalars are strict (no `"5"` for 5); tables and lists are not, or pydantic would want our own classes and tuples.
Text = Annotated[str, Strict(), AfterValidator(_text)]
OptionalText = Annotated[str, Strict(), AfterValidator(_optional)]
Inside = Annotated[str, Strict(), AfterValidator(_inside)]
Texts = tuple[Text, ...]
Paths = tuple[Inside, ...]
Variables = tuple[Annotated[str, Strict(), AfterValidator(_variable)], ...]
Flag = Annotated[bool, Strict()]
Duration = Annotated[float, Strict(), Field(gt=0, le=_WEEK)]
Minutes = Annotated[float, Strict(), Field(ge=0, le=_WEEK / 60)]
Count = Annotated[int, Strict(), Field(ge=1, le=100)]
Dollars = Annotated[float, Strict(), Field(ge=0, le=1_000_000)]
Price = Annotated[float, Strict(), Field(ge=0, le=1_000_000)]
Associations = tuple[Annotated[str, Strict(), AfterValidator(_association)], ...]
Labels = tuple[Annotated[str, Strict(), AfterValidator(_label)], ...]
#: Numeric ids of accounts. Names can be taken over or look alike, ids cannot.
Accounts = tuple[Annotated[int, Strict(), Field(ge=1, le=2**53)], ...]
#: A check's name is part of ids and of names of log files.
CheckName = Annotated[str, Strict(), Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


@dataclass(frozen=True)
class Table:
    """What pydantic holds every table to."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)


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
    """

    draft: Flag = True
    labels: Labels = ("zwarm-ci",)
    trusted: Associations = ("OWNER", "MEMBER", "COLLABORATOR")
    bots: Accounts = ()


@dataclass(frozen=True)
class ServicesTable(Table):
    """What a check needs running beside it: the command that starts it in a worktree, and the one that ends it."""

    up: OptionalText = ""
    down: OptionalText = ""


@dataclass(frozen=True)
class CheckTable(Table):
    """One `[checks.NAME]`."""

    run: OptionalText = ""
    kind: Kind | None = None
    workdir: Inside = "."
    timeout: Duration = 900.0
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

    state_dir: Annotated[str, Strict(), AfterValidator(_folder)] = ".zwarm"
    executor: ExecutorSettings = ExecutorSettings()
    loop: LoopSettings = LoopSettings()
    checks: dict[CheckName, CheckTable] = field(default_factory=dict)
    verify: VerifySettings = VerifySettings()
    budget: BudgetSettings = BudgetSettings()
    github: GithubSettings = GithubSettings()
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
    for name in ("executor", "loop", "verify", "budget", "github"):
        table = getattr(settings, name)
        flat |= {f"{name}.{f.name}": getattr(table, f.name) for f in fields(table)}
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
            yield from (f"{entry.name}.{f.name}" for f in fields(entry.default))
        elif entry.name not in {"checks", "models"}:
            yield entry.name


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
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value, ensure_ascii=False)  # strings and booleans are written alike in both
