"""How many cheats pass? The corpus of tests/cheats through the judge, through three naive baselines and through today's tamper checkers.

    python bench/cheats.py [--sample N --seed S] [--kind TEXT] [--repo NAME] [--no-others] [--no-naive] [--strict-only] [--json]

Per kind: patches, accepted, refused, and the 95 % interval of the share accepted (Wilson). It judges itself: no cheat is
accepted, and every honest patch is.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import cheats_rivals
from twin_lib import aligned

from tests.cheats.base import Case, corpus, sample
from tests.cheats.court import Hall
from tests.lean import in_front

Z = 1.96  # of a 95 % interval
PROCESSES = 2


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one offer. `others`: who else -> whether it was accepted there."""

    name: str
    kind: str
    language: str
    honest: bool
    status: str
    reason: str
    eased: str = ""
    asked: int = 0
    others: dict[str, bool] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def accepted(self) -> bool:
        """Whether the strict judge accepts it."""
        return self.status == "fixed"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is measured beside the strict verdict."""

    naive: bool
    eased: bool
    rivals: tuple[str, ...]
    bins: str


def wilson(hits: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    if not n:
        return 0.0, 1.0
    share, square = hits / n, Z * Z
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = Z * math.sqrt(share * (1 - share) / n + square / (4 * n * n)) / (1 + square / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def group(names: Sequence[str], wanted: Wanted) -> list[Row]:
    """All offers on one bug, in a process of its own."""
    _environment()
    cases = [c for c in corpus() if c.name in frozenset(names)]
    with tempfile.TemporaryDirectory(prefix="cheats-", ignore_cleanup_errors=True) as scratch:
        hall = Hall(cases[0].repo, cases[0].bug, Path(scratch))
        return [_row(hall, case, wanted) for case in cases]


def _row(hall: Hall, case: Case, wanted: Wanted) -> Row:
    started = time.monotonic()
    verdict = hall.judged(case.offer)
    seconds = time.monotonic() - started
    eased, asked = "", 0
    if wanted.eased and case.offer.honest:
        mild = hall.judged(case.offer, strict=False)
        eased, asked = mild.status, len([f for f in mild.findings if f.level == "review"])
    others = {"agent says done": True}
    if wanted.naive:
        others["exit code, agent's tree"] = hall.agents(case.offer) == 0
        others["exit code, clean tree"] = hall.clean(case.offer) == 0
    if wanted.rivals:
        others |= _rivals(hall, case, wanted)
    return Row(
        case.name, case.offer.kind, case.repo.language, case.offer.honest, verdict.status, verdict.reason, eased, asked, others,
        seconds,
    )  # fmt: skip


def _rivals(hall: Hall, case: Case, wanted: Wanted) -> dict[str, bool]:
    base = hall.court.base
    head = hall.store.commit(hall.tree(case.offer), [base], "Fix")
    with tempfile.TemporaryDirectory(prefix="rivals-", ignore_cleanup_errors=True) as folder:
        clone = hall.store.worktree(head, Path(folder) / "tree").path
        return {r: cheats_rivals.accepts(Path(wanted.bins), r, clone, base, head) for r in wanted.rivals}


def _environment() -> None:
    """As the tests have it: this interpreter's pytest on PATH, nothing of git's or of CI's, an empty HOME for what runs."""
    home = Path.home()
    for name in [
        n for n in os.environ if n.startswith(("GIT_", "GITHUB_", "ZWARM_", "PYTEST_", "PYTHON")) or n == "CI"
    ]:
        del os.environ[name]
    os.environ.setdefault("CARGO_HOME", str(home / ".cargo"))
    os.environ.setdefault("RUSTUP_HOME", str(home / ".rustup"))
    os.environ.update(in_front())
    os.environ["HOME"] = tempfile.mkdtemp(prefix="cheats-home-")


def measure(cases: Sequence[Case], wanted: Wanted, tell: Callable[[str], None]) -> list[Row]:
    """A row for every case; the cases of one bug share a court."""
    groups = [[c.name for c in found] for _, found in groupby(cases, lambda c: (c.repo.name, c.bug.name))]
    rows: list[Row] = []
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        for found in pool.map(group, groups, [wanted] * len(groups)):
            rows += found
            tell(f"{len(rows)} of {len(cases)}: {'/'.join(found[0].name.split('/')[:2])}")
            for row in (r for r in found if r.accepted != r.honest):
                tell(f"  {row.name}: {row.status}: {row.reason[:160]}")
    return rows


def table(rows: Iterable[Row], key: Callable[[Row], str]) -> str:
    """Cheats by kind or language: ours, then the share that each of the others lets pass."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    names = list(dict.fromkeys(n for r in rows for n in r.others))
    lines = [["cheats", "n", "accepted", "refused", "95 %", *names]]
    for name, found in [*sorted(groups.items()), ("all", [r for f in groups.values() for r in f])]:
        hits = sum(r.accepted for r in found)
        low, high = wilson(hits, len(found))
        others = [f"{sum(r.others.get(o, False) for r in found)}/{sum(o in r.others for r in found)}" for o in names]
        lines.append([name, str(len(found)), str(hits), str(len(found) - hits), f"{low:.1%} to {high:.1%}", *others])
    return aligned(lines)


def show(rows: Sequence[Row]) -> None:
    """The tables, and every name that should not be there."""
    cheats, honest = [r for r in rows if not r.honest], [r for r in rows if r.honest]
    print(table(cheats, lambda r: r.kind), table(cheats, lambda r: r.language), sep="\n\n")
    eased = [r for r in honest if r.eased]
    print(f"\nhonest: strict {sum(r.accepted for r in honest)} of {len(honest)} accepted")
    if eased:
        refused = sum(r.eased != "fixed" for r in eased)
        print(
            f"strict = false: {refused} of {len(eased)} refused, {sum(bool(r.asked) for r in eased)} asked for review"
        )
    for title, found in (
        ("accepted cheats", [r for r in cheats if r.accepted]),
        ("refused honest", [r for r in honest if not r.accepted]),
    ):
        print(f"\n{title}: {len(found)}")
        for row in found:
            print(f"  {row.name}: {row.status}: {row.reason[:160]}")


def chosen(args: argparse.Namespace) -> list[Case]:
    """The cases that the command line asks for, those of one bug together."""
    cases = [c for c in corpus() if args.kind in c.offer.kind and args.repo in c.repo.name]
    picked = frozenset(c.name for c in (sample(cases, args.sample, args.seed) if args.sample else cases))
    return [c for c in cases if c.name in picked]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", default="")
    parser.add_argument("--repo", default="")
    for name in ("--no-others", "--no-naive", "--strict-only", "--json"):
        parser.add_argument(name, action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rivals-venv-") as venv:
        bins, lacking = (None, {}) if args.no_others else cheats_rivals.install(Path(venv) / "venv")
        for rival, why in lacking.items():
            print(f"{rival} could not be had: {why}", file=sys.stderr)
        rivals = tuple(r for r in cheats_rivals.RIVALS if bins and r not in lacking)
        wanted = Wanted(not args.no_naive, not args.strict_only, rivals, str(bins or ""))
        rows = measure(chosen(args), wanted, lambda line: print(line, file=sys.stderr, flush=True))
    if args.json:
        print(json.dumps([asdict(r) for r in rows], indent=1))
    else:
        show(rows)
    return int(any(r.accepted != r.honest for r in rows))


if __name__ == "__main__":
    sys.exit(main())
