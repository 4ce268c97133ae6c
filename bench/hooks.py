"""What a hook costs: ours with nothing to do and on a content that is known, beside a bare interpreter and the hook framework itself.

Interleaved in one run, in a repository of its own. It judges itself by medians: nothing to do ≤ 3 x `python -c pass`, a known
content ≤ 6 x, `--version` ≤ 2 x.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import startup

from zwarm_ci import proc

_BARE = "python -c pass"
_LIMITS = {"zwarm-ci --version": 2.0, "hook, nothing to do": 3.0, "hook, known content": 6.0}
#: What we start carries our tag, and a hook with a tag is inside a run of ours: it would do nothing at all.
_FREE = ("env", "-u", proc.TAG)
_FRAMEWORK = """\
repos:
  - repo: local
    hooks:
      - {id: empty, name: empty, entry: "true", language: system, always_run: true, pass_filenames: false, stages: [pre-commit]}
"""


@dataclass(frozen=True, slots=True)
class Case:
    """One command, and the repository that it is called in."""

    argv: tuple[str, ...]
    cwd: Path


def repository(path: Path, staged: str, files: int) -> Path:
    """A repository with a check of its Python files, and one more file staged."""
    path.mkdir()
    env = {
        **os.environ,
        "GIT_CONFIG_GLOBAL": os.devnull,
        **{f"GIT_{who}_{what}": "bench@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }

    def git(*args: str) -> None:
        proc.run(["git", *args], cwd=path, env=env, check=True)

    git("init", "-q")
    (path / ".zwarm").mkdir()
    (path / ".zwarm" / "config.toml").write_text('[checks.lint]\nrun = "python -c pass"\nfiles = ["**/*.py"]\n')
    (path / ".pre-commit-config.yaml").write_text(_FRAMEWORK)
    for number in range(files):
        place = path / f"package{number % 20}" / f"module{number}.py"
        place.parent.mkdir(exist_ok=True)
        place.write_text(f"NUMBER = {number}\n")
    git("add", "-A")
    git("commit", "-q", "-m", "first")
    (path / staged).write_text("staged\n" if staged.endswith(".md") else "STAGED = True\n")
    git("add", "-A")
    return path


def cases(scratch: Path, files: int) -> dict[str, Case]:
    """What is measured; programs are those beside this interpreter, else those on PATH."""
    bins = Path(sys.executable).parent
    own, other = (shutil.which(name, path=str(bins)) or shutil.which(name) for name in ("zwarm-ci", "pre-commit"))
    zwarm = (own,) if own else (sys.executable, "-m", "zwarm_ci")
    idle, known = repository(scratch / "idle", "notes.md", files), repository(scratch / "known", "more.py", files)
    found = {
        _BARE: Case((sys.executable, "-c", "pass"), idle),
        "zwarm-ci --version": Case((*zwarm, "--version"), idle),
        "hook, nothing to do": Case((*zwarm, "hook", "pre-commit"), idle),
        "hook, known content": Case((*zwarm, "hook", "pre-commit"), known),
        "git diff --cached": Case(("git", "diff", "--cached", "--raw", "-z"), idle),
    }
    if other:
        found["pre-commit, empty hook"] = Case((other, "run"), idle)
    return found


def measure(what: Mapping[str, Case], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each command in each round; one round before that is not counted: it fills what is kept."""
    times: dict[str, list[float]] = {name: [] for name in what}
    for number in range(rounds + 1):
        for name, case in what.items():
            started = time.perf_counter()
            proc.run([*_FREE, *case.argv], cwd=case.cwd, check=True)
            if number:
                times[name].append((time.perf_counter() - started) * 1000)
    return times


def too_slow(times: Mapping[str, Sequence[float]]) -> list[str]:
    """A line for each goal that was missed."""
    bare = statistics.median(times[_BARE])
    ratios = {name: statistics.median(times[name]) / bare for name in _LIMITS}
    return [
        f"{name}: {ratio:.2f} x, the goal is {_LIMITS[name]:g} x"
        for name, ratio in ratios.items()
        if ratio > _LIMITS[name]
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-n", "--rounds", type=int, default=20, metavar="N", help="rounds, at least 5 [20]")
    parser.add_argument("--files", type=int, default=1000, metavar="N", help="files in the repository [1000]")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="zw-bench-") as scratch:
        os.environ["XDG_CACHE_HOME"] = str(Path(scratch, "cache"))
        times = measure(cases(Path(scratch), options.files), max(5, options.rounds))
    print(startup.table(times))
    missed = too_slow(times)
    print("\n".join(missed) or "every goal is met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
