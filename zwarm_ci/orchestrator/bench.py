"""The court of an orchestrated run: made once, in the background, and told everything that was offered; the union of what was accepted.

Verification takes minutes and a host's call must not: work goes on in threads here, and who asks again joins it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from zwarm_ci import baseline as before
from zwarm_ci import codec, environment, selection, survey
from zwarm_ci.baseline import Baseline
from zwarm_ci.errors import BlockedError, UsageError
from zwarm_ci.integrate import Union
from zwarm_ci.loop import Solved
from zwarm_ci.orchestrator import state as states
from zwarm_ci.orchestrator.instance import Instance
from zwarm_ci.orchestrator.record import Judged, outcomes_of
from zwarm_ci.orchestrator.state import Delegated, Hearing
from zwarm_ci.plan import make_task, task_in_words
from zwarm_ci.stop import STOP
from zwarm_ci.task import Check, Failure, Task
from zwarm_ci.verdict import CheckResult, Verdict
from zwarm_ci.verify.judge import Court, judge, judge_union

T = TypeVar("T")
Expects = tuple[str, ...] | None
_BEFORE = "before.json"
_JOBS = 4  # verifications at once; checks share the machine as in any run


@dataclass(frozen=True, slots=True)
class Known:
    """What was found on the base: the checks, what is red, and which checks have the network although nobody said so, and why."""

    checks: tuple[Check, ...]
    baseline: Baseline
    network: Mapping[str, str]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class United:
    """All accepted patches together: the tree, each check on it, why it may not be delivered ("" = it may)."""

    tree: str
    checks: tuple[CheckResult, ...]
    why: str


class Bench:
    """Judges for one run. Safe to use from several threads; `close` ends what is under way."""

    def __init__(self, instance: Instance, tell: Callable[[str], None] = lambda _: None) -> None:
        self._run, self._tell = instance, tell
        self._stack = contextlib.ExitStack()
        self._pool = ThreadPoolExecutor(_JOBS, "bench")
        self._lock = threading.Lock()
        self._jobs: dict[Hashable, Future[Any]] = {}
        self._union: tuple[tuple[str, ...], Union] | None = None

    def court(self, seconds: float) -> Court | None:
        """The court; None = the base is still being looked at after so many seconds.

        Raises:
            BlockedError, LimitError: no check can run, or the time is over.
        """
        return self.job("court", self._convene, seconds)

    def begin(self) -> None:
        """Have the base looked at, in the background."""
        self.court(0.0)

    def ready(self) -> Court | None:
        """The court, if it sits by now; nothing is begun for it."""
        job = self._jobs.get("court")
        return job.result() if job is not None and job.done() and job.exception() is None else None

    def job(self, key: Hashable, work: Callable[[], T], seconds: float) -> T | None:
        """What `work` came to, whoever began it; None = it is still at it after so many seconds. Once it was told, it is forgotten.

        Raises:
            whatever `work` raised.
        """
        with self._lock:
            job: Future[T] = self._jobs.get(key) or self._jobs.setdefault(key, self._pool.submit(work))
        done, _ = wait_for([job], timeout=max(0.0, seconds))
        if not done:
            return None
        if key != "court" or job.exception() is not None:
            with self._lock:
                self._jobs.pop(key, None)
        return job.result()

    def busy(self) -> int:
        """Jobs under way."""
        with self._lock:
            return sum(not job.done() for job in self._jobs.values())

    def _convene(self) -> Court:
        run = self._run
        request, site, facts, settings = run.request, run.site, run.facts, run.settings
        trees = self._stack.enter_context(survey.workroom(request, site, facts, self._tell))
        document = run.state.before
        if document[0]:
            known = codec.from_data(Known, states.fetch(run.book.folder, document))
            environment.adopt_variables(site.user.top, known.checks)
            for check in known.checks:
                if check.name in known.network:
                    trees.surroundings.allow_network(check, known.network[check.name])
                trees.remember(site.private.tree_of(facts.base), check, known.baseline.result(check.name))
        else:
            checks, notes = selection.look(request, settings, trees, facts.base)
            environment.adopt_variables(site.user.top, checks)
            found = before.establish(
                trees, checks, facts.base, site.user, reruns=settings.verify.reruns,
                same_as_tree=selection.same_as_tree(request), tell=self._tell,
            )  # fmt: skip
            checks, serial = before.serialised(trees, checks, found, facts.base, self._tell)
            found = replace(found, results=tuple(replace(r, log="") for r in found.results))
            known = Known(checks, found, dict(trees.surroundings.allowed), (*notes, *found.notes, *serial))
            kept = run.book.keep(_BEFORE, known)
            run.book.change(lambda s: replace(s, before=kept))
        facts.notes = known.notes
        facts.before = facts.after = known.baseline.results
        if all(r.trouble for r in known.baseline.results):
            first = known.baseline.results[0]
            raise BlockedError(f"no check can run: {first.name}: {first.trouble}", remedy="see `zwarm-ci doctor`")
        return selection.court(trees, settings, facts.base, known.checks, known.baseline)

    def hear(self, court: Court, session: Delegated, turn: int, tree: str, expects: Expects) -> Hearing:
        """Judge one tree of a session and write down what was said; the targets of each check by themselves.

        Raises:
            UsageError: what is expected names nothing that is red. LimitError: the run's time is over.
        """
        judged = []
        for task in tasks_of(court, session, expects, self._run.state.asked.words):
            verdict = judge(court, task, tree)
            judged.append(Judged(task, verdict, () if verdict.accepted else _errors(court, task, tree, verdict)))
            if not judged[-1].verdict.accepted:
                break
        last = judged[-1].verdict
        number = len(self._run.state.session(session.id).hearings) + 1
        kept = self._run.book.keep(f"verdict-{session.id}-{number}.json", tuple(judged))
        seconds = round(sum(j.verdict.seconds for j in judged), 3)
        made = Hearing(turn, tree, expects, last.status, last.reason, seconds, kept)
        self._run.book.change(
            lambda s: s.with_session(replace(s.session(session.id), hearings=(*s.session(session.id).hearings, made)))
        )
        self._run.site.journal.write(
            "verdict", task=f"task-{session.number}", session=session.id, turn=turn, status=last.status, tree=tree
        )
        return made

    def heard(self, hearing: Hearing) -> tuple[Judged, ...]:
        """Everything that was said then."""
        if not hearing.document[0]:  # there was nothing to judge
            return ()
        data = states.fetch(self._run.book.folder, hearing.document)
        return codec.from_data(tuple[Judged, ...], data)

    def union(self, court: Court) -> Union:
        """The base with every accepted patch, merged in the order of acceptance."""
        order = self._run.state.accepted
        with self._lock:
            if self._union and self._union[0] == order:
                return self._union[1]
        union = Union(court, court.trees.repo.tree_of(court.base))
        for session_id in order:
            self.add(union, self._run.state.session(session_id))
        with self._lock:
            self._union = (order, union)
        return union

    def add(self, union: Union, session: Delegated) -> list[Solved]:
        """Merge one session's verified patch; what each of its tasks became."""
        hearing = session.last
        assert hearing is not None
        made = []
        for outcome, verdict in outcomes_of(self._run.state, session, self.heard(hearing)):
            made.append(union.add(Solved(outcome, hearing.tree, verdict.evidence, onto=session.base)))
        return made

    def keep_union(self, order: tuple[str, ...]) -> None:
        """What was merged into the union is accepted now."""
        with self._lock:
            if self._union:
                self._union = (order, self._union[1])

    def forget(self) -> None:
        """What was merged into the union is not accepted: it is made anew when it is wanted."""
        with self._lock:
            self._union = None

    def unite(self, court: Court) -> United:
        """Run every check on all accepted patches together, as they would be delivered."""
        union = self.union(court)
        tasks = [union.done[index].outcome.task for index, _ in union.steps]
        checks, why, _ = judge_union(court, union.tree, tasks)
        self._run.facts.after = checks
        return United(union.tree, checks, why)

    def close(self) -> None:
        """End what is under way, and what surrounded the checks."""
        ours = bool(self.busy()) and not STOP.signum
        if ours:
            STOP.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        if ours:
            STOP.clear()
        self._stack.close()


def _errors(court: Court, task: Task, tree: str, verdict: Verdict) -> tuple[Failure, ...]:
    """The errors of the run that speaks against a patch: of its targets, else of what passed on the base."""
    runs = (*reversed(court.trees.seen(tree, court.check(task.check))), *reversed(verdict.checks))
    found = {f.id: f for run in runs for f in reversed(run.failures)}
    before = set(court.baseline.result(task.check).failed)
    worse = [f for i, f in found.items() if i not in before or i in task.targets]
    return tuple(sorted(worse, key=lambda f: f.id not in task.targets))


def red(court: Court, united: Sequence[CheckResult]) -> list[tuple[str, str]]:
    """(check, id) of what is red there by fault of the code: not by chance, not for the environment's sake."""
    found: list[tuple[str, str]] = []
    for result in united:
        excused = {
            i for i in result.failed
            if court.baseline.is_flaky(result.name, i) or (result.name, i) in court.baseline.environment
        }  # fmt: skip
        found += [(result.name, i) for i in result.failed if i not in excused]
        if result.trouble and not court.baseline.result(result.name).trouble:
            found.append((result.name, result.trouble))
    return found


def tasks_of(court: Court, session: Delegated, expects: Expects, words: str) -> tuple[Task, ...]:
    """What a session's patch is held to, check by check; nothing but that nothing gets worse where no red id stands for it.

    `expects` names checks, ids, files or folders; None = all that is red on the base.

    Raises:
        UsageError: it names nothing that is red there.
    """
    base, name = court.baseline, f"task-{session.number}"
    wanted = [e.removeprefix("./").rstrip("/") for e in expects or ()]
    for one in wanted:
        if not any(
            _is_meant(check, failure.id, one) for check in court.checks for failure in base.failures(check.name)
        ):
            shown = ", ".join(f.id for c in court.checks for f in base.failures(c.name)[:3])
            remedy = f"red there: {shown}" if shown else "nothing is red there; leave `expects` out or give []"
            raise UsageError(f"{one!r} is not red on the base", remedy=remedy)
    found: list[Task] = []
    for check in court.checks:
        failures = [
            f
            for f in base.failures(check.name)
            if expects is None or any(_is_meant(check, f.id, one) for one in wanted)
        ]
        if failures:
            found.append(make_task(name if not found else f"{name}-{check.name}", check, failures))
    if found:
        return tuple(found)
    # Of what a model wrote, which has read who knows what, no path may be changed for being named; of a person's words it may.
    asked = task_in_words(words or session.task, court.checks)
    own = (*(c for c in court.checks if c.is_test), *court.checks)[0]
    return (replace(asked, id=name, title=session.title, check=own.name, quoted=not words),)


def _is_meant(check: Check, test_id: str, wanted: str) -> bool:
    return wanted in {check.name, test_id} or test_id.startswith(
        (f"{wanted}::", f"{wanted}[", f"{wanted}/", f"{wanted}:")
    )
