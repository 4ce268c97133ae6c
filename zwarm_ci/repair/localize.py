"""Which lines are suspicious: those that failing tests run and passing ones do not (Ochiai), import-time lines included."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zwarm_ci.task import Place


@dataclass(slots=True)
class Spectrum:
    """What a tracing run said, event by event (`hear`). Paths are relative to the tree's top."""

    targets: tuple[str, ...]
    imported: dict[str, list[int]] = field(default_factory=dict)
    failing: list[Mapping[str, Sequence[int]]] = field(default_factory=list)
    passing: dict[str, Mapping[str, Sequence[int]]] = field(default_factory=dict)
    runner_files: frozenset[str] = frozenset()
    cpu: float = 0.0
    hung: bool = False
    ended: bool = False

    def hear(self, event: Mapping[str, Any]) -> None:
        """Take one event of the traced process."""
        match event.get("type"):
            case "import":
                self.imported = dict(event["lines"])
            case "runner":
                self.runner_files = frozenset(event["files"])
            case "baseline":
                self.cpu = float(event["cpu"])
            case "end":
                self.ended = True
            case "test":
                self._test(event)

    def _test(self, event: Mapping[str, Any]) -> None:
        if event["id"] in self.targets:
            self.hung = self.hung or event["hung"]
            if not event["passed"]:
                self.failing.append(event["lines"])
        elif event["passed"]:
            self.passing[event["id"]] = event["lines"]

    def covered(self) -> dict[str, set[int]]:
        """Every line that a failing test ran, or that ran while it was imported."""
        lines: dict[str, set[int]] = {}
        for part in (self.imported, *self.failing):
            for path, numbers in part.items():
                lines.setdefault(path, set()).update(numbers)
        return lines

    def ranked(self) -> list[tuple[float, Place]]:
        """(score, line), most suspicious first; Ochiai: failed / sqrt(all failed * (failed + passed)).

        Source: Abreu, Zoeteweij, van Gemund, "An Evaluation of Similarity Coefficients for Software Fault Localization", 2006.
        A line that ran at import counts as run by every test, failing and passing.
        """
        imported = _places(self.imported)
        failed, passed = _counts(self.failing), _counts(self.passing.values())
        all_failed, all_passed = max(1, len(self.failing)), len(self.passing)
        scores = []
        for place in imported | failed.keys():
            bad = all_failed if place in imported and place not in failed else failed.get(place, 0)
            good = all_passed if place in imported and place not in failed else passed.get(place, 0)
            scores.append((bad / math.sqrt(all_failed * (bad + good)), place))
        return sorted(scores, key=lambda s: (-s[0], s[1].path, s[1].line))


def _places(lines: Mapping[str, Iterable[int]]) -> set[Place]:
    return {Place(path, number) for path, numbers in lines.items() for number in numbers}


def _counts(tests: Iterable[Mapping[str, Iterable[int]]]) -> dict[Place, int]:
    counts: dict[Place, int] = {}
    for lines in tests:
        for place in _places(lines):
            counts[place] = counts.get(place, 0) + 1
    return counts
