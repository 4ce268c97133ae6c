"""The Python packages of a repository that have tests of their own: one check each, unless the top's settings collect them all."""

from __future__ import annotations

import fnmatch
import functools
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from zwarm_ci.detect import requirements
from zwarm_ci.detect.base import EnvOf, Tree, table

#: Folders whose packages are material of tests, documents or generators, not packages of the repository.
_MATERIAL = frozenset(
    "tests test testing testdata test_data fixtures data docs doc examples example samples templates benchmarks".split()
)
#: A repository's own program that runs its tests.
SCRIPTS = ("runtests.py", "run_tests.py", "runtest.py")
_PYTEST = re.compile(r"^[^\S\n]*(import|from) pytest\b", re.MULTILINE)
_UNITTEST = re.compile(r"^[^\S\n]*(import|from) unittest\b|^[^\S\n]*from django\.test\b", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Package:
    """A folder whose tests are a check.

    Attributes:
        folder: relative to the tree's top; "." = the top.
        arguments: what to collect, relative to `folder`; empty = everything below it.
        files: its test files, absolute.
        top: the tree's top.
    """

    folder: str
    arguments: tuple[str, ...]
    files: tuple[Path, ...]
    top: Path

    @property
    def name(self) -> str:
        """The check's name: `tests` at the top, else with the folder."""
        return "tests" if self.folder == "." else f"tests-{re.sub(r'[^A-Za-z0-9_.]+', '-', self.folder)}"

    @property
    def first(self) -> str:
        """Its first test file, relative to the top; "" = none."""
        return self.files[0].relative_to(self.top).as_posix() if self.files else ""

    @property
    def uses_unittest(self) -> bool:
        """Whether its tests are unittest's: some file uses that, and none pytest."""
        texts = [p.read_text(encoding="utf-8", errors="replace") for p in self.files]
        return any(map(_UNITTEST.search, texts)) and not any(map(_PYTEST.search, texts))


def find(tree: Tree, env_of: EnvOf) -> list[Package]:
    """The packages with tests, the top first. One for all where the settings of the top collect what the others have."""
    by_folder = _by_folder(tree)
    at_top = by_folder.pop(".", [])
    where, _ = requirements.pytest_settings(tree)
    inner = [f for f in by_folder if not (where and _covered(tree, f) and _same_python(env_of, f))]
    files = [*at_top, *(p for f, of in by_folder.items() if f not in inner for p in of)]
    found = []
    if files or ((where or tree.has(*SCRIPTS)) and not inner):
        found.append(Package(".", _arguments(tree, files, inner), tuple(files), tree.top))
    for folder in inner:
        below = [f.removeprefix(f"{folder}/") for f in inner if f.startswith(f"{folder}/")]
        arguments = _arguments(tree.at(folder), by_folder[folder], below)
        found.append(Package(folder, arguments, tuple(by_folder[folder]), tree.top))
    return found


def _by_folder(tree: Tree) -> dict[str, list[Path]]:
    """Test files by the package that they lie in, the top's first."""

    @functools.cache
    def package_of(folder: Path) -> str:
        if folder == tree.top:
            return "."
        rel = folder.relative_to(tree.top)
        material = any(part in _MATERIAL or "{" in part for part in rel.parts)
        return rel.as_posix() if not material and _is_package(Tree(folder)) else package_of(folder.parent)

    found: dict[str, list[Path]] = {".": []}
    for file in tree.test_files():
        found.setdefault(package_of(file.parent), []).append(file)
    return dict(sorted(found.items(), key=lambda pair: (pair[0] != ".", pair[0])))


def _is_package(tree: Tree) -> bool:
    """Whether a folder is something that is installed, or that pytest is told about."""
    if tree.has("setup.py"):
        return True
    data = tree.toml
    return (
        "project" in data
        or "build-system" in data
        or "poetry" in table(data, "tool")
        or bool(requirements.pytest_settings(tree)[0])
    )


def _covered(tree: Tree, folder: str) -> bool:
    """Whether pytest, started at the top, collects a package's tests by the top's settings, which are then the only ones that count."""
    if requirements.pytest_settings(tree.at(folder))[0]:
        return False
    paths = testpaths(tree)
    return not paths or any(_leads_to(path, folder) for path in paths)


def testpaths(tree: Tree) -> list[str]:
    """`testpaths` of a folder's pytest settings."""
    found = re.search(r"^testpaths\s*=\s*(.*(?:\n[ \t]+.*)*)", requirements.pytest_settings(tree)[1], re.MULTILINE)
    try:
        return [str(PurePosixPath(p)) for p in shlex.split(found[1])] if found else []
    except ValueError:
        return []


def _leads_to(path: str, folder: str) -> bool:
    """Whether a path of `testpaths`, wildcards included, is `folder`, holds it, or lies in it."""
    ours, theirs = PurePosixPath(folder).parts, PurePosixPath(path).parts
    shared = min(len(ours), len(theirs))
    return path == "." or all(fnmatch.fnmatchcase(a, b) for a, b in zip(ours[:shared], theirs[:shared], strict=True))


def _same_python(env_of: EnvOf, folder: str) -> bool:
    return env_of(folder).python == env_of(".").python


def _arguments(tree: Tree, files: Iterable[Path], below: Sequence[str]) -> tuple[str, ...]:
    """What a package's own check is told to collect where packages with their own checks lie below it."""
    if not below or testpaths(tree):
        return ()
    tops = {file.relative_to(tree.top).parts[0] for file in files}
    held = {PurePosixPath(b).parts[0] for b in below}
    deep = [f for f in files if f.relative_to(tree.top).parts[0] in held]
    names = (tops - held) | {f.relative_to(tree.top).as_posix() for f in deep}
    return tuple(sorted(names))
