"""Becomes a command, holding a lock for as long as it and what it starts live.

Usage: zwarm_ci_alone.py LOCKFILE COMMAND [WORDS…]. Standard library alone; waits for the lock.
"""

from __future__ import annotations

import fcntl
import os
import sys


def main(lock: str, *command: str) -> None:
    """Wait for the lock, then run `command` in this process's place. The lock goes with its last holder."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.set_inheritable(descriptor, True)  # noqa: FBT003 -- takes no keyword
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit("%s: %s" % (command[0], error.strerror))


if __name__ == "__main__":
    main(*sys.argv[1:])
