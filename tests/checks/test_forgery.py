"""Trees that say they are green and are not: none of them is believed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.running import plant, run_in

RED = "def test_red():\n    assert 0\n"
_SWALLOW = """
import pytest
@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    report.outcome, report.longrepr = "passed", None
"""
_SWALLOW_FIRST = """
import pytest
@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_call(item):
    outcome = yield
    outcome.force_result(None)
"""
_STATUS = """
import pytest
@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    session.exitstatus = 0
"""
_EXIT = "import os\ndef pytest_sessionfinish(session):\n    os._exit(0)\n"
_UNCONFIGURE = "import os\ndef pytest_unconfigure(config):\n    os._exit(0)\n"
_LOOP = "def pytest_runtestloop(session):\n    return True\n"
_DESELECT = "def pytest_collection_modifyitems(items):\n    items[:] = []\n"
_PROTOCOL = "def pytest_runtest_protocol(item, nextitem):\n    return True\n"
_CATCH_ALL = """
import _pytest.runner
def run(func, when, reraise=None):
    try:
        func()
    except BaseException:
        pass
    return _pytest.runner.CallInfo(None, None, 0.0, 0.0, 0.0, when, _ispytest=True)
_pytest.runner.CallInfo.from_call = classmethod(lambda cls, func, when, reraise=None: run(func, when, reraise))
"""
_LOGREPORT = """
import pytest
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report):
    if "canary" not in report.nodeid:
        report.outcome, report.longrepr = "passed", None
"""
FORGERIES = {
    "a test ends the process": {"test_a.py": "import os\ndef test_a():\n    os._exit(0)\n" + RED},
    "a module ends the process": {"test_a.py": "import os\nos._exit(0)\n" + RED},
    "the conftest ends the process": {"conftest.py": "import os\nos._exit(0)\n", "test_a.py": RED},
    "a hook makes every report pass": {"conftest.py": _SWALLOW, "test_a.py": RED},
    "a hook swallows exceptions": {"conftest.py": _SWALLOW_FIRST, "test_a.py": RED},
    "the exit status is set to 0": {"conftest.py": _STATUS, "test_a.py": RED},
    "the session's end ends the process with 0": {"conftest.py": _EXIT, "test_a.py": RED},
    "the very end ends the process with 0": {"conftest.py": _UNCONFIGURE, "test_a.py": RED},
    "the loop runs nothing": {"conftest.py": _LOOP, "test_a.py": RED},
    "every test is taken out": {"conftest.py": _DESELECT, "test_a.py": RED},
    "the protocol runs nothing": {"conftest.py": _PROTOCOL, "test_a.py": RED},
    "the runner is patched": {"conftest.py": _CATCH_ALL, "test_a.py": RED},
    "only the logged report is changed": {"conftest.py": _LOGREPORT, "test_a.py": RED},
    "sys.exit in a module": {"test_a.py": "import sys\nsys.exit(0)\n" + RED},
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_success_is_not_green(tmp_path: Path, name: str) -> None:
    result = run_in(plant(tmp_path / "tree", FORGERIES[name]))
    assert not result.green
    assert result.failed or result.trouble.startswith(("runner: ", "check: no tests ran"))
    assert "test_a.py::test_red" not in result.passed or result.trouble


def test_an_honest_tree_with_hooks_of_its_own_is_green(tmp_path: Path) -> None:
    hooks = """
import pytest
@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    outcome.get_result().user_properties.append(("seen", "yes"))
def pytest_collection_modifyitems(items):
    items.reverse()
def pytest_runtest_setup(item):
    assert item.function
@pytest.fixture(autouse=True)
def always(): yield
"""
    tree = plant(tmp_path / "tree", {"conftest.py": hooks, "test_a.py": "def test_a(): pass\ndef test_b(): pass\n"})
    for command in ("python -m pytest", "python -m pytest -n 2"):
        result = run_in(tree, command)
        assert result.green, result.trouble
        assert result.canary is True


SWALLOWS = """
import pytest

@pytest.hookimpl(hookwrapper=True)
def pytest_pyfunc_call(pyfuncitem):
    outcome = yield
    if outcome.excinfo is not None:
        outcome.force_result(True)
"""


def test_what_swallows_the_failures_of_functions_alone_swallows_the_canarys_too(tmp_path: Path) -> None:
    """No target is named, as where a person's commit is verified: the test that must fail is the only one that can show it."""
    files = {"conftest.py": SWALLOWS, "test_a.py": "def test_a():\n    assert 1 == 2\n"}
    result = run_in(plant(tmp_path / "tree", files))
    assert "the test that must fail was not seen failing" in result.trouble


@pytest.mark.parametrize(
    "text",
    [
        "import pytest\npytestmark = pytest.mark.skipif(True, reason='x')\ndef test_a():\n    pass\n",
        "import pytest\npytestmark = pytest.mark.xfail\ndef test_a():\n    assert 0\n",
        "import pytest\n@pytest.fixture(autouse=True)\ndef no():\n    pytest.skip('no')\ndef test_a():\n    pass\n",
        "import unittest\nclass TestA(unittest.TestCase):\n    def test_a(self):\n        pass\n",
        "class TestA:\n    def test_a(self):\n        pass\n",
    ],
    ids=["skipped module", "xfail", "a fixture that skips", "unittest", "class"],
)
def test_the_canary_takes_nothing_from_the_module_that_it_stands_in(text: str, tmp_path: Path) -> None:
    result = run_in(plant(tmp_path / "tree", {"test_a.py": text}))
    assert (result.trouble, result.canary, result.failed) == ("", True, ())
