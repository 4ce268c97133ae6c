"""A court whose runs are told beforehand: what the judge makes of results, without the runs. The repository is a real one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from tests.support import Repo
from zwarm_ci.baseline import Baseline
from zwarm_ci.git import open_repository
from zwarm_ci.private import PrivateRepository
from zwarm_ci.task import Check, Failure, Task
from zwarm_ci.trees import Grounds, Prepared, Trees
from zwarm_ci.verdict import CheckResult
from zwarm_ci.verify.court import Court
from zwarm_ci.verify.guards import Patch, Rules

CHECK = Check("tests", "python -m pytest", "pytest")
LINT = Check("lint", "ruff check", "ruff")
ADD, DOUBLE = "tests/test_calc.py::test_add", "tests/test_calc.py::test_double"
FAILURE = Failure("tests", ADD, "AssertionError: assert 1 == 3", shape="AssertionError")
TASK = Task("tests-1", "add", "f" * 16, "tests", (FAILURE,))
CALC = "def add(a, b):\n    return a - b\n\n\ndef double(a):\n    return a * 2\n"
FIXED = CALC.replace("a - b", "a + b")
FILES = {"calc.py": CALC, "tests/test_calc.py": "from calc import *\n\n\ndef test_add():\n    assert add(1, 2) == 3\n"}


def result(name: str = "tests", **fields: Any) -> CheckResult:
    """What a run said; by itself, that all is green."""
    given = {"passed": (ADD, DOUBLE), "canary": True, "exit_code": 0, **fields}
    return CheckResult(name, "…", **given)


RED = result(passed=(DOUBLE,), failed=(ADD,), failures=(FAILURE,), exit_code=1)
GREEN = result()


@dataclass(frozen=True)
class Run:
    """A run that was asked for."""

    tree: str
    only: tuple[str, ...]
    options: Mapping[str, Any]


@dataclass
class Told:
    """Trees whose runs say what `says` has next, or what it answers to (tree, ids)."""

    repo: PrivateRepository
    says: list[CheckResult] | Callable[[str, tuple[str, ...]], CheckResult] = field(default_factory=list)
    base_runs: tuple[CheckResult, ...] = ()
    runs: list[Run] = field(default_factory=list)

    def _say(self, tree: str, only: Sequence[str], options: Mapping[str, Any]) -> CheckResult:
        self.runs.append(Run(tree, tuple(only), options))
        return self.says.pop(0) if isinstance(self.says, list) else self.says(tree, tuple(only))

    def run(self, check: Check, prepared: Prepared, *, only: Sequence[str] = (), **options: Any) -> CheckResult:
        return self._say(prepared.tree, only, options)

    run_in = run

    def anew(self, check: Check, tree: str, *, only: Sequence[str] = ()) -> CheckResult:
        return self._say(self.repo.tree_of(tree), only, {"anew": True})

    def fresh(self, rev: str, checks: Sequence[Check], label: str) -> Prepared:
        return Prepared(cast("Any", None), self.repo.tree_of(rev))

    def discard(self, prepared: Prepared) -> None:
        pass

    def grounds(self, check: Check) -> Grounds:
        return Grounds("python 3", "cell", "off", "twin")

    def seen(self, tree: str, check: Check) -> tuple[CheckResult, ...]:
        return self.base_runs

    def known(self, tree: str, check: Check) -> CheckResult | None:
        return None

    @contextlib.contextmanager
    def lazily(self, tree: str, checks: Sequence[Check], label: str) -> Iterator[Callable[[], Prepared]]:
        yield lambda: self.fresh(tree, checks, label)


@dataclass(frozen=True)
class Room:
    """A repository's base, and courts on it."""

    repo: PrivateRepository
    base: str

    @classmethod
    def make(cls, where: Path, files: Mapping[str, str] = FILES) -> Room:
        user = open_repository(Repo.make(where / "repo", files).path)
        return cls(PrivateRepository.create(user, where / "private.git"), user.head)

    def court(
        self,
        *says: CheckResult,
        before: CheckResult = RED,
        answer: Callable[[str, tuple[str, ...]], CheckResult] | None = None,
        base_runs: tuple[CheckResult, ...] = (),
        **fields: Any,
    ) -> tuple[Court, Told]:
        """A court whose runs say `says`, one after the other, or what `answer` gives; and what keeps the runs."""
        told = Told(self.repo, answer or list(says), base_runs)
        baseline = fields.pop("baseline", Baseline((before, result("lint", passed=(), canary=None))))
        court = Court(cast("Trees", told), self.base, (CHECK, LINT), baseline, Rules(), reruns=2, burn_in=3)
        return replace(court, **fields), told

    def tree(self, files: Mapping[str, str | None]) -> str:
        """The base's tree with these files; None = without it."""
        entries = [
            (f"100644 {self.repo.write(text.encode())}" if text is not None else f"0 {'0' * 40}") + f"\t{path}"
            for path, text in files.items()
        ]
        return self.repo.with_entries(self.repo.tree_of(self.base), [e.encode() for e in entries])

    def patch(self, files: Mapping[str, str | None], rules: Rules | None = None) -> Patch:
        """The patch that makes the base so."""
        base = self.repo.tree_of(self.base)
        return Patch.between(self.repo, base, self.tree(files), rules or Rules(), (ADD,))

    def prepared(self, files: Mapping[str, str | None] = {"calc.py": FIXED}) -> Prepared:
        """A worktree at such a tree, that nobody looks into."""
        return Prepared(cast("Any", None), self.tree(files))
