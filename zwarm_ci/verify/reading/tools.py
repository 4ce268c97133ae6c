"""Settings of linters, type checkers and coverage tools as flat values, whatever file and syntax they stand in."""

from __future__ import annotations

import configparser
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from itertools import accumulate
from pathlib import PurePosixPath

from zwarm_ci.verify.reading.tokens import tokenize

#: A value: a number, a switch, a word, or a list of words.
Value = str | float | bool | tuple[str, ...]
Flat = dict[str, Value]
_MOST = 5_000  # values in one file; an alias in YAML can make any number of them
_DEEPEST = 40
_MOST_TEXT = 1_000_000
_MOST_YAML = 100_000  # its reader takes ten seconds a megabyte
_SECTIONS = {
    "flake8": "flake8",
    "pycodestyle": "flake8",
    "run": "coverage.run",
    "report": "coverage.report",
    "interrogate": "interrogate",
    "bandit": "bandit",
}
_SCRIPT = re.compile(
    r"^(?:(?:jest|vitest|vite|eslint|karma|ava|playwright|nyc|c8|cypress|wdio)\.config|\.eslintrc|\.nycrc|\.mocharc|\.c8rc)\.[cm]?[jt]s$"
)
_LISTS = frozenset(
    {
        ".eslintignore",
        ".prettierignore",
        ".stylelintignore",
        ".coverageignore",
        ".markdownlintignore",
        ".golangciignore",
    }
)
_JSON = re.compile(
    r"^(?:tsconfig.*\.json|jsconfig\.json|pyrightconfig\.json|\.eslintrc(?:\.json)?|biome\.jsonc?|\.nycrc(?:\.json)?|\.c8rc(?:\.json)?|package\.json"
    r"|jest\.config\.json|tslint\.json|\.mocharc\.jsonc?|\.oxlintrc\.json)$"
)
_YAML = re.compile(
    r"^(?:\.golangci\.ya?ml|\.?codecov\.ya?ml|\.eslintrc\.ya?ml|\.mocharc\.ya?ml|\.nycrc\.ya?ml|\.coveralls\.yml)$"
)
_INI = frozenset(
    {
        "setup.cfg",
        "tox.ini",
        ".coveragerc",
        "mypy.ini",
        ".mypy.ini",
        ".flake8",
        ".pylintrc",
        "pylintrc",
        ".pycodestyle",
        ".bandit",
    }
)
_TOML = frozenset(
    {
        "pyproject.toml",
        "ruff.toml",
        ".ruff.toml",
        "Cargo.toml",
        "clippy.toml",
        ".clippy.toml",
        ".golangci.toml",
        ".coveragerc.toml",
    }
)
_PACKAGE = ("jest", "eslintConfig", "nyc", "c8", "ava", "mocha", "vitest", "tap", "xo", "standard")
_TOOLS = (
    "ruff",
    "mypy",
    "pyright",
    "basedpyright",
    "coverage",
    "pylint",
    "flake8",
    "interrogate",
    "bandit",
    "ty",
    "pyrefly",
    "vulture",
)


def is_tool_file(path: str) -> bool:
    """Whether a file holds settings that are read here."""
    name = PurePosixPath(path).name
    return name in _LISTS | _INI | _TOML or bool(_JSON.match(name) or _YAML.match(name) or _SCRIPT.match(name))


def settings_of(path: str, text: str) -> Flat | None:
    """`tool.section.key` -> value; None where the file cannot be read. The same setting has one name in all of its files."""
    name = PurePosixPath(path).name
    if len(text) > (_MOST_YAML if _YAML.match(name) else _MOST_TEXT):
        return None
    try:
        if name in _LISTS:
            return {
                name: tuple(
                    filter(None, (line.strip() for line in text.splitlines() if not line.lstrip().startswith("#")))
                )
            }
        if name in _TOML:
            return _from_toml(name, tomllib.loads(text))
        if name in _INI:
            return _from_ini(text)
        if _SCRIPT.match(name):
            return _from_script(
                name.partition(".")[0] if not name.startswith(".") else "eslint" if "eslint" in name else name[1:6],
                text,
            )
        if _YAML.match(name):
            return _from_yaml(name, text)
        return _from_json(name, text)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, configparser.Error):
        return None


def _flat(prefix: str, value: object, depth: int = 0) -> Iterator[tuple[str, Value]]:
    if isinstance(value, Mapping) and depth < _DEEPEST:
        for key, inner in value.items():
            yield from _flat(f"{prefix}.{key}" if prefix else str(key), inner, depth + 1)
    elif isinstance(value, list | tuple):
        words = tuple(
            inner if isinstance(inner, str) else json.dumps(inner, sort_keys=True, default=str) for inner in value
        )
        yield prefix, words
    elif isinstance(value, bool | str):
        yield prefix, value
    elif isinstance(value, int | float):
        yield prefix, float(value) if abs(value) < 1e300 else 0.0


def _bounded(pairs: Iterator[tuple[str, Value]]) -> Flat:
    found: Flat = {}
    for key, value in pairs:
        if len(found) >= _MOST:
            raise ValueError("more settings than anybody writes")
        found[key] = value
    return found


def _from_toml(name: str, data: dict[str, object]) -> Flat:
    if name == "Cargo.toml":
        workspace = data.get("workspace")
        lints = {**_table(workspace.get("lints") if isinstance(workspace, dict) else {}), **_table(data.get("lints"))}
        return _bounded(_flat("cargo.lints", lints))
    if "clippy" in name:
        return _bounded(_flat("clippy", data))
    if "golangci" in name:
        return _bounded(_flat("golangci", data))
    tools = (
        _table(data.get("tool")) if name == "pyproject.toml" else {"coverage" if "coverage" in name else "ruff": data}
    )
    kept = {tool: _table(tools[tool]) for tool in _TOOLS if tool in tools}
    if "mypy" in kept:
        mypy = dict(kept["mypy"])
        overrides = mypy.pop("overrides", [])
        for override in overrides if isinstance(overrides, list) else []:
            modules = override.get("module", "?")
            for module in [modules] if isinstance(modules, str) else modules:
                for key, value in override.items():
                    if key != "module":
                        mypy[f"for {module}.{key}"] = value
        kept["mypy"] = mypy
    flat = _bounded(_flat("", kept))
    return {
        re.sub(
            r"^ruff\.(?=(?:extend-)?(?:select|ignore|per-file-ignores|mccabe|pylint|unfixable|fixable))",
            "ruff.lint.",
            k,
        ): v
        for k, v in flat.items()
    }


def _table(value: object) -> dict[str, object]:
    return dict(value) if isinstance(value, Mapping) else {}


def _from_ini(text: str) -> Flat:
    parser = configparser.RawConfigParser(
        strict=False, allow_no_value=True, delimiters=("=", ":"), inline_comment_prefixes=("#",)
    )
    parser.read_string(text)
    found: Flat = {}
    for section in parser.sections():
        if section == "mypy" or section.startswith("mypy-"):
            for module in section[5:].split(",") if len(section) > 4 else [""]:
                prefix = f"mypy.for {module.strip()}" if module else "mypy"
                found |= {f"{prefix}.{k}": _word(k, v) for k, v in parser.items(section)}
            continue
        low = section.lower()
        tool = (
            "coverage." + low[9:]
            if low.startswith("coverage:")
            else "pylint"
            if "pylint" in low or low in {"messages control", "master", "main", "design", "format"}
            else ""
        )
        tool = tool or _SECTIONS.get(low, "")
        if tool:
            found |= {f"{tool}.{k}": _word(k, v) for k, v in parser.items(section)}
    return found


def _word(key: str, value: str | None) -> Value:
    """The value of an ini file in the type that the same setting has in TOML."""
    said = (value or "").strip()
    if said.lower() in {"true", "yes", "on", "false", "no", "off"}:
        return said.lower() in {"true", "yes", "on"}
    if re.fullmatch(r"-?\d{1,9}(?:\.\d+)?", said):
        return float(said)
    if (
        "\n" in said
        or "," in said
        or re.search(r"ignore|omit|exclude|select|disable|enable|skip|files|packages|source", key)
    ):
        return tuple(
            filter(None, (part.strip() for part in re.split(r"[,\n]", said) if not part.strip().startswith("#")))
        )
    return said


def _from_json(name: str, text: str) -> Flat:
    data = json.loads(re.sub(r",(\s*[}\]])", r"\1", _without_comments(text)) if name != "package.json" else text)
    if name == "package.json":
        return _bounded(_flat("", {("eslint" if k == "eslintConfig" else k): data[k] for k in _PACKAGE if k in data}))
    if name.startswith(("tsconfig", "jsconfig")):
        return {f"{name}.{k}": v for k, v in _bounded(_flat("", data)).items()}
    tool = next(
        (t for t in ("eslint", "biome", "nyc", "c8", "pyright", "jest", "tslint", "mocha", "oxlint") if t in name),
        "json",
    )
    return _bounded(_flat(tool, data))


def _without_comments(text: str) -> str:
    """JSON with comments as JSON."""
    source = tokenize(text, "javascript")
    for comment in reversed(source.comments):
        text = text[: comment.start] + " " + text[comment.start + len(comment.text) :]
    return text or "{}"


def _from_yaml(name: str, text: str) -> Flat:
    import yaml

    depths = list(accumulate({"[": 1, "{": 1, "]": -1, "}": -1}.get(char, 0) for char in text))
    if max(depths, default=0) > _DEEPEST or re.search(rf"(?:[-?] ){{{_DEEPEST}}}", text):
        raise ValueError("nested deeper than its reader can follow in time")
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as broken:
        raise ValueError(str(broken)) from None
    tool = next(t for t in ("golangci", "codecov", "eslint", "mocha", "nyc", "coveralls") if t in name)
    return _bounded(_flat(tool, data if isinstance(data, dict) else {}))


def _from_script(tool: str, text: str) -> Flat:
    """The properties with a constant value in a configuration that is code; the names of the objects round them make their path."""
    source = tokenize(text, "javascript")
    if not source.whole:
        raise ValueError("brackets are not closed")
    found: Flat = {}
    path: list[tuple[str, int]] = []  # key and the index where its value ends
    for at, token in enumerate(source.tokens):
        while path and at >= path[-1][1]:
            path.pop()
        if source.at(at + 1) != ":" or token.kind not in {"name", "string"} or source.at(at - 1) not in {"{", ","}:
            continue
        key, begin = token.text.strip("\"'"), at + 2
        opening = source.at(begin)
        full = ".".join([tool, *(k for k, _ in path), key])
        if opening == "{":
            path.append((key, source.end(begin)))
        elif opening == "[":
            words = tuple(source.canon(a, b).strip('"') for a, b in source.split(begin + 1, source.end(begin)))
            before = found.get(full)
            found[full] = (*before, *words) if isinstance(before, tuple) and not re.search(r"rules\.", full) else words
        elif begin < len(source.tokens):
            found[full] = _constant(source.at(begin), source.tokens[begin].kind)
    return found


def _constant(text: str, kind: str) -> Value:
    if text in {"true", "false"}:
        return text == "true"
    if kind == "number" and re.fullmatch(r"[\d_]{1,15}(?:\.\d+)?", text):
        return float(text.replace("_", ""))
    return text.strip("\"'")
