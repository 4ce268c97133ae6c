"""A repository with many red tests, each of its own cause, whose checks take milliseconds; and clones that share only files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support import Repo, Said

#: Runs every function `test_*` below tests/ and writes a JUnit report; starts without site-packages, so that a run costs little.
RUNNER = """\
import os, sys

sys.path.insert(0, "src")
cases, red = [], 0
for file in sorted(os.listdir("tests")):
    space = {}
    with open(f"tests/{file}") as text:
        exec(compile(text.read(), f"tests/{file}", "exec"), space)
    for name in [n for n in space if n.startswith("test_")]:
        said = ""
        try:
            space[name]()
        except Exception as error:
            red += 1
            kind, frames, at = type(error).__name__, [], error.__traceback__.tb_next
            while at:
                code = at.tb_frame.f_code
                frames.append(f'  File "{code.co_filename}", line {at.tb_lineno}, in {code.co_name}')
                at = at.tb_next
            words = str(error).replace("&", "&amp;").replace("<", "&lt;").replace('"', "'")
            text = chr(10).join([*frames, f"{kind}: {words}"])
            said = f'<failure type="{kind}" message="{words}">{text}</failure>'
        cases.append(f'<testcase classname="tests/{file}" name="{name}">{said}</testcase>')
with open(sys.argv[1], "w") as report:
    report.write(f'<testsuite tests="{len(cases)}">{"".join(cases)}</testsuite>')
sys.exit(red > 0)
"""
CONFIG = f"""\
[checks.tests]
run = "{sys.executable} -S -B run.py {{junit}}"
kind = "junit"

[verify]
reruns = 1
burn_in = 1
"""


def patient(*args: str, cwd: Path, **env: str) -> Said:
    """The command line, for as long as it takes: a hundred tasks are much for a machine that has other work."""
    done = subprocess.run(
        [sys.executable, "-m", "zwarm_ci", *args], cwd=cwd, env={**os.environ, **env}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return Said(done.returncode, done.stdout, done.stderr)


def names(count: int) -> list[str]:
    return [f"{number:03d}" for number in range(1, count + 1)]


def make(path: Path, count: int, *, together: int = 1) -> Repo:
    """`count` functions that divide, `together` in a module, a test for each, and one commit by which each divides by nothing."""
    files = {"run.py": RUNNER, ".zwarm/config.toml": CONFIG, ".gitignore": ".zwarm/*\n!.zwarm/config.toml\n"}
    modules = {some[0]: some for some in _some(names(count), together)}
    files |= {f"src/m{module}.py": _module(some, 2) for module, some in modules.items()}
    for module, some in modules.items():
        for n in some:
            call = f"m{module}.half_{n}({int(n)})"
            files[f"tests/test_{n}.py"] = f"import m{module}\n\n\ndef test_{n}():\n    assert {call} == {int(n)} // 2\n"
    repo = Repo.make(path, files)
    repo.commit("divide by nothing", {f"src/m{module}.py": _module(some, 0) for module, some in modules.items()})
    return repo


def _some(values: list[str], size: int) -> list[list[str]]:
    return [values[start : start + size] for start in range(0, len(values), size)]


def _module(some: list[str], divisor: int) -> str:
    return "\n\n".join(
        f'def half_{n}(number):\n    """Half, rounded down."""\n    return number // {divisor}\n' for n in some
    )


def clone(repo: Repo, path: Path) -> Repo:
    """A fresh clone, which has its own objects."""
    repo.git("clone", "-q", "--no-local", repo.path.as_uri(), str(path))
    made = Repo(path)
    made.git("config", "user.name", "Ada")
    made.git("config", "user.email", "ada@example.org")
    return made


def plan(repo: Repo, out: Path, *args: str, **env: str) -> Said:
    return patient("plan", "--out", str(out), "--json", "-q", *args, cwd=repo.path, **env)


def work(repo: Repo, folder: Path, job: str, out: Path, **env: str) -> Said:
    return patient("work", "--plan", str(folder), "--job", job, "--out", str(out), "--json", "-q", cwd=repo.path, **env)


def collect(repo: Repo, folder: Path, *works: Path, args: tuple[str, ...] = (), **env: str) -> Said:
    given = [part for path in works for part in ("--work", str(path))]
    return patient("collect", "--plan", str(folder), *given, "--json", "-q", *args, cwd=repo.path, **env)


def jobs(said: Said) -> list[str]:
    return [row["job"] for row in said.json["matrix"]["include"]]


def history(repo: Repo, outcome: dict[str, Any]) -> list[tuple[str, str]]:
    """(tree, subject) of each commit of a run's branch, oldest first."""
    rows = repo.git("log", "--reverse", "--format=%T %s", f"{outcome['base']}..{outcome['head']}").splitlines()
    return [(row.partition(" ")[0], row.partition(" ")[2]) for row in rows]


def ends(outcome: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """(id, fingerprint, status, method) of each task."""
    return [(t["id"], t["fingerprint"], t["status"], t["method"]) for t in outcome["tasks"]]


def changed(folder: Path, name: str, change: Any) -> None:
    """Rewrite a JSON file of a plan or a result."""
    file = folder / name
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))
