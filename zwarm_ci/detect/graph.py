"""The gate: which checks a change can reach, by the packages' manifests and what their sources import. In doubt all of them.

Nothing of the repository is run: manifests name dependencies for npm's family, cargo, Go and uv alike, and what they leave out
(imports by a relative path or by an alias) stands in the sources.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from zwarm_ci.detect.base import NOT_SOURCES, Tree
from zwarm_ci.detect.workspaces import Package, packages
from zwarm_ci.task import Check

#: Files that decide what is installed or how everything is built, wherever they lie.
_MANIFEST = re.compile(
    r"^(package\.json|project\.json|Cargo\.toml|go\.(mod|sum|work)|pyproject\.toml|setup\.(py|cfg)|BUILD(\.bazel)?|.*\.bzl|.*\.lock|"
    r".*-lock\.(json|yaml)|\.npmrc|conftest\.py)$"
)
_SOURCE = {
    "npm": re.compile(r"\.(?:[cm]?[jt]sx?|vue|svelte)$"),
    "cargo": re.compile(r"\.rs$|^Cargo\.toml$"),
    "python": re.compile(r"\.pyi?$"),
    "go": re.compile(r"\.go$"),
}
#: A path in quotes that leaves its folder, and a name in quotes after something that loads a module.
_PATH = re.compile(r"""["'`]((?:\./)*\.\./[^"'`\n]{0,300}|\./[^"'`\n]{0,300}/\.\./[^"'`\n]{0,300})["'`]""")
_NAME = re.compile(
    r"""\b(?:from|import|require(?:\.resolve|\.requireActual)?|mock|requireActual|resolve)\s*\(?\s*["'`]([^"'`.\n][^"'`\n]{0,300})["'`]"""
)
_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_IMPORTS = re.compile(
    r"^[^\S\n]*(?:from\s+([A-Za-z_]\w*)|import\s+([A-Za-z_]\w*(?:\s*,\s*[A-Za-z_]\w*)*))", re.MULTILINE
)
_MOST_FILES = 20_000  # read for imports; a larger repository is asked whole
_MOST_BYTES = 1024 * 1024  # of one file; a larger one is generated


def gate(tree: Path, checks: Sequence[Check], changed: Iterable[str]) -> frozenset[str] | None:
    """Names of the checks that must run after `changed` paths (relative to the top) were edited; None = all of them.

    `tree` holds the changed files as they are now. A check of the top, and one whose folder is no package, always runs.
    """
    found = packages(Tree(tree))
    if len([p for p in found if p.folder != "."]) < 2 or all(c.workdir == "." for c in checks):
        return None
    owners = [_owners(path, found) for path in changed]
    if not owners or not all(owners):
        return None
    reached = dependents({p for some in owners for p in some}, found, tree)
    if reached is None:
        return None
    folders = {p.folder for p in reached}
    known = {p.folder for p in found if p.folder != "."}
    return frozenset(
        c.name for c in checks if not _apart(c, known) or any(_within(f, c) or _holds(f, c) for f in folders)
    )


def dependents(changed: set[Package], found: Sequence[Package], tree: Path) -> set[Package] | None:
    """`changed` and all that depend on them, however far; None where that cannot be told."""
    needs = _edges(found, tree)
    if needs is None:
        return None
    reached = set(changed)
    while more := {p for p in found if p not in reached and needs[p] & reached}:
        reached |= more
    return reached


def _owners(path: str, found: Sequence[Package]) -> list[Package]:
    """The packages that a file belongs to, nested ones and those round them; none where it may matter to all."""
    pure = PurePosixPath(os.path.normpath(path))
    if _MANIFEST.match(pure.name) or pure.is_absolute() or ".." in pure.parts:
        return []
    return [p for p in found if p.folder != "." and pure.is_relative_to(p.folder)]


def _within(folder: str, check: Check) -> bool:
    return folder == check.workdir or folder.startswith(f"{check.workdir}/")


def _holds(folder: str, check: Check) -> bool:
    return check.workdir.startswith(f"{folder}/")


def _apart(check: Check, known: set[str]) -> bool:
    """Whether a check is one package's alone."""
    return os.path.normpath(check.workdir) in known


@dataclass(frozen=True, slots=True)
class _Names:
    """What a source can call another package by: its name, a module of it, an alias of tsconfig.json, a path into it."""

    found: Sequence[Package]
    names: Mapping[str, list[Package]]
    modules: Mapping[str, list[Package]]
    aliases: Mapping[str, list[Package]]

    @classmethod
    def of(cls, found: Sequence[Package], tree: Path) -> _Names:
        made = cls(found, {}, {}, {})
        names: dict[str, list[Package]] = {}
        modules: dict[str, list[Package]] = {}
        aliases: dict[str, list[Package]] = {}
        for package in found:
            if package.name:
                names.setdefault(package.name, []).append(package)
            for module in _modules(tree / package.folder) if package.family == "python" else ():
                modules.setdefault(module, []).append(package)
        for folder in (".", *(p.folder for p in found if p.family == "npm" and p.folder != ".")):
            for alias, target in _paths_of(tree / folder):
                aliases.setdefault(alias, []).extend(made.at(os.path.relpath(target, tree)))
        return cls(found, names, modules, aliases)

    def at(self, path: str) -> Iterator[Package]:
        """The packages that a path, relative to the top, lies in."""
        target = PurePosixPath(path.replace(os.sep, "/"))
        return (p for p in self.found if p.folder != "." and target.is_relative_to(p.folder))

    def in_source(self, file: Path, text: str, package: Package, tree: Path) -> Iterator[Package]:
        """The packages that a source names; a path counts from its own folder and from its package's."""
        for path in set(_PATH.findall(text)):
            for base in (file.parent, tree / package.folder):
                yield from self.at(os.path.relpath(os.path.normpath(base / path), tree))
        for name in set(_NAME.findall(text)):
            parts = name.split("/")
            yield from self.names.get("/".join(parts[:2]) if name.startswith("@") else parts[0], ())
            yield from (p for alias, some in self.aliases.items() if name.startswith(alias) for p in some)
        if package.family == "python":
            names = (n.strip() for a, b in _IMPORTS.findall(text) for n in (a or b).split(","))
            yield from (p for name in names for p in self.modules.get(name, ()))


def _edges(found: Sequence[Package], tree: Path) -> dict[Package, set[Package]] | None:
    """What each package needs of the others, by its manifest and its sources; None = too many sources to read."""
    known = _Names.of(found, tree)
    needs = {p: {other for name in p.needs for other in known.names.get(name, ())} for p in found}
    read = 0
    for package in (p for p in found if p.folder != "."):
        for file in _sources(tree / package.folder, package):
            read += 1
            if read > _MOST_FILES:
                return None
            with file.open("rb") as stream:
                text = stream.read(_MOST_BYTES).decode("utf-8", "replace")
            needs[package] |= set(known.in_source(file, text, package, tree))
    return needs


def _sources(folder: Path, package: Package) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = [f for f in folders if f not in NOT_SOURCES]
        yield from (Path(root, name) for name in files if _SOURCE[package.family].search(name))


def _paths_of(folder: Path) -> Iterator[tuple[str, Path]]:
    """Aliases of a folder's tsconfig files and what they lead to, the star left out on both sides."""
    for file in sorted(folder.glob("*config*.json")) if folder.is_dir() else ():
        text = _COMMENT.sub(lambda m: m[1] or "", file.read_text(encoding="utf-8", errors="replace"))
        try:
            options = json.loads(re.sub(r",(\s*[}\]])", r"\1", text)).get("compilerOptions") or {}
            base = folder / str(options.get("baseUrl") or ".")
            pairs = [(a, t) for a, targets in (options.get("paths") or {}).items() for t in targets]
        except (ValueError, TypeError, AttributeError, RecursionError):
            continue
        yield from (
            (alias.rstrip("*"), Path(os.path.normpath(base / str(target).rstrip("*")))) for alias, target in pairs
        )


def _modules(folder: Path) -> Iterator[str]:
    """Names that a Python package can be imported by."""
    for place in (folder, folder / "src", folder / "lib"):
        for entry in sorted(place.iterdir()) if place.is_dir() else ():
            if (
                entry.name.isidentifier()
                and entry.name not in ("src", "lib", "tests", "test", "docs")
                and entry.is_dir()
            ):
                yield entry.name
            elif entry.suffix == ".py" and entry.stem not in ("setup", "conftest", "noxfile"):
                yield entry.stem
