"""What is to be checked, standing in a private repository: the staged tree, or the one that a framework names, and its checks."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from zwarm_ci import confine, environment, globs, proc, selection, settings
from zwarm_ci import site as places
from zwarm_ci.budget import Ledger
from zwarm_ci.config import Settings
from zwarm_ci.furnish import Furnisher
from zwarm_ci.git import Repository, open_repository
from zwarm_ci.hook import quick
from zwarm_ci.hook.asked import Asked, inside, letting_go, working
from zwarm_ci.private import PrivateRepository
from zwarm_ci.selection import Request
from zwarm_ci.surround import Surroundings
from zwarm_ci.task import Check
from zwarm_ci.trees import Trees


@dataclass(frozen=True, slots=True)
class Ground:
    """A tree and what touches it.

    Attributes:
        base: the commit that is checked: of what is staged, or that which was named.
        paths: what differs from the commit before it, and the file names that were given.
        checks: those whose `files` mean one of the paths, in the order in which they run: what is quick first.
        staged: what `quick` would look at; None = this call is none of its.
    """

    user: Repository
    settings: Settings
    trees: Trees
    base: str
    tree: str
    paths: frozenset[str]
    checks: tuple[Check, ...]
    staged: quick.Staged | None

    @property
    def private(self) -> PrivateRepository:
        """The private repository of this call."""
        return self.trees.repo

    def is_checkout(self) -> bool:
        """Whether the working tree is what is checked, so that a run there tells something."""
        return self.private.tree_of(self.private.snapshot("worktree")) == self.tree


@contextlib.contextmanager
def prepare(asked: Asked, between: tuple[str, str] | None = None, *, limited: bool = True) -> Iterator[Ground]:
    """The ground for one call, gone when it ends; with `limited`, every wait ends after `hook.seconds`.

    `between`: two commits, where it is about the second and not about what is staged.

    Raises:
        BlockedError: there is nothing to stand on, or no check. ConfigError: the settings are wrong.
        InterruptedRunError: it was stopped; by SIGALRM, its time is over.
    """
    staged = asked.staged() if between is None else None
    user = open_repository(asked.directory)
    with proc.stoppable(), places.workshop(user) as (scratch, private):
        before, base = _named(asked, user, private) if between is None else between
        found = settings.load(lambda path: private.read(base, path), base[:12], asked.config_file, asked.sets)
        if staged is not None:
            configured = [glob for check in found.checks for glob in check.files]
            quick.keep_globs(staged, configured if found.checks else None)
        tree = private.tree_of(base)
        differing = (change.path for change in private.changes(private.tree_of(before), tree))
        paths = frozenset((*differing, *(inside(user.top, asked.args) if between is None else ())))
        limit = letting_go(found.hook.seconds - asked.seconds) if limited else contextlib.nullcontext()
        with limit, contextlib.closing(Surroundings(secrets.token_hex(4), confine.means())) as surroundings:
            ledger = Ledger(found.budget.minutes, found.budget.check_minutes)
            trees = Trees(Furnisher(private, user.head, working), surroundings, scratch, ledger, scratch / "logs")
            checks = _meant(asked, found, trees, base, paths) if paths else ()
            environment.adopt_variables(user.top, checks)
            yield Ground(user, found, trees, base, tree, paths, checks, staged)


def _named(asked: Asked, user: Repository, private: PrivateRepository) -> tuple[str, str]:
    """The commit before, and the commit that is checked: two that a framework names, else HEAD and what is staged."""
    if target := asked.environ.get("PRE_COMMIT_TO_REF"):
        to, start = user.commit_of(target), user.commit_of(asked.environ.get("PRE_COMMIT_FROM_REF") or "HEAD")
        return user.git.ask("merge-base", start, to) or start, to
    index = Path(quick.index_file(asked.environ) or user.git_dir / "index")
    return user.head, private.snapshot("index", index=index if index.is_relative_to(user.git_dir) else None)


def _meant(asked: Asked, found: Settings, trees: Trees, base: str, paths: frozenset[str]) -> tuple[Check, ...]:
    request = Request("hook", asked.directory, base=base, config_file=asked.config_file, sets=asked.sets)
    checks, _ = selection.look(request, found, trees, base)
    return tuple(sorted((c for c in checks if globs.meant(paths, c.files)), key=lambda c: c.is_test))
