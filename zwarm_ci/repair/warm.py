"""Starts the process that works in the repository's interpreter (`probe/zwarm_ci_bench.py`) and reads what it says.

It imports the tests once and forks for everything that it tries, which makes an edit cost milliseconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from zwarm_ci import environment, proc
from zwarm_ci.checks import argv_of, tox
from zwarm_ci.repair.lab import Lab
from zwarm_ci.repair.localize import Spectrum
from zwarm_ci.scrub import decode
from zwarm_ci.task import Check

_SCRIPT = Path(__file__).parent / "probe" / "zwarm_ci_bench.py"
_NEAR = 200  # tests of the same files, traced beside the failing ones
_SPARE = 20.0  # seconds that a process may need beyond its own limit, for importing and ending


def events(lab: Lab, mode: str, seconds: float, **more: object) -> Iterator[dict[str, Any]]:
    """What the process says in one mode (trace, swaps, imports or probe), on the base's files. Counts as one suite run."""
    worktree = lab.stand(lab.base_tree)
    check = lab.subject.check
    cwd = worktree.path / check.workdir
    order = {
        "mode": mode, "seconds": seconds, "targets": list(lab.targets), "near": _NEAR,
        "root": str(worktree.path.resolve()), "cwd": str(cwd.resolve()), **_how(check, cwd), **more,
    }  # fmt: skip
    around, trouble = lab.surrounded(worktree.path)
    if trouble:
        return
    lab.count(f"{mode} in one warm process")
    lab.disturbed()
    variables = environment.child_environment(
        lab.env, worktree.path, check, tmp=lab.scratch / "warm", bytecode=lab.scratch.resolve().parent / "bytecode"
    )
    with lab.turn():
        ended = proc.run(
            [lab.env.python, str(_SCRIPT)],
            cwd=cwd,
            env={**variables, **around.variables},
            timeout=seconds + _SPARE,
            stdin=json.dumps(order).encode(),
        )
    for line in decode(ended.stdout).splitlines():
        yield json.loads(line)


def speaks(lab: Lab) -> bool:
    """Whether the task's check is one whose tests the process can run: pytest or our unittest runner, ids of tests."""
    check = lab.subject.check
    return (
        bool(lab.env.python)
        and (check.kind == "pytest" or (_is_unittest(check) and check.workdir == "."))
        and not tox.tool_of(argv_of(check.run)[0])
        and not any("::startup" in t for t in lab.targets)
    )


def trace(lab: Lab, seconds: float) -> Spectrum | None:
    """Lines that the failing and the near tests run; None where the process did not get so far."""
    spectrum = Spectrum(lab.targets)
    for event in events(lab, "trace", seconds):
        spectrum.hear(event)
    return spectrum if spectrum.imported or spectrum.failing else None


def _is_unittest(check: Check) -> bool:
    argv, _ = argv_of(check.run)
    return check.kind == "junit" and argv[1:3] == ["-m", "unittest"]


def _how(check: Check, cwd: Path) -> dict[str, object]:
    """The runner, its options without the paths (the targets' files are named instead), and whether the folder is importable."""
    argv, _ = argv_of(check.run)
    if _is_unittest(check):
        return {"runner": "unittest", "discover": _discovery(argv), "cwd_on_path": True}
    at = next((n for n, part in enumerate(argv) if Path(part).name in {"pytest", "py.test"}), len(argv))
    options = [part for part in argv[at + 1 :] if not (cwd / part.partition("::")[0]).exists()]
    return {"runner": "pytest", "options": options, "cwd_on_path": "-m" in argv[:at]}


def _discovery(argv: list[str]) -> dict[str, str]:
    """Discovery options of unittest, by the names of `TestLoader.discover`."""
    found = {"start_dir": "."}
    names = {"-s": "start_dir", "--start-directory": "start_dir", "-p": "pattern", "--pattern": "pattern", "-t": "top_level_dir",
             "--top-level-directory": "top_level_dir"}  # fmt: skip
    for option, value in pairwise(argv):
        if option in names:
            found[names[option]] = value
    return found
