"""Template repair: the first single edit on a suspicious line that makes the targets green and harms nothing known.

It is always a plausible edit, never a proven one: where two that pass behave differently, neither is offered.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby, islice

from zwarm_ci.repair import warm
from zwarm_ci.repair.hunks import replaced
from zwarm_ci.repair.lab import Answer, Lab, Remedy
from zwarm_ci.repair.localize import Spectrum
from zwarm_ci.repair.source import Edit, Source, read_source
from zwarm_ci.repair.templates import LEVELS, edits
from zwarm_ci.scrub import decode, one_line
from zwarm_ci.task import Place

SECONDS = 25.0
CANDIDATES = 3000
_TRACE_SHARE = 0.4  # of the time; the rest is for trying
_IMPORT_CPU = 2.0  # seconds more where all is imported anew
_SLOWER = 8.0  # times the baseline's CPU time before an edit counts as hanging
_LEAST_CPU = 0.5
_LEAST_CPU_HUNG = 0.2  # where the targets hang, so will most edits: each costs this much
_SHOWN = 40  # bytes of a line on either side of the edit
_ENOUGH = 5  # plausible edits; more say nothing new
_PROBE_SECONDS = 20.0
_AFTER_FIRST = 5.0  # seconds of search for edits that contradict the first


@dataclass(frozen=True, slots=True)
class _Patch:
    """An edit with the tree that it makes."""

    edit: Edit
    tree: str


@dataclass(slots=True)
class _Tried:
    """What became of edits: those that pass, those that only a new import would show, and how many were judged."""

    passing: list[Edit] = field(default_factory=list)
    reload: list[Edit] = field(default_factory=list)
    count: int = 0


@dataclass(frozen=True, slots=True)
class _Differ:
    """Two edits that disagree, and on what."""

    patches: tuple[_Patch, _Patch]
    text: str


def repair(lab: Lab, spectrum: Spectrum | None) -> Remedy:
    """A tree with one plausible edit, or why there is none."""
    if not warm.speaks(lab):
        return Remedy("it tries edits on pytest and unittest failures only")
    if spectrum is None:
        return Remedy("the failing tests could not be traced")
    sources = _sources(lab, spectrum)
    if not sources:
        return Remedy("no line outside tests and settings is run by the failing tests")
    tries = list(islice(_candidates(spectrum, sources), CANDIDATES))
    passing, tried = _passing(lab, spectrum, tries)
    good = [_patched(lab, edit) for edit in passing]
    fresh = [p for p in good if p.tree not in lab.subject.refused]
    if good and not fresh:
        return Remedy("each edit that passes was refused before")
    if not good:
        cut = f" ({len(tries)} were thought of; the time was over)" if tried < len(tries) else ""
        return Remedy(f"none of {tried} single edits makes them pass{cut}")
    return _choose(lab, fresh)


def _sources(lab: Lab, spectrum: Spectrum) -> dict[str, Source]:
    """The files that may be edited: run by the failing tests, Python, not protected, not what the test runner itself runs on."""
    found = {}
    for path in sorted(spectrum.covered()):
        if not path.endswith(".py") or lab.subject.untouchable(path) or path in spectrum.runner_files:
            continue
        source = read_source(path, lab.repo.read(lab.subject.base, path) or b"")
        if source is not None:
            found[path] = source
    return found


def _candidates(spectrum: Spectrum, sources: dict[str, Source]) -> Iterator[Edit]:
    """Edits as they are asked for: the most suspicious lines first, among equals the likeliest templates."""
    ranked = [(score, place) for score, place in spectrum.ranked() if place.path in sources]
    for _, group in groupby(ranked, key=lambda s: round(s[0], 3)):
        places = [place for _, place in group]
        for level in LEVELS:
            for path, lines in _by_path(places):
                yield from edits(sources[path], lines, level)


def _by_path(places: Sequence[Place]) -> Iterator[tuple[str, list[int]]]:
    for path, group in groupby(places, key=lambda p: p.path):
        yield path, [place.line for place in group]


def _passing(lab: Lab, spectrum: Spectrum, tries: Sequence[Edit]) -> tuple[list[Edit], int]:
    """The edits with which the targets pass in a fork, and the tests of the same files that passed before still do; how many were tried."""
    until = time.monotonic() + min(SECONDS * (1 - _TRACE_SHARE), lab.left())
    cpu = max(_LEAST_CPU_HUNG if spectrum.hung else _LEAST_CPU, _SLOWER * spectrum.cpu)
    first, second = _Tried(), _Tried()
    bodies = [edit for edit in tries if edit.function is not None]
    if spectrum.failing and bodies:
        first = _tried(lab, "swaps", bodies, spectrum, cpu, until)
        tries = [edit for edit in tries if edit.function is None] + first.reload
    if not first.passing and tries and time.monotonic() < until:
        second = _tried(lab, "imports", tries, spectrum, cpu + _IMPORT_CPU, until)
    return first.passing + second.passing, first.count + second.count


def _tried(lab: Lab, mode: str, tries: Sequence[Edit], spectrum: Spectrum, cpu: float, until: float) -> _Tried:
    told = warm.events(
        lab, mode, until - time.monotonic(), edits=[asdict(e) for e in tries], passing=sorted(spectrum.passing), cpu=cpu, enough=_ENOUGH,
        after_first=_AFTER_FIRST,
    )  # fmt: skip
    result = _Tried()
    for event in told:
        if event["type"] == "tried":
            result.count += 1
            if event["passed"]:
                result.passing.append(tries[event["edit"]])
        elif event["type"] == "reload":
            result.reload.append(tries[event["edit"]])
    return result


def _patched(lab: Lab, edit: Edit) -> _Patch:
    content = edit.applied(lab.repo.read(lab.subject.base, edit.path) or b"")
    return _Patch(edit, replaced(lab.repo, lab.subject.base, edit.path, content))


def _choose(lab: Lab, good: Sequence[_Patch]) -> Remedy:
    """The smallest of the edits that hold in fresh processes, unless another that holds behaves otherwise."""
    left = sorted(good, key=lambda p: p.edit.end - p.edit.start + len(p.edit.text))
    while len(left) > 1 and (differ := _difference(lab, left)):
        fallen = [patch for patch in differ.patches if not _holds(lab, patch)]
        if not fallen:
            return Remedy(differ.text)
        left = [patch for patch in left if patch not in fallen]
    for patch in left:
        if not _holds(lab, patch):
            continue
        if fault := lab.newly_red(patch.tree):
            return Remedy(f"{_told(lab, patch)} breaks {one_line(fault[0], 120)}")
        others = f" (of {len(left)} that pass and behave alike where probed)" if len(left) > 1 else ""
        return Remedy(f"a plausible edit: {_told(lab, patch)}{others}", patch.tree, "template")
    return Remedy(f"{_told(lab, good[0])} passes in a warm process, but not in a fresh one")


def _holds(lab: Lab, patch: _Patch) -> bool:
    """Whether the targets are green with it in two fresh processes."""
    why = f"the edit of {patch.edit.path}:{patch.edit.line}"
    return all(lab.answer(patch.tree, why=why, again=again) is Answer.GREEN for again in (False, True))


def _difference(lab: Lab, left: Sequence[_Patch]) -> _Differ | None:
    """Two of the edits that give different answers to a call; None = no call that was probed tells them apart."""
    tests = [path for path in lab.repo.files(lab.subject.base) if lab.subject.untouchable(path)]
    for event in warm.events(lab, "probe", _PROBE_SECONDS, patches=[asdict(p.edit) for p in left], tests=tests):
        if event["type"] == "differ":
            one, two = (left[n] for n in event["patches"])
            a, b = (one_line(str(answer), 60) for answer in event["answers"])
            call = one_line(event["call"], 120)
            text = f"two plausible edits disagree: {_told(lab, one)}, and {_told(lab, two)}; for {call} they give {a} and {b}"
            return _Differ((one, two), text)
    return None


def _told(lab: Lab, patch: _Patch) -> str:
    """The edit as a person reads it: the place, and the line before and after, cut to what is around the edit."""
    edit = patch.edit
    before = lab.repo.read(lab.subject.base, edit.path) or b""
    number = before.count(b"\n", 0, edit.start)
    from_ = max(before.rfind(b"\n", 0, edit.start) + 1, edit.start - _SHOWN)
    old, new = (
        _cut(text[from_ : end + _SHOWN])
        for text, end in ((before, edit.end), (edit.applied(before), edit.start + len(edit.text.encode())))
    )
    return f"{edit.path}:{number + 1} `{old}` → `{new}`"


def _cut(text: bytes) -> str:
    return one_line(decode(text.split(b"\n")[0]).strip(), 2 * _SHOWN)
