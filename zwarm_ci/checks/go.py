"""`go test`: its JSON events (`go doc test2json`). Ids are `import/path::Test/sub`; a package that does not build is its own id."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from zwarm_ci.checks.base import Job, Parsed, disagreement
from zwarm_ci.checks.frames import frames_in
from zwarm_ci.checks.reduce import reduce_log
from zwarm_ci.proc import Exit
from zwarm_ci.scrub import one_line
from zwarm_ci.task import Check, Failure

_RED = (1, 2)  # 2 = something did not build
_MODULE = re.compile(r"^module\s+(\S+)", re.MULTILINE)
_BUILD = re.compile(r"^# (?P<package>\S+)")  # before Go 1.24 what the compiler says is no event
_NOT_BUILT = re.compile(r"^FAIL\t(?P<package>\S+) \[(?:build|setup) failed\]")
_KEPT = 64 * 1024  # characters of one test's output
_NOISE = re.compile(r"^(=== |\s*--- |FAIL\b|PASS\b|ok\s|exit status)")


def prepare(job: Job) -> Job:
    """JSON events, nothing from the cache, and where only some tests are asked for, their names and packages."""
    argv = list(job.argv)
    if "test" not in argv:
        return job
    extra = [] if "-json" in argv else ["-json"]
    if not any(word.startswith("-count") for word in argv):
        extra.append("-count=1")
    asked = [i.removeprefix(f"{job.check.workdir}/") for i in job.only]
    names = sorted({i.partition("::")[2].split("/")[0] for i in asked})
    if names and all(names) and not any(word.startswith("-run") for word in argv):
        extra.append(f"-run=^({'|'.join(map(re.escape, names))})$")
    at = argv.index("test") + 1
    module = _module_in(job.cwd)
    packages = sorted({i.partition("::")[0] for i in asked})
    own = packages and module and all(p == module or p.startswith(f"{module}/") for p in packages)
    rest = [word for old in argv[at:] for word in (packages if own and old == "./..." else [old])]
    return replace(job, argv=(*argv[:at], *extra, *rest))


def read(job: Job, ended: Exit) -> Parsed:
    """The result of a run."""
    if (outside := _outside(job)) and ended.code is not None:
        return Parsed(trouble=outside)
    text = job.output(ended)
    return parse(text, check=job.check, code=ended.code, cwd=job.cwd, tree=job.tree, module=_module_in(job.cwd))


def _module_in(folder: Path) -> str:
    file = folder / "go.mod"
    named = _MODULE.search(file.read_text(encoding="utf-8", errors="replace")) if file.is_file() else None
    return named[1] if named else ""


def _outside(job: Job) -> str:
    """Trouble where go.mod or go.work name a folder of the original checkout by its whole path; Go would test the code there."""
    top = str(job.top)
    if job.top == job.tree:
        return ""
    for file in (job.cwd / "go.mod", *(folder / "go.work" for folder in (job.cwd, *job.cwd.parents))):
        text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
        if re.search(rf"(^|[\s\"]){re.escape(top)}(/|[\s\"]|$)", text):
            return f"environment: {file.name} names {top} by its whole path, so Go builds what is there (write a relative path)"
    return ""


@dataclass(slots=True)
class _Events:
    """What the events said. `ends` maps an id (a test's or a package's) to its last action."""

    ends: dict[str, str] = field(default_factory=dict)
    begun: dict[str, None] = field(default_factory=dict)
    output: dict[str, str] = field(default_factory=dict)
    packages: dict[str, None] = field(default_factory=dict)
    building: str = ""

    def add_text(self, line: str) -> None:
        """A line that is no event: the compiler's, or of a test that writes past the test binary."""
        if match := _BUILD.match(line):
            self.building = match["package"]
        elif match := _NOT_BUILT.match(line):
            self.packages[match["package"]] = None
            self.ends[match["package"]] = "fail"
            self.building = ""
        elif self.building:
            self.output[self.building] = (self.output.get(self.building, "") + line + "\n")[-_KEPT:]

    def add(self, event: dict[str, Any]) -> None:
        action, package = str(event["Action"]), str(event.get("Package") or event.get("ImportPath", ""))
        package = package.split(" ", maxsplit=1)[0]
        test = event.get("Test")
        test_id = f"{package}::{test}" if test else package
        if not test and not action.startswith("build"):
            self.packages[package] = None
        if action in ("run", "start"):
            self.begun[test_id] = None
        elif action in ("pass", "fail", "skip"):
            self.ends[test_id] = action
        elif action in ("output", "build-output"):
            self.output[test_id] = (self.output.get(test_id, "") + str(event["Output"]))[-_KEPT:]


def parse(text: str, *, check: Check, code: int | None, cwd: Path, tree: Path, module: str = "") -> Parsed:
    """The tests and packages of an event stream; one that is cut off is trouble."""
    seen = _Events()
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                seen.add(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                continue  # a line of the tests' own, or the last one of a killed process
        else:
            seen.add_text(line)
    open_ids = [i for i in seen.begun if i not in seen.ends]
    failed = [i for i, end in seen.ends.items() if end == "fail" and ("::" in i or not _has_red_test(seen, i))]
    failed += [i for i in open_ids if "::" in i] if code else []  # a panic ends the process in the middle of its test
    known: dict[str, Failure] = {}
    for test_id in sorted(failed, key=lambda i: -i.count("/")):
        known[test_id] = _with_cause(_failure(check, test_id, seen.output.get(test_id, ""), cwd, tree, module), known)
    found = Parsed(
        tuple(i for i, end in seen.ends.items() if end == "pass" and "::" in i),
        tuple(failed),
        tuple(i for i, end in seen.ends.items() if end == "skip" and "::" in i),
        tuple(known[i] for i in failed),
        modules=tuple(p for p in seen.packages if p not in failed),
    )
    if code is not None and not seen.packages:
        return replace(found, trouble=f"check: no tests ran: `{check.run}` reported no package (run it by hand)")
    if code == 0 and open_ids:
        return replace(found, trouble=f"runner: the events end in the middle of {open_ids[0]} (run the check by hand)")
    if code == 0 and not found.passed and not found.skipped:
        return replace(found, trouble=f"check: no tests ran: `{check.run}` found none (name packages with tests)")
    return disagreement(check, code, found, red=_RED)


def _has_red_test(seen: _Events, package: str) -> bool:
    inside = f"{package}::"
    ended = any(i.startswith(inside) and end == "fail" for i, end in seen.ends.items())
    return ended or any(i.startswith(inside) and i not in seen.ends for i in seen.begun)


def _with_cause(failure: Failure, known: dict[str, Failure]) -> Failure:
    """A test that says nothing itself fails by its subtest: same cause, same place."""
    child = next((f for i, f in known.items() if i.startswith(f"{failure.id}/")), None)
    if failure.frames or child is None:
        return failure
    return replace(child, id=failure.id, message=one_line(f"a subtest fails: {child.message}"))


def _failure(check: Check, test_id: str, output: str, cwd: Path, tree: Path, module: str) -> Failure:
    package = test_id.partition("::")[0]
    folder = cwd / package.removeprefix(module).strip("/") if module and package.startswith(module) else cwd
    frames = frames_in(output, cwd=folder, tree=tree) or frames_in(output, cwd=cwd, tree=tree)
    said: Sequence[str] = [line for line in output.splitlines() if line.strip() and not _NOISE.match(line)]
    shape = "panic" if "panic: " in output else "test" if "::" in test_id else "build"
    if shape == "panic":
        frames = frames[::-1]  # Go writes the innermost first
    message = one_line(said[0] if said else f"{shape} failed")
    return Failure(
        check.name, test_id, message, reduce_log(output), frames[-1] if frames else None, shape, frames=frames
    )
