"""After a merge: a process in the background runs what the merge touches, and says one line where it is red. Nobody waits for it."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

from zwarm_ci import proc
from zwarm_ci import site as places
from zwarm_ci.errors import BlockedError, CommandError, LimitError
from zwarm_ci.git import Repository, open_repository
from zwarm_ci.hook.asked import Asked, say
from zwarm_ci.hook.ground import prepare
from zwarm_ci.hook.staged import Reds, first_words, run_all
from zwarm_ci.scrub import one_line, redact
from zwarm_ci.settings import of_head

_LOG = "post-merge.log"
#: Git's own for this hook, and our way to the gateway: neither is the background's.
_NOT_HANDED_ON = ("GIT_", "ZWARM_CI_GATEWAY_FD")


def start(asked: Asked) -> int:
    """Start the process in the background, and say how it is ended; always 0.

    Raises:
        ConfigError: the settings are wrong.
    """
    try:
        user = open_repository(asked.directory)
        folder = places.state_folder(user, of_head(asked.directory, asked.config_file, asked.sets).state_dir) / "hook"
        folder.mkdir(exist_ok=True)
        terminal = os.ttyname(sys.stderr.fileno()) if sys.stderr.isatty() else ""
        started = proc.detach(
            [sys.executable, "-P", "-m", "zwarm_ci", *_words(asked, user, terminal)],
            cwd=user.top,
            env={k: v for k, v in os.environ.items() if not k.startswith(_NOT_HANDED_ON)},
            log=folder / _LOG,
        )
    except (BlockedError, CommandError, OSError) as error:
        say(f"{error}; the merge is not checked")
        return 0
    shown = (
        (folder / _LOG).relative_to(user.top.resolve()) if folder.is_relative_to(user.top.resolve()) else folder / _LOG
    )
    say(
        f"the merge is checked in the background; the answer: {shown}, and here if it is red (kill {started.pid} ends it)"
    )
    return 0


def _words(asked: Asked, user: Repository, terminal: str) -> list[str]:
    """The command line of the process: which commits, or that it is about what is staged (a merge that was squashed)."""
    before = user.git.ask("rev-parse", "--verify", "--quiet", "ORIG_HEAD^{commit}")
    squashed = asked.args[:1] == ("1",)
    commits = [] if squashed or not before else [before, user.head]
    options = [word for one in asked.sets for word in ("--set", one)]
    if asked.config_file is not None:
        options += ["--config", str(Path(asked.config_file).resolve())]
    return ["hook", "post-merge", *options, "--here", *(["--terminal", terminal] if terminal else []), *commits]


def check(asked: Asked, terminal: str) -> int:
    """In the background: run what the merge touches; 1 = it is red.

    Raises:
        ConfigError: the settings are wrong. InterruptedRunError: somebody ended it.
    """
    between = (asked.args[0], asked.args[1]) if len(asked.args) == 2 else None
    reds: Reds = {}
    try:
        with prepare(replace(asked, args=()), between, limited=False) as ground:
            if ground.checks:
                run_all(ground, asked, reds)
    except (BlockedError, LimitError, CommandError) as error:
        say(f"{error.line}; the merge is not checked")
        return 0
    what = f"the merge {between[1][:12]}" if between else "the squashed merge"
    first = "".join(f"; {name}: {first_words(result)}" for name, result in list(reds.items())[:1])
    line = f"{what} is red: {', '.join(reds)}{first}" if reds else f"{what} is green"
    say(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}")
    if reds and terminal:
        _tell(terminal, f"zwarm-ci: {one_line(redact(line), 300)}")
    return int(bool(reds))


def _tell(terminal: str, line: str) -> None:
    """One line on a terminal that may be gone, and is not made ours by that."""
    try:
        handle = os.open(terminal, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return  # it was closed; the log has the line
    with os.fdopen(handle, "wb", buffering=0) as file:
        file.write(f"\r{line}\r\n".encode())
