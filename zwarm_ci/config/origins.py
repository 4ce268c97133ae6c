"""Where settings come from: files at the base commit, `--config`, variables, `--set`; each as a label and a nested dict."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from zwarm_ci.config.tables import Tables, dotted, known_keys, pattern_of, quoted
from zwarm_ci.errors import ConfigError, UsageError
from zwarm_ci.scrub import one_line

REPO_FILE, PYPROJECT = ".zwarm/config.toml", "pyproject.toml"
TABLE = "[tool.zwarm-ci]"
PREFIX = "ZWARM_CI_"
#: Variables with our prefix that are no settings: paths of programs, what we tell our own children, the Action's inputs, the token
#: of `publish`, and the kill switch.
RESERVED = re.compile(r"ZWARM_CI_(CODEX|CLAUDE|TAG|GATEWAY_FD|PROBE\w*|INPUT_\w+|TOKEN|STOP)")
#: A key of 50 parts: no settings file has one, and tomllib takes quadratic time for them.
_DEEP = re.compile(r"(?:[\w\"'-]{1,40}[ \t]*\.[ \t]*){50}")
Layer = dict[str, Any]


def layers(
    read: Callable[[str], bytes | None],
    base_label: str,
    config_file: Path | None,
    environ: Mapping[str, str],
    sets: Sequence[str],
) -> Iterator[tuple[str, Layer]]:
    """Label and content of each origin, weakest first."""
    from_file, from_project = read(REPO_FILE), read(PYPROJECT)
    own = parse(from_file, REPO_FILE) if from_file is not None else {}
    project = _tool_table(parse(from_project, PYPROJECT)) if from_project is not None else {}
    if own and project:
        raise ConfigError(f"both {REPO_FILE} and {TABLE} in {PYPROJECT} have settings", remedy="keep one of the two")
    yield f"{REPO_FILE} at base {base_label}", own
    yield f"{PYPROJECT} {TABLE}", project
    if config_file is not None:
        yield one_line(f"--config {config_file}"), parse(_read_file(config_file), one_line(str(config_file)))
    for name in sorted(environ):
        if name.startswith(PREFIX) and not RESERVED.fullmatch(name):
            path = tuple(name.removeprefix(PREFIX).lower().split("__"))
            yield one_line(name), _single(path, environ[name], one_line(name))
    for entry in sets:
        key, equals, value = entry.partition("=")
        if not equals:
            raise UsageError(f"--set {one_line(entry)}: no `=` in it", remedy="write --set key.path=value")
        yield "--set", _single(_key_path(key), value, "--set")


def parse(data: bytes, name: str) -> Layer:
    """TOML as a dict; `name` is the file as the message names it.

    Raises:
        ConfigError: `FILE line L column C: what`, in one line.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = data.count(b"\n", 0, error.start) + 1, error.start - data.rfind(b"\n", 0, error.start)
        raise ConfigError(
            f"{name} line {line} column {column}: not UTF-8 text (byte 0x{data[error.start]:02x})"
        ) from error
    if _DEEP.search(text):
        raise ConfigError(f"{name}: nested too deeply")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ConfigError(f"{name}: nested too deeply") from error
    except ValueError as error:
        raise ConfigError(f"{name} {_toml_trouble(text, str(error))}") from error


def _toml_trouble(text: str, said: str) -> str:
    """`line L column C: what`; Python says where in words only, and of a number of 4,300 digits not at all."""
    at = re.search(r" \(at line (\d+), column (\d+)\)$", said)
    if at:
        return f"line {at[1]} column {at[2]}: {one_line(said[: at.start()])}"
    if "digits" in said:
        number = re.search(r"\d[\d_]{4000,}", text)
        said, text = "a number of too many digits", text[: number.start()] if number else text
    *above, last = text.split("\n")
    return f"line {len(above) + 1} column {len(last) + 1}: {one_line(said)}"


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"--config {path}: {error.strerror or error}") from error


def _tool_table(project: Layer) -> Layer:
    tool = project.get("tool")
    if not isinstance(tool, dict):
        return {}
    near = {"zwarm", "zwarm_ci", "zwarmci"} & set(tool)
    if near:
        raise ConfigError(f"{PYPROJECT}: unknown table [tool.{near.pop()}]", remedy=f"did you mean {TABLE}?")
    table = tool.get("zwarm-ci", {})
    if not isinstance(table, dict):
        raise ConfigError(f"{PYPROJECT} {TABLE}: must be a table")
    return table


def _key_path(key: str) -> tuple[str, ...]:
    """A dotted key as TOML reads it (`models."my.model".input`)."""
    path: list[str] = []
    try:
        node: Any = tomllib.loads(f"{key} = 0") if "\n" not in key and not _DEEP.search(key) else None
    except ValueError:
        node = None
    while isinstance(node, dict) and len(node) == 1:
        name, node = next(iter(node.items()))
        path.append(name)
    if not path or node != 0:
        raise UsageError(f"--set {one_line(key)}: not a key", remedy="write --set key.path=value")
    return tuple(path)


def _single(path: tuple[str, ...], raw: str, label: str) -> Layer:
    """A layer of one value. Where the key wants text, `true` and `5` are text."""
    pattern = pattern_of(path)
    if pattern not in known_keys():
        raise unknown(label, path)
    value = raw if pattern in _text_keys() and raw[:1] not in {'"', "'"} else _toml_value(raw)
    if isinstance(value, dict):
        raise ConfigError(
            f"{label}: {dotted(path)} takes one value or a list", remedy="put tables into a settings file"
        )
    layer: Any = value
    for name in reversed(path):
        layer = {name: layer}
    return dict(layer)


def _text_keys() -> frozenset[str]:
    return frozenset(
        {"state_dir", "models.*.adapter", "orchestrator.host", "orchestrator.lm", "watchers.llm.model", "weave.project"}
        | {f"executor.{k}" for k in ("adapter", "model", "sandbox", "reasoning_effort")}
        | {
            f"checks.*.{k}"
            for k in ("run", "kind", "workdir", "fix", "setup", "isolation", "services.up", "services.down")
        }
    )


def _toml_value(raw: str) -> Any:
    try:
        found = tomllib.loads(f"value = {raw}")
    except (ValueError, RecursionError):
        return raw
    return found["value"] if len(found) == 1 else raw


def unknown(label: str, path: tuple[str, ...]) -> ConfigError:
    """The error for a key that this version does not take: what is near."""
    pattern, key = pattern_of(path), one_line(dotted(path))
    keys = [*known_keys(), *(f.name for f in fields(Tables))]
    near = difflib.get_close_matches(pattern[:200], keys, n=1, cutoff=0.0)[0]
    if "*" in near and len(path) > 1:
        near = near.replace("*", quoted(path[1]), 1)
    return ConfigError(f"{label}: unknown key {key}", remedy=f"the nearest known key is {one_line(near)}")
