"""Django's `manage.py test`, whose tests our unittest runner watches inside the project's own test runner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from zwarm_ci.checks.base import Job


def is_ours(argv: Sequence[str]) -> bool:
    """Whether a command is `PYTHON manage.py test …`, with the runner that the project's settings name."""
    starts = len(argv) > 2 and Path(argv[1]).name == "manage.py" and argv[2] == "test"
    return starts and Path(argv[0]).name.startswith("python") and not any(w.startswith("--testrunner") for w in argv)


def watched(job: Job) -> Job:
    """The same with our runner round the project's."""
    return replace(job, argv=(*job.argv, "--testrunner=zwarm_ci_django.Runner"))
