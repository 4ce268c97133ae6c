"""Files that a clean worktree lacks: what an install built beside the sources, what `include` names, the variables of `.env`."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from zwarm_ci.environment.base import NOT_OURS, Environment, text_of
from zwarm_ci.errors import ConfigError
from zwarm_ci.git import Git
from zwarm_ci.scrub import conceal, conceal_values, is_secret_path, names_a_secret
from zwarm_ci.task import Check

_EXTENSION = re.compile(r"\.(so|pyd|dylib)$")
#: What compiled extensions are made from; where one of these differs, an extension built before tells nothing.
_NATIVE = re.compile(
    r"\.(c|cc|cpp|cxx|h|hh|hpp|pyx|pxd|pxi|rs|f|f90|zig|pyf)$|(^|/)(setup\.py|CMakeLists\.txt|meson\.build|Cargo\.(toml|lock)|build\.rs)$"
)
_PAIR = re.compile(r"""(?<![\w.-])([\w.-]+)["']?\s*[:=]\s*["']?([^\s"',]{8,})["']?""")
#: What `.env` gave us. It is there to be handed on, and has no say in where we go ourselves.
_adopted: dict[str, str] = {}
_MANY = 5_000  # ignored files below a package; more is data, not something that an install built


def built_files(top: Path, folders: Sequence[str]) -> tuple[str, ...]:
    """What an install built beside the sources, and git ignores, relative to `top`.

    Extensions in any package, and modules in packages below `folders`, from which the environment imports.
    """
    if not (top / ".git").exists():
        return ()
    listed = Git(top).run("ls-files", "-o", "-i", "--exclude-standard", "--directory", "-z", check=False)
    if not listed.ok:
        return ()
    found: list[str] = []
    for raw in listed.stdout.split(b"\0"):
        path = os.fsdecode(raw)
        if not path or NOT_OURS & set(PurePosixPath(path).parts):
            continue
        packaged = (top / path).parent.joinpath("__init__.py").is_file()
        mapped = any(folder == "." or path.startswith(f"{folder}/") for folder in folders)
        if path.endswith("/"):
            found += _below(top, top / path) if packaged and mapped else []
        elif _EXTENSION.search(path):
            found += [path] if packaged or mapped else []
        elif path.endswith(".py") and mapped and (packaged or path.endswith("version.py")):
            found.append(path)
    return tuple(sorted(found))[:_MANY]


def _below(top: Path, folder: Path) -> list[str]:
    """Modules and extensions of a folder inside a package, all of which git ignores."""
    files = (p for p in folder.rglob("*") if p.is_file() and not NOT_OURS & set(p.relative_to(folder).parts))
    return [p.relative_to(top).as_posix() for p in files if p.suffix == ".py" or _EXTENSION.search(p.name)]


def is_native(path: str) -> bool:
    """Whether compiled extensions are made from a file of this name."""
    return bool(_NATIVE.search(path))


def is_extension(path: str) -> bool:
    """Whether a file of this name is a compiled extension."""
    return bool(_EXTENSION.search(path))


def copy_built(env: Environment, tree: Path) -> None:
    """Give `tree` what an install built in the original checkout, where it has no such file."""
    if tree.resolve() == env.top:
        return
    for path in env.built:
        target = tree / path
        if not target.exists() and _within(target.parent, tree):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(env.top / path, target)


def adopt_variables(top: Path, checks: Iterable[Check]) -> None:
    """Make the variables that checks list ours to hand on, from `.env` where they are not set, and mask their values.

    `.env` is read outside CI alone, and for listed names alone: what a clone says of itself chooses nothing else.
    """
    names = {name for check in checks for name in check.env}
    if names and os.environ.get("CI", "").lower() not in {"true", "1"}:
        for name, value in _dotenv(text_of(top / ".env")):
            if name in names and name not in os.environ:
                os.environ[name] = _adopted[name] = value
    conceal(names)


def given() -> dict[str, str]:
    """Our environment as whoever started us gave it, without what `.env` added."""
    return {name: value for name, value in os.environ.items() if _adopted.get(name) != value}


def _dotenv(text: str) -> Iterator[tuple[str, str]]:
    """`NAME=value` lines; a leading `export` and quotes round the value are taken off, nothing is expanded."""
    for line in text.splitlines():
        name, found, value = line.strip().removeprefix("export ").partition("=")
        if found and name.strip().isidentifier():
            value = value.strip()
            quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
            yield name.strip(), value[1:-1] if quoted else value


def copy_included(top: Path, check: Check, tree: Path) -> None:
    """Copy the files that `check.include` and the tree's .worktreeinclude name from the checkout `top`, where `tree` has none.

    The values in those that are secrets by their name are masked in every output from now on.

    Raises:
        ConfigError: a pattern, or a link that it finds, leads out of the checkout.
    """
    if tree.resolve() == top:
        return
    for pattern in (*check.include, *listed_in(text_of(tree / ".worktreeinclude"))):
        for path in _matches(top, pattern):
            rel = path.relative_to(top)
            if is_secret_path(rel.as_posix()):
                conceal_values(secret_words(text_of(path)))
            target = tree / rel
            if not target.exists() and _within(target.parent, tree):
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target)


def listed_in(text: str) -> list[str]:
    """The patterns of a .worktreeinclude."""
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def secret_words(text: str) -> list[str]:
    """The values in a file of secrets that are such: those whose name says so, and words that look random."""
    found = [v for name, v in _dotenv(text) if names_a_secret(name) or _looks_random(v)]
    found += [m[2] for m in _PAIR.finditer(text) if names_a_secret(m[1]) or _looks_random(m[2])]
    found += [word for line in text.splitlines() if _looks_random(word := line.strip())]
    return list(dict.fromkeys(found))


def _looks_random(word: str) -> bool:
    """Sixteen characters or more without a space, letters and digits mixed, few of them repeated."""
    mixed = any(c.isdigit() for c in word) and any(c.isalpha() for c in word)
    return len(word) >= 16 and " " not in word and mixed and len(set(word)) >= min(12, len(word) // 2)


def _matches(top: Path, pattern: str) -> Iterator[Path]:
    clean = pattern.strip("/")
    if not clean or ".." in Path(clean).parts or ".git" in Path(clean).parts:
        raise ConfigError(f"include {pattern!r} leads out of the repository's files", remedy="name paths below its top")
    try:
        matches = sorted(top.glob(clean))
    except ValueError as error:
        raise ConfigError(
            f"include {pattern!r} is no pattern: {error}", remedy="`**` stands alone between slashes"
        ) from error
    for match in matches:
        files = sorted(p for p in match.rglob("*") if p.is_file()) if match.is_dir() else [match]
        for file in files:
            if {".git", ".zwarm"} & set(file.relative_to(top).parts):
                continue
            if not _within(file, top):
                raise ConfigError(
                    f"include {pattern!r}: {file.relative_to(top)} links out of the repository",
                    remedy="name real files",
                )
            if file.is_file():
                yield file


def _within(path: Path, folder: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
