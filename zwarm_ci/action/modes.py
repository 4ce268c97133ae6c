"""From a mode and its inputs to the command line that does it. A value never becomes an option: all are written `--name=value`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from zwarm_ci.action.inputs import FIELDS, Inputs
from zwarm_ci.errors import UsageError

#: Modes that make a run: they leave an outcome.json in their folder.
RUNS = frozenset({"fix-tests", "fix-checks", "fix-issue", "run", "verify", "collect"})
#: Of these, the ones that may start an executor.
EXECUTORS = frozenset({"fix-tests", "fix-checks", "fix-issue", "run", "plan", "work"})
_WANTS = {"work": "task"}  # mode -> the input without which it is nothing
_REPAIRS = frozenset({"fix-tests", "fix-checks", "fix-issue", "run"})
#: Inputs that only some modes can use; given to another one they are a mistake.
_USED_BY = {
    "check": _REPAIRS | {"verify", "plan"},
    "task": frozenset({"run", "work"}),
    "issue": frozenset({"fix-issue"}),
    **dict.fromkeys(("executor", "model", "budget-usd", "task-budget-usd"), _REPAIRS | {"plan"}),
    "parallel": _REPAIRS,
    "minutes": _REPAIRS | {"verify", "plan"},
    "base": _REPAIRS | {"verify", "plan", "publish"},
    "branch": _REPAIRS | {"verify", "collect"},
    "cli-versions": _REPAIRS | {"work"},
    "config": _REPAIRS | {"verify", "plan", "publish"},
}


@dataclass(frozen=True, slots=True)
class Order:
    """One command, as arguments; `folder` is where it leaves its files, `shared` what the jobs of a fan-out share."""

    arguments: tuple[str, ...]
    folder: Path


def order(inputs: Inputs, shared: Path, folder: Path, *, free: bool, argument: str = "") -> Order:
    """What is to be called for a mode.

    Args:
        inputs: what the workflow gave.
        shared: the folder of `reports`; plan, work and collect find each other's files below it.
        folder: a new one for this run's files.
        free: only rungs that cost nothing.
        argument: what stands after `/zwarm-ci fix`, by somebody who may write.

    Raises:
        UsageError: the mode lacks an input.
    """
    mode = inputs.mode
    _refuse_idle(inputs)
    if (wanted := _WANTS.get(mode)) and not getattr(inputs, wanted):
        raise UsageError(f"mode {mode} needs the input {wanted}", remedy=f"give it with `with: {wanted}: …`")
    plan, work, reports = shared / "plan", shared / "work", f"--reports={folder}"
    match mode:
        case "plan":
            folder = plan
            more = (*_base(inputs), *_limits(inputs, free=free), f"--out={plan}", "--for=fix-checks")
        case "work":
            folder = work
            more = (f"--plan={plan}", f"--job={inputs.task}", f"--out={work}", "--yes")
        case "collect":
            more = (f"--plan={plan}", f"--work={work}", *_named(inputs), reports)
        case "verify":
            loose = "--set=verify.strict=false"  # people's own commits: what can be meant well asks for review
            more = (*_base(inputs), *_checks(inputs), *_minutes(inputs), loose, reports, "--", inputs.branch or "HEAD")
        case _:
            what = _what(inputs, argument)
            more = (*_base(inputs), *_named(inputs), *_limits(inputs, free=free), "--yes", reports, *what)
    return Order((mode, f"-C{inputs.directory}", *_config(inputs), *more), folder)


def _refuse_idle(inputs: Inputs) -> None:
    for name, modes in _USED_BY.items():
        if getattr(inputs, FIELDS[name]) and inputs.mode not in modes:
            usable = ", ".join(sorted(modes))
            raise UsageError(
                f"input {name} has no effect in mode {inputs.mode}", remedy=f"take it out; it is for {usable}"
            )


def _what(inputs: Inputs, argument: str) -> Iterator[str]:
    """The task in words, or the issue."""
    if inputs.mode == "run":
        words = inputs.task or argument
        if not words:
            raise UsageError("mode run needs the input task", remedy="give it with `with: task: …`")
        yield f"--task={words}"
    elif inputs.mode == "fix-issue":
        yield from ("--", inputs.issue)


def _config(inputs: Inputs) -> Iterator[str]:
    if inputs.config:
        yield f"--config={inputs.config}"


def _base(inputs: Inputs) -> Iterator[str]:
    if inputs.base:
        yield f"--base={inputs.base}"


def _named(inputs: Inputs) -> Iterator[str]:
    if inputs.branch:
        yield f"--branch={inputs.branch}"


def _checks(inputs: Inputs) -> Iterator[str]:
    yield from (f"--check={command}" for command in inputs.checks)


def _minutes(inputs: Inputs) -> Iterator[str]:
    if inputs.minutes:
        yield f"--minutes={inputs.minutes}"


def _limits(inputs: Inputs, *, free: bool) -> Iterator[str]:
    """Checks, ladder, money and time: what every mode that repairs takes."""
    yield from _checks(inputs)
    yield from _minutes(inputs)
    pairs = {"budget-usd": inputs.budget_usd, "task-budget-usd": inputs.task_budget_usd, "parallel": inputs.parallel}
    yield from (f"--{name}={value}" for name, value in pairs.items() if value)
    if free:
        yield "--executor=embedded"
    elif inputs.executor:
        yield f"--executor={inputs.executor}"
    elif inputs.model:
        yield f"--model={inputs.model}"


def known(mode: str, commands: Sequence[str]) -> None:
    """Look whether this version has the command of a mode.

    Raises:
        UsageError: it has not.
    """
    if mode not in commands:
        raise UsageError(f"mode {mode} is not in this version", remedy="take another mode, or a later version")
