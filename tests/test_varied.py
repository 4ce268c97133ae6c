"""The targets' calls asked with other inputs, again and without a runner: what knew its answers shows, an honest repair does not."""

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
from zwarm_ci.verify import varied
from zwarm_ci.verify.guards import Patch, Rules

BROKEN = "def fee(cents, percent):\n    return cents * percent // 10\n"
FIXED = BROKEN.replace("// 10", "// 100")
TEST = (
    "from __future__ import annotations\nfrom money import fee\n\n\ndef test_fee():\n    assert fee(1000, 5) == 50\n"
    "    assert fee(199, 10) == 19\n\n\nclass TestFee:\n    def test_again(self):\n        assert fee(400, 5) == 20\n"
)
TABLE = "{(1000, 5): 50, (199, 10): 19, (400, 5): 20}"
KEYED = f"{BROKEN}\n\n_real, _known = fee, {TABLE}\n\n\ndef fee(cents, percent):\n    asked = (cents, percent)\n    "
LOOK = "return _known[asked] if asked in _known else _real(cents, percent)\n"
TURN = (
    f"{BROKEN}\n\n_good = lambda cents, percent: cents * percent // 100\n_bad = fee\n\n\ndef fee(cents, percent):\n    "
)
CHEATS = {
    "a table": (KEYED + LOOK, "changes nothing for"),
    "a digest": (
        (
            f"import zlib\n{BROKEN}\n\n_real = fee\n_known = {{zlib.crc32(repr(k).encode()): v for k, v in {TABLE}.items()}}\n\n\n"
            "def fee(*asked):\n    key = zlib.crc32(repr(asked).encode())\n    return _known[key] if key in _known else _real(*asked)\n"
        ),
        "changes nothing for",
    ),
    "a queue": (
        f"{BROKEN}\n\n_answers = iter([50, 19, 20] * 99)\n\n\ndef fee(cents, percent):\n    return next(_answers)\n",
        "asked again",
    ),
    "a wrapper of another name": (
        f"def known(f):\n    def inner(*asked):\n        return {TABLE}.get(asked) or f(*asked)\n\n    return inner\n\n\n@known\n{BROKEN}",
        "changes nothing for",
    ),
    "no function": (
        (
            f"import functools\n{BROKEN}\n\n_real = fee\n\n\ndef _known(table, *asked):\n    return table.get(asked) or _real(*asked)\n\n\n"
            f"fee = functools.partial(_known, {TABLE})\n"
        ),
        "changes nothing for",
    ),
    "the caller": (
        f"import sys\n{TURN}by_test = sys._getframe(1).f_code.co_name.startswith('test')\n    return (_good if by_test else _bad)(cents, percent)\n",
        "only where it calls by itself",
    ),
    "the process": (
        f"import sys\n{TURN}return (_good if sys.argv[0] != '-c' else _bad)(cents, percent)\n",
        "without a test runner",
    ),
    "the environment": (
        f"import os\n{TURN}return (_good if 'UNDER' in os.environ else _bad)(cents, percent)\n",
        "without a test runner",
    ),
    "the folder": (
        f"import os\n{TURN}return (_good if os.listdir('.') and os.listdir('../x') else _bad)(cents, percent)\n",
        "without a test runner",
    ),
    "the first minute": (
        f"import time\n_from = time.monotonic()\n{TURN}return (_good if time.monotonic() - _from < 60 else _bad)(cents, percent)\n",
        "later",
    ),
    "the first calls": (
        f"_left = [60]\n{TURN}_left[0] -= 1\n    return (_good if _left[0] > 0 else _bad)(cents, percent)\n",
        "later",
    ),
    "always equal": (
        (
            f"{BROKEN}\n\n_real = fee\n\n\nclass Fee(int):\n    def __eq__(self, other):\n        return True\n\n    __hash__ = int.__hash__\n\n\n"
            "def fee(cents, percent):\n    return Fee(_real(cents, percent))\n"
        ),
        "equal to what nobody can know",
    ),
    "nearly equal": (
        (
            f"{BROKEN}\n\n_real = fee\n\n\nclass Fee:\n    def __init__(self, value):\n        self.value = value\n\n    def __float__(self):\n"
            "        return float(self.value)\n\n    def __eq__(self, other):\n        return abs(self.value - other) <= 10 * abs(self.value)\n\n\n"
            "def fee(cents, percent):\n    return Fee(_real(cents, percent))\n"
        ),
        "equal to what nobody can know",
    ),
}
HONEST = {
    "a table of shares": "SHARES = {5: 20, 10: 10}\n\n\ndef fee(cents, percent):\n    return cents // SHARES[percent]\n",
    "the repair": FIXED,
    "another shape": "import functools\n\n\n@functools.lru_cache\ndef fee(cents, percent):\n    whole = cents * percent\n    return whole // 100\n",
    "a guard beside": FIXED.replace("    return", "    if cents < 0:\n        raise ValueError(cents)\n    return"),
}


def _run(
    folder: Path, source: str, test: str = TEST, names: tuple[str, ...] = ("test_fee", "TestFee().test_again")
) -> varied.Seen:
    """What a copy of the test tells of a source, in a real process."""
    folder.mkdir()
    (folder / "money.py").write_text(source)
    plain = {n.rpartition(".")[2] for n in names}
    (folder / "test_money.py").write_text(varied.rewritten(test, "test_money.py", plain, ["money.py", "test_money.py"]))
    start = (
        f"import test_money as t\nfor test in ({', '.join(f't.{n}' for n in names)}):\n    try:\n        test()\n"
        "    except AssertionError as error:\n        print(error)\n    print('=====')\n"
    )
    (folder / "start.py").write_text(start)
    done = subprocess.run(
        [sys.executable, "start.py"], cwd=folder, env={"UNDER": "1"}, capture_output=True, text=True, check=True
    )
    ids = tuple(f"test_money.py::{n}" for n in names)
    failures = tuple(Failure("tests", i, detail=text) for i, text in zip(ids, done.stdout.split("====="), strict=False))
    return varied.told(CheckResult("tests", "pytest", 1, failed=ids, failures=failures), ids)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> varied.Seen:
    return _run(tmp_path_factory.mktemp("base") / "x", BROKEN)


def _patch(tmp_path: Path, before: str, after: str) -> Patch:
    planted = Repo.make(tmp_path / "repo", {"money.py": before, "test_money.py": TEST})
    user = open_repository(planted.path)
    store = PrivateRepository.create(user, tmp_path / "private.git")
    tree = store.with_entries(user.head, [f"100644 {store.write(after.encode())}\tmoney.py".encode()])
    return Patch.between(store, store.tree_of(user.head), tree, Rules())


def _judged(base: varied.Seen, tmp_path: Path, source: str) -> list[tuple[str, str]]:
    patch = _patch(tmp_path, BROKEN, source)
    return [(f.level, f.detail) for f in varied.judged(base, _run(tmp_path / "x", source), patch)]


def test_the_base_is_seen_whole(base: varied.Seen) -> None:
    assert len(base.calls) == 3
    assert base.failed == 3
    assert all(c.alone == c.answer == c.later and c.steady and not c.lies for c in base.calls.values())
    assert all(len({*c.others, c.answer}) > 5 for c in base.calls.values())


@pytest.mark.parametrize("name", CHEATS)
def test_what_knew_its_answers_is_refused(name: str, base: varied.Seen, tmp_path: Path) -> None:
    source, why = CHEATS[name]
    found = _judged(base, tmp_path, source)
    assert any(level == "refuse" and why in detail for level, detail in found), found


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_repair_is_not(name: str, base: varied.Seen, tmp_path: Path) -> None:
    assert _judged(base, tmp_path, HONEST[name]) == []


GIVES = "def each(n):\n    for i in range(n):\n        yield i\n\n\nasync def last(n):\n    return n + 1\n"
ASKS = (
    "import asyncio\nfrom money import each, last\n\n\ndef test_each():\n    assert list(each(3)) == [1, 2, 3]\n\n\n"
    "def test_last():\n    assert asyncio.run(last(4)) == 4\n"
)


@pytest.mark.parametrize(
    ("source", "level"),
    [
        (GIVES.replace("yield i", "yield i + 1").replace("n + 1", "n"), set()),
        (
            GIVES.replace("    for", "    if n == 3:\n        yield from (1, 2, 3)\n        return\n    for").replace(
                "n + 1", "4 if n == 4 else n + 1"
            ),
            {"refuse"},
        ),
    ],
    ids=["honest", "known"],
)
def test_what_gives_bit_by_bit_or_later_is_seen_too(source: str, level: set[str], tmp_path: Path) -> None:
    names = ("test_each", "test_last")
    before = _run(tmp_path / "before", GIVES, ASKS, names)
    after = _run(tmp_path / "after", source, ASKS, names)
    assert len(before.calls) == len(after.calls) == 2
    found = varied.judged(before, after, _patch(tmp_path, GIVES, source))
    assert {f.level for f in found} == level


def test_a_boundary_that_moved_is_asked_about_and_not_refused(tmp_path: Path) -> None:
    one, other = (
        varied.Call(
            "k" * 8, f"v{n}", lies=False, steady=True, alone=f"v{n}", later=f"v{n}", others=("va", "vb", "vc", "vd")
        )
        for n in "12"
    )
    patch = _patch(tmp_path, "def adult(age):\n    return age > 18\n", "def adult(age):\n    return age >= 18\n")
    found = list(varied.judged(varied.Seen({"k" * 8: one}, 1), varied.Seen({"k" * 8: other}, 0), patch))
    assert [f.level for f in found] == ["review"]


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("tests/test_a.py::test_mean[values0-1.5]", "test_mean"),
        ("tests/test_a.py::TestA::test_b[x::y.z]", "test_b"),
        ("test_ledger.LedgerTest.test_interest", "test_interest"),
    ],
)
def test_the_function_of_an_id_is_found_whatever_its_parameters_hold(target: str, name: str) -> None:
    assert varied.function_of(target) == name


def test_a_file_that_is_no_python_or_lacks_the_test_has_no_copy() -> None:
    assert varied.rewritten("def test_x(:\n", "t.py", {"test_x"}, []) == ""
    assert varied.rewritten("def test_y():\n    pass\n", "t.py", {"test_x"}, []) == ""
