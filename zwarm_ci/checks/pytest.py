"""Pytest: results per id from a probe inside the run, cross-checked with its JUnit report, its exit code and a canary."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from zwarm_ci.checks.base import PROBE, Job, Parsed, last_words
from zwarm_ci.checks.events import Fold, failure_of, fold
from zwarm_ci.checks.frames import frames_in
from zwarm_ci.checks.junit_xml import MAX_XML, RANK, State, UnreadableXmlError, read_cases, worst_by_name
from zwarm_ci.checks.reduce import reduce_log
from zwarm_ci.proc import Exit
from zwarm_ci.scrub import one_line
from zwarm_ci.task import Check, Failure

_EVENTS = "probe.jsonl"
_XML = "pytest.xml"
_USAGE, _NONE_COLLECTED, _INTERRUPTED = 4, 5, 2
_RAISED = re.compile(
    r"^E\s+(\w[\w.]*(?:Error|Exception|Warning|Exit|Interrupt)\b.*)$|^(\w[\w.]*Error: .*)$", re.MULTILINE
)
_RUNS_ALL = ("::startup", "::exit")  # ids of the whole run


@dataclass(frozen=True, slots=True)
class Witnesses:
    """All that a pytest run left: the probe's lines, the JUnit report, the printed text and the exit code."""

    events: bytes
    junit: bytes | None
    text: str
    code: int | None
    timed_out: bool = False
    seconds: float = 0.0
    canary: str = ""
    only: tuple[str, ...] = ()
    python: str = "python"
    writes_junit: bool = True


def prepare(job: Job) -> Job:
    """Load the probe through PYTEST_ADDOPTS, so that it comes along with `uv run pytest`, `make test` and the like."""
    return orders(job).with_env(
        PYTEST_ADDOPTS=" ".join(
            [
                "-p zwarm_ci_probe",
                shlex.quote("-ocache_dir=" + str(job.folder / "cache")),
                job.env.get("PYTEST_ADDOPTS", ""),
            ]
        ).strip()
    )


def orders(job: Job) -> Job:
    """Write the probe's orders and put its folder on PYTHONPATH; what it restores is what the tests see."""
    asked = None if not job.only or any(i.endswith(_RUNS_ALL) for i in job.only) else list(job.only)
    data = {
        "out": str(job.folder / _EVENTS),
        "xml": str(job.folder / _XML),
        "tree": str(job.tree),
        "top": str(job.top),
        "canary": canary_name(job) if job.canary else "",
        "only": asked,
        "restore": {name: job.env.get(name) for name in ("PYTHONPATH", "PYTEST_ADDOPTS")},
    }
    file = job.folder / "orders.json"
    file.write_text(json.dumps(data), encoding="utf-8")
    path = [str(PROBE), *filter(None, [job.env.get("PYTHONPATH")])]
    return job.with_env(ZWARM_CI_PROBE=str(file), PYTHONPATH=os.pathsep.join(path))


def canary_name(job: Job) -> str:
    """The canary's module name, which no tree can guess."""
    return f"zwarm_ci_canary_{job.token}"


def witnesses(job: Job, ended: Exit) -> Witnesses:
    """Collect what a run left behind."""
    file = job.folder / _EVENTS
    events = file.read_bytes() if file.is_file() else b""
    junit = None
    finish = fold(events).finish
    if finish and finish.get("xml"):
        report = job.cwd / str(finish["xml"])
        if report.is_file():
            with report.open("rb") as stream:
                junit = stream.read(MAX_XML + 1)
    canary = canary_name(job) if job.canary else ""
    text = job.output(ended)
    return Witnesses(events, junit, text, ended.code, ended.timed_out, ended.seconds, canary, job.only, job.argv[0])


def read_without_junit(job: Job, ended: Exit) -> Parsed:
    """The result of our unittest runner, which speaks as the probe does and writes no JUnit report."""
    return parse(replace(witnesses(job, ended), writes_junit=False), check=job.check, cwd=job.cwd, tree=job.tree)


def read(job: Job, ended: Exit) -> Parsed:
    """The result of a run."""
    return parse(witnesses(job, ended), check=job.check, cwd=job.cwd, tree=job.tree)


def parse(seen: Witnesses, *, check: Check, cwd: Path, tree: Path) -> Parsed:
    """What the witnesses agree on; trouble where they do not."""
    told = fold(seen.events)
    if told.loaded is None:
        return Parsed(trouble=_never_loaded(seen, check))
    if told.internal_error is not None and not seen.timed_out:
        words = one_line(str(told.internal_error.get("text", "")).strip().split("\n")[-1])
        return Parsed(trouble=f"runner: pytest's own internal error: {words} (see the log, run `{check.run}` by hand)")
    if not told.session and not seen.timed_out:
        return _not_started(seen, told, check, cwd, tree)
    result = _Result(seen, told, check)
    result.collect()
    if not seen.timed_out:
        result.end()
    elif not result.failed:
        result.trouble = f"check: ended after {seen.seconds:.0f} s with no test running (raise its timeout, or make start-up quicker)"
    return result.parsed()


def _never_loaded(seen: Witnesses, check: Check) -> str:
    if seen.timed_out:
        return f"check: ended after {seen.seconds:.0f} s, before pytest was loaded (raise its timeout)"
    if "No module named pytest" in seen.text or "No module named 'pytest'" in seen.text:
        return f"environment: pytest is not installed for {seen.python} (install it there, or make a .venv that has it)"
    if "zwarm_ci_probe" in seen.text:
        return f"environment: the interpreter of `{check.run}` ignores PYTHONPATH, so its run cannot be watched (start it without -I or -E)"
    words = last_words(seen.text)
    said = f"it ended with {seen.code}" + (f": {words}" if words else " and printed nothing")
    return f"environment: `{check.run}` never started pytest, {said} (run it by hand; it must start pytest)"


def _not_started(seen: Witnesses, told: Fold, check: Check, cwd: Path, tree: Path) -> Parsed:
    """The probe was loaded and pytest gave up before its session: what the repository can mend is a failure, the rest trouble."""
    errors = [line for line in seen.text.splitlines() if "error:" in line.lower()]
    if "unrecognized arguments" in seen.text:
        words = one_line(errors[-1]) if errors else "unrecognized arguments"
        return Parsed(trouble=f"environment: {words} (install the pytest plugin that knows them)")
    if "file or directory not found" in seen.text:
        return Parsed(
            trouble=f"check: {one_line(errors[-1]) if errors else 'a path was not found'} (mend the check's command)"
        )
    if seen.code == 0:
        return Parsed(trouble=f"runner: `{check.run}` ended with 0 before any test was collected (run it by hand)")
    test_id = f"{check.name}::startup"
    if told.conftest_error is not None:
        failure = failure_of(check, test_id, {**told.conftest_error, "text": reduce_log(seen.text)})
    else:
        found = list(_RAISED.finditer(seen.text))
        said = (found[-1][1] or found[-1][2]) if found else last_words(seen.text)
        frames = frames_in(seen.text, cwd=cwd, tree=tree)
        shape = said.split(":")[0].rpartition(".")[2] if found else "UsageError"
        place = frames[-1] if frames else None
        failure = Failure(check.name, test_id, one_line(said), reduce_log(seen.text), place, shape, frames=frames)
    return Parsed(failed=(test_id,), failures=(failure,))


@dataclass(slots=True)
class _Result:
    """The judgement of a run that had a session, step by step."""

    seen: Witnesses
    told: Fold
    check: Check
    failed: dict[str, Failure] = field(default_factory=dict)
    states: dict[str, State] = field(default_factory=dict)
    canary: bool | None = None
    trouble: str = ""
    exit_code: int | None = None

    @property
    def canary_id(self) -> str:
        return f"{self.seen.canary}.py::must_fail"

    def collect(self) -> None:
        """Every state and failure, the canary apart."""
        self.states = dict(self.told.outcomes)
        self.canary = self.states.pop(self.canary_id, None) == "failed" if self.seen.canary else None
        if self.seen.timed_out and not self.canary:
            self.canary = None  # its turn never came
        for test_id, event in self.told.collect_errors.items():
            self.failed[test_id] = failure_of(self.check, test_id, event)
        for test_id, event in self.told.red.items():
            if test_id != self.canary_id:
                self.failed[test_id] = failure_of(self.check, test_id, event)
        stopped = self.told.stopped
        if self.seen.timed_out:
            event = {"text": self.seen.text[-4000:], **(stopped or {})}
            for test_id in self.told.hanging():
                known = failure_of(self.check, test_id, event)
                self.failed[test_id] = replace(known, message="timed out", shape="timed out")
        elif stopped is not None and self.told.running:
            for test_id in self.told.hanging():
                self.failed[test_id] = failure_of(self.check, test_id, stopped, prefix="interrupted the run: ")
        for test_id in self.failed:
            self.states[test_id] = "failed"

    def end(self) -> None:
        """What a run that ended by itself must have in order to be believed."""
        finish, code = self.told.finish, self.seen.code
        self.exit_code = code
        if finish is None:
            where = f" in the middle of {next(iter(self.told.running))}" if self.told.running else ""
            self.trouble = (
                f"runner: the process ended with {code}{where}, before pytest's session did (look there for os._exit)"
            )
            return
        extra = int(finish["failed"]) - int(finish["failed_reports"])
        self.trouble = self._nothing_ran() or self._contradiction(finish, extra) or self._junit_disagrees()
        if self.trouble or code == _INTERRUPTED:
            return
        if extra > 0:
            self._failed_as_a_whole()
        nothing = not self.states
        self.exit_code = _NONE_COLLECTED if nothing else 1 if self.failed else 0

    def _nothing_ran(self) -> str:
        if (
            self.failed
            or self.seen.only
            or any(state != "skipped" for state in self.states.values())
            or self.told.collected
        ):
            return ""
        return f"check: no tests ran: `{self.check.run}` collected none (name the folder of the tests, or remove the check)"

    def _contradiction(self, finish: dict[str, object], extra: int) -> str:
        code = self.seen.code
        by_hand = f"(run `{self.check.run}` by hand; a plugin or conftest changes results)"
        stopped = code == _INTERRUPTED and bool(self.failed)
        if self.seen.canary and not self.canary:
            if self.failed and self.canary_id not in self.told.outcomes and self._ended_early():
                self.canary = None
            else:
                return (
                    f"runner: the test that must fail was not seen failing, so no result of this run counts {by_hand}"
                )
        red = bool(self.failed) or bool(self.canary) or extra > 0
        if finish["exit"] != code or self.told.garbled:
            return f"runner: pytest's session ended with {finish['exit']}, its process with {code} {by_hand}"
        if code == _NONE_COLLECTED and not self.states and not red:
            return ""
        if stopped or code == (1 if red else 0):
            return ""
        return f"runner: pytest ended with {code} although {len(self.failed)} tests failed {by_hand}"

    def _ended_early(self) -> bool:
        collected = self.told.collected or []
        return any(i not in self.told.outcomes for i in collected)

    def _junit_disagrees(self) -> str:
        if not self.seen.writes_junit:
            return ""
        configured = self.told.configured or {}
        if not configured.get("junit"):
            return "check: pytest's JUnit report is switched off (remove `-p no:junitxml`)"
        if self.seen.code == _INTERRUPTED:  # its report then holds half a test
            return ""
        if self.seen.junit is None:
            return "runner: pytest wrote no JUnit report (run the check by hand with --junitxml)"
        try:
            cases = [
                c for c in read_cases(self.seen.junit) if self.seen.canary not in c.classname or not self.seen.canary
            ]
        except UnreadableXmlError as error:
            return f"runner: pytest's JUnit report cannot be read: {error} (run the check by hand with --junitxml)"
        theirs = Counter(worst_by_name(cases).values())
        ours = Counter(_by_junit_name(self.states).values())
        if theirs == ours:
            return ""
        said = ", ".join(f"{ours[s]} or {theirs[s]} {s}" for s in RANK if ours[s] != theirs[s])
        return f"runner: the probe and pytest's JUnit report disagree: {said} (a plugin or conftest changes results)"

    def _failed_as_a_whole(self) -> None:
        test_id = f"{self.check.name}::exit"
        lines = [line for line in self.seen.text.splitlines() if not self.seen.canary or self.seen.canary not in line]
        telling = [line for line in lines if re.match(r"(FAIL|ERROR|CRITICAL)\b", line)]  # pytest-cov and its like
        words = telling[-1] if telling else ""
        message = one_line(words or "the run fails although no test explains it")
        self.failed[test_id] = Failure(self.check.name, test_id, message, reduce_log("\n".join(lines)), shape="exit")
        self.states[test_id] = "failed"

    def parsed(self) -> Parsed:
        """The result as a value."""
        told = self.told
        files = [i.split("::")[0] for i in told.collected or () if "::" in i]
        modules = dict.fromkeys(m for m in (*told.modules, *files) if m not in told.collect_errors)
        if told.collected is not None:
            modules[f"{self.check.name}::startup"] = None
        if told.finish is not None and f"{self.check.name}::exit" not in self.failed and not self.trouble:
            modules[f"{self.check.name}::exit"] = None
        foreign = tuple(str(f) for f in (told.finish or {}).get("foreign", ()))

        def ids(state: State) -> tuple[str, ...]:
            return tuple(i for i, found in self.states.items() if found == state)

        return Parsed(
            ids("passed"), ids("failed"), ids("skipped"), tuple(self.failed.values()), self.trouble,
            self.exit_code, self.canary, foreign, tuple(modules),
        )  # fmt: skip


def _by_junit_name(states: dict[str, State]) -> dict[tuple[str, str], State]:
    """Ids under the names that pytest's JUnit writer gives them (_pytest/junitxml.py, mangle_test_address)."""
    made: dict[tuple[str, str], State] = {}
    for test_id, state in states.items():
        path, bracket, params = test_id.partition("[")
        names = [name for name in path.split("::") if name != "()"]
        names[0] = re.sub(r"\.py$", "", names[0].replace("/", "."))
        names[-1] += bracket + params
        key = (".".join(names[:-1]), names[-1])
        if key not in made or RANK[state] > RANK[made[key]]:
            made[key] = state
    return made
