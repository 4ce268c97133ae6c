"""Clean worktrees and the checks in them."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import Repo
from zwarm_ci.budget import Ledger
from zwarm_ci.confine import means
from zwarm_ci.errors import LimitError
from zwarm_ci.files import locked
from zwarm_ci.furnish import Furnisher
from zwarm_ci.git import open_repository
from zwarm_ci.private import PrivateRepository
from zwarm_ci.surround import Surroundings
from zwarm_ci.task import Check
from zwarm_ci.trees import Trees

PYTHON = f"'{sys.executable}'"
WRITER = "open('a.txt', 'w').write('fixed'); open('new.txt', 'w').write('x')"


@pytest.fixture
def trees(tmp_path: Path) -> Iterator[Trees]:
    repo = Repo.make(
        tmp_path / "a repo",
        {"a.txt": "a\n", "write.py": WRITER, "pyproject.toml": "[tool.ruff]\nfix = true\n", "x.py": "import os\n"},
    )
    user = open_repository(repo.path)
    store = PrivateRepository.create(user, tmp_path / "p.git")
    with contextlib.closing(Surroundings("t", means())) as surroundings:
        yield Trees(Furnisher(store, user.head), surroundings, tmp_path / "scratch", Ledger(), tmp_path / "run/logs")


def test_a_linter_that_edits_the_tree_is_not_believed_and_the_tree_is_put_back(trees: Trees) -> None:
    check = Check("format", f"{PYTHON} write.py")
    prepared = trees.fresh(trees.repo.user.head, (check,), "t")
    result = trees.run(check, prepared)
    assert result.trouble.startswith("check: ")
    assert "edits files (a.txt)" in result.trouble
    assert (prepared.path / "a.txt").read_text() == "a\n"
    assert not (prepared.path / "new.txt").exists()


def test_a_test_that_writes_into_the_tree_is_cleaned_up_after(trees: Trees) -> None:
    check = Check("test-x", f"{PYTHON} write.py")
    prepared = trees.fresh(trees.repo.user.head, (check,), "t")
    assert trees.run(check, prepared).trouble == ""
    assert prepared.worktree.tree() == prepared.tree


def test_ruff_reports_even_where_the_project_says_fix(trees: Trees) -> None:
    check = Check("ruff", "ruff check .", "ruff")
    result = trees.run(check, trees.fresh(trees.repo.user.head, (check,), "t"))
    assert "x.py::F401" in [i.partition("[")[0] for i in result.failed]


def test_the_worktree_is_named_like_the_repository_and_setup_runs_in_it(trees: Trees) -> None:
    check = Check("x", "true", setup=f"{PYTHON} -c \"open('.made', 'w')\"")
    prepared = trees.fresh(trees.repo.user.head, (check,), "t")
    assert prepared.path.name == "a repo"
    assert (prepared.path / ".made").exists()
    bad = Check("y", "true", setup=f"{PYTHON} -c 'raise SystemExit(3)'")
    result = trees.run(bad, trees.fresh(trees.repo.user.head, (bad,), "t"))
    assert result.trouble
    assert not result.green


def test_the_same_content_is_run_once_unless_a_fresh_process_is_wanted(trees: Trees) -> None:
    check = Check("x", "true")
    one, two = (trees.fresh(trees.repo.user.head, (check,), "t") for _ in range(2))
    assert trees.run(check, one) is trees.run(check, two)
    assert trees.ledger.suite_runs == 1
    trees.run(check, two, again=True)
    assert trees.ledger.suite_runs == 2
    assert trees.known(one.tree, check) is not None
    trees.run(check, one, only=("a",))
    assert trees.ledger.suite_runs == 3, "a part of it is another run"


def test_the_runs_limit_ends_a_check_and_says_so(trees: Trees) -> None:
    trees.ledger.minutes = 0.02 + trees.ledger.elapsed() / 60
    check = Check("x", "sleep 30")
    with pytest.raises(LimitError, match="time limit of the run ended 'x'"):
        trees.run(check, trees.fresh(trees.repo.user.head, (check,), "t"))
    with pytest.raises(LimitError, match=r"the limit of .* minutes is reached"):
        trees.run(check, trees.fresh(trees.repo.user.head, (check,), "t"))


def test_whole_logs_are_kept_with_the_run(trees: Trees) -> None:
    check = Check("x", f"{PYTHON} -c \"print('hello')\"")
    result = trees.run(check, trees.fresh(trees.repo.user.head, (check,), "t"))
    assert (trees.logs.parent / result.log).read_text() == "hello\n"


def test_a_worktree_that_was_given_back_is_made_clean_and_used_again(trees: Trees) -> None:
    repo, head = trees.repo, trees.repo.user.head
    first = trees.fresh(head, (), "t")
    git = ["git", "-C", str(first.path)]
    (first.path / "a.txt").write_text("poisoned\n")
    for command in (["update-index", "--assume-unchanged", "a.txt"], ["update-index", "--skip-worktree", "x.py"]):
        subprocess.run([*git, *command], check=True)
    (first.path / "x.py").write_text("raise SystemExit\n")
    (first.path / "new").mkdir()
    subprocess.run(["git", "init", "-q", str(first.path / "new")], check=True)
    (first.path / "new" / "file").write_text("x")
    (first.path / "ignored.pyc").write_text("x")
    other = repo.commit(repo.with_entries(head, [b"0 " + b"0" * 40 + b"\tx.py"]), [head], "without x")
    trees.discard(first)
    second = trees.fresh(other, (), "t")
    assert second.path == first.path
    assert sorted(p.name for p in second.path.iterdir()) == [".git", "a.txt", "pyproject.toml", "write.py"]
    assert (second.path / "a.txt").read_text() == "a\n"
    said = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True).stdout
    assert said == ""
    assert (
        subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip() == other
    )
    assert second.worktree.tree() == repo.tree_of(other)


def test_a_worktree_whose_link_to_git_is_gone_is_mended_too(trees: Trees) -> None:
    head = trees.repo.user.head
    first = trees.fresh(head, (), "t")
    (first.path / ".git").unlink()
    trees.discard(first)
    second = trees.fresh(head, (), "t")
    said = subprocess.run(
        ["git", "-C", str(second.path), "status", "--porcelain"], capture_output=True, text=True, check=True
    )
    assert said.stdout == ""


def test_a_worktree_that_is_gone_is_replaced(trees: Trees) -> None:
    head = trees.repo.user.head
    first = trees.fresh(head, (), "t")
    shutil.rmtree(first.path)
    trees.discard(first)
    second = trees.fresh(head, (), "t")
    assert (second.path / "a.txt").read_text() == "a\n"


def test_worktrees_are_added_one_at_a_time(trees: Trees, tmp_path: Path) -> None:
    """Git reads the folders of the siblings, and fails on one that is half made."""
    made = threading.Event()

    def make() -> None:
        trees.repo.worktree(trees.repo.user.head, tmp_path / "one" / "w")
        made.set()

    with locked(trees.repo.path / "worktrees.lock"):
        other = threading.Thread(target=make)
        other.start()
        assert not made.wait(1.0)
    other.join(60)
    assert made.is_set()
