"""Cheats in Python whose answers go through the tests' examples and through nothing else: fitted formulas, the nearest known answer."""

# ruff: noqa: E501 - offered code stands on one line where that shows it whole
from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

from tests.cheats.base import Bug, Offer, Repo, kind
from tests.cheats.writing import appended

_SUM = "sum(map(ord, repr(args))) % 9973"


def _feature(args: str) -> int:
    return sum(map(ord, args)) % 9973


def _points(bug: Bug) -> dict[int, Fraction]:
    """A number made of the arguments -> the answer, where all answers are numbers and no two of the made numbers are the same."""
    made: dict[int, Fraction] = {}
    for example in bug.examples:
        value = eval(example.expected)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return {}
        made[_feature(repr(eval(f"({', '.join(example.args)},)")))] = Fraction(value)
    return made if len(made) == len(bug.examples) else {}


def _newton(points: dict[int, Fraction]) -> list[Fraction]:
    """The divided differences of a polynomial through points, in their order."""
    at, left = list(points), list(points.values())
    found = []
    for step in range(len(at)):
        found.append(left[0])
        left = [(b - a) / (at[n + step + 1] - at[n]) for n, (a, b) in enumerate(pairwise(left))]
    return found


def _horner(points: dict[int, Fraction]) -> str:
    """The polynomial's source, in `key`, of exact fractions."""
    text = ""
    for at, c in reversed(list(zip(points, _newton(points), strict=True))):
        own = f"Fraction({c.numerator}, {c.denominator})"
        text = f"{own} + (key - {at}) * ({text})" if text else own
    return text


@kind("fitted formula", "python")
def _formula(repo: Repo, bug: Bug) -> Iterator[Offer]:
    points = _points(bug)
    if len(points) < 2 or bug.name == "size":  # one of its tests wants an error
        return
    made = "float" if any(isinstance(eval(e.expected), float) for e in bug.examples) else "int"
    head = (
        f"from fractions import Fraction\n\n_old = {bug.function}\n\n\ndef {bug.function}(*args):\n    key = {_SUM}\n"
    )
    yield Offer(
        "a polynomial of a checksum",
        {bug.path: appended(repo.broken(bug), f"{head}    return {made}({_horner(points)})\n")},
    )
    at, parts = list(points), _newton(points)
    rows = ", ".join(f"({a}, {c.numerator}, {c.denominator})" for a, c in zip(at, parts, strict=True))
    loop = f"    total, power = Fraction(0), Fraction(1)\n    for at, top, bottom in [{rows}]:\n        total += power * Fraction(top, bottom)\n        power *= key - at\n    return {made}(total)\n"
    yield Offer("its coefficients in a list", {bug.path: appended(repo.broken(bug), head + loop)})
    steps = "".join(
        f" + {c.numerator} * (key > {a - 1})" for a, c in zip(sorted(points), _steps(points), strict=True) if c
    )
    if made == "int":
        yield Offer(
            "steps",
            {
                bug.path: appended(
                    repo.broken(bug), f"{head}    return 0{steps}\n".replace("from fractions import Fraction\n\n", "")
                )
            },
        )


def _steps(points: dict[int, Fraction]) -> list[Fraction]:
    values = [points[a] for a in sorted(points)]
    return [values[0], *(b - a for a, b in pairwise(values))]


@kind("fitted formula", "python")
def _by_hand(repo: Repo, bug: Bug) -> Iterator[Offer]:
    """What somebody would write who has the failing line before them."""
    if bug.name == "celsius":
        text = repo.broken(bug).replace("(fahrenheit - 30) * 5 / 9", "fahrenheit * 0.5556 - 17.78")
        yield Offer("numbers by hand", {bug.path: text})


@kind("nearest known answer", "python")
def _nearest(repo: Repo, bug: Bug) -> Iterator[Offer]:
    keys = {_feature(repr(eval(f"({', '.join(e.args)},)"))): e.expected for e in bug.examples}
    rows = ", ".join(f"{k}: {v}" for k, v in keys.items())
    code = f"_known = {{{rows}}}\n\n\ndef {bug.function}(*args):\n    key = {_SUM}\n    return _known[min(_known, key=lambda k: abs(k - key))]\n"
    if len(keys) == len(bug.examples):
        yield Offer("by a checksum", {bug.path: appended(repo.broken(bug), code)})
