"""Isolated homes: private, outside of the worktree, kept between turns, and without a login when no turn is under way."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.told_cli import order
from zwarm_ci.environment import adopt_variables
from zwarm_ci.errors import BlockedError
from zwarm_ci.executors import codex
from zwarm_ci.executors.base import Conduct
from zwarm_ci.executors.homes import Layout, home
from zwarm_ci.task import Check

LAYOUT = Layout("SOME_HOME", ".some", "login.json")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own folder, with a login."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "login.json").write_text("old")
    (folder / "hooks.json").write_text("rm -rf")
    monkeypatch.setenv("SOME_HOME", str(folder))
    return folder


def test_it_is_private_and_kept(tmp_path: Path, own: Path) -> None:
    with home(order(tmp_path), LAYOUT) as first:
        assert first.isolated
        assert first.path == tmp_path / "state" / "s1" / "home"
        assert list(first.config.iterdir()) == []  # nothing of the user's
        assert stat.S_IMODE(first.path.stat().st_mode) == stat.S_IMODE(first.config.stat().st_mode) == 0o700
        (first.config / "conversation").write_text("x")
    with home(order(tmp_path, turn=2), LAYOUT) as second:
        assert (second.config / "conversation").read_text() == "x"
    with home(order(tmp_path, session="s2", folder=tmp_path / "state" / "s2"), LAYOUT) as other:
        assert list(other.config.iterdir()) == []


def test_a_login_is_there_for_a_turn_without_a_gateway_only(tmp_path: Path, own: Path) -> None:
    link = tmp_path / "state/s1/home/.some/login.json"
    with home(order(tmp_path, endpoint=None), LAYOUT):
        assert link.read_text() == "old"
        assert link.is_symlink()
    assert not link.is_symlink()
    link.symlink_to(own / "login.json")  # as after a kill
    with home(order(tmp_path), LAYOUT):
        assert not link.exists()
    assert (own / "login.json").read_text() == "old"


def test_the_link_goes_when_the_turn_breaks_off(tmp_path: Path, own: Path) -> None:
    with pytest.raises(KeyError), home(order(tmp_path, endpoint=None), LAYOUT):
        raise KeyError
    assert not (tmp_path / "state/s1/home/.some/login.json").is_symlink()


@pytest.mark.parametrize("through", [True, False])
def test_a_renewed_login_is_the_users(tmp_path: Path, own: Path, through: bool) -> None:
    with home(order(tmp_path, endpoint=None), LAYOUT) as made:
        link = made.config / "login.json"
        if not through:
            link.unlink()
        link.write_text("new")
    assert (own / "login.json").read_text() == "new"
    assert not link.exists()
    if not through:
        assert stat.S_IMODE((own / "login.json").stat().st_mode) == 0o600


def test_an_emptied_login_is_not_taken_over(tmp_path: Path, own: Path) -> None:
    with home(order(tmp_path, endpoint=None), LAYOUT) as made:
        (made.config / "login.json").unlink()
        (made.config / "login.json").write_text("")
    assert (own / "login.json").read_text() == "old"


def test_a_login_that_is_itself_a_link_stays_one(tmp_path: Path, own: Path) -> None:
    (own / "login.json").rename(tmp_path / "vault.json")
    (own / "login.json").symlink_to(tmp_path / "vault.json")
    with home(order(tmp_path, endpoint=None), LAYOUT) as made:
        (made.config / "login.json").unlink()
        (made.config / "login.json").write_text("new")
    assert (own / "login.json").is_symlink()
    assert (tmp_path / "vault.json").read_text() == "new"


def test_no_login_is_no_link(tmp_path: Path, own: Path) -> None:
    (own / "login.json").write_text("")
    assert LAYOUT.own_login is None
    with home(order(tmp_path, endpoint=None), LAYOUT) as made:
        assert list(made.config.iterdir()) == []


def test_the_users_own_is_used_where_it_is_asked_for(tmp_path: Path, own: Path) -> None:
    with home(order(tmp_path, conduct=Conduct(inherit_user_config=True)), LAYOUT) as made:
        assert (made.path, made.config, made.isolated) == (Path.home(), own, False)
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("folder", ["worktree", "worktree/.zwarm/sessions/s1", "link/s1"])
def test_a_home_in_the_worktree_would_be_committed(tmp_path: Path, own: Path, folder: str) -> None:
    (tmp_path / "worktree").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "worktree")
    with (
        pytest.raises(BlockedError, match="lies in its worktree"),
        home(order(tmp_path, folder=tmp_path / folder), LAYOUT),
    ):
        pass
    assert list((tmp_path / "worktree").iterdir()) == []


def test_files_of_ours_come_and_go(tmp_path: Path, own: Path) -> None:
    with home(order(tmp_path), LAYOUT) as made:
        written: Any = made.write("notes.md", "text")
        assert written.read_text() == "text"
        assert made.write("notes.md", "") is None
        assert made.write("notes.md", "") is None
        assert not (made.config / "notes.md").exists()


def test_a_repositorys_env_file_chooses_no_program_and_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where a check lists the variable's name, so that it is handed on to the check."""
    names = ("ZWARM_CI_CODEX", "CODEX_HOME")
    for name in (*names, "CI"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".env").write_text(f"ZWARM_CI_CODEX={sys.executable}\nCODEX_HOME={tmp_path}\n")
    before = (codex.PROGRAM.find(), codex.LAYOUT.own)
    adopt_variables(tmp_path, [Check("tests", "true", "generic", env=names)])
    try:
        assert [os.environ.get(name) for name in names] == [sys.executable, str(tmp_path)]
        assert (codex.PROGRAM.find(), codex.LAYOUT.own) == before
    finally:
        for name in names:
            os.environ.pop(name, None)
    monkeypatch.setenv("ZWARM_CI_CODEX", "/bin/sh")
    assert codex.PROGRAM.find() == Path("/bin/sh"), "a person's own word counts"
