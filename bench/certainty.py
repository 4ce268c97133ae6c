"""What certainty costs: from red to a reviewable patch, in whole runs of the suite (before, calibration, verification, union).

A suite of a given length is made, bugs are planted in it, and `fix-tests` repairs them with the embedded executor. The time of all
checks of a run is divided by that of one whole run of the same suite, taken in the same minute. Where a run has several patches,
what they cost in all is shown, and what each of them cost: the limit is a patch's. The executor's own runs are shown apart, and not
counted: they look for a repair, and prove nothing.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LIMIT = 2.5  # whole runs of the suite
_BUGS = (("a + b", "a - b"), ("a * b", "a + b"), ("max(a, b)", "min(a, b)"))
_NAMES = ("total", "area", "upper")


@dataclass(frozen=True, slots=True)
class Run:
    """One repair: how many bugs, the suite's seconds alone, all checks' seconds, the whole runs that makes, and how it ended."""

    bugs: int
    suite: float
    checks: float
    executor: float
    status: str
    tasks: int

    @property
    def runs(self) -> float:
        """Checks in whole runs of the suite."""
        return self.checks / self.suite

    @property
    def each(self) -> float:
        """The same for each patch."""
        return self.runs / max(1, self.tasks)


def plant(where: Path, seconds: float, tests: int, bugs: int, seed: int) -> None:
    """A repository whose `tests` take about `seconds`, green in its first commit, with `bugs` broken functions in its second."""
    modules = max(bugs, tests // len(_NAMES))
    each = seconds / (modules * len(_NAMES))
    code = "".join(f"def {name}(a, b):\n    return {good}\n\n\n" for name, (good, _) in zip(_NAMES, _BUGS, strict=True))
    text = "".join(
        f"def test_{name}():\n    time.sleep({each})\n    assert {{module}}.{name}(3, 4) == {value}\n\n\n"
        for name, value in zip(_NAMES, (7, 12, 4), strict=True)
    )
    files = {"pyproject.toml": "[tool.pytest.ini_options]\ntestpaths = ['tests']\npythonpath = ['.']\n"}
    for number in range(modules):
        files[f"m{number}.py"] = code
        files[f"tests/test_m{number}.py"] = f"import time\n\nimport m{number}\n\n\n" + text.format(module=f"m{number}")
    for name, text in files.items():
        (where / name).parent.mkdir(parents=True, exist_ok=True)
        (where / name).write_text(text)
    _git(where, "init", "-q", "-b", "main")
    _commit(where, "green")
    for bug in range(bugs):
        number, (good, bad) = (seed * 3 + bug * 4) % modules, _BUGS[(seed + bug) % len(_BUGS)]
        file = where / f"m{number}.py"
        file.write_text(file.read_text().replace(good, bad))
    _commit(where, "broken")


def _git(where: Path, *args: str) -> None:
    who = ("-c", "user.name=bench", "-c", "user.email=bench@example.org")
    subprocess.run(["git", *who, *args], cwd=where, check=True, stdout=subprocess.DEVNULL)


def _commit(where: Path, message: str) -> None:
    _git(where, "add", "-A")
    _git(where, "commit", "-q", "-m", message)


def repair(seconds: float, tests: int, bugs: int, seed: int) -> Run:
    """Plant, run the suite once by itself, and repair."""
    top = Path(tempfile.mkdtemp(prefix="zw-certainty-"))
    try:
        repo = top / "repo"
        repo.mkdir()
        plant(repo, seconds, tests, bugs, seed)
        started = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
            cwd=repo,
            check=False,
            stdout=subprocess.DEVNULL,
        )
        suite = time.monotonic() - started
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # the interpreter that ran the suite
        env = {**os.environ, "PATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        said = subprocess.run(
            [sys.executable, "-m", "zwarm_ci", "fix-tests", "--json", "-q", "--executor", "embedded"],
            cwd=repo, check=False, capture_output=True, text=True, env=env,
        )  # fmt: skip
        outcome = json.loads(said.stdout)
        spent = outcome["seconds"]
        return Run(bugs, suite, spent["checks"], spent["executor"], outcome["status"], len(outcome["tasks"]))
    finally:
        shutil.rmtree(top)


def p90(values: Sequence[float]) -> float:
    """The ninth decile by nearest rank."""
    ordered = sorted(values)
    return ordered[math.ceil(0.9 * len(ordered)) - 1]


def _figures(runs: Sequence[float]) -> str:
    return f"median {statistics.median(runs):.2f}, p90 {p90(runs):.2f}, most {max(runs):.2f} whole runs"


def main() -> int:
    """Print a line a run, then median, p90 and the most; 1 where p90 is above the limit or something was not repaired."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of the suite")
    parser.add_argument("--tests", type=int, default=300, help="tests in it, all of the same length")
    parser.add_argument("--runs", type=int, default=5, help="repairs for each number of bugs")
    parser.add_argument("--bugs", type=int, nargs="+", default=[1, 3])
    asked = parser.parse_args()
    made = []
    print("bugs tasks  suite s  checks s  executor s  whole runs  a patch  status")
    for bugs in asked.bugs:
        for seed in range(asked.runs):
            run = repair(asked.seconds, asked.tests, bugs, seed)
            made.append(run)
            print(
                f"{run.bugs:4d} {run.tasks:5d} {run.suite:8.1f} {run.checks:9.1f} {run.executor:11.1f} {run.runs:11.2f} "
                f"{run.each:8.2f}  {run.status}",
                flush=True,
            )
    for bugs in asked.bugs:
        runs = [r.runs for r in made if r.bugs == bugs]
        print(f"{bugs} in a run, n {len(runs)}: {_figures(runs)} in all")
    each = [r.each for r in made]
    good = all(r.status == "fixed" for r in made) and p90(each) <= LIMIT
    print(f"a patch, n {len(each)}: {_figures(each)}; limit {LIMIT} {'held' if good else 'NOT held'}")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
