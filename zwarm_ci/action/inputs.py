"""The Action's inputs: text of `ZWARM_CI_INPUT_*` variables, checked before anything else happens. An empty input is not given."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, fields
from typing import Any

from zwarm_ci.errors import UsageError
from zwarm_ci.scrub import one_line

PREFIX = "ZWARM_CI_INPUT_"
#: Modes that act for a command of the same name.
MODES = ("fix-tests", "fix-checks", "fix-issue", "run", "verify", "plan", "work", "collect", "publish")
PUBLISH = ("bundle", "pr", "none")
CLIS = ("codex", "claude")
_LONGEST = 100_000  # characters of the one input that is prose; the others stay far below
_VERSION = re.compile(r"\d[\w.+-]{0,60}")


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a workflow asked for, by the inputs' own names (`directory` is `working-directory`, `checks` is `check`).

    Numbers stay text, as the command line takes them. `draft` None = as the settings say. `token` is empty
    once it was used. `version` is not among them: by the time that we read it, one is installed.
    """

    mode: str = "fix-tests"
    checks: tuple[str, ...] = ()
    task: str = ""
    issue: str = ""
    executor: str = ""
    model: str = ""
    budget_usd: str = ""
    task_budget_usd: str = ""
    minutes: str = ""
    parallel: str = ""
    base: str = ""
    branch: str = ""
    directory: str = "."
    publish: str = "bundle"
    draft: bool | None = None
    labels: tuple[str, ...] = ()
    token: str = ""
    config: str = ""
    reports: str = ""
    cli_versions: tuple[tuple[str, str], ...] = ()


_NAMES = {"checks": "check", "directory": "working-directory"}
#: Input -> the dataclass's field.
FIELDS = {_NAMES.get(f.name, f.name.replace("_", "-")): f.name for f in fields(Inputs)}
_NUMBERS = {"budget-usd": True, "task-budget-usd": True, "minutes": False, "parallel": False}  # whether 0 is one


def variable(name: str) -> str:
    """The variable that carries an input."""
    return PREFIX + name.upper().replace("-", "_")


def read(environ: Mapping[str, str]) -> Inputs:
    """The inputs that the environment carries.

    Raises:
        UsageError: one is unknown, or is not what it should be.
    """
    known = {variable(name): name for name in FIELDS}
    if odd := sorted(name for name in environ if name.startswith(PREFIX) and name not in known):
        near = difflib.get_close_matches(odd[0], known, n=1, cutoff=0.0)[0]
        raise UsageError(f"{one_line(odd[0], 80)} carries no input", remedy=f"the nearest is `{known[near]}`")
    given = {known[name]: value.strip() for name, value in environ.items() if name in known and value.strip()}
    for name, value in given.items():
        _sane(name, value)
    values: dict[str, Any] = {FIELDS[n]: _PARSED[n](n, value) if n in _PARSED else value for n, value in given.items()}
    return Inputs(**values)


def forget(environ: MutableMapping[str, str]) -> None:
    """Take every input out of an environment: what is started from now on is no step of a workflow."""
    for name in [name for name in environ if name.startswith(PREFIX)]:
        del environ[name]


def _sane(name: str, value: str) -> None:
    if "\0" in value or len(value) > _LONGEST:
        raise _bad(name, value, f"at most {_LONGEST:,} characters of text")
    if "\n" in value and name not in {"check", "task", "labels", "cli-versions"}:
        raise _bad(name, value, "one line")
    for choice, words in (("mode", MODES), ("publish", PUBLISH)):
        if name == choice and value not in words:
            raise _bad(name, value, f"one of {', '.join(words)}")
    if name in _NUMBERS:
        _number(name, value, may_be_0=_NUMBERS[name])
    if name == "token" and not re.fullmatch(r"[\x21-\x7e]+", value):
        raise UsageError("input token holds characters that no token has", remedy="give it as ${{ github.token }}")


def _number(name: str, value: str, *, may_be_0: bool) -> None:
    whole = name == "parallel"
    if not re.fullmatch(r"\d{1,9}" if whole else r"\d{1,9}(\.\d{1,9})?", value):
        raise _bad(name, value, "a whole number such as 2" if whole else "a number such as 5 or 0.50")
    if not may_be_0 and float(value) == 0:
        raise _bad(name, value, "more than 0")


def _bad(name: str, value: str, wanted: str) -> UsageError:
    return UsageError(f"input {name}: {one_line(value, 80)!r} will not do", remedy=f"give {wanted}")


def _checks(_name: str, value: str) -> tuple[str, ...]:
    return tuple(filter(None, map(str.strip, value.splitlines())))


def _labels(_name: str, value: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, map(str.strip, re.split(r"[,\n]", value)))))


def _draft(name: str, value: str) -> bool:
    if value not in {"true", "false"}:
        raise _bad(name, value, "true or false")
    return value == "true"


def _clis(name: str, value: str) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for part in _labels(name, value):
        cli, _, version = (piece.strip() for piece in part.partition("="))
        if cli not in CLIS or not _VERSION.fullmatch(version):
            raise _bad(name, part, f"{' or '.join(CLIS)} with a version, such as codex=1.2.3")
        found[cli] = version
    return tuple(found.items())


_PARSED: dict[str, Callable[[str, str], Any]] = {
    "check": _checks,
    "labels": _labels,
    "draft": _draft,
    "cli-versions": _clis,
}
