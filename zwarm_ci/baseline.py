"""What is red before anything is done, and whose fault it is: the code's, chance's or the environment's.

Checks run in a clean twin of the base. What fails there is run again in fresh processes (flaky?), and once more where the
tree's ignored files are at hand (environment?). Only what is still red is a fault of the code.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from zwarm_ci.git import Repository
from zwarm_ci.scrub import is_secret_path
from zwarm_ci.task import Check, Failure
from zwarm_ci.trees import Prepared, Trees
from zwarm_ci.verdict import CheckResult

Tell = Callable[[str], None]
#: Folders that tools make again by themselves; a test that needs one of them needs its tool, not the file.
_REMADE = frozenset(
    ".git .zwarm .venv venv env .env.d node_modules __pycache__ .pytest_cache .mypy_cache .ruff_cache .tox .nox .hypothesis .eggs "
    "target .gradle .idea .vscode htmlcov .cache .uv-cache".split()
)
_SHADOW_BYTES = 256 * 1024 * 1024  # more than that is data, and copying it would cost more than it tells
_BISECT_RUNS = 12


@dataclass(frozen=True, slots=True)
class Baseline:
    """The state of the base.

    Attributes:
        results: one per check, in the run's order.
        flaky: (check, id) -> (passes, runs) of the re-runs.
        environment: (check, id) -> why it is red here and not in place; id "" = the whole check.
        notes: lines for the report.
    """

    results: tuple[CheckResult, ...]
    flaky: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    environment: dict[tuple[str, str], str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def result(self, check: str) -> CheckResult:
        """The result of one check."""
        return next(r for r in self.results if r.name == check)

    def failures(self, check: str) -> tuple[Failure, ...]:
        """The reds of a check that are the code's own."""
        return tuple(
            f
            for f in self.result(check).failures
            if (check, f.id) not in self.flaky and (check, f.id) not in self.environment
        )

    def is_flaky(self, check: str, test_id: str) -> bool:
        """Whether an id was seen both red and green on the base."""
        return (check, test_id) in self.flaky

    @property
    def green(self) -> bool:
        """Nothing is red but by chance, and every check could be believed."""
        return all(not r.trouble and not self.failures(r.name) for r in self.results) and not self.environment


def establish(
    trees: Trees,
    checks: Sequence[Check],
    base: str,
    user: Repository,
    *,
    reruns: int,
    same_as_tree: bool,
    tell: Tell,
) -> Baseline:
    """Run the checks on `base` and sort what is red.

    What the checkout has and a clean worktree lacks is copied for a second look; the checkout itself runs nothing, in CI neither.
    `same_as_tree`: `base` is what stands in the checkout; otherwise there is nothing to calibrate against.
    """
    twin = trees.fresh(base, checks, "twin")
    sorted_out = Baseline(())
    for check in checks:
        tell(f"{check.name}: running {check.run}")
        result = trees.run(check, twin)
        red = tuple(result.failed)
        if check.is_test and red and not result.trouble:
            tell(f"{check.name}: {len(red)} red, running them again")
            result, flaky = _chance(trees, check, twin, result, reruns)
            sorted_out = replace(sorted_out, flaky={**sorted_out.flaky, **flaky})
            red = tuple(i for i in result.failed if (check.name, i) not in flaky)
        suspicious = result.trouble.startswith("environment") or (check.is_test and red and not result.trouble)
        if suspicious and same_as_tree:
            asked = _alone(trees, check, twin, red)
            found = _calibrate(trees, check, base, user, red, asked)
            sorted_out = replace(sorted_out, environment={**sorted_out.environment, **found})
        sorted_out = replace(sorted_out, results=(*sorted_out.results, result))
    notes = (
        ("submodules are not checked out in clean worktrees: " + ", ".join(user.submodules),) if user.submodules else ()
    )
    return replace(sorted_out, notes=notes)


def only(ids: Sequence[str]) -> tuple[str, ...]:
    """The ids to ask a check for; a suite that did not start at all can only be run whole."""
    return () if any(i.endswith("::startup") for i in ids) else tuple(ids)


def _chance(
    trees: Trees, check: Check, twin: Prepared, first: CheckResult, reruns: int
) -> tuple[CheckResult, dict[tuple[str, str], tuple[int, int]]]:
    """The result to go by, and which of its reds are flaky: (passes, runs).

    Where chance alone kept the rest of a suite from running, a whole run tells what is red in it.
    """
    flaky = _rerun(trees, check, twin, first.failed, reruns)
    hiding = {f.id for f in first.failures if f.message == "timed out" or f.id.endswith("::startup")}
    if not any((check.name, i) in flaky for i in hiding):
        return first, flaky
    whole = trees.run(check, twin, again=True)
    if whole.timed_out or any(i.endswith("::startup") for i in whole.failed):
        return first, {key: n for key, n in flaky.items() if key[1] not in hiding}
    new = tuple(i for i in whole.failed if i not in first.failed)
    if new and not whole.trouble:
        flaky |= _rerun(trees, check, twin, new, reruns)
    kept = tuple(f for f in first.failures if f.id not in whole.failed)
    ids = {f.id for f in kept}
    return replace(
        whole,
        passed=tuple(i for i in whole.passed if i not in ids),
        skipped=tuple(i for i in whole.skipped if i not in ids),
        failed=(*whole.failed, *ids),
        failures=(*whole.failures, *kept),
    ), flaky


def _alone(trees: Trees, check: Check, twin: Prepared, red: Sequence[str]) -> tuple[str, ...]:
    """What to ask for where `red` are tried elsewhere: () = the whole suite, since some of them are green without their neighbours."""
    if not red or not only(red):
        return ()
    result = trees.run(check, twin, only=only(red))
    return () if any(result.state(i) == "passed" for i in red) else only(red)


def _rerun(
    trees: Trees, check: Check, twin: Prepared, red: Sequence[str], reruns: int
) -> dict[tuple[str, str], tuple[int, int]]:
    """Which of `red` also pass: (passes, runs).

    An id that passes alone but is red again in a whole run is not flaky but depends on its neighbours: a fault of the code.
    """
    passes = dict.fromkeys(red, 0)
    for _ in range(reruns):
        again = trees.run(check, twin, only=only(red), again=True)
        for test_id in red:
            passes[test_id] += again.state(test_id) == "passed"
    runs = reruns
    if any(n == reruns for n in passes.values()) and reruns:
        whole = trees.run(check, twin, again=True)
        runs += 1
        for test_id, n in passes.items():
            if n == reruns:
                passes[test_id] = n + 1 if whole.state(test_id) == "passed" else 0
    return {(check.name, test_id): (n, runs) for test_id, n in passes.items() if n}


def _calibrate(
    trees: Trees, check: Check, base: str, user: Repository, red: Sequence[str], asked: Sequence[str]
) -> dict[tuple[str, str], str]:
    """Which reds (or, where the check could not run at all, the check: id "") are green where the ignored files are."""
    missing = _missing(user, check)
    if not missing:
        return {}
    shadow = trees.fresh(base, (check,), "shadow")
    _copy(user.top, shadow.path, missing)
    healed = _healed(trees.run_in(check, shadow.path, only=asked), red)
    if not healed:
        trees.discard(shadow)
        return {}
    needed = _needed(trees, check, base, user, missing, healed, asked)
    why = f"environment: it needs {', '.join(needed)}, {_lacking(user, check, needed)}"
    return {(check.name, i): why for i in healed}


def _healed(result: CheckResult, red: Sequence[str]) -> tuple[str, ...]:
    if result.trouble:
        return ()
    return tuple(i for i in red if result.state(i) == "passed") if red else ("",)


def _lacking(user: Repository, check: Check, needed: Sequence[str]) -> str:
    """Why a clean worktree lacks what is needed, and what to do where something can be done."""
    if any(p == s or p.startswith(f"{s}/") for p in needed for s in user.submodules):
        return "files of a submodule, which clean worktrees lack"
    if set(needed) & set(_filtered(user)):
        return "which a filter of git's writes (Git LFS or the like); clean worktrees have it as it is stored"
    listed = ", ".join(f'"{p}"' for p in needed)
    return f"which git ignores; add include = [{listed}] to [checks.{check.name}]"


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
        if (
            any(p in _REMADE or p.endswith((".egg-info", ".pyc")) for p in parts)
            or file.is_symlink()
            or not file.is_file()
        ):
            continue
        if size + file.stat().st_size > _SHADOW_BYTES:
            continue
        size += file.stat().st_size
        found.append(path)
    return tuple(found)


def _copy(top: Path, tree: Path, paths: Sequence[str]) -> None:
    for path in paths:
        target = tree / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(top / path, target, follow_symlinks=False)


def _needed(
    trees: Trees,
    check: Check,
    base: str,
    user: Repository,
    files: Sequence[str],
    healed: Sequence[str],
    asked: Sequence[str],
) -> tuple[str, ...]:
    """A small part of `files` with which `healed` are still green, by halving; bounded, so it may name more than is needed."""
    wanted = tuple(i for i in healed if i)
    runs = 0

    def heals(part: Sequence[str]) -> bool:
        nonlocal runs
        runs += 1
        shadow = trees.fresh(base, (check,), "shadow")
        _copy(user.top, shadow.path, part)
        ok = set(_healed(trees.run_in(check, shadow.path, only=only(wanted) if asked else ()), wanted)) >= set(healed)
        trees.discard(shadow)
        return ok

    left = tuple(files)
    while len(left) > 1 and runs < _BISECT_RUNS:
        half = len(left) // 2
        smaller = next((part for part in (left[:half], left[half:]) if heals(part)), None)
        if smaller is None:
            break
        left = smaller
    folders = sorted({os.path.commonpath(left)} if len(left) > 5 and os.path.commonpath(left) else left)
    return tuple(folders)
