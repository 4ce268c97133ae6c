"""A test runner for `manage.py test`: the project's own, but that what happens is written as our unittest runner writes it.

Runs in the repository's interpreter: Python 3.8 or newer, standard library and Django alone.
"""

from __future__ import annotations

import sys
from typing import Any

from django.conf import settings  # type: ignore[import-not-found]
from django.test.utils import get_runner  # type: ignore[import-not-found]
from zwarm_ci_orders import Log, step_back, take_orders
from zwarm_ci_unittest import Runner as Watching
from zwarm_ci_witness import WITNESS

ORDERS, _SEND, _ = take_orders()
LOG = Log(_SEND)
step_back()
LOG("loaded", python=sys.version.split()[0], executable=sys.executable)
WITNESS.begin()
Base: Any = get_runner(settings)


class Runner(Base):  # type: ignore[misc]  # whatever class the project names
    """Databases, tags and order are the project's; only how a suite is run and told is ours."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options["parallel"] = 1  # the others are processes that write nothing
        super().__init__(*args, **options)

    def run_suite(self, suite: Any, **options: Any) -> Any:
        LOG("configured", python=sys.version.split()[0], junit=False)
        return Watching(ORDERS, LOG).run(suite)
