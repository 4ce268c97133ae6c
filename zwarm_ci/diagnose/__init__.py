"""What a red test lacks, read from what it says: the missing thing, and the line of config that would supply it.

Reads files, starts nothing. An explanation makes a red test unverifiable, so where the code may be at fault none is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zwarm_ci.diagnose.base import Here, Kind, Missing, Sources, compared
from zwarm_ci.diagnose.connections import missing_connection
from zwarm_ci.diagnose.forks import credentials, is_fork
from zwarm_ci.diagnose.parts import missing_file, missing_module, missing_program
from zwarm_ci.diagnose.variables import candidates, dotenv_names, mentioned_variables, missing_variable
from zwarm_ci.task import Failure

__all__ = [
    "Here",
    "Kind",
    "Missing",
    "Sources",
    "candidates",
    "credentials",
    "dotenv_names",
    "explain",
    "is_fork",
    "mentioned_variables",
]
#: The first that knows an answer is believed. An assertion may have a message that names a variable; the rest takes an error.
_OF_ASSERTIONS = (missing_variable,)
_OF_ERRORS = (missing_variable, missing_connection, missing_program, missing_module, missing_file)


def explain(failures: Sequence[Failure], tree: Path, *, here: Here) -> dict[str, Missing]:
    """What each failure lacks, by its id; a failure that may be the code's own fault has no entry."""
    sources = Sources(tree)
    found = {}
    for failure in failures:
        if compared(failure):
            continue
        for reader in _OF_ASSERTIONS if failure.shape == "AssertionError" else _OF_ERRORS:
            if missing := reader(failure, sources, here):
                found[failure.id] = missing
                break
    return found
