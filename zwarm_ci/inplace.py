"""`isolation = "inplace"`: a check that cannot work in a second tree runs in CI's disposable checkout, reset to what is judged.

The checkout's own git files are not touched: the private repository and an index of its own move the files.
"""

from __future__ import annotations

import os
from pathlib import Path

from zwarm_ci.private import PrivateRepository, Worktree
from zwarm_ci.proc import finishing

REFUSED = (
    'environment: isolation = "inplace" runs in the disposable checkout of CI alone, since it overwrites files '
    "(run it there, or take the setting out)"
)


def is_disposable() -> bool:
    """Whether this is a CI job, whose checkout nobody works in."""
    return os.environ.get("CI", "").lower() in {"true", "1"}


class InPlace:
    """The checkout as a worktree; one check at a time stands in it. `restore` puts back what stood there before the run."""

    def __init__(self, repo: PrivateRepository, top: Path) -> None:
        self._worktree = Worktree(repo, top)
        self._before = self._worktree.tree()

    def stand(self, tree: str) -> Worktree:
        """Make the checkout's files those of `tree`; ignored files stay."""
        self._worktree.reset(tree, ignored=False)
        return self._worktree

    def restore(self) -> None:
        """The files as they were, also where the run was stopped."""
        with finishing():
            self._worktree.reset(self._before, ignored=False)
