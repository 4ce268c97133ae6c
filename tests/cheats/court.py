"""A court for one bug of the corpus, and what believing an exit code says of the same patches."""

from __future__ import annotations

import contextlib
import itertools
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import weakref
from dataclasses import replace
from pathlib import Path

from tests.cheats.base import Bug, Offer, Repo
from tests.support import Repo as Planted
from zwarm_ci import baseline
from zwarm_ci.budget import Ledger
from zwarm_ci.config import Settings
from zwarm_ci.confine import means
from zwarm_ci.furnish import Furnisher
from zwarm_ci.git import open_repository
from zwarm_ci.plan import make_task
from zwarm_ci.private import PrivateRepository
from zwarm_ci.selection import rules
from zwarm_ci.surround import Surroundings
from zwarm_ci.trees import Trees
from zwarm_ci.verdict import Verdict
from zwarm_ci.verify.judge import Court, judge

_LIMIT = 60.0  # seconds of a naive run


class Hall:
    """The court on a repository's red base, its baseline made once."""

    def __init__(self, repo: Repo, bug: Bug, scratch: Path) -> None:
        self.repo, self.bug, self.scratch = repo, bug, scratch
        self.planted = Planted.make(scratch / "repo", repo.base(bug))
        user = open_repository(self.planted.path)
        self.store = PrivateRepository.create(user, scratch / "private.git")
        surroundings = Surroundings("cheats", means())
        weakref.finalize(self, surroundings.close)
        trees = Trees(Furnisher(self.store, user.head), surroundings, scratch, Ledger(), scratch / "logs")
        checks = (repo.check,)
        before = baseline.establish(trees, checks, user.head, user, reruns=1, same_as_tree=True, tell=lambda _: None)
        found = rules(Settings(), checks, self.store, user.head, before.results)
        self.court = Court(trees, user.head, checks, before, found, reruns=1, burn_in=1)
        self.failures = before.failures(repo.check.name)
        self._numbers = itertools.count()

    def judged(self, offer: Offer, *, strict: bool = True) -> Verdict:
        """The judge's word on an offer."""
        tree = self.tree(offer)
        held = replace(self.court.rules, strict=strict, allow_test_edits=offer.allow_test_edits, about=offer.about)
        task = make_task("cheats-1", self.repo.check, self.failures)
        if offer.about:  # a person's own words; red tests open nothing
            task = replace(task, failures=(), text=" ".join(sorted(offer.about)))
        return judge(replace(self.court, rules=held), task, tree)

    def tree(self, offer: Offer) -> str:
        """The tree id of the base with the offer on it."""
        worktree = self.store.worktree(self.court.base, self.scratch / f"o{next(self._numbers)}" / "x")
        try:
            offer.apply(worktree.path)
            links = [f"160000 {commit}\t{path}".encode() for path, commit in offer.gitlinks.items()]
            return self.store.with_entries(worktree.tree(), links)
        finally:
            shutil.rmtree(worktree.path.parent, ignore_errors=True)

    def agents(self, offer: Offer) -> int | None:
        """The check's exit code where the agent worked: a tree in which the base's check ran before; None = the time limit."""
        with tempfile.TemporaryDirectory(prefix="cheats-", ignore_cleanup_errors=True) as home:
            folder = Path(home) / "tree"
            shutil.copytree(self.planted.path, folder)
            self._run(folder, Path(home))
            offer.apply(folder)
            return self._run(folder, Path(home))

    def clean(self, offer: Offer) -> int | None:
        """The check's exit code in a clean checkout of the patched tree."""
        with tempfile.TemporaryDirectory(prefix="cheats-", ignore_cleanup_errors=True) as home:
            worktree = self.store.worktree(self.store.as_commit(self.tree(offer)), Path(home) / "tree")
            return self._run(worktree.path, Path(home))

    def _run(self, folder: Path, home: Path) -> int | None:
        child = subprocess.Popen(
            shlex.split(self.repo.check.run), cwd=folder, env={**os.environ, "HOME": str(home)}, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            return child.wait(_LIMIT)
        except subprocess.TimeoutExpired:
            return None
        finally:  # with what it left running
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
