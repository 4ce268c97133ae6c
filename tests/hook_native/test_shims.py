"""Where hooks may be written and where not; the texts are those at the top of the repository, and POSIX shell."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hook_native.native import script
from tests.support import Repo, belongings
from zwarm_ci import init, shims
from zwarm_ci.git import open_repository

ROOT = Path(__file__).parents[2]


def plan(repo: Repo) -> init.Plan:
    return init.plan(open_repository(repo.path), init.Wish("native", "none"), (), "")


@pytest.mark.parametrize("stage", shims.STAGES)
def test_the_shims_at_the_top_are_those_of_the_package(stage: str) -> None:
    file = ROOT / "hooks" / stage
    assert file.read_bytes() == shims.text(stage)
    assert os.access(file, os.X_OK)
    assert {p.name for p in (ROOT / "hooks").iterdir()} == set(shims.STAGES)


@pytest.mark.parametrize("stage", shims.STAGES)
def test_they_are_few_lines_of_plain_shell(stage: str) -> None:
    text = shims.text(stage, "/x y/zwarm-ci")
    assert text.count(b"\n") <= 20
    assert subprocess.run(["sh", "-n"], input=text, check=False).returncode == 0
    assert shims.is_ours(text, stage)
    assert not shims.is_ours(text + b"\n", stage)
    assert not shims.is_ours(text, next(s for s in shims.STAGES if s != stage))


@pytest.mark.parametrize("program", ["/a b/it's", "$(touch x)", "`x`", 'a"b', "-n", "ü", "a\nb"])
def test_no_path_is_read_as_shell(tmp_path: Path, program: str) -> None:
    script(tmp_path / "hook", shims.text("pre-commit", program).decode() + "\n")
    env = {"PATH": "/usr/bin:/bin"}
    done = subprocess.run([tmp_path / "hook"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("zwarm-ci: not found")
    assert [p.name for p in tmp_path.iterdir()] == ["hook"]
    assert shims.is_ours((tmp_path / "hook").read_bytes()[:-1], "pre-commit")


def _global(repo: Repo) -> None:
    config = repo.path.parent / "global.gitconfig"
    config.write_text("[core]\n\thooksPath = ~/hooks\n")
    os.environ["GIT_CONFIG_GLOBAL"] = str(config)


def _outside(repo: Repo) -> None:
    repo.git("config", "core.hooksPath", str(repo.path.parent / "everybodys"))


def _linked_out(repo: Repo) -> None:
    (repo.path.parent / "everybodys").mkdir()
    (repo.path / ".githooks").symlink_to(repo.path.parent / "everybodys")
    repo.git("config", "core.hooksPath", ".githooks")


def _husky(repo: Repo) -> None:
    repo.write({".husky/pre-commit": "npm test\n", ".husky/_/pre-commit": "#!/bin/sh\n"})
    repo.git("config", "core.hooksPath", ".husky/_")


CLOSED: dict[str, tuple[Callable[[Repo], object], str, str]] = {
    "global": (
        _global,
        "in your global git settings: hooks there run in every repository",
        "git config core.hooksPath",
    ),
    "somebody else's": (_outside, "outside of this repository", "git config core.hooksPath"),
    "a link out of the tree": (_linked_out, "outside of this repository", "git config core.hooksPath"),
    "off": (lambda r: r.git("config", "core.hooksPath", "/dev/null"), "/dev/null, outside", "git config"),
    "the tree itself": (
        lambda r: r.git("config", "core.hooksPath", "."),
        "outside of this repository",
        "git config",
    ),
    "husky": (_husky, "husky manages the hooks here", 'zwarm-ci hook STAGE "$@"'),
    "lefthook": (
        lambda r: r.write({"lefthook.yml": "pre-commit: {}\n"}),
        "lefthook manages the hooks here",
        "use_stdin",
    ),
}


@pytest.mark.parametrize("where", CLOSED)
def test_where_nothing_may_be_written_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    repo = Repo.make(tmp_path / "r", {"a.txt": ""})
    prepare, why, remedy = CLOSED[where]
    prepare(repo)
    before = belongings(tmp_path)
    found = plan(repo)
    assert found.steps == ()
    (left,) = found.left
    assert why in left
    assert remedy in left
    assert belongings(tmp_path) == before


def test_a_manager_that_calls_us_is_enough(tmp_path: Path) -> None:
    repo = Repo.make(tmp_path / "r", {".husky/pre-commit": 'zwarm-ci hook pre-commit "$@"\n'})
    assert plan(repo) == init.Plan((), (), ())


def test_the_setting_of_a_worktree_goes_before_the_repositorys(tmp_path: Path) -> None:
    repo = Repo.make(tmp_path / "r", {"a.txt": ""})
    repo.git("config", "core.hooksPath", ".a")
    repo.git("config", "extensions.worktreeConfig", "true")
    repo.git("config", "--worktree", "core.hooksPath", ".b")
    found = shims.folder(open_repository(repo.path))
    assert (found.path.name, found.scope, found.closed, found.shared) == (".b", "worktree", "", True)


OBSTACLES = {
    "its own name": ({"pre-commit": '#!/bin/sh\nexec run "$(basename "$0")"\n'}, "it asks for its own name"),
    "one from another time": (
        {"pre-commit": "#!/bin/sh\n", "pre-commit.before-zwarm-ci": "#!/bin/sh\n"},
        "is there already",
    ),
    "ours, changed": ({"pre-commit": shims.text("pre-commit").decode() + "more\n"}, "was changed"),
}


@pytest.mark.parametrize("what", OBSTACLES)
def test_a_hook_that_cannot_be_chained_safely_is_left_and_the_others_are_written(tmp_path: Path, what: str) -> None:
    repo = Repo.make(tmp_path / "r", {"a.txt": ""})
    texts, why = OBSTACLES[what]
    for name, text in texts.items():
        script(repo.path / ".git/hooks" / name, text)
    found = plan(repo)
    assert [step.path.name for step in found.steps] == [s for s in shims.STAGES if s != "pre-commit"]
    (left,) = found.left
    assert left.startswith(".git/hooks/pre-commit: ")
    assert why in left


def test_one_of_ours_that_git_passes_over_is_said(tmp_path: Path) -> None:
    repo = Repo.make(tmp_path / "r", {"a.txt": ""})
    init.do(plan(repo), open_repository(repo.path))
    (repo.path / ".git/hooks/pre-push").chmod(0o644)
    assert plan(repo) == init.Plan((), (), (".git/hooks/pre-push: it is ours, but git does not run it (chmod +x it)",))
