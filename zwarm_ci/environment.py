"""The repository's own environment, found in the original checkout and mapped onto a worktree.

Nothing is installed and nothing in the original checkout is written; where it maps nothing, nothing is invented.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from zwarm_ci import proc
from zwarm_ci.errors import BlockedError, ConfigError
from zwarm_ci.scrub import child_env, conceal
from zwarm_ci.streams import MIB
from zwarm_ci.task import Check

_LOOK_SECONDS = 20.0  # a pyenv shim on a cold disk needs two
#: Runs in their interpreter, in the repository's folder, which therefore leaves sys.path before anything is imported.
_LOOK = """import sys
if sys.path and sys.path[0] in ("", "."): del sys.path[0]
import importlib.util, json, os, platform
spec = importlib.util.find_spec("_pytest")
compiled = spec is None or os.path.exists(importlib.util.cache_from_source(spec.origin))
has = lambda name: importlib.util.find_spec(name) is not None
print(json.dumps({"executable": sys.executable, "prefix": sys.prefix, "version": platform.python_version(), "compiled": compiled,
    "paths": [p for p in sys.path if p], "has": [n for n in ("pytest", "mypy", "ruff", "xdist") if has(n)]}))
"""
_SKIPPED_FOLDERS = frozenset({".git", "node_modules", ".venv", "venv", ".tox", ".nox", "__pycache__"})


@dataclass(frozen=True, slots=True)
class Environment:
    """What the repository's checks run with; found once per run.

    Attributes:
        top: the original checkout.
        python: interpreter that runs its Python checks; "" = none was found.
        path: folders that go first on PATH (the interpreter's, node_modules/.bin).
        mapped: folders, relative to `top`, that the environment puts on sys.path; "." = `top` itself.
        note: one line: which interpreter, and why.
        modules: which of pytest, mypy, ruff and xdist the interpreter can import.
        compiled: its packages have bytecode (uv installs them without).
    """

    top: Path
    python: str
    path: tuple[str, ...]
    mapped: tuple[str, ...]
    note: str
    modules: tuple[str, ...] = ()
    compiled: bool = True

    @property
    def venv(self) -> str:
        """The virtual environment that `python` belongs to; "" = none."""
        if not self.python:
            return ""
        prefix = Path(self.python).parent.parent
        return str(prefix) if (prefix / "pyvenv.cfg").is_file() else ""


@dataclass(frozen=True, slots=True)
class _Interpreter:
    executable: str
    prefix: str
    version: str
    paths: tuple[str, ...]
    modules: tuple[str, ...]
    compiled: bool


def discover(top: Path) -> Environment:
    """Find the interpreter and what it maps. Never raises for what it finds or does not find; `note` says it."""
    top = top.resolve()
    found, why = _interpreter(top)
    bins = [str(top / "node_modules" / ".bin")] if (top / "node_modules" / ".bin").is_dir() else []
    if found is None:
        return Environment(top, "", tuple(bins), _from_pythonpath(top), why)
    bins.insert(0, str(Path(found.executable).parent))
    mapped = dict.fromkeys((*_from_pythonpath(top), *_editables(top, found)))
    note = f"Python {found.version} {why}"
    if copies := _installed_copies(top, found):
        note += f"; {copies[0]} is installed as a copy, so tests may not see its source (install it with `pip install -e .`)"
    return Environment(top, found.executable, tuple(bins), tuple(mapped), note, found.modules, found.compiled)


def _interpreter(top: Path) -> tuple[_Interpreter | None, str]:
    for name in (".venv", "venv"):
        folder = top / name
        if (folder / "pyvenv.cfg").is_file() and (found := _look(_python_in(folder), top)):
            return found, f"of {name} in the repository"
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        value = os.environ.get(variable)
        if value and (found := _look(_python_in(Path(value)), top)):
            return found, f"of {variable}"
    first = None
    for candidate in _pythons_on_path():
        if found := _look(candidate, top):
            if "pytest" in found.modules:
                return found, "on PATH, the first that has pytest"
            first = first or found
    if (own := _look(sys.executable, top)) and "pytest" in own.modules:
        return own, "that runs zwarm-ci, as no other here has pytest"
    if first is not None:
        return first, "on PATH; none here has pytest (install it there, or make a .venv)"
    return None, "no Python was found (make a .venv, or put python3 on PATH)"


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


def _look(python: str, top: Path) -> _Interpreter | None:
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
    return _Interpreter(
        said["executable"], said["prefix"], said["version"], tuple(said["paths"]), tuple(said["has"]), said["compiled"]
    )


def _site_folders(found: _Interpreter) -> list[Path]:
    return [Path(p) for p in found.paths if Path(p).name in ("site-packages", "dist-packages") and Path(p).is_dir()]


def _editables(top: Path, found: _Interpreter) -> list[str]:
    """Folders under `top` that .pth lines and setuptools' finder hooks put on sys.path, in the order in which Python meets them."""
    folders: list[Path] = []
    for site in _site_folders(found):
        for file in sorted(site.glob("*.pth")):
            folders += [site / line for line in _path_lines(_read(file))]
        for file in sorted(site.glob("__editable___*_finder.py")):
            folders += _finder_folders(_read(file))
    keep = (_inside(top, folder, (found.prefix,)) for folder in folders)
    return list(dict.fromkeys(rel for rel in keep if rel is not None))


def _path_lines(text: str) -> list[str]:
    """The lines of a .pth file that are folders (site.py's rule: comments and `import` lines are not)."""
    lines = (line.rstrip() for line in text.splitlines())
    return [line for line in lines if line.strip() and not line.startswith(("#", "import ", "import\t"))]


def _finder_folders(source: str) -> list[Path]:
    """What setuptools' editable finder maps (`MAPPING = {"pkg": "/top/src/pkg"}`), as the folders that hold the packages."""
    folders = []
    for name, target in _mapping(source).items():
        parts = tuple(name.split("."))
        path = Path(target)
        if path.parts[-len(parts) :] == parts or (*path.parts[-len(parts) : -1], path.stem) == parts:
            folders.append(path.parents[len(parts) - 1])
    return folders


def _mapping(source: str) -> dict[str, str]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return {}
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        named = any(isinstance(t, ast.Name) and t.id == "MAPPING" for t in targets)
        if named and isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict):
            pairs = zip(node.value.keys, node.value.values, strict=True)
            return {
                str(k.value): str(v.value)
                for k, v in pairs
                if isinstance(k, ast.Constant) and isinstance(v, ast.Constant)
            }
    return {}


def _from_pythonpath(top: Path) -> tuple[str, ...]:
    entries = [e for e in os.environ.get("PYTHONPATH", "").split(os.pathsep) if e]
    found = (_inside(top, top / entry, ()) for entry in entries)
    return tuple(dict.fromkeys(rel for rel in found if rel is not None))


def _inside(top: Path, folder: Path, prefixes: Iterable[str]) -> str | None:
    """`folder` relative to `top`; None where it is elsewhere, or is the environment's own (site-packages of a .venv there)."""
    real = Path(os.path.realpath(folder))
    if not real.is_relative_to(top) or any(real.is_relative_to(os.path.realpath(p)) for p in prefixes):
        return None
    return real.relative_to(top).as_posix()


def _installed_copies(top: Path, found: _Interpreter) -> list[str]:
    """Names of distributions installed from `top` other than editably (PEP 610's direct_url.json)."""
    names = []
    for site in _site_folders(found):
        for file in sorted(site.glob("*.dist-info/direct_url.json")):
            try:
                said = json.loads(_read(file))
                url, editable = urlsplit(said["url"]), said.get("dir_info", {}).get("editable", False)
            except (ValueError, KeyError, TypeError, AttributeError):
                continue
            if url.scheme == "file" and not editable and Path(unquote(url.path)).resolve() == top:
                names.append(file.parent.name.split("-")[0])
    return names


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def child_environment(
    env: Environment, tree: Path, check: Check, *, tmp: Path, bytecode: Path | None = None
) -> dict[str, str]:
    """The environment in which `check` runs in `tree`: allow-listed names, the mapped interpreter and packages, `tmp` as TMPDIR.

    No bytecode is written: a .pyc is valid by size and second, so two versions of one file could share it. Packages that have
    none would then be compiled by every process; theirs is kept in `bytecode`, outside the environment, and the tree's is not.
    """
    tmp.mkdir(parents=True, exist_ok=True)
    made = child_env(names=check.env)
    made["PATH"] = os.pathsep.join((*env.path, made.get("PATH", os.defpath)))
    made |= {"TMPDIR": str(tmp), "TEMP": str(tmp), "TMP": str(tmp)}
    if env.compiled or bytecode is None:
        made["PYTHONDONTWRITEBYTECODE"] = "1"
    else:
        made["PYTHONPYCACHEPREFIX"] = str(bytecode)
        shutil.rmtree(bytecode / tree.resolve().relative_to("/"), ignore_errors=True)
    outside = [
        e for e in made.pop("PYTHONPATH", "").split(os.pathsep) if e and _inside(env.top, env.top / e, ()) is None
    ]
    folders = [str(tree / rel) for rel in env.mapped if (tree / rel).is_dir()] + outside
    if folders:
        made["PYTHONPATH"] = os.pathsep.join(folders)
    made.pop("VIRTUAL_ENV", None)
    if env.venv:
        # uv would make an environment of its own in the tree, and re-point the editable install at it, were it let.
        made |= {"VIRTUAL_ENV": env.venv, "UV_PROJECT_ENVIRONMENT": env.venv, "UV_NO_SYNC": "1"}
    return made


def adopt_variables(top: Path, checks: Iterable[Check]) -> None:
    """Make the variables that checks list ours to hand on, from `.env` where they are not set, and mask their values.

    `.env` is read outside CI alone, and for listed names alone: what a clone says of itself chooses nothing else.
    """
    names = {name for check in checks for name in check.env}
    if names and os.environ.get("CI", "").lower() not in {"true", "1"}:
        for name, value in _dotenv(_read(top / ".env")):
            if name in names:
                os.environ.setdefault(name, value)
    conceal(names)


def _dotenv(text: str) -> Iterator[tuple[str, str]]:
    """`NAME=value` lines; a leading `export` and quotes round the value are taken off, nothing is expanded."""
    for line in text.splitlines():
        name, found, value = line.strip().removeprefix("export ").partition("=")
        if found and name.strip().isidentifier():
            value = value.strip()
            quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
            yield name.strip(), value[1:-1] if quoted else value


def link_dependencies(env: Environment, tree: Path) -> None:
    """Give each folder of `tree` that has a package.json the original's node_modules, where it has none of its own.

    A real folder with links inside, not one link: `node_modules/` in .gitignore matches a folder only, and caches that tools
    write there stay out of the original. Links of a workspace to its own packages lead to `tree`'s packages.
    """
    if tree.resolve() == env.top:
        return
    for folder in _package_folders(tree):
        source, target = env.top / folder / "node_modules", tree / folder / "node_modules"
        if source.is_dir() and not target.exists():
            _link_entries(env.top, source, tree, target)


def _package_folders(tree: Path) -> list[Path]:
    found = []
    for root, folders, files in os.walk(tree):
        folders[:] = [f for f in folders if f not in _SKIPPED_FOLDERS]
        if "package.json" in files:
            found.append(Path(root).relative_to(tree))
    return found


def _link_entries(top: Path, source: Path, tree: Path, target: Path) -> None:
    target.mkdir()
    for entry in sorted(source.iterdir()):
        if entry.name.startswith("@") and entry.is_dir() and not entry.is_symlink():
            _link_entries(top, entry, tree, target / entry.name)
        elif not entry.name.startswith(".") or entry.name == ".bin":
            real = Path(os.path.realpath(entry))
            own = real.is_relative_to(top) and "node_modules" not in real.relative_to(top).parts
            (target / entry.name).symlink_to(tree / real.relative_to(top) if own else entry)


def copy_included(env: Environment, check: Check, tree: Path) -> None:
    """Copy the files that `check.include` and the tree's .worktreeinclude name from the original checkout, where `tree` has none.

    Raises:
        ConfigError: a pattern, or a link that it finds, leads out of the checkout.
    """
    if tree.resolve() == env.top:
        return
    lines = (line.strip() for line in _read(tree / ".worktreeinclude").splitlines())
    for pattern in (*check.include, *(line for line in lines if line and not line.startswith("#"))):
        for path in _matches(env.top, pattern):
            target = tree / path.relative_to(env.top)
            if not target.exists() and _within(target.parent, tree):
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target)


def _matches(top: Path, pattern: str) -> Iterator[Path]:
    clean = pattern.strip("/")
    if not clean or ".." in Path(clean).parts or ".git" in Path(clean).parts:
        raise ConfigError(f"include {pattern!r} leads out of the repository's files", remedy="name paths below its top")
    for match in sorted(top.glob(clean)):
        files = sorted(p for p in match.rglob("*") if p.is_file()) if match.is_dir() else [match]
        for file in files:
            if not _within(file, top):
                raise ConfigError(
                    f"include {pattern!r}: {file.relative_to(top)} links out of the repository",
                    remedy="name real files",
                )
            if file.is_file():
                yield file


def _within(path: Path, folder: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
