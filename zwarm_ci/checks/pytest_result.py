"""What a pytest run's witnesses agree on: the probe's lines, the JUnit report, the printed text, the exit code and the canary."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from zwarm_ci.checks.base import Parsed, last_words
from zwarm_ci.checks.events import Fold, failure_of, fold
from zwarm_ci.checks.frames import frames_in
from zwarm_ci.checks.junit_xml import RANK, State, UnreadableXmlError, read_cases, worst_by_name
from zwarm_ci.checks.prefix import rerooted
from zwarm_ci.checks.reduce import reduce_log
from zwarm_ci.scrub import one_line
from zwarm_ci.task import Check, Failure

_NONE_COLLECTED, _INTERRUPTED = 5, 2
_RAISED = re.compile(
    r"^E\s+(\w[\w.]*(?:Error|Exception|Warning|Exit|Interrupt)\b.*)$|^(\w[\w.]*Error: .*)$", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Witnesses:
    """All that a pytest run left: the probe's lines, the JUnit report, the printed text and the exit code.

    `quiet`: the canary's failure is not in the exit code, as another program would have ended by it. `key` signs the probe's
    lines ("" = they are not signed); `mark` is in the ids of doomed copies, of which there are some where `doomed`.
    """

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
    quiet: bool = False
    key: str = ""
    mark: str = ""
    doomed: bool = False


def parse(seen: Witnesses, *, check: Check, cwd: Path, tree: Path) -> Parsed:
    """What the witnesses agree on; trouble where they do not."""
    told = fold(seen.events, seen.key)
    if told.forged and not (seen.timed_out and told.forged == 1):  # a killed process leaves half a line
        return Parsed(
            trouble=f"runner: {told.forged} lines of the probe's are not its own, or some are gone (something in the run forges results)"
        )
    if told.loaded is None:
        return Parsed(trouble=_never_loaded(seen, check))
    if told.internal_error is not None and not seen.timed_out:
        words = one_line(str(told.internal_error.get("text", "")).strip().split("\n")[-1])
        return Parsed(trouble=f"runner: pytest's own internal error: {words} (see the log, run `{check.run}` by hand)")
    if told.session is None and not seen.timed_out:
        return _not_started(seen, told, check, cwd, tree)
    result = _Result(seen, told, check)
    result.collect()
    if not seen.timed_out:
        result.end()
    elif not result.failed:
        result.trouble = f"check: ended after {seen.seconds:.0f} s with no test running (raise its timeout, or make start-up quicker)"
    root = str((told.session or {}).get("rootdir") or cwd)
    return rerooted(result.parsed(), Path(root), tree)


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

    def is_ours(self, test_id: str) -> bool:
        """The canary or a doomed copy, which are no tests of the repository."""
        return test_id == self.canary_id or bool(self.seen.mark and self.seen.mark in test_id)

    def collect(self) -> None:
        """Every state and failure, the canary apart."""
        self.states = dict(self.told.outcomes)
        self.canary = self.states.pop(self.canary_id, None) == "failed" if self.seen.canary else None
        copies = {i: self.states.pop(i) for i in list(self.states) if self.is_ours(i)}
        if self.canary and self.seen.doomed:
            self.canary = all(copies.get(i) == "failed" for i in self.told.copies)
        if self.seen.timed_out and not self.canary:
            self.canary = None  # its turn never came
        for test_id, event in self.told.collect_errors.items():
            self.failed[test_id] = failure_of(self.check, test_id, event)
        for test_id, event in self.told.red.items():
            if not self.is_ours(test_id):
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
            unseen = [i for i in (self.canary_id, *self.told.copies) if self.told.outcomes.get(i) != "failed"]
            if self.failed and not any(i in self.told.outcomes for i in unseen) and self._ended_early():
                self.canary = None
            else:
                return (
                    f"runner: the test that must fail was not seen failing, so no result of this run counts {by_hand}"
                )
        copied = bool(self.told.copies) and self.seen.doomed
        red = bool(self.failed) or ((bool(self.canary) or copied) and not self.seen.quiet) or extra > 0
        if finish["exit"] != code or self.told.garbled:
            return f"runner: pytest's session ended with {finish['exit']}, its process with {code} {by_hand}"
        if code == _NONE_COLLECTED and not self.states and not red:
            return ""
        if stopped:
            return ""
        if code == (1 if red else 0):
            return self._incomplete(by_hand)
        return f"runner: pytest ended with {code} although {len(self.failed)} tests failed {by_hand}"

    def _incomplete(self, by_hand: str) -> str:
        """Whether what was collected came to an end; a run that says it is finished says so of each of them."""
        held_up = tuple(
            f"{i}{mark}" for i, s in self.states.items() if s != "passed" for mark in (".", "::")
        )  # a class's setup
        missing = [
            i for i in self.told.collected or () if i not in self.told.outcomes and not i.startswith(held_up or ("\0",))
        ]
        if not missing:
            return ""
        return f"runner: {len(missing)} collected tests have no result, {one_line(missing[0])} first {by_hand}"

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
            found = read_cases(self.seen.junit)
        except UnreadableXmlError as error:
            return f"runner: pytest's JUnit report cannot be read: {error} (run the check by hand with --junitxml)"
        copies = [c for c in found if self.seen.mark and self.seen.mark in c.name]
        cases = [c for c in found if c not in copies and (not self.seen.canary or self.seen.canary not in c.classname)]
        if self.seen.doomed and self.told.copies and {c.state for c in copies} != {"failed"}:
            self.canary = False
            return "runner: a test that must fail was not failing in pytest's JUnit report (a plugin or conftest changes results)"
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
        foreign, shadowed = (tuple(str(f) for f in (told.finish or {}).get(k, ())) for k in ("foreign", "shadowed"))
        lines = {str(p): tuple(int(n) for n in found) for p, found in (told.finish or {}).get("lines", {}).items()}

        def ids(state: State) -> tuple[str, ...]:
            return tuple(i for i, found in self.states.items() if found == state)

        return Parsed(
            ids("passed"), ids("failed"), ids("skipped"), tuple(self.failed.values()), self.trouble,
            self.exit_code, self.canary, foreign, tuple(modules), shadowed, tuple(sorted(told.altered)), lines, tuple(told.undoomed),
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
