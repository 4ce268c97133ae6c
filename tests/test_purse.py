"""Money: limits that hold for threads and processes together, and a day's ledger that survives whoever writes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zwarm_ci import daybook
from zwarm_ci.errors import LimitError
from zwarm_ci.purse import Limits, Purse

DAY = date(2026, 3, 1)
USD = Decimal
ZERO = Decimal(0)


def purse(path: Path | None, *, today: date = DAY, **limits: str) -> Purse:
    return Purse(Limits(**{name: USD(text) for name, text in limits.items()}), path, today=lambda: today)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "state" / "day.json"


def test_a_call_is_held_then_settled(ledger: Path) -> None:
    mine = purse(ledger, run="1")
    hold = mine.hold("a", USD("0.4"))
    assert (mine.room("a"), mine.spent(), mine.spent_today()) == (USD("0.6"), ZERO, ZERO)
    mine.settle(hold, USD("0.1"))
    assert (mine.room("a"), mine.spent("a"), mine.spent("b"), mine.spent_today()) == (
        USD("0.9"),
        USD("0.1"),
        ZERO,
        USD("0.1"),
    )
    mine.settle(hold, USD("0.1"))
    assert (mine.spent(), mine.spent_today()) == (USD("0.1"), USD("0.1")), "a hold is settled once"


def test_a_dearer_call_is_booked_as_it_is(ledger: Path) -> None:
    mine = purse(ledger, run="1", day="1")
    mine.settle(mine.hold("a", USD(1)), USD(3))
    assert (mine.spent(), mine.spent_today(), mine.room("a")) == (USD(3), USD(3), ZERO)


@pytest.mark.parametrize(
    ("limits", "said", "remedy"),
    [
        (
            {"run": "1"},
            r"the limit of \$1.00 a run is reached: \$0.700 is spent and \$0.200 is held",
            "raise budget.usd",
        ),
        ({"task": "1", "run": "9"}, r"\$1.00 a task is reached", "raise budget.task_usd"),
        ({"day": "1", "run": "9", "task": "9"}, r"\$1.00 a day is reached", "raise budget.day_usd"),
    ],
)
def test_a_refusal_says_which_limit(ledger: Path, limits: dict[str, str], said: str, remedy: str) -> None:
    mine = purse(ledger, today=DAY, **limits)
    mine.book("a", USD("0.7"))
    mine.hold("a", USD("0.2"))
    with pytest.raises(LimitError, match=said) as caught:
        mine.hold("a", USD("0.11"))
    assert caught.value.remedy == remedy
    assert "$0.100 is left and the next call may cost $0.110" in caught.value.message
    assert mine.hold("a", USD("0.11"), least=USD("0.05")).amount == USD("0.1")
    with pytest.raises(LimitError, match="is reached"):
        mine.require("a")


def test_a_tasks_limit_is_its_own(ledger: Path) -> None:
    mine = purse(ledger, task="1", run="1.5")
    mine.hold("a", USD(1))
    assert (mine.room("a"), mine.room("b")) == (ZERO, USD("0.5"))


def test_no_limit_and_a_limit_of_nothing(ledger: Path) -> None:
    assert purse(ledger).room("a") == USD("Infinity")
    assert purse(ledger).require("a") == USD("Infinity")
    with pytest.raises(LimitError, match=r"the limit of \$0.00 a run"):
        purse(ledger, run="0").hold("a", USD("0.0000001"))
    with pytest.raises(LimitError):
        purse(ledger, run="0").require("a")


@pytest.mark.parametrize("amount", ["-1", "NaN", "Infinity"])
def test_what_is_no_amount(ledger: Path, amount: str) -> None:
    mine = purse(ledger)
    hold = mine.hold("a", USD(1))
    for act in (
        lambda: mine.hold("a", USD(amount)),
        lambda: mine.settle(hold, USD(amount)),
        lambda: mine.book("a", USD(amount)),
    ):
        with pytest.raises(ValueError, match="not an amount"):
            act()
    assert mine.spent() == 0


def test_what_cannot_be_proven_is_refused(ledger: Path) -> None:
    for limited in (purse(ledger, day="5"), purse(None, task="5")):
        limited.unpriced("a", 0)
        limited.require("a")
        limited.unpriced("a", 70)
        assert limited.unpriced_tokens == 70
        assert limited.notes == ("task a used tokens of unknown price: what was spent is a lower bound",)
        with pytest.raises(LimitError, match="price of 70 tokens is unknown"):
            limited.hold("b", USD("0.1"))
        with pytest.raises(LimitError, match="unknown"):
            limited.require("b")
    free = purse(ledger)
    free.unpriced("a", 70)
    free.hold("a", USD(1))
    told = Purse(Limits(run=USD(5)), None, unproven=True)
    told.unpriced("a", 70)
    told.hold("a", USD(1))


def test_a_day_is_shared_and_ends(ledger: Path) -> None:
    first, second = purse(ledger, day="1"), purse(ledger, day="1")
    first.book("a", USD("0.6"))
    hold = second.hold("b", USD("0.3"))
    assert (first.room("a"), second.room("b")) == (USD("0.1"), USD("0.1"))
    tomorrow = purse(ledger, day="1", today=date(2026, 3, 2))
    assert (tomorrow.room("c"), tomorrow.spent_today()) == (USD(1), ZERO)
    second.settle(hold, USD("0.25"))
    assert (first.spent_today(), tomorrow.spent_today(), first.spent(), second.spent()) == (
        USD("0.85"), ZERO, USD("0.6"), USD("0.25"),
    )  # fmt: skip


def test_without_a_file_the_days_limit_is_this_runs() -> None:
    mine = purse(None, day="1")
    mine.book("a", USD("0.6"))
    assert (mine.room("a"), mine.spent_today()) == (USD("0.4"), USD("0.6"))


@pytest.fixture
def _hasty() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_hasty")
@pytest.mark.parametrize("kept", [True, False], ids=["with a file", "without"])
def test_threads_never_overshoot(ledger: Path, *, kept: bool) -> None:
    mine = purse(ledger if kept else None, run="1", task="0.7", day="1")
    gate = threading.Barrier(8)

    def spend(task: str) -> None:
        gate.wait()
        for number in range(12 if kept else 300):
            try:
                hold = mine.hold(task, USD("0.05"), least=USD("0.01"))
            except LimitError:
                continue
            mine.settle(hold, hold.amount if number % 2 else hold.amount / 2)

    threads = [threading.Thread(target=spend, args=(f"t{n % 2}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert mine.spent() == mine.spent_today() == mine.spent("t0") + mine.spent("t1")
    assert USD("0.9") < mine.spent() <= 1
    assert max(mine.spent("t0"), mine.spent("t1")) <= USD("0.7")


SPENDER = """
import sys
from decimal import Decimal
from pathlib import Path
from zwarm_ci.errors import LimitError
from zwarm_ci.purse import Limits, Purse
purse = Purse(Limits(day=Decimal("2")), Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for number in range(50):
    try:
        hold = purse.hold("t", Decimal("0.0137"))
    except LimitError:
        continue
    purse.settle(hold, hold.amount if number % 3 else Decimal("0.0041"))
print(purse.spent())
"""


def spender(code: str, *args: str) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", code, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout
    assert child.stdout.readline() == "ready\n"
    return child


def test_processes_never_overshoot_by_a_cent(ledger: Path) -> None:
    children = [spender(SPENDER, str(ledger)) for _ in range(8)]
    for child in children:
        assert child.stdin
        child.stdin.write("go\n")
        child.stdin.flush()
    parts = [USD(child.communicate(timeout=120)[0].strip()) for child in children]
    total = Purse(Limits(), ledger).spent_today()
    assert sum(parts) == total, "nothing is lost, nothing is booked twice"
    assert USD("1.9") < total <= 2
    assert json.loads(ledger.read_text())["holds"] == {}


HOLDER = """
import os, sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from zwarm_ci.purse import Limits, Purse
purse = Purse(Limits(day=Decimal(1)), Path(sys.argv[1]), today=lambda: date(2026, 3, 1))
hold = purse.hold("t", Decimal("0.6"))
print("ready", flush=True)
sys.stdin.readline()
"""


def test_a_killed_runs_hold_counts_as_spent_and_is_said(ledger: Path) -> None:
    child = spender(HOLDER, str(ledger))
    mine = purse(ledger, day="1")
    assert (mine.room("a"), mine.spent_today(), mine.notes) == (USD("0.4"), ZERO, ())
    child.kill()
    child.communicate()
    assert (mine.room("a"), mine.spent_today()) == (USD("0.4"), USD("0.6"))
    assert mine.notes == ("$0.600 held by a run that was killed counts as spent today",)
    other = purse(ledger, day="1")
    assert (other.spent_today(), other.notes) == (USD("0.6"), ()), "it is counted, and said, once"


def rewrite(path: Path, change: Callable[[dict[str, dict[str, str]]], None]) -> None:
    data = json.loads(path.read_text())
    change(data["holds"])
    path.write_text(json.dumps(data))


@pytest.mark.parametrize("found", ["another start", "another boot"])
def test_a_number_that_was_reused_is_not_the_owner(ledger: Path, found: str) -> None:
    purse(ledger).hold("a", USD(2))
    world, pid, start = daybook.owner().split()
    dead = f"{world} {pid} {int(start) + 1}" if found == "another start" else f"0ther-boot/1 {pid} {start}"
    rewrite(ledger, lambda holds: next(iter(holds.values())).update(owner=dead))
    assert purse(ledger).spent_today() == 2


def test_another_containers_process_is_not_dead_because_it_is_not_seen(ledger: Path) -> None:
    purse(ledger).hold("a", USD(2))
    boot = daybook.owner().partition("/")[0]
    rewrite(ledger, lambda holds: next(iter(holds.values())).update(owner=f"{boot}/1 99999999 1"))
    mine = purse(ledger, day="3")
    assert (mine.spent_today(), mine.room("a")) == (ZERO, USD(1))


def test_who_was_taken_for_dead_puts_it_right(ledger: Path) -> None:
    mine = purse(ledger, day="3")
    hold = mine.hold("a", USD(2))
    rewrite(ledger, lambda holds: next(iter(holds.values())).update(owner="0ther-boot/1 1 1"))
    assert purse(ledger).spent_today() == 2
    mine.settle(hold, USD("0.5"))
    assert (mine.spent_today(), mine.room("a")) == (USD("0.5"), USD("2.5"))


GARBAGE = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff\x00",
    b'{"schema": 2, "days": {}, "holds": {}, "lost": {}}',
    b'{"schema": 1, "holds": {}, "lost": {}}',
    b'{"schema": 1, "days": {"2026-03-01": 1.5}, "holds": {}, "lost": {}}',
    b'{"schema": 1, "days": {"2026-03-01": "NaN"}, "holds": {}, "lost": {}}',
    b'{"schema": 1, "days": {"2026-03-01": "-4"}, "holds": {}, "lost": {}}',
    b'{"schema": 1, "days": {"yesterday": "4"}, "holds": {}, "lost": {}}',
    b'{"schema": 1, "days": {}, "holds": {"k": {"day": "2026-03-01", "amount": "1", "owner": "me"}}, "lost": {}}',
    b'{"schema": 1, "days": {}, "holds": {"k": {"day": "2026-03-01", "amount": "1", "owner": "w p s"}}, "lost": {}}',
    b'{"schema": 1, "days": {}, "holds": [], "lost": {}}',
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_a_ledger_that_is_not_ours_refuses_until_removed(ledger: Path, garbage: bytes) -> None:
    ledger.parent.mkdir()
    ledger.write_bytes(garbage)
    mine = purse(ledger, day="1")
    assert mine.room("a") == 0
    for ask in (lambda: mine.hold("a", USD("0.1")), lambda: mine.require("a")):
        with pytest.raises(
            LimitError, match=r"what was spent today is not known: .*day\.json is not a ledger"
        ) as caught:
            ask()
        assert "remove it" in caught.value.remedy
    mine.book("a", USD("0.3"))
    assert (mine.spent(), mine.spent_today(), ledger.read_bytes()) == (USD("0.3"), USD("0.3"), garbage)
    assert any("is not a ledger" in note for note in mine.notes)
    ledger.unlink()
    assert mine.room("a") == 1, "the day begins again"


def test_garbage_stops_nobody_who_has_no_limit_of_the_day(ledger: Path) -> None:
    ledger.parent.mkdir()
    ledger.write_bytes(b"{")
    mine = purse(ledger, run="1")
    mine.settle(mine.hold("a", USD("0.5")), USD("0.2"))
    assert (mine.spent(), mine.room("a"), ledger.read_bytes()) == (USD("0.2"), USD("0.8"), b"{")
    assert len(mine.notes) == 1


def test_a_ledger_that_cannot_be_written(ledger: Path) -> None:
    """A folder stands where the file should be: nobody can replace it, root neither."""
    ledger.mkdir(parents=True)
    strict, loose = purse(ledger, day="1"), purse(ledger, run="1")
    with pytest.raises(LimitError, match="not known"):
        strict.hold("a", USD("0.1"))
    loose.settle(loose.hold("a", USD("0.1")), USD("0.1"))
    assert loose.spent() == USD("0.1")
    assert len(loose.notes) == 1


def test_a_full_disk_refuses_what_cannot_be_written_down(ledger: Path) -> None:
    """The ledger's last state can be read, the next cannot be written: /dev/full takes no byte."""
    mine = purse(ledger, day="1")
    hold = mine.hold("a", USD("0.1"))
    temporary = ledger.with_name(f".{ledger.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    temporary.symlink_to("/dev/full")
    with pytest.raises(LimitError, match="cannot be written: No space left"):
        mine.hold("a", USD("0.1"))
    temporary.symlink_to("/dev/full")
    mine.settle(hold, USD("0.1"))
    assert mine.spent() == USD("0.1"), "money that is gone is gone"
    assert any("cannot be written" in note for note in mine.notes)
    assert mine.room("a") == USD("0.9"), "and its hold still stands for it"


def test_old_days_leave_the_file(ledger: Path) -> None:
    page = daybook.Page({f"{year}-01-{day:02}": USD(1) for year in range(1000, 1100) for day in range(1, 29)})
    page.holds["old"] = daybook.Held("0999-01-01", USD(1), daybook.owner())
    data = json.loads(page.text())
    assert len(data["days"]) == daybook._KEPT
    assert "1099-01-28" in data["days"]
    assert data["holds"] == {}


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 400), st.integers(0, 120)), max_size=40))
def test_however_calls_interleave_no_limit_is_passed(calls: list[tuple[str, int, int]]) -> None:
    """Holds of any size, settled at once or late for at most what was held."""
    mine = purse(None, run="1", task="0.8")
    waiting = []
    for task, thousandths, percent in calls:
        try:
            hold = mine.hold(task, USD(thousandths) / 1000, least=USD(thousandths) / 2000)
        except LimitError:
            continue
        if percent > 100:
            waiting.append(hold)
        else:
            mine.settle(hold, hold.amount * percent / 100)
        assert mine.spent() + sum(h.amount for h in waiting) <= 1
    for hold in waiting:
        mine.settle(hold, hold.amount)
    assert mine.spent() <= 1
    assert max(mine.spent("a"), mine.spent("b")) <= USD("0.8")
