"""The console script: `--version` without importing anything heavy, everything else through the command line."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from zwarm_ci import __version__


def main() -> None:
    """Run the command line given to the process and end with its exit code."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        sys.stdout.write(f"zwarm-ci {__version__}\n")
        return
    # Not Python's KeyboardInterrupt: raised while a module's text is executed, it makes Python kill itself by the signal later on,
    # whoever caught it. A run has handlers of its own (proc.stoppable).
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, _end)
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller (`>&-`), and its number free for any file that we open
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: SIM115, PTH123
    from zwarm_ci.errors import BlockedError
    from zwarm_ci.gateway.keys import hand_over

    try:
        hand_over()  # from here on no process of ours but the gateway has a provider's key
    except BlockedError as error:
        sys.stderr.write(f"zwarm-ci: {error.line}\n")
        sys.exit(error.exit_code)
    from zwarm_ci.cli import run

    sys.exit(run(sys.argv[1:]))


def _end(signum: int, _frame: FrameType | None) -> None:
    """Outside a run there is nothing to put in order."""
    sys.stderr.write("zwarm-ci: interrupted\n")
    sys.exit(128 + signum)
