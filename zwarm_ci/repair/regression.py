"""Regressions: the guilty commit by binary search, then the smallest set of its hunks whose reverse makes the targets green.

Asked of the base's tests on older sources; an answer that does not hold when asked again ends the search.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from zwarm_ci.repair.bonds import Bonds
from zwarm_ci.repair.history import Step, first_parents, last_green, turning_point
from zwarm_ci.repair.hunks import Found, Hunk, hunks_of, reverse
from zwarm_ci.repair.lab import Answer, Lab, Remedy
from zwarm_ci.repair.quickxplain import minimal
from zwarm_ci.scrub import one_line
from zwarm_ci.task import Origin, Place

_MOST_HUNKS = 400  # one commit of more hunks is a rewrite, of which a part cannot be undone sensibly
_FEW = 4  # a set of up to so many hunks is confirmed hunk by hunk


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The hunks to be reversed, out of `total`, and the tree that this makes."""

    hunks: tuple[Hunk, ...]
    total: int
    tree: str


class _ContradictionError(Exception):
    """An answer changed when the same question was asked again: nothing can be built on it."""


def undo(lab: Lab, *, last: str = "", allowed: bool, covered: Iterable[Place] = ()) -> Remedy:
    """A tree with the guilty hunks undone; only named where not `allowed`; or why it is no regression.

    Args:
        lab: the bench.
        last: the last green commit, where known.
        allowed: whether a revert may be offered.
        covered: lines that the failing targets run, the most telling first.
    """
    if (red := lab.baseline()).trouble:
        return Remedy(f"not a code regression: {red.trouble}")
    if lab.answer(lab.base_tree, why="the failing ids on the base") is not Answer.RED:
        return Remedy("not a code regression: the ids do not fail alike when they run alone")
    try:
        step = _find_step(lab, last)
        if isinstance(step, str):
            return Remedy(f"not a code regression: {step}")
        return _undo_step(lab, step, allowed=allowed, covered=tuple(covered))
    except _ContradictionError as error:
        return Remedy(f"no revert: {error}")


def _find_step(lab: Lab, last: str) -> Step | str:
    """From which commit to which the targets turned red, asked twice at both ends; or why nobody knows."""
    chain = first_parents(lab.repo, lab.subject.base, after=last)
    if len(chain) < 2:
        return "there is no earlier commit"

    def ask(commit: str) -> Answer:
        return lab.answer_of_source(_as_of(lab, commit), why=f"the failing ids on the source of {commit[:10]}")

    position = last_green(chain, ask, known=bool(last))
    if position is None:
        if last:
            return f"the source of {last[:10]} does not make these ids green with today's tests"
        return f"none of the earlier sources tried, back to {chain[-1][:10]}, makes these ids green with today's tests"
    _still(lab, _as_of(lab, chain[position]), Answer.GREEN, "the last green source")
    step = turning_point(chain, position, ask)
    if step.green != chain[position]:
        _still(lab, _as_of(lab, step.green), Answer.GREEN, f"the source of {step.green[:10]}")
    if step.red != chain[0]:
        _still(lab, _as_of(lab, step.red), Answer.RED, f"the source of {step.red[:10]}")
    return step


def _as_of(lab: Lab, commit: str) -> str:
    """The source of `commit` with the base's tests and settings."""
    return lab.repo.overlay(commit, lab.subject.base, lab.subject.untouchable)


def _still(lab: Lab, tree: str, answer: Answer, what: str) -> None:
    """Ask again in a fresh process."""
    if lab.answer(tree, why=f"{what}, confirmed", again=True) is not answer:
        raise _ContradictionError(f"{what} answered otherwise when asked again")


def _undo_step(lab: Lab, step: Step, *, allowed: bool, covered: Sequence[Place]) -> Remedy:
    """The smallest reverse of the guilty step; where later commits build on it, of all that came since."""
    reasons: list[str] = []
    for newest in dict.fromkeys((step.red, lab.subject.base)):
        found = hunks_of(lab.repo, step.green, newest, lab.subject.base, lab.subject.untouchable)
        reasons += found.left_out
        if not found.hunks or len(found.hunks) > _MOST_HUNKS:
            reasons.append(f"{len(found.hunks)} hunks of {step.red[:10]} can be undone")
            continue
        for chosen in _choices(lab, found, covered):
            if allowed and chosen.tree in lab.subject.refused:
                reasons.append(f"undoing {_places(chosen.hunks)} was refused before")
            elif lost := _lost(lab, chosen, allowed=allowed):
                reasons.append(f"undoing {_places(chosen.hunks)} breaks {one_line(lost[0], 120)}")
            else:
                return _remedy(lab, step, chosen, found, allowed=allowed)
        reasons.append(f"undoing {step.red[:10]} alone does not make them green" if newest == step.red else "")
    return Remedy(f"no revert of {step.red[:10]}: {'; '.join(filter(None, reasons[:4]))}")


def _choices(lab: Lab, found: Found, covered: Sequence[Place]) -> Iterable[_Chosen]:
    """The smallest set that works, confirmed; then, should it be refused, all hunks."""
    hunks = sorted(found.hunks, key=lambda h: _distance(h, covered))
    bonds = Bonds(hunks)
    bonds.tie_what_does_not_parse(lambda path: lab.repo.read(lab.subject.base, path))
    everything = range(len(hunks))

    def tree(chosen: Iterable[int]) -> str:
        return reverse(lab.repo, lab.subject.base, [hunks[n] for n in sorted(bonds.closed(chosen))])

    def works(chosen: Sequence[int]) -> bool:
        why = f"{len(chosen)} of {len(hunks)} hunks undone"
        return bool(chosen) and lab.answer(tree(chosen), why=why) is Answer.GREEN

    if not works(everything):
        return
    smallest = minimal(everything, works)
    _confirm(lab, smallest, tree)
    for chosen in dict.fromkeys((bonds.closed(smallest), frozenset(everything))):
        yield _Chosen(tuple(hunks[n] for n in sorted(chosen)), len(hunks), tree(chosen))


def _confirm(lab: Lab, smallest: Sequence[int], tree: Callable[[Iterable[int]], str]) -> None:
    """The set is green once more, and red once more without any one of its hunks."""
    _still(lab, tree(smallest), Answer.GREEN, "the final set")
    if not 1 < len(smallest) <= _FEW:
        return
    for number in smallest:
        rest = tree([n for n in smallest if n != number])
        if lab.answer(rest, why="the final set without one hunk, confirmed", again=True) is Answer.GREEN:
            raise _ContradictionError("a hunk that was needed was not when asked again")


def _distance(hunk: Hunk, covered: Sequence[Place]) -> int:
    """0 on a line that the failing targets run, 1 within three lines, 2 in a file that they run, 3 elsewhere."""
    near = 3
    for place in covered:
        if place.path == hunk.path:
            away = max(hunk.span.start + 1 - place.line, place.line - max(hunk.span.end, hunk.span.start + 1), 0)
            near = min(near, 0 if away == 0 else 1 if away <= 3 else 2)
    return near


def _lost(lab: Lab, chosen: _Chosen, *, allowed: bool) -> list[str]:
    """What passes on the base and no more on the result; of no interest where nothing is offered."""
    return lab.newly_red(chosen.tree) if allowed else []


def _remedy(lab: Lab, step: Step, chosen: _Chosen, found: Found, *, allowed: bool) -> Remedy:
    author, subject = lab.repo.git.text("show", "-s", "--format=%an%x00%s", step.red).split("\0", 1)
    origin = Origin(
        step.red, one_line(author), one_line(subject), tuple(h.place for h in sorted(chosen.hunks, key=_order))
    )
    whole = len(chosen.hunks) == chosen.total and not found.left_out
    what = "whole commit" if whole else _places(chosen.hunks)
    among = (
        "" if step.commits == 1 else f" (one of {step.commits} commits up to it; those between cannot be told apart)"
    )
    if allowed:
        return Remedy(f"revert of {step.red[:10]} {what}{among}", chosen.tree, "revert", origin)
    n = len(chosen.hunks)
    named = f"{'this' if n == 1 else 'these'} {n} of your {chosen.total} hunks cause{'s' if n == 1 else ''} this: {_places(chosen.hunks)}"
    return Remedy(f"{named} ({step.red[:10]} {origin.subject!r}{among})", origin=origin, attributed=True)


def _order(hunk: Hunk) -> tuple[str, int]:
    return hunk.path, hunk.span.start


def _places(hunks: Iterable[Hunk]) -> str:
    names = [hunk.place for hunk in sorted(hunks, key=_order)]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
