"""First parents: the last commit whose source was green, and the commit after which it was red."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zwarm_ci.private import PrivateRepository
from zwarm_ci.repair.lab import Answer

DEPTH = 40  # first parents looked at; further back a revert says little about today's code
_LOOKS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, DEPTH)
Ask = Callable[[str], Answer]


@dataclass(frozen=True, slots=True)
class Step:
    """The step from green to red: commits `green` and `red`, and how many steps of history lie between (1 = one commit)."""

    green: str
    red: str
    commits: int


def first_parents(repo: PrivateRepository, base: str, *, after: str = "") -> list[str]:
    """`base` and its first parents, newest first, bounded; with `after` those it does not contain, and the one below them.

    Ends at the root, or where a shallow clone ends.
    """
    limit = [f"--max-count={DEPTH + 1}"] if not after else []
    chain = repo.git.text("rev-list", "--first-parent", *limit, base, *([f"^{after}"] if after else [])).split()
    if after and chain:
        chain += repo.git.ask("rev-parse", "--verify", "--quiet", f"{chain[-1]}^1").split()
    return chain


def last_green(chain: Sequence[str], ask: Ask, *, known: bool = False) -> int | None:
    """The position in `chain` of a green commit; position 0 is red.

    Looks ever further back, then between the last red one and the first that said nothing;
    with `known` the oldest is the one named, and no other is asked.
    """
    if known:
        return len(chain) - 1 if ask(chain[-1]) is Answer.GREEN else None
    red, doubtful = 0, 0
    for look in (*(n for n in _LOOKS if n < len(chain) - 1), len(chain) - 1):
        if look == 0:
            return None
        answer = ask(chain[look])
        if answer is Answer.GREEN:
            return look
        if answer is Answer.UNRESOLVED:
            doubtful = doubtful or look
        elif not doubtful:
            red = look
    return _between(chain, red, doubtful, ask) if doubtful else None


def _between(chain: Sequence[str], red: int, unresolved: int, ask: Ask) -> int | None:
    """A green position between a red one and an older one where the question makes no sense yet (the code was not there)."""
    while unresolved - red > 1:
        middle = (red + unresolved) // 2
        answer = ask(chain[middle])
        if answer is Answer.GREEN:
            return middle
        if answer is Answer.RED:
            red = middle
        else:
            unresolved = middle
    return None


def turning_point(chain: Sequence[str], green: int, ask: Ask) -> Step:
    """Binary search between red position 0 and position `green`; a commit that says nothing gives way to its neighbours."""
    red = 0
    while green - red > 1:
        middle = _nearest_resolved(chain, red, green, ask)
        if middle is None:
            break
        if ask(chain[middle]) is Answer.GREEN:
            green = middle
        else:
            red = middle
    return Step(chain[green], chain[red], green - red)


def _nearest_resolved(chain: Sequence[str], red: int, green: int, ask: Ask) -> int | None:
    middle = (red + green) // 2
    inside = sorted(range(red + 1, green), key=lambda n: (abs(n - middle), n))
    return next((n for n in inside if ask(chain[n]) is not Answer.UNRESOLVED), None)
