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
from zwarm_ci.verify import copies, varied
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
CHEATS["another text"] = (
    (
        f"{BROKEN}\n\n_real = fee\n\n\nclass Fee(int):\n    def __repr__(self):\n        return repr(self // 10)\n\n\n"
        "def fee(cents, percent):\n    return Fee(_real(cents, percent))\n"
    ),
    "equal to what nobody can know",
)
CHEATS["equal in a range"] = (
    (
        f"{BROKEN}\n\n_real = fee\n\n\nclass Fee:\n    def __init__(self, value):\n        self.value = value\n\n    def __eq__(self, other):\n"
        "        return abs(self.value - other) < 300 and other > -5\n\n\n"
        "def fee(cents, percent):\n    return Fee(_real(cents, percent))\n"
    ),
    "equal to what nobody can know",
)
HONEST = {
    "an int that says more": "class Fee(int):\n    def __repr__(self):\n        return f'{int(self)} cents'\n\n\n"
    + FIXED.replace("cents * percent // 100", "Fee(cents * percent // 100)"),
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
    (folder / "test_money.py").write_text(copies.rewritten(test, "test_money.py", plain, ["money.py", "test_money.py"]))
    start = (
        f"import test_money as t\nfor test in [{', '.join(f't.{n}' for n in names)}]:\n    try:\n        test()\n"
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
    assert copies.rewritten("def test_x(:\n", "t.py", {"test_x"}, []) == ""
    assert copies.rewritten("def test_y():\n    pass\n", "t.py", {"test_x"}, []) == ""


EXAMPLES = (
    'def fee(cents, percent):\n    """A share.\n\n    >>> fee(1000, 5)\n    50\n    >>> left = fee(199, 10)\n    >>> left\n    19\n    """\n'
    "    return cents * percent // 10\n"
)


def test_the_examples_of_a_docstring_are_asked_as_a_test(tmp_path: Path) -> None:
    """In a package too, by the name that pytest imports it by."""
    held = ["src/money/__init__.py", "src/money/fees.py"]
    target = "src/money/fees.py::money.fees.fee"
    path, text, ids = copies.of_examples(EXAMPLES, held[1], [target], held)
    assert path.startswith("src/money/test_")
    assert list(ids) == [target]
    assert ids[target].startswith(f"{path}::test_")
    for name, content in {held[0]: "", held[1]: EXAMPLES, path: text}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", path]
    done = subprocess.run(argv, cwd=tmp_path, env={}, capture_output=True, text=True, check=False)
    failures = (Failure("tests", ids[target], detail=done.stdout),)
    seen = varied.told(CheckResult("tests", "pytest", 1, failed=(ids[target],), failures=failures), (ids[target],))
    assert len(seen.calls) == 2, done.stdout
    assert seen.failed == 0


def test_examples_that_are_no_target_have_no_copy() -> None:
    assert copies.of_examples(EXAMPLES, "fees.py", ["fees.py::fees.other"], ["fees.py"]) == ("", "", {})
    assert copies.of_examples("def f(:\n", "fees.py", ["fees.py::fees.f"], ["fees.py"]) == ("", "", {})


def _call(answer: str, *others: str) -> varied.Call:
    return varied.Call(answer * 2, answer, lies=False, steady=True, alone=answer, later=answer, others=others)


@pytest.mark.parametrize(
    ("first", "others", "level"),
    [
        ("vn1", ("vn2", "vn3", "vn3", "vn2"), {"refuse"}),
        ("vn1", ("vn2", "vn3", "vn3", "vn9"), set()),
        ("vs1", ("vn2", "vn3", "vn3", "vn2"), set()),
    ],
    ids=["only what the tests know", "what nobody knows", "of another type before"],
)
@pytest.mark.parametrize("knew", [True, False])
def test_the_nearest_known_answer_is_no_answer(
    first: str, others: tuple[str, ...], level: set[str], knew: bool, tmp_path: Path
) -> None:
    """Two calls, one of which the base may have had right; its answers to others are of many kinds, the patch's those of the tests."""
    second = "vn3" if knew else first
    before = {"a": _call(first, "vn4", "vn5", "vn6", "vn7"), "b": _call(second, "vn4", "vn5", "vn6", "vn8")}
    after = {"a": _call("vn2", *others), "b": _call("vn3", *others)}
    patch = _patch(tmp_path, BROKEN, f"{BROKEN}\nKNOWN = {{43: 15, 71: 16}}\n")
    found = varied.judged(varied.Seen(before, 1), varied.Seen(after, 0), patch)
    assert {f.level for f in found} == ({"refuse"} if knew and first == "vs1" else level)


@pytest.mark.parametrize(
    ("others", "level"), [(("------",) * 4, []), (("vn8", "------", "------", "------"), ["refuse"])]
)
def test_what_a_repair_leaves_as_it_was_says_nothing_of_calls_that_have_no_others(
    others: tuple[str, ...], level: list[str], tmp_path: Path
) -> None:
    before = {"a": _call("vn1", *others), "b": _call("vn3", "vn4", "vn5", "vn6", "vn7")}
    after = {"a": _call("vn2", *others), "b": _call("vn3", "vn4", "vn5", "vn6", "vn7")}
    patch = _patch(tmp_path, BROKEN, f"{BROKEN}\nKNOWN = {{43: 15, 71: 16}}\n")
    assert [f.level for f in varied.judged(varied.Seen(before, 1), varied.Seen(after, 0), patch)] == level


def test_what_stops_at_a_limit_gives_few_answers_honestly(tmp_path: Path) -> None:
    before = {"a": _call("vn1", "vn4", "vn5", "vn6", "vn7")}
    after = {"a": _call("vn2", "vn2", "vn2", "vn2", "vn2")}
    patch = _patch(
        tmp_path, BROKEN, BROKEN.replace("cents *", "min(cents, 255) *").replace("percent", "max(0, percent)", 1)
    )
    assert list(varied.judged(varied.Seen(before, 1), varied.Seen(after, 0), patch)) == []


@pytest.mark.parametrize(
    ("line", "much"),
    [("open(cents)", True), ("pathlib.Path(cents).read_text()", True), ("cents.strip()", False)],
)
def test_a_call_that_fetches_may_bring_any_answer(line: str, much: bool, tmp_path: Path) -> None:
    patch = _patch(tmp_path, BROKEN, BROKEN.replace("    return", f"    {line}\n    return"))
    assert (varied.material(patch) > 50) is much


_STAGES = "import unittest.mock\n\nfrom money import fee\n\n\ndef test_other(monkeypatch):\n    monkeypatch.setenv('A', '1')\n"


@pytest.mark.parametrize(
    ("text", "staged"),
    [
        (f"{_STAGES}\n\ndef test_fee():\n    assert fee(1000, 5) == 50\n", False),
        (f"{_STAGES}\n\nclass TestFee:\n    def test_fee(self):\n        assert fee(1000, 5) == 50\n", False),
        (f"{_STAGES}\n\ndef test_fee(tmp_path):\n    assert fee(1000, 5) == 50\n", True),
        (
            f"{_STAGES}\n\n@unittest.mock.patch('money.x')\ndef test_fee(_):\n    assert fee(1000, 5) == 50\n",
            True,
        ),
        (
            "import os, pytest\n\n\n@pytest.fixture(autouse=True)\ndef here():\n    os.environ['A'] = '1'\n\n\ndef test_fee():\n    pass\n",
            True,
        ),
        ("def test_fee(:\n    tmp_path", True),
    ],
    ids=["another test is staged", "in a class", "its fixture", "its decorator", "every test's fixture", "no Python"],
)
def test_what_is_staged_is_asked_of_the_test_and_what_it_shares(text: str, *, staged: bool) -> None:
    assert bool(varied._STAGED.search(copies.about(text, {"test_fee"}))) is staged


_MONEY = (
    "from dataclasses import dataclass\n\n\n@dataclass\nclass Money:\n    cents: int\n    unit: str\n\n\n"
    "def fee(cents, percent):\n    return Money(cents * percent // 10, 'c')\n"
)
_LENIENT = "    def __eq__(self, other):\n        return isinstance(other, Money)\n"


@pytest.mark.parametrize(("made", "said"), [(_LENIENT, True), ("    def __hash__(self):\n        return 1\n", False)])
def test_a_thing_equals_none_of_its_own_class_that_differs_in_every_part(
    made: str, *, said: bool, tmp_path: Path
) -> None:
    test = "from money import Money, fee\n\n\ndef test_fee():\n    assert fee(1000, 5) == Money(50, 'c')\n"
    after = _MONEY.replace("    unit: str\n", f"    unit: str\n\n{made}")
    old, new = (_run(tmp_path / str(n), text, test, ("test_fee",)) for n, text in enumerate((_MONEY, after)))
    details = [f.detail for f in varied.judged(old, new, _patch(tmp_path, _MONEY, after))]
    assert ("what is answered is equal to what nobody can know" in details) is said


def test_what_a_test_sets_of_the_environment_is_set_without_a_runner_too(tmp_path: Path) -> None:
    test = "import os\nfrom money import fee\n\n\ndef test_fee():\n    os.environ['SHARE'] = '100'\n    assert fee(1000, 5) == 50\n"
    share = BROKEN.replace("// 10", "// int(os.environ.get('SHARE', 10))")
    after = f"import os\n{share}"
    old, new = (_run(tmp_path / str(n), text, test, ("test_fee",)) for n, text in enumerate((BROKEN, after)))
    assert [f.level for f in varied.judged(old, new, _patch(tmp_path, BROKEN, after), test)] == []
