"""What can go wrong, by whose fault it is; the exit code and the short name hang on the class.

::

    ZwarmError                      5  internal        ours
    ├── UsageError                  2  usage           the command line
    │   └── ConfigError             2  config          a settings file
    ├── BlockedError                4  blocked         the environment, before any task began
    │   └── ApiError                4  forge           the forge refused, or cannot be reached
    ├── RefusedError                1  refused         a patch that may not be delivered
    ├── LimitError                  3  stopped         money, time or steps ran out
    ├── CommandError                5  command         a program that we called (git, mostly) failed
    └── InterruptedRunError   130/143  interrupted     SIGINT or SIGTERM

A red verdict is not an exception: it is a value (``verdict.py``).
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from pydantic import ValidationError


def first_complaint(error: ValidationError) -> tuple[str, str]:
    """Where a document is not what it should be, dotted ("" = as a whole), and what is wrong there."""
    first = error.errors(include_url=False, include_input=False)[0]
    return ".".join(map(str, first["loc"])), first["msg"]


class ZwarmError(Exception):
    """Root of every error of ours; ``remedy`` says in one sentence what to do."""

    exit_code: ClassVar[int] = 5
    slug: ClassVar[str] = "internal"

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    @property
    def line(self) -> str:
        """The one line a person reads: what happened, then what to do."""
        return f"{self.message} ({self.remedy})" if self.remedy else self.message


class UsageError(ZwarmError):
    """A wrong flag or argument."""

    exit_code = 2
    slug = "usage"


class ConfigError(UsageError):
    """A settings file that cannot be read or says something unknown."""

    slug = "config"


class BlockedError(ZwarmError):
    """The environment is not able: no repository, no check that can run, no usable rung."""

    exit_code = 4
    slug = "blocked"


class ApiError(BlockedError):
    """The forge refused a request, or cannot be reached.

    `status` is the HTTP status, 0 where there was no answer; `transient`: the same request may succeed later.
    """

    slug = "forge"

    def __init__(self, message: str, *, remedy: str = "", status: int = 0, transient: bool = False) -> None:
        super().__init__(message, remedy=remedy)
        self.status, self.transient = status, transient


class RefusedError(ZwarmError):
    """A patch that may not be delivered: it is not what was verified, or goes where patches may not go."""

    exit_code = 1
    slug = "refused"


class LimitError(ZwarmError):
    """A limit on money, time or steps was reached."""

    exit_code = 3
    slug = "stopped"


class CommandError(ZwarmError):
    """A program that we called failed; the message is the bug report: command, code, streams, folder."""

    slug = "command"

    def __init__(self, argv: Sequence[str], cwd: Path, code: int | None, stdout: bytes, stderr: bytes) -> None:
        self.argv, self.cwd, self.code, self.stdout, self.stderr = tuple(argv), cwd, code, stdout, stderr
        said = (stderr.strip() or stdout.strip()).decode("utf-8", "replace")
        super().__init__(f"`{' '.join(argv)}` in {cwd} ended with {code}: {said[-800:]}")


class InterruptedRunError(ZwarmError):
    """SIGINT or SIGTERM arrived; children have been ended."""

    slug = "interrupted"

    def __init__(self, signum: int = signal.SIGINT) -> None:
        super().__init__(f"interrupted by {signal.Signals(signum).name}")
        self.signum = signum

    @property
    def code(self) -> int:
        """128 + the signal's number, as shells say it."""
        return 128 + self.signum
