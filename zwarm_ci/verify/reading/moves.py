"""Which test of the patched tree is which of the base: tests move between files, classes and names and stay what they are."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from zwarm_ci.verify.reading.base import TestCase, TestFile

_COLLECTED = re.compile(
    r"^(test.*|.*_test|conftest)\.py$|^.*_test\.go$|^.*[.\-_](test|spec|cy)\.[cm]?[jt]sx?$|^(test|spec)s?\.[cm]?[jt]sx?$|^.*\.rs$"
)
_PASSED_OVER = re.compile(
    r"^\.|^(build|dist|node_modules|venv|env|_darcs|vendor|attic|disabled|.*\.egg)$", re.IGNORECASE
)
_TRIVIAL = (
    60  # characters of a shape without assertions below which two tests are equal by chance, such as `def _(): pass`
)


@dataclass(frozen=True, slots=True)
class Place:
    """A test and where it stands."""

    path: str
    case: TestCase

    @property
    def short(self) -> str:
        """The name without classes, suites and number."""
        return short(self.case.name)


@dataclass(frozen=True, slots=True)
class Pair:
    """A test before and after. Two names in one place mean that it was renamed."""

    old: Place
    new: Place

    @property
    def renamed(self) -> bool:
        """Whether its own name is another one."""
        return self.old.short != self.new.short

    @property
    def moved(self) -> bool:
        """Whether it stands in another file."""
        return self.old.path != self.new.path


@dataclass(frozen=True, slots=True)
class Pairing:
    """All tests of the changed files: those on both sides, those of the base alone, those of the patch alone."""

    pairs: tuple[Pair, ...]
    deleted: tuple[Place, ...]
    added: tuple[Place, ...]


def short(name: str) -> str:
    """The last part of a test's name, without the number of a second one of that name."""
    return re.sub(r"#\d+$", "", name).rpartition("::")[2]


def pair(before: Mapping[str, TestFile], after: Mapping[str, TestFile]) -> Pairing:
    """Pair by name in the same file; else by shape; else by name with a shape that differs in imports alone, or in a new place."""
    old = [Place(path, case) for path, file in before.items() for case in file.cases]
    new = [Place(path, case) for path, file in after.items() for case in file.cases]
    pairs: list[Pair] = []
    steps: tuple[Callable[[Place], Hashable | None], ...] = (
        lambda p: (p.path, p.case.name),
        lambda p: (p.path, p.short, p.case.shape, p.case.rows),
        lambda p: (p.short, p.case.shape, p.case.rows),
        lambda p: (p.path, _weighty(p), p.case.rows) if _weighty(p) else None,
        lambda p: (_weighty(p), p.case.rows) if _weighty(p) else None,
        lambda p: (p.short, _without_imports(p.case.shape)),
        lambda p: (p.path, p.short),
        lambda p: p.short,
    )
    for key in steps:
        found, old, new = _match(old, new, key)
        pairs += found
    return Pairing(tuple(pairs), tuple(old), tuple(new))


def _weighty(place: Place) -> str:
    return place.case.shape if place.case.assertions or len(place.case.shape) >= _TRIVIAL else ""


def _without_imports(shape: str) -> str:
    return "\n".join(line for line in shape.splitlines() if not re.match(r"\s*(import|from)\s", line))


def _match(
    old: Iterable[Place], new: Iterable[Place], key: Callable[[Place], Hashable | None]
) -> tuple[list[Pair], list[Place], list[Place]]:
    """Pairs of equal keys, each test once, in order; what is left of both sides."""
    waiting: dict[Hashable, list[Place]] = defaultdict(list)
    left: list[Place] = []
    pairs: list[Pair] = []
    for place in new:
        if (said := key(place)) is not None:
            waiting[said].append(place)
    taken: set[int] = set()
    for place in old:
        said = key(place)
        candidates = waiting.get(said, []) if said is not None else []
        partner = next((c for c in candidates if still_collected(place.path, c.path)), None)
        if partner is None:
            left.append(place)
            continue
        candidates.remove(partner)
        taken.add(id(partner))
        pairs.append(Pair(place, partner))
    return pairs, left, [p for p in new if id(p) not in taken]


def still_collected(old: str, new: str) -> bool:
    """Whether a runner that finds tests at `old` finds them at `new`, by the runners' conventions."""
    if old == new:
        return True
    before, after = PurePosixPath(old), PurePosixPath(new)
    named = bool(_COLLECTED.match(after.name)) or not _COLLECTED.match(before.name)
    hidden = [p for p in after.parts[:-1] if _PASSED_OVER.match(p) and p not in before.parts]
    return named and not hidden
