"""Tasks at work in parallel, their ends merged in the plan's order."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Protocol

from zwarm_ci.budget import Ledger
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
            return Solved(TaskOutcome(task, "over_budget", f"--max-tasks {request.max_tasks}: not begun"))
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
        try:
            for future in futures:
                solved = future.result()
                STOP.check()
                watch.ended(union.add(solved).outcome)
                yield tuple(solved.outcome for solved in union.done)
        except InterruptedRunError:
            yield tuple(map(_undelivered, futures))  # all are at their end: the stop reached each of them
            raise


def _undelivered(future: Future[Solved]) -> TaskOutcome:
    outcome = future.result().outcome
    return replace(outcome, status="interrupted", reason=CUT) if outcome.solved else outcome
