"""Loads tests with unittest in this process and hands them over, instead of running them."""

import sys
import unittest


class Suite:
    """The loaded tests: `targets` in their own order, `others` of the same modules."""

    def __init__(self, order, tests):
        self.order, self.runner_files = order, []
        wanted = set(order["targets"])
        modules = {i.rpartition(".")[0].rpartition(".")[0] for i in wanted}
        self.targets = [t for t in tests if t.id() in wanted]
        self.others = [t for t in tests if t.id() not in wanted and type(t).__module__ in modules]

    def name(self, item):
        return item.id()

    def covered(self):
        """The targets that a loaded test stands for."""
        return {t.id() for t in self.targets}

    def run(self, item):
        """Whether it passed, with its class's and module's own set-up."""
        result = unittest.TestResult()
        unittest.TestSuite([item]).run(result)
        return result.wasSuccessful() and not result.skipped and result.testsRun == 1


def collect(order, serve):
    """Load what discovery finds from the working folder and return what `serve(suite)` returns."""
    sys.path.insert(0, order["cwd"])
    loader = unittest.TestLoader()
    tests = list(_flat(loader.discover(order.get("start", "."), pattern=order.get("pattern", "test*.py"))))
    return serve(Suite(order, tests))


def _flat(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            for one in _flat(test):
                yield one
        else:
            yield test
