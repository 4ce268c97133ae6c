"""Tasks at work in parallel, their ends merged in the plan's order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Protocol

from zwarm_ci.budget import Ledger
from zwarm_ci.conclude import not_begun
from zwarm_ci.errors import InterruptedRunError, LimitError, ZwarmError
from zwarm_ci.integrate import ALREADY, Union
from zwarm_ci.loop import CUT, Shop, Solved, solve
from zwarm_ci.selection import Request
from zwarm_ci.stop import STOP
from zwarm_ci.task import Task
from zwarm_ci.verdict import TaskOutcome


class Watch(Protocol):
    """Who is told how a run goes; called from several threads."""

    def begin(self, ledger: Ledger) -> None: ...
    def stage(self, text: str) -> None: ...
    def plan(self, tasks: tuple[Task, ...]) -> None: ...
    def task(self, task: Task, text: str) -> None: ...
    def ended(self, outcome: TaskOutcome) -> None: ...
    def ask(self, question: str) -> bool: ...


def ends(
    request: Request, watch: Watch, shop: Shop, union: Union, tasks: tuple[Task, ...]
) -> Iterator[tuple[TaskOutcome, ...]]:
    """Solve the tasks, `request.parallel` at once, and merge each end into `union` in order.

    Yields:
        After each merge, the outcomes so far.

    Raises:
        InterruptedRunError: the run was stopped; no session is alive.
    """

    def one(number: int, task: Task) -> Solved:
        if request.max_tasks and number >= request.max_tasks:
            return Solved(not_begun(task, request.max_tasks))
        try:
            if union.solves(task):
                return Solved(TaskOutcome(task, "already_green", ALREADY))
            return solve(shop, task, lambda text: watch.task(task, text))
        except LimitError as error:
            return Solved(TaskOutcome(task, "over_budget", error.line))
        except InterruptedRunError:
            return Solved(TaskOutcome(task, "interrupted", CUT))
        except ZwarmError as error:
            return Solved(TaskOutcome(task, "executor_failed", error.line))

    with ThreadPoolExecutor(max_workers=request.at_once, thread_name_prefix="task") as pool:
        futures = [pool.submit(one, number, task) for number, task in enumerate(tasks)]
        yield from merged(watch, union, [future.result for future in futures])


def merged(watch: Watch, union: Union, ends: Sequence[Callable[[], Solved]]) -> Iterator[tuple[TaskOutcome, ...]]:
    """Merge ends of tasks into `union`, in order; each is asked for, and waited for, when it is its turn.

    Yields:
        After each merge, the outcomes so far.

    Raises:
        InterruptedRunError: the run was stopped; every end has come.
    """
    try:
        for end in ends:
            solved = end()
            STOP.check()
            watch.ended(union.add(solved).outcome)
            yield tuple(solved.outcome for solved in union.done)
    except InterruptedRunError:
        yield tuple(_undelivered(end().outcome) for end in ends)  # the stop reached each of them
        raise


def _undelivered(outcome: TaskOutcome) -> TaskOutcome:
    return replace(outcome, status="interrupted", reason=CUT) if outcome.solved else outcome
