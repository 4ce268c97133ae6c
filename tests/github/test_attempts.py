"""The ledger of attempts: limits a day, garbage, clocks that lie, writers that are killed, two at once, and what the forge knows."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zwarm_ci.errors import BlockedError
from zwarm_ci.github import marker
from zwarm_ci.github.attempts import Attempts, answered, spoken_for

TODAY = date(2026, 3, 1)
DAY = timedelta(days=1)
ROOT = Path(__file__).parents[2]


def ledger(folder: Path) -> Attempts:
    return Attempts(folder / "state" / "attempts.jsonl")


def test_a_failure_is_tried_so_often_a_day(tmp_path: Path) -> None:
    attempts = ledger(tmp_path)
    assert attempts.allowed("abc", TODAY, 2) == (True, "abc was tried 0 of 2 times today")
    attempts.record("abc", TODAY, "run-1")
    assert attempts.allowed("abc", TODAY, 2)[0]
    attempts.record("abc", TODAY, "run-2")
    may, why = ledger(tmp_path).allowed("abc", TODAY, 2)
    assert (may, why) == (
        False,
        "abc was tried 2 of 2 times today: look at it yourself, or wait for tomorrow (UTC)",
    )
    assert attempts.allowed("def", TODAY, 2)[0], "another failure"
    assert attempts.allowed("abc", TODAY + DAY, 2)[0], "another day"
    assert not attempts.allowed("new", TODAY, 0)[0]


def test_a_clock_that_was_put_back_gives_no_new_attempts(tmp_path: Path) -> None:
    attempts = ledger(tmp_path)
    attempts.record("abc", TODAY)
    may, why = attempts.allowed("abc", TODAY - 3 * DAY, 1)
    assert not may
    assert "1 dated later: was the clock wrong?" in why


def test_a_long_fingerprint_is_counted_too(tmp_path: Path) -> None:
    attempts = ledger(tmp_path)
    attempts.record("x" * 5000, TODAY, "r" * 5000)
    assert not attempts.allowed("x" * 5000, TODAY, 1)[0]


@pytest.mark.parametrize(
    "garbage",
    [b"\xff\xfe\x00", b"{", b"[]\n", b"null\n", b'"a"\n', b'{"schema": 2, "fingerprint": "abc", "day": "2026-03-01"}\n',
     b'{"schema": 1, "fingerprint": 3, "day": "2026-03-01"}\n', b'{"schema": 1, "fingerprint": "abc", "day": 3}\n',
     b'{"schema": 1, "fingerprint": "abc", "day": "tomorrow"}\n', b'{"schema": 1, "fingerprint": "abc"}\n', b"[" * 100_000 + b"\n",
     b"9" * 5000 + b"\n", b"[" * 4000 + b"\n", b"\n\n\n", b'{"schema": 1, "fingerprint": "abc", "day": "2026-03-01", "run": "r'],
)  # fmt: skip
def test_garbage_counts_for_nothing_and_takes_nothing_with_it(tmp_path: Path, garbage: bytes) -> None:
    attempts = ledger(tmp_path)
    attempts.record("abc", TODAY)
    before = attempts.path.read_bytes()
    attempts.path.write_bytes(before + garbage)
    assert attempts.allowed("abc", TODAY, 1)[0] is False
    assert attempts.allowed("abc", TODAY, 2)[0] is True
    attempts.record("abc", TODAY)
    assert attempts.allowed("abc", TODAY, 2)[0] is False, "what is written after garbage counts"


@given(st.binary(max_size=300))
def test_any_bytes_are_a_ledger(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    attempts = ledger(tmp_path_factory.mktemp("any"))
    attempts.path.parent.mkdir()
    attempts.path.write_bytes(data)
    attempts.record("abc", TODAY)
    assert attempts.allowed("abc", TODAY, 1)[0] is False


def test_a_place_that_cannot_be_used_is_said_and_nothing_begins(tmp_path: Path) -> None:
    attempts = ledger(tmp_path)
    attempts.path.mkdir(parents=True)
    for call in (lambda: attempts.allowed("a", TODAY, 1), lambda: attempts.record("a", TODAY)):
        with pytest.raises(BlockedError, match=r"attempts\.jsonl"):
            call()


def test_of_many_that_ask_at_once_no_more_than_allowed_get_it(tmp_path: Path) -> None:
    attempts = ledger(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda n: attempts.claim("abc", TODAY, 3, f"run-{n}")[0], range(16)))
    assert sum(got) == 3


def test_a_large_ledger_keeps_the_days_that_count(tmp_path: Path) -> None:
    attempts = ledger(tmp_path)
    old, new = b'{"schema": 1, "fingerprint": "%s", "day": "%s", "run": ""}\n', b""
    attempts.path.parent.mkdir()
    new = old % (b"abc", b"2026-02-28")
    attempts.path.write_bytes(old % (b"o" * 200, b"2020-01-01") * 5000 + new)
    attempts.record("abc", TODAY)
    assert attempts.path.read_bytes().count(b"\n") == 2
    assert not attempts.allowed("abc", TODAY - DAY, 2)[0]


WRITER = """
import sys
from datetime import date
from pathlib import Path
from zwarm_ci.github.attempts import Attempts
attempts = Attempts(Path(sys.argv[1]))
for number in range(100_000):
    attempts.record("abc", date(2026, 3, 1), f"run-{number}")
    print(number, flush=True)
"""


def test_a_writer_that_is_killed_leaves_what_it_said_and_a_ledger_that_works(tmp_path: Path) -> None:
    attempts = ledger(tmp_path)
    for round_ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(attempts.path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
        ) as writer:
            assert writer.stdout
            said = [writer.stdout.readline() for _ in range(5 + round_)]
            os.kill(writer.pid, signal.SIGKILL)
            said += writer.stdout.readlines()
        count = sum(text.endswith("\n") for text in said)
        made = attempts.path.read_bytes().count(b"\n")
        assert made >= count, "what it said was on disk"
        assert attempts.allowed("abc", TODAY, made)[0] is False
        assert attempts.allowed("abc", TODAY, made + 1)[0] is True
        attempts.path.unlink()


# ------------------------------------------------------------------------------------------------------- what the forge knows

BRANCH = "zwarm-ci/fix-tests-abc"


def pull(**changes: Any) -> dict[str, Any]:
    repo = {"id": 1, "full_name": "octo/demo"}
    made: dict[str, Any] = {
        "number": 5, "state": "open", "merged_at": None, "closed_at": None, "head": {"ref": BRANCH, "repo": repo},
        "base": {"ref": "main", "repo": repo},
    }  # fmt: skip
    return made | changes


def test_an_open_pull_request_answers_the_failure() -> None:
    may, why = answered([pull()], BRANCH, TODAY)
    assert not may
    assert "#5 repairs it already" in why
    assert answered([pull()], BRANCH + "d", TODAY)[0], "of another failure"
    assert answered([], BRANCH, TODAY)[0]


def test_one_that_was_closed_says_no_for_that_day() -> None:
    closed = {"state": "closed", "closed_at": "2026-03-01T08:00:00Z"}
    assert not answered([pull(**closed)], BRANCH, TODAY)[0]
    assert answered([pull(**closed)], BRANCH, TODAY + DAY)[0]
    assert answered([pull(**closed, merged_at="2026-03-01T08:00:00Z")], BRANCH, TODAY)[0], "merged and red again is new"
    assert not answered([pull(**closed, number=4), pull()], BRANCH, TODAY + DAY)[0]


def test_a_forks_pull_request_of_that_name_says_nothing() -> None:
    for repo in ({"id": 2}, None, {}):
        assert answered([pull(head={"ref": BRANCH, "repo": repo})], BRANCH, TODAY)[0]


def test_the_tasks_of_a_pull_request_are_spoken_for() -> None:
    def body(*tasks: str) -> str:
        return "Repairs it.\n" + marker.make("fix-tests", "ab12", "0" * 40, "1" * 40, tasks, [("tests", "a")]).line()

    closed = {"state": "closed", "closed_at": "2026-03-01T08:00:00Z", "number": 4}
    merged = {**closed, "merged_at": "2026-03-01T08:00:00Z"}
    found = spoken_for(
        [pull(body=body("aa11", "bb22")), pull(body=body("cc33", "aa11"), **closed), pull(body=body("dd44"), **merged)],
        TODAY,
    )
    assert set(found) == {"aa11", "bb22", "cc33"}
    assert "#5 repairs it already" in found["aa11"]
    assert "#4 was closed today" in found["cc33"]
    assert set(spoken_for([pull(body=body("cc33"), **closed)], TODAY + DAY)) == set()
    elsewhere = {"ref": "feature", "repo": {"id": 1}}
    assert spoken_for([pull(body=body("aa11"), head=elsewhere), pull(body=None), pull(), {}], TODAY) == {}
    assert spoken_for([pull(body=body("aa11"), head={"ref": BRANCH, "repo": {"id": 2}})], TODAY) == {}, "a fork's"


def test_odd_answers_say_nothing() -> None:
    for odd in ({}, {"head": None}, {"head": {"ref": BRANCH}}, pull(state="closed", closed_at="soon"), pull(base=3)):
        assert answered([odd], BRANCH, TODAY)[0]
