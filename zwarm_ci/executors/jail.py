"""Keeps a CLI without a sandbox of its own inside of its worktree: bubblewrap, with all else read-only and other processes out of sight.

Found out by trying, never by version. The network stays, for the model is reached through it.
"""

from __future__ import annotations

import functools
import shutil
from collections.abc import Iterable
from pathlib import Path

from zwarm_ci.errors import BlockedError
from zwarm_ci.proc import run
from zwarm_ci.scrub import decode, one_line

_SECONDS = 20.0  # for what takes milliseconds
_BASE = ("--ro-bind", "/", "/", "--dev-bind", "/dev", "/dev", "--cap-drop", "ALL")
#: Without a view of its own of the processes where a container does not allow one. A fresh /proc is made read-only: to root, even
#: without any capability, its /proc/sys would be the kernel's settings to write.
_VARIANTS = ((*_BASE, "--unshare-pid", "--proc", "/proc", "--remount-ro", "/proc"), _BASE)


@functools.cache
def means() -> tuple[tuple[str, ...], str]:
    """The first variant that works here, as a prefix for an argument list, or none and why, with the remedy."""
    program = shutil.which("bwrap")
    if program is None:
        return (), "bubblewrap is not installed (apt install bubblewrap)"
    said = ""
    for options in _VARIANTS:
        try:
            done = run([program, *options, "--", "true"], cwd=Path("/"), timeout=_SECONDS)
        except BlockedError as error:
            return (), error.line
        if done.ok:
            return (program, *options), ""
        said = said or one_line(decode(done.stderr), 120)
    return (), f"bubblewrap does not work here: {said}"


def jail(writable: Iterable[Path]) -> tuple[str, ...]:
    """What to put before an argument list so that it can write below `writable` (paths that exist) only; `()` where there are no means."""
    prefix, _ = means()
    if not prefix:
        return ()
    binds = [part for path in sorted({p.resolve() for p in writable}) for part in ("--bind", str(path), str(path))]
    return (*prefix, *binds, "--")
