"""Runs in the repository's interpreter: imports the tests once, then traces, tries edits or probes functions, each in a fork.

Python 3.8 or newer, standard library alone (and pytest for its runner). One JSON order on standard input, JSON lines on the
standard output that it was started with; what tests print goes nowhere.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from typing import Any, Dict


class Out:
    """The lines that our process reads; tests cannot reach it by printing."""

    def __init__(self) -> None:
        self.fd = os.dup(1)
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)

    def __call__(self, **event: Any) -> None:
        data = (json.dumps(event) + "\n").encode()
        while data:
            data = data[os.write(self.fd, data) :]


def main() -> None:
    """Do what the order says."""
    order: Dict[str, Any] = json.loads(sys.stdin.buffer.read())
    if order["cwd_on_path"]:
        sys.path.insert(0, order["cwd"])
    out = Out()
    collect = import_module("zwarm_ci_bench_" + order["runner"]).collect
    if order["mode"] == "trace":
        from zwarm_ci_bench_trace import trace

        trace(order, out, collect)
    elif order["mode"] == "probe":
        from zwarm_ci_bench_inputs import probe

        collect(order, lambda suite: probe(order, out, suite))
    else:
        from zwarm_ci_bench_try import try_edits

        try_edits(order, out, collect)


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    # Our folder stays importable, but at the end: nothing of it may stand before a module of the tests.
    sys.path[:] = [p for p in sys.path if p and os.path.abspath(p) != here] + [here]
    main()
