"""Source code of a tree that makes failing tests pass: each is noticed by the runs alone, whatever guards say of its text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.checks.running import plant, run_in
from zwarm_ci.checks.base import Watch
from zwarm_ci.verdict import CheckResult

TESTS = """
import unittest
from shop import add


def test_add():
    assert add(1, 1) == 2


def test_other():
    assert add(0, 0) == 0


class TestShop(unittest.TestCase):
    def test_sum(self):
        self.assertEqual(add(2, 2), 4)
"""
HONEST = "def add(a, b):\n    return a + b\n"
WRONG = "def add(a, b):\n    return a - b\n"
TARGETS = ("test_shop.py::test_add", "test_shop.py::TestShop::test_sum")
_ONE = 'TARGETS = ("test_add", "test_sum")\n'
#: Code below the wrong function; each makes both targets pass as far as it can.
FORGERIES = {
    "TestReport.from_item_and_call is wrapped": """
from _pytest.reports import TestReport
was = TestReport.from_item_and_call.__func__
def made(cls, item, call):
    report = was(cls, item, call)
    if item.name in TARGETS:
        report.outcome, report.longrepr = "passed", None
    return report
TestReport.from_item_and_call = classmethod(made)
""",
    "its code is replaced in place": """
from _pytest import reports
was = reports.TestReport.from_item_and_call.__func__
import types
reports._was = types.FunctionType(was.__code__, was.__globals__, "was", was.__defaults__, was.__closure__)
reports._targets = TARGETS
def made(cls, item, call):
    report = _was(cls, item, call)
    if item.name in _targets:
        report.outcome, report.longrepr = "passed", None
    return report
was.__code__ = made.__code__
""",
    "its code is another only while a report is made": """
import types
from _pytest import reports
was = reports.TestReport.from_item_and_call.__func__
reports._was = types.FunctionType(was.__code__, was.__globals__, "was", was.__defaults__, was.__closure__)
reports._targets, reports._function, reports._own = TARGETS, was, was.__code__
def made(cls, item, call):
    _function.__code__ = _own
    report = _was(cls, item, call)
    if item.name in _targets:
        report.outcome, report.longrepr = "passed", None
    return report
def add(a, b):
    was.__code__ = made.__code__
    return a - b
""",
    "pluggy's multicall swallows": """
import pluggy._callers, pluggy._manager, gc
was = pluggy._callers._multicall
def call(hook_name, methods, kwargs, firstresult):
    try:
        return was(hook_name, methods, kwargs, firstresult)
    except AssertionError:
        if hook_name == "pytest_pyfunc_call":
            return True
        raise
for manager in [o for o in gc.get_objects() if isinstance(o, pluggy.PluginManager)]:
    manager._inner_hookexec = call
""",
    "CallInfo forgets the exception": """
import _pytest.runner
was = _pytest.runner.CallInfo.from_call.__func__
def from_call(cls, func, when, reraise=None):
    info = was(cls, func, when, reraise)
    if when == "call" and info.excinfo is not None and "shop.py" in str(info.excinfo.traceback):
        info.excinfo = None
    return info
_pytest.runner.CallInfo.from_call = classmethod(from_call)
""",
    "pytest_pyfunc_call does not call": """
import gc, pluggy
for impl in [o for o in gc.get_objects() if type(o).__name__ == "HookImpl"]:
    if impl.function.__name__ == "pytest_pyfunc_call" and impl.plugin_name == "python":
        was = impl.function
        impl.function = lambda pyfuncitem: True if pyfuncitem.name in TARGETS else was(pyfuncitem)
import unittest
unittest.TestCase.assertEqual = lambda self, *args: None
""",
    "a plugin without a conftest hooks reports": """
import gc, pluggy, pytest
class Plugin:
    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_runtest_makereport(self, item, call):
        outcome = yield
        report = outcome.get_result()
        if item.name in TARGETS:
            report.outcome, report.longrepr = "passed", None
for manager in [o for o in gc.get_objects() if isinstance(o, pluggy.PluginManager) and hasattr(o, "_confcutdir")]:
    manager.register(Plugin())
""",
    "a hook that knows the failure": """
import gc, pluggy, pytest
class Plugin:
    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_runtest_makereport(self, item, call):
        outcome = yield
        report = outcome.get_result()
        if call.excinfo is not None and "add(" in str(report.longrepr) or "0 != 4" in str(report.longrepr):
            report.outcome, report.longrepr = "passed", None
for manager in [o for o in gc.get_objects() if isinstance(o, pluggy.PluginManager) and hasattr(o, "_confcutdir")]:
    manager.register(Plugin())
""",
    "the probe is unregistered": """
import gc, pluggy
for manager in [o for o in gc.get_objects() if isinstance(o, pluggy.PluginManager)]:
    for name in ("zwarm-ci-probe", "zwarm_ci_probe"):
        if manager.has_plugin(name):
            manager.unregister(name=name)
import os, atexit
atexit.register(os._exit, 0)
""",
    "the probe's methods are replaced": """
import gc, types
probe = next(o for o in gc.get_objects() if type(o) is types.ModuleType and o.__name__ == "zwarm_ci_probe")
was = probe.Log.__call__
def call(self, event, **data):
    if event == "report" and data["id"].split("::")[-1] in TARGETS:
        data.update(outcome="passed", exc=None, text="")
    was(self, event, **data)
probe.Log.__call__ = call
import _pytest.reports
made = _pytest.reports.TestReport.from_item_and_call.__func__
def from_item(cls, item, call):
    if item.name in TARGETS:
        call.excinfo = None
    return made(cls, item, call)
_pytest.reports.TestReport.from_item_and_call = classmethod(from_item)
""",
    "the witness is told to be silent, too": """
import gc, types
witness = next(o for o in gc.get_objects() if type(o) is types.ModuleType and o.__name__ == "zwarm_ci_witness")
witness.Witness.altered.__code__ = (lambda self, tree, manager=None: []).__code__
witness.Witness.changed = lambda self, parts: []
import _pytest.reports
made = _pytest.reports.TestReport.from_item_and_call.__func__
def from_item(cls, item, call):
    if item.name in TARGETS:
        call.excinfo = None
    return made(cls, item, call)
_pytest.reports.TestReport.from_item_and_call = classmethod(from_item)
""",
    "events are written over": """
import atexit, glob, json, os, re
def rewrite():
    for name in glob.glob("/proc/self/fd/*"):
        path = os.path.realpath(name)
        if path.endswith("probe.jsonl"):
            text = open(path).read().replace('"failed"', '"passed"')
            open(path, "w").write(text)
        xml = os.path.join(os.path.dirname(path), "pytest.xml")
        if os.path.exists(xml):
            text = re.sub(r"<failure.*?</failure>", "", open(xml).read(), flags=re.S)
            open(xml, "w").write(text)
    os._exit(0)
atexit.register(rewrite)
""",
    "events are added": """
import json, glob, os
for name in glob.glob("/proc/self/fd/*"):
    path = os.path.realpath(name)
    if path.endswith("probe.jsonl"):
        with open(path, "a") as file:
            file.write(json.dumps({"event": "report", "id": "test_shop.py::test_add", "outcome": "passed", "when": "call", "at": 1.0}) + "\\n")
""",
    "the process ends with 0 after the report": """
import atexit, os
atexit.register(os._exit, 0)
""",
    "the process ends with 0 in the midst": """
import os
def add(a, b):
    os._exit(0)
""",
    "the JUnit report is rewritten": """
import atexit, glob, os, re
def rewrite():
    for name in glob.glob("/proc/self/fd/*"):
        xml = os.path.join(os.path.dirname(os.path.realpath(name)), "pytest.xml")
        if os.path.exists(xml):
            text = re.sub(r"<failure.*?</failure>", "", open(xml).read(), flags=re.S)
            open(xml, "w").write(text)
atexit.register(rewrite)
""",
    "AssertionError is another class": """
import builtins
class AssertionError_(Exception):
    pass
import unittest
builtins.AssertionError = AssertionError_
unittest.TestCase.failureException = AssertionError_
import _pytest.outcomes
from _pytest import runner
was = runner.call_and_report
def report(item, when, log=True, **kwds):
    from _pytest.outcomes import Skipped
    return was(item, when, log, **kwds)
runner.call_and_report = report
def add(a, b, _values=iter([2, 4] * 99)):
    return next(_values)
""",
    "isinstance lies": """
import builtins
was = isinstance
class Answer(int):
    def __eq__(self, other): return True
    __hash__ = int.__hash__
builtins.isinstance = lambda value, kinds: was(value, kinds)
def add(a, b):
    return Answer()
""",
    "testsfailed is reset": """
import gc
def add(a, b):
    for session in [o for o in gc.get_objects() if type(o).__name__ == "Session"]:
        session.testsfailed = -99
    return a - b
""",
    "SystemExit in a thread and a signal": """
import signal, os, sys, threading
threading.Thread(target=lambda: sys.exit(0)).start()
signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
signal.setitimer(signal.ITIMER_REAL, 0.2)
import time
def add(a, b):
    time.sleep(0.5)
    return a - b
""",
    "assertion rewriting is switched off and assert does nothing": """
import _pytest.assertion.rewrite as rewrite, ast
class Nothing(ast.NodeTransformer):
    def visit_Assert(self, node):
        return ast.copy_location(ast.Pass(), node)
def rewrite_asserts(tree, *rest):
    ast.fix_missing_locations(Nothing().visit(tree))
rewrite.rewrite_asserts = rewrite_asserts
import unittest
unittest.TestCase.assertEqual = lambda self, *args: None
""",
    "TestCase.run passes": """
import unittest
def run(self, result=None):
    result = result or self.defaultTestResult()
    result.startTest(self)
    result.addSuccess(self)
    result.stopTest(self)
unittest.TestCase.run = run
unittest.TestCase.__call__ = lambda self, *a, **k: self.run(*a, **k)
import sys
def add(a, b):
    return {0: 0, 1: 2, 2: 4}[a] if sys._getframe(1) else 0
""",
    "items run something else": """
import gc
def add(a, b):
    for item in [o for o in gc.get_objects() if type(o).__name__ in ("Function", "TestCaseFunction")]:
        item.runtest = lambda: None
    return 0
""",
    "the module is another one": """
import sys, types, importlib.util, importlib.abc
class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    pass
import _pytest.python
was = _pytest.python.Module._getobj
def _getobj(self):
    module = was(self)
    def test_add():
        assert True
    test_add.__module__ = module.__name__
    module.test_add = test_add
    module.TestShop.test_sum = lambda self: None
    return module
_pytest.python.Module._getobj = _getobj
""",
    "a test's code is replaced": """
import sys, gc
def add(a, b):
    module = sys.modules["test_shop"]
    module.test_add.__code__ = (lambda: None).__code__
    module.TestShop.test_sum.__code__ = (lambda self: None).__code__
    return 0
""",
    "an edited module is served": """
import sys, builtins
import _pytest.assertion.rewrite as rewrite
was = rewrite._read_pyc
import ast
real = ast.parse
def parse(source, *args, **kwargs):
    if b"from shop import add" in (source if type(source) is bytes else source.encode()):
        source = source.replace(b"== 2", b"!= 9").replace(b", 4)", b", 0)") if type(source) is bytes else source
    return real(source, *args, **kwargs)
ast.parse = parse
""",
    "a finder serves an edited module": """
import importlib.abc, importlib.util, importlib.machinery, sys
class Loader(importlib.machinery.SourceFileLoader):
    def get_data(self, path):
        data = super().get_data(path)
        return data.replace(b"== 2", b"!= 9").replace(b", 4)", b", 0)") if path.endswith("test_shop.py") else data
class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "test_shop":
            return importlib.util.spec_from_file_location(name, "test_shop.py", loader=Loader(name, "test_shop.py"))
sys.meta_path.insert(0, Finder())
""",
    "a patch for one report, taken back": """
from _pytest.reports import TestReport
was = TestReport.__dict__["from_item_and_call"]
def made(cls, item, call):
    call.excinfo = None
    report = was.__func__(cls, item, call)
    if call.when == "call":
        TestReport.from_item_and_call = was
    return report
def add(a, b):
    TestReport.from_item_and_call = classmethod(made)
    return a - b
""",
}
#: Where the code has to be imported before the test module: a second module that conftest imports, as many do.
EARLY = {"an edited module is served", "a finder serves an edited module"}


def noticed(tree: Path, usual: set[str]) -> Iterator[str]:
    """By what the runs that judge a patch show that something is wrong: targets alone, targets doomed, everything."""
    yield from _wrong(run_in(tree, only=TARGETS, watch=Watch(targets=TARGETS)), usual)
    doomed = run_in(tree, only=TARGETS, watch=Watch(doom=True))
    if doomed.trouble:
        yield doomed.trouble
    yield from (f"{t} is {doomed.state(t)} though doomed" for t in TARGETS if doomed.state(t) != "failed")
    yield from _wrong(run_in(tree, watch=Watch(targets=TARGETS)), usual)


def _wrong(run: CheckResult, usual: set[str]) -> Iterator[str]:
    if run.trouble:
        yield run.trouble
    yield from (f"altered: {name}" for name in run.altered if name not in usual)
    yield from (f"{t} is {run.state(t)}" for t in TARGETS if run.state(t) != "passed")
    if run.canary is not True:
        yield f"canary: {run.canary}"


def tree_of(tmp_path: Path, source: str, *, early: bool = False) -> Path:
    conftest = {"conftest.py": "import shop\n"} if early else {}
    return plant(tmp_path / "tree", {"shop.py": source, "test_shop.py": TESTS, **conftest})


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """What the plugins installed here change by themselves, in an honest tree."""
    tree = tree_of(tmp_path_factory.mktemp("honest"), HONEST)
    names = set(run_in(tree).altered)
    assert list(noticed(tree, names)) == []
    assert not any(name.startswith(("zwarm_ci", "hook", "test ", "import ")) for name in names)
    return names


@pytest.mark.parametrize("name", FORGERIES)
def test_every_forgery_is_noticed(tmp_path: Path, name: str, usual: set[str]) -> None:
    source = WRONG + _ONE + FORGERIES[name]
    assert next(noticed(tree_of(tmp_path, source, early=name in EARLY), usual), "")


@pytest.mark.parametrize("name", ["a hook that knows the failure", "pytest_pyfunc_call does not call"])
def test_a_doomed_run_alone_shows_it(tmp_path: Path, name: str) -> None:
    doomed = run_in(tree_of(tmp_path, WRONG + _ONE + FORGERIES[name]), only=TARGETS, watch=Watch(doom=True))
    assert doomed.state(TARGETS[0]) == "passed"
