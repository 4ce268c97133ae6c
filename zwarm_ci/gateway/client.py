"""The run's side of the gateway: opens sessions, reads what they used. Holds no key and cannot ask for one.

Safe to use from several threads; every call waits for the gateway's answer.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import stat
import threading
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

from zwarm_ci.errors import ZwarmError
from zwarm_ci.gateway import figures
from zwarm_ci.gateway.figures import Metered, Totals
from zwarm_ci.gateway.keys import FD_NAME, launch
from zwarm_ci.pricing import ModelOverride
from zwarm_ci.purse import Limits
from zwarm_ci.scrub import conceal_values
from zwarm_ci.task import Endpoint

__all__ = ["Gateway", "Metered", "Totals"]

_LAST_WORD = 10.0  # seconds that the gateway has to book calls under way and end


class Gateway:
    """The gateway that holds this run's keys. `close` ends it, and so does our own death.

    `providers` are the adapters that it has a key or an explicit upstream for. `serves`: it was told to listen already, by us or by
    who shares it with us.
    """

    def __init__(self, channel: int) -> None:
        self._socket = socket.socket(fileno=channel)
        self._lock = threading.Lock()
        self._rest = b""
        hello = self._ask({"do": "hello"})
        self._pid = int(hello["pid"])
        self.providers = frozenset(map(str, hello["providers"]))
        self.serves = bool(hello["serves"])

    @classmethod
    def adopt(cls) -> Gateway | None:
        """The gateway that was started with the keys of our environment; None = there was none to give it.

        Raises:
            ZwarmError: it is gone.
        """
        named = os.environ.pop(FD_NAME, "")
        if not named.isdigit() or not _is_socket(int(named)):
            return None  # nobody's, or left over from a process above us that kept the socket to itself
        os.set_inheritable(int(named), False)  # noqa: FBT003 - positional only
        return cls(int(named))

    @classmethod
    def start(cls, environ: Mapping[str, str] | None = None) -> Gateway:
        """A gateway with the keys of `environ`, by default none: it can replay, and serve upstreams that want no key."""
        return cls(launch(environ or {}))

    @property
    def pid(self) -> int:
        """Its process."""
        return self._pid

    def pass_on(self) -> tuple[int, dict[str, str]]:
        """For a process that goes on without us: the descriptor that it must inherit, and the variable that names it."""
        return self._socket.fileno(), {FD_NAME: str(self._socket.fileno())}

    def share(self) -> int:
        """A further channel to the same gateway, for a process that goes on without us; the gateway lives until all are closed.

        Not inherited by children unless it is named to them. The caller closes it.
        """
        with self._lock:
            try:
                self._socket.sendall(figures.line({"do": "share"}))
                said, (channel,), _, _ = socket.recv_fds(self._socket, 1 << 16, 1)
            except (OSError, ValueError) as error:
                raise ZwarmError("the gateway is gone, and with it the keys", remedy="start again") from error
        assert said.endswith(b"\n")
        os.set_inheritable(channel, False)  # noqa: FBT003 - positional only
        return channel

    def leave(self) -> None:
        """Close our channel; the gateway goes on for those who share it, and ends where there is nobody."""
        with self._lock:
            self._socket.close()

    def serve(
        self,
        limits: Limits,
        *,
        day_file: Path | None,
        models: Sequence[ModelOverride] = (),
        record: Path | None = None,
        replay: Path | None = None,
        unpriced_ok: bool = False,
        hosted_ok: bool = False,
        spent: Mapping[str, Decimal] = MappingProxyType({}),
    ) -> None:
        """Begin to listen, on 127.0.0.1 only; once.

        With `replay` no call leaves this machine, and nothing costs anything. `unpriced_ok`: models without a known price may be
        called although there are limits. `hosted_ok`: tools that run at the provider and cost extra (web search) may be offered.
        `spent`: dollars by task that count against the limits already.

        Raises:
            BlockedError: aiohttp is not installed, an upstream's URL or a CA file is unusable, or the cassette is.
        """
        self._ask({
            "do": "serve",
            "limits": figures.data_of(limits),
            "day_file": None if day_file is None else str(day_file.absolute()),
            "models": [figures.data_of(model) for model in models],
            "record": None if record is None else str(record.absolute()),
            "replay": None if replay is None else str(replay.absolute()),
            "unpriced_ok": unpriced_ok,
            "hosted_ok": hosted_ok,
            "spent": {task: str(amount) for task, amount in spent.items()},
        })  # fmt: skip
        self.serves = True
        if replay is not None:
            self.providers = frozenset(self._ask({"do": "hello"})["providers"])

    def open(
        self, session: str, *, task: str, adapter: str, model: str = "", places: Sequence[Path | str] = ()
    ) -> Endpoint:
        """Where a session's model calls go. Opened again it gets a new token and goes on counting; the old one is worth nothing.

        `places` are its folders (the worktree first): cassettes name them by number, since they differ from run to run.
        """
        asked = {"session": session, "task": task, "adapter": adapter, "model": model}
        answer = self._ask({"do": "open", **asked, "places": [str(place) for place in places]})
        conceal_values([answer["token"]])
        return Endpoint(answer["url"], answer["token"])

    def usage(self, session: str) -> Metered:
        """What the session used so far; calls that are coming to their end are waited for, calls under way are not."""
        return figures.metered(self._ask({"do": "usage", "session": session})["metered"])

    def shut(self, session: str) -> None:
        """Its token is worth nothing from now on, and what it has under way is cut off and booked."""
        self._ask({"do": "shut", "session": session})

    def totals(self) -> Totals:
        """All sessions together."""
        return figures.totals(self._ask({"do": "totals"})["totals"])

    def close(self) -> None:
        """End the gateway: calls under way are cut off and booked. It is gone when this returns."""
        with self._lock:
            self._socket.close()
        with contextlib.suppress(ChildProcessError, ProcessLookupError):  # not our child, or known to be gone
            handle = os.pidfd_open(self._pid)
            try:
                select.select([handle], [], [], _LAST_WORD)
                os.waitpid(self._pid, os.WNOHANG)
            finally:
                os.close(handle)

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            try:
                self._socket.sendall(figures.line(message))
                while b"\n" not in self._rest:
                    data = self._socket.recv(1 << 16)
                    if not data:
                        raise ConnectionResetError
                    self._rest += data
            except OSError as error:
                raise ZwarmError("the gateway is gone, and with it the keys", remedy="start again") from error
            said, _, self._rest = self._rest.partition(b"\n")
        answer: dict[str, Any] = json.loads(said)
        figures.raise_fault(answer)
        return answer


def _is_socket(descriptor: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    except OSError:
        return False
