"""Runs a check in a tree and says what can be believed of it; a command is a list of words, never a shell's text."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from zwarm_ci import proc
from zwarm_ci.checks import cargo, eslint, generic, go, junit, mypy, pytest, ruff, runners, tsc
from zwarm_ci.checks.base import (
    NOTHING_AROUND,
    PACKAGE_SETTINGS,
    UNWATCHED,
    Around,
    Job,
    Parsed,
    Parser,
    Watch,
    last_words,
)
from zwarm_ci.checks.prefix import prefixed, stripped
from zwarm_ci.environment import Environment, child_environment
from zwarm_ci.errors import BlockedError, ConfigError
from zwarm_ci.scrub import decode
from zwarm_ci.task import Check, Kind
from zwarm_ci.verdict import CheckResult

KINDS: dict[Kind, Parser] = {
    "pytest": pytest,
    "junit": junit,
    "ruff": ruff,
    "mypy": mypy,
    "tsc": tsc,
    "eslint": eslint,
    "go": go,
    "cargo": cargo,
    "generic": generic,
}
_AS_A_PERSON = Around(own_home=False)
_ASSIGNMENT = re.compile(r"^[A-Za-z_]\w*=")
_REMEDIES = {
    "|": "a pipe hides the exit code; write the first command alone",
    "||": "it hides the exit code; write the first command alone",
    "&&": "put the first command into `setup`",
    ";": "put the first command into `setup`",
    "&": "a check must not leave a process behind",
    ">": "the log is kept anyway; leave the redirection out",
    "<": "checks read no standard input",
    "`": "write the words themselves, or put the command into a script",
    "$(": "write the words themselves, or put the command into a script",
    "$": "list the variable under `env`, or write its value",
    "(": "quote it, or put the command into a script",
    ")": "quote it, or put the command into a script",
    "\n": "one command a check; put the first into `setup`",
}


def argv_of(command: str) -> tuple[list[str], dict[str, str]]:
    """A command's words, and the `NAME=value` settings before them.

    Raises:
        ConfigError: it is empty, a quote is open, or it needs a shell; the message names the operator and the remedy.
    """
    if operator := _shell_operator(command):
        shown = operator.replace("\n", "a line break")
        raise ConfigError(f"check command {command!r} needs a shell for {shown!r}", remedy=_REMEDIES[operator])
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ConfigError(f"check command {command!r}: {error}", remedy="close the quote") from error
    settings: dict[str, str] = {}
    while words and _ASSIGNMENT.match(words[0]):
        name, _, value = words.pop(0).partition("=")
        settings[name] = value
    if not words:
        raise ConfigError(f"check command {command!r} names no program", remedy="write the command that runs it")
    return words, settings


def _shell_operator(command: str) -> str:
    """The first thing in `command` that only a shell understands; quoted text is left alone, as a shell would."""
    quote = ""
    at = 0
    text = command.strip()
    while at < len(text):
        char = text[at]
        if char == "\\" and quote != "'":
            at += 2
            continue
        if char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        elif quote != "'" and (found := _expansion(text, at)):
            return found
        elif not quote and char in "|&;<>()\n":
            return char * 2 if char in "|&" and text[at + 1 : at + 2] == char else char
        at += 1
    return ""


def _expansion(text: str, at: int) -> str:
    if text[at] == "`":
        return "`"
    if text[at] == "$" and re.match(r"[A-Za-z0-9_{(@*#?$!-]", text[at + 1 : at + 2]):
        return "$(" if text[at + 1] == "(" else "$"
    return ""


def run_check(
    check: Check,
    tree: Path,
    *,
    env: Environment,
    scratch: Path,
    only: Sequence[str] = (),
    canary: bool = True,
    watch: Watch = UNWATCHED,
    timeout: float | None = None,
    log_name: str = "",
    around: Around = NOTHING_AROUND,
) -> CheckResult:
    """Run `check` in `tree` and read its result. Safe from several threads at once.

    Args:
        check: what to run.
        tree: where.
        env: what maps the dependencies into it, from `environment.discover`.
        scratch: folder for TMPDIR, report files and logs; made where it is missing.
        only: run just these ids, where the kind can (the others run whole).
        canary: have a test that must fail seen failing, where the kind can.
        watch: what else is to be seen, where the kind can.
        timeout: seconds, instead of the check's own.
        log_name: name of the log file without suffix; "" = a unique one.
        around: words before the command, more variables, and what fills in `{port}`.

    Raises:
        ConfigError: the command needs a shell. InterruptedRunError: the run was stopped.
    """
    job = _job(check, check.run, tree, env=env, scratch=scratch, log_name=log_name, around=around)
    parser = KINDS[check.kind]
    job = parser.prepare(replace(job, only=stripped(only, job), canary=canary, watch=_stripped(watch, job)))
    try:
        argv = (*around.prefix, *_startable(job)) if around.prefix else job.argv
        ended = proc.run_logged(argv, cwd=job.cwd, env=job.env, timeout=timeout or check.timeout, log=job.log)
    except BlockedError as error:
        return CheckResult(check.name, check.run, None, trouble=f"environment: {error.line}")
    if ended.code is not None and ended.code < 0:
        words = last_words(job.output(ended))
        parsed = Parsed(
            trouble=f"environment: ended by signal {-ended.code}: {words} (memory limit, crash, or killed from outside)"
        )
    else:
        parsed = prefixed(parser.read(job, ended), job)
    return _result(job, ended, parsed)


def can_doom(check: Check) -> bool:
    """Whether `Watch.doom` means something for a check: its tests run in a Python that we watch."""
    words, _ = argv_of(check.run)
    return check.kind == "pytest" or (check.kind == "junit" and (junit.is_unittest(words) or runners.is_ours(words)))


def _stripped(watch: Watch, job: Job) -> Watch:
    return replace(watch, targets=stripped(watch.targets, job)) if watch.targets else watch


def _startable(job: Job) -> tuple[str, ...]:
    """The job's command, found as the system would find it: what stands before it could only say so in its own words.

    Raises:
        BlockedError: there is no such program.
    """
    program = job.argv[0]
    if not shutil.which(job.cwd / program if "/" in program else program, path=job.env.get("PATH")):
        raise BlockedError(f"{program}: not found", remedy="install it, or put it on PATH")
    return job.argv


def _result(job: Job, ended: proc.Exit, parsed: Parsed) -> CheckResult:
    foreign = tuple(f for f in parsed.foreign if not _in_venv(job.top, f))
    trouble = parsed.trouble
    if ended.timed_out and not parsed.failed and not trouble:
        trouble = f"check: ended after {ended.seconds:.0f} s (raise its timeout)"
    if foreign and not trouble:
        trouble = f"environment: the run imported the original checkout's {foreign[0]} instead of this tree's ({_remedy(foreign[0])})"
    return CheckResult(
        job.check.name,
        job.check.run,
        ended.code if parsed.exit_code is None else parsed.exit_code,
        parsed.passed,
        parsed.failed,
        parsed.skipped,
        ended.seconds,
        parsed.failures,
        trouble,
        ended.timed_out,
        parsed.canary,
        foreign,
        parsed.modules,
        str(job.log),
        parsed.shadowed,
        parsed.altered,
        parsed.lines,
        parsed.undoomed,
        left=ended.left,
    )


def _remedy(file: str) -> str:
    """How the code of a worktree gets to be its own, by the language of a file."""
    if file.endswith(".py"):
        return "install the project with `pip install -e .` into the repository's .venv"
    return 'name files by relative paths, or have the dependencies installed in worktrees, e.g. setup = "npm ci"'


def _in_venv(top: Path, name: str) -> bool:
    """Whether a file of the checkout belongs to a virtual environment in it, which is the environment's and not the code's."""
    return any((folder / "pyvenv.cfg").is_file() for folder in (top / name).parents if folder.is_relative_to(top))


def _job(
    check: Check,
    command: str,
    tree: Path,
    *,
    env: Environment,
    scratch: Path,
    log_name: str = "",
    around: Around = NOTHING_AROUND,
) -> Job:
    words, settings = argv_of(around.fill(command))
    tree, scratch = tree.resolve(), scratch.resolve()  # what is handed to the child must not depend on its folder
    if words[0] in ("python", "python3") and env.python:
        words[0] = env.python
    token = secrets.token_hex(8)
    name = re.sub(r"[^\w.-]", "_", check.name)
    folder = scratch / f"{name}-{token}"
    folder.mkdir(parents=True)
    log = scratch / f"{log_name or folder.name}.log"
    child = {
        **child_environment(
            env,
            tree,
            check,
            tmp=folder / "tmp",
            bytecode=scratch.parent / "bytecode",
            home=folder / "home" if around.own_home else None,
        ),
        **around.variables,
        **settings,
    }
    return Job(
        check,
        tuple(words),
        child,
        tree / check.workdir,
        tree,
        env.top,
        folder,
        log,
        token,
        secret=secrets.token_hex(32),
    )


def run_setup(
    check: Check, tree: Path, *, env: Environment, scratch: Path, variables: Mapping[str, str] = MappingProxyType({})
) -> str:
    """Run the check's `setup` once in a tree; "" or the trouble that makes its results unverifiable.

    It sees what package managers are told by variables (index, proxy), which checks do not, and `variables`.
    """
    if not check.setup:
        return ""
    told = {k: v for k, v in os.environ.items() if PACKAGE_SETTINGS.match(k)}
    try:
        ended = _plain(
            check,
            check.setup,
            tree,
            env=env,
            scratch=scratch,
            around=Around(variables={**told, **variables}, own_home=False),
        )
    except BlockedError as error:
        return f"environment: setup: {error.line}"
    if ended.ok:
        return ""
    how = "ran out of time" if ended.timed_out else f"ended with {ended.code}"
    return f"environment: setup `{check.setup}` {how}: {last_words(decode(ended.stdout))} (run it by hand)"


def run_fix(check: Check, tree: Path, *, env: Environment, scratch: Path) -> proc.Exit | None:
    """Run the check's `fix` command in a tree; None where there is none.

    Raises:
        BlockedError: its program does not exist. ConfigError: it needs a shell.
    """
    return _plain(check, check.fix, tree, env=env, scratch=scratch, around=_AS_A_PERSON) if check.fix else None


def _plain(check: Check, command: str, tree: Path, *, env: Environment, scratch: Path, around: Around) -> proc.Exit:
    job = _job(check, command, tree, env=env, scratch=scratch, around=around)
    return proc.run_logged(job.argv, cwd=job.cwd, env=job.env, timeout=check.timeout, log=job.log)
