"""Which Pythons this machine has, which of them a project allows, and the cell that a result belongs to."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from zwarm_ci.checks.pythons import Python, find, numbers_of
from zwarm_ci.detect.base import Tree, table
from zwarm_ci.environment import Environment

__all__ = ["Python", "allows", "cell", "excluded", "find", "fitting", "pinned", "required"]
_CLAUSE = re.compile(r"^(>=|<=|===?|!=|~=|>|<|\^|~)?\s*v?(\d+(?:\.\d+)*)(\.\*)?$")


def allows(spec: str, version: str) -> bool:
    """Whether a `requires-python` (PEP 440, or poetry's `^3.8`, `~3.8`, `||`) allows a version; what cannot be read allows all."""
    return any(
        all(_holds(clause.strip(), numbers_of(version)) for clause in re.split(r"[,\s]+(?=[<>=!~^])|,", part))
        for part in (spec or "").split("||")
    )


def _holds(clause: str, version: tuple[int, ...]) -> bool:
    found = _CLAUSE.match(clause)
    if not found:
        return True
    operator, wanted, star = found[1] or "==", numbers_of(found[2]), bool(found[3])
    cut = version[: len(wanted)]
    if operator in {"==", "==="}:
        return cut == wanted if star or len(wanted) < len(version) else version == wanted
    if operator == "!=":
        return cut != wanted if star else version != wanted
    if operator == "^":
        return cut >= wanted and version[0] == wanted[0]
    if operator in {"~=", "~"}:
        fixed = wanted[:-1] if operator == "~=" or len(wanted) > 2 else wanted
        return cut >= wanted and version[: len(fixed)] == fixed
    if operator in {">=", "<"}:
        return (_padded(version) >= _padded(wanted)) == (operator == ">=")
    return (_padded(version) <= _padded(wanted)) == (operator == "<=")


def _padded(version: tuple[int, ...]) -> tuple[int, ...]:
    return (*version, *(0,) * (3 - len(version)))


def required(tree: Tree) -> str:
    """What the settings of a package folder ask of Python; "" = nothing."""
    said = table(tree.toml, "project").get("requires-python")
    told = table(tree.pyproject, "poetry", "dependencies").get("python")
    return str(said or told or tree.value("setup.cfg", "options", "python_requires") or _of_setup_py(tree))


def _of_setup_py(tree: Tree) -> str:
    found = re.search(r"python_requires\s*=\s*['\"]([^'\"]+)['\"]", tree.text("setup.py"))
    return found[1] if found else ""


def pinned(tree: Tree) -> str:
    """The version that `.python-version` names; "" = none."""
    line = next(iter(tree.text(".python-version").split()), "")
    return line if re.fullmatch(r"\d+(\.\d+)*", line) else ""


def fitting(spec: str, pin: str = "", here: Sequence[Python] | None = None) -> Python | None:
    """The interpreter of this machine for a project: of the pinned version where there is one, else the newest that `spec` allows."""
    allowed = [p for p in (find() if here is None else here) if allows(spec, p.version)]
    of_pin = [p for p in allowed if pin and p.numbers[: len(numbers_of(pin))] == numbers_of(pin)]
    return next(iter(of_pin or allowed), None)


def excluded(tree: Tree, env: Environment) -> str:
    """Why the environment's interpreter is not one that the project allows; "" = it is. Names another where one is here."""
    version = env.interpreter.version if env.interpreter else ""
    spec = required(tree)
    if not version or allows(spec, version):
        return ""
    other = fitting(spec, pinned(tree))
    remedy = f"make a .venv with {other.path}" if other else "install one that it allows"
    return f"Python {version} is not one that the project allows ({spec}): {remedy}"


def cell(env: Environment, extras: Sequence[str] = ()) -> str:
    """What a result of `env` holds for, e.g. `linux-x86_64 CPython 3.11.7`; `extras` = what else was chosen (a tox environment)."""
    where = f"{sys.platform}-{platform.machine()}"
    if env.interpreter is None:
        return " ".join((where, *extras))
    whose = "PyPy" if "pypy" in Path(env.interpreter.base).name.lower() else "CPython"
    return " ".join((where, whose, env.interpreter.version, *extras))
