"""QuickXplain (Junker, AAAI 2004): one minimal set of items that still does it, items that come first preferred.

Needs O(k log(n/k) + k) questions for k of n items, where delta debugging may need k^2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def minimal(items: Sequence[T], works: Callable[[Sequence[T]], bool]) -> list[T]:
    """The items, in their own order, of a set that works and from which none can be taken away.

    `works(items)` must be true; `works` is asked with items in any order. It should be monotone (more items never harm).
    Where it is not, the set that comes back still works and still loses that with each single item, though smaller ones may exist.
    """
    order = {id(item): number for number, item in enumerate(items)}
    if works([]):
        return []
    if works(items[:1]):  # what is preferred most is mostly it, and then nothing else need be asked
        return list(items[:1])
    found = _explain([], changed=False, left=list(items), works=works)
    return sorted(_without_idle(found, works), key=lambda item: order[id(item)])


def _explain(given: list[T], *, changed: bool, left: list[T], works: Callable[[Sequence[T]], bool]) -> list[T]:
    """A minimal part of `left` that works together with `given`; `changed` = `given` grew since it was last asked about."""
    if changed and works(given):
        return []
    if len(left) == 1:
        return left
    first, second = left[: len(left) // 2], left[len(left) // 2 :]
    late = _explain(given + first, changed=True, left=second, works=works)
    early = _explain(given + late, changed=bool(late), left=first, works=works)
    return early + late


def _without_idle(found: list[T], works: Callable[[Sequence[T]], bool]) -> list[T]:
    """`found` less what a non-monotone `works` let in: every item left is needed."""
    position = 0
    while position < len(found) and len(found) > 1:
        rest = found[:position] + found[position + 1 :]
        if works(rest):
            found, position = rest, 0
        else:
            position += 1
    return found
