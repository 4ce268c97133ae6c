"""A hook that has nothing to do, or has done it, leaves before anything is imported; what it keeps is about this content alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.hook.hooked import LINT, TESTS, hook, make
from tests.support import Repo, belongings
from zwarm_ci import __version__, config
from zwarm_ci.hook import quick

COUNTING = '[checks.count]\nrun = "sh count.sh"\nfiles = ["**/*.txt"]\n'


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Repo, Path]:
    """A repository whose one check says in a file outside of it that it ran."""
    tally = tmp_path / "tally"
    repo = make(tmp_path / "r", COUNTING, {"a.txt": "a\n", "count.sh": f"echo ran >> {tally}\n"})
    monkeypatch.chdir(repo.path)
    return repo, tally


def runs(tally: Path) -> int:
    return len(tally.read_text().splitlines()) if tally.exists() else 0


def test_a_green_content_is_run_once_whoever_asks(counted: tuple[Repo, Path]) -> None:
    repo, tally = counted
    repo.write({"a.txt": "b\n"})
    repo.git("add", "-A")
    assert [hook(repo.path, "pre-commit").code for _ in range(2)] == [0, 0]
    assert runs(tally) == 1
    assert quick.code(["pre-commit"], os.environ) == 0
    assert quick.code(["pre-commit", "--fix"], os.environ) is None  # green is not fixed
    repo.git("commit", "-qm", "b")
    repo.git("reset", "-q", "--soft", "HEAD~1")
    repo.git("commit", "-qm", "the same content, another commit")
    repo.git("commit", "-q", "--amend", "--allow-empty", "-m", "again")
    said = hook(repo.path, "pre-commit", "a.txt")
    assert (said.code, runs(tally)) == (0, 1)


def test_a_run_takes_a_hooks_word_for_the_same_content(counted: tuple[Repo, Path]) -> None:
    from tests.support import zwarm

    repo, tally = counted
    repo.write({"a.txt": "b\n"})
    repo.git("add", "-A")
    assert hook(repo.path, "pre-commit").code == 0
    repo.git("commit", "-qm", "b")
    said = zwarm("fix-checks", "--json", cwd=repo.path)
    assert (said.code, said.json["status"], runs(tally)) == (0, "green", 1)
    repo.commit("another", {"a.txt": "c\n"})
    assert zwarm("fix-checks", "--json", cwd=repo.path).code == 0
    assert runs(tally) == 2


@pytest.mark.parametrize("what", ["content", "settings", "names", "program"])
def test_another_thing_is_looked_at_anew(counted: tuple[Repo, Path], what: str, tmp_path: Path) -> None:
    repo, tally = counted
    repo.write({"a.txt": "b\n"})
    repo.git("add", "-A")
    assert hook(repo.path, "pre-commit").code == 0
    env: dict[str, str] = {}
    names: tuple[str, ...] = ()
    if what == "content":
        repo.write({"a.txt": "c\n"})
    elif what == "settings":
        repo.write({".zwarm/config.toml": COUNTING + "timeout = 60\n[hook]\nseconds = 600\n"})
    elif what == "names":
        names = ("count.sh",)
    else:
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "sh").write_text('#!/bin/sh\nexec /bin/sh "$@"\n')
        (tmp_path / "bin" / "sh").chmod(0o755)
        env = {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    repo.git("add", "-A")
    assert quick.code(["pre-commit", *names], {**os.environ, **env}) is None
    assert hook(repo.path, "pre-commit", *names, **env).code == 0
    assert runs(tally) == (1 if what == "names" else 2)  # names make other checks run, and this one was


def test_another_version_of_a_program_is_another_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "look"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    repo = make(tmp_path / "r", '[checks.look]\nrun = "look"\n', {"a.txt": "a\n"})
    monkeypatch.chdir(repo.path)
    repo.write({"a.txt": "b\n"})
    repo.git("add", "-A")
    assert hook(repo.path, "pre-commit").code == 0
    assert quick.code(["pre-commit"], os.environ) == 0
    program.write_text("#!/bin/sh\nexit 1\n")
    assert quick.code(["pre-commit"], os.environ) is None
    assert hook(repo.path, "pre-commit").code == 1


def test_a_red_content_is_never_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = make(tmp_path / "r", '[checks.no]\nrun = "false"\n', {"a.txt": "a\n"})
    monkeypatch.chdir(repo.path)
    repo.write({"a.txt": "b\n"})
    repo.git("add", "-A")
    assert [hook(repo.path, "pre-commit").code for _ in range(2)] == [1, 1]
    assert quick.code(["pre-commit"], os.environ) is None


def test_what_touches_no_check_leaves_at_once_from_the_second_time_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = make(tmp_path / "r", LINT)
    monkeypatch.chdir(repo.path)
    repo.write({"notes.md": "x", "deep/more.rst": "y"})
    repo.git("add", "-A")
    assert quick.code(["pre-commit"], os.environ) is None  # nobody knows these settings yet
    assert hook(repo.path, "pre-commit").code == 0
    assert quick.code(["pre-commit"], os.environ) == 0
    assert quick.code(["pre-commit", "--fix"], os.environ) == 0
    assert quick.code(["pre-commit", "app.py"], os.environ) is None  # a framework says that it is about this one too
    repo.write({"new.py": ""})
    repo.git("add", "-N", "new.py")  # announced, and no part of the commit
    assert quick.code(["pre-commit"], os.environ) == 0
    repo.git("add", "new.py")
    assert quick.code(["pre-commit"], os.environ) is None


def test_where_checks_are_detected_any_source_counts_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = Repo.make(tmp_path / "r", {"test_a.py": "def test_a():\n    pass\n"})
    monkeypatch.chdir(repo.path)
    repo.write({"notes.md": "x"})
    repo.git("add", "-A")
    assert hook(repo.path, "pre-commit", "--set", "hook.seconds=600").code == 0
    assert quick.code(["pre-commit"], os.environ) is None  # further settings: that call is not about these files alone
    assert hook(repo.path, "pre-commit").code == 0
    assert quick.code(["pre-commit"], os.environ) == 0
    repo.write({"main.go": "package main\n"})
    repo.git("add", "-A")
    assert quick.code(["pre-commit"], os.environ) is None


def test_a_key_in_the_environment_keeps_nothing_from_being_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = make(tmp_path / "r", LINT)
    monkeypatch.chdir(repo.path)
    repo.write({"notes.md": "x"})
    repo.git("add", "-A")
    keys = {"OPENAI_API_KEY": "no-key-at-all", "ZWARM_CI_CODEX": "/no/codex"}
    assert hook(repo.path, "pre-commit", **keys).code == 0
    assert quick.code(["pre-commit"], {**os.environ, **keys}) == 0
    assert all(config.RESERVED.fullmatch(name) for name in quick.NO_SETTINGS)


@pytest.mark.parametrize(
    ("args", "env"),
    [
        (["pre-commit", "--fix", "app.py"], {}), (["pre-push", "origin", "url"], {}), (["post-merge", "0"], {}), ([], {}),
        (["pre-commit"], {"ZWARM_CI_HOOK__SECONDS": "5"}), (["pre-commit"], {"PRE_COMMIT_TO_REF": "HEAD"}), (["commit-msg", "a", "b"], {}),
    ],
)  # fmt: skip
def test_what_it_cannot_know_is_left_to_the_whole_hook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], env: dict[str, str]
) -> None:
    repo = make(tmp_path / "r", LINT)
    monkeypatch.chdir(repo.path)
    assert hook(repo.path, "pre-commit").code == 0
    assert quick.code(["pre-commit"], os.environ) == 0
    assert quick.code(args, {**os.environ, **env}) is None


def test_an_unresolved_merge_and_no_repository_are_left_to_the_whole_hook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = make(tmp_path / "r", LINT)
    monkeypatch.chdir(repo.path)
    assert hook(repo.path, "pre-commit").code == 0
    repo.git("checkout", "-qb", "side")
    repo.commit("x", {"notes.md": "x\n"})
    repo.git("checkout", "-q", "main")
    repo.commit("y", {"notes.md": "y\n"})
    with pytest.raises(AssertionError):
        repo.git("merge", "side")
    assert quick.code(["pre-commit"], os.environ) is None
    said = hook(repo.path, "pre-commit")
    assert (said.code, "notes.md has merge conflicts" in said.err) == (0, True)
    monkeypatch.chdir(tmp_path)
    assert quick.code(["pre-commit"], os.environ) is None
    said = hook(tmp_path, "pre-commit")
    assert (said.code, "is not in a git repository" in said.err) == (0, True)


def test_inside_a_run_of_ours_a_hook_does_nothing(tmp_path: Path) -> None:
    repo = make(tmp_path / "r", '[checks.no]\nrun = "false"\n', {"a.txt": "a\n"})
    repo.write({"a.txt": "b\n"})
    repo.git("add", "-A")
    assert hook(repo.path, "pre-commit", ZWARM_CI_TAG="zw.1").code == 0
    assert hook(repo.path, "pre-commit").code == 1


def test_an_index_of_another_repository_is_nobodys_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = make(tmp_path / "ours", TESTS), make(tmp_path / "theirs", TESTS)
    theirs.write({"app.py": "x"})
    theirs.git("add", "-A")
    monkeypatch.chdir(ours.path)
    env = {**os.environ, "GIT_INDEX_FILE": str(theirs.path / ".git" / "index"), "GIT_DIR": str(theirs.path / ".git")}
    found = quick.staged(env)
    assert found
    assert found.paths == ()
    before = belongings(theirs.path)
    assert hook(ours.path, "pre-commit", GIT_INDEX_FILE=env["GIT_INDEX_FILE"], GIT_DIR=env["GIT_DIR"]).code == 0
    assert belongings(theirs.path) == before
    ours.git("worktree", "add", "-q", str(tmp_path / "linked"))
    linked = ours.path / ".git" / "worktrees" / "linked" / "index"
    assert not quick.index_file({"GIT_INDEX_FILE": str(linked)})  # of another working tree of the same repository
    other = ours.path / ".git" / "next-index-1.lock"
    other.write_bytes((ours.path / ".git" / "index").read_bytes())
    ours.write({"app.py": "y"})
    ours.git("add", "app.py", GIT_INDEX_FILE=str(other))
    found = quick.staged({**os.environ, "GIT_INDEX_FILE": ".git/next-index-1.lock"})
    assert found
    assert found.paths == ("app.py",)


def test_a_cache_that_cannot_be_written_costs_time_and_nothing_else(tmp_path: Path) -> None:
    repo = make(tmp_path / "r", '[checks.yes]\nrun = "true"\n', {"a.txt": "a\n"})
    (tmp_path / "file").write_text("")
    repo.write({"a.txt": "b\n"})
    repo.git("add", "-A")
    for _ in range(2):
        said = hook(repo.path, "pre-commit", XDG_CACHE_HOME=str(tmp_path / "file"))
        assert (said.code, said.err) == (0, "")


def test_the_oldest_of_what_is_kept_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(quick, "_MOST", 3)
    for number in range(5):
        quick.keep_globs(quick.Staged("", str(number), "0", b"", {}), None)
        os.utime(Path(quick.folder(), "globs", f"{number}-0-{__version__}"), (number, number))
    assert quick.known_globs(quick.Staged("", "4", "0", b"", {}))
    assert quick.known_globs(quick.Staged("", "0", "0", b"", {})) is None
    assert len(list(Path(quick.folder(), "globs").iterdir())) == 3
