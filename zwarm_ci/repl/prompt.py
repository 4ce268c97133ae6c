"""The loop: a line is read, done, and the next one is read. Errors are one line; ^C takes back, ^D leaves."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zwarm_ci import proc
from zwarm_ci.errors import InterruptedRunError, ZwarmError
from zwarm_ci.gateway.client import Gateway
from zwarm_ci.repl.acts import Room
from zwarm_ci.repl.completing import Choice, choices
from zwarm_ci.repl.verbs import Act, is_whole, parse

if TYPE_CHECKING:
    from prompt_toolkit.completion import Completer
    from prompt_toolkit.key_binding import KeyBindings

#: Names a gateway's socket in our environment, for a session's process to take over (supervise).
_GATEWAY = "ZWARM_CI_GATEWAY_FD"
_SPENDS = ("start", "converse")


def loop(room: Room, models: Sequence[Choice], adapters: Sequence[str], remembered: Path) -> int:
    """Read and do lines until `quit` or ^D; always 0. `remembered`: the file with the lines of earlier times.

    Sessions that are started here share the gateway, and so the limits on money, of this process.
    """
    gateway = Gateway.adopt()
    read = reader("zwarm> ", remembered, _completer(room, models, adapters))
    try:
        while (line := read()) is not None:
            try:
                act = parse(line)
                if act.own == "quit":
                    return 0
                with proc.stoppable():
                    _do(room, act, gateway)
            except InterruptedRunError as error:
                if error.signum != signal.SIGINT:
                    raise
                room.say("interrupted; sessions go on")
            except ZwarmError as error:
                room.say(f"zwarm-ci: {error.line}")
        return 0
    finally:
        if gateway is not None:
            gateway.leave()


def _do(room: Room, act: Act, gateway: Gateway | None) -> None:
    if act.own:
        room.do(act)
    elif act.argv:
        with _lent(gateway if act.argv[1:2] and act.argv[1] in _SPENDS else None):
            room.run(act.argv)


@contextlib.contextmanager
def _lent(gateway: Gateway | None) -> Iterator[None]:
    """A channel to the gateway for the session that is about to be started; closed again where none was."""
    if gateway is None:
        yield
        return
    os.environ[_GATEWAY] = str(gateway.share())
    try:
        yield
    finally:
        if left := os.environ.pop(_GATEWAY, ""):
            os.close(int(left))


def reader(mark: str, remembered: Path, completer: Completer | None = None) -> Callable[[], str | None]:
    """Reads a person's next lines behind `mark`: text that is whole, None at ^D; ^C takes back what was typed."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.history import FileHistory

    remembered.touch(mode=0o600)
    prompt: PromptSession[str] = PromptSession(
        history=FileHistory(str(remembered)), completer=completer, complete_while_typing=False, multiline=True,
        prompt_continuation="     … ", key_bindings=_keys(), enable_suspend=True,
    )  # fmt: skip

    def read() -> str | None:
        while True:
            try:
                return prompt.prompt(mark)
            except KeyboardInterrupt:
                continue
            except EOFError:
                return None

    return read


def _completer(room: Room, models: Sequence[Choice], adapters: Sequence[str]) -> Completer:
    from prompt_toolkit.completion import CompleteEvent, Completer, Completion
    from prompt_toolkit.document import Document

    class Ours(Completer):
        def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
            before = document.text_before_cursor.lstrip()
            for begun, (text, said) in choices(before, lambda: room.store.all()[0], models, adapters):
                yield Completion(text, start_position=-len(begun), display_meta=said)

    return Ours()


def _keys() -> KeyBindings:
    """Enter takes the line where it is whole, else it begins another one."""
    from prompt_toolkit.key_binding import KeyBindings

    keys = KeyBindings()

    @keys.add("enter")
    def _(event: Any) -> None:
        buffer = event.current_buffer
        if is_whole(buffer.text):
            buffer.validate_and_handle()
        else:
            buffer.insert_text("\n")

    return keys
