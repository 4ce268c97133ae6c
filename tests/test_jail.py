"""Claude's commands in a sandbox of ours: writes outside of the worktree fail where this machine has the means, and it says so where not."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.told_cli import order
from zwarm_ci.executors import jail
from zwarm_ci.executors.base import Conduct, Report
from zwarm_ci.executors.claude import Claude
from zwarm_ci.proc import run
from zwarm_ci.scrub import decode
from zwarm_ci.task import Sandbox

RESULT = {"type": "result", "subtype": "success", "is_error": False, "result": "done", "usage": {}, "modelUsage": {}}


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    jail.means.cache_clear()
    yield
    jail.means.cache_clear()


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that the program tries to write, besides one in each of its places."""
    file = tmp_path / "outside"
    program = tmp_path / "program"
    program.write_text(
        f"#!/bin/sh\ncat > stdin.txt\necho x > $HOME/kept\necho x > $TMPDIR/scratch\necho x > {file}\nls /proc > $HOME/proc\n"
        f"echo '{json.dumps(RESULT)}'\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("ZWARM_CI_CLAUDE", str(program))
    return file


def turn(tmp_path: Path, sandbox: Sandbox = "workspace-write", *, confined: bool = True, **changes: Any) -> Report:
    return Claude().turn(order(tmp_path, conduct=Conduct(sandbox, confined=confined), **changes), lambda _line: None)


def test_it_writes_to_its_own_places_only(tmp_path: Path, outside: Path) -> None:
    prefix, why = jail.means()
    assert bool(prefix) != bool(why)
    assert turn(tmp_path).state == "completed"
    assert outside.exists() == (not prefix)
    assert (tmp_path / "worktree/stdin.txt").read_text() == "the prompt"
    assert (tmp_path / "scratch/scratch").exists()
    seen = (tmp_path / "state/s1/home/proc").read_text().split()
    assert (str(os.getpid()) in seen) == ("--unshare-pid" not in prefix)


def test_read_only_keeps_it_from_the_worktree_too(tmp_path: Path, outside: Path) -> None:
    turn(tmp_path, "read-only")
    assert (tmp_path / "worktree/stdin.txt").exists() == (not jail.means()[0])
    assert (tmp_path / "state/s1/home/kept").exists()


@pytest.mark.parametrize(("sandbox", "confined"), [("danger-full-access", True), ("workspace-write", False)])
def test_it_is_for_those_who_ask_for_it(tmp_path: Path, outside: Path, sandbox: Sandbox, confined: bool) -> None:
    turn(tmp_path, sandbox, confined=confined)
    assert outside.exists()


def test_a_login_can_be_renewed_from_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / ".credentials.json").write_text("old")
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(own))
    program = tmp_path / "program"
    program.write_text(
        f"#!/bin/sh\nprintf new > $CLAUDE_CONFIG_DIR/.credentials.json\necho x > {own}/settings.json\necho '{json.dumps(RESULT)}'\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("ZWARM_CI_CLAUDE", str(program))
    assert turn(tmp_path, endpoint=None).state == "completed"
    assert (own / ".credentials.json").read_text() == "new"
    assert (own / "settings.json").exists() == (not jail.means()[0])


def test_its_end_is_the_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho broken >&2\nexit 7\n")
    program.chmod(0o755)
    monkeypatch.setenv("ZWARM_CI_CLAUDE", str(program))
    assert turn(tmp_path).message == "ended with 7 and without a result: broken"


def fake_bwrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "bwrap").write_text(f"#!/bin/sh\n{text}\n")
    (folder / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_the_means_are_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_bwrap(tmp_path, monkeypatch, "echo 'No permissions to create new namespace' >&2; exit 1")
    assert jail.means() == ((), "bubblewrap does not work here: No permissions to create new namespace")
    assert jail.jail([tmp_path]) == ()


def test_the_whole_of_them_is_taken_where_it_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_bwrap(tmp_path, monkeypatch, "exit 0")
    prefix, _ = jail.means()
    assert {"--ro-bind", "--unshare-pid", "--proc", "--cap-drop"} <= set(prefix)


def test_where_a_container_allows_no_view_of_processes_the_files_are_guarded_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_bwrap(tmp_path, monkeypatch, 'case "$*" in *--proc*) exit 1;; esac')
    prefix, why = jail.means()
    assert "--unshare-pid" not in prefix
    assert why == ""
    assert jail.jail([tmp_path])[-4:] == ("--bind", str(tmp_path), str(tmp_path), "--")


def test_without_bubblewrap_the_remedy_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert jail.means() == ((), "bubblewrap is not installed (apt install bubblewrap)")


def test_the_kernels_settings_are_out_of_reach_to_root_too(tmp_path: Path) -> None:
    """Opened for writing and not written: the bare file system of processes lets root, without a capability."""
    prefix = jail.jail([tmp_path])
    for file in ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname"):
        done = run([*prefix, "sh", "-c", f": >> {file}"], cwd=tmp_path)
        assert done.code != 0, decode(done.stderr)
