"""Programs of a repository that run unittest's tests by themselves: Django's `manage.py test`, a `runtests.py`. Ours watches inside."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from zwarm_ci.checks.base import PROBE, Job
from zwarm_ci.proc import Exit

_SCRIPT = re.compile(r"^run_?tests?\.py$")
_WATCHER = str(PROBE / "zwarm_ci_script.py")


def is_ours(argv: Sequence[str]) -> bool:
    """Whether a command is `PYTHON manage.py test …`, with the runner that the project's settings name, or `PYTHON runtests.py …`."""
    if len(argv) < 2 or not Path(argv[0]).name.startswith("python"):
        return False
    name = Path(argv[1]).name
    by_manage = (
        name == "manage.py" and tuple(argv[2:3]) == ("test",) and not any(w.startswith("--testrunner") for w in argv)
    )
    return by_manage or bool(_SCRIPT.match(name))


def watched(job: Job) -> Job:
    """The same, watched: our runner round the project's, or the script inside a program that watches whatever runner it starts."""
    if Path(job.argv[1]).name == "manage.py":
        return replace(job, argv=(*job.argv, "--testrunner=zwarm_ci_django.Runner"))
    return replace(job, argv=(job.argv[0], _WATCHER, *job.argv[1:]))


def is_script(job: Job) -> bool:
    """Whether a job is a script that we watch: it goes its own way after its tests, so the canary must not show in how they ended."""
    return _WATCHER in job.argv


def ended(job: Job, ended: Exit) -> Exit:
    """How a run ended; a script may end with the number of its failures."""
    return replace(ended, code=min(ended.code, 1)) if is_script(job) and ended.code is not None else ended
