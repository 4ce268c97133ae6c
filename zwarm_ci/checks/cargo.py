"""`cargo test`: the text that libtest prints. Ids are `target::module::test`; a compiler error is a finding of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from zwarm_ci.checks.base import Finding, Job, Parsed, disagreement, from_findings, numbered, relative, stable
from zwarm_ci.checks.frames import frames_in
from zwarm_ci.checks.reduce import reduce_log
from zwarm_ci.proc import Exit
from zwarm_ci.scrub import one_line, plain
from zwarm_ci.task import Check, Failure, Place

_RUNNING = re.compile(r"^\s+Running (?:unittests )?\S+ \((?:.*/)?(?P<binary>[^/]+?)-[0-9a-f]{16}(?:\.exe)?\)$")
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
_RED = (101,)  # cargo's code for failed tests and for code that does not compile


def prepare(job: Job) -> Job:
    """Every target runs, plainly; where only some tests are asked for, their names."""
    argv = [word for word in job.argv if word not in ("-q", "--quiet", "--no-fail-fast")]
    if "test" not in argv:
        return job
    at = argv.index("test") + 1
    names = [i.partition("::")[2] for i in job.only]
    by_name = bool(names) and "--" not in argv and all(name and " " not in name for name in names)
    tail = ["--", "--exact", *names] if by_name else []
    return replace(job, argv=(*argv[:at], "--no-fail-fast", *argv[at:], *tail)).with_env(CARGO_TERM_COLOR="never")


def read(job: Job, ended: Exit) -> Parsed:
    """The result of a run."""
    return parse(job.output(ended), check=job.check, code=ended.code, cwd=job.cwd, tree=job.tree)


@dataclass(slots=True)
class _Report:
    """What was read, line by line."""

    target: str = ""
    ends: list[tuple[str, str, str]] = field(default_factory=list)  # target, name, state
    counted: int = 0
    sections: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    errors: list[Finding] = field(default_factory=list)
    section: tuple[str, str] | None = None
    targets: dict[str, None] = field(default_factory=dict)

    def add(self, line: str) -> None:
        if match := _RUNNING.match(line):
            self.target, self.section = match["binary"], None
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
    report = _Report()
    lines = plain(text).splitlines()
    for line in lines:
        report.add(line)
    if code not in (0, None) and not report.ends:
        return disagreement(check, code, from_findings(check, _compiler_errors(lines, cwd, tree)), red=_RED)
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
        modules=tuple(report.targets),
    )
    if code is not None and len(report.ends) != report.counted:
        said = f"{len(report.ends)} tests can be read, cargo counts {report.counted}"
        return replace(found, trouble=f"runner: {said} (leave out --nocapture, run `{check.run}` by hand)")
    if code == 0 and not report.ends:
        return replace(found, trouble=f"check: no tests ran: `{check.run}` found none (run it by hand)")
    return disagreement(check, code, found, red=_RED)


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
