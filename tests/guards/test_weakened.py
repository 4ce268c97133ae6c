"""The guard of weakened tests on Python: every kind is refused, additions and moves are nothing, honest changes of people neither."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.guards.support import Tree, found, patch_of, patches_of
from tests.guards.weakenings import FAIR, HARMLESS, HEAD, ONE, ROWS, TWO, WEAKENINGS
from zwarm_ci.verify.guards.base import Patch, Rules, levelled
from zwarm_ci.verify.guards.weakened import _WHAT, Weakened

GUARD = Weakened()
PATH = "tests/test_calc.py"
PEOPLE = Rules(strict=False)
SOURCE = "def add(a, b):\n    return a + b\n\ndef div(a, b):\n    return a / b\n"


def kinds(patch: Patch) -> set[str]:
    """The kinds of what is found, by the words in which each is said."""
    said = [f.detail for f in GUARD.look(patch)]
    return {kind for kind, words in _WHAT.items() for s in said if s.startswith(f"{words} ") and not _longer(words, s)}


def _longer(words: str, said: str) -> bool:
    return any(said.startswith(f"{other} ") and len(other) > len(words) for other in _WHAT.values())


def step(before: str, after: str, path: str = PATH) -> tuple[Tree, Tree]:
    return {path: HEAD + before, "calc.py": SOURCE}, {
        path: (HEAD + after).replace(f"{HEAD}\ufeff", f"\ufeff{HEAD}"),
        "calc.py": f"{SOURCE}\n",
    }


def test_the_table_is_long_enough_and_of_every_kind() -> None:
    told = {k for _, _, kinds_, _ in WEAKENINGS for k in kinds_.split("|")}
    assert len(WEAKENINGS) >= 60
    assert len(HARMLESS) >= 40
    assert told == set(_WHAT) - {"only"}  # there is no `only` in Python


def test_every_weakening_is_refused_when_strict(tmp_path: Path) -> None:
    wrong = []
    patches = patches_of(tmp_path, [step(b, a) for b, a, _, _ in WEAKENINGS])
    for patch, (before, after, expected, _) in zip(patches, WEAKENINGS, strict=True):
        if not (kinds(patch) & set(expected.split("|"))) or {level for level, _, _ in found(GUARD, patch)} != {
            "refuse"
        }:
            wrong.append((before, after, expected, kinds(patch)))
    assert not wrong


def test_real_weakening_asks_for_review_of_peoples_commits(tmp_path: Path) -> None:
    patches = patches_of(tmp_path, [step(b, a) for b, a, _, _ in WEAKENINGS], PEOPLE)
    wrong = []
    for patch, (before, after, expected, asked) in zip(patches, WEAKENINGS, strict=True):
        levels = {levelled(GUARD, f, patch.rules).level for f in GUARD.look(patch)}
        if levels != ({"review"} if asked else set()):
            wrong.append((before, after, expected, asked, kinds(patch)))
    assert not wrong


def test_what_is_harmless_is_nothing(tmp_path: Path) -> None:
    steps = [step(b, a) for b, a in HARMLESS]
    for rules in (Rules(), PEOPLE):
        wrong = [
            (c, [f.detail for f in GUARD.look(p)])
            for p, c in zip(patches_of(tmp_path, steps, rules), HARMLESS, strict=True)
            if kinds(p)
        ]
        assert not wrong


def test_honest_changes_are_refused_when_strict_alone(tmp_path: Path) -> None:
    patches = patches_of(tmp_path, [step(b, a) for b, a in FAIR], PEOPLE)
    assert not [(c, [f.detail for f in GUARD.look(p)]) for p, c in zip(patches, FAIR, strict=True) if kinds(p)]


def test_allowed_test_edits_are_reviewed_never_silent(tmp_path: Path) -> None:
    patch = patch_of(tmp_path, *step(ONE, "@pytest.mark.skip\n" + ONE), rules=Rules(allow_test_edits=True))
    assert [levelled(GUARD, f, patch.rules).level for f in GUARD.look(patch)] == ["review"]


def test_one_finding_a_kind_and_file_with_three_names_and_the_first_line(tmp_path: Path) -> None:
    many = "".join(f"def test_{n}():\n    assert add({n}, 0) == {n}\n\n" for n in range(5))
    patch = patch_of(tmp_path, *step(many, many.replace("def ", "@pytest.mark.skip\ndef ")))
    (finding,) = GUARD.look(patch)
    assert finding.line == 4
    assert "test_0, test_1, test_2 and 2 more" in finding.detail
    assert finding.allow == "--allow-test-edits"


MOVES: list[tuple[Tree, Tree]] = [
    ({PATH: HEAD + ONE + TWO}, {PATH: HEAD + ONE, "tests/test_div.py": HEAD + TWO}),
    ({PATH: HEAD + ONE}, {"tests/unit/test_calc.py": HEAD + ONE}),
    ({PATH: HEAD + ONE}, {"tests/test_new.py": HEAD + ONE + TWO}),
    ({PATH: HEAD + ONE + ROWS}, {"tests/test_a.py": HEAD + ONE, "tests/test_b.py": HEAD + ROWS}),
    ({PATH: HEAD + ONE}, {PATH: HEAD + "class TestAdd:\n    def test_add(self):\n        assert add(1, 2) == 3\n"}),
    ({"pkg/test_a.py": "from .calc import add\n" + ONE}, {"pkg/tests/test_a.py": "from ..calc import add\n" + ONE}),
    ({"a.txt": "x"}, {"a.txt": "x", PATH: HEAD + "@pytest.mark.skip\n" + ONE}),
    ({"a.txt": "x"}, {"a.txt": "x", "tests/conftest.py": "import pytest\n@pytest.fixture\ndef a(): return 1\n"}),
    ({"a.txt": "x"}, {"a.txt": "x", PATH: "def test_(:"}),
    ({"calc.py": "x = 1\n", PATH: "from calc import add\n" + ONE}, {"sums.py": "x = 1\n", PATH: "from sums import add\n" + ONE}),
]  # fmt: skip
NO_MOVES: list[tuple[Tree, Tree]] = [
    ({PATH: HEAD + ONE}, {"tests/old_calc.py": HEAD + ONE}),
    ({PATH: HEAD + ONE}, {"attic/test_calc.py": HEAD + ONE}),
    ({PATH: HEAD + ONE}, {"tests/.test_calc.py": HEAD + ONE}),
    ({PATH: HEAD + ONE}, {"tests/test_calc.py.bak": HEAD + ONE}),
    ({PATH: HEAD + ONE}, {"tests/test_new.py": HEAD + "pytestmark = pytest.mark.skip\n" + ONE}),
    ({PATH: HEAD + ONE}, {"tests/test_new.py": HEAD + ONE.replace("== 3", "is not None")}),
    ({PATH: HEAD + ONE}, {"a.txt": ""}),
    ({PATH: HEAD + ONE + TWO}, {PATH: HEAD + ONE, "tests/test_div.py": HEAD + "def test_div():\n    assert div(4, 2) == 2\n"}),
]  # fmt: skip


def test_moved_tests_and_new_files_are_nothing(tmp_path: Path) -> None:
    wrong = [
        (c, [f.detail for f in GUARD.look(p)])
        for p, c in zip(patches_of(tmp_path, MOVES), MOVES, strict=True)
        if found(GUARD, p)
    ]
    assert not wrong


def test_moves_that_lose_the_test_are_refused(tmp_path: Path) -> None:
    for rules in (Rules(), PEOPLE):
        assert [
            c for p, c in zip(patches_of(tmp_path, NO_MOVES, rules), NO_MOVES, strict=True) if not found(GUARD, p)
        ] == []


def test_a_feature_removed_with_its_tests_is_nothing_for_people(tmp_path: Path) -> None:
    steps: list[tuple[Tree, Tree]] = [
        ({"mul.py": "def mul(): pass\n", "tests/test_mul.py": "from mul import mul\ndef test_mul():\n    assert mul() == 1\n"}, {"a": "b"}),
        ({"calc.py": SOURCE + "def multiply(): pass\n", PATH: HEAD + ONE + "def test_many():\n    assert multiply() == 1\n"},
         {"calc.py": SOURCE, PATH: HEAD + ONE}),
    ]  # fmt: skip
    assert [found(GUARD, p) for p in patches_of(tmp_path, steps, PEOPLE)] == [[], []]
    assert all(found(GUARD, p) for p in patches_of(tmp_path, steps))


def test_a_fake_that_the_patch_puts_among_the_tests_is_seen_in_peoples_commits_too(tmp_path: Path) -> None:
    after = {PATH: "from tests.fake import add\n" + ONE, "tests/fake.py": "def add(a, b):\n    return 3\n"}
    assert found(GUARD, patch_of(tmp_path, {PATH: "from calc import add\n" + ONE}, after, PEOPLE))


@pytest.mark.parametrize(
    "content", [b"\0\xff" * 50, b"x" * 10_000_000, b"\xed\xa0\x80 = (", b"def test_a(): " + b"(" * 9000]
)
def test_no_content_raises_and_what_cannot_be_read_is_said(tmp_path: Path, content: bytes) -> None:
    before = {PATH: HEAD + ONE, "tests/thing_spec.rb": "it 'works'"}
    patch = patch_of(tmp_path, before, {PATH: content, "tests/thing_spec.rb": content})
    assert {path for _, path, _ in found(GUARD, patch)} == {PATH, "tests/thing_spec.rb"}
    assert found(GUARD, replace(patch, rules=PEOPLE))


def test_protected_globs_are_tests_too_and_sources_are_not(tmp_path: Path) -> None:
    before, after = {"checks/calc.py": HEAD + ONE, "lib.py": HEAD + ONE}, {"checks/calc.py": HEAD, "lib.py": HEAD}
    assert not found(GUARD, patch_of(tmp_path, before, after))
    assert [p for _, p, _ in found(GUARD, patch_of(tmp_path, before, after, Rules(protect=("checks/**",))))] == [
        "checks/calc.py"
    ]
