"""What every finder is given and gives back: the settings files of a tree, the environment of a folder, checks with reasons."""

from __future__ import annotations

import configparser
import contextlib
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from zwarm_ci.environment import Environment
from zwarm_ci.task import Check

#: The environment of a folder (relative to the tree's top, "." = the top itself).
EnvOf = Callable[[str], Environment]
#: What a finder yields: a check and why it was chosen, or None and what was seen but cannot run here.
Found = Iterator[tuple[Check | None, str]]
NOT_SOURCES = frozenset(
    {
        ".git",
        "node_modules",
        ".venv",
        "venv",
        ".tox",
        ".nox",
        "__pycache__",
        "build",
        "dist",
        ".zwarm",
        "target",
        "vendor",
        "site-packages",
        ".eggs",
    }
)
_MOST_FILES = 20_000  # looked at for test files; a larger tree has them near its top
_TEST_FILE = re.compile(r"^(test_.*|.*_test)\.py$")


def table(data: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The table `names` lead to in what a TOML file said; empty where there is none, or something else."""
    found: Any = data
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return dict(found) if isinstance(found, Mapping) else {}


@dataclass(frozen=True, slots=True)
class Tree:
    """The settings files of a tree, read once and without complaint: what cannot be read is not there."""

    top: Path

    def text(self, name: str) -> str:
        file = self.top / name
        return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""

    def has(self, *names: str) -> str:
        return next((name for name in names if (self.top / name).is_file()), "")

    def at(self, folder: str) -> Tree:
        """The settings files of a folder of the tree."""
        return Tree(self.top / folder)

    @property
    def toml(self) -> dict[str, Any]:
        """pyproject.toml as a whole."""
        return self.toml_of("pyproject.toml")

    def toml_of(self, name: str) -> dict[str, Any]:
        """A TOML file's tables."""
        try:
            return tomllib.loads(self.text(name))
        except tomllib.TOMLDecodeError:
            return {}

    @property
    def pyproject(self) -> dict[str, Any]:
        """The tools' tables of pyproject.toml."""
        return table(self.toml, "tool")

    @property
    def package(self) -> dict[str, Any]:
        try:
            found = json.loads(self.text("package.json") or "{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def section(self, file: str, *names: str) -> str:
        """The first of the sections `names` that the ini file has, as `[name] in file`."""
        ini = self.ini(file)
        return next((f"[{name}] in {file}" for name in names if ini.has_section(name)), "")

    def ini(self, file: str) -> configparser.ConfigParser:
        """An ini file's sections; none where it cannot be read."""
        return self.parsed(self.text(file))

    @staticmethod
    def parsed(text: str) -> configparser.ConfigParser:
        """The sections of an ini file's text."""
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        parser.optionxform = str  # type: ignore[assignment,method-assign]  # pytest's names keep their case
        with contextlib.suppress(configparser.Error):
            parser.read_string(text)
        return parser

    def value(self, file: str, section: str, key: str) -> str:
        """One setting of an ini file; "" = it is not there."""
        return self.ini(file).get(section, key, fallback="")

    def test_files(self) -> Iterator[Path]:
        """Python files named as tests, those near the top first."""
        return (p for p in islice(self._python_files(self.top), _MOST_FILES) if _TEST_FILE.match(p.name))

    def _python_files(self, folder: Path) -> Iterator[Path]:
        for entry in sorted(folder.iterdir(), key=lambda p: (p.is_dir(), p.name)):
            if entry.is_dir() and not entry.is_symlink() and entry.name not in NOT_SOURCES:
                yield from self._python_files(entry)
            elif entry.suffix == ".py":
                yield entry
