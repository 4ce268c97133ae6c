"""The guards, one a file. A new one is a file, a line in `GUARDS` and cases in tests/conformance/judge.py."""

from __future__ import annotations

from zwarm_ci.verdict import GuardFinding
from zwarm_ci.verify.guards.base import Guard, Patch, Rules
from zwarm_ci.verify.guards.modes import Modes
from zwarm_ci.verify.guards.paths import ProtectedPaths
from zwarm_ci.verify.guards.runner import RunnerAware
from zwarm_ci.verify.guards.secret import Secrets
from zwarm_ci.verify.guards.size import Size

GUARDS: dict[str, Guard] = {g.name: g for g in (ProtectedPaths(), Modes(), Secrets(), RunnerAware(), Size())}


def look(patch: Patch) -> tuple[GuardFinding, ...]:
    """What all guards found, refusals first."""
    found = [finding for guard in GUARDS.values() for finding in guard.look(patch)]
    return tuple(sorted(found, key=lambda f: f.level != "refuse"))


__all__ = ["GUARDS", "Guard", "Patch", "Rules", "look"]
