"""What the bench over honest people's fixes found, as a table that judges itself."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from zwarm_ci.verdict import GuardFinding

REFUSED, REVIEW = 0.02, 0.15  # the goals for people's commits
Word = Literal["passed", "review", "refused", "unverifiable", "unfit", "broken"]


@dataclass(frozen=True, slots=True)
class Fix:
    """A merged commit that says it mends something, and its first parent."""

    repository: str
    commit: str
    parent: str
    subject: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of a fix. `how` is guards or runs.

    `unfit` = no test of its base passes in today's environment, so that nothing is measured; `broken` = we could not look,
    which is our fault or the bench's.
    """

    fix: Fix
    how: str
    strict: bool
    word: Word
    reason: str = ""
    findings: tuple[GuardFinding, ...] = ()
    seconds: float = 0.0


def wilson(hits: int, of: int) -> tuple[float, float]:
    """95 % interval of a share, after Wilson (1927)."""
    if not of:
        return 0.0, 1.0
    z = 1.959964
    share, scale = hits / of, 1 + z * z / of
    middle = (share + z * z / (2 * of)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def share(hits: int, of: int) -> str:
    """A count with its share and interval."""
    low, high = wilson(hits, of)
    return f"{hits} = {hits / of if of else 0:.1%} [{low:.1%}, {high:.1%}]"


def told(rows: Sequence[Seen]) -> Counter[str]:
    """How many of each word; unverifiable, unfit and broken ones are no part of `n`, the number that shares are of."""
    counts = Counter[str](row.word for row in rows)
    counts["n"] = counts["passed"] + counts["review"] + counts["refused"]
    return counts


def table(rows: Sequence[Seen]) -> str:
    """One mode: by repository, in all, by guard, and every refusal."""
    lines = [f"{'repository':<24}{'n':>5}{'refused':>9}{'review':>8}{'unverifiable':>14}{'unfit':>7}{'broken':>8}"]
    for name in dict.fromkeys(row.fix.repository for row in rows):
        c = told([row for row in rows if row.fix.repository == name])
        lines.append(
            f"{name:<24}{c['n']:>5}{c['refused']:>9}{c['review']:>8}{c['unverifiable']:>14}{c['unfit']:>7}{c['broken']:>8}"
        )
    c = told(rows)
    lines += ["", *(f"{word}: {share(c[word], c['n'])} of {c['n']}" for word in ("refused", "review"))]
    lines += [", ".join(f"{w}: {c[w]}" for w in ("unverifiable", "unfit", "broken")) + f" of {len(rows)}", ""]
    hits = Counter((f.guard, f.level) for row in rows for f in {(f.guard, f.level): f for f in row.findings}.values())
    for guard in sorted({g for g, _ in hits}):
        lines.append(f"{guard:<24} commits refused {hits[guard, 'refuse']:>4}  review {hits[guard, 'review']:>4}")
    return "\n".join([*lines, *listing(rows, {"refused", "unverifiable", "unfit", "broken"})])


def listing(rows: Iterable[Seen], words: Iterable[str]) -> Iterator[str]:
    """Every row of these words, with what was found."""
    for row in (r for r in rows if r.word in words):
        yield f"\n{row.word}: {row.fix.repository} {row.fix.commit[:12]} {row.fix.subject}"
        yield from (f"  {line}" for line in row.reason.splitlines()[-3:])
        for f in row.findings:
            where = f"{f.path}:{f.line}" if f.line else f.path
            yield f"  {f.level} {f.guard}: {where}: {f.detail[:300]}"


def good(rows: Sequence[Seen]) -> bool:
    """Whether the goals are met on people's rules and everything could be looked at."""
    easy = [row for row in rows if not row.strict]
    for how in {row.how for row in easy}:
        c = told([row for row in easy if row.how == how])
        if c["refused"] > REFUSED * c["n"] or c["review"] > REVIEW * c["n"]:
            return False
    return bool(rows) and not any(row.word == "broken" for row in rows)
