"""Native hooks through real commits, merges and pushes: ours runs after the one that was there, and a missing zwarm-ci blocks nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.hook_native.native import Native, script, usual_path
from tests.support import Repo, belongings
from zwarm_ci import shims
from zwarm_ci.git import open_repository

NOTES = '#!/bin/sh\nprintf "theirs|%s\\n" "$*" >>"$CALLS"\n'
READS = '#!/bin/sh\nsed "s/^/theirs /" >>"$CALLS"\nexit "${THEIRS:-0}"\n'


@pytest.fixture
def native(tmp_path: Path) -> Native:
    return Native.make(tmp_path)


def remote(native: Native) -> Path:
    bare = native.repo.path.parent / "remote.git"
    native.repo.git("init", "-q", "--bare", str(bare))
    native.repo.git("remote", "add", "origin", str(bare))
    return bare


def test_each_stage_is_called_with_what_git_says(native: Native) -> None:
    native.install()
    top = str(native.repo.path)
    assert native.commit().returncode == 0
    assert native.called() == [f"hook|pre-commit|{top}", f"hook|commit-msg|.git/COMMIT_EDITMSG|{top}"]
    native.git("checkout", "-qb", "side", "HEAD~1")
    native.git("commit", "-q", "--allow-empty", "-m", "side")
    native.called()
    assert native.git("merge", "-q", "--no-edit", "main").returncode == 0
    assert f"hook|post-merge|0|{top}" in native.called()


def test_a_push_says_its_refs_to_both(native: Native) -> None:
    bare = remote(native)
    script(native.repo.path / ".git/hooks/pre-push", READS)
    native.install()
    head = native.repo.git("rev-parse", "HEAD")
    assert native.git("push", "-q", "origin", "main", "main:second").returncode == 0
    lines = [f"refs/heads/main {head} refs/heads/{name} {'0' * 40}" for name in ("main", "second")]
    theirs, ours = [f"theirs {line}" for line in lines], [f"stdin {line}" for line in lines]
    assert native.called() == [*theirs, f"hook|pre-push|origin|{bare}|{native.repo.path}", *ours]


def test_a_push_of_nothing_says_nothing(native: Native) -> None:
    remote(native)
    script(native.repo.path / ".git/hooks/pre-push", READS)
    native.install()
    native.git("push", "-q", "origin", "main")
    native.called()
    assert native.git("push", "-q", "origin", "main").returncode == 0
    assert not any(line.startswith(("stdin", "theirs")) for line in native.called())


def test_many_refs_reach_a_hook_that_does_not_listen_and_ours(native: Native) -> None:
    remote(native)
    script(native.repo.path / ".git/hooks/pre-push", "#!/bin/sh\nexit 0\n")
    native.install()
    sha = native.repo.git("rev-parse", "HEAD")
    refs = "".join(f"create refs/heads/{'b' * 60}{n} {sha}\n" for n in range(600))  # more than a pipe holds
    subprocess.run(["git", "update-ref", "--stdin"], cwd=native.repo.path, input=refs, text=True, check=True)
    done = native.git("push", "-q", "origin", "--all")
    assert (done.returncode, done.stderr) == (0, "")
    assert sum(line.startswith("stdin ") for line in native.called()) == 601


@pytest.mark.parametrize("stage", ["pre-commit", "commit-msg"])
def test_their_no_at_a_commit_is_a_no_and_ours_is_not_asked(native: Native, stage: str) -> None:
    script(native.repo.path / f".git/hooks/{stage}", "#!/bin/sh\necho no >&2\nexit 3\n")
    native.install()
    before = native.repo.git("rev-parse", "HEAD")
    done = native.commit()
    assert (done.returncode, done.stderr) == (1, "no\n")
    assert native.repo.git("rev-parse", "HEAD") == before
    assert not any(stage in line for line in native.called())


def test_their_no_at_a_push_is_a_no_and_ours_is_not_asked(native: Native) -> None:
    bare = remote(native)
    script(native.repo.path / ".git/hooks/pre-push", READS)
    native.install()
    assert native.git("push", "-q", "origin", "main", THEIRS="7").returncode == 1
    assert Repo(bare).git("for-each-ref") == ""
    assert not any(line.startswith("hook") for line in native.called())


@pytest.mark.parametrize("stage", ["pre-commit", "commit-msg", "pre-push"])
def test_our_no_is_a_no(native: Native, stage: str) -> None:
    bare = remote(native)
    native.install()
    script(native.bin / "zwarm-ci", f'#!/bin/sh\ncat >/dev/null\n[ "$2" != {stage} ]\n')
    committed = native.commit().returncode
    pushed = native.git("push", "-q", "origin", "main").returncode
    assert (committed, pushed) == ((0, 1) if stage == "pre-push" else (1, 0))
    assert (Repo(bare).git("for-each-ref") == "") == (stage == "pre-push")


@pytest.mark.parametrize("kind", ["in the tree", "in git's folder"])
def test_hooks_of_core_hookspath_are_chained_where_they_are(native: Native, kind: str) -> None:
    folder = native.repo.path / (".githooks" if kind == "in the tree" else ".git/own")
    native.repo.git("config", "core.hooksPath", str(folder.relative_to(native.repo.path)))
    script(folder / "pre-commit", NOTES)
    before = belongings(native.repo.path)
    native.install()
    assert not (native.repo.path / ".git/hooks/pre-commit").exists()
    named = b"\nat=''\n" in (folder / "pre-commit").read_bytes()
    assert named == (kind == "in the tree")  # what may be committed names no path of this machine
    assert native.commit().returncode == 0
    assert [line.partition("|")[0] for line in native.called()] == ["theirs", "hook", "hook"]
    native.remove()
    native.repo.git("checkout", "-q", "--", "a.txt")
    after = belongings(native.repo.path)
    assert {
        k for k in before if k.startswith((".githooks", ".git/own", ".git/hooks")) and before[k] != after.get(k)
    } == set()
    assert not any("zwarm" in name for name in after)


def test_a_hook_that_is_a_link_stays_one(native: Native) -> None:
    script(native.repo.path / "scripts/check", NOTES)
    hooks = native.repo.path / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    (hooks / "pre-commit").symlink_to("../../scripts/check")
    native.install()
    assert native.commit().returncode == 0
    assert native.called()[0].startswith("theirs")
    assert (native.repo.path / "scripts/check").read_text() == NOTES
    native.remove()
    assert str((hooks / "pre-commit").readlink()) == "../../scripts/check"


def test_a_linked_worktree_runs_them_in_itself(native: Native) -> None:
    native.install()
    linked = native.repo.path.parent / "linked"
    native.repo.git("worktree", "add", "-q", str(linked))
    done = native.git("commit", "-q", "--allow-empty", "-m", "x", cwd=linked)
    assert done.returncode == 0
    assert native.called()[0] == f"hook|pre-commit|{linked}"


def test_a_missing_zwarm_ci_blocks_nothing_and_says_one_line(native: Native) -> None:
    bare = remote(native)
    native.repo.git("config", "core.hooksPath", ".githooks")  # so that no path is written into them
    native.install()
    committed = native.commit(PATH=usual_path())
    pushed = native.git("push", "-q", "origin", "main", PATH=usual_path())
    said = "zwarm-ci: not found, so {} checks nothing (put it on PATH, or: zwarm-ci init --hooks native)\n"
    assert (committed.returncode, committed.stderr) == (0, said.format("pre-commit") + said.format("commit-msg"))
    assert (pushed.returncode, pushed.stderr) == (0, said.format("pre-push"))
    assert Repo(bare).git("rev-parse", "main") == native.repo.git("rev-parse", "HEAD")


def test_without_path_the_one_that_was_there_at_the_install_is_found(native: Native) -> None:
    native.install()
    odd = native.repo.path.parent / "it's a folder" / "zwarm-ci"
    script(odd, (native.bin / "zwarm-ci").read_text())
    hook = native.repo.path / ".git/hooks/pre-commit"
    hook.write_bytes(shims.text("pre-commit", str(odd)))
    (native.repo.path / ".git/hooks/commit-msg").unlink()
    assert native.commit(PATH=usual_path()).returncode == 0
    assert native.called() == [f"hook|pre-commit|{native.repo.path}"]
    found = shims.look(shims.folder(open_repository(native.repo.path)), "pre-commit")
    assert (found.state, shims.program(found)) == ("ours", str(odd))


def test_installed_again_by_another_tool_that_keeps_ours_as_legacy(native: Native) -> None:
    script(native.repo.path / ".git/hooks/pre-commit", NOTES)
    native.install()
    hooks = native.repo.path / ".git/hooks"
    (hooks / "pre-commit").rename(hooks / "pre-commit.legacy")
    script(hooks / "pre-commit", '#!/bin/sh\nexec "$(dirname "$0")/pre-commit.legacy" "$@"\n')
    assert native.commit().returncode == 0
    assert [line.partition("|")[0] for line in native.called()] == ["theirs", "hook", "hook"]
    assert native.install().steps == ()
    native.remove()
    assert (hooks / "pre-commit.legacy").read_text() == NOTES
    assert "exec" in (hooks / "pre-commit").read_text()
