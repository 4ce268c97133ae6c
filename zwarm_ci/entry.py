"""The console script: `--version` without importing anything heavy, everything else through the command line."""

from __future__ import annotations

import sys

from zwarm_ci import __version__


def main() -> None:
    """Run the command line given to the process and end with its exit code."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        sys.stdout.write(f"zwarm-ci {__version__}\n")
        return
    from zwarm_ci.cli import run

    sys.exit(run(sys.argv[1:]))
