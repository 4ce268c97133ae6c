"""What every watcher owes a run; a new watcher's test module calls `check` and is done."""

from __future__ import annotations

import copy

from zwarm_ci.config import Settings
from zwarm_ci.orchestrator.watchers.base import ACTIONS, FileChange, Make, Meter, Outfit, Scene, Step, Worker

_HOSTILE = ("", "\x00\x1b[2J", "'; rm -rf / #", "((((", "\u202e", "a" * 100_000, '{"status": "ok"}', "\ud800")


def check(name: str, make: Make, settings: Settings, answer: str = '{"status": "ok"}') -> None:
    """Hold a watcher against scenes of all sorts: it says what may be said, the same of the same scene, and changes nothing."""
    watcher = make(Outfit(settings, lambda _: answer))
    assert watcher.name == name
    assert isinstance(watcher.guards, bool)
    for scene in scenes():
        before = copy.deepcopy(scene)
        said = list(watcher.look(scene))
        assert list(watcher.look(scene)) == said, "it remembers something, or rolls dice"
        assert scene == before
        for opinion in said:
            assert opinion.action in ACTIONS
            assert opinion.message.strip()
            assert opinion.about
            assert watcher.guards or opinion.action == "nudge", (
                "it stops runs, so it guards: its failure must be no way round it"
            )


def scenes() -> list[Scene]:
    """Scenes that a run may come to, hostile ones among them."""
    found = [Scene("", (Step(1, "exit", {}, success=False),))]
    for number, text in enumerate(_HOSTILE, 1):
        steps = tuple(
            Step(
                number * 10 + n,
                tool,
                {"command": text, "task": text, "seconds": text, "x": [text, None]},
                n % 2 == 0,
                {"said": text},
            )
            for n, tool in enumerate(("bash", "delegate", "wait", "bash", text, "bash", "bash"))
        )
        files = (FileChange(f"{text}.py", (text, "x"), (text,)), FileChange("tests/test_a.py", (), ("assert 1",)))
        workers = (
            Worker("a" * 12, "completed", 1, text, files=files),
            Worker("b" * 12, "running", 2, text),
            Worker("c" * 12, "failed", 3, text, verdict="tampered", closed=True),
        )
        meters = (
            Meter("dollars", 11, 10, "raise budget.usd"),
            Meter("sessions", 9, 10, "raise it", hard=False),
            Meter("tokens", 5, 0, ""),
        )
        found.append(Scene(text, steps, workers, meters))
    return found
