"""Python's checks: pytest, unittest, ruff and mypy, by the repository's settings and its test files."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from zwarm_ci.detect import interpreters, managers, packages, programs, requirements, sessions
from zwarm_ci.detect.base import EnvOf, Found, Tree
from zwarm_ci.detect.packages import Package
from zwarm_ci.environment import Environment
from zwarm_ci.task import Check


def tests(tree: Tree, env_of: EnvOf) -> Found:
    """The tests of each package, by pytest where its environment has it, by tox or nox where that makes one, else by unittest."""
    for package in packages.find(tree, env_of):
        yield from _of_package(tree, package, env_of(package.folder))


def _of_package(tree: Tree, package: Package, env: Environment) -> Found:
    here = tree.at(package.folder)
    why = f"of {requirements.pytest_settings(here)[0] or package.first}"
    if said := interpreters.excluded(here, env):
        yield None, said
    by_sessions = [] if _serves(here, env) else list(sessions.find(here, package, env))
    if program := programs.of(here, env, package):
        yield program, program.why
    elif any(check for check, _ in by_sessions):
        yield from by_sessions
    elif "pytest" in env.modules:
        run = " ".join(("python -m pytest", *package.arguments))
        yield Check(package.name, run, "pytest", package.folder, why=why), why
        if lacking := managers.missing_plugins(here, env.interpreter.sites if env.interpreter else ()):
            yield None, f"{', '.join(lacking)} is not installed, which the settings of pytest need: {env.note}"
    elif env.python and package.uses_unittest:
        why = "its tests use unittest and pytest is not installed"
        yield Check(package.name, f"python -m unittest{_discover(here)}", "junit", package.folder, why=why), why
    else:
        yield from by_sessions
        yield None, _no_pytest(tree, package, env, why)


def _serves(tree: Tree, env: Environment) -> bool:
    """Whether an environment with pytest is the repository's own: in it, named by a variable or its manager, or with the package in it."""
    prefix = env.interpreter.prefix if env.interpreter else ""
    named = {os.path.realpath(v) for v in map(os.environ.get, ("VIRTUAL_ENV", "CONDA_PREFIX")) if v}
    own = Path(prefix).is_relative_to(env.top) or os.path.realpath(prefix) in named or "'s environment" in env.note
    return "pytest" in env.modules and bool(own or env.mapped or env.packages or not sessions.has_settings(tree))


def _no_pytest(tree: Tree, package: Package, env: Environment, why: str) -> str:
    manager = managers.of(tree, package.folder)
    made = manager.setup(package.folder) if manager else ""
    remedy = f'; to have it made: setup = "{made}"' if made else f"; {manager.why}" if manager else ""
    where = "" if package.folder == "." else f"{package.folder}: "
    return f"{where}pytest is not installed, so the tests ({why.removeprefix('of ')}) cannot run: {env.note}{remedy}"


def _discover(tree: Tree) -> str:
    """Arguments that make unittest find tests which are not packages below the top."""
    for name in ("tests", "test"):
        if (tree.top / name).is_dir() and not (tree.top / name / "__init__.py").is_file():
            return f" discover -s {name}"
    return ""


def _runnable(env: Environment, program: str) -> str:
    """How a person would start a Python tool: by its name where that is on PATH, else by the interpreter; "" = it is not there."""
    if any((Path(folder) / program).is_file() for folder in env.path) or shutil.which(program):
        return program
    return f"python -m {program}" if program in env.modules else ""


def ruff(tree: Tree, env_of: EnvOf) -> Found:
    """Ruff, where the repository has set it."""
    env = env_of(".")
    why = "of [tool.ruff] in pyproject.toml" if "ruff" in tree.pyproject else ""
    why = why or (f"of {name}" if (name := tree.has("ruff.toml", ".ruff.toml")) else "")
    if why and (ruff := _runnable(env, "ruff")):
        yield (
            Check("ruff", f"{ruff} check .", "ruff", fix=f"{ruff} check --fix .", why=why),
            why,
        )
    elif why:
        yield None, f"ruff is not installed, so {why.removeprefix('of ')} has no effect here (install ruff)"


def mypy(tree: Tree, env_of: EnvOf) -> Found:
    """Mypy, where the repository has set it."""
    env = env_of(".")
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
        r"^[^\S\n]*(files|packages|modules)\s*=",
        tree.text("mypy.ini") + tree.text(".mypy.ini") + tree.text("setup.cfg"),
        re.MULTILINE,
    )
    has_targets = bool(named) or any(key in (settings or {}) for key in ("files", "packages", "modules"))
    yield Check("mypy", mypy if has_targets else f"{mypy} .", "mypy", why=why), why
