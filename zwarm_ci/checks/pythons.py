"""The Pythons of this machine, found by asking them; where a session of another version needs one, it is there by name."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from zwarm_ci import proc
from zwarm_ci.errors import BlockedError
from zwarm_ci.scrub import child_env
from zwarm_ci.streams import MIB

_SAY = "import platform, sys; print(platform.python_implementation(), platform.python_version(), sys.executable)"
_SECONDS = 10.0  # a shim on a cold disk
_NAME = re.compile(r"^(python|pypy)(\d+(\.\d+)*)?$")
#: Folders of whoever keeps Pythons side by side: a variable, where it is by default, and what lies in it.
_KEEPERS = (
    ("PYENV_ROOT", "~/.pyenv", "versions/*/bin"),
    ("UV_PYTHON_INSTALL_DIR", "~/.local/share/uv/python", "*/bin"),
    ("RUNNER_TOOL_CACHE", "/opt/hostedtoolcache", "Python/*/*/bin"),
    ("", "~/.local/share/hatch/env/python", "*/python/bin"),
    ("", "/opt/python", "*/bin"),
)


@dataclass(frozen=True, slots=True)
class Python:
    """An interpreter: its version (`3.11.7`), where it is, and whose it is (CPython, PyPy)."""

    version: str
    path: str
    implementation: str = "CPython"

    @property
    def numbers(self) -> tuple[int, ...]:
        """The version as numbers; what follows them (`3.14.0rc1`) does not count."""
        return numbers_of(self.version)

    @property
    def command(self) -> str:
        """What it is called by on a PATH: `python3.11`."""
        return ("pypy" if self.implementation == "PyPy" else "python") + ".".join(map(str, self.numbers[:2]))


def numbers_of(version: str) -> tuple[int, ...]:
    """`3.11.7` as (3, 11, 7)."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(n) for n in found[0].split(".")) if found else ()


@functools.cache
def find() -> tuple[Python, ...]:
    """The Pythons 3 on PATH, of pyenv, of uv and of a runner's tool cache, newest first, one a version; found once per process.

    One on PATH comes before one of the same version elsewhere.
    """
    found: dict[tuple[str, str], Python] = {}
    seen: set[str] = set()
    for path in (*_on_path(), *_kept()):
        real = os.path.realpath(path)
        if real in seen and "shims" not in path.parts:
            continue
        seen.add(real)
        if (python := _ask(path)) and python.numbers >= (3,):
            found.setdefault((python.implementation, python.version), python)
    return tuple(sorted(found.values(), key=lambda p: (p.implementation == "CPython", p.numbers), reverse=True))


def _on_path() -> Iterator[Path]:
    for folder in os.get_exec_path():
        yield from _pythons_in(Path(folder))


def _kept() -> Iterator[Path]:
    roots = [
        (Path(os.environ.get(variable, "") or usual).expanduser(), pattern) for variable, usual, pattern in _KEEPERS
    ]
    roots += [(Path(folder).parent, "versions/*/bin") for folder in os.get_exec_path() if Path(folder).name == "shims"]
    for root, pattern in roots:
        for folder in sorted(root.glob(pattern)) if root.is_dir() else ():
            yield from _pythons_in(folder)


def _pythons_in(folder: Path) -> Iterator[Path]:
    names = os.listdir(folder) if folder.is_dir() else []  # noqa: PTH208 -- names alone are wanted of a large folder
    for name in sorted(filter(_NAME.match, names), key=lambda n: (-len(n), n)):
        path = folder / name
        if path.is_file() and os.access(path, os.X_OK):
            yield path


def _ask(path: Path) -> Python | None:
    """What an executable says of itself; None where it does not run (a shim whose Python is not chosen)."""
    try:
        ended = proc.run([str(path), "-c", _SAY], cwd=Path("/"), env=child_env(), timeout=_SECONDS, limit=MIB)
    except BlockedError:
        return None
    said = ended.stdout.decode("utf-8", "replace").strip().split(" ", 2)
    return Python(said[1], said[2], said[0]) if ended.ok and len(said) == 3 else None


def by_name(folder: Path) -> Path:
    """`folder` with a link for each version here, `python3.8` and so on, the newest of it; and no `python` that would hide another."""
    folder.mkdir(parents=True, exist_ok=True)
    for python in find():
        link = folder / python.command
        if not link.is_symlink():
            link.symlink_to(python.path)
    return folder
