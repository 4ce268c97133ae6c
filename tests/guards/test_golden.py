"""The guard of recorded answers: changed or deleted ones are refused, additions and moves are nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guards.support import Tree, found, patch_of, patches_of
from zwarm_ci.verify.guards.base import Rules
from zwarm_ci.verify.guards.golden import Golden

GUARD = Golden()
RECORDED = [
    "src/__snapshots__/a.test.js.snap",
    "tests/__snapshots__/test_a.ambr",
    "golden/out.txt",
    "pkg/testdata/in.golden",
    "tests/expected/a.json",
    "a.approved.txt",
    "tests/cassettes/call.yaml",
    "out.expected",
]
DATA = ["tests/data/in.csv", "tests/fixtures/user.json", "spec/files/a.bin", "tests/input.txt"]
MORE = "exports[`b 1`] = `2`;\n"
SNAP = "// Jest\n\nexports[`a 1`] = `1`;\n\n"


@pytest.mark.parametrize("after", ["new\n", None, b"\0\xff"])
def test_changed_and_deleted_answers_and_data_are_refused(tmp_path: Path, after: str | bytes | None) -> None:
    before: Tree = dict.fromkeys([*RECORDED, *DATA], "old\n") | {"calc.py": "x = 1\n"}
    patch = patch_of(tmp_path, before, dict.fromkeys([*RECORDED, *DATA], after) | {"calc.py": "x = 2\n"})
    assert sorted(found(GUARD, patch)) == sorted(("refuse", p, None) for p in [*RECORDED, *DATA])


def test_people_are_asked_only_where_nothing_explains_the_change(tmp_path: Path) -> None:
    before: Tree = dict.fromkeys([*RECORDED, *DATA], "old\n") | {"calc.py": "x = 1\n", "README.md": "a"}
    alone: Tree = dict.fromkeys([*RECORDED, *DATA], "new\n") | {"calc.py": "x = 1\n", "README.md": "b"}
    source: Tree = {**alone, "calc.py": "x = 2\n"}
    tests: Tree = {**alone, "tests/test_a.py": "def test_a(): pass\n"}
    alone_, by_source, by_tests = patches_of(
        tmp_path, [(before, t) for t in (alone, source, tests)], Rules(strict=False)
    )
    assert sorted(p for _, p, _ in found(GUARD, alone_)) == sorted(RECORDED)
    assert found(GUARD, by_source) == found(GUARD, by_tests) == []


def test_additions_and_moves_are_nothing(tmp_path: Path) -> None:
    steps: list[tuple[Tree, Tree]] = [
        ({"a": "1"}, {"a": "1"} | dict.fromkeys([*RECORDED, *DATA], "new\n")),
        ({"tests/old/__snapshots__/a.snap": SNAP}, {"tests/new/__snapshots__/a.snap": SNAP}),
        ({"__snapshots__/a.snap": SNAP}, {"__snapshots__/a.snap": SNAP + MORE}),
        ({"__snapshots__/a.snap": SNAP}, {"__snapshots__/a.snap": SNAP.replace("exports", f"{MORE}\nexports")}),
        ({"tests/README.md": "a"}, {"tests/README.md": "b"}),
        ({"src/golden_ratio.py": "a"}, {"src/golden_ratio.py": "b"}),
    ]
    for rules in (Rules(), Rules(strict=False)):
        assert [found(GUARD, p) for p in patches_of(tmp_path, steps, rules)] == [[]] * len(steps)


def test_a_changed_entry_among_added_ones_is_refused(tmp_path: Path) -> None:
    steps: list[tuple[Tree, Tree]] = [
        ({"__snapshots__/a.snap": SNAP}, {"__snapshots__/a.snap": SNAP.replace("`1`;", "`3`;") + MORE}),
        ({"__snapshots__/a.snap": SNAP + MORE}, {"__snapshots__/a.snap": SNAP}),
        ({"golden/a.txt": "1\n"}, {"golden/a.txt": "1\n2\n"}),
        ({"golden/a.txt": "1\n"}, {"golden/b.txt": "1\n"}),
    ]
    assert all(found(GUARD, p) for p in patches_of(tmp_path, steps))
