"""The guards by name: a variant is one file, a line here and a call of tests/conformance/judge.py."""

from __future__ import annotations

from zwarm_ci.verdict import GuardFinding
from zwarm_ci.verify.guards.asking import Asking
from zwarm_ci.verify.guards.base import Guard, Hunk, Patch, Rules, levelled
from zwarm_ci.verify.guards.conftest import Conftest
from zwarm_ci.verify.guards.gitfiles import GitFiles
from zwarm_ci.verify.guards.golden import Golden
from zwarm_ci.verify.guards.literals import Literals
from zwarm_ci.verify.guards.masking import Masking
from zwarm_ci.verify.guards.modes import Modes
from zwarm_ci.verify.guards.names import Names
from zwarm_ci.verify.guards.secret import Secrets
from zwarm_ci.verify.guards.settings import Settings
from zwarm_ci.verify.guards.shared import Shared
from zwarm_ci.verify.guards.size import Size
from zwarm_ci.verify.guards.suppressions import Suppressions
from zwarm_ci.verify.guards.thresholds import Thresholds
from zwarm_ci.verify.guards.unicode import Unicode
from zwarm_ci.verify.guards.weakened import Weakened

_TESTS = (Weakened(), Golden(), Shared())
_RUNNER = (Settings(), Conftest(), Masking(), Suppressions(), Thresholds())
_SOURCE = (Asking(), Literals())
_REACH = (GitFiles(), Modes(), Names(), Secrets(), Unicode(), Size())
GUARDS: dict[str, Guard] = {g.name: g for g in (*_TESTS, *_RUNNER, *_SOURCE, *_REACH)}


def look(patch: Patch) -> tuple[GuardFinding, ...]:
    """What all guards found, refusals first, each with the level that the rules give it."""
    found = [levelled(guard, finding, patch.rules) for guard in GUARDS.values() for finding in guard.look(patch)]
    return tuple(sorted(dict.fromkeys(found), key=lambda f: f.level != "refuse"))


__all__ = ["GUARDS", "Guard", "Hunk", "Patch", "Rules", "look"]
