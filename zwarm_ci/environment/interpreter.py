"""Which interpreter runs a repository's Python checks, and what it says of itself. Nothing is installed, nothing is written."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from zwarm_ci import proc
from zwarm_ci.environment.base import Environment, Interpreter, inside, text_of
from zwarm_ci.environment.editables import copies, extras, mapped_folders
from zwarm_ci.environment.files import built_files
from zwarm_ci.environment.node import dependency_folders
from zwarm_ci.errors import BlockedError
from zwarm_ci.scrub import child_env
from zwarm_ci.streams import MIB

_LOOK_SECONDS = 20.0  # a pyenv shim on a cold disk needs two
#: Runs in their interpreter, in the repository's folder, which therefore leaves sys.path before anything is imported.
_LOOK = """import sys
if sys.path and sys.path[0] in ("", "."): del sys.path[0]
import importlib.util, json, os, platform, site
spec = importlib.util.find_spec("_pytest")
compiled = spec is None or os.path.exists(importlib.util.cache_from_source(spec.origin))
has = lambda name: importlib.util.find_spec(name) is not None
sites = site.getsitepackages() + ([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])
print(json.dumps({"executable": sys.executable, "base": getattr(sys, "_base_executable", None) or sys.executable,
    "prefix": sys.prefix, "version": platform.python_version(), "compiled": compiled,
    "sites": [p for p in sys.path if p in sites], "has": [n for n in ("pytest", "mypy", "ruff", "xdist", "tox", "nox") if has(n)]}))
"""
#: Who keeps environments outside the repository: a file that says so, by words in it, and the command that names the folder.
_KEEPERS = (
    ("poetry.lock", "", ("poetry", "env", "info", "--path")),
    ("Pipfile", "", ("pipenv", "--venv")),
    ("pyproject.toml", "[tool.hatch.envs", ("hatch", "env", "find")),
)


def discover(top: Path, workdir: str = ".") -> Environment:
    """Find the interpreter for the checks of one folder and what it maps. Never raises for what it finds or not; `note` says it."""
    top = top.resolve()
    found, why = _interpreter(top, workdir)
    bins = [str(bin_) for folder in _upwards(top, workdir) if (bin_ := folder / "node_modules" / ".bin").is_dir()]
    from_path = tuple(dict.fromkeys(_from_pythonpath(top)))
    dependencies = dependency_folders(top)
    if found is None:
        return Environment(top, "", tuple(bins), from_path, why, dependencies=dependencies)
    bins.insert(0, str(Path(found.executable).parent))
    mapped = tuple(dict.fromkeys((*from_path, *mapped_folders(top, found))))
    packages = copies(top, found)
    note = f"Python {found.version} {why}"
    if packages:
        names = ", ".join(name for name, _ in packages)
        note += f"; {names} is installed as a copy, in worktrees its source is used"
    built = built_files(top, (*mapped, *(source for _, source in packages)))
    return Environment(
        top,
        found.executable,
        tuple(bins),
        mapped,
        note,
        found.modules,
        found.compiled,
        found,
        packages,
        extras(top, found, packages),
        dependencies,
        built,
    )


def _upwards(top: Path, workdir: str) -> list[Path]:
    """The folder of a check and those above it, up to `top`."""
    folder = top / workdir
    return [folder, *(p for p in folder.parents if p.is_relative_to(top))] if workdir != "." else [top]


def _interpreter(top: Path, workdir: str) -> tuple[Interpreter | None, str]:
    for folder in _upwards(top, workdir):
        for name in (".venv", "venv"):
            made = folder / name
            is_one = (made / "pyvenv.cfg").is_file() or (made / "conda-meta").is_dir()
            if is_one and (found := look(_python_in(folder / name), top)):
                return found, f"of {(folder / name).relative_to(top).as_posix()} in the repository"
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        value = os.environ.get(variable)
        if value and (found := look(_python_in(Path(value)), top)):
            return found, f"of {variable}"
    if (kept := _kept_elsewhere(top, workdir)) and (found := look(_python_in(kept[0]), top)):
        return found, f"of {kept[1]}'s environment"
    return _on_path(top)


def _on_path(top: Path) -> tuple[Interpreter | None, str]:
    first = None
    for candidate in _pythons_on_path():
        if found := look(candidate, top):
            if "pytest" in found.modules:
                return found, "on PATH, the first that has pytest"
            first = first or found
    if (own := look(sys.executable, top)) and "pytest" in own.modules:
        return own, "that runs zwarm-ci, as no other here has pytest"
    if first is not None:
        return first, "on PATH; none here has pytest (install it there, or make a .venv)"
    return None, "no Python was found (make a .venv, or put python3 on PATH)"


def _kept_elsewhere(top: Path, workdir: str) -> tuple[Path, str] | None:
    """The environment that poetry or pipenv keeps in a folder of its own, and whose it is."""
    for folder in _upwards(top, workdir):
        saved = text_of(folder / ".pdm-python").strip()
        if saved and os.access(saved, os.X_OK):
            return Path(saved).parent.parent, "pdm"
        for file, told, command in _KEEPERS:
            if told in text_of(folder / file) and (folder / file).is_file() and shutil.which(command[0]):
                ended = proc.run(command, cwd=folder, env=child_env(), timeout=_LOOK_SECONDS, limit=MIB)
                said = ended.stdout.decode("utf-8", "replace").strip().splitlines()
                if ended.ok and said and Path(said[-1]).is_dir():
                    return Path(said[-1]), command[0]
    return None


def _python_in(prefix: Path) -> str:
    return str(prefix / "bin" / "python")


def _pythons_on_path() -> Iterator[str]:
    seen: set[str] = set()
    for folder in os.get_exec_path():
        for name in ("python3", "python"):
            path = Path(folder, name)
            real = os.path.realpath(path)
            if real not in seen and os.access(path, os.X_OK) and path.is_file():
                seen.add(real)
                yield str(path)


def look(python: str, top: Path) -> Interpreter | None:
    """Ask an interpreter about itself; None where it does not run (a virtual environment whose Python is gone)."""
    if not os.access(python, os.X_OK):
        return None
    try:
        ended = proc.run([python, "-c", _LOOK], cwd=top, env=child_env(), timeout=_LOOK_SECONDS, limit=MIB)
        said = json.loads(ended.stdout.decode("utf-8", "replace").splitlines()[-1]) if ended.ok else None
    except (BlockedError, ValueError, IndexError):
        return None
    if said is None:
        return None
    sites, modules = (tuple(said[key]) for key in ("sites", "has"))
    return Interpreter(
        said["executable"], said["base"], said["prefix"], said["version"], sites, modules, said["compiled"]
    )


def _from_pythonpath(top: Path) -> Iterator[str]:
    entries = [e for e in os.environ.get("PYTHONPATH", "").split(os.pathsep) if e]
    return (rel for entry in entries if (rel := inside(top, top / entry)) is not None)
