"""Runs unittest as `python -m unittest ARGUMENTS` would, and writes what happened in the form of the pytest plugin.

Runs in the repository's interpreter: Python 3.8 or newer, standard library alone. Ids are `package.module.Class.test`; an error
in setting a class or module up has the id of that class or module, and so has a module that cannot be imported.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
import unittest
from typing import Any, Dict, Iterator, List, Set

from zwarm_ci_asks import Asks
from zwarm_ci_doom import doom_case, plant_cases
from zwarm_ci_lines import Lines
from zwarm_ci_orders import Log, Orders, clean, describe, step_back, strangers, take_orders, withdraw
from zwarm_ci_witness import WITNESS, look

_TEXT_RUNNER = unittest.TextTestRunner  # whatever a script is given in its place
_UNLOADABLE = "unittest.loader._FailedTest."
_HOLDERS = ("setUpClass (", "tearDownClass (", "setUpModule (", "tearDownModule (")


def id_of(test: Any) -> str:
    """The stable id of a test, a subtest's being its test's."""
    name = str(test.id())
    if name.startswith(_UNLOADABLE):
        return clean(name[len(_UNLOADABLE) :], 4000)
    if name.startswith(_HOLDERS):
        return clean(name.split("(", 1)[1].rstrip(")"), 4000)
    return clean(name, 4000)


class Canary(unittest.TestCase):
    """The test that must fail. Where it does not, nothing that this process says of itself is believed."""

    name = ""

    def id(self) -> str:
        return self.name

    def runTest(self) -> None:
        seen = "green"
        assert seen == "red", "the canary fails, as it must"


class Result(unittest.TextTestResult):
    """Writes each outcome as it comes."""

    log: Log
    orders: Orders
    noted: Set[str]
    red = 0
    told = ""

    def startTest(self, test: Any) -> None:
        self.log("start", id=id_of(test))
        super().startTest(test)

    def stopTest(self, test: Any) -> None:
        if self.orders.only is not None:
            self.note(WITNESS.after_test(self.orders.tree, os.path.realpath(_file_of(test))))
        super().stopTest(test)
        if self.told == id_of(test):  # an interrupted test has nothing to tell, and is still running for whoever looks
            self.log("end", id=id_of(test))

    def note(self, names: Set[str]) -> None:
        """Write down at once what is not as it was: what is written, nobody takes back."""
        if names - self.noted:
            self.log("altered", names=sorted(names - self.noted))
            self.noted.update(names)

    def _report(self, test: Any, outcome: str, err: Any = None, text: str = "") -> None:
        exc = describe(err[0], err[1], err[2], self.orders) if err else None
        said = clean("".join(traceback.format_exception(*err))) if err else text
        self.red += outcome == "failed"
        self.told = id_of(test)
        self.log("report", id=id_of(test), when="call", outcome=outcome, text=said, exc=exc)

    def addSuccess(self, test: Any) -> None:
        super().addSuccess(test)
        self._report(test, "passed")

    def addFailure(self, test: Any, err: Any) -> None:
        super().addFailure(test, err)
        self._report(test, "failed", err)

    def addError(self, test: Any, err: Any) -> None:
        super().addError(test, err)
        self._report(test, "failed", err)

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._report(test, "failed", err)

    def addSkip(self, test: Any, reason: str) -> None:
        super().addSkip(test, reason)
        self._report(test, "skipped", text=clean(reason, 500))

    def addExpectedFailure(self, test: Any, err: Any) -> None:
        super().addExpectedFailure(test, err)
        self._report(test, "skipped", text="expected failure")

    def addUnexpectedSuccess(self, test: Any) -> None:
        super().addUnexpectedSuccess(test)
        self._report(test, "failed", text="[XPASS(strict)] unexpected success")


def flat(suite: Any) -> Iterator[Any]:
    """The tests of nested suites, in order."""
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flat(test)
        else:
            yield test


def _file_of(test: Any) -> str:
    return str(getattr(sys.modules.get(type(test).__module__), "__file__", "") or "")


class Runner:
    """What unittest.main is told to run its tests with."""

    def __init__(self, orders: Orders, log: Log) -> None:
        self.orders, self.log = orders, log
        self.red = 0  # of every suite so far
        self.copies: Dict[str, str] = {}
        self.lines = Lines(orders.tree, orders.lines, lambda path: "")
        self.asks = Asks(orders.tree, orders.files, lambda name: log("altered", names=[name]))

    def run(self, suite: Any) -> Result:
        tests: List[Any] = list(flat(suite))
        if self.orders.only is not None:
            wanted = tuple(self.orders.only)
            heads = tuple(i + "." for i in wanted)
            tests = [t for t in tests if id_of(t) in wanted or id_of(t).startswith(heads)]
        self.log("session", rootdir=os.getcwd())
        for name in sorted(_modules(tests)):
            self.log("module", id=name, skipped=False, text="")
        self.log("collected", ids=[id_of(t) for t in tests])
        if self.orders.doom:
            self.log("planted", copies={}, undoomed=[id_of(t) for t in tests if not doom_case(t)])
        elif self.orders.targets:
            self.copies = plant_cases(tests, self.orders.targets, id_of, self.orders.mark)
            self.log("planted", copies=self.copies, undoomed=[])
        if self.orders.canary:
            canary = Canary()
            canary.name = self.orders.canary_id
            tests.append(canary)
        return self._run(unittest.TestSuite(tests))

    def _run(self, suite: unittest.TestSuite) -> Result:
        runner = _TEXT_RUNNER(resultclass=self._result, verbosity=1)
        result = runner.run(suite)
        assert isinstance(result, Result)
        if self.orders.quiet:
            ours = {self.orders.canary_id, *self.copies}
            others = [f for f in result.failures if id_of(f[0]) not in ours]
            result.red -= len(result.failures) - len(others)
            result.failures[:] = others
        self.red += result.red
        self.log(
            "finish",
            exit=1 if self.red else 0,
            **strangers(self.orders),
            failed=self.red,
            failed_reports=self.red,
            xml="",
            altered=look(self.orders.tree),
            lines=self.lines.result(),
        )
        return result

    def _result(self, *args: Any, **options: Any) -> Result:
        result = Result(*args, **options)
        result.log, result.orders, result.noted = self.log, self.orders, set()
        return result


def _modules(tests: List[Any]) -> List[str]:
    """Modules and classes that could be loaded."""
    found = set()
    for test in tests:
        kind = type(test)
        if kind.__module__ != "unittest.loader":
            found.add(clean(kind.__module__, 4000))
            found.add(clean("%s.%s" % (kind.__module__, kind.__qualname__), 4000))
    return list(found)


def main(argv: List[str]) -> int:
    """Run unittest with `argv`; 1 = something failed."""
    orders, send, _ = take_orders()
    log = Log(send)
    WITNESS.hold("zwarm_ci_unittest.log", log, ("send",))
    WITNESS.begin()
    step_back()
    sys.path.insert(0, "")  # as `python -m` has it
    log("loaded", python=sys.version.split()[0], executable=sys.executable)
    log("configured", python=sys.version.split()[0], junit=False)
    runner: Any = Runner(orders, log)
    withdraw()
    try:
        program = unittest.main(module=None, argv=["python -m unittest", *argv], testRunner=runner, exit=False)
    except KeyboardInterrupt as error:
        log("interrupted", exc=describe(type(error), error, error.__traceback__, orders))
        return 2
    result: Any = program.result
    return 1 if result.red else 0


if __name__ == "__main__":
    # Under its own name, and not in `__main__`, which any code may import.
    sys.exit(importlib.import_module("zwarm_ci_unittest").main(sys.argv[1:]))
