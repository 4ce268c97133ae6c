"""What honest people are told: real merged fix commits of somebody's repositories through the guards, and with runs.

    python bench/honest.py [NAME=]PATH… [--commits 60] [--runs 0] [--check NAME=CMD] [--strict | --both] [--json]

Commits: first-parent history, newest first, whose subject speaks of a fix and which touch source. The guards alone need a git
folder (a bare one will do); a run is `zwarm-ci verify COMMIT --base PARENT` in a clone of a prepared checkout. It judges
itself by the people's rules (`verify.strict = false`): at most 2 % refused, at most 15 % asked for review.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from traceback import format_exception

from clones import Clone, clone
from honest_table import Fix, Seen, Word, good, listing, table
from twin_lib import Recipe, recipes, tally

from zwarm_ci import proc
from zwarm_ci.git import open_repository
from zwarm_ci.private import PrivateRepository
from zwarm_ci.pump import Exit
from zwarm_ci.scrub import decode
from zwarm_ci.verdict import GuardFinding
from zwarm_ci.verify import guards

_FIX = re.compile(r"\b(?:bug)?fix(?:e[sd]|ing)?\b|\bbugs?\b|\bregressions?\b|\bissues? #", re.IGNORECASE)
_CODE = re.compile(r"\.(?:py|pyx|pyi|c|h|cc|cpp|js|jsx|mjs|cjs|ts|tsx|mts|cts|go|rs)$")
_NO_SOURCE = re.compile(
    r"(?:^|/)(?:tests?|testing|__tests__|specs?|docs?|examples?|bench\w*|\.github|scripts?)/|(?:^|/)(?:conftest|setup|noxfile|test_\w+|\w+_test)\.\w+$"
    r"|[.\-](?:test|spec|config)\.\w+$"
)
_ACCEPTED = frozenset({"fixed", "already_green", "no_changes"})
_MINUTES = 20.0  # of one run with all its suites


@dataclass(frozen=True, slots=True)
class Place:
    """A repository to look at: how it is called, where it is, what a person would know of it."""

    name: str
    path: Path
    recipe: Recipe = Recipe()


@dataclass(frozen=True, slots=True)
class Store:
    """A bare repository of ours that borrows a place's objects."""

    place: Place
    private: PrivateRepository

    @classmethod
    def make(cls, place: Place, folder: Path) -> Store:
        """Borrow from `place`, which is only read."""
        top = folder / place.name
        argv = ["git", "clone", "--quiet", "--shared", "--no-checkout", str(place.path), str(top)]
        proc.run(argv, cwd=folder, check=True)
        return cls(place, PrivateRepository.create(open_repository(top), folder / f"{place.name}.git"))

    def fixes(self, most: int) -> list[Fix]:
        """The newest `most` fixes of the first-parent history whose contents are all there."""
        found: list[Fix] = []
        logged = self.private.git.run("log", "--first-parent", "--format=%H %P%x00%s", "zwarm").stdout
        for row in logged.splitlines():
            found += self._fix(row)
            if len(found) >= most:
                break
        return found[:most]

    def _fix(self, row: bytes) -> Iterator[Fix]:
        ids, _, subject = decode(row).partition("\0")
        commit, *parents = ids.split()
        if not parents or not _FIX.search(subject):
            return
        changes = self.private.changes(parents[0], commit)
        if any(_CODE.search(c.path) and not _NO_SOURCE.search(c.path) for c in changes):
            blobs = {i for c in changes for i, mode in ((c.old, c.old_mode), (c.new, c.new_mode)) if mode[:2] == "10"}
            asked = self.private.git.run("cat-file", "--batch-check", stdin="\n".join(sorted(blobs)).encode())
            if b" missing" not in asked.stdout:  # a mirror may lack its largest files
                yield Fix(self.place.name, commit, parents[0], subject)

    def look(self, fix: Fix, *, strict: bool) -> Seen:
        """The guards' word on a fix."""
        started = time.monotonic()
        base, tree = self.private.tree_of(fix.parent), self.private.tree_of(fix.commit)
        changes = tuple(self.private.changes(base, tree))
        patch = guards.Patch(self.private, base, tree, changes, guards.Rules(strict=strict))
        found = guards.look(patch)
        return Seen(fix, "guards", strict, word_of(found), "", found, time.monotonic() - started)


def word_of(findings: Iterable[GuardFinding]) -> Word:
    """What a person is told by findings alone."""
    levels = {f.level for f in findings}
    return "refused" if "refuse" in levels else "review" if levels else "passed"


def caught(seen: Future[Seen], fix: Fix, how: str, *, strict: bool) -> Seen:
    """The result, or that there was none: an error is one row of the table, not its end."""
    if (error := seen.exception()) is None:
        return seen.result()
    return Seen(fix, how, strict, "broken", "".join(format_exception(error)).strip())


def by_guards(
    stores: Sequence[Store], commits: int, stricts: Sequence[bool], jobs: int, keep: Path | None = None
) -> list[Seen]:
    """Every fix through the guards."""
    found = []
    with ThreadPoolExecutor(jobs) as pool:
        asked = [
            (fix, strict, pool.submit(store.look, fix, strict=strict))
            for store in stores
            for fix in store.fixes(commits)
            for strict in stricts
        ]
        for fix, strict, future in asked:
            found.append(caught(future, fix, "guards", strict=strict))
            kept(found[-1], keep)
    return found


def kept(seen: Seen, keep: Path | None) -> None:
    """Write a row down as soon as it is there, so that a long look that is cut off leaves what it saw."""
    if keep:
        with keep.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(seen)) + "\n")


@dataclass(frozen=True, slots=True)
class Ground:
    """A clone of a prepared checkout in which the tool is run as a CI step would run it."""

    place: Place
    repo: Clone
    tool: tuple[str, ...]

    def env(self) -> dict[str, str]:
        """As in a terminal of the repository's own people."""
        env = {**self.repo.env(), **self.place.recipe.env}
        return {**env, "PATH": os.pathsep.join([*self.place.recipe.path, env["PATH"]])}

    def at(self, commit: str) -> None:
        """Check a commit out; ignored files stay as they are."""
        self.repo.git("checkout", "--quiet", "--force", "--detach", commit)
        self.repo.git("clean", "-ffdq")

    def suite_seconds(self, limit: float) -> float | None:
        """How long the newest commit's own suite takes; None where it is red here or takes longer than `limit`."""
        if not self.place.recipe.suite:
            return 0.0
        started = time.monotonic()
        ended = self.run_suite(limit)
        ran = tally(decode(ended.stdout + ended.stderr), ended.code or 0).ran
        return time.monotonic() - started if ended.ok and ran else None

    def run_suite(self, limit: float) -> Exit:
        """The plain command of its people, at what is checked out."""
        return proc.run(shlex.split(self.place.recipe.suite), cwd=self.repo.top, env=self.env(), timeout=limit)

    def verify(self, fix: Fix, *, strict: bool) -> Seen:
        """The verifier's word on a fix, runs included."""
        self.at(fix.commit)
        check = ["--check", self.place.recipe.suite] if self.place.recipe.suite else []
        rule = f"verify.strict={str(strict).lower()}"
        argv = [*self.tool, "verify", fix.commit, "--base", fix.parent, "--set", rule, *check, "--json"]
        started = time.monotonic()
        ended = proc.run(argv, cwd=self.repo.top, env=self.env(), timeout=_MINUTES * 60)
        seen = said(fix, decode(ended.stdout), decode(ended.stderr), time.monotonic() - started, strict=strict)
        if seen.word == "refused" and check:
            return replace(seen, reason=f"{seen.reason}\n{self.plainly(fix)}")
        return seen

    def plainly(self, fix: Fix) -> str:
        """What the plain suite says of a fix and of its parent: whether a refusal is a false alarm, or the commit is broken."""
        told = []
        for commit in (fix.parent, fix.commit):
            self.at(commit)
            ended = self.run_suite(_MINUTES * 60)
            told.append(str(tally(decode(ended.stdout + ended.stderr), ended.code or 0)))
        return f"its plain suite, passed/failed/skipped: {told[0]} on the parent, {told[1]} on it"


def said(fix: Fix, out: str, err: str, seconds: float, *, strict: bool) -> Seen:
    """What the tool's document says of a fix; green with something to look at is `review`, not green and not blind is `refused`."""
    try:
        document = json.loads(out)
    except ValueError:
        return Seen(fix, "runs", strict, "broken", err.strip()[-2000:] or "it said nothing", (), seconds)
    task = document["tasks"][0] if document["tasks"] else {**document, "review": ()}
    findings = tuple(dict.fromkeys(GuardFinding(**row) for row in task["review"]))
    word: Word = word_of(f for f in findings if f.level == "review")
    before = document.get("checks", {}).get("before", ())
    if before and not any(check["passed"] for check in before):
        word = "unfit"
    elif task["status"] in {"unverifiable", "blocked"}:
        word = "unverifiable"
    elif task["status"] not in _ACCEPTED:
        word = "refused"
    return Seen(fix, "runs", strict, word, f"{task['status']}: {task['reason']}", findings, seconds)


def by_runs(
    grounds: Mapping[str, Ground], fixes: Iterable[Fix], most: int, stricts: Sequence[bool], keep: Path | None
) -> list[Seen]:
    """Fixes through the whole verifier until `most` were fit, one at a time: their suites want the machine."""
    found: list[Seen] = []
    left = most
    with ThreadPoolExecutor(1) as pool:
        for fix in fixes:
            if left <= 0:
                break
            for strict in stricts:
                future = pool.submit(grounds[fix.repository].verify, fix, strict=strict)
                seen = caught(future, fix, "runs", strict=strict)
                found.append(seen)
                print(f"{fix.repository} {fix.commit[:12]} {seen.word} {seen.reason[:150]}", file=sys.stderr)
                kept(seen, keep)
            left -= found[-1].word != "unfit"
    return found


def in_turn(each: Sequence[Sequence[Fix]]) -> list[Fix]:
    """All fixes, one of each repository in turn."""
    longest = max((len(fixes) for fixes in each), default=0)
    return [fixes[n] for n in range(longest) for fixes in each if n < len(fixes)]


def places(options: argparse.Namespace) -> list[Place]:
    """The repositories that were named, each with its recipe."""
    known = recipes(options.recipes) if options.recipes else {}
    checks: dict[str, str] = dict(text.split("=", 1) for text in options.check)
    found = []
    for text in options.paths:
        head, given, tail = text.partition("=")
        path = Path(tail if given else head).resolve()
        name = head if given else path.name if path.name not in {"repo", ".git"} else path.parent.name
        recipe = known.get(name, Recipe())
        suite = checks.get(name) or checks.get(text) or recipe.suite
        found.append(Place(name, path, Recipe(suite=suite, env=recipe.env, path=recipe.path)))
    return found


def measure(options: argparse.Namespace, folder: Path) -> list[Seen]:
    """All rows, those of the guards first."""
    stricts = [True] if options.strict else [False, True] if options.both else [False]
    named = places(options)
    stores = [Store.make(place, folder) for place in named]
    rows = [] if options.runs_only else by_guards(stores, options.commits, stricts, options.jobs, options.rows)
    if options.runs:
        grounds = {}
        (folder / "clones").mkdir()
        for place in named:
            ground = Ground(
                place, clone(place.path, folder / "clones", options.python), tuple(shlex.split(options.tool))
            )
            if (took := ground.suite_seconds(options.seconds)) is None:
                print(
                    f"{place.name}: its suite is red here, or takes more than {options.seconds:.0f} s", file=sys.stderr
                )
            else:
                print(f"{place.name}: its suite takes {took:.1f} s", file=sys.stderr)
                grounds[place.name] = ground
        each = [store.fixes(options.commits) for store in stores if store.place.name in grounds]
        rows += by_runs(grounds, in_turn(each), options.runs, stricts, options.rows)
    return rows


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("paths", nargs="+", metavar="[NAME=]PATH", help="git folder, or for runs a prepared checkout")
    parser.add_argument("--commits", type=int, default=60, help="newest fixes of each repository [60]")
    parser.add_argument("--runs", type=int, default=0, help="fixes that go through the whole verifier [0]")
    parser.add_argument("--runs-only", action="store_true", help="leave out the guards-only part")
    parser.add_argument("--seconds", type=float, default=60, help="longest suite that is run [60]")
    parser.add_argument("--check", action="append", default=[], metavar="NAME=CMD", help="the command that tests it")
    parser.add_argument("--recipes", type=Path, help="TOML file: suite, env and path for each name")
    parser.add_argument("--python", default=sys.executable, help="interpreter for a checkout without a .venv")
    parser.add_argument("--tool", default=f"{shlex.quote(sys.executable)} -m zwarm_ci", help="command of the tool")
    parser.add_argument(
        "--rows", type=Path, metavar="FILE", help="keep each look and run, as it ends, as a JSON line there"
    )
    parser.add_argument("--jobs", type=int, default=2, help="commits that guards look at at a time [2]")
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("--strict", action="store_true", help="strict rules alone")
    modes.add_argument("--both", action="store_true", help="people's rules, then strict ones")
    parser.add_argument("--reviews", action="store_true", help="list what is asked for review too")
    parser.add_argument("--json", action="store_true", help="all rows as JSON")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Look and print; 1 if a goal is missed or something could not be looked at."""
    options = parse(argv)
    with tempfile.TemporaryDirectory(prefix="zwarm-bench-") as folder:
        rows = measure(options, Path(folder))
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
        return 0 if good(rows) else 1
    for how, strict in dict.fromkeys((row.how, row.strict) for row in rows):
        chosen = [row for row in rows if (row.how, row.strict) == (how, strict)]
        print(f"\n== {how}, verify.strict = {str(strict).lower()}\n\n{table(chosen)}")
        if options.reviews:
            print("\n".join(listing(chosen, {"review"})))
    return 0 if good(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
