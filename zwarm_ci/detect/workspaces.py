"""The packages of a repository: npm's family, cargo, Go and uv workspaces, and packages that merely lie side by side."""

from __future__ import annotations

import fnmatch
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from zwarm_ci.detect.base import NOT_SOURCES, Tree, table

Family = Literal["npm", "cargo", "go", "python"]
_MANIFESTS: dict[str, Family] = {
    "package.json": "npm",
    "Cargo.toml": "cargo",
    "go.mod": "go",
    "pyproject.toml": "python",
}
_NPM_NEEDS = ("dependencies", "devDependencies", "peerDependencies", "optionalDependencies")
_CARGO_NEEDS = ("dependencies", "dev-dependencies", "build-dependencies")
#: Folders whose packages are samples or material of tests, not packages of the repository.
_SAMPLES = frozenset(
    "example examples sample samples fixtures __fixtures__ testdata template templates playground demo demos test tests".split()
)
_REQUIREMENT = re.compile(r"^\s*([A-Za-z0-9][\w.-]*)")
_MOST = 2_000  # packages


@dataclass(frozen=True, slots=True)
class Package:
    """One package.

    Attributes:
        family: whose manifest it has.
        name: as others name it in their manifests.
        folder: relative to the tree's top; "." = the top.
        needs: names of all that its manifest names as a dependency, packages of the repository or not.
        member: it belongs to a workspace whose root is above it (or is that root).
        scripts: of a package.json, by name.
    """

    family: Family
    name: str
    folder: str
    needs: frozenset[str] = frozenset()
    member: bool = False
    scripts: Mapping[str, str] = field(default_factory=dict, compare=False)


def slug(folder: str) -> str:
    """A folder as the tail of a check's name: `packages/x` is `packages-x`."""
    return re.sub(r"[^\w.@+]+", "-", folder).strip("-")


def packages(tree: Tree) -> tuple[Package, ...]:
    """Every package of the tree, the one at the top first; packages that cannot be read have no name and need nothing."""
    found = list(_manifests(tree.top))
    members = {
        "npm": _npm_members(tree, found),
        "cargo": _cargo_members(tree, found),
        "go": _go_members(tree),
        "python": _uv_members(tree),
    }
    made = (
        _READ[_MANIFESTS[name]](tree, folder, folder in members[_MANIFESTS[name]]) for name, folder in found[:_MOST]
    )
    kept = (p for p in made if p.member or not _is_sample(p.folder))
    return tuple(sorted(kept, key=lambda p: (p.folder != ".", p.folder, p.family)))


def _manifests(top: Path) -> Iterator[tuple[str, str]]:
    for root, folders, files in os.walk(top):
        folders[:] = sorted(f for f in folders if f not in NOT_SOURCES and not f.startswith("."))
        folder = PurePosixPath(os.path.relpath(root, top)).as_posix()
        yield from ((name, folder) for name in _MANIFESTS if name in files)


def _is_sample(folder: str) -> bool:
    return bool(_SAMPLES & set(PurePosixPath(folder).parts))


def _matching(folders: Iterable[str], patterns: Iterable[str], base: str = ".") -> set[str]:
    """Those of `folders` that workspace globs name; `**` spans folders, `!` takes away, as npm and pnpm have it."""
    kept: set[str] = set()
    known = list(folders)
    for raw in patterns:
        pattern = os.path.normpath(raw.removeprefix("!").removeprefix("./").rstrip("/"))
        hits = {f for f in known if f != base and _matches(os.path.relpath(f, base), pattern)}
        kept = kept - hits if raw.startswith("!") else kept | hits
    return kept


def _matches(folder: str, pattern: str) -> bool:
    parts, wanted = folder.split("/"), pattern.split("/")
    return _parts_match(parts, wanted)


def _parts_match(parts: list[str], wanted: list[str]) -> bool:
    if not wanted:
        return not parts
    if wanted[0] == "**":
        return any(_parts_match(parts[n:], wanted[1:]) for n in range(len(parts) + 1))
    braces = _braces(wanted[0])
    return bool(parts) and any(fnmatch.fnmatchcase(parts[0], w) for w in braces) and _parts_match(parts[1:], wanted[1:])


def _braces(word: str) -> list[str]:
    found = re.fullmatch(r"(.*)\{([^{}]*)\}(.*)", word)
    return [f"{found[1]}{part}{found[3]}" for part in found[2].split(",")] if found else [word]


def workspace_globs(tree: Tree) -> list[str]:
    """What the manifest at the top of `tree` says of its workspace's packages; empty = it is no workspace of npm's family."""
    if text := tree.text("pnpm-workspace.yaml"):
        return _texts(_yaml(text).get("packages"))
    named = tree.package.get("workspaces")
    named = named.get("packages") if isinstance(named, dict) else named
    if named is None and tree.has("lerna.json"):
        named = _json(tree.text("lerna.json")).get("packages", ["packages/*"])
    return _texts(named)


def _npm_members(tree: Tree, found: list[tuple[str, str]]) -> set[str]:
    folders = [folder for name, folder in found if name == "package.json"]
    globs = workspace_globs(tree)
    return {".", *_matching(folders, globs)} if globs else set()


def _cargo_members(tree: Tree, found: list[tuple[str, str]]) -> set[str]:
    """Members of every cargo workspace: what lies below its root and is not excluded, for cargo refuses anything else there."""
    folders = [folder for name, folder in found if name == "Cargo.toml"]
    members: set[str] = set()
    for root in folders:
        workspace = tree.at(root).toml_of("Cargo.toml").get("workspace")
        if isinstance(workspace, dict):
            out = [os.path.normpath(PurePosixPath(root, path)) for path in _texts(workspace.get("exclude"))]
            below = (f for f in folders if root in (".", f) or f.startswith(f"{root}/"))
            members |= {f for f in below if not any(f == o or f.startswith(f"{o}/") for o in out)}
    return members


def _go_members(tree: Tree) -> set[str]:
    used = re.findall(r"^[^\S\n]*(?:use\s+)?(\.{1,2}(?:/\S*)?)\s*$", tree.text("go.work"), re.MULTILINE)
    return {os.path.normpath(path) for path in used}


def _uv_members(tree: Tree) -> set[str]:
    workspace = table(tree.pyproject, "uv", "workspace")
    folders = [folder for name, folder in _manifests(tree.top) if name == "pyproject.toml"] if workspace else []
    globs = [*_texts(workspace.get("members")), *(f"!{p}" for p in _texts(workspace.get("exclude")))]
    return {".", *_matching(folders, globs)} if workspace else set()


def _npm(tree: Tree, folder: str, member: bool) -> Package:
    said = tree.at(folder).package
    needs = (name for key in _NPM_NEEDS for name in table(said, key))
    implicit = _texts(table(said, "nx").get("implicitDependencies"))
    project = _json(tree.at(folder).text("project.json"))
    implicit += _texts(project.get("implicitDependencies"))
    scripts = {str(name): str(text) for name, text in table(said, "scripts").items()}
    return Package("npm", str(said.get("name") or ""), folder, frozenset((*needs, *implicit)), member, scripts)


def _cargo(tree: Tree, folder: str, member: bool) -> Package:
    said = tree.at(folder).toml_of("Cargo.toml")
    tables = [table(said, key) for key in _CARGO_NEEDS]
    tables += [
        table(target, key)
        for target in table(said, "target").values()
        if isinstance(target, dict)
        for key in _CARGO_NEEDS
    ]
    above = (PurePosixPath(folder), *PurePosixPath(folder).parents)
    roots = (table(tree.at(str(place)).toml_of("Cargo.toml"), "workspace", "dependencies") for place in above)
    shared = next((found for found in roots if found), {})
    needs = {_renamed(name, value, shared) for one in tables for name, value in one.items()}
    return Package("cargo", str(table(said, "package").get("name") or ""), folder, frozenset(needs), member)


def _renamed(name: str, value: object, shared: Mapping[str, Any]) -> str:
    """The real name of a dependency: `alias = { package = "name" }`, in the workspace's table too."""
    given = (told for told in (value, shared.get(name)) if isinstance(told, dict) and "package" in told)
    return str(next((told["package"] for told in given), name))


def _go(tree: Tree, folder: str, member: bool) -> Package:
    text = re.sub(r"//.*", "", tree.at(folder).text("go.mod"))
    module = re.search(r"^module\s+(\S+)", text, re.MULTILINE)
    blocks = re.findall(r"^require\s*\(([^)]*)\)", text, re.MULTILINE)
    lines = [
        *re.findall(r"^require\s+([^\s(]+)", text, re.MULTILINE),
        *(line.split()[0] for b in blocks for line in b.splitlines() if line.split()),
    ]
    return Package("go", module[1].strip('"') if module else "", folder, frozenset(lines), member)


def _python(tree: Tree, folder: str, member: bool) -> Package:
    here = tree.at(folder)
    project = table(here.toml, "project")
    poetry = table(here.pyproject, "poetry")
    listed = [_texts(project.get("dependencies"))]
    listed += [_texts(v) for v in table(project, "optional-dependencies").values()]
    listed += [_texts(v) for v in table(here.toml, "dependency-groups").values()]
    needs = {_normal(found[1]) for texts in listed for text in texts if (found := _REQUIREMENT.match(text))}
    groups = [poetry, *(g for g in table(poetry, "group").values() if isinstance(g, dict))]
    needs |= {_normal(n) for g in groups for key in ("dependencies", "dev-dependencies") for n in table(g, key)}
    needs |= {_normal(n) for n in table(here.pyproject, "uv", "sources")}
    name = str(project.get("name") or poetry.get("name") or "")
    return Package("python", _normal(name), folder, frozenset(needs), member)


def _normal(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


_READ = {"npm": _npm, "cargo": _cargo, "go": _go, "python": _python}


def _texts(value: object) -> list[str]:
    return [v for v in value if isinstance(v, str)] if isinstance(value, list) else []


def _json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _yaml(text: str) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}
