"""The `run:` steps of a commit's workflow files: the only commands that a failing job may name. Read, never run.

Bounded against hostile files: size, number of files, jobs and steps; no tag is constructed and no scalar is more than text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from zwarm_ci.git import Git
from zwarm_ci.scrub import one_line

FOLDER = ".github/workflows"
_MOST_BYTES = 512_000  # GitHub's own limit for a workflow file is 500 KB
_MOST_FILES, _MOST_JOBS, _MOST_STEPS = 60, 300, 300


@dataclass(frozen=True, slots=True)
class Step:
    """One step of one job as its file writes it; expressions are not evaluated.

    Attributes:
        workflow: the file's `name`, else its path; `file` its path.
        job: the job's key; `job_name` its `name`, "" = it has none.
        name: the step's `name`, "" = it has none.
        run: the script; "" = the step uses an action. `uses`: that action.
        shell, workdir, minutes: in effect for it; "" = the default. `system`: `runs-on` as text.
        env: what the step itself sets, and `outer` what its job and workflow set.
        matrix: the job has one.
    """

    workflow: str
    file: str
    job: str
    job_name: str
    name: str
    run: str
    uses: str = ""
    shell: str = ""
    workdir: str = ""
    minutes: str = ""
    system: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    outer: Mapping[str, str] = field(default_factory=dict)
    matrix: bool = False

    @property
    def shown(self) -> str:
        """The name under which GitHub lists it."""
        first = next((text.strip() for text in self.run.split("\n") if text.strip()), "")
        return self.name or (f"Run {self.uses}" if self.uses else f"Run {first}")


def files_at(git: Git, rev: str) -> dict[str, bytes]:
    """The workflow files of a commit by their path; the larger ones of what GitHub takes are left out."""
    listed = git.run("ls-tree", "-z", "--long", rev, f"{FOLDER}/", check=False).stdout.split(b"\0")
    found: dict[str, bytes] = {}
    for raw in listed:
        meta, _, path = raw.decode("utf-8", "replace").partition("\t")
        parts = meta.split()
        if len(parts) != 4 or parts[1] != "blob" or parts[0] == "120000" or not path.endswith((".yml", ".yaml")):
            continue
        if int(parts[3]) <= _MOST_BYTES and len(found) < _MOST_FILES:
            found[path] = git.run("cat-file", "blob", parts[2]).stdout
    return found


def steps_of(files: Mapping[str, bytes]) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    """Every step of every file, and a line for each file that cannot be read."""
    steps: list[Step] = []
    notes: list[str] = []
    for path, data in islice(sorted(files.items()), _MOST_FILES):
        document, why = _yaml(data)
        if why:
            notes.append(f"{one_line(path, 100)} cannot be read: {why}")
        else:
            steps += _steps(path, document)
    return tuple(steps), tuple(notes)


def _yaml(data: bytes) -> tuple[dict[str, Any], str]:
    """The document with every scalar as text, and why it could not be read."""
    if len(data) > _MOST_BYTES:
        return {}, f"it is larger than {_MOST_BYTES} bytes"
    import yaml

    try:  # the base loader makes text, lists and tables alone: safer than the safe one, which makes dates and `on: true`
        found = yaml.load(data, Loader=yaml.BaseLoader)  # noqa: S506
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        return {}, one_line(f"{getattr(error, 'problem', '') or error}{f', line {mark.line + 1}' if mark else ''}", 120)
    except (RecursionError, ValueError) as error:
        return {}, one_line(f"{type(error).__name__}: {error}", 120)
    return (found, "") if isinstance(found, dict) else ({}, "it is no mapping")


def _steps(path: str, document: dict[str, Any]) -> Iterator[Step]:
    workflow = _text(document.get("name")) or path
    for key, job in islice(_table(document.get("jobs")).items(), _MOST_JOBS):
        if not isinstance(job, dict) or not isinstance(key, str):
            continue
        outer = _texts(document.get("env")) | _texts(job.get("env"))
        defaults = _defaults(document) | _defaults(job)
        system = job.get("runs-on")
        listed = job.get("steps")
        for step in islice(listed if isinstance(listed, list) else (), _MOST_STEPS):
            if isinstance(step, dict):
                said = {k: _text(step.get(k)) for k in ("name", "run", "uses", "shell")}
                yield Step(
                    workflow, path, key, _text(job.get("name")), said["name"], said["run"], said["uses"],
                    said["shell"] or defaults.get("shell", ""),
                    _text(step.get("working-directory")) or defaults.get("working-directory", ""),
                    _text(step.get("timeout-minutes")), _system(system), _texts(step.get("env")), outer,
                    "matrix" in _table(job.get("strategy")),
                )  # fmt: skip


def _defaults(of: Mapping[str, Any]) -> dict[str, str]:
    return _texts(_table(of.get("defaults")).get("run"))


def _system(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("labels")
    return " ".join(map(_text, value)) if isinstance(value, list) else _text(value)


def _table(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _texts(value: Any) -> dict[str, str]:
    return {k: v for k, v in _table(value).items() if isinstance(k, str) and isinstance(v, str)}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
