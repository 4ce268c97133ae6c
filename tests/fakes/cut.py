"""The command line in a process that is killed with -9 at a record of its journal: `cut.py WHEN KIND NUMBER ARGUMENT…`.

WHEN is `before` or `after` the NUMBER-th record of that kind is written, or `half`: its line is torn.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from typing import Any

from zwarm_ci import entry, journal

WHEN, KIND, NUMBER = sys.argv[1], sys.argv[2], int(sys.argv[3])
_write = journal.Journal.write
_seen = itertools.count(1)


def write(self: journal.Journal, kind: str, **fields: Any) -> None:
    """As it is, but for the end of it all."""
    last = kind == KIND and next(_seen) == NUMBER
    if last and WHEN == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    _write(self, kind, **fields)
    if last and WHEN == "half":
        path = self._path
        path.write_bytes(path.read_bytes()[:-40])
    if last:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    journal.Journal.write = write  # type: ignore[method-assign] # a death at exactly this point cannot be had from outside
    sys.argv = ["zwarm-ci", *sys.argv[4:]]
    entry.main()
