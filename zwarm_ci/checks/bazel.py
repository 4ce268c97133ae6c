"""`bazel test`: its build events name every target's test.xml. Ids are `//package:target::class::test`, or the target's label alone.

A worktree has an output base of its own in the run's scratch folder; what was built for the same content is shared through a disk
cache, which goes by content. Test results are never taken from a cache.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from zwarm_ci.checks.base import MAX_OUTPUT, Job, Parsed, disagreement, last_words, numbered
from zwarm_ci.checks.frames import frames_in
from zwarm_ci.checks.junit_xml import MAX_XML, Case, UnreadableXmlError, read_cases
from zwarm_ci.checks.reduce import reduce_log
from zwarm_ci.proc import Exit
from zwarm_ci.scrub import decode, one_line, plain
from zwarm_ci.task import Check, Failure

_EVENTS = "bazel.json"
_RED = (1, 3)  # 1 = something does not build, 3 = tests failed
_GOOD = frozenset({"PASSED", "FLAKY"})
_UNABLE = re.compile(
    r"Unknown host|Error downloading|Connect timed out|could not find Bazel|Unable to find a version of Bazel",
    re.IGNORECASE,
)
_LOG = 256 * 1024  # the end of a target's log


def is_ours(argv: Sequence[str]) -> bool:
    """Whether a command is `bazel … test …`."""
    return Path(argv[0]).name in ("bazel", "bazelisk") and "test" in argv


def prepare(job: Job) -> Job:
    """An output base of the tree's own, events in a file, no daemon left behind, fresh results, and only the targets asked for."""
    at = job.argv.index("test")
    run = job.folder.parent.parent
    base = run / f"bazel-{hashlib.sha256(str(job.tree).encode()).hexdigest()[:12]}"
    before = [word for word in job.argv[1:at] if word != "--batch"]
    if not any(word.startswith("--output_base") for word in before):
        before.append(f"--output_base={base}")
    labels = sorted({i.removeprefix(f"{job.check.workdir}/").partition("::")[0] for i in job.only})
    asked = bool(labels) and all(label.startswith("//") for label in labels)
    words = [word for word in job.argv[at + 1 :] if not (asked and _is_target(word))]
    options = (
        f"--build_event_json_file={job.folder / _EVENTS}", f"--disk_cache={run / 'bazel-disk'}", "--nocache_test_results",
        "--keep_going", "--symlink_prefix=/", "--color=no", "--curses=no",
    )  # fmt: skip
    return replace(
        job, argv=(job.argv[0], "--batch", *before, "test", *options, *words, *(labels if asked else ())), canary=False
    )


def _is_target(word: str) -> bool:
    return word.startswith(("//", ":", "@")) or word.endswith("...")


def read(job: Job, ended: Exit) -> Parsed:
    """The result of a run."""
    file = job.folder / _EVENTS
    data = b""
    if file.is_file():
        with file.open("rb") as stream:
            data = stream.read(MAX_OUTPUT)
    return parse(data, plain(job.output(ended)), check=job.check, code=ended.code, cwd=job.cwd, tree=job.tree)


@dataclass(slots=True)
class _Build:
    """What the events said: how each test target ended, its files, and which targets were not built."""

    ends: dict[str, str] = field(default_factory=dict)
    files: dict[str, dict[str, Path]] = field(default_factory=dict)
    expected: dict[str, None] = field(default_factory=dict)
    built: dict[str, None] = field(default_factory=dict)
    unbuilt: dict[str, str] = field(default_factory=dict)
    finished: bool = False
    garbled: int = 0

    def add(self, event: Mapping[str, Any]) -> None:
        ((kind, name),) = event["id"].items()
        label = str(name.get("label", ""))
        if kind == "testResult":  # the last attempt counts, the worst shard
            said = event["testResult"]
            files = {
                str(f["name"]): Path(unquote(urlsplit(str(f["uri"])).path)) for f in said.get("testActionOutput") or ()
            }
            part = f"{label}#{name.get('run', 1)}.{name.get('shard', 1)}"
            self.ends[part], self.files[part] = str(said["status"]), files
        elif kind in ("targetCompleted", "targetConfigured"):
            inner = [child for child in event.get("children") or () if "testResult" in child or "testSummary" in child]
            if inner:
                self.expected[label] = None
            if "aborted" in event or event.get("completed", {"success": True}).get("success") is not True:
                self.unbuilt[label] = str((event.get("aborted") or {}).get("description", "does not build"))
            elif kind == "targetCompleted":
                self.built[label] = None
        elif kind == "testSummary":
            self.expected[label] = None
        elif kind == "buildFinished":
            self.finished = True


def parse(data: bytes, text: str, *, check: Check, code: int | None, cwd: Path, tree: Path) -> Parsed:
    """The targets of an event file and the cases of their reports; a file that is cut off is trouble."""
    build = _Build()
    for line in data.split(b"\n"):
        if line.strip():
            try:
                build.add(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                build.garbled += 1
    found = _Cases(check, cwd, tree)
    for part, status in build.ends.items():
        found.add(part.partition("#")[0], status, build.files[part])
    for label in (*build.unbuilt, *(x for x in build.expected if x not in found.targets and x not in build.unbuilt)):
        found.fail(label, build.unbuilt.get(label, "it did not run"), _about(label, text), "build")
    parsed = found.parsed(build.built)
    if code is None:
        return parsed
    if not build.finished or build.garbled:
        unable = _UNABLE.search(text)
        kind = "environment" if unable else "runner"
        return Parsed(
            trouble=f"{kind}: bazel's events end early, it said: {last_words(text)} (run `{check.run}` by hand)"
        )
    return _judged(parsed, found, check, code, text)


def _judged(parsed: Parsed, found: _Cases, check: Check, code: int, text: str) -> Parsed:
    if found.trouble:
        return replace(parsed, trouble=found.trouble)
    if _UNABLE.search(text) and code == 1:
        line = next(line for line in text.splitlines() if _UNABLE.search(line))
        return Parsed(trouble=f"environment: {one_line(line, 300)} (let it be fetched before, or set network = true)")
    if code == 1 and not parsed.failed:
        test_id = f"{check.name}::startup"
        errors = [line for line in text.splitlines() if line.startswith("ERROR:")]
        message = one_line(errors[0] if errors else last_words(text), 300)
        return Parsed(
            failed=(test_id,), failures=(Failure(check.name, test_id, message, reduce_log(text), shape="startup"),)
        )
    if not (parsed.passed or parsed.failed or parsed.skipped):
        return replace(parsed, trouble=f"check: no tests ran: `{check.run}` found none (run it by hand)")
    return disagreement(check, code, parsed, red=_RED)


def _about(label: str, text: str) -> str:
    """What bazel printed of a target, its package's files included."""
    package = label.removeprefix("//").partition(":")[0]
    lines = text.splitlines()
    at = next(
        (
            n
            for n, line in enumerate(lines)
            if line.startswith("ERROR:") and (label in line or f"/{package}/BUILD" in line)
        ),
        0,
    )
    return "\n".join(lines[at : at + 40])


@dataclass(slots=True)
class _Cases:
    """The cases of all targets."""

    check: Check
    cwd: Path
    tree: Path
    targets: dict[str, None] = field(default_factory=dict)
    cases: list[tuple[str, Case]] = field(default_factory=list)
    broken: dict[str, Failure] = field(default_factory=dict)
    trouble: str = ""

    def add(self, label: str, status: str, files: Mapping[str, Path]) -> None:
        self.targets[label] = None
        cases = self._cases_in(label, files.get("test.xml"))
        red = any(case.state == "failed" for case in cases)
        if status in _GOOD and (red or not cases):
            self.trouble = self.trouble or f"runner: bazel calls {label} {status}, its report does not (run it by hand)"
        if status not in _GOOD and not red:
            log = _end_of(files.get("test.log"))
            self.fail(label, "timed out" if status == "TIMEOUT" else f"it ended as {status}", log, status.lower())
        own = label.removeprefix("//").replace(":", "/")
        for case in cases:
            alone = len(cases) == 1 and case.name in (own, label.rpartition(":")[2])
            if alone and red:  # bazel's own report of a test that writes none
                self.fail(label, case.message, _end_of(files.get("test.log")), "exit")
            else:
                name = "::".join(filter(None, (case.classname, case.name)))
                self.cases.append((label if alone else f"{label}::{name}", case))

    def _cases_in(self, label: str, file: Path | None) -> list[Case]:
        if file is None or not file.is_file():
            return []
        with file.open("rb") as stream:
            data = stream.read(MAX_XML + 1)
        try:
            return read_cases(data)
        except UnreadableXmlError as error:
            self.trouble = f"runner: the report of {label} cannot be read: {error} (run it by hand)"
            return []

    def fail(self, label: str, message: str, text: str, shape: str) -> None:
        frames = frames_in(text, cwd=self.cwd, tree=self.tree)
        place = frames[-1] if frames else None
        said = one_line(message or "failed")
        self.broken[label] = Failure(self.check.name, label, said, reduce_log(text), place, shape, frames=frames)

    def parsed(self, built: Iterable[str]) -> Parsed:
        named = list(zip(numbered(i for i, _ in self.cases), (c for _, c in self.cases), strict=True))
        failures = [self._failure(i, c) for i, c in named if c.state == "failed"]
        by_state = {
            s: tuple(i for i, c in named if c.state == s and i not in self.broken)
            for s in ("passed", "failed", "skipped")
        }
        whole = (label for label in dict.fromkeys((*self.targets, *built)) if label not in self.broken)
        modules = (*whole, f"{self.check.name}::startup")
        failed = (*by_state["failed"], *self.broken)
        return Parsed(
            by_state["passed"], failed, by_state["skipped"], (*failures, *self.broken.values()), modules=modules
        )

    def _failure(self, test_id: str, case: Case) -> Failure:
        text = f"{case.message}\n{case.text}".strip("\n")
        frames = frames_in(text, cwd=self.cwd, tree=self.tree)
        message = one_line(case.message or case.text.strip().split("\n")[0] or "failed")
        shape = case.kind.rpartition(".")[2] or "failure"
        return Failure(
            self.check.name, test_id, message, reduce_log(text), frames[-1] if frames else None, shape, frames=frames
        )


def _end_of(file: Path | None) -> str:
    if file is None or not file.is_file():
        return ""
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - _LOG))
        return plain(decode(stream.read()))
