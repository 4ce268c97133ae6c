"""A clone of somebody's repository with its virtual environment, its tests and its lint; the original is only read."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from planting import Edit, apply

from zwarm_ci import proc
from zwarm_ci.scrub import child_env

SUITE_SECONDS = 120.0
_NO_SOURCE = re.compile(
    r"(^|/)(tests?|testing|docs?|examples?|scripts?|bench\w*|misc|fuzzer|profiler|build)(/|$)|(^|/)(test\w*|conftest|setup|noxfile)\.py$"
)
_SHORT = re.compile(r"^(?:FAILED|ERROR|SUBFAILED\S*) (\S+)", re.MULTILINE)
_COUNT = re.compile(r"(\d+) (passed|failed|error)")


class NoPlantError(Exception):
    """Nothing could be planted there; the message says why."""


@dataclass(frozen=True, slots=True)
class Suite:
    """One run of a repository's tests."""

    red: frozenset[str]
    total: int
    broken: bool  # did not end as a run with results


@dataclass(frozen=True, slots=True)
class Clone:
    """A repository of our own in a temporary folder, and the interpreter that runs its tests."""

    top: Path
    python: str

    def git(self, *args: str) -> str:
        """Standard output of a git command that must succeed."""
        who = (
            "-c",
            "user.name=bench",
            "-c",
            "user.email=bench@bench.example",
            "-c",
            "core.hooksPath=/dev/null",
            "-c",
            "commit.gpgsign=false",
        )
        return proc.run(["git", *who, *args], cwd=self.top, check=True).stdout.decode().rstrip("\n")

    def env(self) -> dict[str, str]:
        """As in a terminal where the virtual environment is activated."""
        bins = str(Path(self.python).parent)
        return child_env({"VIRTUAL_ENV": str(Path(bins).parent), "PATH": f"{bins}:{os.environ['PATH']}"})

    def suite(self) -> Suite:
        """The whole suite, once."""
        argv = [self.python, "-m", "pytest", "-q", "-rfE", "--color=no", "-p", "no:cacheprovider"]
        env = {**self.env(), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "1000"}
        ended = proc.run(argv, cwd=self.top, env=env, timeout=SUITE_SECONDS)
        said = ended.stdout.decode("utf-8", "replace")
        counts = {word: int(number) for number, word in _COUNT.findall(said.strip().rpartition("\n")[2])}
        red = frozenset(_SHORT.findall(said))
        broken = ended.code not in {0, 1} or "error" in counts or (ended.code == 1 and not red)
        return Suite(red, sum(counts.values()), broken)

    def lint(self, *paths: str) -> list[str]:
        """Files with findings of ruff, by the repository's own settings."""
        argv = [self.python, "-m", "ruff", "check", "--no-cache", "--no-fix", "--output-format", "json", *paths]
        ended = proc.run(argv, cwd=self.top, env=self.env())
        if ended.code not in {0, 1}:
            raise NoPlantError(f"ruff does not run: {ended.stderr.decode()[-200:]}")
        return sorted({os.path.relpath(f["filename"], self.top) for f in json.loads(ended.stdout)})

    def sources(self) -> dict[str, str]:
        """Tracked Python files that are no tests, in UTF-8 with plain line ends."""
        found = {}
        for path in self.git("ls-files", "-z", "*.py").split("\0"):
            if path and not _NO_SOURCE.search(path):
                text = (self.top / path).read_bytes().decode("utf-8", "replace")
                if "\r" not in text and "\ufffd" not in text and "\f" not in text:
                    found[path] = text
        return found

    def write(self, sources: Mapping[str, str], edits: Sequence[Edit]) -> None:
        """The sources with these edits; files without any as they were."""
        for path, text in sources.items():
            (self.top / path).write_text(
                apply(text, [e for e in edits if e.path == path]), encoding="utf-8", newline="\n"
            )

    def commit(self, subject: str) -> str:
        """Everything in the tree as a commit; its id."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", subject)
        return self.git("rev-parse", "HEAD")


def clone(checkout: Path, folder: Path, python: str) -> Clone:
    """A clone of `checkout` with its ignored files; a virtual environment in it is moved along, so that it runs this copy."""
    top = folder / checkout.name
    proc.run(["git", "clone", "--quiet", "--no-hardlinks", str(checkout), str(top)], cwd=folder, check=True)
    (top / ".git/info").mkdir(exist_ok=True)
    with (top / ".git/info/exclude").open("a") as file:
        file.write("/.venv/\n")
    ignored = proc.run(
        ["git", "ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory"],
        cwd=checkout,
        check=True,
    )
    whole: list[str] = []  # git lists a folder that ignores itself, as uv's environments do, and what is in it too
    for name in sorted(os.fsdecode(p).rstrip("/") for p in ignored.stdout.split(b"\0") if p):
        if name.startswith(tuple(f"{folder}/" for folder in whole)):
            continue
        if (checkout / name).is_dir():
            whole.append(name)
            shutil.copytree(checkout / name, top / name, symlinks=True)
        else:
            shutil.copy2(checkout / name, top / name)
    for path in [
        *top.glob(".venv/bin/*"),
        *top.glob(".venv/lib/*/site-packages/*.pth"),
        *top.glob(".venv/lib/*/site-packages/__editable__*"),
        *top.glob(".venv/lib/*/site-packages/*.dist-info/direct_url.json"),
    ]:
        if path.is_file() and not path.is_symlink() and path.stat().st_size < 1_000_000:
            data = path.read_bytes()
            path.write_bytes(data.replace(os.fsencode(checkout), os.fsencode(top)))
    own = top / ".venv/bin/python"
    return Clone(top, str(own) if own.exists() else python)
