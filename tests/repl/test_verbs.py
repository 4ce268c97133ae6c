"""What the lines of the prompt ask for, and what can come next in one."""

from __future__ import annotations

from pathlib import Path

import pytest

from zwarm_ci.errors import UsageError
from zwarm_ci.repl.completing import choices
from zwarm_ci.repl.verbs import ALIASES, VERBS, Act, help_text, is_whole, parse
from zwarm_ci.sessions import Meta, Store

MODELS = (("sonnet", "claude"), ("gpt-5.1-codex", "codex"))


@pytest.mark.parametrize(
    ("line", "argv"),
    [
        ('spawn "fix it, please"', "session start --task|fix it, please"),
        ("spawn fix it -m mini -d sub", "session start --task|fix it|--model mini -C sub"),
        ("spawn -a claude -m opus x", "session start --task|x|--executor claude --model opus"),
        ("spawn -", "session start --task -."),
        ("ls", "session ls"),
        ("list", "session ls"),
        ("? ab", "session peek ab"),
        ("?ab", "session peek ab"),
        ("peek ab", "session peek ab"),
        ("show --patch ab", "session show --patch ab"),
        ("traj ab --full", "session trajectory --full ab"),
        ('c ab "go on"', "session converse -- ab|go on"),
        ("continue ab go on", "session converse -- ab|go on"),
        ("ack ab cd", "session ack ab cd"),
        ("end ab failed it went wrong", "session end --verdict failed --reason|it went wrong|-- ab"),
        ("models --json", "models --json"),
        ("cost", "cost"),
    ],
)
def test_a_line_is_a_command_line(line: str, argv: str) -> None:
    parts = argv.split("|")
    words = [w for n, part in enumerate(parts) for w in (part.split() if n % 2 == 0 else [part])]
    assert parse(line) == Act(tuple(words))


@pytest.mark.parametrize(
    ("line", "own", "words"),
    [
        ("watch ab", "watch", ("ab",)), ("wait", "wait", ()), ("wait ab cd", "wait", ("ab", "cd")), ("verify ab", "verify", ("ab",)),
        ("apply ab", "apply", ("ab",)), ("kill all", "kill", ("all",)), ("delete ab", "rm", ("ab",)), ("! ls -l | wc", "shell", ("ls -l | wc",)),
        ("q", "quit", ()), ("help", "help", ()), ("", "", ()), ("   ", "", ()),
    ],
)  # fmt: skip
def test_a_line_is_something_of_the_prompts_own(line: str, own: str, words: tuple[str, ...]) -> None:
    assert parse(line) == Act((), own, words)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("spwan x", "did you mean spawn?"),
        ("xyzzy", "see `help`"),
        ("spawn", "say what is to be done"),
        ("spawn x -m", "-m names nothing"),
        ("show", "name one session (show ID [--patch])"),
        ("peek --all", "name one session"),
        ("c ab", "say to whom"),
        ("kill", "kill is used otherwise (kill ID…|all)"),
        ("verify a b", "verify is used otherwise"),
        ("end ab", "name a session and how it went"),
        ('spawn "x', "close the quotation mark"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(line: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(line)
    assert said in error.value.line
    assert "\n" not in error.value.line


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("ls", True), ('spawn "a', False), ('spawn "a\nb"', True), ("spawn 'a\"", False), ("spawn a \\", False), ('spawn "a\\" b', False),
        ("spawn 'a\\'", True), ('c ab "it\'s"', True),
    ],
)  # fmt: skip
def test_an_open_quotation_goes_on(text: str, whole: bool) -> None:
    assert is_whole(text) == whole


def test_help_names_every_verb_and_no_alias_is_lost() -> None:
    assert all(verb.usage in help_text() for verb in VERBS.values())
    assert set(ALIASES.values()) <= VERBS.keys()


@pytest.fixture
def sessions(tmp_path: Path) -> list[Meta]:
    store = Store(tmp_path)
    made = [store.create(run="", task="", executor="codex", model="", title=f"task {n}") for n in range(2)]
    store.move(made[0], "failed", reason="gone")
    return store.all()[0]


def offered(before: str, sessions: list[Meta]) -> list[str]:
    return [text for _, (text, _) in choices(before, lambda: sessions, MODELS, ("codex", "claude"))]


def test_tab_offers_verbs_ids_models_and_adapters(sessions: list[Meta]) -> None:
    live = [m.id for m in sessions if m.live]
    ids = [m.id for m in sessions]
    assert offered("s", sessions) == ["spawn", "show", "status"]
    assert offered("show ", sessions) == ids
    assert offered(f"show {ids[0][:5]}", sessions) == [ids[0]]
    assert offered("?", sessions) == ids
    assert offered("? ", sessions) == ids
    assert offered("kill ", sessions) == offered("wait ", sessions) == live
    assert offered("c ", sessions) == ids
    assert offered(f"c {ids[0]} ", sessions) == []
    assert offered("spawn x -m s", sessions) == ["sonnet"]
    assert offered("spawn x -a ", sessions) == ["codex", "claude"]
    assert offered("spawn x", sessions) == offered("xyzzy ", sessions) == []
    assert list(choices("rm ", lambda: sessions, MODELS, ()))[1][1] == (ids[1], "failed  task 0")
