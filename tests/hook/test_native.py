"""Git itself calls: the index that it names, linked worktrees, limits, ^C, what may not block, and what runs after a merge."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hook.hooked import APP, LINT, PATIENT, TESTS, TOKEN, bare, git, hook, make, native
from tests.support import IDENTITY, Repo, belongings

RED = "def one():\n    return 2\n"
SLOW = '[checks.slow]\nrun = "sleep 60"\n'


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    made = make(tmp_path / "r", TESTS)
    native(made, "pre-commit")
    return made


def test_commit_all_and_commit_a_path_have_an_index_of_their_own(repo: Repo) -> None:
    repo.write({"app.py": RED})
    assert git(repo.path, "commit", "-am", "red").code == 1
    assert repo.git("diff", "--name-only") == "app.py"
    repo.write({"test_app.py": APP["test_app.py"] + "# more\n"})
    repo.git("add", "app.py")
    said = git(repo.path, "commit", "-m", "the test alone", "test_app.py")  # red as staged, green as it is committed
    assert said.code == 0
    assert repo.git("show", "--name-only", "--format=").split() == ["test_app.py"]
    assert git(repo.path, "commit", "-m", "red").code == 1


def test_git_in_another_repository_is_not_led_back_to_this_one(repo: Repo, tmp_path: Path) -> None:
    """In a linked worktree git sets GIT_DIR and GIT_INDEX_FILE; what follows them puts files into the user's commit."""
    other = make(tmp_path / "other", TESTS)
    other.write({"x": "x"})
    inner = f"subprocess.run(['git', 'add', 'x'], cwd={str(other.path)!r}, check=True)"
    repo.commit(
        "spies",
        {
            "spy.py": f"import subprocess\n{inner}\n",
            ".zwarm/config.toml": '[checks.spy]\nrun = "python spy.py"\n' + PATIENT,
        },
    )
    repo.git("worktree", "add", "-q", str(tmp_path / "linked"), "-b", "side")
    linked = Repo(tmp_path / "linked")
    linked.write({"app.py": APP["app.py"] + "# here\n"})
    linked.git("add", "app.py")
    assert git(linked.path, "commit", "-m", "here").code == 0
    assert linked.git("show", "--name-only", "--format=").split() == ["app.py"]
    assert other.git("diff", "--cached", "--name-only") == "x"


def test_after_its_time_it_lets_go_ends_what_it_began_and_blocks_nothing(tmp_path: Path) -> None:
    repo = make(tmp_path / "r", SLOW + "[hook]\nseconds = 1.5\n", {"a.txt": "a\n"})
    native(repo, "pre-commit")
    repo.write({"a.txt": "b\n"})
    said = git(repo.path, "commit", "-am", "b")
    assert said.code == 0
    assert "let go after" in said.err
    assert repo.git("log", "-1", "--format=%s") == "b"


def begun(repo: Repo, started: Path) -> subprocess.Popen[str]:
    """The hook on what is staged, when its check has said in the pipe `started` that it runs."""
    argv = [sys.executable, "-m", "zwarm_ci", "hook", "pre-commit"]
    child = subprocess.Popen(argv, cwd=repo.path, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    started.read_text()
    return child


@pytest.fixture
def waiting(tmp_path: Path) -> tuple[Repo, Path]:
    """A repository with a check that is red, and one that says in a pipe that it runs and then takes long."""
    started = tmp_path / "started"
    os.mkfifo(started)
    config = '[checks.a]\nrun = "false"\n[checks.b]\nrun = "sh slow.sh"\n'
    return make(tmp_path / "r", config, {"slow.sh": f"echo $$ > {started}\nexec sleep 600\n"}), started


def test_what_was_red_before_the_time_was_over_is_red(waiting: tuple[Repo, Path]) -> None:
    repo, started = waiting
    repo.write({"a.txt": "b\n"})
    repo.git("add", "-A")
    child = begun(repo, started)
    child.send_signal(signal.SIGALRM)  # as its own timer would
    _, err = child.communicate()
    assert (child.returncode, "a is red" in err, "let go after" in err) == (1, True, True)


def test_a_red_test_that_was_not_asked_twice_in_time_is_red(tmp_path: Path) -> None:
    started, mark = tmp_path / "started", tmp_path / "mark"
    os.mkfifo(started)
    test = (
        f"import pathlib\nimport time\n\n\ndef test_x():\n    mark = pathlib.Path({str(mark)!r})\n    if mark.exists():\n"
        f"        pathlib.Path({str(started)!r}).write_text('x')\n        time.sleep(600)\n    mark.touch()\n    assert False\n"
    )
    repo = make(tmp_path / "r", TESTS, {"test_x.py": test})
    repo.write({"test_x.py": f"{test}\n"})
    repo.git("add", "-A")
    child = begun(repo, started)
    child.send_signal(signal.SIGALRM)
    _, err = child.communicate()
    assert (child.returncode, "tests is red" in err) == (1, True)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_person_ends_it_at_once_and_nothing_goes_on(waiting: tuple[Repo, Path], signum: int) -> None:
    repo, started = waiting
    repo.write({"a.txt": "b\n"})
    repo.git("add", "-A")
    before = belongings(repo.path)
    child = begun(repo, started)
    child.send_signal(signum)
    _, err = child.communicate()
    assert (child.returncode, "interrupted" in err) == (128 + signum, True)
    assert belongings(repo.path) == before


def test_a_fixer_leaves_a_file_alone_that_has_changes_of_its_own(tmp_path: Path) -> None:
    repo = make(tmp_path / "r", LINT, {"app.py": "ONE = 1\n", "other.py": "TWO = 2\n"})
    repo.write({"app.py": "import os\n\nONE = 1\n", "other.py": "import os\n\nTWO = 2\n"})
    repo.git("add", "-A")
    repo.write({"app.py": "import os\n\nONE = os.sep\n"})
    (repo.path / "other.py").chmod(0o600)
    said = hook(repo.path, "pre-commit", "--fix")
    assert said.code == 1
    assert "app.py: `ruff check" in said.err
    assert "stage or stash them" in said.err
    assert (repo.path / "app.py").read_text() == "import os\n\nONE = os.sep\n"
    assert (repo.path / "other.py").read_text() == "\nTWO = 2\n"
    assert (repo.path / "other.py").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("config", "said_"),
    [
        ('[checks.x]\nrun = "no-such-program-here"\n', "no-such-program-here: not found"),
        ("[verify]\nreruns = 1\n", "no checks were found here"),
    ],
)
def test_its_own_trouble_is_said_and_blocks_nothing(tmp_path: Path, config: str, said_: str) -> None:
    repo = make(tmp_path / "r", config, {"a.c": "a\n"})
    native(repo, "pre-commit")
    repo.write({"a.c": "b\n"})
    said = git(repo.path, "commit", "-am", "b")
    assert (said.code, said_ in said.err) == (0, True)


def test_a_fault_of_ours_is_said_and_blocks_nothing(tmp_path: Path) -> None:
    repo = make(tmp_path / "r", LINT)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "pydantic.py").write_text("raise RuntimeError('broken')\n")
    repo.write({"app.py": "x"})
    repo.git("add", "-A")
    said = hook(repo.path, "pre-commit", PYTHONPATH=str(tmp_path / "broken"))
    assert (said.code, "this is a fault of zwarm-ci" in said.err) == (0, True)


def test_wrong_settings_are_the_users_to_mend(tmp_path: Path) -> None:
    repo = make(tmp_path / "r", "[hook]\nsecond = 1\n", {"a.txt": "a\n"})
    repo.write({"a.txt": "b\n"})
    repo.git("add", "-A")
    said = hook(repo.path, "pre-commit")
    assert (said.code, "the nearest known key is hook.seconds" in said.err) == (2, True)


def test_a_first_commit_goes(tmp_path: Path) -> None:
    repo = Repo.make(tmp_path / "r")
    native(repo, "pre-commit")
    repo.write({"a.py": ""})
    repo.git("add", "-A")
    said = git(repo.path, "commit", "-m", "first")
    assert (said.code, "has no commit yet" in said.err) == (0, True)


def test_chance_is_not_counted(tmp_path: Path) -> None:
    mark = tmp_path / "seen"
    test = f"import pathlib\n\n\ndef test_x():\n    mark = pathlib.Path({str(mark)!r})\n    seen = mark.exists()\n    mark.touch()\n    assert seen\n"
    repo = make(tmp_path / "r", TESTS, {"test_x.py": "def test_x():\n    pass\n"})
    repo.write({"test_x.py": test})
    repo.git("add", "-A")
    said = hook(repo.path, "pre-commit")
    assert (said.code, "green when run again" in said.err) == (0, True)


def test_native_pushes_say_what_goes_on_standard_input(tmp_path: Path) -> None:
    repo = make(tmp_path / "r", LINT)
    native(repo, "pre-push")
    origin = bare(tmp_path / "origin.git", repo)
    repo.commit("a secret", {"keys.py": f'KEY = "{TOKEN}"\n'})
    repo.git("tag", "-am", "x", "v1")
    assert git(repo.path, "push", "origin", "main").code == 1
    assert git(repo.path, "push", "origin", "v1").code == 1
    repo.git("reset", "-q", "--hard", "HEAD~1")
    assert git(repo.path, "push", "-q", "origin", "main").code == 0
    assert git(repo.path, "push", "-q", str(origin), "HEAD:refs/heads/by-address").code == 0
    assert git(repo.path, "push", "-q", "origin", ":by-address").code == 0
    repo.git("tag", "tree", "HEAD^{tree}")
    said = git(repo.path, "push", "-q", "origin", "tree")
    assert (said.code, said.out, said.err) == (0, "", "")
    repo.commit("masked", {"Makefile": "test:\n\tpytest || true\n"})
    repo.git("commit", "-q", "--amend", "--no-edit", "--date=2026-01-02T00:00:00Z")
    assert git(repo.path, "push", "--force", "origin", "main").code == 1


def test_settings_that_are_wrong_do_not_keep_their_mending_from_being_pushed(tmp_path: Path) -> None:
    repo = make(tmp_path / "r", "[hook]\nsecond = 1\n")
    native(repo, "pre-push")
    bare(tmp_path / "origin.git", repo)
    repo.git("push", "-q", "--no-verify", "origin", "main")
    repo.commit("mended", {".zwarm/config.toml": PATIENT})
    said = git(repo.path, "push", "-q", "origin", "main")
    assert (said.code, "looked at with the defaults" in said.err) == (0, True)


def test_what_a_merge_took_over_from_others_is_not_held_against_who_pushes(tmp_path: Path) -> None:
    repo = make(tmp_path / "r", LINT)
    native(repo, "pre-push")
    bare(tmp_path / "origin.git", repo)
    repo.git("push", "-q", "origin", "main", "main:side")
    repo.commit("theirs", {"keys.py": f'KEY = "{TOKEN}"\n'})
    repo.git("push", "-q", "--no-verify", "origin", "main")
    repo.git("checkout", "-q", "-b", "side", "origin/side")
    repo.commit("ours", {"mine.py": "MINE = 1\n"})
    repo.git("merge", "-q", "--no-edit", "main")
    assert git(repo.path, "push", "-q", "origin", "side").code == 0
    repo.commit("ours too", {"more.py": f'KEY = "{TOKEN}"\n'})
    assert git(repo.path, "push", "-q", "origin", "side").code == 1


def test_a_red_merge_is_said_later_on_the_terminal(tmp_path: Path) -> None:
    repo = make(tmp_path / "r", TESTS)
    native(repo, "post-merge")
    repo.git("checkout", "-qb", "side")
    repo.commit("red", {"app.py": RED})
    repo.git("checkout", "-q", "main")
    repo.commit("other", {"other.py": "OTHER = 1\n"})
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        done = subprocess.run(
            ["git", "merge", "-q", "--no-edit", "side"],
            cwd=repo.path,
            env={**os.environ, **IDENTITY},
            stderr=theirs,
            check=False,
        )
        assert done.returncode == 0
        seen = b""
        while b"is red: tests" not in seen:  # the background's line; a test that hangs here has none
            seen += screen.read(4096)
        os.close(theirs)
    assert b"checked in the background" in seen
    assert b"test_app.py:5" in seen
    log = (repo.path / ".zwarm" / "hook" / "post-merge.log").read_text()
    assert "is red: tests; tests: test_app.py:5" in log
    assert repo.git("status", "--porcelain") == ""
