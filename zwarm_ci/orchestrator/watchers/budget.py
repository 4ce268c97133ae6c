"""Watches the limits: warns when most of one is used, and ends the run when all of it is."""

from __future__ import annotations

from collections.abc import Iterator

from zwarm_ci.orchestrator.watchers.base import Meter, Opinion, Scene

_WARN = 0.8  # of a limit
_LARGE = 10_000  # from here on a figure is shown whole


class Budget:
    """Guards: nobody else ends a run that is over its limits of steps and tokens."""

    name = "budget"
    guards = True

    def look(self, scene: Scene) -> Iterator[Opinion]:
        """See the module."""
        for meter in scene.meters:
            if meter.share >= 1 and meter.hard:
                yield Opinion("abort", f"the limit is reached: {_used(meter)} ({meter.remedy})", priority=100)
            elif meter.share >= _WARN:
                said = f"{_used(meter)} are used ({meter.share:.0%}). Finish what is begun, begin nothing that is not needed."
                yield Opinion(
                    "nudge",
                    said,
                    f"{meter.name} {'are used up' if meter.share >= 1 else 'run out'}",
                    priority=10,
                    once=True,
                )


def _used(meter: Meter) -> str:
    form = ",.0f" if meter.limit >= _LARGE else ",.4g"
    return f"{meter.used:{form}} of {meter.limit:{form}} {meter.name}"
