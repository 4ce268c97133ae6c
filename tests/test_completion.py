"""Completion, driven by a real bash, and help that reads well on 80 columns."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tests.hook_native.native import script
from tests.support import zwarm
from zwarm_ci import cli

KEYS = ("OPENAI_API_KEY", "CODEX_API_KEY", "ANTHROPIC_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL")
#: Reads the script as a login shell would, then asks what the last word could be.
ASK = """
eval "$(zwarm-ci completion bash)"
complete -p zwarm-ci >&2
COMP_WORDS=(zwarm-ci "$@") COMP_CWORD=$# COMPREPLY=()
_zwarm_ci_completion zwarm-ci "${!#}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def bash(folder: Path, *words: str, path: Path | None = None, **env: str) -> list[str]:
    """What bash offers for the last of the words."""
    places = [str(path)] if path else []
    whole = {**os.environ, "PATH": ":".join([*places, str(Path(sys.executable).parent), os.environ["PATH"]]), **env}
    done = subprocess.run(
        ["bash", "--norc", "-c", ASK, "bash", *words],
        cwd=folder,
        env=whole,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == "complete -o nosort -F _zwarm_ci_completion zwarm-ci\n"
    assert done.returncode == 0
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("fix-",), ["fix-tests", "fix-checks", "fix-issue"]),
        (("init", "--hooks", ""), ["native", "pre-commit", "none"]),
        (("fix-tests", "--from", "w"), ["worktree"]),
        (("session", "st"), ["start"]),
        (("doctor", "--hook", "post"), ["post-merge"]),
        (("completion", ""), ["bash", "zsh", "fish"]),
        (("nonsense", "fix-t"), ["fix-tests"]),
    ],
)
def test_bash_offers_commands_options_and_values(tmp_path: Path, words: tuple[str, ...], wanted: list[str]) -> None:
    assert bash(tmp_path, *words) == wanted


def test_no_key_goes_to_what_is_asked_at_each_tab(tmp_path: Path) -> None:
    real = Path(sys.executable).with_name("zwarm-ci")
    script(tmp_path / "bin/zwarm-ci", f'#!/bin/sh\n[ -z "$COMP_WORDS" ] || env >>"{tmp_path}/seen"\nexec {real} "$@"\n')
    assert bash(tmp_path, "take", "--he", path=tmp_path / "bin", **dict.fromkeys(KEYS, "sk-canary")) == ["--help"]
    seen = (tmp_path / "seen").read_text()
    assert "_ZWARM_CI_COMPLETE=bash_complete" in seen
    assert "sk-canary" not in seen
    assert not any(f"\n{name}=" in seen for name in KEYS)


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("zsh", "compdef _zwarm_ci_completion zwarm-ci"),
        ("fish", 'complete --no-files --command zwarm-ci --arguments "(_zwarm_ci_completion)";'),
    ],
)
def test_the_other_shells_get_a_script_of_their_own(tmp_path: Path, shell: str, line: str) -> None:
    said = zwarm("completion", shell, cwd=tmp_path)
    assert (said.code, said.err) == (0, "")
    assert line in [text.strip() for text in said.out.splitlines()]
    assert f"_ZWARM_CI_COMPLETE={shell}_complete" in said.out
    assert "".join(f"-u {name} " for name in ("CODEX_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY")) in said.out


def commands(group: click.Group, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command and group, by its words."""
    yield words
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*words, name))
        elif command is not None:
            yield (*words, name)


@pytest.mark.parametrize("words", list(commands(cli.main)), ids=" ".join)
def test_help_fits_80_columns(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.run([*words, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"Usage: zwarm-ci {' '.join(words)}".rstrip())
    assert [line for line in out.splitlines() if len(line) > 80] == []


def test_help_names_each_command_once_in_its_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--help"]) == 0
    out = capsys.readouterr().out
    first, _, rest = out.partition("\nTasks, sessions, runs:")
    second, _, third = rest.partition("\nExperimental")
    named = {
        name: [n for n, part in enumerate((first, second, third)) if f"\n  {name} " in part] for name in cli.names()
    }
    assert {name: places for name, places in named.items() if len(places) != 1} == {}
    groups = {name: places[0] for name, places in named.items()}
    assert {n for n, place in groups.items() if place == 0} == {
        "demo",
        "fix-tests",
        "fix-checks",
        "verify",
        "init",
        "doctor",
    }
    assert {n for n, place in groups.items() if place == 2} <= {
        "orchestrate",
        "pilot",
        "checkpoint",
        "interactive",
        "mcp",
    }
    assert {groups[n] for n in groups if n in {"orchestrate", "pilot", "mcp"}} <= {2}
    assert "zwarm-ci completion --help" in " ".join(out.split())


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["fix-test"], "No command is called 'fix-test'. Did you mean 'fix-tests'? (see `zwarm-ci --help`)"),
        (["fix-tests", "--chek", "x"], "--check"),
        (["fix-tests", "--nonsense"], "(see `zwarm-ci fix-tests --help`)"),
        (["completion", "ksh"], "'ksh' is not one of 'bash', 'zsh', 'fish'. (see `zwarm-ci completion --help`)"),
        (["init", "-C", "/dev/null"], "/dev/null: no such folder"),
    ],
)
def test_an_error_is_one_line_with_what_to_do(args: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(args) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert line in err
