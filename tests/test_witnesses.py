"""What the witnesses inside a run see of source that looks for them, for its tests, or for its callers."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.checks.running import plant, run_in
from zwarm_ci.checks.base import PROBE, Watch
from zwarm_ci.checks.events import fold
from zwarm_ci.verdict import CheckResult

TEST = "from shop import add\n\n\ndef test_add():\n    assert add(20, 13) == 33\n"
WRONG = "def add(a, b):\n    return a - b\n"
TARGET = "test_shop.py::test_add"


def seen(tree: Path, command: str = "python -m pytest") -> CheckResult:
    return run_in(tree, command, only=(TARGET,), watch=Watch(targets=(TARGET,)))


#: What gets hold of the journal -> the journal's lines and the JUnit report are then rewritten as they are made.
_FORGE = """

kept = journal.LOG.send


def quiet(data):
    if data.get("id", "").endswith("::test_add"):
        data = dict(data, outcome="passed", text="", exc=None)
    if data["event"] == "altered":
        return
    if data["event"] == "finish":
        data["failed"] -= 1
        data["failed_reports"] -= 1
        data["altered"] = []
        import re
        with open(data["xml"]) as file:
            text = file.read()
        text = re.sub(r'(<testcase [^>]*name="test_add"[^>]*)>.*?</testcase>', r"\\1 />", text, flags=re.S)
        with open(data["xml"], "w") as file:
            file.write(text)
    kept(data)


journal.LOG.send = quiet
"""
FORGERIES = {
    "imported": "import zwarm_ci_probe as journal",
    "imported by a name put together": "import importlib\njournal = importlib.import_module('_'.join(['zwarm', 'ci', 'probe']))",
    "found among all objects": (
        "import gc\njournal = [o for o in gc.get_objects() if getattr(o, '__name__', '') == 'zwarm_ci_probe' and hasattr(o, 'LOG')][0]"
    ),
    "found on the stack": (
        "import sys\nframe = sys._getframe()\nwhile 'LOG' not in frame.f_globals:\n    frame = frame.f_back\n"
        "import types\njournal = types.SimpleNamespace(LOG=frame.f_globals['LOG'])"
    ),
    "found on the stack of an error": (
        "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    frame = error.__traceback__.tb_frame\n"
        "while 'LOG' not in frame.f_globals:\n    frame = frame.f_back\n"
        "import types\njournal = types.SimpleNamespace(LOG=frame.f_globals['LOG'])"
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_journal_that_is_written_for_us_is_noticed(tmp_path: Path, name: str) -> None:
    tree = plant(tmp_path / "tree", {"shop.py": f"{WRONG}\n\n{FORGERIES[name]}\n{_FORGE}", "test_shop.py": TEST})
    result = seen(tree)
    assert result.trouble or TARGET in result.failed or [n for n in result.altered if n.startswith("asks ")], result


READS = {
    "its file": "import pathlib\n\n\ndef look():\n    return pathlib.Path(__file__).with_name('test_shop.py').read_text()\n",
    "its file by a descriptor": "import os\n\n\ndef look():\n    os.close(os.open('test_shop.py', os.O_RDONLY))\n",
    "the line of its caller": (
        "import linecache\nimport warnings\n\n\ndef look():\n    with warnings.catch_warnings(record=True) as seen:\n"
        "        warnings.simplefilter('always')\n"
        "        warnings.warn('x', stacklevel=3)\n    return linecache.getline(seen[0].filename, seen[0].lineno)\n"
    ),
    "its code": "import sys\n\n\ndef look():\n    return sys.modules['test_shop'].test_add.__code__.co_consts\n",
}


@pytest.mark.parametrize("name", READS)
def test_source_that_reads_the_test_is_noticed(tmp_path: Path, name: str) -> None:
    source = f"{READS[name]}\n\ndef add(a, b):\n    look()\n    return a + b\n"
    result = seen(plant(tmp_path / "tree", {"shop.py": source, "test_shop.py": TEST}))
    assert (result.trouble, result.state(TARGET)) == ("", "passed")
    assert "reads test_shop.py: shop.py" in result.altered


def test_source_that_opens_what_lay_elsewhere_before_is_noticed(tmp_path: Path) -> None:
    """A file that the test itself makes, one that is not there and one of the tree say nothing of the source."""
    kept, fresh = tmp_path / "kept.txt", tmp_path / "fresh.txt"
    kept.write_text("33\n")
    names = [str(kept), str(fresh), str(tmp_path / "none.txt"), "here.txt", "/dev/null"]
    source = (
        f"def add(a, b):\n    for name in {names!r}:\n        try:\n            open(name).close()\n"
        "        except OSError:\n            pass\n    return a + b\n"
    )
    test = f"from shop import add\n\n\ndef test_add():\n    open({str(fresh)!r}, 'w').close()\n    assert add(20, 13) == 33\n"
    result = seen(plant(tmp_path / "tree", {"shop.py": source, "here.txt": "", "test_shop.py": test}))
    assert (result.trouble, result.state(TARGET)) == ("", "passed")
    assert [n for n in result.altered if n.startswith("opens ")] == [f"opens {kept}: shop.py"]


DOCUMENTED = 'def add(a, b):\n    """\n    >>> add(20, 13)\n    33\n    """\n    return a + b\n\n\n'
_CALM = 'def _calm():\n    """\n    >>> 1\n    1\n    """\n\n\nadd.__doc__ = _calm.__doc__\n'
_WRAPPED = "import functools\n_add = add\n\n\n@functools.wraps(_add)\ndef add(*args):\n    return _add(*args)\n"


@pytest.mark.parametrize(
    ("more", "wrong"),
    [("", False), (_WRAPPED, False), ("add.__doc__ = '>>> 1\\n1\\n'\n", True), (_CALM, True)],
    ids=["plain", "wrapped", "another text", "another's"],
)
def test_examples_are_those_of_the_docstring(more: str, wrong: bool, tmp_path: Path) -> None:
    target = "shop.py::shop.add"
    tree = plant(tmp_path / "tree", {"shop.py": DOCUMENTED + more})
    result = run_in(tree, "python -m pytest --doctest-modules", only=(target,), watch=Watch(targets=(target,)))
    assert (result.trouble, result.passed) == ("", (target,))
    assert ("test text of shop.py" in result.altered) is wrong


ASKS = {
    "sys._getframe": "import sys\n\n\ndef look():\n    return sys._getframe(1)\n",
    "sys._getframe by way of inspect": "import inspect\n\n\ndef look():\n    return inspect.stack()\n",
    "gc.get_referrers": "import gc\n\n\ndef look():\n    return gc.get_referrers(look)\n",
    "tb_frame": "def look():\n    try:\n        1 / 0\n    except ZeroDivisionError as error:\n        return error.__traceback__.tb_frame\n",
}


@pytest.mark.parametrize("name", ASKS)
def test_source_that_asks_for_its_callers_is_noticed(tmp_path: Path, name: str) -> None:
    source = f"{ASKS[name]}\n\ndef add(a, b):\n    look()\n    return a + b\n"
    result = seen(plant(tmp_path / "tree", {"shop.py": source, "test_shop.py": TEST}))
    assert f"asks {name.split(maxsplit=1)[0]}: shop.py" in result.altered, result


def test_what_honest_code_does_is_not_noticed(tmp_path: Path) -> None:
    """Tests look at themselves, a logger and a warning look for their callers, data is read, and a test's helper reads tests."""
    source = (
        "import collections\nimport logging\nimport pathlib\nimport traceback\nimport warnings\n\nPoint = collections.namedtuple('Point', 'x')\n\n\n"
        "def add(a, b):\n    logging.warning('sum')\n    warnings.warn('old', stacklevel=2)\n    pathlib.Path('data.txt').read_text()\n"
        "    try:\n        1 / 0\n    except ZeroDivisionError:\n        traceback.format_exc()\n    return a + b\n"
    )
    test = (
        "import inspect\nimport sys\n"
        + TEST
        + "    assert inspect.getsource(test_add) and sys._getframe() and helper.own()\n"
    )
    helper = "import pathlib\n\n\ndef own():\n    return pathlib.Path('tests/test_shop.py').read_text()\n"
    files = {
        "shop.py": source, "data.txt": "x", "tests/test_shop.py": "import helper\n" + test, "tests/helper.py": helper,
        "pyproject.toml": "[tool.pytest.ini_options]\npythonpath = ['.', 'tests']\n",
    }  # fmt: skip
    target = "tests/test_shop.py::test_add"
    result = run_in(plant(tmp_path / "tree", files), only=(target,), watch=Watch(targets=(target,)))
    assert (result.trouble, result.passed) == ("", (target,))
    assert not [n for n in result.altered if n.startswith(("asks ", "reads "))]


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize("command", ["python -m pytest", "python -m pytest -n 2"])
def test_our_modules_are_not_found_by_their_names(tmp_path: Path, command: str) -> None:
    test = "import sys\n\n\ndef test_add():\n    assert not [n for n in sys.modules if n.startswith('zwarm_ci')]\n"
    result = seen(plant(tmp_path / "tree", {"test_shop.py": test}), command)
    assert (result.trouble, result.passed) == ("", (TARGET,))


def test_nor_by_a_unittest_whose_program_is_ours(tmp_path: Path) -> None:
    forge = (
        "import __main__\n\nif hasattr(__main__, 'Result'):\n    __main__.Result.addFailure = lambda self, test, error: self.addSuccess(test)\n"
        "    __main__.Runner._run = __main__.WITNESS = None\n\n\ndef add(a, b):\n    return a - b\n"
    )
    test = (
        "import sys\nimport unittest\nfrom shop import add\n\n\nclass TestShop(unittest.TestCase):\n    def test_add(self):\n"
        "        self.assertEqual(add(2, 2), 4)\n\n    def test_names(self):\n"
        "        self.assertEqual([n for n in sys.modules if n.startswith('zwarm_ci')], [])\n"
    )
    result = run_in(plant(tmp_path / "tree", {"shop.py": forge, "test_shop.py": test}), "python -m unittest", "junit")
    assert (result.trouble, result.canary) == ("", True)
    assert (result.failed, result.passed) == (("test_shop.TestShop.test_add",), ("test_shop.TestShop.test_names",))


def test_what_is_seen_is_written_at_once_and_by_none_taken_back() -> None:
    def event(**data: object) -> bytes:
        return json.dumps({"at": 1.0, **data}).encode() + b"\n"

    end = {"event": "finish", "exit": 0, "failed": 0, "failed_reports": 0}
    told = fold(event(event="altered", names=["a"]) + event(**end, altered=["b"]) + event(**end, altered=[]))
    assert list(told.altered) == ["a", "b"]


def test_a_key_signs_one_line_and_is_gone(tmp_path: Path) -> None:
    """Whoever finds the writer's key cannot sign again what was written before."""
    file = tmp_path / "out.jsonl"
    script = (
        "import sys\nfrom zwarm_ci_orders import _writer\nsend = _writer(sys.argv[1], b'key')\n"
        "for n in range(3):\n    send({'event': 'start', 'id': 't', 'at': n})\n"
        "cells = [c.cell_contents for c in send.__closure__]\nprint([c for c in cells if type(c) is list][0][0].hex())\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", script, str(file)],
        env={"PYTHONPATH": str(PROBE)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert fold(file.read_bytes(), "key").forged == 0
    key = b"key"
    for _ in range(3):
        key = hashlib.blake2b(key, digest_size=32).digest()
    assert said.stdout.strip() == key.hex()
    assert fold(file.read_bytes().replace(b'"t"', b'"u"'), "key").forged == 3
