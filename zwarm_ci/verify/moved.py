"""Where a patch puts the tests that a task is about: their ids on the tree to be delivered."""

from __future__ import annotations

from collections.abc import Sequence

from zwarm_ci.verify.guards import Patch
from zwarm_ci.verify.reading.moves import pair
from zwarm_ci.verify.reading.table import reader


def moved(patch: Patch, targets: Sequence[str]) -> dict[str, str]:
    """Old id -> new id, of the targets whose test stands in another place in the patched tree; the rest stay where they are.

    What the test holds there is the matter of a guard.
    """
    files = {t.partition("::")[0] for t in targets}
    if not any(c.path in files for c in patch.changes):
        return {}
    before, after = {}, {}
    for change in patch.changes:
        if read := reader(change.path):
            if change.old_mode != "000000":
                before[change.path] = read(change.path, patch.old(change.path))
            if change.new_mode != "000000":
                after[change.path] = read(change.path, patch.new(change.path))
    places = {f"{p.old.path}::{p.old.case.name}": f"{p.new.path}::{p.new.case.name}" for p in pair(before, after).pairs}
    found = {}
    for target in targets:
        plain, bracket, parameters = target.partition("[")
        now = places.get(plain, plain) + bracket + parameters
        if now != target:
            found[target] = now
    return found
