"""`isolation = "inplace"`: a check that cannot work in a second tree runs in CI's disposable checkout, reset to what is judged.

The checkout's own git files are not touched: the private repository and an index of its own move the files, and only those in
which the two trees differ. What is untracked stays, nested repositories and secrets too; what a check leaves new is removed.
"""

from __future__ import annotations

import os
from pathlib import Path

from zwarm_ci.git import Git
from zwarm_ci.private import PrivateRepository
from zwarm_ci.proc import finishing

REFUSED = (
    'environment: isolation = "inplace" runs in the disposable checkout of CI alone, since it overwrites files '
    "(run it there, or take the setting out)"
)


def is_disposable() -> bool:
    """Whether this is a CI job, whose checkout nobody works in."""
    return os.environ.get("CI", "").lower() in {"true", "1"}


class InPlace:
    """The checkout as a place for checks; one at a time stands in it. `restore` puts back what stood there before the run."""

    def __init__(self, repo: PrivateRepository, top: Path) -> None:
        self._before = repo.tree_of(repo.snapshot("worktree"))
        index = repo.path / f"inplace-{os.urandom(6).hex()}"
        env = {"GIT_DIR": str(repo.path), "GIT_WORK_TREE": str(top), "GIT_INDEX_FILE": str(index)}
        self._git, self._top = Git(top, env, repo.git.filters), top
        self._git.run("read-tree", self._before)
        self._git.run("update-index", "-q", "--refresh", check=False)
        self._untracked = self._others()

    def stand(self, tree: str) -> None:
        """Make the checkout's files those of `tree`."""
        self._git.run("read-tree", "--reset", "-u", tree)

    def restore(self) -> None:
        """The files as they were, also where the run was stopped."""
        with finishing():
            self._git.run("read-tree", "--reset", "-u", self._before)
            self._git.run("checkout-index", "-q", "-f", "-a")
            for path in sorted(self._others() - self._untracked):
                (self._top / path).unlink(missing_ok=True)

    def _others(self) -> set[str]:
        """Files that are neither in the tree nor ignored; a nested repository counts as one and ends in `/`."""
        listed = self._git.paths("ls-files", "-o", "--exclude-standard", "-z", "--full-name", ":/")
        return {path for path in listed if not path.endswith("/")}
