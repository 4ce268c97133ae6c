"""Whose fault a red id is that is no chance: the environment's or the code's. Asked before anything is spent.

What is red in a clean worktree is run once more where a person would run it: in the checkout, under a cover that takes all writes
(or in CI's disposable checkout itself). Green there: the environment lacks something here, and a search says what. Red there too,
with an error that says so: the environment lacks it everywhere. Anything else is a fault of the code.
"""

from __future__ import annotations

import glob
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from zwarm_ci import diagnose
from zwarm_ci.detect import managers
from zwarm_ci.detect.base import Tree
from zwarm_ci.git import Repository
from zwarm_ci.scrub import child_env, is_secret_path
from zwarm_ci.task import Check
from zwarm_ci.trees import Trees
from zwarm_ci.verdict import CheckResult

#: Folders that tools make again by themselves; a test that needs one of them needs its tool, not the file.
_REMADE = frozenset(
    ".git .zwarm .venv venv env .env.d node_modules __pycache__ .pytest_cache .mypy_cache .ruff_cache .tox .nox .hypothesis .eggs "
    "target .gradle .idea .vscode htmlcov .cache .uv-cache".split()
)
#: What no check is given for a trial: keys of models and of the CI system, and what steers processes rather than tests.
_OURS = re.compile(
    r"(OPENAI|CODEX|ANTHROPIC|GITHUB|GH|ACTIONS|RUNNER|CI|GIT|ZWARM|LD|PYTEST|PYTHON|UV|PIP|NODE)(_|$)|NODE_OPTIONS$"
)
_BUILT = frozenset({"dist", "build", "out", "_build"})  # what a build makes from sources goes stale where they change
_SHADOW_BYTES = 256 * 1024 * 1024  # more than that is data, and copying it would cost more than it tells
_BISECT_RUNS = 12


@dataclass(frozen=True, slots=True)
class Lack:
    """What the environment lacks for some ids: `why` starts with environment or credentials; `config` is TOML for the check's table."""

    why: str
    config: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """Reds of one check on one commit; `asked`: the ids to ask for, () = the whole suite. `result` is the red run, `tree` where it was."""

    trees: Trees
    check: Check
    base: str
    user: Repository
    result: CheckResult
    red: tuple[str, ...]
    asked: tuple[str, ...]
    tree: Path


def lacks(case: Case, *, in_place: bool) -> dict[str, Lack]:
    """What each id lacks, for the ids that are the environment's; id "" = the whole check.

    `in_place`: the checkout stands at the commit, so that a run there tells something.
    """
    if missing := diagnose.credentials(case.check, os.environ):
        return dict.fromkeys(case.red or ("",), Lack(missing))
    found: dict[str, Lack] = {}
    if in_place:
        found = _compared(case)
    left = [f for f in case.result.failures if f.id in case.red and f.id not in found and case.check.is_test]
    for test_id, thing in diagnose.explain(left, case.tree, here=_here(case)).items():
        line = "; ".join(thing.config.splitlines())
        add = f"; add {line} to [checks.{case.check.name}]" if line else ""
        found[test_id] = Lack(f"environment: {thing.why}{add}", thing.config)
    if (
        len(found) > 2 and 2 * len(found) > len(case.red) and not case.result.passed
    ):  # nothing passes: what most say is why
        first = next(iter(found.values()))
        found = {i: found.get(i, first) for i in case.red or found}
    return found


def _here(case: Case) -> diagnose.Here:
    """Where the check ran, as far as an error's reader must know."""
    manager = managers.of(Tree(case.tree), case.check.workdir)
    return diagnose.Here(
        case.check,
        child_env(names=case.check.env),
        ours={*os.environ, *diagnose.dotenv_names(case.user.top / ".env")},
        top=case.user.top,
        network=not case.trees.surroundings.offline(case.check),
        ignored=lambda path: case.user.git.run("check-ignore", "-q", "--", path, check=False).ok,
        install=manager.setup(case.check.workdir) if manager else "",
    )


def healed(result: CheckResult, red: Sequence[str], before: CheckResult) -> tuple[str, ...]:
    """Which of `red` are no longer what they were in `before`: green, or run at all where they were skipped.

    For a check that could not run at all, "" where it could now.
    """
    if result.trouble:
        return ()
    if not red:
        return () if result.failed else ("",)
    good = {"failed": {"passed"}, "skipped": {"passed", "failed"}}
    return tuple(i for i in red if result.state(i) in good.get(before.state(i), {"passed"}))


def _compared(case: Case) -> dict[str, Lack]:
    """Ids that are green in the checkout, and what makes the difference."""
    wanted = _variables(case)
    there = case.trees.in_place(case.check, only=case.asked, variables=wanted)
    if there is not None and not healed(there, case.red, case.result):
        return {}
    found = _by_files(case)
    left = tuple(i for i in (healed(there, case.red, case.result) if there else case.red or ("",)) if i not in found)
    if left and wanted:
        found |= _by_variables(case, left, wanted)
    if there is not None:
        for test_id in left:
            found.setdefault(test_id, Lack(_unexplained(case, test_id)))
    return found


def _unexplained(case: Case, test_id: str) -> str:
    failure = case.result.failure(test_id)
    said = f": {failure.message}" if failure and failure.message else f": {case.result.trouble}" if not test_id else ""
    if case.result.state(test_id) == "skipped":
        return "environment: it runs in the checkout and is skipped in a clean worktree of the same commit"
    return (
        f"environment: it passes in the checkout and not in a clean worktree of the same commit{said} "
        "(something outside git's files makes the difference: an absolute path, tags, a remote, a running program)"
    )


def _by_files(case: Case) -> dict[str, Lack]:
    """What ignored files heal, tried in a worktree with copies of them."""
    missing = _missing(case.user, case.check)
    if not missing:
        return {}
    shadow = case.trees.fresh(case.base, (case.check,), "shadow")
    _copy(case.user.top, shadow.path, missing)
    good = healed(case.trees.run_in(case.check, shadow, only=case.asked), case.red, case.result)
    case.trees.discard(shadow)
    if not good:
        return {}
    needed = _needed(case, missing, good)
    why, config = _lacking(case.user, case.check, needed)
    return dict.fromkeys(good, Lack(f"environment: it needs {', '.join(needed)}, {why}", config))


def _variables(case: Case) -> dict[str, str]:
    """Variables that are set here, that the repository's files read and that the check does not get; credentials of ours never."""
    sources = diagnose.Sources(case.tree)
    texts = {path: sources.text(path) for path in sources.paths}
    given = child_env(names=case.check.env)
    names = diagnose.candidates(texts, os.environ, given)
    return {name: os.environ[name] for name in names if not _OURS.match(name)}


def _by_variables(case: Case, ids: Sequence[str], variables: Mapping[str, str]) -> dict[str, Lack]:
    def heals(names: Sequence[str]) -> tuple[str, ...]:
        twin = case.trees.fresh(case.base, (case.check,), "shadow")
        given = {n: variables[n] for n in names}
        good = healed(
            case.trees.run_in(case.check, twin, only=case.asked, variables=given),
            tuple(i for i in ids if i),
            case.result,
        )
        case.trees.discard(twin)
        return good

    good, also = heals(tuple(variables)), ""
    around = case.trees.surroundings
    if not good and around.offline(case.check):  # what a variable names may lie outside, a database for one
        around.allow_network(case.check, "a trial")
        good, also = heals(tuple(variables)), "network = true"
    needed = _smallest(tuple(variables), lambda part: set(heals(part)) >= set(good)) if good else ()
    if also:
        around.deny_network(case.check)
    if not good:
        return {}
    listed = ", ".join(f'"{n}"' for n in needed)
    config = "\n".join(filter(None, (f"env = [{listed}]", also)))
    names = ", ".join(needed)
    add = f"add {'; '.join(config.splitlines())} to [checks.{case.check.name}]"
    why = f"environment: it needs the variable {names}, which is set here and not handed on; {add}"
    return dict.fromkeys(good, Lack(why, config))


def _smallest(things: tuple[str, ...], enough: Callable[[Sequence[str]], bool]) -> tuple[str, ...]:
    """A small part of `things` that is still enough, by halving; bounded, so it may name more than is needed."""
    left, runs = things, 0
    while len(left) > 1 and runs < _BISECT_RUNS:
        half = len(left) // 2
        smaller = None
        for part in (left[:half], left[half:]):
            runs += 1
            if enough(part):
                smaller = part
                break
        if smaller is None:
            break
        left = smaller
    return left


def _lacking(user: Repository, check: Check, needed: Sequence[str]) -> tuple[str, str]:
    """Why a clean worktree lacks what is needed, and the line of config that helps, where one does."""
    if any(p == s or p.startswith(f"{s}/") for p in needed for s in user.submodules):
        return "files of a submodule, which clean worktrees lack", ""
    if set(needed) & set(_filtered(user)):
        return "which a filter of git's writes (Git LFS or the like); clean worktrees have it as it is stored", ""
    if any(part in _BUILT for p in needed for part in PurePosixPath(p).parts[:-1]):
        return f"which a build makes; have it built in each worktree, by setup of [checks.{check.name}]", ""
    config = "include = [" + ", ".join(json.dumps(glob.escape(p), ensure_ascii=False) for p in needed) + "]"
    return f"which git ignores; add {config} to [checks.{check.name}]", config


def _filtered(user: Repository) -> list[str]:
    """Tracked files that a configured filter writes."""
    names = {match[1] for setting in user.git.filters if (match := re.fullmatch(r"filter\.([\w-]+)\.clean=", setting))}
    found = [user.git.paths("ls-files", "-z", "--full-name", f":(top,attr:filter={n})") for n in sorted(names)]
    return [path for paths in found for path in paths]


def _missing(user: Repository, check: Check) -> tuple[str, ...]:
    """Ignored files, secrets, files of submodules or of filters: what a clean worktree lacks, as far as they are small."""
    ignored = user.git.paths("ls-files", "-o", "-i", "--exclude-standard", "-z", "--full-name", ":/")
    secret = [
        p
        for p in user.git.paths("ls-files", "-o", "--exclude-standard", "-z", "--full-name", ":/")
        if is_secret_path(p)
    ]
    tracked = user.git.paths("ls-files", "--recurse-submodules", "-z", "--full-name", ":/") if user.submodules else ()
    inner = [p for p in tracked if p.startswith(tuple(f"{s}/" for s in user.submodules))]
    found, size = [], 0
    for path in sorted({*ignored, *secret, *inner, *_filtered(user)} - set(check.include)):
        file = user.top / path
        parts = PurePosixPath(path).parts
        remade = any(p in _REMADE or p.endswith((".egg-info", ".pyc")) for p in parts)
        if remade or file.is_symlink() or not file.is_file() or size + file.stat().st_size > _SHADOW_BYTES:
            continue
        size += file.stat().st_size
        found.append(path)
    return tuple(found)


def _copy(top: Path, tree: Path, paths: Sequence[str]) -> None:
    for path in paths:
        target = tree / path
        if target.is_symlink():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(top / path, target, follow_symlinks=False)


def _needed(case: Case, files: Sequence[str], good: Sequence[str]) -> tuple[str, ...]:
    """A small part of `files` with which `good` are still green."""
    wanted = tuple(i for i in good if i)

    def heals(part: Sequence[str]) -> bool:
        shadow = case.trees.fresh(case.base, (case.check,), "shadow")
        _copy(case.user.top, shadow.path, part)
        ids = wanted if case.asked else ()
        ok = set(healed(case.trees.run_in(case.check, shadow, only=ids), wanted, case.result)) >= set(good)
        case.trees.discard(shadow)
        return ok

    left = _smallest(tuple(files), heals)
    folders = sorted({os.path.commonpath(left)} if len(left) > 5 and os.path.commonpath(left) else left)
    return tuple(folders)
