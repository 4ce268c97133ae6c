"""First parents: merges, roots, shallow ends; and the two searches over them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import Repo
from zwarm_ci.git import open_repository
from zwarm_ci.private import PrivateRepository
from zwarm_ci.repair.history import DEPTH, first_parents, last_green, turning_point
from zwarm_ci.repair.lab import Answer

G, R, U = Answer.GREEN, Answer.RED, Answer.UNRESOLVED


def _private(repo: Repo, place: Path) -> PrivateRepository:
    return PrivateRepository.create(open_repository(repo.path), place)


def _asked(answers: str) -> tuple[list[str], dict[str, Answer], list[str]]:
    """A chain from newest to oldest, `r` red, `g` green, `u` unresolved."""
    chain = [str(n) for n in range(len(answers))]
    return chain, {c: {"g": G, "r": R, "u": U}[a] for c, a in zip(chain, answers, strict=True)}, []


def test_first_parents_of_a_merge_end_at_the_root(tmp_path: Path) -> None:
    repo = Repo.make(tmp_path / "r", {"a": "1"})
    root = repo.git("rev-parse", "HEAD")
    repo.git("checkout", "-q", "-b", "side")
    repo.commit("side", {"b": "1"})
    repo.git("checkout", "-q", "main")
    main = repo.commit("main", {"c": "1"})
    repo.git("merge", "-q", "--no-ff", "-m", "merge", "side")
    head = repo.git("rev-parse", "HEAD")
    private = _private(repo, tmp_path / "p")
    assert first_parents(private, head) == [head, main, root]
    assert first_parents(private, head, after=main) == [head, main]
    assert first_parents(private, head, after=root) == [head, main, root]
    assert first_parents(private, head, after=head) == []
    # A last green that is on the merged side: the chain ends where that side began.
    assert first_parents(private, head, after=repo.git("rev-parse", "side")) == [head, main, root]


def test_a_shallow_clone_ends_where_its_history_ends(tmp_path: Path) -> None:
    origin = Repo.make(tmp_path / "o", {"a": "0"})
    for n in range(1, 4):
        origin.commit(str(n), {"a": str(n)})
    origin.git("clone", "-q", "--depth", "2", f"file://{origin.path}", str(tmp_path / "r"))
    private = _private(Repo(tmp_path / "r"), tmp_path / "p")
    assert len(first_parents(private, private.user.head)) == 2


def test_the_chain_is_bounded(tmp_path: Path) -> None:
    repo = Repo.make(tmp_path / "r", {"a": "0"})
    for _ in range(DEPTH + 5):
        repo.git("commit", "-q", "--allow-empty", "-m", "m")
    private = _private(repo, tmp_path / "p")
    assert len(first_parents(private, private.user.head)) == DEPTH + 1


@pytest.mark.parametrize(
    ("answers", "green", "step"),
    [
        ("rg", 1, ("1", "0")),
        ("rrrrggggg", 4, ("4", "3")),
        ("rrrrrrrrrgggggggggggggg", 12, ("9", "8")),
        ("rrrrrrr", None, None),
        ("r" * 9 + "g" * 3 + "u" * 20, 10, ("9", "8")),  # the code did not exist yet in the oldest
        ("ruuuuug", 6, ("6", "0")),  # nothing between says anything: the commits cannot be told apart
        ("rruurugg", 6, ("6", "4")),
        ("ru", None, None),
        ("r", None, None),
    ],
)
def test_the_searches(answers: str, green: int | None, step: tuple[str, str] | None) -> None:
    chain, known, _ = _asked(answers)
    found = last_green(chain, known.__getitem__)
    assert found == green
    if found is not None:
        turned = turning_point(chain, found, known.__getitem__)
        assert (turned.green, turned.red) == step
        assert turned.commits == int(turned.green) - int(turned.red)


def test_a_named_last_green_is_asked_alone() -> None:
    chain, known, asked = _asked("rrrg")

    def ask(commit: str) -> Answer:
        asked.append(commit)
        return known[commit]

    assert last_green(chain, ask, known=True) == 3
    assert asked == ["3"]
    assert last_green(chain[:3], ask, known=True) is None


def test_few_questions_for_a_long_history() -> None:
    chain, known, asked = _asked("r" * 30 + "g" * 11)

    def ask(commit: str) -> Answer:
        asked.append(commit)
        return known[commit]

    position = last_green(chain, ask)
    assert position is not None
    turning_point(chain, position, ask)
    assert len(set(asked)) <= 14
