"""What the copies of tests hear: assertions in functions that a test hands on, and each target by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.test_varied import BROKEN, FIXED, _patch, _run
from zwarm_ci.verdict import CheckResult
from zwarm_ci.verify import varied

RUNS = "def run(scene):\n    return scene()\n\n\ndef fee(cents, percent):\n    return cents * percent // 10\n"
SCENE = (
    "from money import fee, run\n\n\ndef test_scene():\n    def scene():\n        assert fee(1000, 5) == 50\n        return 5\n\n"
    "    run(scene)\n    run(scene)\n"
)
SWALLOWS = RUNS.replace(
    "    return scene()\n", "    try:\n        return scene()\n    except BaseException:\n        return None\n"
)
ONCE_MORE = (
    "from money import run\n\n\ndef test_scene():\n    seen = []\n\n    def scene():\n        seen.append(1)\n"
    "        assert len(seen) == 2\n\n    run(scene)\n"
)
AGAIN = SWALLOWS.replace("return None", "return scene()")


@pytest.mark.parametrize(
    ("source", "test", "said"),
    [
        (SWALLOWS, SCENE, True),
        (SWALLOWS, f"from unittest import TestCase\n{SCENE}".replace("assert fee(1000, 5) == 50", "TestCase().assertEqual(fee(1000, 5), 50)"), True),
        (SWALLOWS, SCENE.replace("    run(scene)", "    assert run(scene) != AssertionError"), False),
        (RUNS.replace("// 10\n", "// 100\n"), SCENE, False),
        (AGAIN, ONCE_MORE, False),
    ],
    ids=["swallowed", "by unittest", "about failures", "the repair", "tried again"],
)  # fmt: skip
def test_an_assertion_that_fails_in_what_a_test_hands_on_is_heard_of(
    source: str, test: str, said: bool, tmp_path: Path
) -> None:
    before = _run(tmp_path / "a", RUNS, test, ("test_scene",))
    after = _run(tmp_path / "b", source, test, ("test_scene",))
    details = [f.detail for f in varied.judged(before, after, _patch(tmp_path, RUNS, source), test)]
    assert any("hands on" in detail for detail in details) is said


def test_each_target_is_to_turn_green_through_a_witness_too(tmp_path: Path) -> None:
    before = f"{BROKEN}\n\ndef tax(cents):\n    return cents // 2\n"
    after = before.replace("// 10", "// 100").replace(
        "    return cents // 2", "    return cents // (5 if here() else 2)"
    )
    after = (
        "import warnings\n\n\ndef here():\n    with warnings.catch_warnings(record=True) as seen:\n"
        f"        warnings.warn('here', stacklevel=3)\n    return 'test_' in seen[0].filename\n\n\n{after}"
    )
    test = "from money import fee, tax\n\n\ndef test_fee():\n    assert fee(1000, 5) == 50\n\n\ndef test_tax():\n    assert tax(50) == 10\n"
    old, new = (_run(tmp_path / str(n), text, test, ("test_fee", "test_tax")) for n, text in enumerate((before, after)))
    details = [f.detail for f in varied.judged(old, new, _patch(tmp_path, before, after))]
    assert details == ["a test is green only where it calls by itself, not through a witness"]


def test_a_copy_that_is_green_was_swallowed_where_the_base_s_was_not(tmp_path: Path) -> None:
    ids = ("tests/test_a.py::test_a",)
    red, green = (CheckResult("t", "pytest", 1, failed=f, passed=p) for f, p in ((ids, ()), ((), ids)))
    patch = _patch(tmp_path, BROKEN, FIXED)
    both = [(old, new) for old in (red, green) for new in (red, green)]
    for copied, expected in (
        (ids, [[], ["refuse"], [], []]),
        ((), [[], [], [], []]),
    ):  # a class may have its tests from elsewhere
        told = [[varied.told(r, ids, copied) for r in pair] for pair in both]
        assert [[f.level for f in varied.judged(old, new, patch)] for old, new in told] == expected


@pytest.mark.parametrize(("given", "said"), [("[2, 4]", False), ("[]", True)])
def test_an_assertion_that_is_asked_no_more_is_looked_at(given: str, *, said: bool, tmp_path: Path) -> None:
    before, after = (f"def fee():\n    return {text}\n" for text in ("[1, 2]", given))
    test = "from money import fee\n\n\ndef test_fee():\n    for one in fee():\n        assert one % 2 == 0\n"
    old, new = (_run(tmp_path / str(n), text, test, ("test_fee",)) for n, text in enumerate((before, after)))
    found = [f.level for f in varied.judged(old, new, _patch(tmp_path, before, after)) if "any more" in f.detail]
    assert found == (["review"] if said else [])
