"""Which checks a repository has, read from its own settings files, each with the reason; nothing of it is run."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from zwarm_ci.checks.run import argv_of
from zwarm_ci.environment import Environment
from zwarm_ci.errors import ConfigError
from zwarm_ci.task import Check, Kind

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
_PROGRAMS: dict[str, Kind] = {"pytest": "pytest", "py.test": "pytest", "mypy": "mypy", "tsc": "tsc", "eslint": "eslint"}
_SUBCOMMANDS: dict[tuple[str, str], Kind] = {
    ("ruff", "check"): "ruff",
    ("go", "test"): "go",
    ("cargo", "test"): "cargo",
}
_PYTHON = re.compile(r"^python[\d.]*$")
_NOT_OURS = frozenset(
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
    }
)
_MOST_FILES = 20_000  # looked at for test files; a larger tree has them near its top
_TEST_FILE = re.compile(r"^(test_.*|.*_test)\.py$")


def derive_kind(command: str) -> Kind:
    """The kind of a command: what its program is, launchers such as `uv run` and `python -m` looked through.

    Raises:
        ConfigError: the command needs a shell.
    """
    words = _without_launcher(argv_of(command)[0])
    if "{junit}" in command:
        return "junit"
    if len(words) > 2 and _PYTHON.match(Path(words[0]).name) and words[1] == "-m":
        if words[2] == "unittest":
            return "junit"
        words = words[2:]
    name = Path(words[0]).name if words else ""
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


@dataclass(frozen=True, slots=True)
class _Tree:
    """The settings files of a tree, read once and without complaint: what cannot be read is not there."""

    top: Path

    def text(self, name: str) -> str:
        file = self.top / name
        return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""

    def has(self, *names: str) -> str:
        return next((name for name in names if (self.top / name).is_file()), "")

    @property
    def pyproject(self) -> dict[str, Any]:
        try:
            tool = tomllib.loads(self.text("pyproject.toml")).get("tool", {})
        except tomllib.TOMLDecodeError:
            return {}
        return tool if isinstance(tool, dict) else {}

    @property
    def package(self) -> dict[str, Any]:
        try:
            found = json.loads(self.text("package.json") or "{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def section(self, file: str, *names: str) -> str:
        """The first of the sections `names` that the ini file has, as `[name] in file`."""
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            parser.read_string(self.text(file))
        except configparser.Error:
            return ""
        return next((f"[{name}] in {file}" for name in names if parser.has_section(name)), "")

    def test_files(self) -> Iterator[Path]:
        """Python files named as tests."""
        return (p for p in islice(self._python_files(self.top), _MOST_FILES) if _TEST_FILE.match(p.name))

    def _python_files(self, folder: Path) -> Iterator[Path]:
        for entry in sorted(folder.iterdir(), key=lambda p: (p.is_dir(), p.name)):
            if entry.is_dir() and not entry.is_symlink() and entry.name not in _NOT_OURS:
                yield from self._python_files(entry)
            elif entry.suffix == ".py":
                yield entry


def detect(tree: Path, env: Environment) -> tuple[tuple[Check, ...], tuple[str, ...]]:
    """The checks of a tree, tests first, and one line for each choice (and for what was seen but cannot run here)."""
    checks: list[Check] = []
    notes: list[str] = []
    for find in (_python_tests, _ruff, _mypy, _javascript, _cargo, _go):
        for check, why in find(_Tree(tree), env):
            if check is None:
                notes.append(why)
            else:
                checks.append(check)
                notes.append(f"chose `{check.run}` ({check.name}) because {why}")
    return tuple(checks), tuple(notes)


_Found = Iterator[tuple[Check | None, str]]


def _python_tests(tree: _Tree, env: Environment) -> _Found:
    pytest = tree.pyproject.get("pytest")
    why = (
        ("of [tool.pytest] in pyproject.toml" if pytest is not None else "")
        or tree.has("pytest.ini", ".pytest.ini")
        or tree.section("tox.ini", "pytest")
        or tree.section("setup.cfg", "tool:pytest")
    )
    first = next(tree.test_files(), None)
    if not why and first is not None:
        why = f"of {first.relative_to(tree.top).as_posix()}"
    if not why:
        return
    if "pytest" in env.modules:
        why = why if why.startswith("of ") else f"of {why}"
        yield Check("tests", "python -m pytest", "pytest", why=why), why
    elif env.python and any(
        re.search(r"^\s*(import|from) unittest\b", _text(p), re.MULTILINE) for p in tree.test_files()
    ):
        why = "its tests use unittest and pytest is not installed"
        yield Check("tests", f"python -m unittest{_discover(tree)}", "junit", why=why), why
    else:
        yield None, f"pytest is not installed, so the tests ({why.removeprefix('of ')}) cannot run: {env.note}"


def _discover(tree: _Tree) -> str:
    """Arguments that make unittest find tests which are not packages below the top."""
    for name in ("tests", "test"):
        if (tree.top / name).is_dir() and not (tree.top / name / "__init__.py").is_file():
            return f" discover -s {name}"
    return ""


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _runnable(env: Environment, program: str) -> str:
    """How a person would start a Python tool: by its name where that is on PATH, else by the interpreter; "" = it is not there."""
    if any((Path(folder) / program).is_file() for folder in env.path) or shutil.which(program):
        return program
    return f"python -m {program}" if program in env.modules else ""


def _ruff(tree: _Tree, env: Environment) -> _Found:
    why = "of [tool.ruff] in pyproject.toml" if "ruff" in tree.pyproject else ""
    why = why or (f"of {name}" if (name := tree.has("ruff.toml", ".ruff.toml")) else "")
    if why and (ruff := _runnable(env, "ruff")):
        yield (
            Check("ruff", f"{ruff} check .", "ruff", fix=f"{ruff} check --fix .", why=why),
            why,
        )
    elif why:
        yield None, f"ruff is not installed, so {why.removeprefix('of ')} has no effect here (install ruff)"


def _mypy(tree: _Tree, env: Environment) -> _Found:
    settings = tree.pyproject.get("mypy")
    why = "of [tool.mypy] in pyproject.toml" if settings is not None else ""
    why = why or (
        f"of {name}" if (name := tree.has("mypy.ini", ".mypy.ini") or tree.section("setup.cfg", "mypy")) else ""
    )
    if not why:
        return
    if not (mypy := _runnable(env, "mypy")):
        yield None, f"mypy is not installed, so {why.removeprefix('of ')} has no effect here (install mypy)"
        return
    named = re.search(
        r"^\s*(files|packages|modules)\s*=",
        tree.text("mypy.ini") + tree.text(".mypy.ini") + tree.text("setup.cfg"),
        re.MULTILINE,
    )
    has_targets = bool(named) or any(key in (settings or {}) for key in ("files", "packages", "modules"))
    yield Check("mypy", mypy if has_targets else f"{mypy} .", "mypy", why=why), why


def _javascript(tree: _Tree, env: Environment) -> _Found:
    package = tree.package
    if not package:
        return
    modules = env.top / "node_modules"
    script = str((package.get("scripts") or {}).get("test", ""))
    runs_node = re.match(r"^node\s+--test\b", script)
    if not modules.is_dir() and not runs_node:
        yield None, "package.json is there, but node_modules is not, so nothing of it can run (npm ci)"
        return
    yield from _javascript_tests(script, modules)
    if tree.has("tsconfig.json") and (modules / ".bin" / "tsc").exists():
        yield (
            Check("tsc", "npx --no-install tsc --noEmit", "tsc", why="of tsconfig.json"),
            "of tsconfig.json",
        )
    config = next(
        (p.name for p in sorted(tree.top.glob("*eslint*")) if re.match(r"^(eslint\.config\.|\.eslintrc)", p.name)), ""
    )
    if (config or "eslintConfig" in package) and (modules / ".bin" / "eslint").exists():
        why = f"of {config or 'eslintConfig in package.json'}"
        run = "npx --no-install eslint ."
        yield Check("eslint", run, "eslint", fix=f"{run} --fix", why=why), why


def _javascript_tests(script: str, modules: Path) -> _Found:
    why = "of the script `test` in package.json"
    bins = modules / ".bin"
    run: str = "npm test"
    kind: Kind = "generic"
    if re.search(r"\bvitest\b", script) and (bins / "vitest").exists():
        run, kind = "npx --no-install vitest run --reporter=default --reporter=junit --outputFile={junit}", "junit"
    elif re.search(r"\bjest\b", script) and (bins / "jest").exists() and (modules / "jest-junit").is_dir():
        run, kind = (
            "JEST_JUNIT_OUTPUT_FILE={junit} npx --no-install jest --reporters=default --reporters=jest-junit",
            "junit",
        )
    elif re.match(r"^node\s+--test\b", script) and not _needs_shell(script):
        run, kind = f"{script} --test-reporter=junit --test-reporter-destination={{junit}}", "junit"
    elif not script or "no test specified" in script:  # what `npm init` writes
        return
    yield Check("tests", run, kind, why=why), why


def _needs_shell(command: str) -> bool:
    try:
        argv_of(command)
    except ConfigError:
        return True
    return False


def _cargo(tree: _Tree, env: Environment) -> _Found:
    del env
    if not tree.has("Cargo.toml"):
        return
    if shutil.which("cargo"):
        yield Check("cargo", "cargo test", "cargo", why="of Cargo.toml"), "of Cargo.toml"
    else:
        yield None, "Cargo.toml is there, but cargo is not installed (install Rust)"


def _go(tree: _Tree, env: Environment) -> _Found:
    del env
    if not tree.has("go.mod"):
        return
    if shutil.which("go"):
        yield Check("go", "go test ./...", "go", why="of go.mod"), "of go.mod"
    else:
        yield None, "go.mod is there, but go is not installed (install Go)"
