"""Watches whether the run gets on: calls repeated for nothing, no new verified state for long, sessions that change nothing."""

from __future__ import annotations

from collections.abc import Iterator

from zwarm_ci.orchestrator.watchers.base import WAITING, Opinion, Scene, Step

_SAME = 3  # calls alike before it is said: once more may be an oversight
_WITHIN = 6  # newest steps that are looked at for them
_BARREN = 15  # steps without a new verified state; a session needs some five: delegate, wait, check, verify, accept
_MILESTONES = frozenset({"verify", "accept", "end_session"})
_POLLS = frozenset({"peek_session", "check_session", "list_sessions"})
_HASTY = 5.0  # seconds: a wait that asks for less is a poll


class Progress:
    """Advises."""

    name = "progress"
    guards = False

    def look(self, scene: Scene) -> Iterator[Opinion]:
        """See the module."""
        yield from _repeated(scene)
        yield from _barren(scene)
        for worker in scene.workers:
            if worker.state == "completed" and not worker.files and not worker.closed:
                said = (
                    f"{worker.name} ended turn {worker.turn} without changing anything. Read its answer (check_session): tell it "
                    "what is missing (converse), or end it and start a fresh one with a more exact task."
                )
                yield Opinion("nudge", said, f"{worker.id} turn {worker.turn} changed nothing", once=True)


def _repeated(scene: Scene) -> Iterator[Opinion]:
    last = scene.last
    if _waits(last):
        return
    alike = [s for s in scene.steps[-_WITHIN:] if s.call == last.call]
    if last.tool not in _POLLS and any(s.answer and s.said != last.said for s in alike):
        return  # something came of it each time
    if len(alike) < _SAME:
        return
    if last.tool in _POLLS or last.tool in WAITING:
        said = "You are polling. Call wait without a short timeout: it returns the moment a session's turn ends, and costs nothing meanwhile."
    else:
        said = f"You called {last.tool} {len(alike)} times alike. Nothing will come of it once more: do something else."
    yield Opinion("nudge", said, f"repeats {last.call}")


def _waits(step: Step) -> bool:
    """Whether a step waited in earnest."""
    asked = step.args.get("timeout", step.args.get("seconds"))
    return step.tool in WAITING and not (isinstance(asked, int | float) and asked < _HASTY)


def _barren(scene: Scene) -> Iterator[Opinion]:
    """No session verified, accepted or ended in many steps; waiting does not count."""
    steps = 0
    for step in reversed(scene.steps):
        if step.tool in _MILESTONES and step.success:
            break
        steps += step.tool not in WAITING
    if steps >= _BARREN:
        said = (
            f"{steps} calls without a session verified, accepted or ended. Finish one before you begin or look at more."
        )
        yield Opinion("nudge", said, "nothing new is verified")
