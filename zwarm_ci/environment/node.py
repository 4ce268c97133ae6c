"""node_modules of the original checkout in a worktree, links of a workspace to its own packages leading to the worktree's.

Other people's packages are linked, not copied: Node follows the link, and they find each other where they were installed. Those
that load a package of the workspace (plugins that have it as a peer) would find the original's there, so these few are copied.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from zwarm_ci.environment.base import NOT_OURS, Environment, text_of
from zwarm_ci.git import Git

_STORES = frozenset(
    {".pnpm", ".bun"}
)  # where pnpm and bun keep packages, each in a folder of its own with its dependencies
_STATE = (".yarn/install-state.gz",)  # without it Yarn runs nothing, though all is installed
_NEEDED_BY = ("dependencies", "peerDependencies", "optionalDependencies")


def link_dependencies(env: Environment, tree: Path) -> None:
    """Give each folder of `tree` that has a package.json the original's node_modules, where it has none of its own.

    A real folder with links inside, not one link: `node_modules/` in .gitignore matches a folder only, and caches that tools
    write there stay out of the original.
    """
    if tree.resolve() == env.top or not env.dependencies:
        return
    plan = _plan(env.top, env.dependencies)
    for folder in env.dependencies:
        target = tree / folder / "node_modules"
        if (target.parent / "package.json").is_file() and not target.exists():
            _mirror(plan, env.top / folder / "node_modules", target)
    for name in _STATE:
        if (env.top / name).is_file() and not (tree / name).exists():
            (tree / name).parent.mkdir(exist_ok=True)
            shutil.copy2(env.top / name, tree / name)


def dependency_folders(top: Path) -> tuple[str, ...]:
    """Folders of `top`, relative to it, that have a package.json and a node_modules beside it."""
    tracked = (top / ".git").exists()
    listed = Git(top).paths("ls-files", "-z", "--", "package.json", "*/package.json") if tracked else _walked(top)
    folders = (PurePosixPath(path).parent.as_posix() for path in listed)
    return tuple(sorted(f for f in folders if (top / f / "node_modules").is_dir()))


def _walked(top: Path) -> Iterator[str]:
    for root, folders, files in os.walk(top):
        folders[:] = [f for f in folders if f not in NOT_OURS]
        if "package.json" in files:
            yield (Path(root) / "package.json").relative_to(top).as_posix()


@dataclass(frozen=True, slots=True)
class _Plan:
    """How a checkout's node_modules are mirrored; `copied` are the folders that load the workspace's own packages."""

    top: Path
    copied: frozenset[Path]

    def is_own(self, link: Path) -> bool:
        """Whether a link leads to a package of the workspace."""
        real = Path(os.path.realpath(link))
        return real.is_relative_to(self.top) and "node_modules" not in real.relative_to(self.top).parts


@functools.lru_cache(maxsize=8)
def _plan(top: Path, folders: tuple[str, ...]) -> _Plan:
    """What must be copied; found once a run, since nothing installs into the checkout meanwhile."""
    plan = _Plan(top, frozenset())
    places = [top / folder / "node_modules" for folder in folders]
    stores = [place / name for place in places for name in _STORES if (place / name).is_dir()]
    packages = {path: name for place in places for name, path in _entries(place)}
    own = {name for path, name in packages.items() if path.is_symlink() and plan.is_own(path)}
    if not own and not stores:
        return plan
    needs = {path: _wanted(path) for path in packages if not path.is_symlink() and path.is_dir()} if own else {}
    copied = _closure({path: (packages[path], wanted) for path, wanted in needs.items()}, own)
    for store in stores:
        inner = {place: dict(_entries(place / "node_modules")) for place in store.iterdir() if place.is_dir()}
        direct = {p for p, found in inner.items() if any(e.is_symlink() and plan.is_own(e) for e in found.values())}
        links = {p: (p.name, {_store_name(e) for e in found.values() if e.is_symlink()}) for p, found in inner.items()}
        copied |= direct | _closure(links, {p.name for p in direct})
    return _Plan(top, frozenset(copied))


def _closure(needs: Mapping[Path, tuple[str, set[str]]], names: set[str]) -> set[Path]:
    """The folders that need one of `names`, or one of the folders that do; `needs` gives each one's own name and what it needs."""
    found: set[Path] = set()
    known = set(names)
    while fresh := {path for path, (_, wanted) in needs.items() if path not in found and wanted & known}:
        found |= fresh
        known |= {needs[path][0] for path in fresh}
    return found


def _entries(place: Path) -> Iterator[tuple[str, Path]]:
    """Packages in a node_modules by name, scopes included."""
    for entry in sorted(place.iterdir()) if place.is_dir() else ():
        if entry.name.startswith("@") and not entry.is_symlink() and entry.is_dir():
            yield from ((f"{entry.name}/{inner.name}", inner) for inner in sorted(entry.iterdir()))
        elif not entry.name.startswith("."):
            yield entry.name, entry


def _wanted(package: Path) -> set[str]:
    """Names of the packages that a package loads, those nested in it included."""
    wanted: set[str] = set()
    try:
        said = json.loads(text_of(package / "package.json"))
        for key in _NEEDED_BY:
            wanted |= set(said.get(key) or ())
    except (ValueError, TypeError, AttributeError, RecursionError):
        pass
    for _, nested in _entries(package / "node_modules"):
        wanted |= set() if nested.is_symlink() else _wanted(nested)
    return wanted


def _store_name(link: Path) -> str:
    """The folder of the store that a link in it leads to: `../../NAME/node_modules/package`, one more `..` in a scope."""
    parts = [part for part in link.readlink().parts if part != ".."]
    return parts[0] if parts else ""


def _mirror(plan: _Plan, source: Path, target: Path) -> None:
    target.mkdir()
    with os.scandir(source) as entries:
        for entry in entries:
            _mirror_entry(
                plan, Path(entry.path), target / entry.name, is_link=entry.is_symlink(), is_folder=entry.is_dir()
            )


def _mirror_entry(plan: _Plan, entry: Path, target: Path, *, is_link: bool, is_folder: bool) -> None:
    if is_link:
        _relink(plan, entry, target)
    elif not is_folder:
        shutil.copy2(entry, target)  # what package managers note down, and the scripts of .bin
    elif entry.name in _STORES or entry.name.startswith("@") or entry.name == ".bin":
        _mirror(plan, entry, target)
    elif entry in plan.copied:
        shutil.copytree(entry, target, symlinks=True)
    elif not entry.name.startswith("."):  # caches stay behind
        target.symlink_to(entry)


def _relink(plan: _Plan, link: Path, target: Path) -> None:
    """The same link, where it is relative and stays in the checkout: it then leads to the same place of the worktree."""
    text = link.readlink()
    real = Path(os.path.realpath(link))
    if not text.is_absolute() and real.is_relative_to(plan.top):
        target.symlink_to(text)
    elif plan.is_own(link):
        target.symlink_to(os.path.relpath(real, link.parent))
    else:
        target.symlink_to(real)


def copies_of_own(top: Path, folders: Iterable[str], names: Mapping[str, str]) -> tuple[str, ...]:
    """Packages of the workspace (name -> folder) that are installed as copies: no change of theirs is seen by the others."""
    places = [top / folder / "node_modules" for folder in folders]

    def is_copy(installed: Path) -> bool:
        real = Path(os.path.realpath(installed))
        return installed.exists() and real.is_relative_to(top) and "node_modules" in real.relative_to(top).parts

    return tuple(f"{name} ({folder})" for name, folder in names.items() if any(is_copy(p / name) for p in places))
