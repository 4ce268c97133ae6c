"""The toolset of one process, called from another: lines of JSON on a Unix socket in a folder that nobody else may enter.

A host starts its MCP server as a child and may let it die; what holds keys, sessions and verdicts is not in there.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from zwarm_ci.errors import BlockedError, InterruptedRunError
from zwarm_ci.scrub import one_line
from zwarm_ci.stop import STOP

Tool = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]


class Listener:
    """Serves `call` at `path` while inside the `with`. Calls of all connections run side by side."""

    def __init__(self, call: Tool, path: Path) -> None:
        self._call, self.path = call, path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def __enter__(self) -> Self:
        self.path.unlink(missing_ok=True)
        self._socket.bind(str(self.path))
        self.path.chmod(0o600)
        self._socket.listen()
        threading.Thread(target=self._accept, daemon=True, name="relay").start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # closed before
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.path.unlink(missing_ok=True)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._attend, args=(client,), daemon=True, name="relayed").start()

    def _attend(self, client: socket.socket) -> None:
        """One call a connection: an answer that comes late has its own way back."""
        with client, client.makefile("rwb") as line:
            try:
                asked = json.loads(line.readline())
                answer = dict(self._call(str(asked["tool"]), dict(asked["args"])))
            except InterruptedRunError as error:
                answer = {"success": False, "error": error.message, "hint": "the run can be gone on with"}
            except (ValueError, KeyError, TypeError) as error:
                answer = {"success": False, "error": f"no call: {type(error).__name__}", "hint": "start again"}
            except OSError as error:  # a disk that is full, a folder that somebody deleted
                answer = {
                    "success": False,
                    "error": one_line(str(error)),
                    "hint": "see whether the run's folder is there",
                }
            try:
                line.write(json.dumps(answer, ensure_ascii=False).encode() + b"\n")
                line.flush()
            except OSError:  # whoever asked is gone; the call stands in the journal
                return


def _heard(line: socket.socket) -> bytes:
    """A line; what there is of one where the other end is closed.

    Raises:
        InterruptedRunError: `STOP` was set meanwhile.
    """
    said = b""
    while not said.endswith(b"\n"):
        select.select([line.fileno(), STOP.reader], [], [])
        STOP.check()
        data = line.recv(1 << 16)
        if not data:
            break
        said += data
    return said


def remote(path: Path) -> Tool:
    """Calls what is served at `path`.

    Raises:
        BlockedError: nobody listens there.
    """

    def call(tool: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            try:
                line.connect(str(path))
                line.sendall(json.dumps({"tool": tool, "args": args}).encode() + b"\n")
                said = _heard(line)
            except OSError:
                said = b""
        if not said:
            return {
                "success": False,
                "error": "the run is served no more",
                "hint": "end your turn; it can be gone on with",
            }
        answer: Mapping[str, Any] = json.loads(said)
        return answer

    if not path.is_socket():
        raise BlockedError(f"nobody serves a run at {path}", remedy="zwarm-ci mcp, without --connect")
    STOP.check()
    return call
