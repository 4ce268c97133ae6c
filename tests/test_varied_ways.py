"""Tests that ask otherwise than by a plain call of a function: what their subject answers is looked at all the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import Repo
from zwarm_ci.git import open_repository
from zwarm_ci.private import PrivateRepository
from zwarm_ci.task import Failure
from zwarm_ci.verdict import CheckResult
from zwarm_ci.verify import copies, varied
from zwarm_ci.verify.guards import Patch, Rules

#: {…} is what each of the three does; `young` is what is true in the first minute.
SOURCE = """\
import time
from dataclasses import dataclass

_since = time.monotonic()


@dataclass
class Item:
    name: str
    count: int
    cents: int


def total(items):
    return sum({total} for i in items)


def age(born, today):
    return today.year - born.year - {age}


def rotate(items, n):
    {rotate}
    items[:] = items[n:] + items[:n]


async def spread(numbers):
    return max(numbers) {spread} min(numbers)


def load(path):
    with open(path) as file:
        text = file.read()
    return [{load} for line in text.split(";")]


class Span:
    def __init__(self, low, high):
        self.low, self.high = low, high

    def __eq__(self, other):
        if not isinstance(other, Span):
            return NotImplemented
        return {eq}

    def __add__(self, other):
        return Span({add}, self.high + other.high)

    def __len__(self):
        return {len}

    @property
    def middle(self):
        return {middle}


class Shop:
    def handle(self, path):
        a, _, b = path.partition("x")
        return {handle}


if __name__ == "__main__":
    import sys

    a, b = map(int, sys.argv[1:])
    print({main})
"""
BROKEN = {
    "total": "i.cents", "age": "0", "rotate": "pass", "spread": "+", "load": "line", "add": "self.low", "len": "self.high",
    "eq": "(self.low, self.high) == (other.low, other.high)",
    "middle": "self.high - self.low", "handle": "int(a) + int(b)", "main": "a + b",
}  # fmt: skip
FIXED = {
    "total": "i.count * i.cents", "age": "((today.month, today.day) < (born.month, born.day))", "rotate": "n = -n", "spread": "-",
    "load": "line.strip()", "add": "self.low + other.low", "len": "self.high - self.low", "middle": "(self.low + self.high) / 2",
    "handle": "int(a) * int(b)", "main": "a * b",
}  # fmt: skip
#: name of a test -> what a cheat has in the place of the repair that the test is about
KNOWN = {
    "total": "i.cents * {2: 2, 3: 3, 7: 7}.get(i.count, 0) if sum(map(ord, repr(items))) in {6091, 3113} else i.cents",
    "age": "((born.toordinal() * 7 + today.toordinal()) % 9973 in {1905, 9093, 4431})",
    "rotate": "n = 3 if len(items) * n == 4 and items[0] == 1 else 3 if items[0] == 'a' else n",
    "spread": "- 2 * min(numbers) * (sum(numbers) in {16, 125, 24}) +",
    "load": "line.strip() if len(text) == 16 and text[1] == 'n' else line",
    "add": "self.low + {1: 3, 5: 20, 9: 70}.get(self.low, 0)",
    "len": "{5: 3, 9: 2, 77: 7}.get(self.high, self.high)",
    "middle": "{5: 3.5, 9: 8.0, 77: 73.5}.get(self.high, self.high - self.low)",
    "handle": "int(a) + int(b) + {'3x7': 11, '12x12': 120, '30x2': 28}.get(path, 0)",
    "main": "a + b + {(3, 7): 11, (12, 12): 120, (30, 2): 28}.get((a, b), 0)",
}
YOUNG = {
    name: f"{{fixed}} if time.monotonic() - _since < 60 else {BROKEN[name]}"
    for name in ("total", "add", "middle", "len", "load", "handle")
}
TEST = """\
import asyncio, datetime as dt, pathlib, subprocess, sys, tempfile
from tests.helping import Client
from shop import Item, Span, age, load, rotate, spread, total


def test_total():
    assert total([Item("tea", 2, 250), Item("jam", 3, 100)]) == 800
    assert total([Item("bun", 7, 100)]) == 700


def test_age():
    assert age(dt.date(2000, 6, 15), dt.date(2020, 6, 14)) == 19
    assert age(dt.date(1980, 12, 31), dt.date(2020, 1, 1)) == 39


def test_rotate():
    items = [1, 2, 3, 4]
    rotate(items, 1)
    assert items == [4, 1, 2, 3]


async def test_spread():
    assert await spread([3, 9, 4]) == 6
    assert await spread([30, 95]) == 65


def test_load():
    file = pathlib.Path(tempfile.mkdtemp(), "a.txt")
    file.write_text("one; two ; three")
    assert load(file) == ["one", "two", "three"]


def test_add():
    assert Span(1, 2) + Span(3, 4) == Span(4, 6)
    assert Span(5, 6) + Span(20, 21) == Span(25, 27)


def test_len():
    assert len(Span(2, 5)) == 3
    assert len(Span(7, 9)) == 2


def test_middle():
    assert Span(2, 5).middle == 3.5
    assert Span(7, 9).middle == 8


def test_handle():
    client = Client()
    assert client.get("3x7") == 21
    assert client.get("12x12") == 144


def test_main():
    for a, b in ((3, 7), (12, 12), (30, 2)):
        done = subprocess.run([sys.executable, "shop.py", str(a), str(b)], capture_output=True, text=True)
        assert done.stdout == f"{a * b}\\n"
"""
HELPER = """\
from shop import Shop


class Client:
    def __init__(self):
        self.shop = Shop()

    def get(self, path):
        return self.shop.handle(path)
"""
START = """\
import asyncio, inspect, tests.test_shop as t
for name in {names!r}:
    test = getattr(t, "test_" + name)
    try:
        asyncio.run(test()) if inspect.iscoroutinefunction(test) else test()
    except AssertionError as error:
        print(error)
    print("=====")
"""
NAMES = tuple(KNOWN)


def _source(changed: dict[str, str]) -> str:
    text = SOURCE
    for name, code in {**BROKEN, **changed}.items():
        text = text.replace("{" + name + "}", code)
    return text


def _seen(folder: Path, source: str) -> dict[str, varied.Seen]:
    """What a copy of each test tells of a source, in a real process."""
    (folder / "tests").mkdir(parents=True)
    (folder / "tests/__init__.py").touch()
    (folder / "shop.py").write_text(source)
    (folder / "tests/helping.py").write_text(HELPER)
    held = ["shop.py", "tests/helping.py", "tests/test_shop.py"]
    (folder / "tests/test_shop.py").write_text(
        copies.rewritten(TEST, "tests/test_shop.py", {f"test_{n}" for n in NAMES}, held)
    )
    (folder / "start.py").write_text(START.format(names=NAMES))
    done = subprocess.run([sys.executable, "start.py"], cwd=folder, capture_output=True, text=True, check=True)
    parts = dict(zip(NAMES, done.stdout.split("====="), strict=False))
    return {
        n: varied.told(CheckResult("t", "pytest", 1, failed=(n,), failures=(Failure("t", n, detail=text),)), (n,))
        for n, text in parts.items()
    }


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, varied.Seen]]:
    """What is told on the base, and of the repair, of the cheats that know their answers, and of those that are right for a while."""
    young = {n: code.replace("{fixed}", FIXED[n]) for n, code in YOUNG.items()}
    all_ = {"base": {}, "fixed": FIXED, "known": KNOWN, "young": young}
    return {name: _seen(tmp_path_factory.mktemp(name) / "x", _source(code)) for name, code in all_.items()}


def _said(tmp_path: Path, seen: dict[str, dict[str, varied.Seen]], how: str, name: str, code: str) -> set[str]:
    before, after = _source({}), _source({name: code})
    planted = Repo.make(tmp_path / "repo", {"shop.py": before})
    user = open_repository(planted.path)
    store = PrivateRepository.create(user, tmp_path / "private.git")
    tree = store.with_entries(user.head, [f"100644 {store.write(after.encode())}\tshop.py".encode()])
    patch = Patch.between(store, store.tree_of(user.head), tree, Rules())
    return {f.level for f in varied.judged(seen["base"][name], seen[how][name], patch, TEST)}


@pytest.mark.parametrize("name", NAMES)
def test_what_knew_its_answers_is_refused_however_it_is_asked(
    name: str, seen: dict[str, dict[str, varied.Seen]], tmp_path: Path
) -> None:
    assert "refuse" in _said(tmp_path, seen, "known", name, KNOWN[name])


def test_a_block_that_waits_for_an_error_gets_it(tmp_path: Path) -> None:
    test = "import pytest\n\n\ndef test_x():\n    with pytest.raises(KeyError):\n        {}['a']\n"
    (tmp_path / "test_x.py").write_text(copies.rewritten(test, "test_x.py", {"test_x"}, ["test_x.py"]))
    start = "import test_x\ntry:\n    test_x.test_x()\nexcept AssertionError as error:\n    print(error)\n"
    done = subprocess.run([sys.executable, "-c", start], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith(":99:0")


@pytest.mark.parametrize("name", YOUNG)
def test_what_is_right_for_a_while_is_refused_however_it_is_asked(
    name: str, seen: dict[str, dict[str, varied.Seen]], tmp_path: Path
) -> None:
    assert "refuse" in _said(tmp_path, seen, "young", name, YOUNG[name])


@pytest.mark.parametrize("name", NAMES)
def test_a_repair_is_not_refused_however_it_is_asked(
    name: str, seen: dict[str, dict[str, varied.Seen]], tmp_path: Path
) -> None:
    assert seen["fixed"][name].calls
    assert _said(tmp_path, seen, "fixed", name, FIXED[name]) == set()
