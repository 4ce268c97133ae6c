"""Rooms import only what lies to their left; the imports are read from the source, function-level and TYPE_CHECKING ones too."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = "zwarm_ci"
ROOT = Path(__file__).parents[1] / PACKAGE
#: Leftmost first. A room imports rooms of earlier levels only, none of its own level.
LEVELS = [
    level.split()
    for level in """
    __init__
    errors globs scrub files reap confine_main seal codec
    streams stop pump
    keep
    leash
    task proc protected
    verdict pricing git confine
    private config
    environment budget daybook journal sessions reports
    purse
    gateway
    checks site inplace
    detect services submodules tracing
    setups
    diagnose surround furnish
    trees
    calibrate bystanders footing
    baseline
    plan repair briefing
    executors verify
    till settings suspicion past
    attempt
    loop staffing
    integrate conclude selection equipment github
    handover preview crew survey again shims
    told
    pipeline supervise
    verification
    orchestrator history resume
    hook fanout demo init doctor take action repl
    cli
    entry
    __main__
""".strip().splitlines()
]
LEVEL = {room: number for number, rooms in enumerate(LEVELS) for room in rooms}
#: Nobody grades their own work: these never reach each other, by whatever way.
APART = {"verify": {"executors", "repair", "sessions"}, "executors": {"verify"}, "repair": {"verify"}}
PROBE = ".probe."  # what runs in somebody else's interpreter


class Import(NamedTuple):
    """A module of ours that names another module, in a line."""

    source: str
    target: str
    line: int


def modules(root: Path) -> dict[str, Path]:
    """The package's modules by dotted name, the package's own name left out."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)] = path
    return found


def named(node: ast.AST, package: list[str]) -> Iterator[str]:
    """Dotted names that a node imports; a string that begins with the package's name is a lazy import."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        above = package[: len(package) - node.level + 1] if node.level else []
        base = ".".join([*above, *filter(None, [node.module])])
        yield from (f"{base}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and re.match(rf"{PACKAGE}\.\w+", node.value):
        yield node.value.split()[0].rstrip(".")


def imports(root: Path) -> list[Import]:
    """Every import of one of our modules by another; the longest prefix that is a module counts."""
    known = modules(root)
    found = []
    for source, path in known.items():
        inside = source.split(".") if path.name == "__init__.py" else source.split(".")[:-1]
        package = [PACKAGE, *(part for part in inside if part != "__init__")]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for name in named(node, package):
                parts = name.split(".")[1:] if name.split(".")[0] == PACKAGE else None
                if parts is None:
                    continue
                prefixes = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
                target = next((p for p in prefixes if p in known), "__init__")
                if target != source:
                    found.append(Import(source, target, getattr(node, "lineno", 0)))
    return found


def room(module: str) -> str:
    return module.split(".", maxsplit=1)[0]


def reached(start: str, edges: set[tuple[str, str]]) -> set[str]:
    """What can be reached from `start`, itself only where there is a way back."""
    seen: set[str] = set()
    todo = [start]
    while todo:
        here = todo.pop()
        fresh = {b for a, b in edges if a == here} - seen
        seen |= fresh
        todo.extend(fresh)
    return seen


def broken(root: Path) -> list[str]:
    """Every breach of the order, one line each."""
    known, found = modules(root), imports(root)
    lines = [f"{m}: room {room(m)!r} is on no level" for m in known if room(m) not in LEVEL]
    for source, target, line in found:
        a, b = room(source), room(target)
        if a != b and a in LEVEL and b in LEVEL and LEVEL[b] >= LEVEL[a]:
            lines.append(f"{source}:{line} imports {target}, which is not to its left")
        if PROBE in source:
            lines.append(f"{source}:{line} imports {target}, but runs where {PACKAGE} is not")
    rooms = {(room(i.source), room(i.target)) for i in found}
    for a, apart in APART.items():
        lines += [f"{a} reaches {b}" for b in sorted(reached(a, rooms) & apart)]
    edges = {(i.source, i.target) for i in found}
    lines += [f"{m} is in an import cycle" for m in known if m in reached(m, edges)]
    return lines


def test_the_rooms_keep_their_order() -> None:
    assert len(modules(ROOT)) > 10
    assert broken(ROOT) == []


def test_probes_need_the_standard_library_only() -> None:
    allowed = {*sys.stdlib_module_names, "pytest", "_pytest", "xdist", "django"}
    probes = [path for name, path in modules(ROOT).items() if PROBE in name]
    siblings = {path.stem for path in probes}
    assert probes
    for path in probes:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            tops = {name.split(".")[0] for name in named(node, []) if isinstance(node, ast.Import | ast.ImportFrom)}
            assert tops <= allowed | siblings, f"{path.name} imports {tops - allowed - siblings}"


PLANTED = {
    "a room to the right": ("git.py", "from zwarm_ci.pipeline import run", "git:1 imports pipeline"),
    "a room beside it": ("task.py", "import zwarm_ci.proc", "task:1 imports proc"),
    "a room itself, not something in it": ("task.py", "from zwarm_ci import pipeline", "task:1 imports pipeline"),
    "inside a function": ("git.py", "def f():\n    from zwarm_ci import cli", "git:2 imports cli"),
    "for types only": (
        "git.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import zwarm_ci.cli",
        "git:3 imports cli",
    ),
    "by a relative name": ("git.py", "from .cli import main", "git:1 imports cli"),
    "by a relative name out of a folder": (
        "verify/judge.py",
        "from ..loop import solve",
        "verify.judge:1 imports loop",
    ),
    "by a string": ("git.py", "import importlib\nimportlib.import_module('zwarm_ci.cli')", "git:2 imports cli"),
    "by a formatted string": ("git.py", "name = 'x'\nmodule = f'zwarm_ci.cli.{name}'", "git:2 imports cli"),
    "an unknown room": ("utils.py", "", "utils: room 'utils' is on no level"),
    "the judge and the engine": ("verify/judge.py", "import zwarm_ci.repair", "verify reaches repair"),
    "the judge and the sessions, by a third": ("checks.py", "import zwarm_ci.sessions", "verify reaches sessions"),
    "the engine and the judge": (
        "repair/__init__.py",
        "from zwarm_ci.verify.judge import judge",
        "repair reaches verify",
    ),
    "a cycle inside a room": (
        "verify/judge.py",
        "from zwarm_ci.verify.other import x",
        "verify.other is in an import cycle",
    ),
    "the probe": ("checks/probe/plugin.py", "from zwarm_ci.errors import ZwarmError", "but runs where zwarm_ci is not"),
}


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A small tree that keeps the order."""
    sound = {
        "__init__.py": "",
        "errors.py": "",
        "proc.py": "from zwarm_ci.errors import ZwarmError",
        "task.py": "",
        "git.py": "from . import proc",
        "sessions.py": "",
        "checks.py": "from zwarm_ci import git",
        "repair/__init__.py": "from zwarm_ci import __version__, checks",
        "verify/__init__.py": "from zwarm_ci.verify.judge import judge",
        "verify/judge.py": "from zwarm_ci import checks",
        "verify/other.py": "import zwarm_ci.verify.judge",
        "loop.py": "from zwarm_ci import repair, verify",
        "pipeline.py": "import json, zwarm_ci.loop",
        "cli.py": "def main():\n    from zwarm_ci.pipeline import run",
    }
    for name, text in sound.items():
        path = tmp_path / PACKAGE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / PACKAGE


def test_a_house_in_order_is_not_blamed(house: Path) -> None:
    assert broken(house) == []
    assert Import("git", "proc", 1) in imports(house)


@pytest.mark.parametrize(("name", "text", "blame"), PLANTED.values(), ids=PLANTED)
def test_a_breach_is_seen(house: Path, name: str, text: str, blame: str) -> None:
    path = house / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    said = broken(house)
    assert any(blame in line for line in said), said
