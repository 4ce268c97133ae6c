"""Clean worktrees made ready for checks, and checks run in them: counted, within the limits, never twice for the same content.

A result is known by tree id, check and ids asked for; asking again for the same costs nothing unless a fresh process is wanted.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from zwarm_ci import environment
from zwarm_ci.budget import Ledger
from zwarm_ci.checks import run_check, run_setup
from zwarm_ci.environment import Environment
from zwarm_ci.errors import LimitError
from zwarm_ci.git import PrivateRepository, Worktree
from zwarm_ci.task import Check
from zwarm_ci.verdict import CheckResult


@dataclass(frozen=True, slots=True)
class Prepared:
    """A worktree at one tree, with dependencies linked, included files copied and `setup` run. `trouble` by check name."""

    worktree: Worktree
    tree: str
    trouble: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The folder that checks run in."""
        return self.worktree.path


class _Slots:
    """Checks share the machine, but an exclusive one has it alone."""

    def __init__(self) -> None:
        self._free = threading.Condition()
        self._shared = 0
        self._alone = False

    @contextlib.contextmanager
    def held(self, *, alone: bool) -> Iterator[None]:
        with self._free:
            self._free.wait_for(lambda: not self._alone and not (alone and self._shared))
            self._alone, self._shared = alone, self._shared + (not alone)
        try:
            yield
        finally:
            with self._free:
                self._alone, self._shared = self._alone and not alone, self._shared - (not alone)
                self._free.notify_all()


class Trees:
    """Worktrees of one run below `scratch`, and the checks in them."""

    def __init__(self, repo: PrivateRepository, env: Environment, scratch: Path, ledger: Ledger, logs: Path) -> None:
        self.repo, self.env, self.scratch, self.ledger, self.logs = repo, env, scratch, ledger, logs
        self._numbers = itertools.count(1)
        self._known: dict[tuple[str, str, tuple[str, ...]], CheckResult] = {}
        self._slots = _Slots()

    def fresh(self, rev: str, checks: Sequence[Check], label: str) -> Prepared:
        """A clean worktree of a commit or tree, in which `setup` of `checks` has run.

        Its last folder has the repository's own name, since flat packages and some tests go by it.
        """
        tree = self.repo.tree_of(rev)
        commit = (
            rev
            if self.repo.git.ask("cat-file", "-t", rev) == "commit"
            else self.repo.commit(tree, [], "tree\n", date="@0 +0000")
        )
        path = self.scratch / f"{label}{next(self._numbers)}" / (self.env.top.name or "repository")
        worktree = self.repo.worktree(commit, path)
        environment.link_dependencies(self.env, path)
        trouble = {}
        for check in checks:
            environment.copy_included(self.env, check, path)
            if said := run_setup(check, path, env=self.env, scratch=self._place(check, label)):
                trouble[check.name] = said
        return Prepared(worktree, tree, trouble)

    def run(
        self, check: Check, prepared: Prepared, *, only: Sequence[str] = (), again: bool = False, canary: bool = True
    ) -> CheckResult:
        """Run a check there, or say what is known of the same content (`again` = a new process in any case).

        Raises:
            LimitError: the run's limits leave no time, or ended the check.
        """
        key = (prepared.tree, check.name, tuple(only))
        if not again and key in self._known:
            return self._known[key]
        if trouble := prepared.trouble.get(check.name):
            return CheckResult(check.name, check.run, None, trouble=trouble)
        result = self._restored(self.run_in(check, prepared.path, only=only, canary=canary), check, prepared)
        self._known[key] = result
        return result

    def _restored(self, result: CheckResult, check: Check, prepared: Prepared) -> CheckResult:
        """Take back what the check did to files that are not ignored; a linter that edits what it should judge is not believed."""
        left = prepared.worktree.tree()
        if left == prepared.tree:
            return result
        changed = self.repo.changes(prepared.tree, left)[0].path
        prepared.worktree.reset(prepared.tree, ignored=False)
        if check.is_test or result.trouble:
            return result
        return replace(
            result, trouble=f"check: `{check.run}` edits files ({changed}) instead of reporting (make it report only)"
        )

    def run_in(self, check: Check, folder: Path, *, only: Sequence[str] = (), canary: bool = True) -> CheckResult:
        """Run a check in any folder; nothing is remembered."""
        with self._slots.held(alone=check.exclusive):
            left = self.ledger.require()
            place = self._place(check, "check")
            timeout = min(check.timeout, left)
            result = run_check(check, folder, env=self.env, scratch=place, only=only, canary=canary, timeout=timeout)
        self.ledger.spend(result.seconds)
        if result.timed_out and timeout < check.timeout:
            raise LimitError(f"the time limit of the run ended {check.name!r} after {result.seconds:.0f} s")
        return self._keep_log(result, check)

    @contextlib.contextmanager
    def lazily(self, tree: str, checks: Sequence[Check], label: str) -> Iterator[Callable[[], Prepared]]:
        """A clean worktree that is made when it is first asked for, and freed at the end."""
        made: list[Prepared] = []

        def prepared() -> Prepared:
            if not made:
                made.append(self.fresh(tree, checks, label))
            return made[0]

        try:
            yield prepared
        finally:
            for one in made:
                self.discard(one)

    def known(self, tree: str, check: Check) -> CheckResult | None:
        """The result of the whole check on this content, if it was ever run."""
        return self._known.get((tree, check.name, ()))

    def discard(self, prepared: Prepared) -> None:
        """Free a worktree's files; its place in the private repository goes with the run."""
        shutil.rmtree(prepared.path.parent, ignore_errors=True)

    def _place(self, check: Check, label: str) -> Path:
        place = self.scratch / f"{label}-{check.name}-{next(self._numbers)}"
        place.mkdir(parents=True, exist_ok=True)
        return place

    def _keep_log(self, result: CheckResult, check: Check) -> CheckResult:
        """Move the whole log from the scratch folder to the run's, where a person finds it."""
        if not result.log or not Path(result.log).is_file():
            return result
        self.logs.mkdir(parents=True, exist_ok=True)
        kept = self.logs / f"{next(self._numbers):03d}-{check.name}.log"
        shutil.move(result.log, kept)
        return replace(result, log=str(kept.relative_to(self.logs.parent)))
