"""QuickXplain against brute force, and how many questions it asks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from zwarm_ci.repair.quickxplain import minimal

_families = st.lists(st.frozensets(st.integers(0, 6), min_size=1, max_size=4), min_size=1, max_size=5)


@settings(max_examples=300, deadline=None)
@given(_families)
def test_monotone_questions_give_a_minimal_set(enough: list[frozenset[int]]) -> None:
    """Works = contains one of some sets; the answer must be one of the minimal ones, which brute force finds."""

    def works(chosen: Sequence[int]) -> bool:
        return any(wanted <= set(chosen) for wanted in enough)

    found = minimal(range(7), works)
    every = [set(c) for n in range(8) for c in combinations(range(7), n) if works(c)]
    least = [c for c in every if not any(other < c for other in every)]
    assert set(found) in least
    assert found == sorted(found)


@settings(max_examples=200, deadline=None)
@given(st.sets(st.frozensets(st.integers(0, 4)), min_size=1))
def test_questions_that_are_not_monotone_give_a_set_without_idle_items(good: set[frozenset[int]]) -> None:
    everything = frozenset(range(5))

    def works(chosen: Sequence[int]) -> bool:
        return frozenset(chosen) in good or frozenset(chosen) == everything

    found = minimal(range(5), works)
    assert works(found)
    assert len(found) <= 1 or not any(works([i for i in found if i != item]) for item in found)


def test_the_preferred_one_is_found_at_once_and_another_in_few_questions() -> None:
    for culprit, most in ((0, 2), (63, 16)):
        asked: list[object] = []

        def works(chosen: Sequence[int], culprit: int = culprit, asked: list[object] = asked) -> bool:
            asked.append(chosen)
            return culprit in chosen

        assert minimal(range(64), works) == [culprit]
        assert len(asked) <= most


def test_what_comes_first_is_preferred() -> None:
    assert minimal("abcd", lambda chosen: "b" in chosen or {"c", "d"} <= set(chosen)) == ["b"]
    assert minimal("abcd", lambda chosen: {"a", "d"} <= set(chosen) or {"a", "b"} <= set(chosen)) == ["a", "b"]
