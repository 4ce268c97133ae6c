"""Who installs the packages of npm's family, cargo and Go, by lock file and `packageManager`."""

from __future__ import annotations

import re
import shutil
from pathlib import PurePosixPath

from zwarm_ci.detect.base import Tree
from zwarm_ci.detect.managers import Manager
from zwarm_ci.detect.workspaces import Package, packages, workspace_globs

#: Lock file -> who writes it, in the order in which they are believed where several lie there.
_LOCKS = {
    "pnpm-lock.yaml": "pnpm",
    "yarn.lock": "yarn",
    "bun.lock": "bun",
    "bun.lockb": "bun",
    "package-lock.json": "npm",
    "npm-shrinkwrap.json": "npm",
}
_SETTINGS = (
    ".npmrc",
    ".yarnrc.yml",
    ".yarnrc",
    "pnpm-workspace.yaml",
    ".pnpmfile.cjs",
    "bunfig.toml",
    ".nvmrc",
    ".node-version",
)
_NAMED = re.compile(r"^(npm|pnpm|yarn|bun)@(\d+)")


def of(tree: Tree, workdir: str) -> Manager | None:
    """What installs the JavaScript packages of a folder: the lock file beside it or, in a workspace, at the workspace's root.

    None where no package.json is there.
    """
    root = _root(tree, workdir)
    if root is None:
        return None
    here = tree.at(root)
    lock = here.has(*_LOCKS)
    named = _NAMED.match(str(here.package.get("packageManager") or ""))
    name = named[1] if named else _LOCKS.get(lock, "npm")
    if named:
        lock = next((file for file, owner in _LOCKS.items() if owner == name and here.has(file)), "")
    members = [p.folder for p in packages(here) if p.family == "npm" and (p.member or p.folder == ".")]
    manifests = [_below(folder, "package.json") for folder in members]
    files = [file for file in (lock, *manifests, *_SETTINGS) if file and here.has(file)]
    why = f'packageManager "{named[0]}"' if named else lock or "package.json, no lock file"
    missing = "" if shutil.which(name) else f"; {name} is not installed here"
    return Manager(
        name,
        root,
        _below(root, lock) if lock else "",
        tuple(dict.fromkeys(_below(root, file) for file in files)),
        "" if missing else _install(name, lock, here, int(named[2]) if named else 0),
        why + missing,
    )


def _install(name: str, lock: str, here: Tree, major: int) -> str:
    if name == "npm":
        return "npm ci" if lock else "npm install --no-package-lock"
    if name == "yarn" and is_berry(here, major):
        return "yarn install --immutable"
    return f"{name} install --frozen-lockfile" if lock else f"{name} install"


def is_berry(here: Tree, major: int = 0) -> bool:
    """Whether a folder's Yarn is one of 2 and later."""
    return major > 1 or bool(here.has(".yarnrc.yml")) or "__metadata:" in here.text("yarn.lock")[:2000]


def uses_pnp(here: Tree) -> bool:
    """Whether Yarn installs without node_modules (Plug'n'Play), its default from 2 on."""
    if not is_berry(here):
        return False
    linker = re.search(r"^nodeLinker:\s*[\"']?([\w-]+)", here.text(".yarnrc.yml"), re.MULTILINE)
    return linker is None or linker[1] == "pnp"


def _root(tree: Tree, workdir: str) -> str | None:
    """The folder that is installed as one: the workspace that has `workdir` as a package, else `workdir` itself."""
    folder = PurePosixPath(workdir)
    for above in (folder, *folder.parents):
        here = tree.at(str(above))
        inner = str(folder.relative_to(above))
        if workspace_globs(here) and (inner == "." or _has_member(here, inner)):
            return str(above)
    return str(folder) if tree.at(str(folder)).has("package.json") else None


def _has_member(here: Tree, folder: str) -> bool:
    return any(p.folder == folder and p.member for p in packages(here) if p.family == "npm")


def _below(folder: str, name: str) -> str:
    return name if folder == "." else f"{folder}/{name}"


def cargo(tree: Tree, package: Package) -> Manager:
    """What fetches the crates of a package or workspace."""
    root = package.folder
    lock = tree.at(root).has("Cargo.lock")
    names = [_below(p.folder, "Cargo.toml") for p in packages(tree.at(root)) if p.family == "cargo"]
    files = tuple(_below(root, name) for name in (*filter(None, [lock]), *names))
    install = ("cargo fetch --locked" if lock else "cargo fetch") if shutil.which("cargo") else ""
    why = lock or "Cargo.toml, no lock file"
    return Manager(
        "cargo",
        root,
        _below(root, lock) if lock else "",
        files,
        install,
        why if install else f"{why}; cargo is not installed here",
    )


def go(tree: Tree, package: Package) -> Manager:
    """What downloads the modules that a module needs. None are needed where they are vendored."""
    here = tree.at(package.folder)
    lock = here.has("go.sum")
    files = tuple(_below(package.folder, name) for name in ("go.mod", "go.sum") if here.has(name))
    install = "go mod download" if shutil.which("go") else ""
    why = "go.mod" if install else "go.mod; go is not installed here"
    return Manager("go", package.folder, _below(package.folder, lock) if lock else "", files, install, why)
