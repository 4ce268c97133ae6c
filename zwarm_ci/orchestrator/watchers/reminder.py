"""Reminds an orchestrator that only looks around of what it is there for. Waiting is not counted: it is the right thing to do."""

from __future__ import annotations

from collections.abc import Iterator

from zwarm_ci.orchestrator.watchers.base import ACTING, WAITING, Opinion, Scene

_LOOKS = 10  # calls in a row that only look


class DelegationReminder:
    """Advises."""

    name = "delegation_reminder"
    guards = False

    def look(self, scene: Scene) -> Iterator[Opinion]:
        """See the module."""
        looks = 0
        for step in reversed(scene.steps):
            if step.tool in ACTING:
                break
            looks += step.tool not in WAITING
        if looks >= _LOOKS:
            said = f"{looks} calls in a row that only look. You plan and delegate; sessions read and change code. Delegate, converse or verify."
            yield Opinion("nudge", said, "only looks")
