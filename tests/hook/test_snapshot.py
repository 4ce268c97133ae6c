"""The staged tree as checks see it: nothing that is not staged, and everything that git would check out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hook.hooked import hook, make
from tests.support import Repo, belongings

LOOK = '[checks.look]\nrun = "sh look.sh"\n'
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A repository whose check copies what it sees to `seen`."""
    return make(tmp_path / "r", LOOK, {"look.sh": f"cp -R . {tmp_path / 'seen'}\n", "a.txt": "a\n", "b.txt": "b\n"})


def seen(repo: Repo) -> Path:
    """What a check saw of what is staged; the user has what he had."""
    before = belongings(repo.path)
    said = hook(repo.path, "pre-commit")
    assert (said.code, said.err) == (0, "")
    assert belongings(repo.path) == before
    return repo.path.parent / "seen"


def test_what_is_not_staged_is_not_there(repo: Repo) -> None:
    repo.write({"a.txt": "staged\n", "new.txt": "announced\n", "untracked.txt": "x", ".env": "SECRET=1\n"})
    repo.git("add", "a.txt")
    repo.git("add", "-N", "new.txt")
    repo.git("mv", "b.txt", "c.txt")
    repo.write({"a.txt": "not staged\n", "c.txt": "not staged\n"})
    there = seen(repo)
    assert (there / "a.txt").read_text() == "staged\n"
    assert (there / "c.txt").read_text() == "b\n"
    assert not [n for n in ("new.txt", "untracked.txt", ".env", "b.txt") if (there / n).exists()]


def test_a_part_of_a_file_is_staged(repo: Repo) -> None:
    repo.commit("lines", {"a.txt": "".join(f"{n}\n" for n in range(40))})
    repo.write({"a.txt": "first\n" + "".join(f"{n}\n" for n in range(40)) + "last\n"})
    patch = repo.git("diff", "-U0", "a.txt") + "\n"
    one = patch[: patch.index("@@ -40")]
    (repo.path.parent / "one.patch").write_text(one)
    repo.git("apply", "--cached", "--unidiff-zero", str(repo.path.parent / "one.patch"))
    lines = (seen(repo) / "a.txt").read_text().splitlines()
    assert (lines[0], lines[-1]) == ("first", "39")


def test_line_endings_and_pointers_are_as_git_checks_them_out(repo: Repo) -> None:
    repo.git("config", "filter.lfs.clean", "git-lfs clean -- %f")
    repo.git("config", "filter.lfs.smudge", "git-lfs smudge -- %f")
    repo.git("config", "filter.lfs.required", "true")
    repo.write(
        {
            ".gitattributes": "*.bat text eol=crlf\n*.bin filter=lfs -text\n",
            "x.bat": "one\r\ntwo\r\n",
            "pointer": POINTER,
        }
    )
    repo.git("add", ".gitattributes", "x.bat")
    blob = repo.git("hash-object", "-w", "--no-filters", "pointer")
    (repo.path / "pointer").unlink()
    (repo.path / "big.bin").write_bytes(b"\0" * 12345)
    repo.git("update-index", "--add", "--cacheinfo", f"100644,{blob},big.bin")
    there = seen(repo)
    assert (there / "x.bat").read_bytes() == b"one\r\ntwo\r\n"
    assert (there / "big.bin").read_text() == POINTER


def test_a_sparse_checkout_is_checked_whole(repo: Repo) -> None:
    repo.commit("folders", {"in/x.txt": "x\n", "out/y.txt": "y\n"})
    repo.git("sparse-checkout", "set", "in")
    assert not (repo.path / "out").exists()
    repo.write({"in/x.txt": "changed\n"})
    repo.git("add", "in/x.txt")
    there = seen(repo)
    assert (there / "in" / "x.txt").read_text() == "changed\n"
    assert (there / "out" / "y.txt").read_text() == "y\n"


def test_a_submodule_stands_at_the_commit_that_is_staged(repo: Repo, tmp_path: Path) -> None:
    inner = Repo.make(tmp_path / "inner", {"m.txt": "one\n"})
    repo.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner.path), "sub")
    repo.git("commit", "-qm", "sub")
    sub = Repo(repo.path / "sub")
    sub.commit("two", {"m.txt": "two\n"})
    repo.git("add", "sub")
    sub.write({"m.txt": "not committed there\n"})
    assert (seen(repo) / "sub" / "m.txt").read_text() == "two\n"


def test_a_split_index_and_an_index_of_the_fourth_form_are_read(repo: Repo) -> None:
    repo.git("update-index", "--split-index")
    repo.write({"a.txt": "split\n"})
    repo.git("add", "a.txt")
    assert (seen(repo) / "a.txt").read_text() == "split\n"
    repo.git("update-index", "--no-split-index", "--index-version", "4")
    repo.write({"a.txt": "fourth\n"})
    repo.git("add", "a.txt")
    (repo.path.parent / "seen").rename(repo.path.parent / "before")
    assert (seen(repo) / "a.txt").read_text() == "fourth\n"
