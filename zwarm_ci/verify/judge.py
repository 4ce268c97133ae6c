"""The only place that makes a Verdict: guards on the patch, then the checks in a clean worktree with the base's tests.

Targets first, in fresh processes, then everything in its own order. The tree with the base's tests laid over the patch is
the oracle; the tree to be delivered runs too where it differs. Whoever made the patch has no part in this.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zwarm_ci.baseline import Baseline, only
from zwarm_ci.detect.graph import gate
from zwarm_ci.private import PrivateRepository
from zwarm_ci.protected import is_protected
from zwarm_ci.task import Check, Task
from zwarm_ci.trees import Grounds, Prepared, Trees
from zwarm_ci.verdict import CheckResult, GuardFinding, Status, Verdict
from zwarm_ci.verify import guards
from zwarm_ci.verify.evidence import Facts, canonical

_SHOWN = 5  # ids named in a one-line reason
_GREEN = "green for the stated cause in a clean worktree, tests untouched"
_NO_TARGET = "nothing that passed fails in a clean worktree; no red test stands for the task, so no cause is proven"


@dataclass(frozen=True, slots=True)
class Court:
    """What stays the same for every judgement of a run."""

    trees: Trees
    base: str
    checks: tuple[Check, ...]
    baseline: Baseline
    rules: guards.Rules
    reruns: int
    burn_in: int

    def grounds(self) -> dict[str, Grounds]:
        """Per check, where and under what its runs take place."""
        return {c.name: self.trees.grounds(c) for c in self.checks}

    def check(self, name: str) -> Check:
        return next(c for c in self.checks if c.name == name)


class Rejected(Exception):  # noqa: N818 - control flow inside this room: a red verdict leaves judge() as a value
    """A reason not to accept, raised where it is found and turned into a Verdict at one place."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


def judge(court: Court, task: Task, tree: str) -> Verdict:
    """The verdict on `tree`, offered as a repair of `task`.

    Raises:
        LimitError: the run's limits ended it.
    """
    started = time.monotonic()
    repo = court.trees.repo
    base_tree = repo.tree_of(court.base)
    patch = guards.Patch(repo, base_tree, tree, tuple(repo.changes(base_tree, tree)), court.rules)
    if not patch.changes:
        return Verdict("no_changes", "the tree is the base's")
    findings = guards.look(patch)
    runs: list[CheckResult] = []
    try:
        _untouched(repo)
        _refuse(findings)
        oracle = repo.overlay(tree, base_tree, lambda p: is_protected(p, court.rules.protect))
        _something_left(oracle, base_tree)
        changed = tuple(c.path for c in patch.changes)
        findings += _try(court, task, oracle, changed, runs)
        if oracle != tree:
            findings += _try(court, task, tree, changed, runs)
        _own_code(runs, changed)
        _untouched(repo)
        findings += tuple(_in_place(c) for c in court.checks if c.isolation == "inplace") + _unseen(court)
    except Rejected as no:
        seconds = time.monotonic() - started
        return Verdict(no.status, no.reason, findings, tuple(runs), seconds=seconds)
    before = court.baseline.result(task.check)
    facts = Facts(
        task, court.base, base_tree, oracle, tree, before, tuple(runs), findings, court.burn_in, court.grounds()
    )
    reason = _GREEN if task.targets else _NO_TARGET
    return Verdict("fixed", reason, findings, tuple(runs), canonical(facts), time.monotonic() - started)


def _untouched(repo: PrivateRepository) -> None:
    """The repository that trees are checked out of is as we made it; a filter put there shows other files than are delivered."""
    if changed := repo.mend():
        raise Rejected("tampered", f"the run's own repository was changed: {_names(changed)}; it was put back")


def _something_left(oracle: str, base_tree: str) -> None:
    if oracle == base_tree:
        raise Rejected("tampered", "nothing is left of the patch once the tests and settings are the base's")


def _in_place(check: Check) -> GuardFinding:
    detail = (
        f"{check.name} ran in the CI checkout reset to the patched tree, not in a clean second one; a draft at most"
    )
    return GuardFinding("isolation", "review", "", None, detail, 'isolation = "twin"')


def _unseen(court: Court) -> tuple[GuardFinding, ...]:
    """Tests that a clean worktree skips though they run in the checkout: they say nothing of the patch."""
    names = [test_id for _, test_id in court.baseline.hidden]
    detail = f"skipped in clean worktrees, though run in the checkout: {_names(names)}"
    return (GuardFinding("environment", "review", "", None, detail, "see `zwarm-ci doctor`"),) if names else ()


def _own_code(runs: Sequence[CheckResult], changed: Sequence[str]) -> None:
    """What the patch changes and the runs imported must have come from the worktree, not from an installed copy."""
    for result in runs:
        for package in result.shadowed:
            if inner := [p for p in changed if p == package or p.startswith(f"{package}/")]:
                raise Rejected(
                    "unverifiable",
                    f"environment: {result.name} imports an installed copy in place of this tree's {inner[0]} "
                    "(install the project with `pip install -e .`)",
                )


def _refuse(findings: Sequence[GuardFinding]) -> None:
    """Turn refusals into a rejection. A patch that leaves the oracle alone but is refused is still `tampered`: a guard said no."""
    refused = [f for f in findings if f.level == "refuse"]
    if refused:
        first = refused[0]
        where = f" {first.path}" if first.path else ""
        more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
        raise Rejected("tampered", f"{first.guard}:{where} {first.detail}{more}; to allow: {first.allow}")


def _try(
    court: Court, task: Task, tree: str, changed: Sequence[str], runs: list[CheckResult]
) -> tuple[GuardFinding, ...]:
    """Targets, burn-in and everything that the change can reach, on one tree; what is seen but not refused comes back as findings.

    In a monorepo that is the changed packages and their dependents, where that can be told; all of it runs on the union.
    """
    trees = court.trees
    found: tuple[GuardFinding, ...] = ()
    with trees.lazily(tree, court.checks, "verify") as prepared:
        own = court.check(task.check)
        if own.is_test and task.targets:
            _targets(court, own, task, prepared())
        reached = gate(prepared().path, court.checks, changed) if len(court.checks) > 1 else None
        others = (c for c in court.checks if c.name != own.name and (reached is None or c.name in reached))
        ordered = [own, *others]
        for check in ordered:
            result = trees.known(tree, check) or trees.run(check, prepared())
            runs.append(result)
            if check is own:
                _must_pass(result, task.targets, check, cut=court.baseline.result(check.name).timed_out)
            found += compare(court, check, result, prepared)
    return found


def _targets(court: Court, check: Check, task: Task, prepared: Prepared) -> None:
    """The targets alone, `burn_in` times in fresh processes; the first red ends it."""
    for _ in range(max(1, court.burn_in)):
        result = court.trees.run(check, prepared, only=only(task.targets), again=True)
        _must_pass(result, task.targets, check)


def _must_pass(result: CheckResult, targets: Sequence[str], check: Check, *, cut: bool = False) -> None:
    """Every target is green; `cut`: the base's own run is ended by the time limit, so that ids may be missing from a whole run."""
    if result.trouble:
        raise Rejected("unverifiable", result.trouble)
    good = {"passed", "absent"} if cut or not check.is_test else {"passed"}
    if red := [t for t in targets if result.state(t) not in good]:
        failure = result.failure(red[0])
        said = f": {failure.message}" if failure and failure.message else f" ({result.state(red[0])})"
        raise Rejected("still_failing", f"{_names(red)} still red{said}")
    if result.timed_out and not cut:
        raise Rejected("still_failing", f"{check.name} was ended after {check.timeout:.0f} s")
    if result.canary is False and not cut:
        raise Rejected("unverifiable", f"runner: the test that must fail was not seen failing by {check.name}")


def compare(
    court: Court, check: Check, result: CheckResult, prepared: Callable[[], Prepared]
) -> tuple[GuardFinding, ...]:
    """Hold a whole run against the base's: nothing that passed may fail or vanish, the count is not lower.

    An id that fails now and passes when run again is chance, and goes to review.

    Raises:
        Rejected: unverifiable or regressed.
    """
    before = court.baseline.result(check.name)
    if before.trouble:
        return ()  # it told nothing before either; the report says so
    if result.trouble:
        raise Rejected("unverifiable", result.trouble)
    if before.canary and result.canary is False and not result.timed_out:
        raise Rejected("unverifiable", f"runner: the test that must fail was not seen failing by {check.name}")
    worse = [i for i in _worse(check, before, result) if not court.baseline.is_flaky(check.name, i)]
    gone = [i for i in worse if result.state(i) == "absent"]
    if result.timed_out:
        # Where the base is ended by the limit too, what never ran tells nothing; a new hang has an id that is red now.
        worse = [i for i in worse if i not in gone] if before.timed_out else worse
        if worse or not before.timed_out:
            raise Rejected(
                "regressed",
                f"{check.name} was ended after {check.timeout:.0f} s: {_names(worse) or 'no test had begun'}",
            )
        return ()
    if gone:
        raise Rejected("regressed", f"{_names(gone)} passed before and did not run now")
    if check.is_test and _total(result) < _total(before):
        raise Rejected("regressed", f"{check.name} ran {_total(result)} tests, {_total(before)} before")
    return _chance(court, check, worse, result, prepared) if worse else ()


def _worse(check: Check, before: CheckResult, result: CheckResult) -> list[str]:
    """Ids that are worse off than on the base, each once."""
    was_red = set(before.failed)
    new = [i for i in result.failed if i not in was_red]
    if not check.is_test:
        return list(dict.fromkeys(new))
    known = set(before.passed)
    lost = [i for i in before.passed if result.state(i) != "passed"]
    return list(dict.fromkeys([*lost, *(i for i in new if i not in known and not _was_hidden(i, before))]))


def _was_hidden(test_id: str, before: CheckResult) -> bool:
    """Whether an id could not be seen on the base, because its module was not collected or nothing was."""
    return (
        before.timed_out
        or test_id.partition("::")[0] in before.failed
        or any(i.endswith("::startup") for i in before.failed)
    )


def _chance(
    court: Court, check: Check, worse: Sequence[str], result: CheckResult, prepared: Callable[[], Prepared]
) -> tuple[GuardFinding, ...]:
    again = [
        court.trees.anew(check, prepared().tree, only=only(worse)) for _ in range(court.reruns if check.is_test else 0)
    ]
    for test_id in worse:
        if not again or any(r.state(test_id) != "passed" for r in again):
            failure = result.failure(test_id)
            said = f": {failure.message}" if failure and failure.message else f" ({result.state(test_id)})"
            raise Rejected(
                "regressed", f"{_names(worse)} passed before{said}" if check.is_test else f"new: {_names(worse)}"
            )
    detail = f"red once and green in {len(again)} fresh runs, in a run of the patched tree"
    return tuple(
        GuardFinding("flaky", "review", i.partition("::")[0], None, f"{i}: {detail}", "look at the test") for i in worse
    )


def _total(result: CheckResult) -> int:
    return len(result.passed) + len(result.failed) + len(result.skipped)


def _names(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    return ", ".join(ids[:_SHOWN]) + more


def judge_union(court: Court, tree: str, tasks: Sequence[Task]) -> tuple[tuple[CheckResult, ...], str]:
    """Run every check on `tree` as it would be delivered: the results, and why it may not be ("" = it may).

    `tasks` are those whose patches are in it: each of their targets must still be green.
    """
    results = []
    changed = court.trees.repo.mend()
    why = f"the run's own repository was changed: {_names(changed)}" if changed else ""
    with court.trees.lazily(tree, court.checks, "union") as prepared:
        for check in court.checks:
            result = court.trees.known(tree, check) or court.trees.run(check, prepared())
            results.append(result)
            try:
                compare(court, check, result, prepared)
                if targets := [i for task in tasks if task.check == check.name for i in task.targets]:
                    _must_pass(result, targets, check, cut=court.baseline.result(check.name).timed_out)
            except Rejected as no:
                why = why or f"{no.status}: {no.reason}"
    return tuple(results), why


__all__ = ["Court", "judge", "judge_union"]
