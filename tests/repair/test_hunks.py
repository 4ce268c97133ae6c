"""Hunks: separable, reversible on later trees, and true to every byte."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import Repo
from zwarm_ci.git import open_repository
from zwarm_ci.private import PrivateRepository
from zwarm_ci.repair.hunks import Found, Hunk, Span, hunks_of, reverse, split, undone


def _found(repo: Repo, place: Path, *, old: str = "HEAD~1", new: str = "HEAD") -> tuple[PrivateRepository, Found]:
    private = PrivateRepository.create(open_repository(repo.path), place)
    base = private.user.head
    before, after = (repo.git("rev-parse", rev) for rev in (old, new))
    return private, hunks_of(private, before, after, base, lambda path: path.startswith("tests/"))


def _two(
    tmp_path: Path, before: bytes | None, after: bytes | None, later: bytes | None = None
) -> tuple[PrivateRepository, Found]:
    repo = Repo.make(tmp_path / "r", {"keep": "x"})
    for content in (before, after, later):
        if content is None:
            (repo.path / "f.py").unlink(missing_ok=True)
        else:
            repo.write({"f.py": content})
        repo.git("add", "-A")
        repo.git("commit", "-q", "--allow-empty", "-m", "m")
    if later is None:
        repo.git("reset", "-q", "--hard", "HEAD~1")
        return _found(repo, tmp_path / "p")
    return _found(repo, tmp_path / "p", old="HEAD~2", new="HEAD~1")


def _content(private: PrivateRepository, tree: str) -> bytes | None:
    return private.read(tree, "f.py")


def test_edits_two_lines_apart_are_two_hunks(tmp_path: Path) -> None:
    private, found = _two(tmp_path, b"a\nb\nc\nd\n", b"A\nb\nC\nd\n")
    assert [h.place for h in found.hunks] == ["f.py:1", "f.py:3"]
    assert _content(private, reverse(private, private.user.head, found.hunks[1:])) == b"A\nb\nc\nd\n"
    assert _content(private, reverse(private, private.user.head, found.hunks[:1])) == b"a\nb\nC\nd\n"
    assert _content(private, reverse(private, private.user.head, found.hunks)) == b"a\nb\nc\nd\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"a\r\nb\r\nc\r\n", b"a\r\nB\r\nc\r\n"),
        (b"a\nb", b"a\nB"),
        (b"a\nb\n", b"a\nb"),
        (b"a\nb", b"a\nb\nc\n"),
        (b"caf\xe9\nb\n", b"caf\xe9\nB\xff\n"),
        (b"", b"a\n"),
        (b"a\n", b""),
        (b"@@ -1 +1 @@\nb\n", b"@@ -2 +2 @@\nb\n"),
        (b"a\x0cb\na\rb\n", b"a\x0cb\na\rB\n"),
        (b"\x00\x01a\n", b"\x00\x02a\n"),
        (None, b"new\n"),
        (b"old\n", None),
    ],
)
def test_the_whole_reverse_is_what_was(tmp_path: Path, before: bytes | None, after: bytes | None) -> None:
    private, found = _two(tmp_path, before, after)
    assert found.hunks
    assert not found.left_out
    assert _content(private, reverse(private, private.user.head, found.hunks)) == before


def test_hunks_move_with_later_commits(tmp_path: Path) -> None:
    later = b"0\n1\nA\nb\nC\nd\n2\n"
    private, found = _two(tmp_path, b"a\nb\nc\nd\n", b"A\nb\nC\nd\n", later)
    assert [h.place for h in found.hunks] == ["f.py:3", "f.py:5"]
    assert _content(private, reverse(private, private.user.head, found.hunks)) == b"0\n1\na\nb\nc\nd\n2\n"


@pytest.mark.parametrize(
    ("later", "left", "reversed_"),
    [
        (b"X\nb\nC\nd\n", "f.py:1", b"X\nb\nc\nd\n"),  # the first was edited again
        (b"b\nC\nd\n", "f.py:1", b"b\nc\nd\n"),  # or taken out
        (b"A\nnew\nb\nC\nd\n", "", b"a\nnew\nb\nc\nd\n"),  # lines beside it do not matter
    ],
)
def test_what_later_commits_moved_over_is_left_out(tmp_path: Path, later: bytes, left: str, reversed_: bytes) -> None:
    private, found = _two(tmp_path, b"a\nb\nc\nd\n", b"A\nb\nC\nd\n", later)
    assert [left in reason for reason in found.left_out] == ([True] if left else [])
    assert _content(private, reverse(private, private.user.head, found.hunks)) == reversed_


def test_a_deletion_whose_gap_was_filled_is_left_out(tmp_path: Path) -> None:
    _, found = _two(tmp_path, b"a\nb\nc\n", b"a\nc\n", b"a\nother\nc\n")
    assert not found.hunks
    assert len(found.left_out) == 1


def test_deletions_come_back_in_their_place(tmp_path: Path) -> None:
    private, found = _two(tmp_path, b"a\nb\nc\nd\ne\n", b"a\nc\ne\n", b"0\na\nc\ne\n")
    assert [h.place for h in found.hunks] == ["f.py:3", "f.py:4"]
    assert _content(private, reverse(private, private.user.head, found.hunks[1:])) == b"0\na\nc\nd\ne\n"


def test_modes_links_and_renames_are_whole_hunks(tmp_path: Path) -> None:
    repo = Repo.make(tmp_path / "r", {"run.sh": "echo\n", "name.py": "x = 1\n"})
    (repo.path / "run.sh").chmod(0o755)
    (repo.path / "name.py").rename(repo.path / "other.py")
    (repo.path / "link").symlink_to("run.sh")
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", "m")
    private, found = _found(repo, tmp_path / "p")
    assert {h.path for h in found.hunks} == {"run.sh", "name.py", "other.py", "link"}
    assert reverse(private, private.user.head, found.hunks) == private.tree_of(repo.git("rev-parse", "HEAD~1"))


def test_a_file_that_was_made_and_then_edited_is_left_out(tmp_path: Path) -> None:
    _, found = _two(tmp_path, None, b"a\n", b"b\n")
    assert not found.hunks
    assert "f.py was changed again later" in found.left_out


def test_protected_paths_have_no_hunks(tmp_path: Path) -> None:
    repo = Repo.make(tmp_path / "r", {"a.py": "1\n", "tests/test_a.py": "1\n"})
    repo.commit("both", {"a.py": "2\n", "tests/test_a.py": "2\n"})
    _, found = _found(repo, tmp_path / "p")
    assert [h.path for h in found.hunks] == ["a.py"]


def test_names_that_are_not_utf8_or_have_spaces(tmp_path: Path) -> None:
    repo = Repo.make(tmp_path / "r", {"ä b.py": "1\n"})
    repo.commit("m", {"ä b.py": "2\n"})
    private, found = _found(repo, tmp_path / "p")
    assert private.read(reverse(private, private.user.head, found.hunks), "ä b.py") == b"1\n"


@settings(max_examples=200)
@given(st.lists(st.binary(max_size=4)), st.booleans())
def test_split_loses_nothing(parts: list[bytes], end: bool) -> None:
    content = b"\n".join(parts) + (b"\n" if end else b"")
    assert b"".join(split(content)) == content


def test_a_last_line_that_is_the_last_no_more_gets_its_newline() -> None:
    assert undone(b"a\nb", [Hunk("f", Span(2, 0), (b"c",))]) == b"a\nb\nc"
