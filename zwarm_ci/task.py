"""Nouns of the work: checks, failures, tasks, usage. Frozen values; no behaviour beyond naming."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from zwarm_ci import globs

Kind = Literal["pytest", "junit", "ruff", "mypy", "tsc", "eslint", "go", "cargo", "generic"]
KINDS: tuple[Kind, ...] = ("pytest", "junit", "ruff", "mypy", "tsc", "eslint", "go", "cargo", "generic")
Isolation = Literal["twin", "inplace"]
#: What an executor's commands may write; the last only where a person asks for it by name.
Sandbox = Literal["read-only", "workspace-write", "danger-full-access"]
#: Kinds that `fix-tests` runs; the others are lint, types and build.
TEST_KINDS: frozenset[Kind] = frozenset({"pytest", "junit", "go", "cargo"})
_FILES: dict[Kind, tuple[str, ...]] = {
    "pytest": (*globs.PYTHON, *globs.TEST_DATA),
    "ruff": globs.PYTHON,
    "mypy": globs.PYTHON,
    "tsc": globs.JAVASCRIPT,
    "eslint": globs.JAVASCRIPT,
    "go": (*globs.GO, *globs.TEST_DATA),
    "cargo": (*globs.RUST, *globs.TEST_DATA),
    "junit": globs.SOURCES,
    "generic": globs.EVERYTHING,
}


def usual_files(kind: Kind, workdir: str) -> tuple[str, ...]:
    """Globs of the files that a check of this kind is about, relative to the repository's top."""
    return _FILES[kind] if workdir == "." else tuple(f"{workdir}/{glob}" for glob in _FILES[kind])


@dataclass(frozen=True, slots=True)
class Check:
    """One command whose result is believed, as settings or detection named it. Times in seconds.

    `files`: globs of the files that make it run in a hook, relative to the repository's top.
    """

    name: str
    run: str
    kind: Kind = "generic"
    workdir: str = "."
    timeout: float = 900.0
    fix: str = ""
    setup: str = ""
    env: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    exclusive: bool = False
    services_up: str = ""
    services_down: str = ""
    isolation: Isolation = "twin"
    network: bool = False
    why: str = "configured"
    files: tuple[str, ...] = globs.EVERYTHING

    @property
    def is_test(self) -> bool:
        """Whether the check runs tests (as opposed to lint, types, build)."""
        return self.kind in TEST_KINDS or self.name.startswith("test")


@dataclass(frozen=True, slots=True)
class Place:
    """A line of the repository: path relative to its top, POSIX separators; `line` counts from 1, 0 = the whole file."""

    path: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" if self.line else self.path


@dataclass(frozen=True, slots=True)
class Failure:
    """One red id of one check.

    Attributes:
        check: name of the check.
        id: stable under line moves: a test's node id, or `path::RULE[message]` for linters.
        message: one line, e.g. `AssertionError: assert 3 == 4`.
        detail: bounded traceback or tool output for people and executors.
        place: innermost frame in the repository's own code, where known.
        shape: exception type or rule code, e.g. `AssertionError`, `F401`; what two failures of one cause share.
        fixable: the tool itself says that a safe fix exists.
        frames: the repository's frames, outermost first.
    """

    check: str
    id: str
    message: str = ""
    detail: str = ""
    place: Place | None = None
    shape: str = ""
    fixable: bool = False
    frames: tuple[Place, ...] = ()


def failure_of(data: Mapping[str, Any]) -> Failure:
    """The failure whose fields, as `dataclasses.asdict` gives them, were written to JSON."""
    place = Place(**data["place"]) if data["place"] else None
    return Failure(**{**data, "place": place, "frames": tuple(Place(**p) for p in data["frames"])})


@dataclass(frozen=True, slots=True)
class Task:
    """Failures with one cause, and the text that an executor gets. `fingerprint` is hex, stable across runs and line moves.

    `refs`: what it answers to outside of the repository, as a commit names it, such as `#12`; "" = nothing. `quoted`: the text
    quotes somebody who may be anybody, so that what it names may not change for being named.
    """

    id: str
    title: str
    fingerprint: str
    check: str
    failures: tuple[Failure, ...]
    text: str = ""
    refs: str = ""
    quoted: bool = False

    @property
    def targets(self) -> tuple[str, ...]:
        """The ids that must become green."""
        return tuple(f.id for f in self.failures)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens in disjoint buckets; `reasoning_tokens` alone is a part of another (output)."""

    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.cache_read_tokens + other.cache_read_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
            self.output_tokens + other.output_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )

    def __sub__(self, other: Usage) -> Usage:
        """What came since `other`, an earlier total of the same counter; never below 0."""
        return Usage(
            max(0, self.input_tokens - other.input_tokens),
            max(0, self.cache_read_tokens - other.cache_read_tokens),
            max(0, self.cache_write_tokens - other.cache_write_tokens),
            max(0, self.output_tokens - other.output_tokens),
            max(0, self.reasoning_tokens - other.reasoning_tokens),
        )

    @property
    def total(self) -> int:
        """Every token that was counted, each once."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a session's model calls go: our gateway on this machine. `url` ends without `/v1`; `token` opens nothing else."""

    url: str
    token: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a regression came from: the commit, its author and subject, and the hunks' places in today's files."""

    revert: str
    author: str
    subject: str
    places: tuple[str, ...] = field(default=())
