"""Finished runs with a branch, made by the very functions that a run uses, without the minutes that its checks would take."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from tests.support import Repo
from zwarm_ci import handover
from zwarm_ci import site as places
from zwarm_ci.git import open_repository
from zwarm_ci.github import bundle
from zwarm_ci.integrate import Union
from zwarm_ci.loop import Solved
from zwarm_ci.private import PrivateRepository
from zwarm_ci.reports.write import write_all
from zwarm_ci.task import Failure, Task
from zwarm_ci.verdict import Attempt, CheckResult, GuardFinding, Outcome, Seconds, TaskOutcome
from zwarm_ci.verify.cause import Cause
from zwarm_ci.verify.court import Court
from zwarm_ci.verify.evidence import Facts, canonical

FILES = {
    "shop/__init__.py": "",
    "shop/cart.py": "def total(prices):\n    return sum(prices) - 1\n",
    "shop/tax.py": "def tax(price):\n    return price * 2\n",
    "tests/test_cart.py": "from shop.cart import total\n\n\ndef test_total():\n    assert total([1, 2]) == 3\n",
    "tests/test_tax.py": "from shop.tax import tax\n\n\ndef test_tax():\n    assert tax(10) == 2\n",
    ".github/CODEOWNERS": "* @grace\n/shop/tax.py @linus @octo/money\n",
    ".github/workflows/ci.yml": "on: push\n",
}
Entry = tuple[str, bytes]  # mode, content
CART: dict[str, str | Entry | None] = {"shop/cart.py": "def total(prices):\n    return sum(prices)\n"}
TAX: dict[str, str | Entry | None] = {"shop/tax.py": "def tax(price):\n    return price * 0.2\n"}


@dataclass(frozen=True)
class Patch:
    """One task of a made run: what it repairs, and the files that it changes; None deletes, an `Entry` sets the mode too."""

    name: str = "tests-1"
    test: str = "tests/test_cart.py::test_total"
    files: Mapping[str, str | Entry | None] = field(default_factory=lambda: CART)
    findings: tuple[GuardFinding, ...] = ()
    fingerprint: str = "00000000000000aa"


FIRST = Patch()
SECOND = Patch("tests-2", "tests/test_tax.py::test_tax", TAX, fingerprint="00000000000000bb")


def shop(path: Path) -> Repo:
    """A repository with two wrong functions; its commit is on `main`."""
    return Repo.make(path, FILES)


def finished(
    repo: Repo,
    patches: Sequence[Patch] = (FIRST, SECOND),
    *,
    passed: Sequence[str] = (),
    unsolved: Sequence[TaskOutcome] = (),
    source: str = "head",
    reason: str = "all tasks are solved",
) -> Path:
    """The folder of a run on HEAD of `repo` that ended with these patches on a branch; with none, of a green run."""
    user = open_repository(repo.path)
    with places.workshop(user) as (scratch, private):
        base = private.snapshot(source)
        site = places.begin(user, ".zwarm", scratch, private)
        before = CheckResult(
            "tests", "python -m pytest", 1 if patches else 0, tuple(passed), tuple(p.test for p in patches)
        )
        after = replace(before, exit_code=0, failed=(), passed=(*passed, *(p.test for p in patches)))
        outcome = Outcome(
            site.run, "fix-tests", user.head, base, "fixed" if patches else "green", 0, reason, before=(before,), after=(after,),
            seconds=Seconds(12.5, 3.0, 4.0, 5.0), suite_runs=4,
        )  # fmt: skip
        if patches:
            outcome = _delivered(site, private, base, patches, outcome)
        outcome = replace(outcome, tasks=(*outcome.tasks, *unsolved))
        write_all(outcome, site.folder)
        return site.folder


def _delivered(
    site: places.Site, private: PrivateRepository, base: str, patches: Sequence[Patch], outcome: Outcome
) -> Outcome:
    base_tree = private.tree_of(base)
    union = Union(cast("Court", SimpleNamespace(base=base)), base_tree)
    for number, patch in enumerate(patches):
        tree = private.with_entries(base_tree, [_line(private, path, what) for path, what in patch.files.items()])
        solved = Solved(_solved(patch), tree, _evidence(patch, base_tree, tree))
        merged = private.apply(union.tree, private.patch(base_tree, tree))
        assert merged is not None
        union.tree = merged
        union.steps.append((number, merged))
        union.done.append(solved)
    outcomes = handover.write_files(site, union, [s.outcome for s in union.done])
    head, outcomes = handover.commit_all(site, union, outcomes)
    branch = f"zwarm-ci/fix-tests-{site.run}"
    private.deliver(head, f"refs/heads/{branch}")
    bundle.write(private, base, branch, site.folder)
    return replace(outcome, tasks=outcomes, branch=branch, head=head)


def _line(private: PrivateRepository, path: str, what: str | Entry | None) -> bytes:
    if what is None:
        return f"0 {'0' * 40}\t{path}".encode()
    mode, content = ("100644", what.encode()) if isinstance(what, str) else what
    sha = content.decode() if mode == "160000" else private.write(content)
    return f"{mode} {sha}\t{path}".encode()


def _solved(patch: Patch) -> TaskOutcome:
    failure = Failure("tests", patch.test, "AssertionError: assert 2 == 3", "E       assert 2 == 3")
    task = Task(patch.name, f"{patch.test}: assert 2 == 3", patch.fingerprint, "tests", (failure,))
    attempt = Attempt("s1", 1, "embedded", "", "fixed", "green", executor_seconds=1.0, verify_seconds=2.0)
    return TaskOutcome(
        task, "fixed", "green for the stated cause", "template", review=patch.findings, attempts=(attempt,)
    )


def _evidence(patch: Patch, base_tree: str, tree: str) -> str:
    task = _solved(patch).task
    before = CheckResult("tests", "python -m pytest", 1, failed=(patch.test,), failures=task.failures)
    after = replace(before, exit_code=0, failed=(), passed=(patch.test,), failures=())
    cause = Cause(parts=1, tried=1, idle=(), lines=1, covered=1)
    facts = Facts(
        task, base_tree, tree, tree, before, (after,), patch.findings, 3, {}, cause, doomed=True, seeds=(), subset=False,
        unsteady=(), odd_code={},
    )  # fmt: skip
    return canonical(facts)


def edited(folder: Path, change: Mapping[str, Any]) -> None:
    """Change top-level keys of outcome.json."""
    file = folder / "outcome.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))


def record(folder: Path) -> dict[str, Any]:
    """outcome.json."""
    found: dict[str, Any] = json.loads((folder / "outcome.json").read_text())
    return found
