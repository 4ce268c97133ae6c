"""The kind of a check from its command alone."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

from zwarm_ci.checks import argv_of, runners, tox
from zwarm_ci.errors import ConfigError
from zwarm_ci.task import Kind

_LAUNCHERS = {
    "uv": ("run",), "poetry": ("run",), "pdm": ("run",), "hatch": ("run",), "pipenv": ("run",), "npx": (), "pnpm": ("exec",), "yarn": (), "bunx": (),
}  # fmt: skip
#: Options of launchers that take the next word.
_WITH_VALUE = frozenset(
    {
        "--extra",
        "--group",
        "--only-group",
        "--with",
        "--python",
        "-p",
        "--project",
        "--directory",
        "--env-file",
        "--package",
    }
)
_PROGRAMS: dict[str, Kind] = {
    "pytest": "pytest", "py.test": "pytest", "mypy": "mypy", "tsc": "tsc", "eslint": "eslint", "vitest": "junit", "jest": "junit", "mocha": "junit",
}  # fmt: skip
_SUBCOMMANDS: dict[tuple[str, str], Kind] = {
    ("ruff", "check"): "ruff",
    ("go", "test"): "go",
    ("cargo", "test"): "cargo",
    ("bazel", "test"): "junit",
    ("bazelisk", "test"): "junit",
    ("npm", "test"): "junit",
    ("pnpm", "test"): "junit",
    ("yarn", "test"): "junit",
}
_SESSION_OPTIONS = frozenset({"-e", "-s", "--session", "--sessions", "-p", "--python"})
#: Names of tox environments and nox sessions in which pytest runs, by custom; others (lint, docs) are judged by their exit code.
_TEST_SESSIONS = re.compile(r"^((py|pypy|python)?-?\d|py\b|(unit)?tests?\b|pytest\b|coverage\b)", re.IGNORECASE)
_PYTHON = re.compile(r"^python[\d.]*$")


def derive_kind(command: str) -> Kind:
    """The kind of a command: what its program is, launchers such as `uv run` and `python -m` looked through.

    Raises:
        ConfigError: the command needs a shell.
    """
    argv = argv_of(command)[0]
    words = _without_launcher(argv)
    if "{junit}" in command:
        return "junit"
    if runners.is_ours(words):
        return "junit"
    if tox.tool_of(argv):
        asked = [word for option, word in pairwise(argv) if option in _SESSION_OPTIONS]
        return "pytest" if asked and all(map(_TEST_SESSIONS.match, ",".join(asked).split(","))) else "generic"
    if len(words) > 2 and _PYTHON.match(Path(words[0]).name) and words[1] == "-m":
        if words[2] == "unittest":
            return "junit"
        words = words[2:]
    name = Path(words[0]).name if words else ""
    if name == "node" and "--test" in words:
        return "junit"
    rest = next((word for word in words[1:] if not word.startswith("-")), "")
    return _SUBCOMMANDS.get((name, rest)) or _PROGRAMS.get(name, "generic")


def _without_launcher(words: list[str]) -> list[str]:
    if words[0] not in _LAUNCHERS:
        return words
    rest = words[1:]
    needed = _LAUNCHERS[words[0]]
    if needed and tuple(rest[: len(needed)]) != needed:
        return words
    rest = rest[len(needed) :]
    while rest and rest[0].startswith("-"):
        rest = rest[2:] if rest[0] in _WITH_VALUE else rest[1:]
    return rest or words


def needs_shell(command: str) -> bool:
    """Whether a command is more than one program and its words."""
    try:
        argv_of(command)
    except ConfigError:
        return True
    return False
