"""The guards by name: a variant is one file, a line here and a call of tests/conformance/judge.py."""

from __future__ import annotations

from zwarm_ci.verdict import GuardFinding
from zwarm_ci.verify.guards.base import Guard, Hunk, Patch, Rules, levelled
from zwarm_ci.verify.guards.modes import Modes
from zwarm_ci.verify.guards.paths import ProtectedPaths
from zwarm_ci.verify.guards.runner import RunnerAware
from zwarm_ci.verify.guards.secret import Secrets
from zwarm_ci.verify.guards.size import Size

GUARDS: dict[str, Guard] = {g.name: g for g in (ProtectedPaths(), Modes(), Secrets(), RunnerAware(), Size())}


def look(patch: Patch) -> tuple[GuardFinding, ...]:
    """What all guards found, refusals first, each with the level that the rules give it."""
    found = [levelled(guard, finding, patch.rules) for guard in GUARDS.values() for finding in guard.look(patch)]
    return tuple(sorted(dict.fromkeys(found), key=lambda f: f.level != "refuse"))


__all__ = ["GUARDS", "Guard", "Hunk", "Patch", "Rules", "look"]
