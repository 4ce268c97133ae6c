"""Executors: who does the work of a session. They never see verification; `loop.attempt` brings the two together."""

from __future__ import annotations

from collections.abc import Callable

from zwarm_ci.executors.base import Executor


def _embedded() -> Executor:
    from zwarm_ci.executors.embedded import Embedded

    return Embedded()


def _codex() -> Executor:
    from zwarm_ci.executors.codex import Codex

    return Codex()


def _claude() -> Executor:
    from zwarm_ci.executors.claude import Claude

    return Claude()


#: Every rung of a ladder by its name; a variant is one file and one line here.
EXECUTORS: dict[str, Callable[[], Executor]] = {"embedded": _embedded, "codex": _codex, "claude": _claude}

__all__ = ["EXECUTORS", "Executor"]
