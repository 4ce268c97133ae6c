"""The prompt as a person has it: in a terminal of its own, with sessions in processes of their own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.repl.terminal import Terminal
from tests.support import Said, zwarm
from tests.test_session_cli import Place
from tests.test_session_cli import at as at  # noqa: PLC0414 - a fixture


def prompt(at: Place, *more: str) -> Iterator[Terminal]:
    made = Terminal(at.repo.path, at.env, "interactive", "--set", "executor.adapter=codex", *more)
    made.until("zwarm>")
    yield made
    made.close()


@pytest.fixture
def terminal(at: Place) -> Iterator[Terminal]:
    yield from prompt(at)


@pytest.fixture
def agreed(at: Place) -> Iterator[Terminal]:
    """Nobody is asked before the first paid call."""
    yield from prompt(at, "--yes")


def test_a_session_from_spawn_to_rm(at: Place, terminal: Terminal) -> None:
    said = terminal.line('spawn "write a.py two', "…")
    assert "zwarm-ci:" not in said, "an open quotation goes on in the next line"
    terminal.line('say did it"', "at most .* in this run.*Go on?")
    session_id = re.findall(r"\b[0-9a-f]{12}\b", terminal.line("y", r"\b[0-9a-f]{12}\s"))[-1]
    terminal.line(f"wait {session_id[:4]}", f"{session_id}  completed  did it")
    assert "did it" in terminal.line(f"? {session_id}", "did it")
    assert "write a.py two" in terminal.line("ls", "completed.*write a.py two")
    assert "file change" in terminal.line(f"traj {session_id}", "message.*did it")
    assert "+two" in terminal.line(f"show {session_id} --patch", r"\+two")
    terminal.line(f"verify {session_id}", "no checks were found here")
    terminal.line(f"apply {session_id}", "applied: a.py")
    assert (at.repo.path / "a.py").read_text() == "two\n"
    terminal.line(f"apply {session_id}", "the patch does not fit the working tree as it is now")
    terminal.line(f'c {session_id} "say more"', session_id)
    terminal.line("wait", r"completed  more|nothing runs")
    terminal.line("cost", "codex")
    terminal.line(f"end {session_id} passed good", "completed, passed  good")
    terminal.line(f"rm {session_id}", f"removed: {session_id}")
    assert at.store.ids() == []
    assert terminal.leave("zwarm>") == 0


def test_it_stays_whatever_is_typed(at: Place, terminal: Terminal) -> None:
    terminal.line("spwan x", "zwarm-ci: no verb is called 'spwan' .did you mean spawn")
    terminal.line("show f00", "zwarm-ci: no session begins with 'f00'")
    terminal.line("watch f00", "zwarm-ci: no session begins with 'f00'")
    terminal.until("zwarm>")
    terminal.write("spawn never sent\x03")
    terminal.until("never sent")
    terminal.until("zwarm>")
    terminal.line("ls", "id +state")
    assert at.store.ids() == []
    terminal.line("!echo $((6*7)); exit 3", "42\\s+exit code 3")
    terminal.write("mod\t")
    terminal.until("models")
    terminal.line("", "sonnet")
    terminal.line("help", "leave; sessions go on")
    terminal.write("\x1b[A")
    terminal.until("help")
    terminal.line("", "leave; sessions go on")
    terminal.line("quit", "quit")
    assert terminal.leaves() == 0


def test_watching_and_waiting_end_with_control_c_and_the_session_goes_on(at: Place, agreed: Terminal) -> None:
    with at.gate() as gate:
        session_id = re.findall(
            r"\b[0-9a-f]{12}\b",
            agreed.line(f'spawn "say at the gate\nhang {gate}\nsay through"', r"\b[0-9a-f]{12}\s"),
        )[-1]
        agreed.line(f"watch {session_id}", "message +at the gate")
        agreed.write("\x03")
        agreed.until("interrupted; sessions go on")
        agreed.line("wait", f"{session_id}.*running.*at the gate")
        agreed.write("\x03")
        agreed.until("interrupted; sessions go on")
        assert at.state(session_id) == "running"
        agreed.write(f"kill {session_id[:3]}\t")
        agreed.until(f"kill {session_id}")
        agreed.line("", f"{session_id}  killed")
    assert agreed.leave("zwarm>") == 0


def test_without_a_terminal_it_says_what_to_use(at: Place) -> None:
    said: Said = zwarm("interactive", cwd=at.repo.path)
    assert (said.code, said.out) == (2, "")
    assert "interactive needs a terminal (use `zwarm-ci session …` in scripts)" in said.err


def test_its_memory_is_the_users_and_not_the_repositorys(at: Place, terminal: Terminal) -> None:
    terminal.line("models", "sonnet")
    assert terminal.leave("zwarm>") == 0
    kept = list(Path(os.environ["HOME"], ".cache/zwarm-ci/interactive").iterdir())
    assert ["+models" in file.read_text() for file in kept] == [True]
    assert kept[0].stat().st_mode & 0o077 == 0
    assert not list((at.repo.path / ".zwarm").glob("*history*"))


def test_sessions_share_the_keys_that_the_prompt_was_given(at: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a process of its own; one after the other has the gateway, and none the key."""
    (Path(os.environ["HOME"]) / ".codex/auth.json").unlink()
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-a-test-00000000000000000009")
    for made in prompt(at, "--yes"):
        for word in ("one", "two"):
            made.line(f'spawn "say {word}"', r"[0-9a-f]{12}\s")
            made.line("wait", rf"completed  {word}|nothing runs")
            made.line("ls", f"completed.*say {word}")
        made.line("!env | grep -c sk-of-a-test", r"\n0\s+exit code 1")
        assert made.leave("zwarm>") == 0
    assert [m.state for m in at.store.all()[0]] == ["completed"] * 2
