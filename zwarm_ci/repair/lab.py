"""The bench of one repair: a pooled scratch worktree in which trees are tried, answers known by tree id, time and runs counted.

An answer has three values: green, red (the same failures as on the base), or unresolved (any other trouble).
"""

from __future__ import annotations

import contextlib
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from zwarm_ci import setups
from zwarm_ci.checks import run_check
from zwarm_ci.checks.base import Around
from zwarm_ci.confine import Means
from zwarm_ci.environment import Environment
from zwarm_ci.files import locked
from zwarm_ci.furnish import Furnisher, Outfit
from zwarm_ci.private import PrivateRepository, Worktree
from zwarm_ci.protected import is_notes, is_protected
from zwarm_ci.repair.archive import Archive
from zwarm_ci.surround import Surroundings
from zwarm_ci.task import TEST_KINDS, Check, Failure, Origin, Task
from zwarm_ci.verdict import CheckResult, Method

_HEARTBEAT = 20.0  # seconds; a running suite says that it runs, so that only our own hang counts as silence
_HUNG = 20.0  # seconds for ids that hang on the base: nothing says how long they take where they do not
_BLIND_SECONDS, _BLIND_RUNS = (
    60.0,
    12,
)  # what a search by exit code alone is given: seconds, or that many runs of the check
_SYMBOLIC = frozenset(
    "AttributeError ImportError IndentationError ModuleNotFoundError NameError SyntaxError TypeError UnboundLocalError".split()
)


class Answer(Enum):
    """What the targets said of a tree."""

    GREEN = "green"
    RED = "red"
    UNRESOLVED = "unresolved"


class OutOfTimeError(Exception):
    """The share of time that a method was given is used up; the method says so and the next one begins."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """What one method came to: a tree that would do, or in one sentence why there is none. `tree` "" = none."""

    message: str
    tree: str = ""
    method: Method | None = None
    origin: Origin | None = None
    attributed: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """What is to be repaired, and what may not be touched. `refused` are trees that verification has refused already."""

    task: Task
    check: Check
    base: str
    protect: tuple[str, ...] = ()
    refused: frozenset[str] = frozenset()

    def untouchable(self, path: str) -> bool:
        """Whether the base's version of `path` always stays."""
        return is_protected(path, self.protect) or is_notes(path)


def _unconfined() -> Surroundings:
    return Surroundings(secrets.token_hex(8), Means("none", "a search is no verdict"))


@dataclass(slots=True)
class Lab:
    """Trees tried in one worktree below `scratch`. `tell(text, runs)` is called before every run; `deadline` is monotonic time."""

    furnisher: Furnisher
    subject: Subject
    scratch: Path
    deadline: float
    tell: Callable[[str, int], None]
    runs: int = 0
    outfit: Outfit | None = None
    archive: Archive | None = None
    cohort: tuple[str, ...] = ()
    lock: Path | None = None
    surroundings: Surroundings = field(default_factory=_unconfined)
    _worktree: Worktree | None = None
    _standing: str = ""
    _key: str = ""
    _known: dict[tuple[str, tuple[str, ...]], CheckResult] = field(default_factory=dict)
    _baseline: CheckResult | None = None

    @property
    def repo(self) -> PrivateRepository:
        """The run's private repository."""
        return self.furnisher.repo

    @property
    def env(self) -> Environment:
        """The environment mapped onto the scratch worktree, or the checkout's own before there is one."""
        return self.outfit.env if self.outfit else self.furnisher.env_of(self.subject.check.workdir)

    @property
    def trouble(self) -> str:
        """Why the check cannot be believed here; "" = it can."""
        return self.outfit.trouble if self.outfit else ""

    @property
    def base_tree(self) -> str:
        """The tree under repair."""
        return self.repo.tree_of(self.subject.base)

    @property
    def targets(self) -> tuple[str, ...]:
        """The ids that must become green."""
        return self.subject.task.targets

    def left(self) -> float:
        """Seconds until the deadline.

        Raises:
            OutOfTimeError: there are none.
        """
        seconds = self.deadline - time.monotonic()
        if seconds <= 0:
            raise OutOfTimeError
        return seconds

    def stand(self, tree: str) -> Worktree:
        """The scratch worktree with exactly `tree` in it, furnished for the check."""
        if self._worktree is None:
            self._worktree = self._furnish()
        if self._standing != tree:
            self._standing = ""
            self._restand(self._worktree, tree)
            self._standing = tree
        return self._worktree

    def count(self, why: str) -> None:
        """One more process that runs tests."""
        self.runs += 1
        self.tell(why, self.runs)

    def stand_tree(self) -> str:
        """The tree id of what stands in the scratch worktree now."""
        if self._worktree is None:
            return self.base_tree
        return self._worktree.tree()

    def disturbed(self) -> None:
        """Say that the files standing there were edited by other means than `stand`."""
        self._standing = ""

    def close(self) -> None:
        """Give the scratch worktree back."""
        if self._worktree is not None:
            self.surroundings.close()
            self.repo.git.run("worktree", "remove", "--force", str(self._worktree.path), check=False)
            self._worktree = None

    def run(
        self, tree: str, only: Sequence[str] = (), *, why: str, again: bool = False, limit: float = 0.0
    ) -> CheckResult:
        """The check on `tree`, for the ids in `only` where the check can choose; known answers cost nothing unless `again`.

        Raises:
            OutOfTimeError: no time is left, or the time that was left ended the run.
        """
        key = (tree, tuple(only))
        if not again and key in self._known:
            return self._known[key]
        left = self.left()
        folder = self.stand(tree).path
        self.count(why)
        wanted = min(limit or self.subject.check.timeout, self.subject.check.timeout)
        with _Heartbeat(lambda: self.tell(f"{why}: still running", self.runs)):
            result = self._check(folder, only, min(wanted, left))
        self._standing = ""  # what a run leaves behind must not meet the next one
        if result.timed_out and left < wanted:
            raise OutOfTimeError
        self._known[key] = result
        return result

    def _check(self, folder: Path, only: Sequence[str], timeout: float) -> CheckResult:
        check = self.subject.check
        if self.trouble:
            return CheckResult(check.name, check.run, None, trouble=self.trouble)
        around, trouble = self.surrounded(folder)
        if trouble:
            return CheckResult(check.name, check.run, None, trouble=trouble)
        with self.turn():
            return run_check(
                check, folder, env=self.env, scratch=self.scratch, only=only, timeout=timeout, around=around
            )

    def surrounded(self, folder: Path) -> tuple[Around, str]:
        """What the check runs with in `folder`: a slot, its services. The network is the machine's: nothing is judged here."""
        return self.surroundings.around(self.subject.check, folder, self.env, self.scratch)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """The right to run the check now: an exclusive one waits for those of other sessions and of the verification."""
        if self.lock is None or not self.subject.check.exclusive:
            yield
            return
        with (
            _Heartbeat(lambda: self.tell("waiting for another run of an exclusive check", self.runs)),
            locked(self.lock),
        ):
            yield

    def shared(self, tree: str, only: Sequence[str] = (), *, why: str, limit: float = 0.0) -> CheckResult:
        """Like `run`, but an answer that another session of the run has, or is about to have, is taken from it."""
        if self.archive is None:
            return self.run(tree, only, why=why, limit=limit)
        name = self.subject.check.name
        with (
            _Heartbeat(lambda: self.tell(f"{why}: waiting for another session's run", self.runs)),
            self.archive.alone(tree, name, only),
        ):
            result = self.archive.get(tree, name, only)
            if result is None:
                result = self.run(tree, only, why=why, limit=limit)
                self.archive.put(tree, only, result)
        return result

    def answer_of_source(self, tree: str, *, why: str) -> Answer:
        """What the targets say of an older source, asked together with the other red ids, so that one run answers for every task."""
        hung = any(_hung(f) for f in self.subject.task.failures)
        if hung or not set(self.targets) <= set(self.cohort):
            return self.answer(tree, why=why)
        before = self.baseline()
        limit = max(20.0, 8 * before.seconds * len(self.cohort) / len(self.targets))
        return read(self.shared(tree, self.cohort, why=why, limit=limit), before, self.subject)

    def baseline(self) -> CheckResult:
        """The targets on the base, run here: what red looks like."""
        if self._baseline is None:
            limit = _HUNG if any(_hung(f) for f in self.subject.task.failures) else 0.0
            self._baseline = self.run(self.base_tree, self.targets, why="the failing ids on the base", limit=limit)
            if self.subject.check.kind == "generic":  # one exit code for everything tells little of what a change did
                enough = max(_BLIND_SECONDS, _BLIND_RUNS * self._baseline.seconds)
                self.deadline = min(self.deadline, time.monotonic() + enough)
        return self._baseline

    def answer(self, tree: str, *, why: str, again: bool = False) -> Answer:
        """What the targets say of `tree`."""
        before = self.baseline()
        # A hang in some tree must not cost the check's whole limit.
        limit = _HUNG if before.timed_out else max(10.0, 8 * before.seconds)
        return read(self.run(tree, self.targets, why=why, again=again, limit=limit), before, self.subject)

    def newly_red(self, tree: str) -> list[str]:
        """Ids that pass on the base and fail, or are gone, on `tree`; the whole check runs on each once, what differs twice."""
        after = self.run(tree, why="the whole check on the result")
        if after.trouble:
            return [after.trouble]
        if self.baseline().timed_out:  # the whole check would hang on the base: ask it for what is red on the result
            before = (
                self.run(self.base_tree, after.failed, why="on the base what is red on the result")
                if after.failed
                else after
            )
        else:
            before = self.shared(self.base_tree, why="the whole check on the base")
        if self.subject.check.kind in TEST_KINDS:
            lost = [i for i in before.passed if after.state(i) in {"failed", "absent"}]
        else:
            lost = [i for i in after.failed if before.state(i) != "failed"]
        if not lost:
            return []
        once_more = self.run(tree, lost, why="what went red, once more", again=True)
        return [i for i in lost if once_more.state(i) in {"failed", "absent"}]

    def _furnish(self) -> Worktree:
        # The last folder has the repository's own name: flat packages and some tests go by it.
        path = self.scratch / f"lab-{self.subject.task.id}" / self.furnisher.name
        worktree = self.repo.worktree(self.subject.base, path)
        self._fit(worktree, self.base_tree)
        self._standing = self.base_tree
        return worktree

    def _restand(self, worktree: Worktree, tree: str) -> None:
        """Another tree in the same worktree; what a set-up made stays while what it reads is the same."""
        check = self.subject.check
        made_inside = bool(check.setup) and self.env.top == self.furnisher.top
        kept = made_inside and self._key == setups.key_of(self.repo, check, tree, self.env)
        worktree.reset(tree, ignored=not kept)
        if not kept:
            self._fit(worktree, tree)

    def _fit(self, worktree: Worktree, tree: str) -> None:
        """Make the worktree ready for the check on `tree`."""
        check = self.subject.check
        self.outfit = self.furnisher.furnish((check,), worktree.path, tree, self.scratch)[check.name]
        self._key = setups.key_of(self.repo, check, tree, self.env) if check.setup else ""


def read(result: CheckResult, before: CheckResult, subject: Subject) -> Answer:
    """`result` for the targets as one of three values, `before` being the same targets on the base."""
    if result.trouble:
        return Answer.UNRESOLVED
    tests = subject.check.kind in TEST_KINDS
    red = False
    for target in subject.task.targets:
        state = result.state(target)
        if state == "failed":
            if signature(result.failure(target)) != signature(before.failure(target)):
                return Answer.UNRESOLVED
            red = True
        elif tests and state != "passed":
            return Answer.UNRESOLVED
    if not tests and set(result.failed) - set(before.failed):
        return Answer.UNRESOLVED  # another complaint of the tool: a tree that does not parse has no style errors
    return Answer.RED if red else Answer.GREEN


def signature(failure: Failure | None) -> tuple[str, str, str]:
    """What makes two failures of an id the same: shape, file, and for missing or misused names the message, numbers aside."""
    if failure is None:
        return ("", "", "")
    told = re.sub(r"0x[0-9a-fA-F]+|\d+", "#", failure.message) if failure.shape in _SYMBOLIC else ""
    return (failure.shape, failure.place.path if failure.place else "", told)


def _hung(failure: Failure) -> bool:
    return "timed out" in failure.message


class _Heartbeat:
    """Calls `beat` every `_HEARTBEAT` seconds while inside."""

    def __init__(self, beat: Callable[[], None]) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(beat,), daemon=True)

    def _run(self, beat: Callable[[], None]) -> None:
        while not self._over.wait(_HEARTBEAT):
            beat()

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
