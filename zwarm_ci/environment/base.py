"""What the repository's checks run with, as a value."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

#: Folders that hold other people's files: environments, dependencies, caches.
NOT_OURS = frozenset({".git", "node_modules", ".venv", "venv", ".tox", ".nox", "__pycache__", ".zwarm"})


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python and what it says of itself.

    Attributes:
        executable: what is started. base: the interpreter that a virtual environment was made from (itself elsewhere).
        prefix: `sys.prefix`. version: `3.11.7`.
        sites: the folders of `sys.path` in which .pth files count, in Python's order.
        modules: which of pytest, mypy, ruff, xdist, tox and nox it can import.
        compiled: its packages have bytecode (uv installs them without).
    """

    executable: str
    base: str
    prefix: str
    version: str
    sites: tuple[str, ...]
    modules: tuple[str, ...]
    compiled: bool

    @property
    def is_venv(self) -> bool:
        """Whether it belongs to a virtual environment."""
        return (Path(self.prefix) / "pyvenv.cfg").is_file()


@dataclass(frozen=True, slots=True)
class Environment:
    """What the repository's checks run with; found once per run, then mapped onto each worktree.

    Attributes:
        top: the checkout that it was found in and that its editable installs point at.
        python: interpreter that runs its Python checks; "" = none was found.
        path: folders that go first on PATH (the interpreter's, node_modules/.bin).
        mapped: folders, relative to `top`, that the environment puts on sys.path; "." = `top` itself.
        note: one line: which interpreter, and why.
        modules: which of pytest, mypy, ruff, xdist, tox and nox the interpreter can import.
        compiled: its packages have bytecode.
        interpreter: all that `python` says of itself; None = there is none, or it is a worktree's own.
        packages: name -> folder relative to `top`: packages of the repository that are installed as copies.
        extras: (name, path below it) of what only such a copy has: files that its build made.
        dependencies: folders relative to `top` that have a node_modules.
        built: files relative to `top` that git ignores and that an install made beside the sources (`_version.py`, extensions).
    """

    top: Path
    python: str
    path: tuple[str, ...]
    mapped: tuple[str, ...]
    note: str
    modules: tuple[str, ...] = ()
    compiled: bool = True
    interpreter: Interpreter | None = None
    packages: tuple[tuple[str, str], ...] = ()
    extras: tuple[tuple[str, str], ...] = ()
    dependencies: tuple[str, ...] = ()
    built: tuple[str, ...] = ()

    @property
    def venv(self) -> str:
        """The virtual environment that `python` belongs to; "" = none."""
        if not self.python:
            return ""
        prefix = Path(self.python).parent.parent
        return str(prefix) if (prefix / "pyvenv.cfg").is_file() else ""


def inside(top: Path, folder: Path, prefixes: Iterable[str] = ()) -> str | None:
    """`folder` relative to `top`; None where it is elsewhere, or is the environment's own (site-packages of a .venv there)."""
    real = Path(os.path.realpath(folder))
    if not real.is_relative_to(top) or any(real.is_relative_to(os.path.realpath(p)) for p in prefixes):
        return None
    return real.relative_to(top).as_posix()


def text_of(path: Path) -> str:
    """A file's text; "" where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
