"""What the bench over twins is made of: a checkout that is acted in and left as it was, its recipe, what a test runner says of itself."""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from clones import Clone

from zwarm_ci import proc
from zwarm_ci.scrub import child_env

SUITE_SECONDS = 300.0
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
#: Names that runners have for one of our three words.
_WORDS = {
    "passed": "passed", "pass": "passed", "passing": "passed", "xpassed": "passed",
    "failed": "failed", "fail": "failed", "failing": "failed", "error": "failed", "errors": "failed", "failures": "failed",
    "cancelled": "failed", "unexpected successes": "failed",
    "skipped": "skipped", "pending": "skipped", "todo": "skipped", "ignored": "skipped", "xfailed": "skipped",
    "expected failures": "skipped",
}  # fmt: skip
#: Closing lines: pytest, pytest-pretty, jest, vitest, cargo, mocha.
_CLOSING = (
    re.compile(r"^=* ?(\d+ (?:passed|failed|errors?|skipped|xfailed|xpassed|warnings?)\b.*) in [\d.]+s"),
    re.compile(r"^\s+(\d+ (?:passed|failed|errors?|skipped|xfailed|xpassed))$"),
    re.compile(r"^Tests:\s+(.*\d+ total)"),
    re.compile(r"^\s*Tests\s+(\d+ .*\(\d+\))"),
    re.compile(r"^test result: \w+\. (.*)"),
    re.compile(r"^\s+(\d+ (?:passing|failing|pending)\b.*)"),
)
_NODE = re.compile(r"^(?:#|ℹ) (pass|fail|skipped|cancelled|todo) (\d+)$")
_COUNT = re.compile(r"(\d+) ([a-z]+)")
_UNITTEST = re.compile(r"^Ran (\d+) tests? in [\d.]+s$")
_UNITTEST_END = re.compile(r"^(?:OK|FAILED)(?: \((.*)\))?$")
_GO = re.compile(r"^\s*--- (PASS|FAIL|SKIP): ")


class UnfitError(Exception):
    """The checkout cannot be looked at; the message says why."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many tests a runner says it ran; `code` is its exit code, -1 = it was ended at the time limit."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    code: int = 0

    @property
    def red(self) -> int:
        """Failures; one, where the command failed and named none."""
        return self.failed or int(self.code != 0)

    @property
    def ran(self) -> int:
        """Tests that were run to an end."""
        return self.passed + self.failed

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.passed + other.passed,
            self.failed + other.failed,
            self.skipped + other.skipped,
            self.code or other.code,
        )

    def __str__(self) -> str:
        return f"{self.passed}/{self.failed}/{self.skipped}" if self.ran or self.skipped else f"exit {self.code}"


def tally(said: str, code: int) -> Tally:
    """What the closing lines in the output of a runner, or of several one after the other, add up to."""
    counts = dict.fromkeys(("passed", "failed", "skipped"), 0)
    pending = 0
    for line in _ANSI.sub("", said).splitlines():
        if (match := _UNITTEST.match(line)) is not None:
            pending = int(match[1])
        elif pending and (match := _UNITTEST_END.match(line)) is not None:
            found = [part.rpartition("=") for part in (match[1] or "").split(", ") if part]
            for word, _, number in found:
                counts[_WORDS[word]] += int(number)
            counts["passed"] += pending - sum(int(number) for _, _, number in found)
            pending = 0
        elif (match := _NODE.match(line)) is not None:
            counts[_WORDS[match[1]]] += int(match[2])
        elif (match := _GO.match(line)) is not None:
            counts[{"PASS": "passed", "FAIL": "failed", "SKIP": "skipped"}[match[1]]] += 1
        elif (closing := next((m[1] for form in _CLOSING if (m := form.match(line))), "")) != "":
            for number, word in _COUNT.findall(closing):
                if word in _WORDS:
                    counts[_WORDS[word]] += int(number)
    return Tally(**counts, code=code)


@dataclass(frozen=True, slots=True)
class Spot:
    """One place in one file: `old`, which stands there once, becomes `new`."""

    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a person would know of a repository; every part may be empty.

    Attributes:
        suite: the command with which its own people test it; "" = the detected commands.
        rebuild: a command that makes what is built anew after an edit.
        up, down: commands that start and end the services of its tests, for as long as it is looked at.
        env: variables of that person's terminal; `path` = folders that go first on PATH.
        plants: regressions; where there are none, one is looked for (Python only).
    """

    suite: str = ""
    rebuild: str = ""
    up: tuple[str, ...] = ()
    down: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    path: tuple[str, ...] = ()
    plants: tuple[Spot, ...] = ()


def recipes(file: Path) -> dict[str, Recipe]:
    """The recipes in a TOML file, by the names of the checkouts' folders."""
    found = {}
    for name, table in tomllib.loads(file.read_text(encoding="utf-8")).items():
        lists = {key: tuple(table[key]) for key in ("up", "down", "path") if key in table}
        plants = tuple(Spot(**spot) for spot in table.get("plants", ()))
        found[name] = Recipe(**{**table, **lists, "plants": plants})
    return found


@dataclass(frozen=True, slots=True)
class Checkout:
    """Somebody's repository, prepared as its people say; commits are made in it and taken away again."""

    top: Path
    recipe: Recipe
    head: str
    branch: str
    branches: frozenset[str]

    @classmethod
    @contextmanager
    def at(cls, top: Path, recipe: Recipe) -> Iterator[Checkout]:
        """The checkout at `top`, nobody else's while inside.

        Raises:
            UnfitError: another bench is at work in it, it has changes, or is on no branch.
        """
        with _alone(top):
            yield cls._read(top, recipe)

    @classmethod
    def _read(cls, top: Path, recipe: Recipe) -> Checkout:
        blank = cls(top, recipe, "", "", frozenset())
        if dirty := blank.git("status", "--porcelain"):
            raise UnfitError(f"it has changes of its own: {dirty.splitlines()[0]}")
        branch = blank.git("branch", "--show-current")
        if not branch:
            raise UnfitError("it is on no branch")
        return cls(top, recipe, blank.git("rev-parse", "HEAD"), branch, frozenset(blank.heads()))

    def git(self, *args: str) -> str:
        """Standard output of a git command that must succeed."""
        who = "-c user.name=bench -c user.email=bench@bench.example -c core.hooksPath=/dev/null -c commit.gpgsign=false"
        return proc.run(["git", *who.split(), *args], cwd=self.top, check=True).stdout.decode().rstrip("\n")

    def heads(self) -> list[str]:
        return self.git("for-each-ref", "--format=%(refname:short)", "refs/heads").splitlines()

    def environment(self, *, activated: bool) -> dict[str, str]:
        """The variables of a terminal, with `activated` one where the repository's own programs go first."""
        own = [str(p) for p in (self.top / ".venv/bin", self.top / "node_modules/.bin") if activated and p.is_dir()]
        return child_env(
            {**self.recipe.env, "PATH": os.pathsep.join((*own, *self.recipe.path, os.environ["PATH"])), "CI": ""}
        )

    def run(self, command: str, *, seconds: float = SUITE_SECONDS) -> Tally:
        """The plain command in the checkout itself, as a person runs it there."""
        with tempfile.TemporaryDirectory() as folder:
            # A .pyc is valid by size and second, so that of an edit could stand for what comes after it.
            env = {**self.environment(activated=True), "GOFLAGS": "-v", "PYTHONDONTWRITEBYTECODE": "1"}
            ended = proc.run(
                _argv(command.replace("{junit}", f"{folder}/junit.xml")), cwd=self.top, env=env, timeout=seconds
            )
        said = ended.stdout.decode("utf-8", "replace") + "\n" + ended.stderr.decode("utf-8", "replace")
        return tally(said, -1 if ended.timed_out or ended.code is None else ended.code)

    def plain(self, commands: Sequence[str]) -> Tally:
        """What its people's command, else the given ones, say of the tree as it stands, built anew where it must be."""
        if self.recipe.rebuild and self.run(self.recipe.rebuild).code:
            raise UnfitError(f"{self.recipe.rebuild} failed")
        total = Tally()
        for command in (self.recipe.suite,) if self.recipe.suite else commands:
            total += self.run(command)
        self.sweep()
        return total

    @contextmanager
    def served(self) -> Iterator[None]:
        """Its services are up while inside; what they left is ended whatever happens."""
        with proc.leaving() as tag:
            try:
                for command in self.recipe.up:
                    proc.run(_argv(command), cwd=self.top, timeout=SUITE_SECONDS, check=True, leave=tag)
                yield
            finally:
                with proc.finishing():
                    for command in self.recipe.down:
                        proc.run(_argv(command), cwd=self.top, timeout=SUITE_SECONDS)

    @contextmanager
    def left_as_it_was(self) -> Iterator[None]:
        """Branch, commits and tree are put back at the end, by a stop too."""
        try:
            yield
        finally:
            with proc.finishing():
                self.restore()
                if self.recipe.rebuild:
                    self.run(self.recipe.rebuild)

    def plant(self, spot: Spot) -> None:
        """The spot's edit in the working tree.

        Raises:
            UnfitError: `old` does not stand there exactly once.
        """
        file = self.top / spot.path
        text = file.read_bytes().decode("utf-8")
        if text.count(spot.old) != 1:
            raise UnfitError(f"{spot.old!r} stands {text.count(spot.old)} times in {spot.path}")
        file.write_bytes(text.replace(spot.old, spot.new).encode("utf-8"))

    def commit(self, subject: str) -> str:
        """The tracked files as they stand, as a commit; its id."""
        self.git("commit", "--quiet", "--all", "-m", subject)
        return self.git("rev-parse", "HEAD")

    def sweep(self) -> None:
        """Take away what tests left that is neither tracked nor ignored; there was nothing of the kind before."""
        self.git("clean", "--quiet", "-fd")

    def restore(self) -> None:
        """Branch, commits and tree as they were; branches that came since are gone."""
        self.git("checkout", "--quiet", "--force", "-B", self.branch, self.head)
        if new := [name for name in self.heads() if name not in self.branches]:
            self.git("branch", "--quiet", "-D", *new)
        self.sweep()

    def sources(self) -> dict[str, str]:
        """Tracked Python files that are no tests."""
        return Clone(self.top, "").sources()


@contextmanager
def _alone(top: Path) -> Iterator[None]:
    """Two benches in one checkout would take each other's plants for the base."""
    folder = os.open(top, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UnfitError("another bench is at work in it") from error
        yield
    finally:
        os.close(folder)


def _argv(command: str) -> list[str]:
    """A command that may begin with `NAME=value` words."""
    return ["env", *shlex.split(command)]


def aligned(cells: Sequence[Sequence[str]]) -> str:
    """Rows of words as columns."""
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    return "\n".join(
        "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )
