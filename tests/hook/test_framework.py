"""The real pre-commit drives our four hooks through real commits and pushes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hook.hooked import LINT, PATIENT, ROOT, TESTS, TOKEN, bare, framework, git, make, manifest, pre_commit
from tests.support import Repo

RED = "def one():\n    return 2\n"


@pytest.fixture
def checked(tmp_path: Path) -> Repo:
    """A repository with zwarm-ci-check at its commits."""
    repo = make(tmp_path / "r")
    framework(repo, "zwarm-ci-check")
    return repo


def test_the_manifest_is_one_and_every_hook_says_when_it_runs(tmp_path: Path) -> None:
    said = pre_commit(tmp_path, "validate-manifest", str(ROOT / ".pre-commit-hooks.yaml"))
    assert (said.code, said.out) == (0, "")
    stages = {hook["id"]: hook["stages"] for hook in manifest()}
    assert stages == {
        "zwarm-ci-check": ["pre-commit"],
        "zwarm-ci-fix": ["pre-commit"],
        "zwarm-ci-verify": ["pre-push"],
        "zwarm-ci-repair": ["pre-push", "manual"],
    }
    assert all(isinstance(hook["entry"], str) for hook in manifest())


def test_what_is_staged_is_what_counts(checked: Repo) -> None:
    checked.write({"app.py": RED})
    checked.git("add", "app.py")
    checked.write({"app.py": "def one():\n    return 1  # mended, and not staged\n"})
    said = git(checked.path, "commit", "-m", "red")
    assert said.code == 1
    assert "tests is red on what is staged" in said.err
    assert "test_app.py:5: " in said.err
    assert checked.git("show", ":app.py") == RED.rstrip()
    assert "mended" in (checked.path / "app.py").read_text()
    checked.git("add", "app.py")
    checked.write({"app.py": RED})
    assert git(checked.path, "commit", "-m", "green").code == 0
    assert (checked.path / "app.py").read_text() == RED


def test_the_frameworks_skip_is_heeded_and_nothing_touched_is_nothing_run(checked: Repo) -> None:
    checked.write({"app.py": RED})
    checked.git("add", "app.py")
    assert git(checked.path, "commit", "-m", "x", SKIP="zwarm-ci-check").code == 0
    checked.write({"notes.md": "the code is red, the notes are not"})
    checked.git("add", "notes.md")
    assert git(checked.path, "commit", "-m", "notes").code == 0


def test_a_deletion_alone_is_checked_too(checked: Repo) -> None:
    checked.git("rm", "-q", "app.py")
    assert git(checked.path, "commit", "-m", "gone").code == 1


def test_all_files_and_a_range_of_commits(checked: Repo) -> None:
    assert pre_commit(checked.path, "run", "--all-files").code == 0
    start = checked.git("rev-parse", "HEAD")
    checked.write({"app.py": RED})
    checked.git("commit", "-qam", "red", "--no-verify")
    assert pre_commit(checked.path, "run", "--all-files").code == 1
    checked.write({"app.py": "def one():\n    return 1\n"})
    checked.git("commit", "-qam", "green", "--no-verify")
    assert pre_commit(checked.path, "run", "--from-ref", start, "--to-ref", "HEAD~1").code == 1
    assert pre_commit(checked.path, "run", "--from-ref", "HEAD~1", "--to-ref", "HEAD").code == 0


def test_from_a_linked_worktree(checked: Repo, tmp_path: Path) -> None:
    checked.git("worktree", "add", "-q", str(tmp_path / "linked"), "-b", "side")
    linked = Repo(tmp_path / "linked")
    linked.write({"app.py": RED})
    linked.git("add", "app.py")
    assert git(linked.path, "commit", "-m", "red").code == 1
    linked.write({"app.py": "def one():\n    return 1 + 0\n"})
    linked.git("add", "app.py")
    assert git(linked.path, "commit", "-m", "green").code == 0
    assert linked.git("show", "--name-only", "--format=").split() == ["app.py"]


def test_from_a_folder_of_a_monorepo_just_what_is_touched_runs(tmp_path: Path) -> None:
    config = "".join(
        f'[checks.{name}]\nrun = "python -m pytest -q -p no:cacheprovider"\nworkdir = "{name}"\n' for name in ("a", "b")
    )
    files = {
        f"{name}/{path}": text
        for name in "ab"
        for path, text in {"test_x.py": "def test_x():\n    assert {}\n"}.items()
    }
    repo = make(tmp_path / "r", config, {k: v.format(k[0] == "a") for k, v in files.items()})  # b is red
    framework(repo, "zwarm-ci-check")
    repo.write({"a/test_x.py": "def test_x():\n    assert 1\n"})
    repo.git("add", "-A")
    assert git(repo.path / "a", "commit", "-m", "a").code == 0
    repo.write({"b/new.py": ""})
    repo.git("add", "-A")
    said = git(repo.path / "b", "commit", "-m", "b")
    assert (said.code, "b is red" in said.err) == (1, True)


def test_fixers_edit_the_files_and_never_the_index(tmp_path: Path) -> None:
    repo = make(tmp_path / "r", LINT, {"app.py": "ONE = 1\n", "other.py": "import os\n"})
    framework(repo, "zwarm-ci-fix")
    repo.write({"app.py": "import os\n\nONE = 1\n"})
    repo.git("add", "app.py")
    staged = repo.git("ls-files", "-s")
    said = git(repo.path, "commit", "-m", "x")
    assert said.code == 1
    assert "app.py: changed by `ruff check" in said.err
    assert (repo.path / "app.py").read_text() == "\nONE = 1\n"
    assert repo.git("ls-files", "-s") == staged
    assert (repo.path / "other.py").read_text() == "import os\n"  # red as well, and none of this commit's business
    repo.write({"app.py": "ONE = 2\n"})
    repo.git("add", "app.py")
    assert git(repo.path, "commit", "-m", "x").code == 0


def test_fixers_leave_what_is_not_staged_alone(tmp_path: Path) -> None:
    repo = make(tmp_path / "r", LINT, {"app.py": "ONE = 1\n"})
    framework(repo, "zwarm-ci-fix")
    repo.write({"app.py": "import os\n\nONE = 1\n"})
    repo.git("add", "app.py")
    mine = "import os\n\nONE = 1\nTWO = os.sep\n"
    repo.write({"app.py": mine})
    assert git(repo.path, "commit", "-m", "x").code == 1
    assert "TWO = os.sep" in (repo.path / "app.py").read_text()
    assert repo.git("show", ":app.py") == "import os\n\nONE = 1"


@pytest.fixture
def pushing(tmp_path: Path) -> Repo:
    """A repository with zwarm-ci-verify at its pushes, and an empty remote."""
    repo = make(tmp_path / "r", TESTS)
    framework(repo, "zwarm-ci-verify")
    bare(tmp_path / "origin.git", repo)
    return repo


def test_the_first_push_a_later_one_a_branch_a_tag_a_deletion(pushing: Repo) -> None:
    assert git(pushing.path, "push", "-q", "-u", "origin", "main").code == 0
    pushing.commit("more", {"app.py": "def one():\n    return 1  # still\n"})
    assert git(pushing.path, "push", "-q").code == 0
    pushing.git("checkout", "-qb", "side")
    pushing.commit("a secret", {"keys.py": f'KEY = "{TOKEN}"\n'})
    said = git(pushing.path, "push", "origin", "side")
    assert said.code == 1
    assert "keys.py:1: looks like a credential: ghp_" in said.out  # git leaves what a pre-push hook prints where it is
    assert TOKEN not in said.out + said.err
    pushing.git("tag", "-am", "x", "v1", "main")
    pushing.git("tag", "light", "main")
    assert git(pushing.path, "push", "-q", "origin", "v1", "light").code == 0
    assert git(pushing.path, "push", "-q", "origin", "main:again").code == 0
    assert git(pushing.path, "push", "-q", "origin", ":again").code == 0


def test_a_first_push_with_a_secret_in_it_is_refused(pushing: Repo) -> None:
    pushing.commit("a secret", {"keys.py": f'KEY = "{TOKEN}"\n'})
    said = git(pushing.path, "push", "origin", "main")
    assert (said.code, "keys.py:1" in said.out) == (1, True)
    assert git(pushing.path, "push", "-q", "--no-verify", "origin", "main").code == 0


def test_a_weakened_test_is_a_warning_and_strictness_is_the_bases_to_ask_for(pushing: Repo) -> None:
    pushing.git("push", "-q", "--no-verify", "-u", "origin", "main")
    weak = {"test_app.py": "from app import one\n\n\ndef test_one():\n    one()\n"}
    pushing.commit("weaker", weak)
    said = git(pushing.path, "push")
    assert said.code == 0
    assert "to look at before it is merged" in said.out
    pushing.commit("strict", {".zwarm/config.toml": TESTS + PATIENT + "strict = true\n"})
    assert git(pushing.path, "push").code == 0  # asked for by what is pushed, so from the next push on
    pushing.commit("weaker still", {"test_app.py": "def test_one():\n    pass\n"})
    said = git(pushing.path, "push")
    assert (said.code, "may not go" in said.out) == (1, True)


def test_a_range_of_commits_at_the_stage_of_pushes(pushing: Repo) -> None:
    start = pushing.git("rev-parse", "HEAD")
    pushing.commit("a secret", {"keys.py": f'KEY = "{TOKEN}"\n'})
    args = ("run", "--hook-stage", "pre-push", "--from-ref", start, "--to-ref", "HEAD")
    assert pre_commit(pushing.path, *args).code == 1
    pushing.git("revert", "--no-edit", "HEAD")
    assert pre_commit(pushing.path, *args[:-3], "HEAD~1", *args[-2:]).code == 0
    assert pre_commit(pushing.path, *args).code == 1  # it is gone from the tree, and would be pushed all the same


def test_a_repair_holds_the_push_up_and_says_how_it_is_taken(tmp_path: Path) -> None:
    repo = make(tmp_path / "r", LINT, {"app.py": "ONE = 1\n"})
    framework(repo, "zwarm-ci-repair", stages=("pre-push",))
    bare(tmp_path / "origin.git", repo)
    assert git(repo.path, "push", "-q", "-u", "origin", "main").code == 0
    repo.commit("lint", {"app.py": "import os\n\nONE = 1\n"})
    said = git(repo.path, "push")
    assert said.code == 1
    (line,) = [one for one in said.out.splitlines() if "zwarm-ci:" in one]
    command = line.partition("take it: ")[2].partition(", then push")[0]
    assert command.startswith("git merge --ff-only zwarm-ci/fix-checks-")
    assert git(repo.path, *command.split()[1:]).code == 0
    assert "import os" not in repo.git("show", "HEAD:app.py")
    assert git(repo.path, "push").code == 0


def test_a_repair_by_hand_is_of_what_is_staged(tmp_path: Path) -> None:
    repo = make(tmp_path / "r", LINT, {"app.py": "ONE = 1\n"})
    framework(repo, "zwarm-ci-repair", stages=())
    repo.write({"app.py": "import os\n\nONE = 1\n"})
    repo.git("add", "app.py")
    said = pre_commit(repo.path, "run", "--hook-stage", "manual", "--all-files")
    assert said.code == 1
    assert "zwarm-ci take " in said.out
    assert repo.git("show", ":app.py").startswith("import os")
