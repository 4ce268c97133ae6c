"""Which tool makes the environment of a package, by its lock file and settings, and the one command that makes it from the lock."""

from __future__ import annotations

import fnmatch
import os
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from zwarm_ci.detect import requirements
from zwarm_ci.detect.base import Tree, table

_PYTHON_FILES = ("pyproject.toml", "setup.py", "setup.cfg", ".python-version")
_LOCKED_BY = (("uv", "uv.lock"), ("poetry", "poetry.lock"), ("pdm", "pdm.lock"), ("pipenv", "Pipfile.lock"), ("pipenv", "Pipfile"),
              ("conda", "environment.yml"), ("conda", "environment.yaml"))  # fmt: skip
_CONDAS = ("micromamba", "mamba", "conda")


@dataclass(frozen=True, slots=True)
class Manager:
    """What makes the environment of a package folder.

    Attributes:
        name: the tool, e.g. "uv" or "npm".
        root: folder that the environment belongs to (a workspace's root), relative to the tree's top.
        lock: the lock file, relative to the tree's top; "" = none is kept.
        files: paths, relative to the tree's top, whose content decides what is installed: the cache key's.
        install: the one command, no shell, that makes the environment from the lock; it runs in `root`. "" = the tool is not here.
        why: what it was recognised by, and what to install where `install` is "".
        below: the same command for a folder below `root`, `{root}` = the way up to it; "" = `install` does it from there too.
    """

    name: str
    root: str
    lock: str
    files: tuple[str, ...]
    install: str
    why: str
    below: str = ""

    def setup(self, workdir: str) -> str:
        """The command for a check whose `setup` runs in `workdir`."""
        if os.path.normpath(workdir) == os.path.normpath(self.root) or not self.below:
            return self.install
        up = os.path.relpath(self.root, workdir).replace(os.sep, "/")
        return shlex.join(word.replace("{root}", up) for word in shlex.split(self.below))


def of(tree: Tree, workdir: str) -> Manager | None:
    """What makes the Python environment of a folder: its own lock, else that of a workspace above it, else its own settings.

    None where neither it nor a folder above it says what to install.
    """
    if (own := _locked(tree, workdir)) is not None:
        return own
    for folder in _above(workdir):
        if _is_member(tree, folder, workdir):
            return _uv(tree, folder)
    for folder in (workdir, *_above(workdir)):
        if (found := _locked(tree, folder) or _unlocked(tree, folder)) is not None:
            return found
    return None


def _above(workdir: str) -> Iterator[str]:
    """The folders above one, up to the top."""
    folder = PurePosixPath(os.path.normpath(workdir))
    return (str(p) for p in folder.parents) if str(folder) != "." else iter(())


def members(tree: Tree, root: str) -> tuple[str, ...]:
    """The folders, relative to the tree's top, of the uv workspace that `root` is the root of (itself left out)."""
    workspace = table(tree.at(root).pyproject, "uv", "workspace")
    left_out = [str(p) for p in workspace.get("exclude") or ()]
    base = tree.top / root
    found = {
        path.relative_to(base).as_posix()
        for pattern in workspace.get("members") or ()
        for path in base.glob(str(pattern).rstrip("/"))
        if (path / "pyproject.toml").is_file()
    }
    kept = sorted(f for f in found if not any(fnmatch.fnmatchcase(f, p) for p in left_out))
    return tuple(f if root == "." else f"{root}/{f}" for f in kept)


def _is_member(tree: Tree, root: str, workdir: str) -> bool:
    return os.path.normpath(workdir) in members(tree, root)


def _locked(tree: Tree, folder: str) -> Manager | None:
    for name, lock in _LOCKED_BY:
        if tree.at(folder).has(lock):
            return _MAKERS[name](tree, folder)
    return None


def _unlocked(tree: Tree, folder: str) -> Manager | None:
    here = tree.at(folder)
    for name in ("uv", "poetry", "pdm"):
        if name in here.pyproject and not (name == "uv" and not shutil.which("uv")):
            return _MAKERS[name](tree, folder)
    return _pip(tree, folder)


def _uv(tree: Tree, folder: str) -> Manager:
    here = tree.at(folder)
    lock = here.has("uv.lock")
    inner = members(tree, folder)
    words = ["uv", "sync", *(["--frozen"] if lock else [])]
    if table(here.pyproject, "uv", "workspace"):
        words.append("--all-packages")
    if "conflicts" not in table(here.pyproject, "uv"):
        everywhere = [here, *(tree.at(m) for m in inner)]
        words += ["--all-extras"] if any(table(t.toml, "project", "optional-dependencies") for t in everywhere) else []
        words += ["--all-groups"] if any(table(t.toml, "dependency-groups") for t in everywhere) else []
    files = _files(tree, folder, "uv.lock", "uv.toml") + tuple(f for m in inner for f in _files(tree, m))
    if not shutil.which("uv"):
        return _without_tool(tree, folder, "uv", lock, files)
    return Manager("uv", folder, _path(folder, lock), files, " ".join(words), f"of {lock or '[tool.uv]'}")


def _poetry(tree: Tree, folder: str) -> Manager:
    here = tree.at(folder)
    lock, poetry = here.has("poetry.lock"), table(here.pyproject, "poetry")
    optional = [name for name, group in table(poetry, "group").items() if table({"g": group}, "g").get("optional")]
    extras = poetry.get("extras") or table(here.toml, "project", "optional-dependencies")
    words = ["poetry", "install", "--no-interaction", *(["--all-extras"] if extras else [])]
    words += [f"--with={','.join(optional)}"] if optional else []
    files = _files(tree, folder, "poetry.lock", "poetry.toml")
    return _found(tree, folder, "poetry", lock or "[tool.poetry]", lock, files, words, "--directory")


def _pdm(tree: Tree, folder: str) -> Manager:
    here = tree.at(folder)
    lock = here.has("pdm.lock")
    grouped = table(here.toml, "project", "optional-dependencies") or table(here.pyproject, "pdm", "dev-dependencies")
    words = [
        "pdm",
        "sync" if lock else "install",
        *(["--group=:all"] if grouped or "dependency-groups" in here.toml else []),
    ]
    files = _files(tree, folder, "pdm.lock", "pdm.toml")
    return _found(tree, folder, "pdm", lock or "[tool.pdm]", lock, files, words, "--project")


def _pipenv(tree: Tree, folder: str) -> Manager:
    lock = tree.at(folder).has("Pipfile.lock")
    words = ["pipenv", "sync" if lock else "install", "--dev"]
    return _found(
        tree, folder, "pipenv", lock or "Pipfile", lock, _files(tree, folder, "Pipfile", "Pipfile.lock"), words
    )


def _conda(tree: Tree, folder: str) -> Manager:
    file = tree.at(folder).has("environment.yml", "environment.yaml")
    program = next((name for name in _CONDAS if shutil.which(name)), "")
    verb = ["create"] if program == "micromamba" else ["env", "create"]
    words = [program or "conda", *verb, "--yes", "--prefix", ".venv", "--file", file]
    install = " ".join(words) if program else ""
    why = f"of {file}" + ("" if program else ", but no conda, mamba or micromamba is here (install one)")
    return Manager("conda", folder, "", _files(tree, folder, file), install, why)


def _pip(tree: Tree, folder: str) -> Manager | None:
    plan = requirements.plan(tree.at(folder))
    if plan is None:
        return None
    words = ["python", "-m", "pip", "install", *plan.words]
    files = _files(tree, folder) + tuple(_path(folder, f) for f in plan.files)
    below = " ".join(shlex.quote(w) for w in ("python", "-m", "pip", "install", *plan.from_below))
    return Manager("pip", folder, "", files, shlex.join(words), f"of {plan.why}", below)


_MAKERS = {"uv": _uv, "poetry": _poetry, "pdm": _pdm, "pipenv": _pipenv, "conda": _conda}


def _found(
    tree: Tree,
    folder: str,
    name: str,
    said: str,
    lock: str,
    files: tuple[str, ...],
    words: list[str],
    elsewhere: str = "",
) -> Manager:
    if not shutil.which(name):
        return _without_tool(tree, folder, name, lock, files)
    below = " ".join((words[0], elsewhere, "{root}", *words[1:])) if elsewhere else ""
    return Manager(name, folder, _path(folder, lock), files, " ".join(words), f"of {said}", below)


def _without_tool(tree: Tree, folder: str, name: str, lock: str, files: tuple[str, ...]) -> Manager:
    """Where the tool is not installed: pip, as far as the settings say what there is to install; versions are then not the lock's."""
    why = f"of {lock or f'[tool.{name}]'}, but {name} is not installed (pip install {name})"
    made = _pip(tree, folder) if name != "pipenv" else None
    if made is None:
        return Manager(name, folder, _path(folder, lock), files, "", why)
    return Manager(
        name, folder, "", (*files, *made.files), made.install, f"{why}; by pip, versions are not the lock's", made.below
    )


def _files(tree: Tree, folder: str, *more: str) -> tuple[str, ...]:
    here = tree.at(folder)
    return tuple(_path(folder, name) for name in (*_PYTHON_FILES, *more) if here.has(name))


def _path(folder: str, name: str) -> str:
    return name if folder == "." or not name else f"{folder}/{name}"


def missing_plugins(tree: Tree, sites: tuple[str, ...]) -> tuple[str, ...]:
    """Pytest plugins that a folder's pytest settings need and that none of the environment's package folders has."""
    return tuple(p for p in requirements.plugins(tree) if not requirements.is_installed(p, sites))
