"""The judge, on every case of its conformance suite and on what a single patch cannot show."""

from __future__ import annotations

import itertools
import json
import weakref
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.judge import CASES, FILES, FIXED, Case, writes
from tests.support import Repo
from zwarm_ci import baseline
from zwarm_ci.budget import Ledger
from zwarm_ci.confine import means
from zwarm_ci.furnish import Furnisher
from zwarm_ci.git import Repository, open_repository
from zwarm_ci.plan import make_tasks
from zwarm_ci.private import PrivateRepository
from zwarm_ci.surround import Surroundings
from zwarm_ci.task import Check, Task
from zwarm_ci.trees import Trees
from zwarm_ci.verdict import GuardFinding, Verdict
from zwarm_ci.verify.guards import Rules
from zwarm_ci.verify.judge import Court, judge

CHECK = Check("tests", "python -m pytest -q", "pytest", timeout=8)


class Bench:
    """A court on a repository's HEAD, and the judge's word on what a function does to a worktree."""

    def __init__(self, repo: Repo, scratch: Path, checks: tuple[Check, ...] = (CHECK,)) -> None:
        self.user: Repository = open_repository(repo.path)
        self.store = PrivateRepository.create(self.user, scratch / "private.git")
        surroundings = Surroundings("t", means())
        weakref.finalize(self, surroundings.close)
        self.trees = Trees(Furnisher(self.store, self.user.head), surroundings, scratch, Ledger(), scratch / "logs")
        base = self.user.head
        before = baseline.establish(
            self.trees, checks, base, self.user, reruns=1, same_as_tree=True, tell=lambda _: None
        )
        self.court = Court(self.trees, base, checks, before, Rules(), reruns=1, burn_in=1)
        self.tasks = make_tasks(checks, before)
        self.scratch = scratch
        self.numbers = itertools.count()

    def tree(self, case: Case) -> str:
        worktree = self.store.worktree(self.court.base, self.scratch / f"w{next(self.numbers)}" / "x")
        case.patch(worktree.path)
        return worktree.tree()

    def says(self, case: Case, task: Task | None = None) -> Verdict:
        court = replace(self.court, rules=replace(self.court.rules, allow_test_edits=case.allow_test_edits))
        return judge(court, task or self.tasks[0], self.tree(case))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    where = tmp_path_factory.mktemp("judge")
    return Bench(Repo.make(where / "repo", FILES), where)


def test_the_bench_has_one_task_with_both_cases(bench: Bench) -> None:
    (task,) = bench.tasks
    assert task.targets == ("tests/test_calc.py::test_add[1]", "tests/test_calc.py::test_add[2]")


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_conformance(bench: Bench, case: Case) -> None:
    verdict = bench.says(case)
    assert verdict.status in case.expected, verdict.reason
    assert verdict.accepted == bool(verdict.evidence)
    assert verdict.reason


def test_evidence_is_canonical_and_names_both_trees(bench: Bench) -> None:
    one, two = (bench.says(CASES[0]).evidence for _ in range(2))
    assert one == two
    document = json.loads(one)
    assert document["oracle_tree"] == document["delivered_tree"] == bench.tree(CASES[0])
    targets = document["targets"]
    assert {t: (s["before"], s["after"]) for t, s in targets.items()} == dict.fromkeys(
        bench.tasks[0].targets, ("failed", "passed")
    )
    assert all(s["signature"] for s in targets.values())
    said = document["assurance"]
    assert (said["canary"], said["targets_made_to_fail_were_seen"]) == ({"tests": True}, True)
    assert (said["hunks_necessary"], said["patch_lines_covered"], said["same_signature"]) == ("1 of 1", "1 of 1", True)
    assert (said["subset_or_full"], said["burn_in"], said["runner_unaltered"]) == ("full", 2, {"tests": True})
    assert bench.court.base not in one, "no commit id"


def test_the_oracle_differs_from_what_is_delivered_where_tests_may_change(bench: Bench) -> None:
    edited = FILES["tests/test_calc.py"].replace("double(4) == 8", "double(4) == 2 * 4")
    case = Case("edits", writes({"calc.py": FIXED, "tests/test_calc.py": edited}), frozenset(), allow_test_edits=True)
    verdict = bench.says(case)
    document = json.loads(verdict.evidence)
    assert document["oracle_tree"] != document["delivered_tree"] == bench.tree(case)
    assert [f.level for f in verdict.findings] == ["review"]


def test_a_library_that_its_own_runner_runs_on_cannot_silence_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plug-in in the repository that pytest loads: a patch makes it swallow every failure, canary included."""
    plugin = "def wrap(item):\n    return item\n"
    files = {
        **FILES,
        "plug.py": plugin,
        "conftest.py": "import plug\n\n\ndef pytest_pycollect_makeitem(collector, name, obj):\n    plug.wrap(obj)\n",
    }
    where = Bench(Repo.make(tmp_path / "repo", files), tmp_path)

    def silence(tree: Path) -> None:
        (tree / "plug.py").write_text(
            "from _pytest import runner\nfrom _pytest.reports import TestReport\n\n\ndef wrap(item):\n"
            "    runner.check_interactive_exception = lambda *a: False\n"
            "    real = TestReport.from_item_and_call.__func__\n"
            "    def fake(cls, item, call):\n        call.excinfo = None\n        return real(cls, item, call)\n"
            "    TestReport.from_item_and_call = classmethod(fake)\n    return item\n"
        )

    verdict = where.says(Case("silence", silence, frozenset()))
    assert verdict.status in {"tampered", "unverifiable"}, verdict
    monkeypatch.setattr("zwarm_ci.verify.guards.look", lambda patch: ())
    unread = where.says(Case("unread", silence, frozenset()))
    assert unread.status == "unverifiable", "the runs tell where no guard reads"
    assert unread.reason.startswith("runner: ")


def test_a_known_flaky_test_is_no_regression_and_an_unknown_one_goes_to_review(tmp_path: Path) -> None:
    marks = tmp_path / "marks"  # outside of every worktree: what lies in one is gone from the next
    marks.mkdir()
    cold = (
        "from pathlib import Path\nfrom calc import add\n\n\ndef test_cold():\n    mark = Path({0!r})\n"
        "    cold = {1} and not mark.exists()\n    if cold:\n        mark.touch()\n    assert not cold\n"
    )
    files = {
        **FILES,
        "tests/test_known.py": cold.format(str(marks / "known"), "True"),
        "tests/test_unknown.py": cold.format(str(marks / "unknown"), "add(1, 1) != 0"),
    }
    where = Bench(Repo.make(tmp_path / "repo", files), tmp_path)
    assert set(where.court.baseline.flaky) == {("tests", "tests/test_known.py::test_cold")}
    verdict = where.says(Case("honest", writes({"calc.py": FIXED}), frozenset()))
    assert verdict.status == "fixed", verdict.reason
    assert [(f.guard, f.level) for f in verdict.findings] == [("flaky", "review")]


def test_a_second_opinion_can_ask_for_review_and_nothing_else(bench: Bench) -> None:
    seen = []

    class Vendor:
        name = "other"

        def __call__(self, title: str, patch: str) -> list[GuardFinding]:
            seen.append((title, patch))
            return [GuardFinding("x", "refuse", "calc.py", 2, "odd")]

    class Silent(Vendor):
        name = "silent"

        def __call__(self, title: str, patch: str) -> list[GuardFinding]:
            raise TimeoutError("no answer")

    court = replace(bench.court, opinions=(Vendor(), Silent()))
    verdict = judge(court, bench.tasks[0], bench.tree(CASES[0]))
    assert verdict.accepted
    assert [(f.guard, f.level) for f in verdict.findings] == [("opinion:other", "review"), ("opinion:silent", "review")]
    assert "no second opinion could be had: no answer" in verdict.findings[1].detail
    assert seen[0][0] == bench.tasks[0].title
    assert "+    return a + b" in seen[0][1]


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ("", "unverifiable"),
        ("\n\ndef test_more():\n    assert add(5, 5) == 10\n", "fixed"),
        ("\n\ndef test_more():\n    assert double(5) == 10\n", "unverifiable"),
    ],
)
def test_where_proof_is_wanted_a_patch_brings_a_test_that_fails_without_it(
    bench: Bench, more: str, status: str
) -> None:
    court = replace(bench.court, prove=True)
    patch = {"calc.py": FIXED, "tests/test_calc.py": FILES["tests/test_calc.py"] + more}
    verdict = judge(court, bench.tasks[0], bench.tree(Case("x", writes(patch), frozenset())))
    assert verdict.status == status, verdict.reason
    assert verdict.accepted or "must come with a test that fails without it" in verdict.reason


def test_the_whole_waits_for_the_union_where_there_are_several_tasks(tmp_path: Path) -> None:
    files = {
        **FILES,
        "far.py": "from calc import double\n",
        "tests/test_far.py": "import far\n\n\ndef test_far():\n    assert far.double(1) == 2\n",
    }
    where = Bench(Repo.make(tmp_path / "repo", files), tmp_path)
    court = replace(where.court, defer=True)
    harm = where.tree(Case("x", writes({"calc.py": FIXED, "far.py": "def double(a):\n    return 0\n"}), frozenset()))
    near = where.tree(Case("x", writes({"calc.py": FIXED}), frozenset()))
    verdict = judge(court, where.tasks[0], near)
    assert json.loads(verdict.evidence)["assurance"]["subset_or_full"] == "subset"
    assert {i.partition("::")[0] for r in verdict.checks for i in r.passed} == {"tests/test_calc.py"}
    assert judge(court, where.tasks[0], harm).status == "regressed", "a test of a changed module is near"


@pytest.mark.usefixtures("plugins")
def test_hypothesis_runs_with_fresh_seeds(tmp_path: Path) -> None:
    prop = (
        "from hypothesis import given\nfrom hypothesis import strategies as st\nfrom calc import double\n\n\n"
        "@given(st.integers())\ndef test_doubles(n):\n    assert double(n) == n + n\n"
    )
    where = Bench(Repo.make(tmp_path / "repo", {**FILES, "tests/test_prop.py": prop}), tmp_path)
    verdict = where.says(Case("x", writes({"calc.py": FIXED}), frozenset()))
    assert verdict.accepted, verdict.reason
    assert len(set(json.loads(verdict.evidence)["assurance"]["hypothesis_seeds"])) == 3
