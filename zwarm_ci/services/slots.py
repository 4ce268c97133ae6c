"""Numbered slots for the worktrees of a run: each has a block of ports and a compose project of its own."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from zwarm_ci.errors import BlockedError, ConfigError
from zwarm_ci.services.ports import WELL_KNOWN

PORTS = 20  # ports in a block
_LOWEST, _HIGHEST = 10240, 65535
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_USUAL_EPHEMERAL = (32768, 60999)  # Linux' default, where the file cannot be read
_PLACE = re.compile(r"\{(?:port(?:\+(\d+))?|slot)\}")


@dataclass(frozen=True, slots=True)
class Slot:
    """What one worktree has for itself: a number from 0, `PORTS` ports from `port_base` on, and a compose project's name."""

    number: int
    port_base: int
    project: str

    def variables(self) -> dict[str, str]:
        """The variables that checks, `setup` and services of the worktree get."""
        return {
            "COMPOSE_PROJECT_NAME": self.project,
            "ZWARM_SLOT": str(self.number),
            "ZWARM_PORT_BASE": str(self.port_base),
        }


class Slots:
    """The slots of one run; safe from several threads at once.

    A block's ports were free on 127.0.0.1 when it was handed out, lie outside the range from which the kernel takes ports by
    itself, and hold no service's usual port. While a slot is held no other of this machine has its block, other runs' included.
    """

    def __init__(self, run: str) -> None:
        digest = hashlib.sha256(run.encode()).digest()
        self._name = f"zwarm-{digest.hex()[:10]}"
        self._start = int.from_bytes(digest[:8], "big")
        self._lock = threading.Lock()
        self._held: dict[int, socket.socket] = {}

    def take(self) -> Slot:
        """The lowest free number, with a block of ports.

        Raises:
            BlockedError: no block is free.
        """
        with self._lock:
            number = next(n for n in range(len(self._held) + 1) if n not in self._held)
            base, claim = self._block()
            self._held[number] = claim
        return Slot(number, base, f"{self._name}-{number}")

    def give_back(self, slot: Slot) -> None:
        """Free a slot; its number and its ports may go to the next worktree."""
        with self._lock:
            claim = self._held.pop(slot.number, None)
        if claim is not None:
            claim.close()

    @contextlib.contextmanager
    def held(self) -> Iterator[Slot]:
        """A slot that is given back at the end."""
        slot = self.take()
        try:
            yield slot
        finally:
            self.give_back(slot)

    def close(self) -> None:
        """Give every slot back: the run is over."""
        with self._lock:
            for claim in self._held.values():
                claim.close()
            self._held.clear()

    def _block(self) -> tuple[int, socket.socket]:
        blocks = _blocks(*_ephemeral())
        first = self._start % len(blocks)
        for base in (*blocks[first:], *blocks[:first]):
            claim = _claim(base)
            if claim is None:
                continue
            if all(_is_free(port) for port in range(base, base + PORTS)):
                return base, claim
            claim.close()
        raise BlockedError(
            f"no block of {PORTS} ports is free on this machine", remedy="end what holds them, or run less at a time"
        )


def _ephemeral() -> tuple[int, int]:
    try:
        low, high = _EPHEMERAL.read_text(encoding="ascii").split()
        return int(low), int(high)
    except (OSError, ValueError):
        return _USUAL_EPHEMERAL


@functools.cache
def _blocks(low: int, high: int) -> tuple[int, ...]:
    """Where blocks may begin: outside `low` to `high`; anywhere, where that leaves nothing."""
    every = [
        base
        for base in range(_LOWEST, _HIGHEST + 2 - PORTS, PORTS)
        if not any(base <= port < base + PORTS for port in WELL_KNOWN)
    ]
    return tuple([base for base in every if base > high or base + PORTS <= low] or every)


def _claim(base: int) -> socket.socket | None:
    """Mark a block as ours; None where another run has it. The kernel takes the mark back when the process ends, however it does.

    An abstract unix socket (unix(7)) leaves no file behind, and belongs to the network namespace that the ports belong to.
    """
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0zwarm-ci-ports-{base}")
    except OSError:
        claim.close()
        return None
    return claim


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Only what listens is in the way, not what just ended.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def fill(command: str, slot: Slot) -> str:
    """`command` with `{port}`, `{port+1}` … and `{slot}` replaced; other braces stay.

    Raises:
        ConfigError: a port past the end of the block.
    """

    def value(match: re.Match[str]) -> str:
        if match[0] == "{slot}":
            return str(slot.number)
        offset = int(match[1] or 0)
        if offset >= PORTS:
            raise ConfigError(
                f"{match[0]} in {command!r}: a worktree has {PORTS} ports",
                remedy=f"use {{port}} to {{port+{PORTS - 1}}}",
            )
        return str(slot.port_base + offset)

    return _PLACE.sub(value, command)
