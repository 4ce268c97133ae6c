"""The end of an orchestrated run, made by code: accepted patches verified together, one branch, and the record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from zwarm_ci import pipeline, selection
from zwarm_ci import site as places
from zwarm_ci.conclude import conclude, unrepairable
from zwarm_ci.errors import BlockedError, LimitError
from zwarm_ci.orchestrator import record
from zwarm_ci.orchestrator.bench import Bench
from zwarm_ci.orchestrator.instance import Instance
from zwarm_ci.pipeline import Finished
from zwarm_ci.reports.write import write_all
from zwarm_ci.stop import STOP
from zwarm_ci.task import Task
from zwarm_ci.tracing.export import exported
from zwarm_ci.verdict import Attempt, TaskOutcome
from zwarm_ci.verify.judge import Court


class Quiet:
    """A `Watch` whom nobody hears."""

    def begin(self, ledger: object) -> None:
        """Nothing."""

    def stage(self, text: str) -> None:
        """Nothing."""

    def plan(self, tasks: tuple[Task, ...]) -> None:
        """Nothing."""

    def task(self, task: Task, text: str) -> None:
        """Nothing."""

    def ended(self, outcome: TaskOutcome) -> None:
        """Nothing."""

    def ask(self, question: str) -> bool:
        """Yes: who wants to be asked is asked when a session begins."""
        return True


def finish(
    run: Instance,
    bench: Bench,
    *,
    interrupted: int = 0,
    stopped: str = "",
    blocked: str = "",
    host: Sequence[Attempt] = (),
) -> Finished:
    """Deliver what was accepted and write the run's record. No session is running any more.

    `interrupted` is the exit code of the signal that ended it, `stopped` the limit or watcher that did, `blocked` what it waits
    for; `host` is what the one who planned used.

    Raises:
        InterruptedRunError: it was stopped meanwhile.
    """
    state, facts = run.state, run.facts
    court = bench.ready()
    try:
        if not interrupted:
            if state.accepted or state.before[0]:
                court = bench.court(_EVER)
            if court is not None:
                _deliver(run, bench, court)
    except BlockedError as error:
        blocked = blocked or error.line
    except LimitError as error:
        stopped = stopped or error.line
    used = {s.id for i in run.state.accepted for s in record.line_of(run.state, run.state.session(i))}
    told = [*facts.tasks]
    if court is not None:
        told += record.remaining(court, facts.after, told, run.state, used)
    if own := record.whole(run.state, court, told, used, host, run.request.words):
        told.append(own)
    facts.tasks = tuple(told)
    facts.stopped = stopped or facts.stopped
    outcome = conclude(facts, interrupted=interrupted, blocked=blocked)
    write_all(outcome, run.site.folder)
    run.save_clock()
    run.book.change(lambda s: replace(s, concluded=True))
    places.end(run.site, outcome.status, outcome.exit_code)
    outcome = exported(outcome, run.site.folder, run.settings.weave.project)
    return Finished(outcome, run.site.folder, run.user)


_EVER = 7 * 24 * 3600.0  # the run's own limits end it before


def _deliver(run: Instance, bench: Bench, court: Court) -> None:
    """Files, one branch and, where that was asked for, the working tree. A run that goes on afterwards gets a branch of its own each time."""
    STOP.check()
    number = run.state.deliveries
    request = run.request
    if number:
        name = selection.branch_name(request, run.site.run)
        request = replace(request, branch=f"{name}-{number + 1}")
    aside = unrepairable(court.checks, court.baseline)
    pipeline.hand_over(request, Quiet(), run.site, run.facts, bench.union(court), aside)
    if run.facts.branch:
        run.book.change(lambda s: replace(s, deliveries=number + 1))
