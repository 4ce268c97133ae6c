"""What a second worktree costs: ours, furnished, beside `git worktree add`, made in turns; and one of ours made clean for the next.

The repository is made for the purpose: N Python files of 20 to 60 lines in 50 x 40 folders, packed, with a virtual environment that
has the project installed editably. `added` is `git worktree add --detach` in that repository with git's own settings.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import sys
import tempfile
import time
import venv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zwarm_ci import proc
from zwarm_ci.budget import Ledger
from zwarm_ci.confine import Means
from zwarm_ci.furnish import Furnisher
from zwarm_ci.git import open_repository
from zwarm_ci.private import PrivateRepository
from zwarm_ci.surround import Surroundings
from zwarm_ci.task import Check
from zwarm_ci.trees import Trees

LIMIT = 1.2  # how many times the cost of `git worktree add` ours may be
_CHECK = Check("tests", "python -m pytest", "pytest")
_WHO = b"Bench <bench@example.invalid> 0 +0000"


@dataclass(slots=True)
class Times:
    """Seconds of each round."""

    files: int
    added: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    again: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """Median of ours by median of git's."""
        return statistics.median(self.ours) / statistics.median(self.added)


def make_repository(folder: Path, files: int) -> Path:
    """A repository of `files` files with an ignored virtual environment."""
    folder.mkdir(parents=True)
    git = ["git", "-C", str(folder)]
    proc.run([*git, "init", "-q", "-b", "main"], cwd=folder, check=True)
    proc.run([*git, "fast-import", "--quiet"], cwd=folder, stdin=b"".join(_stream(files)), check=True)
    proc.run([*git, "repack", "-adq"], cwd=folder, check=True)
    proc.run([*git, "reset", "-q", "--hard"], cwd=folder, check=True)
    venv.create(folder / ".venv", with_pip=False, symlinks=True)
    site = next((folder / ".venv" / "lib").glob("python*/site-packages"))
    (site / "project.pth").write_text(f"{folder}\n", encoding="utf-8")
    return folder


def _stream(files: int) -> Iterator[bytes]:
    rng = random.Random(files)
    yield b"commit refs/heads/main\ncommitter %s\ndata 4\nbase\n" % _WHO
    yield b"M 100644 inline .gitignore\ndata 7\n.venv/\n\n"
    for number in range(files - 1):
        lines = range(rng.randrange(20, 60))
        text = "".join(f"def f{n}(x):\n    return x * {rng.randrange(10**6)} + {rng.randrange(10**6)}\n" for n in lines)
        path = f"pkg{number % 50}/part{number // 50 % 40}/m{number}.py"
        yield f"M 100644 inline {path}\ndata {len(text)}\n{text}\n".encode()


def measure(repository: Path, files: int, rounds: int, scratch: Path) -> Times:
    """`rounds` worktrees of each kind, in turns; one round before that is not counted."""
    user = open_repository(repository)
    private = PrivateRepository.create(user, scratch / "private.git")
    furnisher = Furnisher(private, user.head)
    furnisher.env_of(_CHECK.workdir)  # found once a run, whatever the number of worktrees
    trees = Trees(furnisher, Surroundings("bench", Means("none", "")), scratch, Ledger(), scratch / "logs")
    times = Times(files)
    for number in range(rounds + 1):
        plain = scratch / f"plain{number}"
        started = time.perf_counter()
        proc.run(["git", "worktree", "add", "-q", "--detach", str(plain)], cwd=repository, check=True)
        added = time.perf_counter() - started
        started = time.perf_counter()
        prepared = trees.fresh(user.head, (_CHECK,), "bench")
        ours = time.perf_counter() - started
        (prepared.path / "left.behind").write_text("x")
        trees.discard(prepared)
        started = time.perf_counter()
        again = trees.fresh(user.head, (_CHECK,), "bench")
        reset = time.perf_counter() - started
        if again.path != prepared.path or (again.path / "left.behind").exists():
            raise SystemExit("the pooled worktree was remade, or is not clean")
        shutil.rmtree(again.path.parent)
        proc.run(["git", "worktree", "remove", "--force", str(plain)], cwd=repository, check=True)
        if number:
            times.added.append(added)
            times.ours.append(ours)
            times.again.append(reset)
    return times


def table(measured: Sequence[Times]) -> str:
    """Medians, and the ratio of ours to git's."""
    lines = [f"{'files':>8}{'rounds':>8}{'git worktree add s':>20}{'ours s':>9}{'ratio':>7}{'reset s':>9}"]
    for t in measured:
        git, ours, again = (statistics.median(v) for v in (t.added, t.ours, t.again))
        lines.append(f"{t.files:>8}{len(t.ours):>8}{git:>20.3f}{ours:>9.3f}{t.ratio:>7.2f}{again:>9.3f}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; 1 where a ratio is above the limit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "sizes", nargs="*", type=int, default=[1_000, 10_000, 100_000], help="files [1000 10000 100000]"
    )
    parser.add_argument("-n", "--rounds", type=int, default=3, metavar="N", help="rounds of each size [3]")
    given = parser.parse_args(argv)
    measured = []
    for files in given.sizes:
        with tempfile.TemporaryDirectory(prefix="zw-bench-") as folder:
            place = Path(folder).resolve()
            repository = make_repository(place / "repository", files)
            measured.append(measure(repository, files, max(1, given.rounds), place / "scratch"))
    print(table(measured))
    return int(any(t.ratio > LIMIT for t in measured))


if __name__ == "__main__":
    sys.exit(main())
