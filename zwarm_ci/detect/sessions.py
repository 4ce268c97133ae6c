"""Tox environments and nox sessions that run the tests: which there are, and the one whose Python this machine has."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zwarm_ci.checks import pythons
from zwarm_ci.checks.pythons import Python, numbers_of
from zwarm_ci.checks.tox import expanded
from zwarm_ci.detect import interpreters
from zwarm_ci.detect.base import Found, Tree, table
from zwarm_ci.detect.packages import Package
from zwarm_ci.environment import Environment
from zwarm_ci.task import Check

_RUNS_PYTEST = re.compile(r"\b(pytest|py\.test)\b")
_RUNS_TESTS = re.compile(r"\b(pytest|py\.test|unittest|stestr|nosetests|manage\.py test|trial|nose2)\b")
_NAMED_TESTS = re.compile(r"^(py|(unit)?tests?\b|\d)", re.IGNORECASE)
_FACTOR = re.compile(r"^(?:(?:c?python|py)?(\d)\.?(\d+)?|pypy(\d)\.?(\d+)?|py)$")
_SECONDS = 1800.0  # an environment is made first, on a cold cache


@dataclass(frozen=True, slots=True)
class Session:
    """One tox environment or nox session.

    Attributes:
        tool: tox or nox. name: as it is asked for.
        python: the version it wants (`3.11`, `3`); "" = the tool's own, or whichever is asked for.
        commands: the text of what it runs.
        asked: the words after the tool's name that run it.
    """

    tool: str
    name: str
    python: str
    commands: str
    asked: tuple[str, ...]

    @property
    def is_test(self) -> bool:
        """Whether it runs tests."""
        return bool(_RUNS_TESTS.search(self.commands))


def has_settings(tree: Tree) -> bool:
    """Whether a folder has tox or nox settings with a session that runs tests."""
    return any(s.is_test for s in (*_tox(tree), *_nox(tree)))


def find_sessions(tree: Tree) -> list[Session]:
    """The sessions of a folder that run tests, tox's before nox's, in the order of its settings."""
    return [s for s in (*_tox(tree), *_nox(tree)) if s.is_test]


def find(tree: Tree, package: Package, env: Environment) -> Found:
    """One session of a package folder that runs its tests and whose Python is here; what else there is as notes."""
    known = find_sessions(tree)
    usable = [s for s in known if (start := _start(s.tool, env)) and _python_of(s, tree, env)]
    for tool in dict.fromkeys(s.tool for s in known):
        if not _start(tool, env):
            yield None, f"{tool} is not installed, so its sessions cannot run (pip install {tool})"
    if known and not usable and any(_start(s.tool, env) for s in known):
        wanted = ", ".join(dict.fromkeys(s.python for s in known))
        yield (
            None,
            f"cell: no Python that the sessions of {known[0].tool} ask for is here ({wanted}; install one of them)",
        )
    if not usable:
        return
    chosen = max(usable, key=lambda s: (s.tool == usable[0].tool, _rank(s, tree, env)))
    start = _start(chosen.tool, env)
    run = shlex.join((*start, *chosen.asked))
    why = f"of {chosen.tool}'s session {chosen.name}, and no environment of the repository has pytest"
    prefix = "" if package.folder == "." else f"{package.name}-"
    is_pytest = bool(_RUNS_PYTEST.search(chosen.commands))
    name = f"{prefix}{chosen.tool}-{chosen.name}" if is_pytest else f"tests-{prefix}{chosen.tool}-{chosen.name}"
    yield Check(
        name, run, "pytest" if is_pytest else "generic", package.folder, _SECONDS, exclusive=True, network=True, why=why
    ), why  # fmt: skip
    others = [s for s in usable if s.tool == chosen.tool and s.name != chosen.name]
    if others:
        names = ", ".join(s.name for s in others[:8])
        yield (
            None,
            f'{chosen.tool} has {names} too (each can be a check: run = "{shlex.join((*start, *others[0].asked))}")',
        )


def _start(tool: str, env: Environment) -> tuple[str, ...]:
    """How a person would start the tool; () = it is not here."""
    if tool in env.modules:
        return ("python", "-m", tool)
    if any((Path(folder) / tool).is_file() for folder in env.path) or shutil.which(tool):
        return (tool,)
    return ("uvx", tool) if shutil.which("uvx") else ()


def _python_of(session: Session, tree: Tree, env: Environment) -> Python | None:
    """The interpreter of this machine that the session would run with."""
    wanted = numbers_of(session.python)
    own = env.interpreter.version if env.interpreter else ""
    if not wanted:
        spec = interpreters.required(tree)
        return Python(own, env.python) if own and interpreters.allows(spec, own) else interpreters.fitting(spec)
    kind = "PyPy" if session.python.startswith("pypy") else "CPython"
    fits = (p for p in pythons.find() if p.implementation == kind and p.numbers[: len(wanted)] == wanted)
    return next(fits, None)


def _rank(session: Session, tree: Tree, env: Environment) -> tuple[bool, bool, bool, tuple[int, ...], int]:
    """Pytest first, and what is named as tests; the environment's own Python, then the newest; the plainest of several."""
    python = _python_of(session, tree, env)
    numbers = python.numbers if python else ()
    own = numbers_of(env.interpreter.version)[:2] if env.interpreter else ()
    is_pytest, named = bool(_RUNS_PYTEST.search(session.commands)), bool(_NAMED_TESTS.match(session.name))
    return (is_pytest, named, numbers[:2] == own, numbers, -len(session.name))


def _tox(tree: Tree) -> Iterator[Session]:
    """Tox's environments, from tox.ini, setup.cfg, tox.toml or pyproject.toml."""
    for read in (_tox_ini, _tox_toml):
        found = list(read(tree))
        if found:
            yield from found
            return


def _tox_ini(tree: Tree) -> Iterator[Session]:
    ini = tree.ini("tox.ini")
    head = "tox"
    if not ini.sections():
        ini, head = tree.ini("setup.cfg"), "tox:tox"
    legacy = table(tree.pyproject, "tox").get("legacy_tox_ini")
    if not ini.has_section(head) and isinstance(legacy, str):
        ini, head = Tree.parsed(legacy), "tox"
    if not ini.has_section(head) and not any(name.startswith("testenv") for name in ini.sections()):
        return
    listed = ini.get(head, "env_list", fallback="") or ini.get(head, "envlist", fallback="")
    sections = {one: name for name in ini.sections() if name.startswith("testenv:") for one in expanded(name[8:])}
    for env in dict.fromkeys((*expanded(listed), *sections)) or ("py",):
        section = sections.get(env, "")
        own = ini.get(section, "commands", fallback="") if section else ""
        commands = own or ini.get("testenv", "commands", fallback="")
        base = next((ini.get(s, k, fallback="") for s in filter(None, (section, "testenv")) for k in ("base_python", "basepython")
                     if ini.has_option(s, k)), "")  # fmt: skip
        yield Session("tox", env, _version(env) or _version(base), _of_factors(commands, env), ("-e", env))


def _of_factors(commands: str, env: str) -> str:
    """The lines of a setting that hold for an environment: `py38: …` is for those with the factor, `!py38: …` for the others."""
    factors = set(env.split("-"))
    kept = []
    for line in commands.splitlines():
        found = re.match(r"^\s*([!\w.,{}-]+):\s+(.*)$", line)
        if not found:
            kept.append(line)
            continue
        for option in expanded(found[1]):
            parts = option.split("-")
            if all((p[1:] not in factors) if p.startswith("!") else (p in factors) for p in parts):
                kept.append(found[2])
                break
    return "\n".join(kept)


def _tox_toml(tree: Tree) -> Iterator[Session]:
    data = tree.toml_of("tox.toml") or table(tree.pyproject, "tox")
    base, named = table(data, "env_run_base"), table(data, "env")
    listed = [str(e) for e in data.get("env_list") or () if isinstance(e, str)]
    for env in dict.fromkeys((*listed, *named)):
        own = table(named, env)
        commands = str(own.get("commands", base.get("commands", "")))
        python = str(own.get("base_python") or base.get("base_python") or "")
        yield Session("tox", env, _version(env) or _version(python), commands, ("-e", env))


def _version(name: str) -> str:
    """The Python version that an environment's name, or an interpreter's, asks for: `py311-django4` = 3.11; "" = none."""
    for factor in re.split(r"[-,\s\[\]']+", name):
        found = _FACTOR.match(factor)
        if found and (found[1] or found[3]):
            major, minor = (found[1], found[2]) if found[1] else (found[3], found[4])
            return ("pypy" if found[3] else "") + (f"{major}.{minor}" if minor else major)
    return ""


def _nox(tree: Tree) -> Iterator[Session]:
    """Nox's sessions, read from noxfile.py without running it: the default ones first."""
    try:
        module = ast.parse(tree.text("noxfile.py"))
    except (SyntaxError, ValueError):
        return
    values = {
        t.id: _literal(n.value, {})
        for n in module.body
        if isinstance(n, ast.Assign)
        for t in n.targets
        if isinstance(t, ast.Name)
    }
    default = next(
        (
            _literal(n.value, values)
            for n in module.body
            if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "nox.options.sessions"
        ),
        None,
    )
    found = [s for node in module.body if isinstance(node, ast.FunctionDef) for s in _of_function(node, values)]
    first = [str(d) for d in default] if isinstance(default, list | tuple) else []
    yield from sorted(found, key=lambda s: not any(s.name == d or s.name.startswith(f"{d}-") for d in first))


def _of_function(node: ast.FunctionDef, values: dict[str, Any]) -> Iterator[Session]:
    for decorator in node.decorator_list:
        call = decorator if isinstance(decorator, ast.Call) else None
        if ast.unparse(call.func if call else decorator) not in {"nox.session", "session"}:
            continue
        options = {k.arg: k.value for k in call.keywords} if call else {}
        name = str(_literal(options.get("name"), values) or node.name)
        python = options.get("python", options.get("py", call.args[0] if call and call.args else None))
        wanted = _literal(python, values)
        body = ast.unparse(node)
        if isinstance(wanted, list | tuple):
            for version in map(str, wanted):
                yield Session("nox", f"{name}-{version}", version, body, ("-s", f"{name}-{version}"))
        elif python is not None and wanted is None and not (isinstance(python, ast.Constant) and python.value is None):
            for version in _minors():  # the versions come out of code: nox is asked for one of them
                yield Session("nox", f"{name}-{version}", version, body, ("-s", name, "-p", version))
        else:
            yield Session("nox", name, str(wanted or ""), body, ("-s", name))


def _minors() -> Sequence[str]:
    return list(
        dict.fromkeys(".".join(map(str, p.numbers[:2])) for p in pythons.find() if p.implementation == "CPython")
    )


def _literal(node: ast.expr | None, values: dict[str, Any]) -> Any:
    """The value of a literal, or of a name that the module gives one; None = it is neither."""
    if isinstance(node, ast.Name):
        return values.get(node.id)
    try:
        return ast.literal_eval(node) if node is not None else None
    except ValueError:
        return None
