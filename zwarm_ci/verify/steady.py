"""Targets in fresh processes until chance is out: burn-in, the doomed run, and the repository's own property tests with new seeds."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence

from zwarm_ci import checks as check_room
from zwarm_ci.baseline import only
from zwarm_ci.task import Check, Task
from zwarm_ci.trees import Prepared
from zwarm_ci.verdict import CheckResult
from zwarm_ci.verify import expected
from zwarm_ci.verify.compare import must_pass, untouched_runner
from zwarm_ci.verify.court import Court, Rejected, names
from zwarm_ci.verify.guards import Patch

#: A clean worktree, made when it is first asked for.
Ready = Callable[[], Prepared]
_UNSTEADY = re.compile(
    r"\b(time|datetime|sleep|threading|asyncio|concurrent|multiprocessing|random|secrets|uuid4?|shuffle|Thread|Lock|socket"
    r"|Date|setTimeout|setInterval|Promise|performance|goroutine|sync|chan|Instant|SystemTime|Mutex|tokio|rand|async|await)\b"
)
_MORE = 3  # times the burn-in for what time, threads or randomness touch
_SEEDS = 3
_HYPOTHESIS = re.compile(r"^[^\S\n]*(?:from|import)\s+hypothesis\b", re.MULTILINE)


def times(court: Court, patch: Patch) -> int:
    """How often the targets run, each time in fresh processes; the run of everything is one of them."""
    touched = any(_UNSTEADY.search(line) for hunk in patch.hunks() for line in (*hunk.old, *hunk.new))
    return max(1, court.burn_in * (_MORE if touched else 1))


def burn_in(court: Court, check: Check, task: Task, patch: Patch, prepared: Prepared, lines: Sequence[str] = ()) -> int:
    """The targets alone, in fresh processes, all but the run of everything; the first red ends it. How often they run in all.

    The last run notes which `lines` it executes. What is red in that run is asked again without: a tracer can get in the way.

    Raises:
        Rejected: still_failing or unverifiable.
    """
    alone = max(1, times(court, patch) - 1)
    for number in range(1, alone + 1):
        traced = tuple(lines) if number == alone else ()
        result = court.trees.run(check, prepared, only=only(task.targets), again=True, lines=traced)
        if traced and not all(result.state(t) == "passed" for t in task.targets):
            result = court.trees.run(check, prepared, only=only(task.targets), again=True)
        must_pass(result, task.targets, check)
        untouched_runner(court, check, result)
    return alone + 1


def doomed(court: Court, check: Check, task: Task, prepared: Prepared) -> bool | None:
    """Whether every target is seen failing in a run in which each is made to fail; None where the kind cannot make it so.

    Raises:
        Rejected: unverifiable, where one is not: something in the tree decides what becomes of it.
    """
    if not only(task.targets):
        return None
    if not check_room.can_doom(check):
        passed = expected.spared(court, check, task.targets, prepared.tree) if court.rules.strict else None
        if passed:
            raise Rejected(
                "unverifiable", f"runner: {names(passed)} passed {check.name}, whatever it was made to expect"
            )
        return None if passed is None else True
    result = court.trees.run(check, prepared, only=only(task.targets), again=True, doom=True)
    if result.trouble:
        raise Rejected("unverifiable", result.trouble)
    tests = [t for t in task.targets if "::" in t and t not in result.modules]
    if spared := [t for t in tests if result.state(t) != "failed"]:
        raise Rejected("unverifiable", f"runner: {names(spared)} made to fail, and not seen failing by {check.name}")
    return bool(tests) or None


def seeded(court: Court, check: Check, patch: Patch, ready: Ready) -> tuple[int, ...]:
    """Run the repository's property tests that have to do with the patch with fresh seeds; the seeds.

    The seeds come from the tree's id: fresh for each patch, the same for the same facts. An id that is red with that seed on the
    base too is none of the patch's.

    Raises:
        Rejected: regressed.
    """
    if check.kind != "pytest" or not (ids := _properties(court, check, patch)):
        return ()
    prepared = ready()
    seeds = tuple(
        int.from_bytes(hashlib.sha256(f"{prepared.tree}{n}".encode()).digest()[:4], "big") for n in range(_SEEDS)
    )
    for seed in seeds:
        result = _with_seed(court, check, prepared, ids, seed)
        red = [i for i in result.failed if i in ids]
        if not red or result.trouble:
            continue
        base = court.trees.fresh(court.base, (check,), "seed")
        before = _with_seed(court, check, base, red, seed)
        court.trees.discard(base)
        if new := [i for i in red if before.state(i) == "passed"]:
            failure = result.failure(new[0])
            said = f": {failure.message}" if failure and failure.message else ""
            raise Rejected("regressed", f"{names(new)} red with the hypothesis seed {seed}, green on the base{said}")
    return seeds


def _with_seed(court: Court, check: Check, prepared: Prepared, ids: Sequence[str], seed: int) -> CheckResult:
    told = {"PYTEST_ADDOPTS": f"--hypothesis-seed={seed}"}
    return court.trees.run_in(check, prepared, only=only(ids), variables=told)


def _properties(court: Court, check: Check, patch: Patch) -> tuple[str, ...]:
    """Ids that passed on the base, of test files that use hypothesis and name a changed module."""
    stems = {re.sub(r"\W", "", c.path.rpartition("/")[2].partition(".")[0]) for c in patch.changes}
    stems |= {c.path.split("/")[-2] for c in patch.changes if c.path.endswith("/__init__.py")}
    passed = court.baseline.result(check.name).passed
    wanted = set()
    for file in dict.fromkeys(i.partition("::")[0] for i in passed):
        text = patch.old(file) if file.endswith(".py") else ""
        if _HYPOTHESIS.search(text) and any(re.search(rf"\b{re.escape(s)}\b", text) for s in stems if s):
            wanted.add(file)
    return tuple(i for i in passed if i.partition("::")[0] in wanted)


def reached(court: Court, check: Check, task: Task, patch: Patch) -> tuple[str, ...]:
    """The ids that a deferred verification runs: those of the targets' files and of test files that name a changed module."""
    before = court.baseline.result(check.name)
    stems = {c.path.rpartition("/")[2].partition(".")[0] for c in patch.changes} - {"__init__", "index", "mod", "lib"}
    stems |= {c.path.split("/")[-2] for c in patch.changes if c.path.count("/") and "__init__" in c.path}
    own = {t.partition("::")[0] for t in task.targets}
    known = (*before.passed, *before.failed)
    for file in dict.fromkeys(i.partition("::")[0] for i in known):
        text = patch.old(file)
        if any(re.search(rf"\b{re.escape(s)}\b", text) for s in stems if s):
            own.add(file)
    return tuple(i for i in known if i.partition("::")[0] in own)
