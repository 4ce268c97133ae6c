"""The executors' command lines: from npm when they are wanted, never before; left out with a reason where git has a credential."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import realcli
from tests.fakes.told_cli import order
from zwarm_ci.action import clis
from zwarm_ci.errors import BlockedError, UsageError
from zwarm_ci.executors import EXECUTORS

#: An npm that makes the program that it was asked for, and keeps how it was called.
NPM = """#!/bin/sh
for last; do :; done
echo "$@" >>"$(dirname "$0")/called"
env >"$(dirname "$0")/environment"
mkdir -p node_modules/.bin
printf '#!/bin/sh\\ncat >/dev/null\\necho {\\"type\\": \\"thread.started\\"}\\nexit 3\\n' >node_modules/.bin/codex
chmod +x node_modules/.bin/codex
"""


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    before = dict(EXECUTORS)
    yield
    EXECUTORS.update(before)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH without codex and claude, with an npm of ours."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "npm").write_text(NPM)
    (folder / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("RUNNER_TEMP", str(tmp_path))
    monkeypatch.setenv("SECRET_OF_OURS", "canary")
    monkeypatch.delenv("ZWARM_CI_CODEX", raising=False)
    return folder


def test_the_versions_are_those_that_our_tests_drive() -> None:
    assert clis.VERSIONS == {"codex": realcli.CODEX, "claude": realcli.CLAUDE}


def test_it_is_brought_by_the_first_turn_and_once(tools: Path, tmp_path: Path) -> None:
    clis.prepare({}, "")
    codex = EXECUTORS["codex"]()
    assert codex.unusable() == "", "what can be brought is no reason to leave it out"
    assert not (tools / "called").exists()
    for _ in range(2):
        assert codex.turn(order(tmp_path), lambda _line: None).state == "failed"
    assert (
        tools / "called"
    ).read_text() == f"install --no-audit --no-fund --no-progress --no-save @openai/codex@{realcli.CODEX}\n"
    assert "SECRET_OF_OURS" not in (tools / "environment").read_text()


def test_what_is_installed_is_used(tools: Path, tmp_path: Path) -> None:
    (tools / "codex").write_text("#!/bin/sh\ncat >/dev/null\nexit 4\n")
    (tools / "codex").chmod(0o755)
    clis.prepare({}, "")
    report = EXECUTORS["codex"]().turn(order(tmp_path), lambda _line: None)
    assert "ended with 4" in report.message
    assert not (tools / "called").exists()


def test_another_version_is_brought_where_it_is_named(tools: Path, tmp_path: Path) -> None:
    (tools / "codex").write_text("#!/bin/sh\nexit 4\n")
    (tools / "codex").chmod(0o755)
    clis.prepare({"codex": "0.170.1"}, "")
    EXECUTORS["codex"]().turn(order(tmp_path), lambda _line: None)
    assert "@openai/codex@0.170.1" in (tools / "called").read_text()


def test_an_npm_that_fails_is_a_failed_turn(tools: Path, tmp_path: Path) -> None:
    (tools / "npm").write_text("#!/bin/sh\necho 'npm ERR! 404 no such version' >&2\nexit 1\n")
    clis.prepare({}, "")
    report = EXECUTORS["codex"]().turn(order(tmp_path), lambda _line: None)
    assert report.state == "failed"
    assert "npm did not bring codex" in report.message
    assert "404 no such version" in report.message


def test_without_npm_it_is_said(tools: Path) -> None:
    (tools / "npm").unlink()
    with pytest.raises(BlockedError, match="npm"):
        clis.install("codex", "1.0")


def test_a_credential_in_git_leaves_paid_rungs_out_and_free_ones_in(tools: Path) -> None:
    clis.prepare({}, "git has a credential in .git/config")
    assert EXECUTORS["codex"]().unusable() == "git has a credential in .git/config"
    assert EXECUTORS["claude"]().unusable() == "git has a credential in .git/config"
    assert EXECUTORS["embedded"]().unusable() == ""


def test_only_what_we_know_is_installed() -> None:
    with pytest.raises(UsageError, match="evil is no executor"):
        clis.prepare({"evil": "1"}, "")
