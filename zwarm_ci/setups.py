"""Set-ups that make a whole environment (`uv sync`, `npm ci` and the like), run once for what they depend on and kept.

The key is what the set-up reads: its command, manifests and lock files, sources of compiled extensions, interpreter, platform.
What stands in the cache is a checkout in which the set-up has run; its environment is then mapped onto worktrees like a user's own.
Any other set-up (`make generate`) runs in each worktree.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import posixpath
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from zwarm_ci import environment
from zwarm_ci.checks import argv_of, run_setup
from zwarm_ci.checks.base import PACKAGE_SETTINGS
from zwarm_ci.detect.base import Tree
from zwarm_ci.detect.packagers import uses_pnp
from zwarm_ci.environment import Environment
from zwarm_ci.files import kept_folder, locked, write_atomic
from zwarm_ci.private import PrivateRepository
from zwarm_ci.proc import run
from zwarm_ci.scrub import child_env, decode
from zwarm_ci.task import Check

_FORM = 1  # 1: a checkout with `.venv` or `node_modules` in it
#: Programs and their words that make the environment by themselves.
_WHOLE = re.compile(
    r"^(uv sync|poetry (install|sync)|pdm (install|sync)|pipenv (install|sync)|npm (ci|i|install)|pnpm (i|install)|"
    r"yarn( install)?|bun (i|install)|(conda|mamba|micromamba) (env )?create)\b"
)
#: These install into an environment that must be there.
_INTO = re.compile(r"^((python[\d.]*|py) -m )?pip3? install\b|^uv pip (install|sync)\b|^flit install\b")
_READ = re.compile(
    r"(^|/)(pyproject\.toml|setup\.(py|cfg)|MANIFEST\.in|(dev-|test-)?(requirements|constraints)[\w.-]*\.(txt|in)|requirements/[\w.-]+\.(txt|in)|"
    r"(uv|poetry|pdm|pylock)[\w.]*\.(lock|toml)|Pipfile(\.lock)?|environment\.ya?ml|tox\.(ini|toml)|noxfile\.py|hatch\.toml|\.python-version|package\.json|package-lock\.json|"
    r"(hatch_|pdm_|)build\.py|[\w.-]+\.proto|npm-shrinkwrap\.json|pnpm-lock\.yaml|pnpm-workspace\.yaml|yarn\.lock|\.yarnrc(\.yml)?|bun\.lockb?|\.npmrc)$"
)
_INCLUDES = re.compile(r"^[^\S\n]*(?:-[rc]|--requirement|--constraint)[ =]*(\S+)", re.MULTILINE)
_SETTINGS = {"POETRY_VIRTUALENVS_IN_PROJECT": "true", "PIPENV_VENV_IN_PROJECT": "1", "PIPENV_IGNORE_VIRTUALENVS": "1"}


def makes_environment(check: Check, env: Environment) -> bool:
    """Whether the check's set-up makes the environment rather than something inside a worktree."""
    command = " ".join(argv_of(check.setup)[0]) if check.setup else ""
    if _WHOLE.match(command):
        return not (command.startswith("yarn") and uses_pnp(Tree(env.top).at(check.workdir)))
    return bool(_INTO.match(command)) and not _usable(check, env)


def _usable(check: Check, env: Environment) -> bool:
    """Whether what is there can run the check but for the set-up (which then adds to it, worktree by worktree)."""
    return bool(env.python) and (check.kind != "pytest" or "pytest" in env.modules)


def key_of(repo: PrivateRepository, check: Check, tree: str, env: Environment) -> str:
    """What a set-up's result depends on, in 24 hex digits."""
    facts = hashlib.sha256()
    interpreter = (env.interpreter.version, env.interpreter.base) if env.interpreter else ("", "")
    for fact in (str(_FORM), check.setup, check.workdir, platform.platform(), platform.machine(), *interpreter):
        facts.update(f"{fact}\0".encode())
    for name in sorted(n for n in os.environ if PACKAGE_SETTINGS.match(n)):
        facts.update(f"{name}={os.environ[name]}\0".encode("utf-8", "surrogateescape"))
    entries = {path: blob for _, blob, path in repo.git.entries(tree)}
    named = _named(repo, tree, check, entries)
    for path, blob in entries.items():
        if path in named or _READ.search(path) or environment.is_native(path):
            facts.update(f"{path}\0{blob}\0".encode("utf-8", "surrogateescape"))
    return facts.hexdigest()[:24]


def _named(repo: PrivateRepository, tree: str, check: Check, entries: Mapping[str, str]) -> set[str]:
    """Files of the tree that the command names, and those that such requirement files name in turn."""
    found: set[str] = set()
    todo = [(check.workdir, word) for word in argv_of(check.setup)[0]]
    while todo:
        folder, word = todo.pop()
        path = posixpath.normpath(posixpath.join(folder, re.sub(r"^(-[a-z]|--[\w-]+=)", "", word) or "."))
        if path in entries and path not in found:
            found.add(path)
            text = decode(repo.read(tree, path) or b"")
            todo += [(posixpath.dirname(path), m[1]) for m in _INCLUDES.finditer(text)]
    return found


def prepared(
    repo: PrivateRepository, check: Check, tree: str, env: Environment, scratch: Path, tell: Callable[[str], None]
) -> tuple[Environment, str]:
    """The environment that the check's set-up makes for `tree`, from the cache or made now; or the trouble that it had."""
    folder = kept_folder("setups") / key_of(repo, check, tree, env)
    place = folder / (repo.user.top.name or "repository")
    with locked(folder.with_suffix(".lock")):
        ready = folder / "ready.json"
        said, found = _kept(ready), environment.discover(place, check.workdir)
        if said is None or said.get("own") != _is_own(found):
            tell(f"{check.name}: setting up with `{check.setup}` (kept for the next time)")
            shutil.rmtree(folder, ignore_errors=True)
            if trouble := _make(repo, check, tree, env, place, scratch):
                shutil.rmtree(folder, ignore_errors=True)
                return env, trouble
            found = environment.discover(place, check.workdir)
            said = {"form": _FORM, "built": found.built, "own": _is_own(found)}
            (place / ".git").unlink(missing_ok=True)  # it pointed into a run that will be over
            write_atomic(ready, json.dumps(said))
        os.utime(folder)
    return replace(found, built=tuple(said["built"]), note=f"{found.note} (made by `{check.setup}`)"), ""


def _kept(ready: Path) -> dict[str, Any] | None:
    """What was written when the set-up was made; None where it was not, or cannot be read (then it is made again)."""
    try:
        said = json.loads(ready.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return said if isinstance(said, dict) and said.get("form") == _FORM else None


def _is_own(found: Environment) -> list[bool]:
    """Whether an environment's interpreter and node_modules are those that the set-up made."""
    return [Path(found.python).is_relative_to(found.top) if found.python else False, bool(found.dependencies)]


def _make(repo: PrivateRepository, check: Check, tree: str, env: Environment, place: Path, scratch: Path) -> str:
    repo.worktree(repo.as_commit(tree), place)
    command = " ".join(argv_of(check.setup)[0])
    inner = environment.discover(place, check.workdir)
    bare = replace(inner, python="", path=(), mapped=(), interpreter=None)
    if _INTO.match(command):
        base = env.interpreter.base if env.interpreter else "python3"
        made = run([base, "-m", "venv", str(place / ".venv")], cwd=place, env=child_env(), timeout=300)
        if not made.ok:
            return f"environment: `{base} -m venv` ended with {made.code} (install python3-venv)"
        bare = environment.discover(place, check.workdir)
    return run_setup(check, place, env=bare, scratch=scratch, variables=_SETTINGS)
