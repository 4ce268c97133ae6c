"""A bench on a repository in a temporary folder, with real checks; and what a remedy's tree holds."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import Repo
from zwarm_ci import environment
from zwarm_ci.checks import run_check
from zwarm_ci.furnish import Furnisher
from zwarm_ci.git import open_repository
from zwarm_ci.private import PrivateRepository
from zwarm_ci.repair.lab import Lab, Remedy, Subject
from zwarm_ci.task import Check, Task

PYTEST = Check("tests", "python -m pytest", "pytest", timeout=60.0)
INI = {"pyproject.toml": "[tool.pytest.ini_options]\naddopts = '-p no:cacheprovider'\n"}


@dataclass
class Workshop:
    """A private repository of `repo`, and labs on its head."""

    repo: Repo
    place: Path
    check: Check = PYTEST
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.user = open_repository(self.repo.path)
        self.private = PrivateRepository.create(self.user, self.place / "private.git")
        self.env = environment.discover(self.repo.path)

    def lab(
        self, *ids: str, refused: frozenset[str] = frozenset(), protect: tuple[str, ...] = (), seconds: float = 120.0
    ) -> Lab:
        """A lab for the red ids of the head that contain one of `ids` (all, where none is given)."""
        tree = self.private.worktree(self.user.head, self.place / "before" / self.repo.path.name)
        result = run_check(self.check, tree.path, env=self.env, scratch=self.place / "scratch")
        assert not result.trouble, result.trouble
        failures = tuple(f for f in result.failures if not ids or any(i in f.id for i in ids))
        assert failures, (result.failed, ids)
        self.private.git.run("worktree", "remove", "--force", str(tree.path))
        subject = Subject(Task("t", "t", "f", self.check.name, failures), self.check, self.user.head, protect, refused)

        def tell(text: str, runs: int) -> None:
            self.said.append(f"{runs} {text}")

        return Lab(
            Furnisher(self.private, self.user.head), subject, self.place / "scratch", time.monotonic() + seconds, tell
        )

    def changed(self, remedy: Remedy) -> dict[str, tuple[str | None, str | None]]:
        """{path: (content on the head, content in the remedy's tree)}."""
        assert remedy.tree, remedy.message
        found = {}
        for change in self.private.changes(self.user.head, remedy.tree):
            old, new = (self.private.read(rev, change.path) for rev in (self.user.head, remedy.tree))
            found[change.path] = (old.decode() if old is not None else None, new.decode() if new is not None else None)
        return found


def history(path: Path, *commits: Mapping[str, str | bytes], branch: str = "main") -> Repo:
    """A repository with one commit for each set of files; the first brings pytest's settings."""
    repo = Repo.make(path, branch=branch)
    for number, files in enumerate(commits):
        repo.commit(f"commit {number}", {**(INI if number == 0 else {}), **files})
    return repo
