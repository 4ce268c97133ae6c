"""Any command that writes JUnit XML. `python -m unittest`, JavaScript's runners and bazel are read by what they tell us instead.

The command is told where to write by the placeholder `{junit}` in it, or reads ZWARM_JUNIT.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from zwarm_ci.checks import bazel, javascript, node, pytest, runners
from zwarm_ci.checks.base import PROBE, Job, Parsed, disagreement, numbered
from zwarm_ci.checks.frames import frames_in
from zwarm_ci.checks.junit_xml import MAX_XML, Case, UnreadableXmlError, read_cases
from zwarm_ci.checks.reduce import reduce_log
from zwarm_ci.proc import Exit
from zwarm_ci.scrub import one_line, plain
from zwarm_ci.task import Check, Failure

_PLACE = "{junit}"
_RED = range(1, 128)
_UNLOADED = re.compile(
    r"^(?P<file>\S+\.[cm]?[jt]sx?):\n\n# Unhandled error between tests\n-+\n(?P<said>.*?)\n-{10,}$",
    re.MULTILINE | re.DOTALL,
)
_SHAPE = re.compile(r"^[^\S\n]*([\w.]*(?:Error|Exception|Failure))\b", re.MULTILINE)


def prepare(job: Job) -> Job:
    """Name the report file; `python -m unittest …` becomes our runner with the same arguments."""
    if is_unittest(job.argv):
        runner = str(PROBE / "zwarm_ci_unittest.py")
        return pytest.orders(replace(job, argv=(job.argv[0], runner, *job.argv[3:])))
    if runners.is_ours(job.argv):
        return pytest.orders(runners.watched(job))
    if bazel.is_ours(job.argv):
        return bazel.prepare(job)
    report = str(job.folder / "junit.xml")
    if javascript.is_ours(job):
        return javascript.prepare(job.with_env(ZWARM_JUNIT=report))
    job = replace(job, argv=tuple(word.replace(_PLACE, report) for word in job.argv), canary=False)
    env = {name: value.replace(_PLACE, report) for name, value in job.env.items()}
    made = replace(job, env={**env, "ZWARM_JUNIT": report})
    return node.watched_bun(made) if _is_bun(job.argv) else node.watched(made)


def _is_bun(argv: Sequence[str]) -> bool:
    return Path(argv[0]).name == "bun" and tuple(argv[1:2]) == ("test",)


def is_unittest(argv: Sequence[str]) -> bool:
    """Whether a command is `PYTHON -m unittest …`."""
    return len(argv) > 2 and Path(argv[0]).name.startswith("python") and tuple(argv[1:3]) == ("-m", "unittest")


def read(job: Job, ended: Exit) -> Parsed:
    """The result of a run."""
    if "ZWARM_CI_PROBE" in job.env:
        return pytest.read_without_junit(job, runners.ended(job, ended))
    if bazel.is_ours(job.argv):
        return bazel.read(job, ended)
    report = job.folder / "junit.xml"
    if javascript.is_ours(job) and not report.is_file():
        return javascript.read(job, ended)
    data: bytes | None = None
    if report.is_file():
        with report.open("rb") as file:
            data = file.read(MAX_XML + 1)
    broken = _not_loaded(plain(job.output(ended))) if _is_bun(job.argv) else {}
    parsed = parse(data, check=job.check, code=ended.code, cwd=job.cwd, tree=job.tree, broken=broken)
    return replace(parsed, foreign=node.foreign(job))


def _not_loaded(text: str) -> dict[str, str]:
    """Files that bun could not load, which its report leaves out, and what it says of each."""
    return {match["file"]: match["said"].strip() for match in _UNLOADED.finditer(text)}


def parse(
    data: bytes | None,
    *,
    check: Check,
    code: int | None,
    cwd: Path,
    tree: Path,
    broken: Mapping[str, str] = MappingProxyType({}),
) -> Parsed:
    """The cases of a report; a missing, empty or unreadable one is trouble. `broken`: files that could not be loaded, and why."""
    if data is None:
        if code is None:
            return Parsed()
        return Parsed(trouble=f"check: `{check.run}` wrote no JUnit report (put {_PLACE} where its path belongs)")
    try:
        cases = read_cases(data)
    except UnreadableXmlError as error:
        return Parsed(trouble=f"runner: the JUnit report cannot be read: {error} (run `{check.run}` by hand)")
    if not cases and not broken:
        return Parsed(trouble=f"check: no tests ran: the JUnit report of `{check.run}` is empty (run it by hand)")
    ids = numbered(map(_id, cases))
    named = list(zip(ids, cases, strict=True))
    by_state = {state: tuple(i for i, c in named if c.state == state) for state in ("passed", "failed", "skipped")}
    failures = [_failure(check, i, c, cwd, tree) for i, c in named if c.state == "failed"]
    failures += [
        _failure(check, file, Case("", "", "", "failed", "", "", said), cwd, tree) for file, said in broken.items()
    ]
    modules = dict.fromkeys(c.file for c in cases if c.file and c.file not in broken)
    found = Parsed(
        by_state["passed"], (*by_state["failed"], *broken), by_state["skipped"], tuple(failures), modules=tuple(modules)
    )
    return disagreement(check, code, found, red=_RED)


def _id(case: Case) -> str:
    if case.file and (case.suite == case.file or case.suite.startswith(f"{case.file} > ")):  # bun
        inner = case.suite.removeprefix(case.file).removeprefix(" > ")
        return f"{case.file}::{inner} > {case.name}" if inner else f"{case.file}::{case.name}"
    # Node's own reporter calls every class "test"; the suites round a case then tell cases apart.
    own = case.classname if case.classname != "test" else ""
    group = own or case.suite or case.file
    return f"{group}::{case.name}" if group and group != case.name else case.name


def _failure(check: Check, test_id: str, case: Case, cwd: Path, tree: Path) -> Failure:
    text = f"{case.message}\n{case.text}" if case.message and case.message not in case.text else case.text
    frames = frames_in(text, cwd=cwd, tree=tree)
    shape = case.kind.rpartition(".")[2]
    if not shape and (found := _SHAPE.search(text)):
        shape = found[1].rpartition(".")[2]
    message = one_line(case.message or text.strip().split("\n")[0] or "failed")
    return Failure(
        check.name,
        test_id,
        message,
        reduce_log(text),
        frames[-1] if frames else None,
        shape or "failure",
        frames=frames,
    )
