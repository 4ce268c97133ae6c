"""JavaScript's test runners, watched: Vitest, Jest, Mocha and Node's own, however they are started (`npm test`, `npx vitest`, …).

Reporters of ours come along by NODE_OPTIONS (checks/node.py), so the repository needs none. Ids are `path::suite > test`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from zwarm_ci.checks import node
from zwarm_ci.checks.base import MAX_OUTPUT, PROBE, Job, Parsed, last_words
from zwarm_ci.checks.events import Event, Fold, failure_of
from zwarm_ci.checks.frames import frames_in
from zwarm_ci.checks.reduce import reduce_log
from zwarm_ci.proc import Exit
from zwarm_ci.scrub import one_line, plain
from zwarm_ci.task import Check, Failure

_EVENTS = "events.jsonl"
_STARTERS = frozenset("npm npx pnpm pnpx yarn bun bunx node vitest jest mocha c8 nyc cross-env tsx".split())
_NODE_TEST = re.compile(r"(^|[\s/])(node|tsx)\b[^&|;]*\s--test(\s|$)")
_CUT = "process.exit was called before its tests had ended"
_RUNS_ALL = ("::startup", "::exit")
_HOOK = re.compile(r"\((?:before|after) (?:all|each)\)$")
_PROJECT = re.compile(r" \[[^\]]*\]$")
_SPECIAL = re.compile(r"[.*+?^${}()|\[\]\\/]")
_ABSENT = re.compile(
    r"(?<![\w@/.-])(?P<name>[\w@/.-]+): (?:command )?not found|Cannot find (?:module|package) '(?P<module>[^'./][^']*)'"
    r"|command not found: (?P<yarn>[\w@/.-]+)|could not determine executable to run"
)
_RAISED = re.compile(r"(?:^|: )[^\S\n]*((\w+(?:Error|Exception))(?: \[\w+\])?: .+)$", re.MULTILINE)
_NONE = re.compile(r"No tests? (?:files )?found", re.IGNORECASE)


def is_ours(job: Job) -> bool:
    """Whether a command starts a JavaScript runner that is to be watched rather than one that writes a report where it is told."""
    words = [*job.argv, *job.env.values()]
    name = Path(job.argv[0]).name
    return name in _STARTERS and job.argv[:2] != ("bun", "test") and not any("{junit}" in word for word in words)


def prepare(job: Job) -> Job:
    """Our reporters for whichever runner comes, the script's own words where `npm test` means nothing else, and what is asked for."""
    job, script = _expanded(job)
    asked = _Asked.of(job)
    cache = (
        job.folder.parent.parent / "jest"
    )  # the run's: Jest goes by content there, and a cold start transforms all files anew
    args = {
        "vitest": {
            "valued": ["--reporter", "--outputFile"],
            "plain": ["--watch", "-w"],
            "add": ["--run", "--reporter=default", f"--reporter={PROBE / 'zwarm_ci_vitest.mjs'}", *asked.vitest()],
        },
        "jest": {
            "valued": ["--reporters", "--cacheDirectory"],
            "plain": ["--watch", "--watchAll", "--verbose=false", "--silent"],
            "add": [
                *asked.jest(),
                f"--cacheDirectory={cache}",
                "--reporters=default",
                f"--reporters={PROBE / 'zwarm_ci_jest.cjs'}",
            ],
        },
        "mocha": {
            "valued": ["--reporter", "-R"],
            "plain": ["--watch", "-w"],
            "add": [*asked.mocha(), "--reporter", str(PROBE / "zwarm_ci_mocha.cjs")],
        },
    }
    own = _node_options(script) if _NODE_TEST.search(script) else ""
    return node.watched(replace(job, canary=False), args, options=own)


def _node_options(script: str) -> str:
    """Our reporter for `node --test`, which wants a destination for each reporter, the script's own included."""
    reporter = node.quoted(str(PROBE / "zwarm_ci_node_test.mjs"))
    given = f"--test-reporter={reporter} --test-reporter-destination=stdout"
    lacking = script.count("--test-reporter") - 2 * script.count("--test-reporter-destination")
    return given + " --test-reporter-destination=stdout" * max(0, lacking)


def _expanded(job: Job) -> tuple[Job, str]:
    """The job, and the text of what it runs. `npm test` whose script is one plain command becomes that: npm costs 0.3 s a run.

    A script with `pretest`, with a shell's operators or with words after the command stays npm's.
    """
    script, scripts = _script(job)
    folders = [job.cwd, *job.cwd.parents]
    bins = [f / "node_modules" / ".bin" for f in folders[: len(job.cwd.relative_to(job.tree).parts) + 1]]
    path = os.pathsep.join([*(str(b) for b in bins if b.is_dir()), job.env.get("PATH", "")])
    if not script:
        return job.with_env(PATH=path), " ".join(job.argv)
    name = job.argv[-1]
    words = _plain_words(script)
    if not words or f"pre{name}" in scripts or f"post{name}" in scripts:
        return job, _followed(script, scripts)
    settings = dict(word.split("=", 1) for word in words if _is_setting(word))
    argv = tuple(word for word in words if not _is_setting(word))
    return replace(job, argv=argv, env={**job.env, **settings, "PATH": path}), script


def _script(job: Job) -> tuple[str, dict[str, str]]:
    """The script that `npm test` and its like run, and all scripts; "" where the command is none of these."""
    words = [word for word in job.argv[1:] if word not in ("run", "run-script")]
    if Path(job.argv[0]).name not in ("npm", "pnpm", "yarn", "bun") or len(words) != 1 or words[0].startswith("-"):
        return "", {}
    file = job.cwd / "package.json"
    try:
        found = json.loads(file.read_text(encoding="utf-8", errors="replace"))["scripts"]
        scripts = {str(name): str(text) for name, text in found.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "", {}
    return scripts.get(words[0], ""), scripts


def _plain_words(script: str) -> list[str]:
    """The words of `NAME=value… program words…`, in which a shell would do nothing, the program a runner; else none."""
    if not re.fullmatch(r"[\w@%+=:,./ -]+", script):
        return []
    words = [word for word in script.split() if word != "cross-env"]
    program = next((word for word in words if not _is_setting(word)), "")
    at = words.index(program) if program else 0
    if any(_is_setting(word) for word in words[at:]) or program not in (
        "vitest",
        "jest",
        "mocha",
        "node",
        "react-scripts",
    ):
        return []
    return words


def _is_setting(word: str) -> bool:
    return bool(re.match(r"[A-Za-z_]\w*=", word))


def _followed(script: str, scripts: dict[str, str]) -> str:
    """A script's text with those of the scripts that it runs, two deep."""
    for _ in range(2):
        script = re.sub(r"(?:npm|pnpm|yarn|bun)(?: run)? ([\w:.-]+)", lambda m: scripts.get(m[1], m[0]), script)
    return script


@dataclass(frozen=True, slots=True)
class _Asked:
    """The ids that are asked for, as the runners want them. No `names` = whole files, no `files` = everything."""

    files: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, job: Job) -> _Asked:
        if any(i.endswith(_RUNS_ALL) for i in job.only):
            return cls()
        files: dict[str, None] = {}
        names: dict[str, None] = {}
        whole = False
        for test_id in job.only:
            path, _, inner = test_id.partition("::")
            file = job.tree / _PROJECT.sub("", path)
            files[str(file if file.exists() else job.cwd / _PROJECT.sub("", path))] = None
            whole = whole or not inner or bool(_HOOK.search(inner))
            names[inner] = None
        return cls(tuple(files), () if whole else tuple(names))

    @property
    def pattern(self) -> str:
        """A regular expression for the full names, joined by a space or by " > " as versions have it; a suite's name brings its tests."""
        return r"^[^\S\n]*(?:" + "|".join(map(_as_pattern, self.names)) + r")(?:\s|$)"

    def vitest(self) -> list[str]:
        return [*(["-t", self.pattern] if self.names else []), *self.files]

    def jest(self) -> list[str]:
        named = ["-t", self.pattern] if self.names else []
        return [*named, "--coverage=false", "--runTestsByPath", *self.files] if self.files else []

    def mocha(self) -> list[str]:
        return ["--grep", self.pattern] if self.names else []


def _as_pattern(inner: str) -> str:
    parts = ([_SPECIAL.sub(r"\\\g<0>", word) for word in part.split()] for part in inner.split(" > "))
    return r"(?:\s+>)?\s+".join(r"\s+".join(words) for words in parts)


@dataclass(slots=True)
class _Told:
    """What the reporters wrote: folded events, and what each runner's process began and ended with."""

    fold: Fold = field(default_factory=Fold)
    sessions: dict[int, str] = field(default_factory=dict)
    finishes: dict[int, Event] = field(default_factory=dict)
    reports: dict[int, int] = field(default_factory=dict)
    cut: dict[str, Event] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        pid = int(event["pid"])
        if event["event"] == "cut":
            self.cut[str(event["id"])] = {**event, "exc": {"type": "Exit", "message": _CUT}, "text": _CUT}
            return
        self.fold.add(event)
        if event["event"] == "session":
            self.sessions[pid] = str(event["runner"])
        elif event["event"] == "finish":
            self.finishes[pid] = event
        elif event["event"] == "report":
            self.reports[pid] = self.reports.get(pid, 0) + 1


def told(data: bytes) -> _Told:
    """Every event of the reporters; lines cut off by a killed process are counted, not believed."""
    made = _Told()
    for line in data.split(b"\n"):
        if line.strip():
            try:
                made.add(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                made.fold.garbled += 1
    return made


def read(job: Job, ended: Exit) -> Parsed:
    """The result of a run."""
    file = job.folder / _EVENTS
    data = b""
    if file.is_file():
        with file.open("rb") as stream:
            data = stream.read(4 * MAX_OUTPUT)
    parsed = parse(
        data, plain(job.output(ended)), check=job.check, ended=ended, cwd=job.cwd, tree=job.tree, only=job.only
    )
    return replace(parsed, foreign=node.foreign(job))


def parse(
    data: bytes, text: str, *, check: Check, ended: Exit, cwd: Path, tree: Path, only: Sequence[str] = ()
) -> Parsed:
    """What events, printed text and exit code agree on; trouble where they do not."""
    said = told(data)
    if not said.sessions:
        return _never_started(text, check, ended, cwd, tree)
    fold = said.fold
    red: dict[str, Failure] = {}
    silent = {i: e for i, e in said.cut.items() if not any(known.startswith(f"{i}::") for known in fold.outcomes)}
    for test_id, event in (*fold.collect_errors.items(), *silent.items(), *fold.red.items()):
        red.setdefault(test_id, _failure(check, test_id, event, cwd, tree))
    if ended.timed_out:
        for test_id in fold.hanging():
            event = {"text": text[-4000:]}
            red[test_id] = replace(_failure(check, test_id, event, cwd, tree), message="timed out", shape="timed out")
    states = {i: s for i, s in fold.outcomes.items() if not only or s != "skipped" or i in only}
    for test_id in red:
        states[test_id] = "failed"
    trouble = "" if ended.timed_out else _trouble(said, check, ended, red, any_test=bool(states) or bool(only))
    exit_id = f"{check.name}::exit"
    if not trouble and not ended.timed_out and not red and not _good(said, ended) and not only:
        red[exit_id] = _as_a_whole(said, text, check, exit_id)
        states[exit_id] = "failed"
    modules = dict.fromkeys(m for m in fold.modules if m not in red)
    modules[f"{check.name}::startup"] = None
    if exit_id not in red and not trouble and not ended.timed_out:
        modules[exit_id] = None

    def ids(state: str) -> tuple[str, ...]:
        return tuple(i for i, found in states.items() if found == state)

    code = None if trouble or ended.timed_out else 1 if red else 0
    return Parsed(
        ids("passed"), ids("failed"), ids("skipped"), tuple(red.values()), trouble, code, modules=tuple(modules)
    )


def _good(said: _Told, ended: Exit) -> bool:
    return ended.code == 0 and all(event.get("good") for event in said.finishes.values())


def _trouble(said: _Told, check: Check, ended: Exit, red: Mapping[str, Failure], *, any_test: bool) -> str:
    """Why a run that ended by itself cannot be believed; "" = it can."""
    by_hand = f"(run `{check.run}` by hand)"
    for pid, runner in said.sessions.items():
        finish = said.finishes.get(pid)
        if finish is None:
            where = f" in the middle of {next(iter(said.fold.running))}" if said.fold.running else ""
            return (
                f"runner: {runner} ended with {ended.code}{where}, before it had a result (look there for process.exit)"
            )
        if int(finish.get("total", -1)) != said.reports.get(pid, 0) or finish.get("agree") is False:
            return f"runner: {runner}'s totals and its reports disagree {by_hand}"
    if said.fold.garbled:
        return f"runner: {said.fold.garbled} lines of the reporter's cannot be read {by_hand}"
    counted = any(int(event.get("failed", 1)) for event in said.finishes.values())
    if ended.code == 0 and (counted or red):
        first = next(iter(red), "a test")
        return f"runner: the command ended with 0 though {first} failed {by_hand}"
    if counted and not red:
        return f"runner: a runner counts failures that it does not name {by_hand}"
    if not any_test and not any(event.get("unhandled") for event in said.finishes.values()):
        return f"check: no tests ran: `{check.run}` found none {by_hand}"
    return ""


def _never_started(text: str, check: Check, ended: Exit, cwd: Path, tree: Path) -> Parsed:
    """No runner that we know came up: the environment's trouble, or a step before it that failed."""
    if ended.timed_out:
        return Parsed(
            trouble=f"check: ended after {ended.seconds:.0f} s, before a test runner was seen (raise its timeout)"
        )
    if ended.code == 0:
        known = "Vitest, Jest, Mocha or `node --test`"
        return Parsed(trouble=f'check: no tests ran: `{check.run}` started none of {known} (use `kind = "generic"`)')
    if _NONE.search(text):
        return Parsed(trouble=f"check: no tests ran: {last_words(text)} (run `{check.run}` by hand)")
    if ended.code == 127 or ((found := _ABSENT.search(text)) and not (found["module"] or "").startswith("node:")):
        return Parsed(
            trouble=f"environment: {last_words(text)} (install the packages: npm ci, or what the repository uses)"
        )
    if ended.code == 9 and "NODE_OPTIONS" in text:
        return Parsed(trouble="environment: this Node knows no --test-reporter (use Node 18.19 or later)")
    test_id = f"{check.name}::startup"
    raised = _RAISED.search(text)
    words = raised[1] if raised else last_words(text) or f"it ended with {ended.code}"
    frames = frames_in(text, cwd=cwd, tree=tree)
    place = frames[-1] if frames else None
    shape = raised[2] if raised else "startup"
    return Parsed(
        failed=(test_id,),
        failures=(Failure(check.name, test_id, one_line(words), reduce_log(text), place, shape, frames=frames),),
    )


def _failure(check: Check, test_id: str, event: dict[str, Any], cwd: Path, tree: Path) -> Failure:
    text = str(event.get("text") or "")
    frames = frames_in(text, cwd=cwd, tree=tree)
    exc = dict(event.get("exc") or {})
    if exc.get("type"):
        exc |= {"message": _without(tree, str(exc.get("message") or "")), "frames": [(f.path, f.line) for f in frames]}
    return replace(failure_of(check, test_id, {**event, "text": _without(tree, text), "exc": exc}), frames=frames)


def _without(tree: Path, text: str) -> str:
    """Paths of the worktree, which has another name next time, as the repository's own."""
    return text.replace(f"file://{tree}/", "").replace(f"{tree}/", "")


def _as_a_whole(said: _Told, text: str, check: Check, exit_id: str) -> Failure:
    """All tests passed and the command failed all the same: an error outside any test, a threshold, a step after it."""
    loud: Iterable[Event] = (event for event in said.finishes.values() if event.get("unhandled"))
    if event := next(iter(loud), None):
        exc = event.get("exc") or {}
        message = one_line(f"outside any test: {exc.get('type', 'Error')}: {exc.get('message', '')}")
        return Failure(check.name, exit_id, message, reduce_log(str(event.get("text") or text)), shape="exit")
    telling = [line for line in text.splitlines() if re.search(r"\b(ERROR|threshold|Error)\b", line)]
    message = one_line(telling[-1] if telling else "the run fails although no test explains it")
    return Failure(check.name, exit_id, message, reduce_log(text), shape="exit")
