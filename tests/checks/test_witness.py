"""Doomed tests and copies, what of the runner is altered, lines that ran, and runs that tell less than they collected."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.checks.running import believed, plant, run_in
from zwarm_ci.checks import can_doom
from zwarm_ci.checks.base import Watch
from zwarm_ci.checks.events import fold
from zwarm_ci.task import Check

SHOP = "import threading\n\n\ndef add(a, b):\n    if a > 100:\n        return 0\n    return a + b\n\n\ndef later():\n    x = 1\n    return x\n"
KINDS = """
import threading
import unittest
import pytest
from unittest import mock
from hypothesis import given, strategies
import shop

RAN = []

@pytest.fixture
def one():
    return 1

def test_plain(one):
    RAN.append("plain")
    assert shop.add(one, 1) == 2

@pytest.mark.parametrize("a", [1, 2])
def test_param(a):
    assert shop.add(a, 1) == a + 1

class TestC:
    def test_m(self, one):
        assert shop.add(1, 1) == 2
    @staticmethod
    def test_static():
        assert shop.add(1, 1) == 2

class TestU(unittest.TestCase):
    def test_u(self):
        self.assertEqual(shop.add(1, 1), 2)

class TestA(unittest.IsolatedAsyncioTestCase):
    async def test_au(self):
        self.assertEqual(shop.add(1, 1), 2)

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.anyio
async def test_any():
    assert shop.add(1, 1) == 2

@mock.patch("shop.later", return_value=3)
def test_mock(later):
    assert shop.later() == 3

@given(strategies.integers(0, 50))
def test_given(a):
    assert shop.add(a, 1) == a + 1

def test_thread():
    thread = threading.Thread(target=shop.later)
    thread.start()
    thread.join()
"""
IDS = tuple(
    f"test_kinds.py::{name}"
    for name in (
        "test_plain", "test_param[1]", "test_param[2]", "TestC::test_m", "TestC::test_static", "TestU::test_u", "TestA::test_au", "test_any",
        "test_mock", "test_given", "test_thread",
    )
)  # fmt: skip
COMMANDS = ["python -m pytest", "python -m pytest -n 2"]


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = {
        "shop.py": SHOP,
        "test_kinds.py": KINDS,
        "pkg/test_deep.py": "def test_d():\n    pass\n",
        "gone.py": "x = 1\n",
    }
    return plant(tmp_path_factory.mktemp("kinds") / "tree", files)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_kind_of_test_can_be_doomed_under_its_own_name(kinds: Path, command: str) -> None:
    result = believed(run_in(kinds, command, only=IDS, watch=Watch(doom=True, lines=("shop.py",))))
    assert (set(result.failed), result.passed, result.undoomed, result.canary) == (set(IDS), (), (), True)
    assert {7, 11} <= set(result.lines["shop.py"])  # they do what they do before they fail
    assert {f.shape for f in result.failures} == {"AssertionError"}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_doomed_copy_runs_beside_its_target_and_shows_in_nothing(kinds: Path, command: str) -> None:
    targets = (*IDS, "pkg/test_deep.py::test_d")
    result = believed(run_in(kinds, command, watch=Watch(targets=targets, lines=("shop.py", "gone.py"))))
    assert (set(result.passed), result.failed, result.exit_code, result.canary) == (set(targets), (), 0, True)
    assert result.undoomed == ()
    assert dict(result.lines) == {"shop.py": (1, 4, 5, 7, 10, 11, 12), "gone.py": ()}
    for target in (IDS[1], IDS[4], IDS[5], IDS[7]) if command == COMMANDS[0] else ():
        alone = believed(run_in(kinds, command, only=(target,), watch=Watch(targets=(target,))))
        assert (alone.passed, alone.canary, alone.undoomed) == ((target,), True, ()), target


def test_unittest_is_doomed_too(kinds: Path) -> None:
    command = "python -m unittest test_kinds"
    ids = ("test_kinds.TestA.test_au", "test_kinds.TestU.test_u")
    doomed = believed(run_in(kinds, command, "junit", only=ids, watch=Watch(doom=True)))
    assert (doomed.failed, doomed.passed) == (ids, ())
    beside = believed(run_in(kinds, command, "junit", watch=Watch(targets=ids, lines=("shop.py",))))
    assert (beside.passed, beside.failed, beside.exit_code, beside.canary) == (ids, (), 0, True)
    assert beside.lines["shop.py"] == (1, 4, 5, 7, 10)


def test_what_is_no_function_falls_back_to_the_canary_and_says_so(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", {"doc.py": 'def f():\n    """\n    >>> f()\n    1\n    """\n    return 1\n'})
    target = ("doc.py::doc.f",)
    beside = believed(run_in(tree, "python -m pytest --doctest-modules", only=target, watch=Watch(targets=target)))
    assert (beside.passed, beside.undoomed, beside.canary) == (target, target, True)
    doomed = believed(run_in(tree, "python -m pytest --doctest-modules", only=target, watch=Watch(doom=True)))
    assert doomed.failed == target


def test_which_checks_can_be_doomed() -> None:
    able = [
        ("pytest", "pytest"),
        ("python -m unittest", "junit"),
        ("python manage.py test", "junit"),
        ("make test", "pytest"),
    ]
    unable = [("go test ./...", "go"), ("cargo test", "cargo"), ("npx vitest", "junit"), ("ruff check", "ruff")]
    assert [can_doom(Check("t", run, kind)) for run, kind in able] == [True] * 4  # type: ignore[arg-type]
    assert [can_doom(Check("t", run, kind)) for run, kind in unable] == [False] * 4  # type: ignore[arg-type]


def test_lines_are_unknown_where_the_trace_is_taken(tmp_path: Path) -> None:
    taken = "import sys, shop\nsys.settrace(lambda *a: None)\nif hasattr(sys, 'monitoring'):\n    sys.monitoring.free_tool_id(4)\n"
    tree = plant(tmp_path / "tree", {"shop.py": SHOP, "test_a.py": taken + "def test_a():\n    shop.later()\n"})
    result = believed(run_in(tree, watch=Watch(lines=("shop.py",))))
    assert dict(result.lines) == {}


def test_an_honest_tree_that_patches_for_a_while_alters_nothing(tmp_path: Path) -> None:
    files = {
        "shop.py": SHOP,
        "conftest.py": "import pytest\n@pytest.fixture(autouse=True)\ndef quick(monkeypatch):\n"
        "    import shop\n    monkeypatch.setattr('time.sleep', shop.later)\n",
        "test_a.py": "import builtins, json, shop\nfrom unittest import mock\n"
        "def test_a(monkeypatch):\n    monkeypatch.setattr(builtins, 'open', lambda *a: None)\n    monkeypatch.setattr(json, 'dumps', str)\n"
        "def test_b():\n    with mock.patch('builtins.len', return_value=1):\n        pass\n",
    }
    tree = plant(tmp_path / "tree", files)
    whole = believed(run_in(tree))
    ids = ("test_a.py::test_a", "test_a.py::test_b")
    alone = believed(run_in(tree, only=ids, watch=Watch(targets=ids)))
    assert (alone.passed, set(alone.altered) - set(whole.altered)) == (ids, set())
    assert all(name.startswith("_pytest.") for name in whole.altered)


def test_a_test_that_is_collected_and_has_no_result_is_trouble(tmp_path: Path) -> None:
    drop = "def pytest_collection_finish(session):\n    session.items[:] = [i for i in session.items if i.name != 'test_b']\n"
    tree = plant(tmp_path / "tree", {"conftest.py": drop, "test_a.py": "def test_a(): pass\ndef test_b(): assert 0\n"})
    result = run_in(tree)
    assert result.trouble.startswith("runner: 1 collected tests have no result, test_a.py::test_b first")


def test_events_are_believed_in_their_order_and_with_their_signature_only() -> None:
    import hashlib

    def line(number: int, process: str = "ab", key: bytes = b"k", **event: object) -> bytes:
        for _ in range(number):  # each line has a key of its own
            key = hashlib.blake2b(key, digest_size=32).digest()
        signed = (json.dumps({"event": "start", "id": "t", "at": number, **event}) + f"\t{process}.{number}").encode()
        return signed + b"." + hashlib.blake2b(signed, key=key, digest_size=16).hexdigest().encode() + b"\n"

    whole = [line(n) for n in range(3)]
    assert fold(b"".join([*whole, line(0, "cd")]), "k").forged == 0
    assert fold(b"".join(whole[1:]), "k").forged == 2  # the first is gone
    assert fold(whole[0] + whole[2], "k").forged == 1
    assert fold(b"".join(whole) + line(3, key=b"x"), "k").forged == 1
    assert fold(b"".join([whole[0], line(1, key=b"x"), *whole[1:]]), "k").forged == 1, "what is put between is left out"
    assert fold(b"".join(whole).replace(b'"t"', b'"u"'), "k").forged == 3
    assert fold(b'{"event": "start", "id": "t", "at": 1}\n', "k").forged == 1
