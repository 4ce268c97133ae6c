"""The console script: `--version` and a hook with nothing to do without importing anything heavy, else the command line."""

from __future__ import annotations

import os
import sys

from zwarm_ci import __version__

TYPE_CHECKING = False  # as in `typing`, whose import would be most of what `--version` takes
if TYPE_CHECKING:
    from types import FrameType

_HOOKS_OWN = frozenset({3, 4, 5})  # a limit, the environment, a fault of ours: nobody's commit is held up by it


def main() -> None:
    """Run the command line given to the process and end with its exit code."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        sys.stdout.write(f"zwarm-ci {__version__}\n")
        return
    if sys.argv[1:2] == ["hook"]:
        _leave_early(sys.argv[2:])
    _listen()
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

    code = run(sys.argv[1:])
    sys.exit(0 if sys.argv[1:2] == ["hook"] and code in _HOOKS_OWN else code)


def _leave_early(args: list[str]) -> None:
    """End here where a hook has nothing to do."""
    from zwarm_ci.hook import quick

    try:
        quick.main(args)
    except KeyboardInterrupt:
        os._exit(130)  # nothing was begun that has to be put in order


def _listen() -> None:
    """Have a signal end the process with its exit code, from now on.

    Not Python's KeyboardInterrupt: raised while a module's text is executed, it makes Python kill itself by the signal later on,
    whoever caught it. A run has handlers of its own (proc.stoppable).
    """
    try:
        import signal

        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, _end)
    except KeyboardInterrupt:  # during that very import
        os._exit(130)


def _end(signum: int, _frame: FrameType | None) -> None:
    """Outside a run there is nothing to put in order."""
    sys.stderr.write("zwarm-ci: interrupted\n")
    sys.exit(128 + signum)
