"""`cargo test`: the text that libtest prints, beside it cargo's own word on what it built.

Ids are `target::module::test`. Where several packages have tests, a target that is no library has its package's name in front.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from zwarm_ci.checks.base import Finding, Job, Parsed, disagreement, numbered, relative, stable
from zwarm_ci.checks.frames import frames_in
from zwarm_ci.checks.reduce import reduce_log
from zwarm_ci.proc import Exit
from zwarm_ci.scrub import one_line, plain
from zwarm_ci.task import Check, Failure, Place

_RUNNING = re.compile(r"^\s+Running (?:unittests )?\S+ \((?:.*/)?(?P<binary>[^/]+?-[0-9a-f]{16}(?:\.exe)?)\)$")
_DOCS = re.compile(r"^\s+Doc-tests (?P<crate>\S+)$")
_TEST = re.compile(
    r"^test (?P<name>.+?)(?: - should panic)?(?: - compile(?: fail)?)? \.\.\. (?P<end>ok|FAILED|ignored)\b"
)
_SECTION = re.compile(r"^---- (?P<name>.+?) stdout ----$")
_SUMMARY = re.compile(r"^test result: \w+\. (?P<passed>\d+) passed; (?P<failed>\d+) failed; (?P<ignored>\d+) ignored")
_ERROR = re.compile(r"^error(?:\[(?P<code>E\d+)\])?: (?P<message>.+)$")
_ARROW = re.compile(r"^\s+--> (?P<path>[^:]+):(?P<line>\d+):\d+$")
_NOT_COMPILER = (
    "could not compile",
    "test failed",
    "doctest failed",
    "aborting due to",
    " target failed",
    " targets failed",
)
_ENDS = {"ok": "passed", "FAILED": "failed", "ignored": "skipped"}
#: What cargo says where it cannot get at crates or tools; the code has no part in that.
_UNABLE = re.compile(
    r"failed to (?:get|download|fetch|load source|query)|no matching package|[Uu]nable to update|could ?n.t resolve host|spurious network"
    r"|attempting to make an HTTP request|linker `[^`]*` not found|toolchain '[^']*' is not installed|pkg-config.* not (?:found|be found)"
)
_HASH = re.compile(r"-[0-9a-f]{16}(?:\.exe)?$")
_RED = (101,)  # cargo's code for failed tests and for code that does not compile


def prepare(job: Job) -> Job:
    """Every target runs, plainly; where only some tests are asked for, their names."""
    argv = [word for word in job.argv if word not in ("-q", "--quiet", "--no-fail-fast")]
    if "test" not in argv:
        return job
    at = argv.index("test") + 1
    names = [] if any(i.endswith("::startup") for i in job.only) else [i.partition("::")[2] for i in job.only]
    by_name = bool(names) and "--" not in argv and all(name and " " not in name for name in names)
    tail = ["--", "--exact", *names] if by_name else []
    told = (
        []
        if any(word.startswith("--message-format") for word in argv)
        else ["--message-format=json-render-diagnostics"]
    )
    made = replace(job, argv=(*argv[:at], "--no-fail-fast", *told, *argv[at:], *tail))
    return made.with_env(CARGO_TERM_COLOR="never")


def read(job: Job, ended: Exit) -> Parsed:
    """The result of a run."""
    text = job.output(ended)
    parsed = parse(text, check=job.check, code=ended.code, cwd=job.cwd, tree=job.tree)
    return replace(parsed, foreign=_foreign(_artifacts(text.splitlines()), job.top, job.tree))


@dataclass(frozen=True, slots=True)
class _Artifact:
    """Something that cargo built: a library, a binary, a test. `executable` is its file's name without hash; "" = none."""

    package: str
    target: str
    kind: str
    source: str
    executable: str
    is_test: bool


def _artifacts(lines: Iterable[str]) -> list[_Artifact]:
    found = []
    for line in lines:
        if line.startswith('{"reason":"compiler-artifact"'):
            try:
                found.append(_artifact(json.loads(line)))
            except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
                continue  # a line that a test printed, or the last of a killed process
    return found


def _artifact(said: Mapping[str, Any]) -> _Artifact:
    whole, target = str(said["package_id"]), said["target"]
    where, _, tail = whole.partition(
        "#"
    )  # `path+file:///x/name#1.0.0`, `…#name@1.0.0`; before 1.77 `name 1.0.0 (path+…)`
    name = tail.partition("@")[0] if "@" in tail else where.rpartition("/")[2] if tail else whole.split(maxsplit=1)[0]
    executable = Path(str(said.get("executable") or "")).name
    is_test = bool(said["profile"]["test"])
    return _Artifact(name, str(target["name"]), str(target["kind"][0]), str(target["src_path"]), executable, is_test)


def _names(artifacts: Sequence[_Artifact]) -> dict[str, str]:
    """Executables, hash and all, and what the ids of their tests begin with."""
    tests = [a for a in artifacts if a.is_test and a.executable]
    several = len({a.package for a in tests}) > 1
    libraries = {
        (a.package, a.target.replace("-", "_")) for a in artifacts if "lib" in a.kind or a.kind == "proc-macro"
    }
    names = {}
    for test in tests:
        own = test.target
        if test.kind in ("test", "bench", "example") and several:
            own = f"{test.package}/{own}"
        elif test.kind == "bin" and (test.package, own.replace("-", "_")) in libraries:
            own = f"{own} (bin)"
        names[test.executable] = own.replace("-", "_") if own == test.target else own
    return names


def _foreign(artifacts: Iterable[_Artifact], top: Path, tree: Path) -> tuple[str, ...]:
    """Sources of the original checkout, relative to its top, that were built instead of this tree's."""
    inside = (a.source for a in artifacts if a.source.startswith(f"{top}/") and not a.source.startswith(f"{tree}/"))
    other = ("/registry/src/", "/git/checkouts/", "/vendor/")
    return tuple(
        dict.fromkeys(os.path.relpath(s, top) for s in inside if top != tree and not any(o in s for o in other))
    )


def share_target(cwd: Path, store: Path) -> dict[str, str]:
    """Variables that have cargo build into `store`, where other people's crates are kept from one worktree to the next.

    Only one worktree may use a store at a time: its binaries have one name for all. What was built from the repository itself is
    forgotten first, since cargo goes by modification times and paths below the workspace, and would take another worktree's
    build for this one's (seen with cargo 1.95).
    """
    lock = next((f / "Cargo.lock" for f in (cwd, *cwd.parents) if (f / "Cargo.lock").is_file()), None)
    kept = _from_elsewhere(lock.read_text(encoding="utf-8", errors="replace")) if lock else frozenset()
    for prints in (*store.glob("*/.fingerprint/*"), *store.glob("*/*/.fingerprint/*")):
        if prints.name.rpartition("-")[0] not in kept:
            shutil.rmtree(prints, ignore_errors=True)
    store.mkdir(parents=True, exist_ok=True)
    return {"CARGO_TARGET_DIR": str(store), "CARGO_INCREMENTAL": "0"}


def _from_elsewhere(lock: str) -> frozenset[str]:
    """Names of the crates that come from a registry or another repository, and have no namesake in this one."""
    try:
        packages = tomllib.loads(lock).get("package", [])
        own = {str(p["name"]) for p in packages if "source" not in p}
        return frozenset(str(p["name"]) for p in packages) - own
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError):
        return frozenset()


@dataclass(slots=True)
class _Report:
    """What was read, line by line."""

    names: Mapping[str, str]
    target: str = ""
    ends: list[tuple[str, str, str]] = field(default_factory=list)  # target, name, state
    counted: int = 0
    sections: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    errors: list[Finding] = field(default_factory=list)
    section: tuple[str, str] | None = None
    targets: dict[str, None] = field(default_factory=dict)

    def add(self, line: str) -> None:
        if match := _RUNNING.match(line):
            binary = match["binary"]
            self.target, self.section = self.names.get(binary, _HASH.sub("", binary)), None
        elif match := _DOCS.match(line):
            self.target, self.section = f"{match['crate']} (doc)", None
        elif match := _SUMMARY.match(line):
            self.counted += int(match["passed"]) + int(match["failed"]) + int(match["ignored"])
            self.targets[self.target] = None
            self.section = None
        elif match := _SECTION.match(line):
            self.section = (self.target, match["name"])
            self.sections[self.section] = []
        elif match := _TEST.match(line):
            self.ends.append((self.target, match["name"], _ENDS[match["end"]]))
        elif line == "failures:":
            self.section = None
        elif self.section is not None:
            self.sections[self.section].append(line)


def parse(text: str, *, check: Check, code: int | None, cwd: Path, tree: Path) -> Parsed:
    """The tests of a run, else the compiler's errors; its own counts must agree."""
    lines = plain(text).splitlines()
    report = _Report(_names(_artifacts(lines)))
    lines = [line for line in lines if not line.startswith('{"reason":')]
    for line in lines:
        report.add(line)
    if code not in (0, None) and not report.ends:
        if unable := next((line for line in lines if _UNABLE.search(line)), ""):
            remedy = f"(let it be fetched before: `cargo fetch` as setup; run `{check.run}` by hand)"
            return Parsed(trouble=f"environment: {one_line(unable)} {remedy}")
        return disagreement(check, code, _not_compiled(check, _compiler_errors(lines, cwd, tree)), red=_RED)
    ends = sorted(report.ends, key=_order)  # they ended in any order, and several documented examples share a name
    ids = numbered(f"{target}::{stable(name)}" for target, name, _ in ends)
    named = list(zip(ids, ends, strict=True))
    failures = tuple(
        _failure(check, i, report.sections.get((end[0], end[1]), []), cwd, tree)
        for i, end in named
        if end[2] == "failed"
    )
    found = Parsed(
        tuple(i for i, end in named if end[2] == "passed"),
        tuple(i for i, end in named if end[2] == "failed"),
        tuple(i for i, end in named if end[2] == "skipped"),
        failures,
        modules=(*report.targets, f"{check.name}::startup"),
    )
    if code is not None and len(report.ends) != report.counted:
        said = f"{len(report.ends)} tests can be read, cargo counts {report.counted}"
        return replace(found, trouble=f"runner: {said} (leave out --nocapture, run `{check.run}` by hand)")
    if code == 0 and not report.ends:
        return replace(found, trouble=f"check: no tests ran: `{check.run}` found none (run it by hand)")
    return disagreement(check, code, found, red=_RED)


def _not_compiled(check: Check, errors: Sequence[Finding]) -> Parsed:
    """Nothing ran: one failure of the whole suite, which has ended once it compiles, whatever the compiler says of each line."""
    if not errors:
        return Parsed()
    first, test_id = errors[0], f"{check.name}::startup"
    places = tuple(dict.fromkeys(Place(e.path, e.line) for e in reversed(errors) if e.path))
    detail = reduce_log("\n\n".join(e.detail or e.message for e in errors))
    message = one_line(
        f"{first.rule}: {first.message}" + (f" (and {len(errors) - 1} more errors)" if errors[1:] else "")
    )
    place = Place(first.path, first.line) if first.path else None
    return Parsed(
        failed=(test_id,), failures=(Failure(check.name, test_id, message, detail, place, first.rule, frames=places),)
    )


def _order(end: tuple[str, str, str]) -> tuple[str, str, int]:
    number = re.search(r"\(line (\d+)\)", end[1])
    return end[0], stable(end[1]), int(number[1]) if number else 0


def _compiler_errors(lines: list[str], cwd: Path, tree: Path) -> list[Finding]:
    findings: list[Finding] = []
    for number, line in enumerate(lines):
        match = _ERROR.match(line)
        if not match or any(part in match["message"] for part in _NOT_COMPILER):
            continue
        block = lines[number : number + 14]
        arrow = next((a for a in map(_ARROW.match, block[:4]) if a), None)
        path = relative(arrow["path"], cwd=cwd, tree=tree) if arrow else ""
        line_number = int(arrow["line"]) if arrow else 0
        until = next((n for n, text in enumerate(block) if not text.strip()), len(block))
        finding = Finding(path, line_number, match["code"] or "error", match["message"], "\n".join(block[:until]))
        if finding not in findings:  # the library is compiled once for itself and once for its tests
            findings.append(finding)
    return findings


def _failure(check: Check, test_id: str, lines: list[str], cwd: Path, tree: Path) -> Failure:
    text = "\n".join(lines).strip("\n")
    frames = frames_in(text, cwd=cwd, tree=tree)
    panicked = next((n for n, line in enumerate(lines) if "panicked at" in line), None)
    message = (
        " ".join(lines[panicked + 1 : panicked + 4]) if panicked is not None else (lines[0] if lines else "failed")
    )
    place: Place | None = frames[0] if frames else None  # the panic's own line comes first, a backtrace after it
    shape = "panic" if panicked is not None else "failed"
    return Failure(check.name, test_id, one_line(message or "panicked"), reduce_log(text), place, shape, frames=frames)
