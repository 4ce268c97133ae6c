"""What was written is put back byte for byte; what somebody changed in between is left, or loses our lines alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import Repo, belongings
from zwarm_ci import init, shims
from zwarm_ci.errors import BlockedError
from zwarm_ci.git import open_repository
from zwarm_ci.init import record
from zwarm_ci.init.framework import FILE, ITEM
from zwarm_ci.init.workflow import GITHUB
from zwarm_ci.task import Check

FOREIGN = "#!/bin/sh\n# mine\nexit 0\n"
CONFIG = "# ours\nrepos:\n  - repo: local  # here\n    hooks:\n      - id: a\n        name: a\n        entry: 'true'\n        language: system\n"
CHECKS = (Check("tests", "python -m pytest", "pytest"),)
BLOCK = '[checks.tests]\nrun = "python -m pytest"\nsetup = "uv sync"\n'


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A repository with a hook and a configuration of somebody's."""
    made = Repo.make(tmp_path / "r", {"test_a.py": "", FILE: CONFIG})
    hook = made.path / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(FOREIGN)
    hook.chmod(0o750)
    return made


def install(
    repo: Repo, hooks: init.Hooks = "native", ci: init.System = "github", *ladder: str, block: str = BLOCK
) -> init.Plan:
    user = open_repository(repo.path)
    plan = init.plan(user, init.Wish(hooks, ci, ladder), CHECKS, block)
    init.do(plan, user)
    return plan


def remove(repo: Repo) -> init.Removal:
    user = open_repository(repo.path)
    found = init.removal(user)
    init.take_out(found, user)
    return found


@pytest.mark.parametrize("hooks", ["native", "pre-commit", "none"])
@pytest.mark.parametrize("ci", ["github", "gitlab", "none"])
def test_everything_and_back_byte_for_byte(repo: Repo, hooks: init.Hooks, ci: init.System) -> None:
    before = belongings(repo.path)
    plan = install(repo, hooks, ci, "embedded", "codex:mini")
    assert plan.left == ()
    assert len(plan.steps) == 2 + {"native": 4, "pre-commit": 1, "none": 0}[hooks] + (ci != "none")
    assert all(step.path.read_bytes() == step.after for step in plan.steps)
    assert install(repo, hooks, ci, "embedded", "codex:mini").steps == ()
    found = remove(repo)
    assert (len(found.steps), found.left) == (len(plan.steps), ())
    assert belongings(repo.path) == before
    assert not (repo.path / ".zwarm").exists()
    assert remove(repo) == init.Removal((), ())


def test_from_a_linked_worktree_and_after_a_move(repo: Repo) -> None:
    linked = repo.path.parent / "linked"
    repo.git("worktree", "add", "-q", str(linked))
    before = belongings(repo.path)
    other = Repo(linked)
    install(other, "native", "github")
    assert (repo.path / ".git/hooks/pre-push").exists()
    assert (linked / GITHUB).exists()
    repo.git("worktree", "move", str(linked), str(linked.with_name("moved")))
    assert remove(Repo(linked.with_name("moved"))).left == ()
    assert not (linked.with_name("moved") / ".github").exists()
    repo.git("worktree", "move", str(linked.with_name("moved")), str(linked))
    assert belongings(repo.path) == before


def test_permissions_of_a_persons_file_stay(repo: Repo) -> None:
    (repo.path / FILE).chmod(0o640)
    before = belongings(repo.path)
    install(repo, "pre-commit", "github", block="")
    assert [oct((repo.path / name).stat().st_mode & 0o777) for name in (FILE, GITHUB)] == ["0o640", "0o644"]
    remove(repo)
    assert belongings(repo.path) == before


def test_what_somebody_wrote_around_our_lines_stays(repo: Repo) -> None:
    install(repo, "pre-commit", "none", block="")
    text = (repo.path / FILE).read_text()
    assert text == CONFIG + "".join(f"  {line}\n" for line in ITEM)
    more = CONFIG.replace("# ours", "# ours and theirs"), "fail_fast: true\n"
    (repo.path / FILE).write_text(text.replace("# ours", "# ours and theirs") + more[1])
    found = remove(repo)
    assert found.left == ()
    assert found.steps[0].why == "without our lines; what you changed since stays"
    assert (repo.path / FILE).read_text() == "".join(more)


CHANGES: dict[str, tuple[init.Hooks, Callable[[Repo], object], str, str]] = {
    "the workflow": (
        "native",
        lambda r: r.write({GITHUB: "on: push\n"}),
        f"{GITHUB}: changed since it was written",
        GITHUB,
    ),
    "our lines": (
        "pre-commit",
        lambda r: r.write({FILE: CONFIG + "  # -\n"}),
        f"{FILE}: changed since it was written",
        FILE,
    ),
    "the configuration is gone": (
        "pre-commit",
        lambda r: (r.path / FILE).unlink(),
        f"{FILE}: it is gone, and stays so",
        "",
    ),
    "a hook": (
        "native",
        lambda r: r.write({".git/hooks/pre-push": shims.text("pre-push") + b"echo more\n"}),
        ".git/hooks/pre-push: changed since it was written",
        ".git/hooks/pre-push",
    ),
    "a hook is somebody else's": (
        "native",
        lambda r: r.write({".git/hooks/pre-commit": "#!/bin/sh\n"}),
        ".git/hooks/pre-commit.before-zwarm-ci: a hook that ours called; ours is gone",
        ".git/hooks/pre-commit.before-zwarm-ci",
    ),
    "the settings": (
        "native",
        lambda r: r.write({".zwarm/config.toml": "[loop]\nturns = 1\n"}),
        ".zwarm/config.toml: changed since it was written",
        ".zwarm/config.toml",
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_was_changed_in_between_is_left_and_named(repo: Repo, what: str) -> None:
    hooks, change, why, stays = CHANGES[what]
    plan = install(repo, hooks)
    change(repo)
    content = (repo.path / stays).read_bytes() if stays else b""
    found = remove(repo)
    assert [line[: len(why)] for line in found.left] == [why]
    assert not stays or (repo.path / stays).read_bytes() == content
    out = [s.path for s in plan.steps if stays not in str(s.path) and s.before is None and s.path.name != ".gitignore"]
    assert [path for path in out if stays and path.exists()] == []  # all else is out


def test_what_was_written_one_after_the_other_comes_out_in_layers(repo: Repo) -> None:
    before = belongings(repo.path)
    repo.write({".zwarm/config.toml": "[loop]\nturns = 2\n"})
    install(repo, "none", "none", "embedded", block="")
    assert "ladder" in (repo.path / ".zwarm/config.toml").read_text()
    install(repo, "native", "none", block="")
    install(repo, "pre-commit", "github", block="")
    remove(repo)
    assert (repo.path / ".zwarm/config.toml").read_text() == "[loop]\nturns = 2\n"
    (repo.path / ".zwarm/config.toml").unlink()
    assert belongings(repo.path) == before


def test_runs_stay_out_of_git_after_a_removal(repo: Repo) -> None:
    install(repo, block=BLOCK)
    repo.write({".zwarm/runs/x/outcome.json": "{}"})
    remove(repo)
    assert repo.git("status", "--porcelain") == ""


def test_a_file_that_changed_since_it_was_shown_is_not_written(repo: Repo) -> None:
    user = open_repository(repo.path)
    plan = init.plan(user, init.Wish("pre-commit", "none"), CHECKS, "")
    repo.write({FILE: "repos: []\n"})
    with pytest.raises(BlockedError, match="has changed meanwhile"):
        init.do(plan, user)
    assert (repo.path / FILE).read_text() == "repos: []\n"


def test_a_step_that_was_cut_off_is_undone_by_doing_nothing(repo: Repo) -> None:
    before = belongings(repo.path)
    user = open_repository(repo.path)
    for step in init.plan(user, init.Wish("native", "github"), CHECKS, BLOCK).steps:
        record.add(user, init.ready(step))  # killed before it was written
    remove(repo)
    assert belongings(repo.path) == before


def test_an_install_that_was_cut_off_between_two_hooks_goes_on_or_comes_out(repo: Repo) -> None:
    before = belongings(repo.path)
    hooks = repo.path / ".git/hooks"
    (hooks / "pre-commit").rename(hooks / ("pre-commit" + shims.SUFFIX))  # and killed there
    user = open_repository(repo.path)
    assert [s.aside for s in init.plan(user, init.Wish("native", "none"), (), "").steps] == [None] * 4
    remove(repo)
    assert belongings(repo.path) == before


def test_a_record_that_nobody_can_read_is_said(repo: Repo) -> None:
    install(repo)
    record.file_of(open_repository(repo.path)).write_text('{"schema": 9, "files": [], "folders": []}')
    with pytest.raises(BlockedError, match="its schema is 9, not 1"):
        remove(repo)
