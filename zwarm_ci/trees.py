"""Clean worktrees made ready for checks, and checks run in them: counted, within the limits, never twice for the same content.

A result is known by tree id, check and ids asked for; asking again for the same costs nothing unless a fresh process is wanted.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from zwarm_ci import confine, inplace
from zwarm_ci.budget import Ledger
from zwarm_ci.checks import run_check
from zwarm_ci.checks.base import UNWATCHED, Around, Watch
from zwarm_ci.detect.interpreters import cell
from zwarm_ci.environment import Environment
from zwarm_ci.errors import BlockedError, CommandError, LimitError
from zwarm_ci.files import locked
from zwarm_ci.furnish import Furnisher, Outfit
from zwarm_ci.private import Worktree
from zwarm_ci.surround import EXCLUSIVE, Surroundings
from zwarm_ci.task import Check
from zwarm_ci.verdict import CheckResult


@dataclass(frozen=True, slots=True)
class Prepared:
    """A worktree at one tree, furnished for checks; `outfits` by check name."""

    worktree: Worktree
    tree: str
    outfits: Mapping[str, Outfit] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The folder that checks run in."""
        return self.worktree.path


@dataclass(frozen=True, slots=True)
class Grounds:
    """Under what a check runs, for the evidence: interpreter and why it, cell, network, `twin` or `inplace`, limits and their means."""

    interpreter: str
    cell: str
    network: str
    isolation: str
    limits: str = "none"


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

    def __init__(
        self, furnisher: Furnisher, surroundings: Surroundings, scratch: Path, ledger: Ledger, logs: Path
    ) -> None:
        self.furnisher, self.repo, self.surroundings = furnisher, furnisher.repo, surroundings
        self.scratch, self.ledger, self.logs = scratch, ledger, logs
        self._numbers = itertools.count(1)
        self._known: dict[tuple[str, str, tuple[str, ...]], CheckResult] = {}
        self._traced: dict[tuple[str, str, tuple[str, ...]], frozenset[str]] = {}  # paths whose lines it knows
        self._slots = _Slots()
        self._pool: list[Worktree] = []
        self._checkout: inplace.InPlace | None = None
        self._lock = threading.Lock()

    def fresh(self, rev: str, checks: Sequence[Check], label: str) -> Prepared:
        """A clean worktree of a commit or tree, furnished for `checks`; one that is free again is made clean rather than a new one.

        Its last folder has the repository's own name, since flat packages and some tests go by it.
        """
        tree = self.repo.tree_of(rev)
        worktree = self._worktree(self.repo.as_commit(rev))
        outfits = self.furnisher.furnish(checks, worktree.path, tree, self._place(label))
        return Prepared(worktree, tree, outfits)

    def _worktree(self, commit: str) -> Worktree:
        with self._lock:
            free = self._pool.pop() if self._pool else None
        if free is not None:
            try:
                free.become(commit)
            except (BlockedError, CommandError, OSError):
                # A check removed it, or left something that cannot be removed.
                shutil.rmtree(free.path.parent, ignore_errors=True)
            else:
                return free
        return self.repo.worktree(commit, self.scratch / f"t{next(self._numbers)}" / self.furnisher.name)

    def run(
        self,
        check: Check,
        prepared: Prepared,
        *,
        only: Sequence[str] = (),
        again: bool = False,
        canary: bool = True,
        doom: bool = False,
        targets: Sequence[str] = (),
        lines: Sequence[str] = (),
    ) -> CheckResult:
        """Run a check there, or say what is known of the same content (`again` = a new process in any case).

        `doom`: each of the ids `only` does what it does and then fails, under its own name; all must come back failed
        (`checks.run.can_doom`). Never remembered. `targets`: ids of which a doomed copy runs beside them, in a run of more
        than these; those asked for have theirs anyway. `lines`: paths whose executed lines are wanted in the result.

        Raises:
            LimitError: the run's limits leave no time, or ended the check.
        """
        key = (prepared.tree, check.name, tuple(only))
        if not (again or doom) and key in self._known and self._traced.get(key, frozenset()) >= set(lines):
            return self._known[key]
        watch = Watch(doom, tuple(targets or only) if canary and not doom else (), tuple(lines))
        result = self._restored(self.run_in(check, prepared, only=only, canary=canary, watch=watch), check, prepared)
        if not doom:
            self._known[key], self._traced[key] = result, frozenset(lines)
        return result

    def anew(self, check: Check, tree: str, *, only: Sequence[str] = ()) -> CheckResult:
        """Run a check in a clean worktree of its own: what an earlier run left, ignored files too, does not meet it."""
        prepared = self.fresh(tree, (check,), "anew")
        try:
            return self.run(check, prepared, only=only, again=True)
        finally:
            self.discard(prepared)

    def _restored(self, result: CheckResult, check: Check, prepared: Prepared) -> CheckResult:
        """Take back what the check did to files that are not ignored; a linter that edits what it should judge is not believed."""
        left = prepared.worktree.tree()
        if left == prepared.tree:
            return result
        changed = tuple(c.path for c in self.repo.changes(prepared.tree, left))
        prepared.worktree.reset(prepared.tree, ignored=False)
        result = replace(result, edited=changed)
        if check.is_test or result.trouble:
            return result
        return replace(
            result,
            trouble=f"check: `{check.run}` edits files ({changed[0]}) instead of reporting (make it report only)",
        )

    def run_in(
        self,
        check: Check,
        prepared: Prepared,
        *,
        only: Sequence[str] = (),
        canary: bool = True,
        watch: Watch = UNWATCHED,
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> CheckResult:
        """Run a check as `run` does; nothing is remembered, and what it edits stays. `variables` are added to its environment."""
        outfit = prepared.outfits[check.name]
        if outfit.trouble:
            return CheckResult(check.name, check.run, None, trouble=outfit.trouble)
        with self._turn(check):
            if check.isolation == "inplace":
                return self._run_inplace(check, prepared.tree, only, canary=canary, watch=watch)
            return self._run(check, prepared.path, outfit.env, only, canary=canary, watch=watch, variables=variables)

    @contextlib.contextmanager
    def _turn(self, check: Check) -> Iterator[None]:
        """The right to run a check now: an exclusive one has the machine alone, sessions' own runs of it included."""
        lock = locked(self.scratch / "shared" / EXCLUSIVE) if check.exclusive else contextlib.nullcontext()
        with self._slots.held(alone=check.exclusive or check.isolation == "inplace"), lock:
            yield

    def _run_inplace(self, check: Check, tree: str, only: Sequence[str], *, canary: bool, watch: Watch) -> CheckResult:
        if not inplace.is_disposable():
            return CheckResult(check.name, check.run, None, trouble=inplace.REFUSED)
        checkout = self._disposable()
        checkout.stand(tree)
        try:
            env = self.furnisher.env_of(check.workdir)
            return self._run(check, self.furnisher.top, env, only, canary=canary, watch=watch, variables={})
        finally:
            checkout.restore()

    def _disposable(self) -> inplace.InPlace:
        """CI's checkout, as it stood when it was first wanted."""
        if self._checkout is None:
            self._checkout = inplace.InPlace(self.repo, self.furnisher.top)
        return self._checkout

    def in_place(self, check: Check, *, only: Sequence[str], variables: Mapping[str, str]) -> CheckResult | None:
        """Run a check where a person would, in the checkout and with the network on; None where that cannot be.

        Under a cover that takes all writes; without one, in CI's disposable checkout alone, which is put back afterwards.
        """
        top = self.furnisher.top
        cover = self._place("cover")
        prefix = confine.overlaid(top, cover, *self.repo.user.folders)
        if not prefix and not inplace.is_disposable():
            return None
        env = self.furnisher.in_place(check.workdir, cover / "env")
        with self._slots.held(alone=True):
            before = None if prefix else self._disposable()
            try:
                around = Around(prefix, variables, own_home=False)
                result = self._timed(check, top, env, only, around, canary=True, watch=UNWATCHED)
            finally:
                if before is not None:
                    before.restore()
                confine.discard(cover)
        return result

    def _run(
        self,
        check: Check,
        folder: Path,
        env: Environment,
        only: Sequence[str],
        *,
        canary: bool,
        watch: Watch,
        variables: Mapping[str, str],
    ) -> CheckResult:
        around, trouble = self.surroundings.around(check, folder, env, self._place(check.name), variables)
        if trouble:
            return CheckResult(check.name, check.run, None, trouble=trouble)
        own = check.isolation != "inplace"
        around = replace(around, own_home=own, prefix=confine.limited(around.prefix) if own else around.prefix)
        return self._timed(check, folder, env, only, around, canary=canary, watch=watch)

    def _timed(
        self,
        check: Check,
        folder: Path,
        env: Environment,
        only: Sequence[str],
        around: Around,
        *,
        canary: bool,
        watch: Watch,
    ) -> CheckResult:
        left = self.ledger.require()
        place = self._place(check.name)
        timeout = min(check.timeout, left)
        result = run_check(
            check, folder, env=env, scratch=place, only=only, canary=canary, watch=watch, timeout=timeout, around=around
        )
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

    def grounds(self, check: Check) -> Grounds:
        """Under what the check runs."""
        env = self.furnisher.env_of(check.workdir)
        return Grounds(env.note, cell(env), self.surroundings.network(check), check.isolation, _limits(check))

    def known(self, tree: str, check: Check) -> CheckResult | None:
        """The result of the whole check on this content, if it was ever run."""
        return self._known.get((tree, check.name, ()))

    def remember(self, tree: str, check: Check, result: CheckResult) -> None:
        """Take the result of a whole check on this content as known: it ran on another machine of the same kind."""
        self._known[tree, check.name, ()] = result

    def seen(self, tree: str, check: Check) -> tuple[CheckResult, ...]:
        """Every remembered run of the check on this content, of the whole and of parts."""
        return tuple(r for (at, name, _), r in self._known.items() if at == tree and name == check.name)

    def discard(self, prepared: Prepared) -> None:
        """Give a worktree back, for the next one that is wanted; what ran beside it ends."""
        self.surroundings.leave(prepared.path)
        with self._lock:
            self._pool.append(prepared.worktree)

    def _place(self, label: str) -> Path:
        place = self.scratch / f"{label}-{next(self._numbers)}"
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


def _limits(check: Check) -> str:
    """The limits of a check's processes and by what means, for the evidence."""
    if check.isolation == "inplace":
        return "none, in place"
    return "; ".join(f"{limit.what}: {limit.means}" for limit in confine.limits())
