"""Is the second worktree true in repositories that nobody here wrote? In place against the twin, then a planted regression.

Each checkout must be prepared as its own people say, with no settings of ours, and clean: the bench commits in it, runs
`zwarm-ci fix-tests --json` as a user types it, and leaves branch, commits and tree as they were. What only a person can know
of a repository (its services, a regression in another language than Python) comes from a file of recipes.
"""

from __future__ import annotations

import argparse
import json
import random
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from planting import Edit, apply, breaking
from twin_lib import Checkout, Recipe, Spot, Tally, UnfitError, aligned, recipes

from zwarm_ci import proc
from zwarm_ci.errors import CommandError

TOOL_SECONDS = 1800.0
TRIALS = 25  # breaking edits that are tried where no recipe names one
MOST_RED = 0.4  # of a suite; an edit that breaks more is no regression that somebody would commit
#: Ends of a task that say the code is right and something else is not.
_NOT_THE_CODE = frozenset({"unverifiable", "flaky"})
_NAMED = ("fixed", "attributed")
#: Ends of a task that was not worked on to its end, which is no verdict.
_CUT_OFF = frozenset({"over_budget", "timed_out", "interrupted", "blocked", "executor_failed"})


@dataclass(frozen=True, slots=True)
class Said:
    """What the tool said of a commit, read off its outcome.json; `trouble` where there was none."""

    status: str = ""
    exit: int = -1
    reason: str = ""
    commands: tuple[tuple[str, str], ...] = ()
    before: Tally = Tally()
    tasks: tuple[tuple[str, int, str], ...] = ()  # status, number of failures, reason
    head: str = ""
    seconds: float = 0.0
    trouble: str = ""

    @property
    def blamed(self) -> int:
        """Failures that it takes for faults of the code."""
        return sum(count for status, count, _ in self.tasks if status not in _NOT_THE_CODE)

    @property
    def excused(self) -> str:
        """The first reason for which something was left without a verdict; "" = nothing was."""
        return next((reason for status, _, reason in self.tasks if status == "unverifiable"), "")

    @property
    def verdict(self) -> str:
        """One word for the end of it."""
        ends = {status for status, _, _ in self.tasks}
        if self.trouble:
            return "no outcome"
        if self.status == "green" or not ends:
            return self.status
        if named := next((end for end in _NAMED if end in ends), ""):
            return named
        worked_on = ends - _NOT_THE_CODE - _CUT_OFF
        return "still failing" if worked_on else "stopped" if ends & _CUT_OFF else "unverifiable"


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table; counts are passed/failed/skipped."""

    repository: str
    settings: str = "none"
    checks: str = "-"
    in_place: str = "-"
    twin: str = "-"
    false_reds: int = 0
    unseen: int = 0  # tests that ran in place and not in the twin, with nobody told
    planted: str = "-"
    verdict: str = "-"
    exact: str = "-"
    false_greens: int = 0
    seconds: str = "-"
    note: str = ""
    details: tuple[str, ...] = field(default=())

    @property
    def real(self) -> bool:
        """Whether the planted regression got a true verdict: repaired or blamed, with nothing wrong said on the way."""
        return self.verdict in {*_NAMED, "still failing"} and not (self.false_reds or self.false_greens)


def ask(checkout: Checkout, tool: Sequence[str], config: str) -> Said:
    """`fix-tests` on the checkout as it stands, with these settings over its own."""
    with tempfile.TemporaryDirectory() as folder:
        extra: tuple[str, ...] = ()
        if config:
            (Path(folder) / "config.toml").write_text(config, encoding="utf-8")
            extra = ("--config", f"{folder}/config.toml")
        started = time.monotonic()
        env = checkout.environment(activated=False)
        ended = proc.run([*tool, *extra], cwd=checkout.top, env=env, timeout=TOOL_SECONDS)
        seconds = time.monotonic() - started
    try:
        outcome = json.loads(ended.stdout)
    except ValueError:
        words = ended.stderr.decode("utf-8", "replace").strip()[-300:] or f"ended with {ended.code}"
        return Said(exit=-1 if ended.code is None else ended.code, seconds=seconds, trouble=words)
    return read(outcome, seconds)


def proposed(checkout: Checkout, tool: Sequence[str]) -> str:
    """The settings that `doctor` ends with in this checkout; "" where it proposes none.

    Raises:
        UnfitError: it says nothing that can be read.
    """
    env = checkout.environment(activated=False)
    command = [*tool, "doctor", "--json", "--quiet"]
    ended = proc.run(command, cwd=checkout.top, env=env, timeout=TOOL_SECONDS)
    try:
        return str(json.loads(ended.stdout)["config"])
    except (ValueError, KeyError, TypeError):
        raise UnfitError(f"doctor ended with {ended.code}: {ended.stderr.decode('utf-8', 'replace')[-300:]}") from None


def read(outcome: Mapping[str, Any], seconds: float) -> Said:
    """An outcome.json in our words."""
    before = Tally()
    for check in outcome["checks"]["before"]:
        before += Tally(len(check["passed"]), len(check["failed"]), len(check["skipped"]))
    return Said(
        outcome["status"],
        outcome["exit_code"],
        outcome["reason"],
        tuple((c["name"], c["command"]) for c in outcome["checks"]["before"]),
        before,
        tuple((t["status"], len(t["failures"]), t["reason"]) for t in outcome["tasks"]),
        outcome["head"] or "",
        seconds,
    )


def healthy(row: Row, said: Said, here: Tally, opaque: bool) -> Row:
    """The row with what was said of a base that its own people call whole; `opaque`: a check names no single tests."""
    unseen = 0 if opaque or said.excused or not said.commands else max(0, here.ran - said.before.ran)
    return replace(
        row,
        checks=", ".join(name for name, _ in said.commands) or "-",
        in_place=str(here),
        twin=str(said.before) if said.commands else "-",
        false_reds=max(0, said.blamed - here.red),
        unseen=unseen,
        details=(*row.details, *(f"healthy: {status}: {reason}" for status, _, reason in said.tasks)),
        note=said.trouble or said.excused,
    )


def planted(row: Row, said: Said, red: int, delivered: int, base_red: int, exact: bool) -> Row:
    """The row with what became of a regression that made `red` tests fail; `delivered` are red in what the tool delivered."""
    claims = said.verdict in {"green", "fixed"} or said.exit == 0
    return replace(
        row,
        planted=f"{red} red",
        verdict=said.verdict,
        exact=("yes" if exact else "no") if said.head else "-",
        false_greens=int(claims and delivered > base_red),
        seconds=f"{said.seconds:.0f}",
        details=(*row.details, *(f"planted: {status}: {reason}" for status, _, reason in said.tasks)),
        note=row.note or said.trouble or said.excused,
    )


def candidates(checkout: Checkout, seed: int) -> Iterator[Edit]:
    """Python edits of one token, in an order that the seed draws."""
    pick = random.Random(f"{seed}:{checkout.top.name}")
    found = [edit for path, text in checkout.sources().items() for edit in breaking(path, text, pick)]
    pick.shuffle(found)
    yield from found[:TRIALS]


def break_it(checkout: Checkout, commands: Sequence[str], base: Tally, spot: Spot | None, seed: int) -> tuple[str, int]:
    """Commit a regression: what was edited, and how many more tests are red in place.

    Raises:
        UnfitError: nothing makes some tests fail and most pass.
    """
    for edit in (spot,) if spot else candidates(checkout, seed):
        if isinstance(edit, Spot):
            checkout.plant(edit)
            what = f"{edit.path}: {edit.old!r} -> {edit.new!r}"
        else:
            file = checkout.top / edit.path
            file.write_text(apply(file.read_text(encoding="utf-8"), [edit]), encoding="utf-8", newline="\n")
            what = f"{edit.path}:{edit.line}: {edit.what}"
        here = checkout.plain(commands)
        more = here.red - base.red
        # A suite that is cut off or collects less says nothing about which tests an edit breaks.
        whole = here.code >= 0 and here.ran >= base.ran
        if more > 0 if spot else whole and 0 < more <= max(1, MOST_RED * base.ran):
            checkout.commit("Tidy up")
            return what, more
        checkout.git("checkout", "--quiet", "--", ".")
    raise UnfitError("no planted edit makes some of its tests fail and most pass")


def examine(checkout: Checkout, tool: Sequence[str], config: str | None, spot: Spot | None, seed: int) -> Row:
    """Both halves of one row: the base as it is, then the planted regression; `config` is doctor's, None = unconfigured."""
    row = Row(checkout.top.name, "none" if config is None else "doctor's")
    config = config or ""
    said = ask(checkout, tool, config)
    checkout.restore()
    commands = [command for _, command in said.commands]
    if not commands and not checkout.recipe.suite:
        return replace(row, verdict=said.verdict, seconds=f"{said.seconds:.0f}", note=said.trouble or said.reason)
    base = checkout.plain(commands)
    same = base if not checkout.recipe.suite or not commands else _in_place(checkout, commands)
    opaque = any(command.startswith(("npm ", "pnpm ", "yarn ")) for command in commands)
    row = healthy(row, said, same, opaque)
    with checkout.left_as_it_was():
        try:
            what, red = break_it(checkout, commands, base, spot, seed)
        except UnfitError as error:
            return replace(row, note=f"nothing was planted: {error}")
        again = ask(checkout, tool, config)
        if again.head:
            checkout.git("checkout", "--quiet", "--detach", again.head)
        delivered = checkout.plain(commands)
        exact = bool(again.head) and not checkout.git("diff", "--stat", checkout.head, again.head)
    row = planted(row, again, red, delivered.red, base.red, exact)
    return replace(row, details=(f"planted {what}", *row.details))


def _in_place(checkout: Checkout, commands: Sequence[str]) -> Tally:
    """The very commands that the tool chose, in place."""
    total = Tally()
    for command in commands:
        total += checkout.run(command)
    checkout.sweep()
    return total


def look(
    top: Path, recipe: Recipe, tool: Sequence[str], *, configured: bool, seed: int, minutes: float = 10
) -> list[Row]:
    """The rows of one checkout, one for each planted regression; a single one that says why where it cannot be looked at."""
    rows: list[Row] = []
    fix = (*tool, "fix-tests", "--json", "--minutes", str(minutes))
    try:
        with Checkout.at(top, recipe) as checkout, checkout.served():
            config = proposed(checkout, tool) if configured else None
            checkout.restore()
            rows = [examine(checkout, fix, config, spot, seed) for spot in recipe.plants or (None,)]
    except (UnfitError, CommandError) as error:
        rows.append(Row(top.name, "doctor's" if configured else "none", note=f"not looked at: {error}"))
    return rows


def table(rows: Sequence[Row]) -> str:
    """The rows, aligned, and what they come to."""
    names = [name for name in asdict(rows[0]) if name not in {"note", "details"}]
    cells = [[n.replace("_", " ") for n in names], *([str(getattr(r, n)) for n in names] for r in rows)]
    real = sum(r.real for r in rows)
    share = f"real verdicts: {real} of {len(rows)} ({100 * real / len(rows):.0f} %)"
    wrong = f"false reds {sum(r.false_reds for r in rows)}, false greens {sum(r.false_greens for r in rows)}"
    return f"{aligned(cells)}\n\n{share}, {wrong}, tests unseen {sum(r.unseen for r in rows)}"


def main(argv: Sequence[str] | None = None) -> int:
    """Look at each checkout; 1 if anything false was said of one or tests were left out without a word."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkouts", nargs="+", type=Path, metavar="PATH", help="prepared, clean checkout")
    parser.add_argument("--recipes", type=Path, help="TOML file: a table for each checkout's folder name")
    parser.add_argument("--configured", action="store_true", help="with the settings that doctor proposes there")
    parser.add_argument("--tool", default=f"{shlex.quote(sys.executable)} -m zwarm_ci", help="command of the tool")
    parser.add_argument("--minutes", type=float, default=10, help="time limit of each run")
    parser.add_argument("--seed", type=int, default=1, help="what is planted depends on this and the folder's name")
    parser.add_argument("--rows", type=Path, help="keep the rows, with all reasons, as JSON lines in this file")
    options = parser.parse_args(argv)
    known = recipes(options.recipes) if options.recipes else {}
    tool = shlex.split(options.tool)
    rows: list[Row] = []
    with proc.stoppable():
        for top in options.checkouts:
            recipe = known.get(top.resolve().name, Recipe())
            named = {"configured": options.configured, "seed": options.seed, "minutes": options.minutes}
            new = look(top.resolve(), recipe, tool, **named)
            rows += new
            for row in new:
                print(f"{row.repository}: {row.verdict} {row.note}", file=sys.stderr, flush=True)
            if options.rows:
                with options.rows.open("a", encoding="utf-8") as file:
                    file.writelines(json.dumps(asdict(row)) + "\n" for row in new)
    print(table(rows))
    for row in rows:
        if row.note:
            print(f"\n{row.repository}: {row.note}")
    return 1 if any(r.false_reds or r.false_greens or r.unseen for r in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
