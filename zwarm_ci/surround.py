"""What surrounds checks in worktrees: a slot with ports of its own, services that were started for it, the network off.

One `Surroundings` a run. What it started is gone when it is closed.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from zwarm_ci import confine
from zwarm_ci.checks.base import Around
from zwarm_ci.checks.cargo import share_target
from zwarm_ci.environment import Environment, child_environment
from zwarm_ci.services import Services, Slot, Slots, fill, why_exclusive
from zwarm_ci.task import Check

EXCLUSIVE = (
    "exclusive.lock"  # in the run's shared folder: who holds it runs an exclusive check, whichever process it is
)
_ENGINE = re.compile(r"\b(docker|podman|nerdctl|docker-compose|compose|systemctl|service)\b")


@dataclass(slots=True)
class _Place:
    """What one worktree has: its slot, and by check its room and services. `trouble` by check: why its services are not up."""

    slot: Slot
    rooms: dict[str, confine.Room] = field(default_factory=dict)
    services: dict[str, Services] = field(default_factory=dict)
    trouble: dict[str, str] = field(default_factory=dict)
    starting: threading.Lock = field(default_factory=threading.Lock)


class Surroundings:
    """Slots, services and network of one run's worktrees.

    Args:
        run: the run's id, from which ports and project names come.
        means: how the network is kept off; `none` = it is on.
    """

    def __init__(self, run: str, means: confine.Means) -> None:
        self.means = means
        self._slots = Slots(run)
        self._places: dict[Path, _Place] = {}
        self._allowed: dict[str, str] = {}
        self._lock = threading.Lock()
        self.notes: list[str] = []

    def offline(self, check: Check) -> bool:
        """Whether the check runs without the network."""
        return not self._why_on(check)

    def network(self, check: Check) -> str:
        """The network of a check, for the evidence: `off (means)`, or `on: why`."""
        why = self._why_on(check)
        return f"on: {why}" if why else f"off ({self.means.name})"

    def allow_network(self, check: Check, why: str) -> None:
        """From now on the check has the network."""
        self._allowed[check.name] = why

    @property
    def allowed(self) -> dict[str, str]:
        """Names of checks that have the network by `allow_network`, and why."""
        return dict(self._allowed)

    def deny_network(self, check: Check) -> None:
        """Take `allow_network` back."""
        self._allowed.pop(check.name, None)

    def _why_on(self, check: Check) -> str:
        if check.network:
            return "network = true"
        if check.name in self._allowed:
            return self._allowed[check.name]
        if self.means.name == "none":
            return f"nothing here can switch it off ({self.means.why})"
        if check.services_up and _ENGINE.search(check.services_up):
            return "its services run outside"
        return ""

    def around(
        self, check: Check, tree: Path, env: Environment, place: Path, variables: Mapping[str, str] | None = None
    ) -> tuple[Around, str]:
        """What the check is run with in `tree`, its services up; or why they are not up, in the words of a result's trouble.

        Args:
            check: what is to run.
            tree: the worktree.
            env: its environment.
            place: folder for logs.
            variables: more variables for this run.
        """
        with self._lock:
            own = self._places.get(tree)
            if own is None:
                own = self._places[tree] = _Place(self._slots.take())
        prefix = confine.offline(self.means) if self.offline(check) else ()
        variables_of_slot = own.slot.variables()
        if check.kind == "cargo":  # other people's crates are built once for a worktree, whatever tree stands in it
            variables_of_slot |= share_target(tree / check.workdir, tree.parent / "cargo")
        around = Around(prefix, variables_of_slot, lambda command: fill(command, own.slot))
        trouble = ""
        if check.services_up:
            with own.starting:
                if check.name not in own.services:
                    own.trouble[check.name] = self._start(own, check, tree, env, place, around)
            around, trouble = replace(around, prefix=own.rooms[check.name].prefix), own.trouble[check.name]
        return replace(around, variables={**around.variables, **(variables or {})}), trouble

    def _start(self, own: _Place, check: Check, tree: Path, env: Environment, place: Path, around: Around) -> str:
        means = self.means if self.offline(check) else confine.Means("none", "")
        room = own.rooms[check.name] = confine.Room.open(means)
        services = own.services[check.name] = Services(
            check, tree, env=child_environment(env, tree, check, tmp=place / "tmp"), log=place / "services.log",
            around=replace(around, prefix=room.prefix),
        )  # fmt: skip
        return services.up()

    def leave(self, tree: Path) -> None:
        """End the services of a worktree and give its slot back."""
        with self._lock:
            own = self._places.pop(tree, None)
        if own is None:
            return
        for services in own.services.values():
            if said := services.down():
                self.notes.append(said)
        for room in own.rooms.values():
            room.close()
        self._slots.give_back(own.slot)

    def close(self) -> None:
        """End everything."""
        for tree in list(self._places):
            self.leave(tree)
        self._slots.close()


def serialised(checks: Sequence[Check], tree: Path) -> tuple[tuple[Check, ...], tuple[str, ...]]:
    """The checks, those with a fixed port or container name made exclusive, and a note for each of these."""
    made, notes = [], []
    for check in checks:
        why = "" if check.exclusive else why_exclusive(check, tree)
        made.append(replace(check, exclusive=True) if why else check)
        notes += [f"{check.name}: never beside another check, since {why}"] if why else []
    return tuple(made), tuple(notes)
