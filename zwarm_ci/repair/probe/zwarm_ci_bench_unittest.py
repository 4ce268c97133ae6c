"""Loads tests with unittest in this process and hands them over, instead of running them."""

from __future__ import annotations

import sys
import unittest
from typing import Any, Callable, Dict, Iterator, List, Set


class Suite:
    """The loaded tests: `targets` in their own order, `others` of the same modules. unittest runs on nothing of the tree."""

    def __init__(self, order: Dict[str, Any], tests: List[unittest.TestCase]) -> None:
        self.runner_files: List[str] = []
        wanted = set(order["targets"])
        modules = {i.rpartition(".")[0].rpartition(".")[0] for i in wanted}
        self.targets = [t for t in tests if t.id() in wanted]
        self.others = [t for t in tests if t.id() not in wanted and type(t).__module__ in modules]

    def name(self, item: unittest.TestCase) -> str:
        """The test's id."""
        return item.id()

    def covered(self) -> Set[str]:
        """The targets that a loaded test stands for."""
        return {t.id() for t in self.targets}

    def run(self, item: unittest.TestCase) -> bool:
        """Whether it passed, with its class's and module's own set-up."""
        result = unittest.TestResult()
        unittest.TestSuite([item]).run(result)
        return result.wasSuccessful() and not result.skipped and result.testsRun == 1


def collect(order: Dict[str, Any], serve: Callable[[Suite], Any]) -> Any:
    """Load what discovery finds from the working folder and return what `serve(suite)` returns."""
    sys.path.insert(0, order["cwd"])
    return serve(Suite(order, list(_flat(unittest.TestLoader().discover(**order["discover"])))))


def _flat(suite: Any) -> Iterator[unittest.TestCase]:
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from _flat(test)
        else:
            yield test
