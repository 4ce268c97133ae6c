"""Verified patches -> one branch in a fixed order; what an earlier patch solved already; the union verified, the odd one out found.

The order is the plan's, whatever the order in which sessions end, so that the same inputs give the same trees.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from zwarm_ci.baseline import only
from zwarm_ci.loop import Solved
from zwarm_ci.task import Task
from zwarm_ci.trees import Trees
from zwarm_ci.verdict import CheckResult, Status, TaskOutcome
from zwarm_ci.verify.judge import Court, judge_union

Red = tuple[str, str]  # (check, id) that is worse on the union


@dataclass(slots=True)
class Union:
    """The base with the patches merged so far. `tree` may be read by any thread; only one adds."""

    court: Court
    tree: str
    steps: list[tuple[int, str]] = field(default_factory=list)  # (index in `done`, tree after it)
    done: list[Solved] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def trees(self) -> Trees:
        return self.court.trees

    def solves(self, task: Task) -> bool:
        """Whether the patches merged so far make all targets of `task` green; nothing is run while there are none.

        A task without targets, such as one in words, is solved by no patch but its own.
        """
        with self._lock:
            tree = self.tree
        if not task.targets or tree == self.trees.repo.tree_of(self.court.base):
            return False
        check = self.court.check(task.check)
        known = self.trees.known(tree, check)
        if known is None:
            prepared = self.trees.fresh(tree, (check,), "merge")
            known = self.trees.run(check, prepared, only=only(task.targets))
            self.trees.discard(prepared)
        return targets_green(known, task, is_test=check.is_test)

    def add(self, solved: Solved) -> Solved:
        """Merge the next task's end, in plan order, and say what it became."""
        outcome = solved.outcome
        if solved.tree:
            solved = (
                Solved(outcome.with_status("already_green", ALREADY))
                if self.solves(outcome.task)
                else self._merge(solved)
            )
        self.done.append(solved)
        return solved

    def _merge(self, solved: Solved) -> Solved:
        repo = self.trees.repo
        patch = repo.patch(repo.tree_of(solved.onto or self.court.base), solved.tree)
        merged = repo.apply(self.tree, patch)
        if merged is None:
            why = "verified alone, but it touches the same lines as an earlier patch of this run; run again after taking that one"
            return Solved(solved.outcome.with_status("conflict", why), solved.tree, solved.evidence)
        with self._lock:
            self.tree = merged
        self.steps.append((len(self.done), merged))
        return solved


ALREADY = "an earlier task's patch makes it pass"


def targets_green(result: CheckResult, task: Task, *, is_test: bool) -> bool:
    """Whether a run shows every target of a task green; a linter's id is green when it is gone."""
    if result.trouble or result.timed_out or result.canary is False:
        return False
    if is_test:
        return all(result.state(t) == "passed" for t in task.targets)
    return all(result.state(t) != "failed" for t in task.targets)


def settle(union: Union) -> tuple[tuple[CheckResult, ...], tuple[TaskOutcome, ...]]:
    """Verify the union; while it is worse than the base, set aside the patch that makes it so.

    Returns:
        The checks on the final tree, and all outcomes in plan order. `union.steps` and `union.tree` are those of the end.
    """
    while True:
        tasks = [union.done[index].outcome.task for index, _ in union.steps]
        results, why, red = judge_union(union.court, union.tree, tasks)
        if not why or not union.steps:
            break
        guilty = _odd_one_out(union, red)
        index = union.steps[guilty][0]
        aside = union.done[index]
        status, said = _whose(union, aside, red, why)
        union.done[index] = Solved(aside.outcome.with_status(status, said), aside.tree, aside.evidence)
        _rebuild(union)
    outcomes = []
    for solved in union.done:
        outcome = solved.outcome
        if outcome.status != "fixed":
            outcome = _look_again(union, outcome, results)
        outcomes.append(outcome)
    return results, tuple(outcomes)


def _odd_one_out(union: Union, red: Sequence[Red]) -> int:
    """The index of the step with which the union goes wrong first, by bisection; just the red ids run, where they are known."""
    low, high = 0, len(union.steps) - 1
    while low < high:
        middle = (low + high) // 2
        if _wrong(union, union.steps[middle][1], middle + 1, red):
            high = middle
        else:
            low = middle + 1
    return low


def _wrong(union: Union, tree: str, steps: int, red: Sequence[Red]) -> bool:
    """Whether the union of the first `steps` patches may not be delivered either."""
    tasks = [union.done[index].outcome.task for index, _ in union.steps[:steps]]
    if not red:
        return bool(judge_union(union.court, tree, tasks)[1])
    own = {(task.check, target) for task in tasks for target in task.targets}
    return any(_is_red(union, tree, check, ids, own) for check, ids in _by_check(red).items())


def _is_red(union: Union, tree: str, name: str, ids: Sequence[str], own: Collection[Red]) -> bool:
    """Whether any of `ids`, red on the whole union, is wrong on `tree`: worse than on the base, or a target of a patch in it."""
    check, before = union.court.check(name), union.court.baseline.result(name)
    ids = [i for i in ids if before.state(i) != "failed" or (name, i) in own]
    if not ids:
        return False
    result = union.trees.anew(check, tree, only=only(ids) if check.is_test else ())
    if check.is_test:
        return bool(result.trouble) or any(result.state(i) != "passed" for i in ids)
    return any(result.state(i) == "failed" for i in ids)


def _whose(union: Union, aside: Solved, red: Sequence[Red], why: str) -> tuple[Status, str]:
    """What the patch that is set aside became: it is wrong by itself, or only beside the others."""
    own = {(aside.outcome.task.check, t) for t in aside.outcome.task.targets}
    alone = bool(red) and any(_is_red(union, aside.tree, c, ids, own) for c, ids in _by_check(red).items())
    return (
        ("regressed", why.removeprefix("regressed: "))
        if alone
        else ("conflict", f"verified alone, not together: {why}")
    )


def _by_check(red: Sequence[Red]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for check, test_id in red:
        found.setdefault(check, []).append(test_id)
    return found


def _rebuild(union: Union) -> None:
    """Merge again, from the base, what is still `fixed`."""
    done, union.done, union.steps = union.done, [], []
    union.tree = union.trees.repo.tree_of(union.court.base)
    for solved in done:
        if solved.outcome.status == "fixed":
            union.done.append(union._merge(solved))  # noqa: SLF001 - the same room
        else:
            union.done.append(solved)


def _look_again(union: Union, outcome: TaskOutcome, results: Sequence[CheckResult]) -> TaskOutcome:
    """A task without a patch of its own is solved if, and only if, the final tree shows its targets green."""
    check = union.court.check(outcome.task.check)
    result = next(r for r in results if r.name == check.name)
    green = bool(union.steps and outcome.task.targets) and targets_green(result, outcome.task, is_test=check.is_test)
    if green:
        return replace(outcome, status="already_green", reason=ALREADY, patch=None, commit=None)
    if outcome.status == "already_green":
        return replace(outcome, status="still_failing", reason="green for a while, red again with all patches together")
    return outcome
