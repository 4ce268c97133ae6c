"""With the token: what the run itself could not ask for any more. The issue with its comments, and what failed in a failed workflow."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zwarm_ci.action import modes
from zwarm_ci.action.deciding import Case
from zwarm_ci.action.inputs import Inputs, variable
from zwarm_ci.errors import UsageError, ZwarmError
from zwarm_ci.files import write_atomic
from zwarm_ci.git import open_repository
from zwarm_ci.github import attempts, followup, issue, logs, workflows
from zwarm_ci.github.api import Api
from zwarm_ci.github.event import Trigger
from zwarm_ci.github.logs import Found
from zwarm_ci.plan import fingerprint_of
from zwarm_ci.task import Check

_RED = frozenset({"failure", "timed_out"})
_MOST_JOBS = 20  # whose logs are read; a matrix fails in the same place
_REPAIRS = frozenset({"fix-tests", "fix-checks", "plan"})


@dataclass(frozen=True, slots=True)
class Fetched:
    """Inputs as variables that take the place of what was given, lines for the summary, and a file: fingerprint -> who repairs it.

    `asked_again`: the fingerprint of a task that has a pull request, on which more was asked for; "" = none.
    """

    variables: Mapping[str, str]
    said: tuple[str, ...] = ()
    spoken_for: str = ""
    asked_again: str = ""


def fetch(inputs: Inputs, case: Case, environ: Mapping[str, str]) -> Fetched:
    """What the second half needs in files.

    Raises:
        ApiError: the issue cannot be had. UsageError: there is none.
    """
    trigger = case.trigger
    found = Fetched({})
    if inputs.mode == "fix-issue":
        found = _issue(inputs, trigger, environ)
    elif trigger and trigger.run_id and inputs.mode in _REPAIRS and not inputs.checks:
        found = _failed(inputs, trigger)
    elif trigger and trigger.event in {"check_suite", "check_run"} and inputs.mode in _REPAIRS and not inputs.checks:
        # GitHub starts no workflow by checks of its own Actions, so this one is another program's.
        app = trigger.workflow or "another program"
        found = Fetched({}, (f"{app} keeps its own log, which GitHub has not, so the repository's checks run",))
    if case.decision.go == "run" and inputs.mode in modes.EXECUTORS:
        file, note = _spoken_for(inputs, environ, found.asked_again)
        found = replace(found, spoken_for=file, said=(*found.said, *filter(None, [note])))
    return found


def _spoken_for(inputs: Inputs, environ: Mapping[str, str], but: str) -> tuple[str, str]:
    """The file of tasks (`but` one) that pull requests of ours answer, open or closed today, and a line where that cannot be told."""
    api, repo, today = Api(inputs.token), environ.get("GITHUB_REPOSITORY", ""), dt.datetime.now(dt.UTC).date()
    try:
        pulls = [*api.pulls(repo, state="open"), *api.closed_since(repo, today.isoformat())]
    except ZwarmError as error:
        return "", f"whether a pull request repairs it already is not known: {error.line}"
    spoken = {task: why for task, why in attempts.spoken_for(pulls, today).items() if task != but}
    return (str(_file("spoken-for", json.dumps(spoken), ".json")), "") if spoken else ("", "")


def _issue(inputs: Inputs, trigger: Trigger | None, environ: Mapping[str, str]) -> Fetched:
    """The issue as a file; an address or a file is left to the command."""
    number = inputs.issue.removeprefix("#") or (str(trigger.number) if trigger and trigger.number else "")
    if not number:
        raise UsageError("mode fix-issue needs the input issue", remedy="give its number: `with: issue: …`")
    if not re.fullmatch(r"\d{1,12}", number):
        return Fetched({variable("issue"): number})
    repo = environ.get("GITHUB_REPOSITORY", "")
    document = issue.download(Api(inputs.token), repo, int(number))
    file = _file("issue", f"{json.dumps(document, ensure_ascii=True)}\n", ".json")
    begun = document.get("follow_up")
    if not begun:
        return Fetched({variable("issue"): str(file)})
    again = fingerprint_of(followup.facts_of(repo, int(document["number"])))
    note = f"pull request {begun['number']} answers issue {document['number']} so far; a fresh session makes its change anew"
    return Fetched({variable("issue"): str(file)}, (note,), asked_again=again)


def _failed(inputs: Inputs, trigger: Trigger) -> Fetched:
    """The checks of the jobs that failed, as a settings file; where they cannot be told, those of the repository, and why."""
    if inputs.config:
        return Fetched({}, ("a settings file is given, so the failed workflow's own commands are not looked for",))
    try:
        checks, notes = _checks(inputs, trigger)
    except ZwarmError as error:
        return Fetched(
            {}, (f"the failed workflow's commands cannot be told, so the repository's checks run: {error.line}",)
        )
    if not checks:
        return Fetched({}, (*notes, "nothing of the failed workflow can be run here, so the repository's checks run"))
    said = tuple(f"failed in {trigger.workflow}: {check.run}" for check in checks)
    if all(check.workdir == "." for check in checks):
        return Fetched({variable("check"): "\n".join(check.run for check in checks)}, (*said, *notes))
    file = _file(
        "failed", logs.settings_of(checks), ".toml"
    )  # a folder is a setting's alone; the repository's checks run beside them
    return Fetched({variable("config"): str(file)}, (*said, *notes))


def _checks(inputs: Inputs, trigger: Trigger) -> tuple[tuple[Check, ...], tuple[str, ...]]:
    api, user = Api(inputs.token), open_repository(Path(inputs.directory))
    files = workflows.files_at(user.git, user.head)
    jobs = [job for job in api.jobs(trigger.repo, trigger.run_id) if job.get("conclusion") in _RED]
    checks: dict[tuple[str, str], Check] = {}
    notes: dict[str, None] = {}
    for found in _found(api, trigger, jobs[:_MOST_JOBS], files):
        for check in found.checks:
            checks.setdefault((check.run, check.workdir), check)
        notes |= dict.fromkeys(found.notes)
    return tuple(_renamed(checks.values())), tuple(notes)


def _found(api: Api, trigger: Trigger, jobs: list[dict[str, Any]], files: Mapping[str, bytes]) -> Iterator[Found]:
    for job in jobs:
        number = job.get("id")
        log = api.job_log(trigger.repo, number) if isinstance(number, int) else ""
        yield logs.find(log, job, files)


def _renamed(checks: Iterable[Check]) -> Iterator[Check]:
    """Each with a name that no other has: two jobs may both have a `pytest`."""
    taken: set[str] = set()
    for check in checks:
        name = next(n for n in (check.name, *(f"{check.name}-{i}" for i in range(2, 1000))) if n not in taken)
        taken.add(name)
        yield replace(check, name=name)


def _file(name: str, text: str, suffix: str) -> Path:
    """A file of the job, outside of the checkout."""
    folder = tempfile.mkdtemp(prefix=f"zwarm-ci-{name}-", dir=os.environ.get("RUNNER_TEMP") or None)
    file = Path(folder, f"{name}{suffix}")
    write_atomic(file, text)
    return file
