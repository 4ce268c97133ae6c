"""What a hook was asked, how long it may take, and where it talks."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from zwarm_ci.hook import quick
from zwarm_ci.scrub import one_line, redact
from zwarm_ci.stop import STOP

Say = Callable[[str], None]
_LEAST = 0.001  # seconds: a timer of 0 is none


@dataclass(frozen=True, slots=True)
class Asked:
    """One call of a hook.

    Attributes:
        directory: where the repository is.
        args: what git or a framework gave after the stage.
        config_file, sets: `--config` and `--set`.
        elsewhere: it was called for another folder, or with further settings, so that what `quick` keeps is not about it.
        environ: the process environment.
        started: when, by the monotonic clock.
    """

    directory: Path
    args: tuple[str, ...] = ()
    config_file: Path | None = None
    sets: tuple[str, ...] = ()
    elsewhere: bool = False
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """How long it has been at work."""
        return time.monotonic() - self.started

    def staged(self) -> quick.Staged | None:
        """What `quick` would look at, where what it keeps is about this call."""
        settings = any(name.startswith(quick.PREFIX) and name not in quick.NO_SETTINGS for name in self.environ)
        if self.elsewhere or settings or "PRE_COMMIT_TO_REF" in self.environ:
            return None
        return quick.staged(self.environ)


def say(text: str) -> None:
    """One line for a person, on standard error."""
    sys.stderr.write(f"zwarm-ci: {one_line(redact(text), 400)}\n")
    sys.stderr.flush()


def below(text: str) -> None:
    """A line that belongs to the one above it."""
    sys.stderr.write(f"  {one_line(redact(text), 400)}\n")
    sys.stderr.flush()


def working(text: str) -> None:
    """What is being done, for somebody who waits at a terminal; a log of it is of no use."""
    if sys.stderr.isatty():
        say(text)


def leave_framework(environ: MutableMapping[str, str]) -> None:
    """Take the hook framework's own virtual environment out of an environment: the repository's checks do not run with it."""
    if "PRE_COMMIT" not in environ or os.path.realpath(environ.get("VIRTUAL_ENV", "")) != os.path.realpath(sys.prefix):
        return
    del environ["VIRTUAL_ENV"]
    bins = os.path.realpath(Path(sys.prefix, "bin"))
    kept = [p for p in environ.get("PATH", os.defpath).split(os.pathsep) if os.path.realpath(p) != bins]
    environ["PATH"] = os.pathsep.join(kept)


@contextlib.contextmanager
def letting_go(seconds: float) -> Iterator[None]:
    """While inside, every wait ends after `seconds` as by a signal (SIGALRM), and with it whatever was waited for. Main thread only."""

    def over(signum: int, _frame: FrameType | None) -> None:
        STOP.set(signum)

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, _LEAST))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def inside(top: Path, names: Sequence[str]) -> Iterator[str]:
    """File names as a framework gives them, relative to where we were called, as paths from the repository's top."""
    for name in names:
        path = os.path.relpath(os.path.realpath(Path(name).parent) + os.sep + Path(name).name, os.path.realpath(top))
        if not path.startswith(".."):
            yield path
