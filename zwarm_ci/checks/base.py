"""What a kind of check is given and gives back, and the Protocol that every kind follows.

A kind is one file, a line in `KINDS` (checks/run.py) and a call of tests/conformance/parser.py.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Protocol

from zwarm_ci.checks.reduce import reduce_log
from zwarm_ci.proc import Exit
from zwarm_ci.scrub import decode, one_line
from zwarm_ci.streams import MIB
from zwarm_ci.task import Check, Failure, Place

MAX_OUTPUT = 64 * MIB  # what a parser reads; nobody repairs from more
PROBE = Path(__file__).parent / "probe"
#: How package managers are told where to install from and through which proxy.
PACKAGE_SETTINGS = re.compile(
    r"^(PIP_(INDEX_URL|EXTRA_INDEX_URL|CONFIG_FILE|CERT|FIND_LINKS|CONSTRAINT)|UV_(DEFAULT_INDEX|INDEX|INDEX_URL|EXTRA_INDEX_URL|CACHE_DIR|PYTHON\w*|OFFLINE|"
    r"NATIVE_TLS)|NPM_CONFIG_\w+|(HTTPS?|ALL|NO)_PROXY|CARGO_\w+|GOPROXY|GONOSUMDB|GOSUMDB)$",
    re.IGNORECASE,
)
_LINE_NUMBER = re.compile(r"\b(lines?|ln|col(?:umn)?) \d+\b", re.IGNORECASE)
_LAST_LINES = 3


@dataclass(frozen=True, slots=True)
class Watch:
    """How closely a run is watched, where the kind can; unsupported wishes are passed over (`run.can_doom`).

    Attributes:
        doom: every test that runs does what it does and then fails, so that whoever makes it pass is seen.
        targets: ids a doomed copy of which runs beside them, in the same module and process.
        lines: paths from the tree's top whose executed lines are wanted.
    """

    doom: bool = False
    targets: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()


UNWATCHED = Watch()


@dataclass(frozen=True, slots=True)
class Job:
    """One run of one check, prepared step by step.

    Attributes:
        argv, env, cwd: what is started. log: file with all that it prints.
        tree: the worktree's top. top: the original checkout's.
        folder: this run's own folder, for report files.
        token: random; names the folder and report files. secret: likewise, and in no path that the tree could see; names the
            canary and the doomed copies, and signs the probe's events.
        only: run just these ids, where the kind can.
        canary: plant a test that must fail, where the kind can.
        watch: what else is to be seen.
    """

    check: Check
    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: Path
    tree: Path
    top: Path
    folder: Path
    log: Path
    token: str
    only: tuple[str, ...] = ()
    canary: bool = False
    watch: Watch = UNWATCHED
    secret: str = ""

    def output(self, ended: Exit) -> str:
        """What the command printed, at most `MAX_OUTPUT` bytes of it."""
        if not ended.dropped:
            return decode(ended.stdout)
        with self.log.open("rb") as file:
            return decode(file.read(MAX_OUTPUT))

    def with_env(self, **more: str) -> Job:
        """The same job with further variables."""
        return replace(self, env={**self.env, **more})


def _as_it_is(command: str) -> str:
    return command


@dataclass(frozen=True, slots=True)
class Around:
    """What surrounds a run: words before its command (they enter a network namespace), variables, and how `{port}` is filled in.

    `own_home`: it gets a HOME of its own, and limits (`confine.limited`); False = the user's, as a person would run it.
    """

    prefix: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    fill: Callable[[str], str] = _as_it_is
    own_home: bool = True


NOTHING_AROUND = Around()


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a kind read out of a run. `exit_code` None = as the process ended; `trouble` and the rest as in CheckResult."""

    passed: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    trouble: str = ""
    exit_code: int | None = None
    canary: bool | None = None
    foreign: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    shadowed: tuple[str, ...] = ()
    altered: tuple[str, ...] = ()
    lines: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    undoomed: tuple[str, ...] = ()


class Parser(Protocol):
    """A kind of check: two functions of a module."""

    def prepare(self, job: Job) -> Job:
        """What must be added to command and environment so that the result can be read."""
        ...

    def read(self, job: Job, ended: Exit) -> Parsed:
        """The result of a run that ended by itself or by its time limit, but not by a signal."""
        ...


def relative(path: str, *, cwd: Path, tree: Path) -> str:
    """A path that a tool printed (absolute, or relative to `cwd`), relative to `tree`; as it is where it lies outside."""
    full = os.path.realpath(cwd / path)
    top = os.path.realpath(tree)
    return PurePosixPath(os.path.relpath(full, top)).as_posix() if full.startswith(top + os.sep) else path


def stable(message: str) -> str:
    """A tool's message as one line without the line numbers in it, so that an id survives an edit above it."""
    return _LINE_NUMBER.sub(r"\1 N", one_line(message, 300))


def numbered(ids: Iterable[str]) -> list[str]:
    """`ids` made distinct: the second of the same name gets `#2`, and so on."""
    seen: Counter[str] = Counter()
    out = []
    for test_id in ids:
        seen[test_id] += 1
        out.append(test_id if seen[test_id] == 1 else f"{test_id}#{seen[test_id]}")
    return out


@dataclass(frozen=True, slots=True)
class Finding:
    """One complaint of a linter or compiler."""

    path: str
    line: int
    rule: str
    message: str
    detail: str = ""
    fixable: bool = False


def from_findings(check: Check, findings: Sequence[Finding], *, trouble: str = "") -> Parsed:
    """The result of a linter: an id exists only while it is red."""
    ids = numbered(
        f"{f.path}::{f.rule}[{stable(f.message)}]" if f.path else f"{f.rule}[{stable(f.message)}]" for f in findings
    )
    failures = tuple(
        Failure(
            check.name,
            test_id,
            one_line(f"{f.rule}: {f.message}"),
            reduce_log(f.detail or f"{f.path}:{f.line}: {f.rule} {f.message}"),
            Place(f.path, f.line) if f.path else None,
            f.rule,
            f.fixable,
            (Place(f.path, f.line),) if f.path else (),
        )
        for test_id, f in zip(ids, findings, strict=True)
    )
    return Parsed(failed=tuple(ids), failures=failures, trouble=trouble)


def disagreement(check: Check, code: int | None, parsed: Parsed, *, red: Sequence[int] = (1,)) -> Parsed:
    """`parsed` with trouble where exit code and ids say different things; `red` are the codes that mean "found something"."""
    if parsed.trouble or code is None or (code == 0 and not parsed.failed) or (code in red and parsed.failed):
        return parsed
    if code == 0:
        said = f"the command ended with 0 though it reports {len(parsed.failed)} failures"
    elif code in red:
        said = f"the command ended with {code} but no failure could be read from its output"
    else:
        said = f"the command ended with {code}, which is no result of a finished run"
    return replace(parsed, trouble=f"runner: {said} (run `{check.run}` by hand and see its log)")


def last_words(text: str) -> str:
    """The last lines of an output that say something, as one line."""
    lines = [line for line in text.splitlines() if line.strip()]
    return one_line(" ".join(lines[-_LAST_LINES:]), 300)
