"""Does it hold on repositories that nobody here wrote? Plants one breaking hunk among harmless ones, and lint, and looks at what becomes of it.

For each checkout: a clone with its virtual environment, two commits on top, `zwarm-ci fix-checks --last-green … --json` as a
user types it; then the delivered tree is compared with the one wanted, and the clone with what it was before.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from clones import Clone, NoPlantError, Suite, clone
from planting import UNUSED_MODULES, Edit, breaking, far_from, harmless, needless_f, unused_import

from zwarm_ci import proc

HARMLESS = 6  # hunks beside the breaking one
TRIALS = 60  # breaking candidates that are tried


@dataclass(frozen=True, slots=True)
class Plant:
    """What was planted: `base` is green, `wanted` the tree that a perfect repair delivers."""

    base: str
    wanted: str
    regression: Edit
    lint: tuple[Edit, ...]
    hunks: int
    red: frozenset[str]
    total: int


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table."""

    repository: str
    tests: str = "-"
    red: str = "-"
    suite_runs: str = "-"
    seconds: str = "-"
    exact: str = "-"
    lint: str = "-"
    untouched: str = "-"
    exit: str = "-"
    note: str = ""

    @property
    def good(self) -> bool:
        """Whether all that was promised was seen."""
        return (self.exact, self.lint, self.untouched, self.exit) == ("yes", "yes", "yes", "0")


def prepare(repo: Clone) -> str:
    """Make lint green where it is not, and name ignored sources that tests need, as a user would; the commit that is green."""
    changed = False
    sources = repo.git("ls-files", "-z", "--others", "--ignored", "--exclude-standard").split("\0")
    generated = [
        p for p in sources if p.endswith(".py") and not p.startswith((".venv/", "build/")) and "egg-info" not in p
    ]
    if generated:
        (repo.top / ".worktreeinclude").write_text("".join(f"{p}\n" for p in generated))
        changed = True
    pyproject = repo.top / "pyproject.toml"
    settled = any((repo.top / name).exists() for name in ("ruff.toml", ".ruff.toml")) or (
        pyproject.exists() and "[tool.ruff" in pyproject.read_text()
    )
    if not settled or repo.lint():
        settings = repo.top / "ruff.toml"
        settings.write_text('[lint]\nselect = ["F"]\n')
        if dirty := repo.lint():
            settings.write_text(f"extend-exclude = {json.dumps(dirty)}\n\n" + settings.read_text())
        changed = True
    return repo.commit("Settings for lint and worktrees") if changed else repo.git("rev-parse", "HEAD")


def plant(repo: Clone, seed: int) -> Plant:
    """Two commits: one breaking hunk among harmless ones, then lint."""
    pick = random.Random(f"{seed}:{repo.top.name}")
    base = prepare(repo)
    clean = repo.suite()
    if clean.red or clean.broken or not clean.total:
        raise NoPlantError(f"its suite is not green here: {sorted(clean.red)[:3]}")
    sources = repo.sources()
    texts = list(sources.items())
    pick.shuffle(texts)
    candidates = [edit for path, text in texts for edit in breaking(path, text, pick)]
    pick.shuffle(candidates)
    regression, red = _regression(repo, sources, candidates, clean)
    lint = _lint_edits(repo, sources, regression)
    calm = _calm_edits(repo, sources, pick, [regression, *lint])

    repo.write(sources, calm)
    repo.git("add", "--all")
    wanted = repo.git("write-tree")
    again = repo.suite()
    if again.red or again.broken or again.total != clean.total:
        raise NoPlantError("harmless edits were not harmless")
    repo.write(sources, [*calm, regression])
    repo.commit("Small changes here and there")
    repo.write(sources, [*calm, regression, *lint])
    repo.commit("Prepare for what comes next")
    last = repo.suite()
    if last.red != red:
        raise NoPlantError("the breaking hunk breaks other tests in company")
    return Plant(base, wanted, regression, tuple(lint), len(calm) + 1, red, clean.total)


def _regression(
    repo: Clone, sources: Mapping[str, str], candidates: Iterable[Edit], clean: Suite
) -> tuple[Edit, frozenset[str]]:
    """The first candidate that makes one test to 40 % of them fail, the same ones twice."""
    for _, edit in zip(range(TRIALS), candidates, strict=False):
        repo.write(sources, [edit])
        try:
            first = repo.suite()
            in_bounds = not first.broken and 1 <= len(first.red) <= 0.4 * clean.total
            if in_bounds and repo.suite() == first:
                return edit, first.red
        finally:
            repo.write(sources, [])
    raise NoPlantError(f"none of {TRIALS} changes made some tests fail and most pass")


def _lint_edits(repo: Clone, sources: Mapping[str, str], regression: Edit) -> list[Edit]:
    """One or two findings with a safe fix; a package that is all `__init__.py`, where ruff calls no fix for imports safe, gets another."""
    imports = (
        edit
        for path, text in sources.items()
        for module in UNUSED_MODULES
        if not path.endswith("__init__.py") and (edit := unused_import(path, text, module))
    )
    strings = (edit for path, text in sources.items() for edit in needless_f(path, text))
    found: list[Edit] = []
    for edit in (*imports, *strings):
        if len(found) < 2 and edit.path not in {e.path for e in found} and far_from(edit, [regression]):
            repo.write(sources, [edit])
            found += [edit] if edit.path in repo.lint(edit.path) else []
            repo.write(sources, [])
    if not found:
        raise NoPlantError("no place for lint")
    return found


def _calm_edits(repo: Clone, sources: Mapping[str, str], pick: random.Random, others: Sequence[Edit]) -> list[Edit]:
    """Harmless edits that lint does not mind, half of them in the file that breaks."""
    taken: list[Edit] = []
    here = others[0].path
    near = harmless(here, sources[here], pick)
    rest = [e for path, text in sources.items() if path != here for e in harmless(path, text, pick)]
    pick.shuffle(rest)
    for pool, wanted in ((near, HARMLESS // 2), (rest, HARMLESS), (near, HARMLESS)):
        for edit in pool:
            if len(taken) >= wanted:
                break
            if far_from(edit, [*others, *taken]):
                repo.write(sources, [edit])
                taken += [edit] if not repo.lint(edit.path) else []
                repo.write(sources, [])
    if len(taken) < 5:
        raise NoPlantError("too small for five harmless edits")
    return taken


def fingerprint(top: Path, state: str = ".zwarm") -> dict[str, str]:
    """Everything of a checkout that a run may not change: refs, HEAD, index, settings, hooks, and each file, ignored ones too."""
    seen = {}
    for path in sorted(p for p in top.rglob("*") if p.is_file() or p.is_symlink()):
        name = path.relative_to(top).as_posix()
        if name.startswith((f"{state}/", ".git/objects/")):
            continue
        content = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
        seen[name] = hashlib.sha256(content).hexdigest()
    return seen


def changes(before: Mapping[str, str], after: Mapping[str, str], branch: str | None) -> list[str]:
    """Names that differ, but for the one new branch."""
    allowed = {f".git/refs/heads/{branch}", f".git/logs/refs/heads/{branch}"} if branch else set()
    return [
        n for n in sorted({*before, *after}) if before.get(n) != after.get(n) and not (n in allowed and n not in before)
    ]


def examine(checkout: Path, folder: Path, tool: Sequence[str], python: str, seed: int) -> Row:
    """Plant, run the tool as a user would, compare."""
    repo = clone(checkout, folder, python)
    planted = plant(repo, seed)
    edit = planted.regression
    print(
        f"{checkout.name}: {planted.total} tests; {edit.path}:{edit.line} {edit.what!r} among {planted.hunks} hunks, {len(planted.red)} red",
        file=sys.stderr,
    )
    before = fingerprint(repo.top)
    started = time.monotonic()
    ended = proc.run(
        [*tool, "fix-checks", "tests", "ruff", "--last-green", planted.base, "--json"],
        cwd=repo.top,
        env=repo.env(),
        timeout=1800,
    )
    seconds = time.monotonic() - started
    row = Row(checkout.name, str(planted.total), str(len(planted.red)), seconds=f"{seconds:.0f}", exit=str(ended.code))
    try:
        outcome = json.loads(ended.stdout)
    except ValueError:
        return Row(**{**_as_dict(row), "note": ended.stderr.decode("utf-8", "replace").strip()[-300:]})
    return judge(repo, planted, row, outcome, changes(before, fingerprint(repo.top), outcome["branch"]))


def judge(repo: Clone, planted: Plant, row: Row, outcome: Mapping[str, object], touched: Sequence[str]) -> Row:
    """The row with what the delivered tree and the checkout look like."""
    head = outcome["head"]
    notes = [f"touched {', '.join(touched[:5])}"] if touched else []
    exact = lint = False
    if isinstance(head, str):
        exact = repo.git("rev-parse", f"{head}^{{tree}}") == planted.wanted
        left = repo.git("diff", "--unified=0", planted.wanted, head)
        lint = not any(f"+{edit.after[-1]}" in left.splitlines() for edit in planted.lint)
        notes += [] if exact else [f"differs:\n{left[:1500]}"]
    else:
        notes.append(str(outcome["reason"]))
    words = {"exact": exact, "lint": lint, "untouched": not touched}
    return Row(
        **{
            **_as_dict(row),
            **{k: "yes" if v else "no" for k, v in words.items()},
            "suite_runs": str(outcome["suite_runs"]),
            "note": "; ".join(notes),
        }
    )


def _as_dict(row: Row) -> dict[str, str]:
    return {f.name: getattr(row, f.name) for f in fields(row)}


def table(rows: Sequence[Row]) -> str:
    """The rows, aligned."""
    names = [f.name for f in fields(Row) if f.name != "note"]
    cells = [[n.replace("_", " ") for n in names], *([getattr(r, n) for n in names] for r in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Look at each checkout; 1 if anything promised was not seen."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "checkouts",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="checkout of a Python repository, best with a .venv in it that has pytest and ruff",
    )
    parser.add_argument("--python", default=sys.executable, help="interpreter for a checkout without a .venv")
    parser.add_argument("--tool", default=f"{shlex.quote(sys.executable)} -m zwarm_ci", help="command of the tool")
    parser.add_argument("--seed", type=int, default=1, help="what is planted depends on this and the folder's name")
    parser.add_argument("--keep", action="store_true", help="leave the clones where they are")
    options = parser.parse_args(argv)
    rows = []
    folder = Path(tempfile.mkdtemp(prefix="zwarm-bench-"))
    try:
        for checkout in options.checkouts:
            try:
                rows.append(
                    examine(checkout.resolve(), folder, shlex.split(options.tool), options.python, options.seed)
                )
            except NoPlantError as error:
                rows.append(Row(checkout.name, note=str(error)))
    finally:
        if options.keep:
            print(f"clones: {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder)
    print(table(rows))
    for row in rows:
        if row.note:
            print(f"\n{row.repository}: {row.note}")
    return 0 if all(row.good for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
