"""All watchers at once, after every step: asked in parallel, heard in the order of severity and priority, a nudge not repeated at every step.

What was said is kept in a file of the run, so that a resumed run does not say it all again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from zwarm_ci import journal
from zwarm_ci.errors import InterruptedRunError
from zwarm_ci.orchestrator.watchers.base import ACTIONS, Action, Opinion, Scene, Watcher
from zwarm_ci.scrub import one_line, redact

_COOLDOWN = 10  # steps in which a nudge of the same key is not repeated
_PATIENCE = 20.0  # seconds that one watcher may take for one step; a model's opinion takes some
_LONGEST = 600  # characters of a message


@dataclass(frozen=True, slots=True)
class Ruling:
    """What becomes of the run after a step. `action` None = it goes on.

    `by`, `reason`: the watcher that decided, and its words. `notes`: lines for the tool's answer, the gravest first.
    """

    action: Action | None = None
    by: str = ""
    reason: str = ""
    notes: tuple[str, ...] = ()


class Panel:
    """The watchers of a run, and what they have said. `record`: the file in which that is kept, sealed with `key`."""

    def __init__(self, watchers: Sequence[Watcher], record: Path, key: bytes) -> None:
        self._watchers = tuple(watchers)
        self._journal = journal.Journal(record, key=key)
        self._said: dict[tuple[str, str], int] = {}
        self._hung: set[str] = set()
        for entry in journal.sealed(record, key):
            self._said.update({(told["watcher"], told["key"]): entry["step"] for told in entry["said"]})

    def look(self, scene: Scene) -> Ruling:
        """Ask all of them about a scene, and rule.

        Raises:
            InterruptedRunError: the run was stopped meanwhile.
        """
        heard = [(watcher.name, opinion) for watcher, opinion in self._asked(scene)]
        fresh = [(name, o) for name, o in heard if not self._stale(name, o, scene.last.number)]
        fresh.sort(key=lambda pair: (ACTIONS.index(pair[1].action), -pair[1].priority))
        if not fresh:
            return Ruling()
        for name, opinion in fresh:
            self._said[name, opinion.about] = scene.last.number
        told = [
            {"watcher": n, "action": o.action, "key": redact(o.about), "message": _shown(o.message)} for n, o in fresh
        ]
        self._journal.write("watchers", step=scene.last.number, said=told)
        by, first = fresh[0]
        action = None if first.action == "nudge" else first.action
        notes = tuple(f"[WATCHER: {name}] {_shown(o.message)}" for name, o in fresh)
        return Ruling(action, by if action else "", _shown(first.message) if action else "", notes)

    def _stale(self, name: str, opinion: Opinion, step: int) -> bool:
        """Whether a nudge was given not long ago."""
        before = self._said.get((name, opinion.about))
        if opinion.action != "nudge" or before is None:
            return False
        return opinion.once or step - before < _COOLDOWN

    def _asked(self, scene: Scene) -> Iterator[tuple[Watcher, Opinion]]:
        asked = [_Asked(watcher, scene) for watcher in self._watchers if watcher.name not in self._hung]
        for one in asked:
            one.thread.start()
        for one in asked:
            one.thread.join(_PATIENCE)
            if one.thread.is_alive():
                self._hung.add(one.watcher.name)
                yield one.watcher, _failed(one.watcher, f"it took more than {_PATIENCE:g} s, and is not asked any more")
            elif isinstance(one.error, InterruptedRunError):
                raise one.error
            elif one.error is not None:
                yield one.watcher, _failed(one.watcher, f"{type(one.error).__name__}: {one.error}")
            else:
                yield from ((one.watcher, opinion) for opinion in one.opinions)


class _Asked:
    """One watcher at work on one scene. A daemon's thread: one that hangs does not keep the run from ending."""

    def __init__(self, watcher: Watcher, scene: Scene) -> None:
        self.watcher, self._scene = watcher, scene
        self.opinions: tuple[Opinion, ...] = ()
        self.error: Exception | None = None
        self.thread = threading.Thread(target=self._look, daemon=True, name=f"watcher-{watcher.name}")

    def _look(self) -> None:
        try:
            self.opinions = tuple(self.watcher.look(self._scene))
        except Exception as error:  # noqa: BLE001 - anybody's code: whatever it raises is said, and closes where it guards
            self.error = error


def _failed(watcher: Watcher, why: str) -> Opinion:
    """What follows from a watcher that gave no opinion."""
    if watcher.guards:
        return Opinion("pause", f"the watcher failed ({why}), so what it guards is not known to hold", priority=50)
    return Opinion("nudge", f"the watcher failed ({why}); the others go on", "failed", once=True)


def _shown(message: str) -> str:
    return one_line(redact(message), _LONGEST)
