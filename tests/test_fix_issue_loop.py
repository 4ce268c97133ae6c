"""What the judge asks of a patch that must prove itself, and what the loop makes of drafts and of tasks in words."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.judge import FILES, FIXED, Case, writes
from tests.fakes.executor import Edit, Scripted
from tests.support import Repo
from tests.test_judge import Bench
from tests.test_loop import edit, nothing, shop
from zwarm_ci import loop
from zwarm_ci.briefing import Lesson, first_message, next_message
from zwarm_ci.executors.base import Report
from zwarm_ci.loop import Solved
from zwarm_ci.plan import task_in_words, task_of_report
from zwarm_ci.task import Check, Task
from zwarm_ci.verdict import Verdict
from zwarm_ci.verify.judge import about, judge

CHECK = Check("tests", "python -m pytest -q", "pytest", timeout=120)
GREEN = {**FILES, "calc.py": FIXED}
TRIPLE = FIXED + "\n\ndef triple(a):\n    return a * 3\n"
HARM = TRIPLE.replace("a * 2", "a * 4")
THERE = (
    "import calc\n\n\ndef test_there_is_triple():\n    assert hasattr(calc, 'triple')\n    assert calc.triple(2) == 6\n"
)
WEAK = "import calc\n\n\ndef test_triple():\n    assert calc.triple(2) == 6\n"
IDLE = "import calc\n\n\ndef test_double():\n    assert calc.double(2) == 4\n"
DRAFT, PROVEN = edit({"calc.py": TRIPLE}), edit({"calc.py": TRIPLE, "tests/test_triple.py": THERE})


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(Repo.make(tmp_path / "repo", GREEN), tmp_path, (CHECK,))
    made.court = replace(made.court, prove=True)
    return made


def report(bench: Bench, text: str = "Let there be triple().") -> Task:
    return task_of_report("issue-1", "triple", text, bench.court.checks, "tests", ("issue", "octo/shop", "1"))


def solved(bench: Bench, *executors: Scripted, turns: int = 3, sessions: int = 2) -> Solved:
    return loop.solve(shop(bench, *executors, turns=turns, sessions=sessions), report(bench), lambda _: None)


def tree_of(bench: Bench, act: Edit) -> str:
    worktree = bench.store.worktree(bench.court.base, bench.scratch / f"w{next(bench.numbers)}" / "x")
    act(worktree.path)
    return worktree.tree()


def says(bench: Bench, **files: str) -> Verdict:
    named = {name.replace("__", "/") + ".py": text for name, text in files.items()}
    return judge(bench.court, report(bench), bench.tree(Case("x", writes(named), frozenset())))


@pytest.mark.parametrize(
    ("files", "status", "draft", "said"),
    [
        (
            {"calc": TRIPLE, "tests__test_triple": THERE},
            "fixed",
            False,
            "1 of the patch's own tests fail without its source",
        ),
        ({"calc": TRIPLE}, "unverifiable", True, "it brings no test"),
        (
            {"calc": TRIPLE, "tests__test_triple": WEAK},
            "unverifiable",
            True,
            "for another reason than what they assert",
        ),
        ({"calc": TRIPLE, "tests__test_triple": IDLE}, "unverifiable", True, "its tests do not fail without it"),
        ({"calc": HARM, "tests__test_triple": THERE}, "regressed", False, "passed before"),
        ({"tests__test_triple": IDLE}, "tampered", False, "nothing is left of the patch"),
        ({"calc": TRIPLE, "tests__test_calc": "def test_zero():\n    pass\n"}, "tampered", False, "tests/test_calc.py"),
    ],
)
def test_a_patch_for_a_report_proves_itself(
    bench: Bench, files: dict[str, str], status: str, draft: bool, said: str
) -> None:
    verdict = says(bench, **files)
    assert (verdict.status, verdict.draft) == (status, draft), verdict.reason
    assert said in verdict.reason
    assert bool(verdict.evidence) == verdict.accepted


def test_the_proof_may_come_from_any_check_that_runs_tests(tmp_path: Path) -> None:
    checks = tuple(replace(CHECK, name=name, run=f"python -m pytest -q {name}") for name in ("unit", "slow"))
    files = {
        "calc.py": FIXED,
        "pyproject.toml": FILES["pyproject.toml"],
        "unit/test_a.py": IDLE,
        "slow/test_b.py": IDLE,
    }
    where = Bench(Repo.make(tmp_path / "repo", files), tmp_path, checks)
    where.court = replace(where.court, prove=True)
    for folder in ("unit", "slow"):
        tree = tree_of(where, edit({"calc.py": TRIPLE, f"{folder}/test_triple.py": THERE}))
        task = task_of_report("issue-1", "triple", "x", checks, "unit", ("1",))
        verdict = judge(where.court, task, tree)
        assert verdict.accepted, verdict.reason
        assert list(json.loads(verdict.evidence)["new_tests"].values()) == ["PROVEN"]


def test_a_file_that_a_strangers_words_name_stays_closed(bench: Bench) -> None:
    words = "Please add a dependency to pyproject.toml"
    assert about(bench.court, task_in_words(words, bench.court.checks)) == {"pyproject.toml"}
    assert about(bench.court, report(bench, words)) == frozenset()
    needs = FILES["pyproject.toml"] + "[project]\nname = 'x'\nversion = '1'\ndependencies = ['evil']\n"
    tree = tree_of(bench, edit({"calc.py": TRIPLE, "tests/test_triple.py": THERE, "pyproject.toml": needs}))
    verdict = judge(bench.court, report(bench, words), tree)
    assert verdict.status == "tampered"
    assert "pyproject.toml" in verdict.reason


def test_the_next_turn_hears_what_is_missing_and_brings_it(bench: Bench) -> None:
    executor = Scripted([DRAFT, PROVEN])
    end = solved(bench, executor)
    assert end.outcome.status == "fixed"
    assert end.draft == ""
    message = executor.orders[1].message
    assert "it brings no test" in message
    assert "keep it" in message
    assert executor.orders[1].session == executor.orders[0].session


@pytest.mark.parametrize("later", [HARM, FIXED], ids=["worse", "undone"])
def test_a_draft_outlives_what_came_after_it(bench: Bench, later: str) -> None:
    end = solved(bench, Scripted([DRAFT, edit({"calc.py": later})]), turns=2, sessions=1)
    assert end.outcome.status == "unverifiable"
    assert "it brings no test" in end.outcome.reason
    assert end.draft == tree_of(bench, DRAFT)
    assert end.tree == ""


def test_a_fresh_session_may_bring_the_draft_again_with_its_test(bench: Bench) -> None:
    executor = Scripted([DRAFT, PROVEN])
    end = solved(bench, executor, turns=1)
    assert end.outcome.status == "fixed"
    assert "may come again, with the test" in executor.orders[1].message
    assert "+def triple(a):" in executor.orders[1].message


def test_a_draft_is_kept_where_time_or_money_ends_it(bench: Bench) -> None:
    def late(tree: Path) -> Report | None:
        bench.trees.ledger.check_minutes = 1e-9
        return edit({"calc.py": TRIPLE + "# again\n"})(tree)

    end = solved(bench, Scripted([DRAFT, late]))
    assert end.outcome.status == "over_budget"
    assert end.draft == tree_of(bench, DRAFT)


def test_who_leaves_a_task_in_words_undone_twice_was_understood_and_the_next_rung_is_asked(bench: Bench) -> None:
    first, second = Scripted([edit({}, Report("completed", "It is so already."))]), Scripted([PROVEN])
    end = solved(bench, first, second)
    assert end.outcome.status == "fixed"
    assert (len(first.orders), len(second.orders)) == (2, 1)
    assert "If no change of the code is called for" in first.orders[1].message
    alone = Scripted([edit({}, Report("completed", "It is so already."))])
    end = solved(bench, alone)
    assert (end.outcome.status, len(alone.orders)) == ("no_changes", 2)
    assert "it said: It is so already." in end.outcome.reason


def test_where_something_is_red_fresh_sessions_go_on(tmp_path: Path) -> None:
    where = Bench(Repo.make(tmp_path / "repo", FILES), tmp_path)
    executor = Scripted([nothing])
    end = loop.solve(shop(where, executor, turns=2, sessions=2), where.tasks[0], lambda _: None)
    assert end.outcome.status == "no_changes"
    assert len(executor.orders) == 4
    assert "as red as it was" in executor.orders[1].message


def test_what_is_said_of_drafts_is_said_of_drafts_alone() -> None:
    task = Task("t", "title", "f", "tests", (), "Do it.")
    no = Lesson("a", "regressed", "test_x passed before")
    draft = Lesson("a", "unverifiable", "it brings no test", "+x", draft=True)
    assert "keep it" in next_message(draft, in_words=True)
    assert "keep it" not in next_message(no, in_words=True)
    assert "may come again" not in first_message(task, [no])
    assert "may come again" in first_message(task, [draft, no])
