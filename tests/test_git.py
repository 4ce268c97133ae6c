"""The user's repository is read; one branch is written; worktrees belong to the private repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support import Repo, belongings
from zwarm_ci.errors import BlockedError, CommandError, UsageError
from zwarm_ci.git import BOT, open_repository
from zwarm_ci.private import PrivateRepository

FILES = {"a.txt": "a\n", "dir/ünï code.txt": "u\n", ".gitignore": "ignored/\n"}


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo.make(tmp_path / "a repo with ünï", FILES)


def private(repo: Repo, tmp_path: Path) -> PrivateRepository:
    return PrivateRepository.create(open_repository(repo.path), tmp_path / "private.git")


def test_no_repository_no_commit_and_bare_are_blocked(tmp_path: Path) -> None:
    with pytest.raises(BlockedError, match="not in a git repository"):
        open_repository(tmp_path)
    with pytest.raises(BlockedError, match="has no commit yet"):
        open_repository(Repo.make(tmp_path / "empty").path)
    Repo.make(tmp_path / "x", {"a": "1"}).git("clone", "-q", "--bare", ".", str(tmp_path / "bare"))
    with pytest.raises(BlockedError, match="bare repository"):
        open_repository(tmp_path / "bare")
    with pytest.raises(UsageError, match="no such folder"):
        open_repository(tmp_path / "none")


def test_the_repository_is_found_from_a_folder_in_it(repo: Repo) -> None:
    found = open_repository(repo.path / "dir")
    assert (found.top, found.prefix, found.branch) == (repo.path, "dir", "main")
    repo.git("checkout", "-q", "--detach")
    assert open_repository(repo.path).branch is None


def test_identity_is_gits_own_else_the_stated_bot(repo: Repo) -> None:
    assert open_repository(repo.path).identity == BOT
    repo.git("config", "user.name", "Ada")
    repo.git("config", "user.email", "ada@example.org")
    assert open_repository(repo.path).identity == ("Ada", "ada@example.org")


def test_a_clean_tree_is_its_own_base_and_a_changed_one_becomes_a_snapshot(repo: Repo, tmp_path: Path) -> None:
    store = private(repo, tmp_path)
    assert store.snapshot("worktree") == repo.git("rev-parse", "HEAD")
    repo.write({"a.txt": "b\n", "new.txt": "n\n", "ignored/x": "i", "id_rsa": "k", "staged.txt": "s\n"})
    repo.git("add", "staged.txt")
    before = belongings(repo.path)
    base = store.snapshot("worktree")
    assert store.files(base) == [".gitignore", "a.txt", "dir/ünï code.txt", "new.txt", "staged.txt"]
    assert store.read(base, "a.txt") == b"b\n"
    assert base == store.snapshot("worktree"), "the same tree gives the same snapshot"
    index = store.snapshot("index")
    assert store.read(index, "a.txt") == b"a\n"
    assert store.read(index, "staged.txt") == b"s\n"
    assert store.read(index, "new.txt") is None
    assert store.snapshot("head") == repo.git("rev-parse", "HEAD")
    assert belongings(repo.path) == before


def test_an_unresolved_merge_is_blocked(repo: Repo, tmp_path: Path) -> None:
    repo.git("checkout", "-q", "-b", "other")
    repo.commit("b", {"a.txt": "b\n"})
    repo.git("checkout", "-q", "main")
    repo.commit("c", {"a.txt": "c\n"})
    with pytest.raises(AssertionError):
        repo.git("merge", "other")
    with pytest.raises(BlockedError, match=r"a\.txt has merge conflicts"):
        private(repo, tmp_path).snapshot("worktree")


def test_filters_and_hooks_of_the_user_are_off(repo: Repo, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    repo.git("config", "filter.evil.clean", f"touch '{mark}'; cat")
    repo.git("config", "filter.evil.smudge", f"touch '{mark}'; cat")
    repo.git("config", "filter.evil.required", "true")
    repo.git("config", "core.fsmonitor", f"touch '{mark}'; false")
    hook = repo.path / ".git/hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch '{mark}'\n")
    hook.chmod(0o755)
    repo.write({".gitattributes": "*.txt filter=evil\n", "a.txt": "changed\n"})
    store = private(repo, tmp_path)
    tree = store.worktree(store.snapshot("worktree"), tmp_path / "w" / "x")
    (tree.path / "a.txt").write_text("again\n")
    tree.tree()
    assert not mark.exists()


def test_a_worktrees_difference_counts_whoever_committed_or_hid_what(repo: Repo, tmp_path: Path) -> None:
    store = private(repo, tmp_path)
    base = store.snapshot("head")
    tree = store.worktree(base, tmp_path / "w" / "x")
    inside = Repo(tree.path)
    inside.commit("sneaky", {"a.txt": "1\n"})
    inside.write({"b.txt": "2\n"})
    inside.git("update-index", "--assume-unchanged", "a.txt")
    (tree.path / ".git").unlink()
    assert {(c.status, c.path) for c in store.changes(base, tree.tree())} == {("M", "a.txt"), ("A", "b.txt")}
    tree.reset(base)
    assert tree.tree() == store.tree_of(base)
    assert not (tree.path / "b.txt").exists()


def test_patches_round_trip_with_binary_modes_and_odd_names(repo: Repo, tmp_path: Path) -> None:
    store = private(repo, tmp_path)
    base = store.snapshot("head")
    tree = store.worktree(base, tmp_path / "w" / "x")
    Repo(tree.path).write({"bin": b"\0\1\xff", "crlf.txt": b"x\r\ny", "dir/ünï code.txt": "v\n", "tab\tname": "t"})
    (tree.path / "a.txt").unlink()
    (tree.path / "run.sh").write_text("x")
    (tree.path / "run.sh").chmod(0o755)
    made = tree.tree()
    assert store.apply(store.tree_of(base), store.patch(base, made)) == made


def test_overlay_takes_only_what_it_is_told(repo: Repo, tmp_path: Path) -> None:
    store = private(repo, tmp_path)
    one = repo.git("rev-parse", "HEAD")
    two = repo.commit("two", {"a.txt": "2\n", "b.txt": "2\n", "dir/c.txt": "2\n"})
    laid = store.overlay(one, two, lambda p: p.startswith("dir/") or p == "b.txt")
    assert {p: store.read(laid, p) for p in ("a.txt", "b.txt", "dir/c.txt")} == {
        "a.txt": b"a\n",
        "b.txt": b"2\n",
        "dir/c.txt": b"2\n",
    }
    back = store.overlay(two, one, lambda p: p == "b.txt")
    assert store.read(back, "b.txt") is None


def test_conflicting_patches_do_not_merge(repo: Repo, tmp_path: Path) -> None:
    store = private(repo, tmp_path)
    base = repo.git("rev-parse", "HEAD")
    one, two = (repo.commit("x", {"a.txt": text}) for text in ("1\n", "2\n"))
    assert store.apply(store.tree_of(one), store.patch(base, two)) is None


@pytest.mark.parametrize("kind", ["plain", "shallow", "linked", "sha256"])
def test_a_branch_is_delivered_and_nothing_else(tmp_path: Path, kind: str) -> None:
    repo = Repo.make(tmp_path / "origin", FILES)
    repo.commit("second", {"a.txt": "b\n"})
    if kind == "shallow":
        repo.git("clone", "-q", "--depth", "1", f"file://{repo.path}", str(tmp_path / "clone"))
        repo = Repo(tmp_path / "clone")
    elif kind == "linked":
        repo.git("worktree", "add", "-q", str(tmp_path / "linked"), "-b", "side")
        repo = Repo(tmp_path / "linked")
    elif kind == "sha256":
        (tmp_path / "new").mkdir()
        repo = Repo(tmp_path / "new")
        repo.git("init", "-q", "-b", "main", "--object-format=sha256")
        repo.commit("first", FILES)
    before = belongings(repo.path)
    store = private(repo, tmp_path)
    base = store.snapshot("worktree")
    tree = store.worktree(base, tmp_path / "w" / "x")
    (tree.path / "a.txt").write_text("fixed\n")
    commit = store.commit(tree.tree(), [base], "fix\n")
    store.deliver(commit, "refs/heads/zw/fix")
    assert repo.git("show", "zw/fix:a.txt") == "fixed"
    repo.git("fsck", "--strict")
    assert belongings(repo.path, but=("zw/fix",)) == before
    with pytest.raises(CommandError):
        store.deliver(commit, "refs/heads/zw/fix")


@pytest.mark.parametrize("name", ["main", "main/sub", "bad..name", "-x", "a b"])
def test_a_branch_that_cannot_be_made_is_refused_before_the_run(repo: Repo, name: str) -> None:
    with pytest.raises(UsageError):
        open_repository(repo.path).free_branch(name)


def test_the_users_index_stays_where_only_times_differ(repo: Repo, tmp_path: Path) -> None:
    """`git diff` would write the new times into it."""
    os.utime(repo.path / "a.txt", (1, 1))
    before = belongings(repo.path)
    assert private(repo, tmp_path).snapshot("worktree") == repo.git("rev-parse", "HEAD")
    assert belongings(repo.path) == before


@pytest.mark.parametrize("name", [b"a\nb", b"a\xe2\x80\xa8b", b"a\xff\\b", b'"a"'])
def test_a_folder_may_have_any_name(tmp_path: Path, name: bytes) -> None:
    repo = Repo.make(tmp_path / os.fsdecode(name) / "x", FILES)
    store = private(repo, tmp_path)
    assert store.user.top == repo.path
    assert (store.worktree(store.user.head, tmp_path / "w" / os.fsdecode(name)).path / "a.txt").is_file()


def test_tools_may_ask_a_worktree_for_tags_and_the_remote_and_can_push_nothing(tmp_path: Path) -> None:
    origin = Repo.make(tmp_path / "origin", {"a": "1"})
    origin.git("tag", "-a", "v1.2", "-m", "one two")
    clone = Repo(tmp_path / "clone")
    origin.git("clone", "-q", str(origin.path), str(clone.path))
    clone.git("config", "remote.origin.url", "https://ada:secret-word@example.org/x.git")
    user = open_repository(clone.path)
    private = PrivateRepository.create(user, tmp_path / "p.git")
    tree = Repo(private.worktree(user.head, tmp_path / "w" / "clone").path)
    assert tree.git("describe", "--tags") == "v1.2"
    assert tree.git("rev-parse", "origin/main") == user.head
    assert tree.git("remote", "get-url", "origin") == "https://example.org/x.git"
    assert tree.git("remote", "get-url", "--push", "origin").startswith("disabled://")
    assert "secret-word" not in (private.path / "config").read_text()
