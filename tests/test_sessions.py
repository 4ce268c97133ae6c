"""The store of sessions: its transition table whole, damage, owners that die, several processes at once, waiting on events."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support import Repo
from zwarm_ci.errors import UsageError
from zwarm_ci.executors.base import Report
from zwarm_ci.git import open_repository
from zwarm_ci.sessions import LIVE, NEXT, STATES, Meta, Owner, State, Store, as_dict, ending, from_json, watch
from zwarm_ci.task import Usage

#: Every pair that is a way; whatever is not here is refused. Written out once more, so that the table cannot change unseen.
WAYS = {
    ("pending", "running"), ("pending", "failed"), ("pending", "killed"), ("pending", "interrupted"), ("pending", "blocked"),
    ("running", "completed"), ("running", "failed"), ("running", "killed"), ("running", "timed_out"), ("running", "interrupted"),
    ("running", "blocked"), ("completed", "running"), ("failed", "running"), ("killed", "running"), ("timed_out", "running"),
    ("interrupted", "running"), ("blocked", "running"),
}  # fmt: skip

#: Another process with a store, which does as it is told by the line and answers each with a line.
DRIVER = """
import sys
from pathlib import Path
from zwarm_ci.sessions import Store
store = Store(Path(sys.argv[1]))
meta = None
for words in map(str.split, sys.stdin):
    verb, rest = words[0], words[1:]
    try:
        if verb == "create":
            meta = store.create(run="", task="", executor="codex", model="")
        elif verb == "load":
            meta = store.load(rest[0])
        elif verb == "move":
            meta = store.move(meta, rest[0], turn=meta.turn + (rest[0] == "running"))
        elif verb == "line":
            with store.recording(meta, meta.turn) as keep:
                keep(rest[0].encode())
        print(meta.id, meta.state, flush=True)
    except Exception as error:
        print("error", str(error), flush=True)
"""


@dataclass
class Driver:
    """One such process."""

    child: subprocess.Popen[str]

    def do(self, words: str) -> str:
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        self.child.stdin.write(words + "\n")
        self.child.stdin.flush()
        return self.child.stdout.readline().strip()

    def kill(self) -> None:
        self.child.kill()
        self.child.wait()


@contextmanager
def driver(state: Path) -> Iterator[Driver]:
    child = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(state)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield Driver(child)
    finally:
        child.kill()
        child.communicate()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "state")


def made(store: Store, state: State = "pending") -> Meta:
    """A session in any state, by ways that there are."""
    meta = store.create(run="", task="", executor="codex", model="m")
    if state == "pending":
        return meta
    meta = store.move(meta, "running", turn=1)
    return meta if state == "running" else store.move(meta, state, reason="why")


def meta_file(store: Store, meta: Meta) -> Path:
    return store.folder(meta.id) / "meta.json"


@pytest.mark.parametrize("before", STATES)
@pytest.mark.parametrize("after", STATES)
def test_every_pair_of_states(store: Store, before: State, after: State) -> None:
    meta = made(store, before)
    if (before, after) in WAYS:
        moved = store.move(meta, after)
        assert store.load(meta.id) == moved
        assert moved.state == after
        assert store.is_run(meta.id) == (after in LIVE)
    else:
        with pytest.raises(UsageError, match=f"is {before}; it cannot become {after}"):
            store.move(meta, after)
        assert store.load(meta.id).state == before


def test_the_table_is_whole() -> None:
    assert {(a, b) for a in STATES for b in NEXT[a]} == WAYS
    assert set(NEXT) == set(STATES)


def test_the_disk_decides_and_not_a_stale_copy(store: Store) -> None:
    stale = made(store, "running")
    store.move(stale, "completed")
    with pytest.raises(UsageError, match="is completed; it cannot become failed"):
        store.move(stale, "failed")


def test_what_schema_1_wrote_is_read(store: Store) -> None:
    meta = made(store, "completed")
    first = "id run task executor model state turn created_at updated_at reason".split()
    text = json.dumps({**{k: v for k, v in as_dict(meta).items() if k in first}, "schema": 1})
    meta_file(store, meta).write_text(text)
    assert store.load(meta.id) == replace(meta, owner=Owner(), tag="")


def test_every_field_survives_the_disk(store: Store) -> None:
    meta = replace(
        made(store, "completed"), usage=Usage(1, 2, 3, 4, 5), total=Usage(9), cost_usd=Decimal("0.000123"), unpriced_tokens=7,
        lower_bound=True, denials=2, native="n", title="t", worktree="/w", base="b", verdict="failed", verdict_reason="r",
        acked=True, parent="p", tag="zw.1", owner=Owner(7, "8", "9"),
    )  # fmt: skip
    assert from_json(json.dumps(as_dict(meta)).encode()) == meta


def test_a_meta_file_cut_anywhere_is_survived_and_said(store: Store) -> None:
    sound, cut = made(store, "completed"), made(store, "completed")
    whole = meta_file(store, cut).read_bytes()
    for size in range(len(whole)):
        meta_file(store, cut).write_bytes(whole[:size])
        metas, damaged = store.all()
        assert [m.id for m in metas] == [sound.id], size
        assert [d.id for d in damaged] == [cut.id]
        assert f"the meta.json of session {cut.id} cannot be read" in damaged[0].why
    with pytest.raises(UsageError, match=r"cannot be read"):
        store.move(cut, "running")
    ending.remove(store, cut.id)
    assert store.ids() == [sound.id]


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("schema", 99, "a newer version"), ("state", "odd", "state is 'odd'"), ("turn", "1", "turn is"), ("acked", 1, "acked is"),
        ("usage", {"input_tokens": "1"}, "usage is"), ("owner", [], "owner is"), ("turn", True, "turn is"), ("cost_usd", "1", "cost_usd is"),
    ],
)  # fmt: skip
def test_garbage_in_a_field_is_named(store: Store, field: str, value: object, said: str) -> None:
    meta = made(store, "completed")
    meta_file(store, meta).write_text(json.dumps({**as_dict(meta), field: value}))
    with pytest.raises(UsageError, match=said):
        store.load(meta.id)


def test_the_process_that_runs_it_goes_on_when_its_record_is_damaged(store: Store) -> None:
    meta = made(store, "running")
    meta_file(store, meta).write_text("{")
    assert store.move(meta, "completed").state == "completed"
    assert store.load(meta.id).state == "completed"


def test_half_written_lines_are_survived_and_said(store: Store) -> None:
    meta = made(store, "running")
    with (store.folder(meta.id) / "events.jsonl").open("ab") as file:
        file.write(b'{"schema": 2, "ki')
    store.turn_file(meta, 1).write_bytes(b'{"type":"a"}\n{"ty')
    with store.recording(meta, 1) as keep:
        keep(b'{"type":"b"}')
    meta = store.move(meta, "completed")
    records, bad = store.events(meta.id)
    assert [r["state"] for r in records] == ["running", "completed"]
    assert bad == 1
    assert b"".join(watch.written(store, meta.id)) == b'{"type":"a"}\n{"ty\n{"type":"b"}\n'


def test_ids_by_unique_prefix(store: Store) -> None:
    for name in ("aa11bb", "aa22bb", "cc33dd"):
        (store.root / name).mkdir(parents=True)
    assert store.find("c") == "cc33dd"
    assert store.find("aa1") == "aa11bb"
    with pytest.raises(UsageError, match="several sessions begin with 'aa'") as several:
        store.find("aa")
    assert several.value.remedy == "aa11bb, aa22bb"
    with pytest.raises(UsageError, match="no session begins with 'cc34dd'") as none:
        store.find("cc34dd")
    assert none.value.remedy == "did you mean cc33dd?"
    with pytest.raises(UsageError, match="no session begins with ''"):
        store.find("")
    with pytest.raises(UsageError, match="no session begins with"):
        store.find("../sessions/cc33dd")


def test_an_id_that_another_one_begins_with_is_itself(store: Store) -> None:
    for name in ("aa", "aab"):
        (store.root / name).mkdir(parents=True)
    assert store.find("aa") == "aa"


def test_a_session_whose_process_died_is_interrupted_and_nothing_is_written(store: Store) -> None:
    with driver(store.root.parent) as other:
        session_id = other.do("create").split()[0]
        other.do("move running")
        assert store.load(session_id).state == "running"
        before = meta_file(store, store.load(session_id)).read_bytes()
        other.kill()
        seen = store.load(session_id)
        assert (seen.state, seen.attention) == ("interrupted", True)
        assert seen.reason == f"its process {other.child.pid} ended in turn 1 without a word"
        assert (store.folder(session_id) / "meta.json").read_bytes() == before
    moved = store.move(seen, "running", turn=2)
    assert [r["state"] for r in store.events(session_id)[0]] == ["running", "interrupted", "running"]
    assert moved.owner == Owner.me()


def test_one_that_died_before_its_first_turn(store: Store) -> None:
    with driver(store.root.parent) as other:
        session_id = other.do("create").split()[0]
        assert store.load(session_id).state == "pending"
        other.kill()
    assert store.load(session_id).reason.endswith("ended before its first turn without a word")


def test_one_that_ends_while_it_is_looked_at_has_ended(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    meta = made(store, "running")
    runs = store.is_run

    def late(session_id: str) -> bool:
        store.move(meta, "completed")
        return runs(session_id)

    monkeypatch.setattr(store, "is_run", late)
    assert store.load(meta.id).state == "completed"


def test_another_process_cannot_move_what_is_run(store: Store) -> None:
    meta = made(store, "running")
    with driver(store.root.parent) as other:
        other.do(f"load {meta.id}")
        assert other.do("move completed") == f"error session {meta.id} is running"
    with pytest.raises(UsageError, match="is running"):
        store.remove(meta.id)
    assert store.load(meta.id) == meta


def test_of_two_that_begin_a_turn_at_once_one_does(store: Store) -> None:
    metas = [made(store, "completed") for _ in range(5)]
    with driver(store.root.parent) as one, driver(store.root.parent) as two:
        for meta in metas:
            said: list[str] = []

            def begin(who: Driver, meta: Meta = meta, said: list[str] = said) -> None:
                who.do(f"load {meta.id}")
                said.append(who.do("move running"))

            threads = [threading.Thread(target=begin, args=(who,)) for who in (one, two)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert sorted(said) == sorted([f"{meta.id} running", f"error session {meta.id} is running"])
            assert store.load(meta.id).turn == 2


def test_no_change_is_lost_between_processes(store: Store) -> None:
    meta = made(store, "completed")
    code = (
        "import sys; from dataclasses import replace; from pathlib import Path; from zwarm_ci.sessions import Store\n"
        "store = Store(Path(sys.argv[1]))\n"
        "for _ in range(25): store.update(sys.argv[2], lambda m: replace(m, denials=m.denials + 1))\n"
    )
    children = [subprocess.Popen([sys.executable, "-c", code, str(store.root.parent), meta.id]) for _ in range(4)]
    assert [child.wait() for child in children] == [0] * 4
    assert store.load(meta.id).denials == 100


def test_what_a_turn_used_is_added_up(store: Store) -> None:
    meta = made(store, "running")
    report = Report(
        "completed", "done", usage=Usage(10, 1, 2, 3), cost_usd=0.1, native="thread", total=Usage(10), denials=1
    )
    meta = store.close_turn(meta, report)
    meta = store.move(meta, "running", turn=2)
    meta = store.close_turn(meta, replace(report, cost_usd=0.2, total=Usage(20), native="", state="failed"))
    assert (meta.usage, meta.total, meta.native, meta.denials) == (Usage(20, 2, 4, 6), Usage(20), "thread", 2)
    assert meta.cost_usd == Decimal("0.3")
    meta = store.close_turn(store.move(meta, "running", turn=3), replace(report, cost_usd=None, lower_bound=True))
    assert (meta.cost_usd, meta.unpriced_tokens, meta.lower_bound) == (Decimal("0.3"), 16, True)


def test_attention_is_raised_by_an_end_and_taken_by_a_word_not_by_a_clock(store: Store) -> None:
    meta = made(store, "completed")
    assert meta.attention
    acked = store.update(meta.id, lambda m: replace(m, acked=True))
    assert not acked.attention
    again = store.move(acked, "running", turn=2)
    assert not again.attention
    assert store.move(again, "blocked").attention
    of_run = replace(meta, run="r")
    assert not of_run.attention, "a run judges what its sessions completed"
    assert replace(of_run, state="blocked").attention
    assert not replace(meta, verdict="passed").attention


def test_an_ended_session_has_no_further_turn(store: Store, tmp_path: Path) -> None:
    user = open_repository(Repo.make(tmp_path / "repo", {"a": "1\n"}).path)
    meta = ending.end(store, made(store, "completed").id, user, "passed", "good")
    with pytest.raises(UsageError, match="was ended: passed"):
        store.move(meta, "running")
    running = made(store, "running")
    with pytest.raises(UsageError, match="is running"):
        ending.end(store, running.id, user, "passed", "")
    assert store.load(running.id).verdict == ""


def test_gc_takes_what_is_old_and_was_seen(store: Store) -> None:
    seen, unseen, running = made(store, "completed"), made(store, "failed"), made(store, "running")
    store.update(seen.id, lambda m: replace(m, acked=True))
    assert ending.collect(store, 3600) == ([], [])
    assert ending.collect(store, 0) == ([seen.id], [unseen.id])
    assert set(store.ids()) == {unseen.id, running.id}


def test_gc_takes_what_a_killed_process_left_half_made(store: Store) -> None:
    store.root.mkdir(parents=True)
    for name in (".old", ".young"):
        (store.root / name / "turns").mkdir(parents=True)
    (store.root / ".start-old.log").touch()
    for name in (".old", ".start-old.log"):
        os.utime(store.root / name, (0, 0))
    assert store.all() == ([], [])
    assert ending.collect(store, 0) == ([], [])
    assert [p.name for p in store.root.iterdir()] == [".young"]


def test_secrets_are_not_kept(store: Store) -> None:
    key = "sk-ant-" + "a1" * 20
    meta = store.create(run="", task="", executor="codex", model="", title=f"use {key}")
    meta = store.move(store.move(meta, "running"), "failed", reason=f"bad key {key}")
    assert key not in "".join(p.read_text() for p in store.folder(meta.id).rglob("*") if p.is_file())
