"""Makes a worktree able to run checks: the environment mapped onto it, dependencies linked, named files copied, set-ups run."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from zwarm_ci import environment, setups, submodules
from zwarm_ci.checks import run_setup
from zwarm_ci.environment import Environment
from zwarm_ci.private import PrivateRepository
from zwarm_ci.task import Check


@dataclass(frozen=True, slots=True)
class Outfit:
    """What one check has in one worktree. `trouble`: why its result there could not be believed; "" = nothing."""

    env: Environment
    trouble: str = ""


class Furnisher:
    """Furnishes worktrees of one run.

    Args:
        repo: the run's private repository.
        built_for: the commit that the checkout stands at: what an install built there belongs to its files.
        tell: called with a line before something that takes long.
    """

    def __init__(self, repo: PrivateRepository, built_for: str, tell: Callable[[str], None] = lambda _: None) -> None:
        self.repo, self.top, self.tell = repo, repo.user.top.resolve(), tell
        self._built_for = repo.tree_of(built_for)
        self.env_of = functools.cache(self._discover)

    def _discover(self, workdir: str) -> Environment:
        return environment.discover(self.top, workdir)

    @property
    def name(self) -> str:
        """The last folder of every worktree: flat packages and some tests go by it."""
        return self.top.name or "repository"

    def furnish(self, checks: Sequence[Check], path: Path, tree: str, scratch: Path) -> dict[str, Outfit]:
        """Make the worktree at `path`, which holds `tree`, ready for `checks`; the folder above it is used for what is beside it."""
        outfits: dict[str, Outfit] = {}
        submodules.place(self.repo, tree, path, path.parent)
        mapped: dict[Environment, Environment] = {}
        ran: dict[tuple[str, str], str] = {}
        for check in checks:
            source, trouble = self._source(check, tree, scratch)
            if source not in mapped:
                mapped[source] = self._map(source, path, len(mapped))
            environment.copy_included(self.top, check, path)
            own = mapped[source]
            if not trouble and check.setup and source.top == self.top:
                key = (check.setup, check.workdir)
                if key not in ran:
                    ran[key] = run_setup(check, path, env=own, scratch=scratch)
                trouble = ran[key]
            elif not trouble:
                environment.copy_built(source, path)
                trouble = self._stale(source, tree)
            outfits[check.name] = Outfit(own, trouble)
        return outfits

    def in_place(self, workdir: str, folder: Path) -> Environment:
        """The environment for a run in the checkout itself. Packages installed as copies are still taken from their source."""
        return environment.overlay(self.env_of(workdir), self.top, folder)

    def _source(self, check: Check, tree: str, scratch: Path) -> tuple[Environment, str]:
        """The environment that is mapped: the checkout's, or one that the check's set-up makes."""
        env = self.env_of(check.workdir)
        if not setups.makes_environment(check, env):
            return env, ""
        return setups.prepared(self.repo, check, tree, env, scratch, self.tell)

    def _map(self, source: Environment, path: Path, number: int) -> Environment:
        folder = path.parent / f"env{number}"
        shutil.rmtree(folder, ignore_errors=True)
        environment.link_dependencies(source, path)
        made = environment.overlay(source, path, folder)
        if made is not source and _lies_in(source.venv, source.top):
            inner = Path(source.venv).relative_to(source.top)
            if not (path / inner).exists() and (path / inner).parent.is_dir():
                self.repo.exclude(inner.as_posix())  # a pattern like `env/` does not match a link
                (path / inner).symlink_to(folder)
        return made

    def _stale(self, source: Environment, tree: str) -> str:
        """Trouble where a compiled extension may be older than what it is made from."""
        built = (*source.built, *(rel for _, rel in source.extras))
        if source.top != self.top or tree == self._built_for or not any(map(environment.is_extension, built)):
            return ""
        changed = (c.path for c in self.repo.changes(self._built_for, tree))
        if file := next(filter(environment.is_native, changed), ""):
            return (
                f"environment: {file} differs from what the compiled extension was built from "
                '(have it built in each worktree: setup = "python -m pip install -e .")'
            )
        return ""


def _lies_in(folder: str, top: Path) -> bool:
    return bool(folder) and Path(folder).is_relative_to(top)
