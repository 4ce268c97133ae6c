"""A command of ours in a pseudo-terminal, as a person has it."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from zwarm_ci.reap import end_tree

_CONTROL = re.compile(rb"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|\x1b[@-_]|[\x00-\x08\x0b-\x1f]")
_FORWARD = re.compile(rb"\x1b\[(\d*)C")
#: Makes the terminal its own, so that keys become signals, and is the command then.
_TAKES = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
_LONG = 120.0  # seconds until a test gives up


def _spaces(moved: re.Match[bytes]) -> bytes:
    return b" " * int(moved[1] or 1)


class Terminal:
    """The command while it runs."""

    def __init__(self, folder: Path, env: Mapping[str, str], *args: str) -> None:
        ours, theirs = pty.openpty()
        more = {"TERM": "xterm", "COLUMNS": "200", "LINES": "50", "PROMPT_TOOLKIT_NO_CPR": "1"}
        self.child = subprocess.Popen(
            [sys.executable, "-c", _TAKES, "-m", "zwarm_ci", *args], cwd=folder, env={**os.environ, **env, **more}, stdin=theirs, stdout=theirs,
            stderr=theirs, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self.handle, self.seen = ours, b""

    def write(self, text: str) -> None:
        os.write(self.handle, text.encode())

    def until(self, pattern: str) -> str:
        """Read on until there is `pattern` behind what the last call found; the text up to its end."""
        end = time.monotonic() + _LONG
        while True:
            text = _CONTROL.sub(b"", _FORWARD.sub(_spaces, self.seen)).decode(errors="replace")
            if found := re.search(pattern, text):
                self.seen = text[found.end() :].encode()
                return text[: found.end()]
            assert select.select([self.handle], [], [], max(0.0, end - time.monotonic()))[0], text
            try:
                data = os.read(self.handle, 1 << 16)
            except OSError:
                data = b""
            assert data, f"the terminal was closed: {text}"
            self.seen += data

    def line(self, text: str, answer: str) -> str:
        """Type a line; what is printed up to `answer`."""
        self.write(text + "\r")
        return self.until(answer)

    def leave(self, mark: str) -> int:
        """Take ^D at the next prompt; its exit code."""
        self.until(mark)  # before that the terminal would take the key for itself
        self.write("\x04")
        return self.leaves()

    def leaves(self) -> int:
        """Its exit code, once it has left."""
        while select.select([self.handle], [], [], _LONG)[0]:
            try:
                if not os.read(self.handle, 1 << 16):
                    break
            except OSError:  # its end of the terminal is closed
                break
        return self.child.wait(60)

    def close(self) -> None:
        """End it, and all that it started in its group."""
        end_tree(self.child, "")
        os.close(self.handle)
