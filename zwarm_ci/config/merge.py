"""All origins merged, weakest first, into one checked tree of settings."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from zwarm_ci import pricing
from zwarm_ci.config.origins import Layer, layers, unknown
from zwarm_ci.config.tables import CheckTable, Settings, Tables, dotted, values
from zwarm_ci.errors import ConfigError
from zwarm_ci.scrub import one_line
from zwarm_ci.task import Check, Kind, usual_files

_ADAPTER = TypeAdapter(Tables)
_WHO = ("executor.ladder", "executor.adapter", "executor.model")


def load(
    *,
    read: Callable[[str], bytes | None],
    base_label: str,
    config_file: Path | None,
    environ: Mapping[str, str],
    sets: Sequence[str],
    known_rungs: Collection[str],
    derive_kind: Callable[[str], Kind],
) -> Settings:
    """Settings in effect: defaults < the repository's file < `--config` < ZWARM_CI_* variables < `--set`.

    Args:
        read: a file's bytes at the base commit, None = no such file; never the tree that an executor edits.
        base_label: that commit, as it is to be named.
        config_file: `--config`.
        environ: the process environment.
        sets: the `key.path=value` of each `--set`.
        known_rungs: names that `executor.ladder` may hold.
        derive_kind: the kind of a check from its command, where none is given.

    Raises:
        ConfigError: one line that names the origin, the key and what is wrong with it.
        UsageError: a `--set` that is not `key.path=value`.
    """
    merged: Layer = {}
    origins: dict[str, str] = {}
    for label, layer in layers(read, base_label, config_file, environ, sets):
        _validated(label, layer)
        _choose_one(merged, layer, label, origins)
        _merge(merged, layer)
        origins.update({dotted(path): label for path, _ in _leaves(layer)})
    tables = _validated("settings", merged)
    checks = tuple(_check(name, table, derive_kind, origins) for name, table in tables.checks.items())
    settings = Settings(
        tables.state_dir, tables.executor, tables.loop, checks, tables.verify, tables.budget, _models(tables),
        github=tables.github, orchestrator=tables.orchestrator, watchers=tables.watchers, hook=tables.hook,
        weave=tables.weave,
    )  # fmt: skip
    try:
        settings.registry()
    except ValueError as error:
        raise ConfigError(f"[models]: {one_line(str(error))}") from error
    rungs = _rungs(settings, known_rungs, origins)
    return replace(settings, rungs=rungs, origins={key: origins.get(key, "default") for key in values(settings)})


def _validated(label: str, layer: Layer) -> Tables:
    try:
        return _ADAPTER.validate_python(layer)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        path = tuple(str(part) for part in first["loc"] if part != "[key]")
        if first["type"] == "unexpected_keyword_argument":
            raise unknown(label, path) from error
        raise ConfigError(f"{label}: {one_line(dotted(path))} {_said(first['type'], first['msg'])}") from error


def _said(kind: str, message: str) -> str:
    """Pydantic's message in the words of a settings file."""
    if kind.startswith("dataclass") or kind == "dict_type":
        return "must be a table"
    if kind == "tuple_type":
        return 'must be a list, e.g. ["a", "b"]'
    if kind == "string_pattern_mismatch":
        return "is no name: letters, digits, `_`, `.` and `-`, at most 64"
    return one_line(message.removeprefix("Value error, ").replace("Input should be", "must be"))


def _choose_one(merged: Layer, layer: Layer, label: str, origins: dict[str, str]) -> None:
    """`ladder`, and `adapter` with `model`, say the same thing: in one place only one of them, and a later place's word replaces it."""
    here = layer.get("executor", {})
    single = [key for key in ("adapter", "model") if here.get(key)]
    if here.get("ladder") and single:
        raise ConfigError(
            f"{label}: executor.{single[0]} has no effect beside executor.ladder", remedy="keep one of the two"
        )
    others = ("adapter", "model") if here.get("ladder") else ("ladder",) if single else ()
    for other in others:
        merged.get("executor", {}).pop(other, None)
        origins.pop(f"executor.{other}", None)


def _merge(into: Layer, layer: Layer) -> None:
    for key, value in layer.items():
        if isinstance(value, dict):
            _merge(into.setdefault(key, {}), value)
        else:
            into[key] = value


def _leaves(layer: Layer, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in layer.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value


def _rungs(settings: Settings, known: Collection[str], origins: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Adapter and model of each rung; models by the names that their adapters take."""
    models, executor = settings.registry(), settings.executor
    label = next((origins[key] for key in _WHO if key in origins), "default")
    if executor.ladder:
        return tuple(_rung(rung, known, models, label) for rung in executor.ladder)
    if executor.model and not executor.adapter:
        info = models.resolve(executor.model)
        if info is None:
            raise ConfigError(
                f"{label}: the model {one_line(executor.model)} is unknown",
                remedy="name its adapter too, e.g. codex:NAME, or see `zwarm-ci models`",
            )
        return (_rung(f"{info.adapter}:{info.canonical}", known, models, label),)
    single = f"{executor.adapter or 'embedded'}:{executor.model}".rstrip(":")
    return (_rung(single, known, models, label),)


def _rung(rung: str, known: Collection[str], models: pricing.Registry, label: str) -> tuple[str, str]:
    adapter, colon, model = rung.partition(":")
    if adapter not in known:
        info = models.resolve(rung)
        near = f"write {info.adapter}:{rung}" if info else f"known: {', '.join(sorted(known))}"
        raise ConfigError(f"{label}: unknown executor {one_line(rung)}", remedy=near)
    if colon and not model:
        raise ConfigError(f"{label}: {one_line(rung)} names no model", remedy=f"write {adapter}, or {adapter}:MODEL")
    if adapter not in pricing.list_adapters():
        if model:
            raise ConfigError(f"{label}: {adapter} works without a model", remedy=f"write {adapter}")
        return adapter, ""
    info = models.resolve(model) if model else None
    if info and info.adapter != adapter:
        raise ConfigError(
            f"{label}: {one_line(model)} is a model of {info.adapter}", remedy=f"write {info.adapter}:{model}"
        )
    return adapter, info.canonical if info else model or (pricing.get_default_model(adapter, models) or "")


def _check(name: str, table: CheckTable, derive_kind: Callable[[str], Kind], origins: Mapping[str, str]) -> Check:
    if not table.run:
        label = next((at for key, at in origins.items() if key.startswith(dotted(("checks", name)) + ".")), "settings")
        raise ConfigError(f"{label}: {dotted(('checks', name, 'run'))} is missing", remedy="say which command it runs")
    kind = table.kind or derive_kind(table.run)
    return Check(
        name=name,
        run=table.run,
        kind=kind,
        workdir=table.workdir,
        timeout=table.timeout,
        fix=table.fix,
        setup=table.setup,
        env=table.env,
        include=table.include,
        services_up=table.services.up,
        services_down=table.services.down,
        exclusive=table.exclusive,
        isolation=table.isolation,
        network=table.network,
        files=usual_files(kind, table.workdir) if table.files is None else table.files,
    )


def _models(tables: Tables) -> tuple[pricing.ModelOverride, ...]:
    def money(value: float | None) -> Decimal | None:
        return None if value is None else Decimal(repr(value))

    return tuple(
        pricing.ModelOverride(
            name, m.adapter, m.aliases, money(m.input), money(m.output), money(m.cached), money(m.cache_write)
        )
        for name, m in tables.models.items()
    )
