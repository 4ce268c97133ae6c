"""Runs a script as `python SCRIPT …` would, and watches each suite that it has unittest's text runner run.

Runs in the repository's interpreter: Python 3.8 or newer, standard library alone.
"""

from __future__ import annotations

import os
import runpy
import sys
import unittest
from typing import Any, List

from zwarm_ci_orders import Log, step_back, take_orders, withdraw
from zwarm_ci_unittest import Runner
from zwarm_ci_witness import WITNESS


def main(argv: List[str]) -> None:
    """Run `argv`: a script and its arguments."""
    orders, send, _ = take_orders()
    WITNESS.begin()
    log = Log(send)
    step_back()
    log("loaded", python=sys.version.split()[0], executable=sys.executable)
    log("configured", python=sys.version.split()[0], junit=False)
    watching = Runner(orders, log)
    withdraw()

    class Watched(unittest.TextTestRunner):
        def run(self, test: Any) -> Any:
            return watching.run(test)

    unittest.TextTestRunner = unittest.runner.TextTestRunner = Watched  # type: ignore[misc]
    sys.argv = argv
    sys.path.insert(0, os.path.dirname(os.path.abspath(argv[0])))
    runpy.run_path(argv[0], run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
