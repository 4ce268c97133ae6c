"""How long a start takes: `zwarm-ci --version` and `--help` beside a bare interpreter and `pre-commit --version`, interleaved."""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from zwarm_ci import proc


def commands() -> dict[str, list[str]]:
    """What is measured; console scripts are those beside this interpreter, else those on PATH."""
    bins = Path(sys.executable).parent
    own, other = (shutil.which(name, path=str(bins)) or shutil.which(name) for name in ("zwarm-ci", "pre-commit"))
    zwarm = [own] if own else [sys.executable, "-m", "zwarm_ci"]
    found = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "zwarm-ci --version": [*zwarm, "--version"],
        "zwarm-ci --help": [*zwarm, "--help"],
    }
    if other:
        found["pre-commit --version"] = [other, "--version"]
    return found


def measure(what: Mapping[str, Sequence[str]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each command in each round; one round before that is not counted, as it fills caches."""
    times: dict[str, list[float]] = {name: [] for name in what}
    for number in range(rounds + 1):
        for name, argv in what.items():
            started = time.perf_counter()
            proc.run(argv, cwd=Path.cwd(), check=True)
            if number:
                times[name].append((time.perf_counter() - started) * 1000)
    return times


def table(times: Mapping[str, Sequence[float]]) -> str:
    """Minimum, median, maximum and the ratio of the medians to the first line's."""
    first = statistics.median(next(iter(times.values())))
    lines = [f"{'ms':<22}{'min':>8}{'median':>8}{'max':>8}{'ratio':>8}"]
    for name, values in times.items():
        middle = statistics.median(values)
        lines.append(f"{name:<22}{min(values):>8.1f}{middle:>8.1f}{max(values):>8.1f}{middle / first:>8.2f}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-n", "--rounds", type=int, default=15, metavar="N", help="rounds, at least 15 [15]")
    rounds = max(15, parser.parse_args(argv).rounds)
    print(table(measure(commands(), rounds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
