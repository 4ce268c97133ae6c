"""From a failing job to checks that can be run here: what the job and its log name, looked up in the base's own workflow files.

A log is data. It can at most point at a `run:` step that the base commit has, never bring a command of its own; and of such steps only
simple commands that test, lint or build are taken. Whatever is left out is said, with the reason.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from zwarm_ci.checks import argv_of, reduce_log
from zwarm_ci.config import dotted, toml
from zwarm_ci.detect import derive_kind
from zwarm_ci.errors import ConfigError
from zwarm_ci.github.words import harmless, line
from zwarm_ci.github.workflows import Step, steps_of
from zwarm_ci.task import Check

_MOST_CHECKS, _MOST_NOTES = 20, 40
_MOST_LOG = 20_000_000  # characters; the end of a longer log counts
_STAMP = re.compile(r"^\ufeff?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z ?")
_SCRIPT = re.compile(r"^\x1b\[36;1m(.*?)(?:\x1b\[0m)?$")
_RED = frozenset({"failure", "timed_out"})
_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_SHELLS = frozenset({"", "bash", "sh", "bash -e {0}", "bash --noprofile --norc -eo pipefail {0}"})
#: What the shell itself does, or what hides what is done.
_BUILTINS = frozenset(
    "cd pushd popd export source . set unset eval exec if then else fi for do done while case esac function trap exit return test [ [[ true "
    "false : echo printf alias shopt umask wait read local declare let".split()
)
_HARMLESS_SET = re.compile(r"set [-+][eux]+(o? ?pipefail)?|set -o pipefail")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
#: Programs that run what a repository calls its checks; what they are asked for has to say so.
_RUNNERS = frozenset(
    "make just task npm pnpm yarn npx bun bunx deno node tox nox go cargo dotnet mvn mvnw gradle gradlew rake bundle composer cmake meson bazel "
    "bazelisk pre-commit coverage hatch poetry pdm pipenv rye uv turbo nx lerna".split()
)
_PYTHON = re.compile(r"python[\d.]*")
_CHECKING = re.compile(
    r"(?<![a-z])(?:py|unit|e2e|c)?tests?(?![a-z])|(?<![a-z])(?:lint|check|types?|typecheck|type-check|format|fmt|build|compile|verify|vet|"
    r"clippy|spec|specs|doc|docs|style|coverage)(?![a-z])",
    re.IGNORECASE,
)
_EFFECT = re.compile(
    r"(?<![a-z])(?:deploy\w*|publish\w*|release\w*|push|upload\w*|login|install|add|bump|start|serve|migrate|notify|send|sync|tag)(?![a-z])",
    re.IGNORECASE,
)
_LINTERS = frozenset(
    "black isort flake8 pylint pyright basedpyright prettier biome stylelint markdownlint shellcheck yamllint codespell golangci-lint "
    "staticcheck hadolint actionlint phpunit phpstan rubocop rspec ctest ninja bandit vulture deptry".split()
)
#: Variables that change how output looks, or where something is cached, and no result.
_NO_EFFECT = re.compile(r"CI|TERM|(CLI|FORCE_|NO_)?COLOR\w*|CLICOLOR_FORCE|PY_COLORS|PIP_\w+|UV_CACHE_DIR|\w*CACHE_DIR")
_TIMEOUT, _LONGEST = Check("", "").timeout, 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Found:
    """What of a failing job can be run here.

    Attributes:
        checks: in the order of the job; names are good for settings.
        notes: what cannot be run, and why; one line each.
        excerpt: what the failing steps printed, cut down; data, without effect.
    """

    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()
    excerpt: str = ""


@dataclass(frozen=True, slots=True)
class LoggedStep:
    """One step as the log shows it: its title, the lines of its script, what it printed, whether it failed."""

    title: str
    script: tuple[str, ...]
    printed: tuple[str, ...]
    failed: bool


def find(log: str, job: Mapping[str, Any], workflows: Mapping[str, bytes], known: Sequence[Check] = ()) -> Found:
    """The checks of a failing job.

    Args:
        log: its log as GitHub gives it; "" = there is none.
        job: its JSON as the API gives it (`name`, `workflow_name`, `labels`, `steps`); empty = the log alone tells.
        workflows: the workflow files of the base commit by path.
        known: the configured checks; where one has the same command, it is taken as it is.
    """
    steps, notes = steps_of(workflows)
    logged = steps_in(log)
    here = _of_job(steps, job)
    checks: list[tuple[str, Check]] = []
    said = list(notes)
    titles = _failed(job) or tuple(dict.fromkeys(s.title for s in logged if s.failed))
    if not titles:
        said.append("neither the job nor its log names a step that failed")
    for title in titles:
        matching = [s for s in here if _same(s, title, logged)]
        if not matching:
            said.append(f"step {line(title, 80)!r} is not in the workflow files of the base commit, so it is not run")
        for step in matching:
            made, why = _checks_of(step, job)
            checks += made
            said += [f"step {line(title, 80)!r} ({line(step.file, 80)}): {w}" for w in why]
    printed = "\n".join(text for step in logged if step.failed for text in step.printed)
    return Found(_named(checks, known), tuple(dict.fromkeys(said))[:_MOST_NOTES], harmless(reduce_log(printed)))


def settings_of(checks: Sequence[Check]) -> str:
    """The checks as a settings file (TOML) that `--config` takes."""
    tables = []
    for check in checks:
        lines = [f"[{dotted(('checks', check.name))}]", f"run = {toml(check.run)}", f"kind = {toml(check.kind)}"]
        lines += [f"workdir = {toml(check.workdir)}"] if check.workdir != "." else []
        lines += [f"timeout = {toml(check.timeout)}"] if check.timeout != _TIMEOUT else []
        tables.append("\n".join(lines) + "\n")
    return "\n".join(tables)


# ---------------------------------------------------------------------------------------------------------------- the log


def steps_in(log: str) -> tuple[LoggedStep, ...]:
    """The steps that a job's log shows. Output may imitate a step; all that it wins is to be looked up in the workflow files."""
    steps: list[tuple[str, list[str], list[str], list[bool]]] = []
    header = False
    for raw in log[-_MOST_LOG:].split("\n"):
        text = _STAMP.sub("", raw.rstrip("\r"))
        if text.startswith("##[group]Run "):
            steps.append((text.removeprefix("##[group]"), [], [], []))
            header = True
        elif not steps:
            continue
        elif header and text.startswith("##[endgroup]"):
            header = False
        elif header:
            if script := _SCRIPT.match(text):
                steps[-1][1].append(script[1])
        elif text.startswith("##[error]"):
            steps[-1][3].append(True)
            steps[-1][2].append(text.removeprefix("##[error]"))
        else:
            steps[-1][2].append(text)
    return tuple(
        LoggedStep(title, tuple(script), tuple(printed), bool(failed)) for title, script, printed, failed in steps
    )


def _failed(job: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the steps that the API says failed."""
    listed = job.get("steps")
    steps = [s for s in listed if isinstance(s, dict)] if isinstance(listed, list) else []
    return tuple(s["name"] for s in steps if s.get("conclusion") in _RED and isinstance(s.get("name"), str))


def _of_job(steps: Sequence[Step], job: Mapping[str, Any]) -> list[Step]:
    """The steps of the workflow and job that are meant, as far as the API names them."""
    workflow, name = job.get("workflow_name"), job.get("name")
    here = [s for s in steps if s.workflow == workflow] or list(steps)
    if not isinstance(name, str):
        return here
    own = name.rsplit(" / ", 1)[-1]  # `caller / job` where a workflow calls another
    bare = re.sub(r" \(.*\)$", "", own)  # `job (3.12, ubuntu-latest)` for one of a matrix
    return [s for s in here if {s.job, s.job_name} & {name, own, bare} or _EXPRESSION.search(s.job_name)]


def _same(step: Step, title: str, logged: Sequence[LoggedStep]) -> bool:
    """Whether the step is the one of that title; a step with a name is in the log under its script's first line."""
    if title and title in {step.shown, step.name}:
        return True
    lines = tuple(text.rstrip() for text in step.run.strip("\n").split("\n"))
    return bool(step.run) and any(s.title == title and tuple(map(str.rstrip, s.script)) == lines for s in logged)


# --------------------------------------------------------------------------------------------------------------- commands


def _checks_of(step: Step, job: Mapping[str, Any]) -> tuple[list[tuple[str, Check]], list[str]]:
    """The step's commands that can be run here, each with its check, and why others cannot."""
    if refused := _elsewhere(step, job):
        return [], [refused]
    commands, why = _commands(step.run)
    if why:
        return [], [why]
    settings, notes = _settings(step)
    checks = []
    for command in commands:
        reason = _unfit(command)
        if reason:
            notes.append(f"`{line(command, 120)}` is not run: {reason}")
            continue
        whole = " ".join([*(f"{name}={shlex.quote(value)}" for name, value in settings.items()), command])
        try:
            argv_of(whole)  # what a setting's value brings is read as checks are
        except ConfigError as error:
            notes.append(f"`{line(command, 120)}` is not run: {line(error.line, 160)}")
            continue
        workdir = str(PurePosixPath(step.workdir or "."))
        check = Check("", whole, derive_kind(whole), workdir, _seconds(step), why=f"failed in {step.file}")
        checks.append((command, check))
    return checks, notes


def _elsewhere(step: Step, job: Mapping[str, Any]) -> str:
    """Why the step as a whole cannot be run here."""
    if not step.run:
        return f"it uses {line(step.uses or 'an action', 80)}, and actions are not run here"
    labels = job.get("labels")
    system = " ".join(str(entry) for entry in labels) if isinstance(labels, list) else step.system
    if other := re.search(r"windows|macos", system, re.IGNORECASE):
        return f"it ran on {other[0].lower()}, and this is Linux"
    if step.shell not in _SHELLS:
        return f"its shell is {line(step.shell, 40)}"
    folder = PurePosixPath(step.workdir or ".")
    if "${{" in step.workdir or folder.is_absolute() or ".." in folder.parts:
        return f"its working-directory is {line(step.workdir, 80)}"
    for name, value in step.env.items():
        if found := _EXPRESSION.search(value):
            return f"it needs {_needs(found[1])} as {line(name, 40)}"
    return ""


def _needs(expression: str) -> str:
    text = expression.strip()
    if re.match(r"secrets\b|github\.token\b", text):
        return f"the secret {line(text, 60)}"
    return f"the matrix's {line(text, 60)}" if re.match(r"matrix\b", text) else f"`{line(text, 60)}`"


def _commands(script: str) -> tuple[list[str], str]:
    """The script's commands, one a line; or why it is more than simple commands."""
    joined = re.sub(r"\\\n[ \t]*", "", script.replace("\r\n", "\n"))
    lines = [text.strip() for text in joined.split("\n")]
    commands = [text for text in lines if text and not text.startswith("#") and not _HARMLESS_SET.fullmatch(text)]
    for command in commands:
        if found := _EXPRESSION.search(command):
            return [], f"`{line(command, 100)}` needs {_needs(found[1])}"
        try:
            words, _ = argv_of(command)
        except ConfigError as error:
            return [], line(error.line, 200)
        if operator := re.search(r"[*?~{}\\#!]", _QUOTED.sub("", command)):
            return [], f"`{line(command, 100)}` needs a shell for {operator[0]!r}"
        if words[0] in _BUILTINS:
            return [], f"`{line(command, 100)}` is the shell's own, so what follows depends on it"
    return commands, ""


def _unfit(command: str) -> str:
    """Why a simple command is no check: it may do something to the world, or nothing says that it checks."""
    words, _ = argv_of(command)
    program = PurePosixPath(words[0])
    if derive_kind(command) != "generic" or program.name in _LINTERS or {*words[1:4]} & _LINTERS:
        return ""
    own = "/" in words[0] and not program.is_absolute()  # a script of the repository
    if not own and program.name not in _RUNNERS and not _PYTHON.fullmatch(program.name):
        return f"{line(program.name, 40)} is not known to check anything; if it does, give it by `--check`"
    if found := _EFFECT.search(" ".join(words)):
        return f"it may {found[0].lower()} something"
    said = [program.name, *(PurePosixPath(word).name for word in words[1:] if not word.startswith("/"))]
    return "" if _CHECKING.search(" ".join(said)) else "nothing says that it checks; if it does, give it by `--check`"


def _settings(step: Step) -> tuple[dict[str, str], list[str]]:
    """Literal variables of workflow, job and step; and a line for those that are not, without which it is run."""
    given: dict[str, str] = {}
    notes: list[str] = []
    for name, value in (*step.outer.items(), *step.env.items()):
        if _NO_EFFECT.fullmatch(name) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,80}", name):
            continue
        if found := _EXPRESSION.search(value):
            notes.append(f"it is run without {name}, which the workflow takes from {_needs(found[1])}")
            given.pop(name, None)
        elif "\n" not in value and len(value) <= 1000:
            given[name] = value
    return given, notes


def _seconds(step: Step) -> float:
    minutes = float(step.minutes) if re.fullmatch(r"\d{1,5}(\.\d{1,3})?", step.minutes) else 0.0
    return min(minutes * 60, _LONGEST) or _TIMEOUT


def _named(checks: Sequence[tuple[str, Check]], known: Sequence[Check]) -> tuple[Check, ...]:
    """Each command once, under a name that no other has; configured checks as they are."""
    made: dict[tuple[str, str], Check] = {}
    taken = {check.name for check in known}
    for command, check in checks:
        key = (check.run, check.workdir)
        if key in made or len(made) == _MOST_CHECKS:
            continue
        same = next((c for c in known if c.run in {command, check.run} and c.workdir == check.workdir), None)
        made[key] = same or replace(check, name=next(n for n in _names(check) if n not in taken))
        taken.add(made[key].name)
    return tuple(dict.fromkeys(made.values()))


def _names(check: Check) -> Iterator[str]:
    name = check.kind if check.kind != "generic" else "job"
    yield name
    yield from (f"{name}{number}" for number in range(2, 10_000))
