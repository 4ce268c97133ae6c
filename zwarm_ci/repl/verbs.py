"""A line of the prompt -> what is to be done: a command line of ours, or something that only the prompt has."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from zwarm_ci.errors import UsageError
from zwarm_ci.scrub import one_line

#: What can stand after a verb, for completion: ids of sessions, ids of those that run, a task in words, nothing that is known.
Wants = Literal["id", "live", "words", ""]
_QUOTES = "\"'"


@dataclass(frozen=True, slots=True)
class Act:
    """What a line asks for: `argv` of a command of ours, or, with `own`, a thing of the prompt's and its words. Both empty = nothing."""

    argv: tuple[str, ...] = ()
    own: str = ""
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb: how it is used, what it does, what follows it."""

    usage: str
    help: str
    wants: Wants
    make: Callable[[Sequence[str]], Act]


def parse(line: str) -> Act:
    """What a line asks for.

    Raises:
        UsageError: there is no such verb, or it is used otherwise.
    """
    text = line.strip()
    if text.startswith("!"):
        return Act(own="shell", words=(text[1:].strip(),))
    if text.startswith("?"):
        text = f"peek {text[1:]}"
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"{error}", remedy="close the quotation mark") from error
    if not words:
        return Act()
    name = ALIASES.get(words[0], words[0])
    if name not in VERBS:
        near = get_close_matches(name, [*VERBS, *ALIASES], 1)
        raise UsageError(
            f"no verb is called {one_line(words[0], 40)!r}", remedy=f"did you mean {near[0]}?" if near else "see `help`"
        )
    return VERBS[name].make(words[1:])


def is_whole(text: str) -> bool:
    """Whether a text can be taken as it stands; a quotation that is open, or a backslash at its end, goes on in the next line."""
    mark = ""
    escaped = False
    for letter in text:
        if escaped:
            escaped = False
        elif letter == "\\" and mark != "'":
            escaped = True
        elif mark:
            mark = "" if letter == mark else mark
        elif letter in _QUOTES:
            mark = letter
    return not mark and not escaped


def _spawn(words: Sequence[str]) -> Act:
    flags = {
        "-d": "-C",
        "--dir": "-C",
        "-m": "--model",
        "--model": "--model",
        "-a": "--executor",
        "--adapter": "--executor",
    }
    task, more, rest = [], [], list(words)
    while rest:
        word = rest.pop(0)
        if word in flags:
            if not rest:
                raise UsageError(f"{word} names nothing", remedy=VERBS["spawn"].usage)
            more += [flags[word], rest.pop(0)]
        else:
            task.append(word)
    if not task:
        raise UsageError("say what is to be done", remedy=VERBS["spawn"].usage)
    return Act(("session", "start", "--task", _never_stdin(" ".join(task)), *more))


def _never_stdin(words: str) -> str:
    """A text that is no `-`, which would read the terminal."""
    return words if words.strip() != "-" else f"{words}."


def _converse(words: Sequence[str]) -> Act:
    if len(words) < 2:
        raise UsageError("say to whom, and what", remedy=VERBS["c"].usage)
    return Act(("session", "converse", "--", words[0], _never_stdin(" ".join(words[1:]))))


def _one(command: str, *flags: str) -> Callable[[Sequence[str]], Act]:
    """`session COMMAND ID`, with some flags allowed."""

    def make(words: Sequence[str]) -> Act:
        ids = [w for w in words if w not in flags]
        if len(ids) != 1 or ids[0].startswith("-"):
            known = f" [{'] ['.join(flags)}]" if flags else ""
            raise UsageError("name one session", remedy=f"{command} ID{known}")
        return Act(("session", command, *(w for w in words if w in flags), ids[0]))

    return make


def _own(name: str, least: int, most: int) -> Callable[[Sequence[str]], Act]:
    """Something of the prompt's own with so many words."""

    def make(words: Sequence[str]) -> Act:
        if not least <= len(words) <= most:
            raise UsageError(f"{name} is used otherwise", remedy=VERBS[name].usage)
        return Act(own=name, words=tuple(words))

    return make


def _plain(*argv: str) -> Callable[[Sequence[str]], Act]:
    return lambda words: Act((*argv, *words))


def _end(words: Sequence[str]) -> Act:
    if len(words) < 2:
        raise UsageError("name a session and how it went", remedy=VERBS["end"].usage)
    reason = ("--reason", " ".join(words[2:])) if len(words) > 2 else ()
    return Act(("session", "end", "--verdict", words[1], *reason, "--", words[0]))


_MANY = 1000
VERBS: dict[str, Verb] = {
    "spawn": Verb('spawn "TASK" [-d DIR] [-m MODEL] [-a ADAPTER]', "start a session on a task", "words", _spawn),
    "ls": Verb("ls", "list sessions; ! marks those whose end nobody has looked at", "", _plain("session", "ls")),
    "peek": Verb("? ID", "the last thing that it said or did", "id", _one("peek")),
    "show": Verb("show ID [--patch]", "all that is known of it, and what it changed", "id", _one("show", "--patch")),
    "traj": Verb("traj ID [--full]", "what it did, step by step", "id", _one("trajectory", "--full")),
    "watch": Verb("watch ID", "its steps as they come", "live", _own("watch", 1, 1)),
    "c": Verb('c ID "MESSAGE"', "say something more to it", "id", _converse),
    "wait": Verb("wait [ID…]", "until they have ended; without an ID, all that run", "live", _own("wait", 0, _MANY)),
    "verify": Verb("verify ID", "have its patch judged in a clean worktree", "id", _own("verify", 1, 1)),
    "apply": Verb("apply ID", "put its patch, verified or not, into the working tree", "id", _own("apply", 1, 1)),
    "kill": Verb("kill ID…|all", "end what runs, with everything that it started", "live", _own("kill", 1, _MANY)),
    "ack": Verb("ack ID…", "you have seen how they ended", "id", _plain("session", "ack")),
    "end": Verb("end ID passed|failed|abandoned [WHY]", "close it for good", "id", _end),
    "rm": Verb("rm ID…|all", "delete sessions that have ended", "id", _own("rm", 1, _MANY)),
    "models": Verb("models", "models, their adapters and prices", "", _plain("models")),
    "cost": Verb("cost", "what it all cost", "", _plain("cost")),
    "status": Verb("status", "what is running", "", _plain("status")),
    "history": Verb("history", "what ran", "", _plain("history")),
    "help": Verb("help", "this list", "", _own("help", 0, 0)),
    "quit": Verb("quit", "leave; sessions go on (also ^D)", "", _own("quit", 0, 0)),
}
ALIASES = {
    "list": "ls", "converse": "c", "continue": "c", "trajectory": "traj", "delete": "rm", "exit": "quit", "q": "quit", "h": "help",
}  # fmt: skip


def help_text() -> str:
    """Every verb in a line, and the keys."""
    rows = [(verb.usage, verb.help) for verb in VERBS.values()] + [("!COMMAND", "a command of your shell's")]
    width = max(len(usage) for usage, _ in rows)
    keys = "An open quotation goes on in the next line. Tab completes verbs, ids and models; ^C takes a line back, ^D leaves."
    return "\n".join([*(f"{usage:<{width}}  {said}" for usage, said in rows), keys])
