"""Green results kept between runs: known by content, check and environment, so that what a commit's hook ran is not run again.

Kept in the user's cache. Only what depends on nothing but the tree, the environment's installed packages and its programs is kept;
a red result never is.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from zwarm_ci import __version__
from zwarm_ci.checks.run import argv_of
from zwarm_ci.codec import from_data, to_data
from zwarm_ci.environment import Environment
from zwarm_ci.files import kept_folder, write_atomic
from zwarm_ci.scrub import ALLOWED_ENV
from zwarm_ci.task import Check
from zwarm_ci.verdict import CheckResult

SCHEMA = 1  # 1: {"schema", "depends": {path: [mtime in ns, size]}, "result": a CheckResult}
_MOST = 200  # results that are kept, the newest


def depends_on(check: Check, env: Environment) -> tuple[str, ...] | None:
    """Paths outside of the tree on which a check's result depends; None = it depends on more than files.

    These are the interpreter and its folders of packages, installed JavaScript packages, files that an install made beside the
    sources, and the check's program.
    """
    more = check.env or check.include or check.services_up or check.network or check.isolation == "inplace"
    if more or (env.top / ".worktreeinclude").exists() or _has_foreign_sources(env):
        return None
    program = argv_of(check.run)[0][0]
    found = shutil.which(program, path=os.pathsep.join((*env.path, os.environ.get("PATH", os.defpath))))
    inner = env.interpreter
    paths = [env.python, found or "", *(inner.sites if inner else ())]
    for folder in env.dependencies:
        modules = env.top / folder / "node_modules"
        paths += [str(modules), str(modules / ".package-lock.json"), str(modules / ".bin")]
    paths += [str(env.top / built) for built in env.built]
    return tuple(dict.fromkeys(os.path.realpath(p) for p in paths if p))


def save(tree: str, check: Check, env: Environment, result: CheckResult) -> None:
    """Keep the result of a whole check on the content `tree`, where it is green and may be kept."""
    depends = depends_on(check, env)
    if depends is None or not result.green or result.left or result.edited:
        return
    document = {
        "schema": SCHEMA,
        "depends": {path: _state(path) for path in depends},
        "result": to_data(replace(result, log="", lines={})),
    }
    file = _file(tree, check, env)
    try:
        write_atomic(file, json.dumps(document))
        for old in sorted(file.parent.glob("*.json"), key=lambda p: p.stat().st_mtime_ns)[:-_MOST]:
            old.unlink()
    except OSError:
        return  # without a cache the check runs again, and nothing else


def find(tree: str, check: Check, env: Environment) -> CheckResult | None:
    """The green result of the whole check on this content in this environment, if it was kept; None = it has to be run."""
    depends = depends_on(check, env)
    if depends is None:
        return None
    try:
        said = json.loads(_file(tree, check, env).read_text(encoding="utf-8"))
        if said["schema"] != SCHEMA or said["depends"] != {path: _state(path) for path in depends}:
            return None
        result = from_data(CheckResult, said["result"])
    except (OSError, ValueError, KeyError, TypeError):  # none was kept, or it cannot be understood: it is run
        return None
    return result if result.green else None


def _file(tree: str, check: Check, env: Environment) -> Path:
    """The file's name says all that a result depends on but the state of files: content, check, checkout, variables, ourselves."""
    variables = {k: os.environ[k] for k in sorted(ALLOWED_ENV - _OF_NO_WEIGHT) if k in os.environ}
    facts = [__version__, tree, to_data(replace(check, why="")), str(env.top), env.note, env.mapped, variables]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()
    return kept_folder("results") / f"{digest}.json"


#: What a check's child is given and no result should depend on: who runs it, where its terminal and its temporary files are, and
#: what a hook's PATH has more than a shell's (the program that was found on it counts).
_OF_NO_WEIGHT = frozenset(
    "PATH USER LOGNAME SHELL TERM TMPDIR TEMP TMP COLUMNS NO_COLOR FORCE_COLOR XDG_CACHE_HOME VIRTUAL_ENV".split()
)


def _state(path: str) -> list[int]:
    try:
        found = Path(path).stat()
    except OSError:
        return [0, 0]
    return [found.st_mtime_ns, found.st_size]


def _has_foreign_sources(env: Environment) -> bool:
    """Whether another folder of sources than the repository's own is installed as editable: it changes, and nothing tells."""
    sites = env.interpreter.sites if env.interpreter else ()
    return any(_leads_out(line, env, site) for site in sites for line in _pth_lines(Path(site)))


def _pth_lines(site: Path) -> Iterator[str]:
    for file in sorted(site.glob("*.pth")):
        yield from file.read_text(encoding="utf-8", errors="replace").splitlines()


def _leads_out(line: str, env: Environment, site: str) -> bool:
    words = line.strip()
    if words.startswith("import __editable__"):
        finder = Path(site) / f"{words.split()[1].rstrip(';')}.py"
        return not finder.is_file() or str(env.top) not in finder.read_text(encoding="utf-8", errors="replace")
    if not words.startswith("/"):
        return False
    target, own = Path(words), [env.top, *(Path(i.prefix) for i in (env.interpreter,) if i)]
    return target.is_dir() and not any(target.is_relative_to(place) for place in own)
