"""Logs are cut to what tells something, whole where they fit, bounded always."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zwarm_ci.checks import reduce_log


def test_what_fits_stays_whole_but_for_escapes() -> None:
    assert reduce_log("one\n\x1b[31mtwo\x1b[0m\r\nthree\n") == "one\ntwo\nthree"


def test_assertions_in_the_middle_survive_with_their_neighbours() -> None:
    noise = [f"noise line {n} with some words in it" for n in range(2000)]
    noise[900:900] = ["before it", "E   AssertionError: assert 3 == 4", "after it"]
    text = reduce_log("\n".join(noise), limit=2000)
    assert len(text) <= 2000
    assert "before it\nE   AssertionError: assert 3 == 4\nafter it" in text
    assert text.startswith("noise line 0 ")
    assert text.endswith("noise line 1999 with some words in it")
    assert "lines left out]" in text


def test_the_first_of_too_many_findings_are_kept() -> None:
    text = reduce_log("\n".join(f"E   ValueError: number {n}" for n in range(5000)), limit=3000)
    assert len(text) <= 3000
    assert "number 0\n" in text
    assert "number 4999" in text


@given(st.text(max_size=3000), st.integers(200, 2000))
def test_never_longer_than_the_limit(text: str, limit: int) -> None:
    assert len(reduce_log(text, limit)) <= limit


def test_of_a_huge_log_only_start_and_end_are_read() -> None:
    text = reduce_log("x" * 5_000_000 + "\nE   in the middle\n" + "noise\n" * 1_000_000 + "E   at the end\n")
    assert len(text) <= 6000
    assert "E   at the end" in text
    assert "in the middle" not in text
