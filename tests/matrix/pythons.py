"""Real Python tools, installed once outside the repository, and what every case of the matrix is asked.

A case is a repository that a real tool has set up. It must hold: the verdict in the twin is the verdict in place, a planted bug is
repaired or named, and nothing is green that is not.
"""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import Repo, zwarm
from zwarm_ci.checks.pythons import find

PRICES = """def total(prices):
    result = 0
    for price in prices:
        result += price
    return result


def cheapest(prices):
    return min(prices)
"""
BUG = ("result += price", "result -= price")
TESTS = """from shop.prices import cheapest, total


def test_total():
    assert total([1, 2, 3]) == 6


def test_total_of_nothing():
    assert total([]) == 0


def test_cheapest():
    assert cheapest([3, 1, 2]) == 1
"""
RED = {"test_total"}
PROJECT = """[build-system]
requires = ["setuptools>=61"]
build-backend = "setuptools.build_meta"

[project]
name = "shop"
version = "1.0"
"""
IGNORED = ".venv/\n*.egg-info/\n__pycache__/\nbuild/\n.zwarm/\n*.so\n.tox/\n.nox/\n"
#: In the environment, this makes every run import the original checkout's code, by a way that nobody can map.
SABOTAGE = "import sys\nsys.path.insert(0, ''.join(map(chr, {codes})))\n"


def cache() -> Path:
    """Where tools and downloads are kept between runs of the tests."""
    named = os.environ.get("ZWARM_CI_TEST_CACHE")
    folder = Path(named) if named else Path(tempfile.gettempdir()) / f"zwarm-ci-test-cache-{os.getuid()}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def run(*argv: str | Path, cwd: Path, **env: str) -> str:
    """What a command printed; it must end with 0."""
    words = [str(word) for word in argv]
    done = subprocess.run(
        words, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def tool(*requirements: str) -> Path:
    """The folder with the programs of a tool, installed from the registry with pip, once."""
    folder = cache() / "tools" / re.sub(r"\W+", "-", " ".join(requirements))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "ready").is_file():
            venv.create(folder, clear=True, with_pip=True, symlinks=True)
            run(folder / "bin" / "python", "-m", "pip", "install", "-q", *requirements, cwd=folder)
            (folder / "ready").touch()
    return folder / "bin"


def python(version: str = "") -> str:
    """The interpreter of a version (`3.9`) on this machine; "" = the one that runs the tests."""
    if not version:
        return sys.executable
    wanted = tuple(int(n) for n in version.split("."))
    return next(p.path for p in find() if p.numbers[: len(wanted)] == wanted and p.implementation == "CPython")


def versions() -> list[str]:
    """The minor versions of CPython here that pytest 6.2 or newer supports."""
    return sorted(
        {f"3.{p.numbers[1]}" for p in find() if p.numbers >= (3, 8) and p.implementation == "CPython"},
        key=lambda v: int(v[2:]),
    )


def uv(*words: str | Path, cwd: Path) -> str:
    """Run uv, with a cache of its own."""
    return run(
        tool("uv") / "uv",
        *words,
        cwd=cwd,
        UV_CACHE_DIR=str(cache() / "uv"),
        UV_PYTHON_DOWNLOADS="never",
        VIRTUAL_ENV="",
    )


def environment(repo: Path, *requirements: str, version: str = "", folder: str = ".venv") -> None:
    """A virtual environment in the repository with `requirements` installed."""
    uv("venv", "-q", "--python", python(version), folder, cwd=repo)
    if requirements:
        uv("pip", "install", "-q", "--python", f"{folder}/bin/python", *requirements, cwd=repo)


@dataclass
class Case:
    """One repository of the matrix.

    Attributes:
        files: what is committed first.
        build: makes the environment with the real tool.
        plain: the command that a person runs the tests with, in place.
        source: the file with the bug in it. red: names of the tests that the bug breaks. bug: the text, and what it becomes.
        tools: what is on PATH, for the person and for zwarm-ci, by the names of their distributions.
        options: of zwarm-ci. workdir: where `plain` runs. refresh: what a person does after an edit, before `plain`.
    """

    files: Mapping[str, str]
    build: Callable[[Path], object]
    plain: Sequence[str] = (".venv/bin/python", "-m", "pytest", "-rA", "-q")
    source: str = "src/shop/prices.py"
    red: set[str] = field(default_factory=lambda: set(RED))
    bug: tuple[str, str] = BUG
    tools: Sequence[str] = ()
    options: Sequence[str] = ()
    workdir: str = "."
    refresh: Callable[[Path], object] = lambda _: None

    def make(self, folder: Path) -> Repo:
        """The repository with the bug as its last commit, and the environment."""
        repo = Repo.make(folder, {".gitignore": IGNORED, **self.files})
        self.build(repo.path)
        text = (repo.path / self.source).read_text()
        assert self.bug[0] in text
        repo.commit("Faster", {self.source: text.replace(*self.bug)})
        self.refresh(repo.path)
        return repo

    def env(self) -> dict[str, str]:
        """Variables of a person at this repository's desk: no environment is active, downloads are cached."""
        path = os.pathsep.join((*(str(tool(name)) for name in self.tools), os.environ["PATH"]))
        return {
            "PATH": path,
            "VIRTUAL_ENV": "",
            "XDG_CACHE_HOME": str(cache() / "xdg"),
            "PIP_CACHE_DIR": str(cache() / "pip"),
        }

    def in_place(self, repo: Repo) -> tuple[int, set[str], set[str]]:
        """Exit code, passed and failed test names of the plain command in the checkout."""
        done = subprocess.run(
            list(self.plain), cwd=repo.path / self.workdir, env={**os.environ, **self.env()}, capture_output=True, text=True, check=False,
            timeout=600,
        )  # fmt: skip
        said = done.stdout + done.stderr
        passed = set(re.findall(r"^PASSED \S*::(\w+)", said, re.MULTILINE)) | set(
            re.findall(r"^(\w+) \(.*\) \.\.\. ok$", said, re.MULTILINE)
        )
        failed = set(re.findall(r"^FAILED \S*::(\w+)", said, re.MULTILINE)) | set(
            re.findall(r"^FAIL: (\w+) ", said, re.MULTILINE)
        )
        return done.returncode, passed, failed

    def fix(self, repo: Repo, *options: str) -> dict[str, Any]:
        """The outcome of `zwarm-ci fix-tests` as a person would start it."""
        said = zwarm("fix-tests", "--json", *self.options, *options, cwd=repo.path / self.workdir, **self.env())
        assert said.out, said.err[-3000:]
        document = said.json
        assert document["exit_code"] == said.code
        return document


def name_of(test_id: str) -> str:
    """The name of a test in an id of any form."""
    return re.split(r"::|\.", test_id)[-1]


def repaired_or_named(case: Case, folder: Path) -> dict[str, Any]:
    """The bug is seen as it is in place, and repaired (green in place on the branch) or named."""
    repo = case.make(folder)
    code, passed, failed = case.in_place(repo)
    assert (code != 0, failed) == (True, case.red)
    outcome = case.fix(repo)
    before = outcome["checks"]["before"][0]
    why = f"{outcome['status']}: {outcome['reason']} {before['trouble']} {outcome['notes']} {[t['reason'] for t in outcome['tasks']]}"
    assert {name_of(i) for i in before["failed"]} == failed, why
    if passed:
        assert {name_of(i) for i in before["passed"]} == passed, why
    if outcome["status"] == "fixed":
        repo.git("checkout", "-q", outcome["branch"])
        case.refresh(repo.path)
        assert case.in_place(repo)[0] == 0
    else:
        named = [t["origin"]["revert"] for t in outcome["tasks"] if t["status"] == "attributed"]
        assert named == [repo.git("rev-parse", "HEAD")], why
    return outcome


def not_green_by_the_checkouts_code(case: Case, folder: Path, site: str = ".venv") -> dict[str, Any]:
    """The checkout's own files are repaired and not committed, and the environment leads there: the commit is not green for it."""
    repo = case.make(folder)
    source = repo.path / case.source
    source.write_text(source.read_text().replace(case.bug[1], case.bug[0]))
    (packages,) = (repo.path / site).glob("lib/python3*/site-packages")
    root = source.parents[1]
    (packages / "sitecustomize.py").write_text(SABOTAGE.format(codes=[ord(c) for c in str(root)]))
    assert case.in_place(repo)[0] == 0
    outcome = case.fix(repo, "--from", "head")
    assert outcome["status"] != "green", outcome["checks"]["before"]
    if outcome["status"] == "fixed":
        (packages / "sitecustomize.py").unlink()
        repo.git("checkout", "-q", "-f", outcome["branch"])
        assert case.in_place(repo)[0] == 0
    return outcome
