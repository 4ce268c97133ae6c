"""What an environment installs from the repository itself: editable installs of every form, and copies."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from zwarm_ci.environment.base import Interpreter, inside, text_of

_PACKAGE_FOLDERS = ("src", ".", "lib", "python")  # where packages of a project usually lie


def mapped_folders(top: Path, found: Interpreter) -> list[str]:
    """Folders under `top` that .pth lines and setuptools' finder hooks put on sys.path, in the order in which Python meets them."""
    folders: list[Path] = []
    for site in map(Path, found.sites):
        for file in sorted(site.glob("*.pth")):
            folders += [site / line for line in path_lines(text_of(file))]
        for file in sorted(site.glob("__editable___*_finder.py")):
            folders += finder_folders(text_of(file))
    kept = (inside(top, folder, (found.prefix,)) for folder in folders)
    return list(dict.fromkeys(rel for rel in kept if rel is not None))


def path_lines(text: str) -> list[str]:
    """The lines of a .pth file that are folders (site.py's rule: comments and `import` lines are not)."""
    return [line.rstrip() for line in text.splitlines() if is_path_line(line)]


def is_path_line(line: str) -> bool:
    """Whether a line of a .pth file is a folder."""
    return bool(line.strip()) and not line.startswith(("#", "import ", "import\t"))


def finder_folders(source: str) -> list[Path]:
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


def copies(top: Path, found: Interpreter) -> tuple[tuple[str, str], ...]:
    """Packages and modules installed from `top` other than editably: (name in site-packages, its source relative to `top`).

    Known by PEP 610's direct_url.json. A name whose source is not found is left out: then the copy is all there is.
    """
    made: dict[str, str] = {}
    for site in map(Path, found.sites):
        for file in sorted(site.glob("*.dist-info/direct_url.json")):
            folder = _installed_from(top, text_of(file))
            if folder is None:
                continue
            for name in _names_in(text_of(file.parent / "RECORD")):
                for where in _PACKAGE_FOLDERS:
                    source = (folder / where / name).resolve()
                    if source.exists() and source.is_relative_to(top) and _is_code(source):
                        made.setdefault(name, source.relative_to(top).as_posix())
                        break
    return tuple(made.items())


def extras(top: Path, found: Interpreter, packages: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """(name, path below it) of files that installed copies have and their sources in `top` have not; bytecode left out."""
    made = []
    for name, source in packages:
        copy = next((c for site in map(Path, found.sites) if (c := site / name).is_dir()), None)
        for file in sorted(copy.rglob("*")) if copy else ():
            rel = file.relative_to(copy or file)
            if file.is_file() and "__pycache__" not in rel.parts and not (top / source / rel).exists():
                made.append((name, rel.as_posix()))
    return tuple(made)


def _installed_from(top: Path, text: str) -> Path | None:
    """The folder that a distribution was copied from, where it is `top` or lies in it."""
    try:
        said = json.loads(text)
        url, editable = urlsplit(said["url"]), said.get("dir_info", {}).get("editable", False)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    if url.scheme != "file" or editable:
        return None
    folder = Path(unquote(url.path)).resolve()
    return folder if folder.is_relative_to(top) and folder.is_dir() else None


def _names_in(record: str) -> Iterator[str]:
    """Top-level packages and modules that a RECORD lists."""
    seen: set[str] = set()
    for line in record.splitlines():
        first, _, rest = line.partition(",")[0].partition("/")
        name = first if rest or first.endswith(".py") else ""
        if name and name not in seen and not name.endswith((".dist-info", ".data", ".libs")) and name != "..":
            seen.add(name)
            yield name


def _is_code(path: Path) -> bool:
    return path.suffix == ".py" or any(path.rglob("*.py"))
