"""Waiting for sessions of other processes, following them, ending them, and where they work."""

from __future__ import annotations

import json
import os
import queue
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import Repo
from tests.test_sessions import driver, made, meta_file
from zwarm_ci.errors import InterruptedRunError, UsageError
from zwarm_ci.git import open_repository
from zwarm_ci.private import PrivateRepository
from zwarm_ci.proc import STOP
from zwarm_ci.sessions import Owner, Store, as_dict, ending, place, watch


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "state")


def test_a_process_is_told_apart_from_one_with_its_number() -> None:
    me = Owner.me()
    handle = me.pidfd()
    assert handle is not None
    os.close(handle)
    assert replace(me, start="1").pidfd() is None
    assert replace(me, boot="another").pidfd() is None
    assert Owner().pidfd() is None


def test_a_stranger_with_the_number_of_the_owner_is_not_signalled(store: Store) -> None:
    meta = made(store, "running")
    file = meta_file(store, meta)
    file.write_text(json.dumps({**as_dict(meta), "owner": {"pid": os.getpid(), "start": "1", "boot": Owner.me().boot}}))
    with pytest.raises(UsageError, match="cannot be seen from here"):
        watch.kill(store, meta.id)


def test_wait_for_any_and_for_all_across_processes(store: Store) -> None:
    with driver(store.root.parent) as one, driver(store.root.parent) as two:
        first, second = (who.do("create").split()[0] for who in (one, two))
        one.do("move running"), two.do("move running")
        threading.Timer(0.2, one.do, ("move completed",)).start()
        assert watch.until(store, [first, second], every=False) == [first]
        assert watch.until(store, [first, second], every=True, timeout=0.05) == [first]
        threading.Timer(0.2, two.kill).start()
        assert watch.until(store, [second, first], every=True) == [first, second]
    assert [store.load(i).state for i in (first, second)] == ["completed", "interrupted"]
    assert watch.until(store, [first, first], every=True) == [first]


def test_waiting_costs_no_time_of_the_processor(store: Store) -> None:
    """Nothing is looked at twice while nothing happens."""
    meta = made(store, "running")
    used = os.times()
    assert watch.until(store, [meta.id], every=True, timeout=1.0) == []
    now = os.times()
    assert now.user + now.system - used.user - used.system < 0.1


def test_a_stop_ends_the_waiting(store: Store) -> None:
    meta = made(store, "running")
    threading.Timer(0.2, STOP.set).start()
    try:
        with pytest.raises(InterruptedRunError):
            watch.until(store, [meta.id], every=True)
        with pytest.raises(InterruptedRunError):
            list(watch.follow(store, meta.id))
    finally:
        STOP.clear()


@pytest.mark.parametrize("end", ["move completed", "die"])
def test_following_gets_each_line_as_it_comes_and_ends_with_the_session(store: Store, end: str) -> None:
    heard: queue.Queue[bytes] = queue.Queue()

    def follow(session_id: str) -> None:
        for data in watch.follow(store, session_id):
            heard.put(data)
        heard.put(b"over")

    with driver(store.root.parent) as other:
        session_id = other.do("create").split()[0]
        other.do("move running")
        threading.Thread(target=follow, args=(session_id,), daemon=True).start()
        for word in ("one", "two", "three", "four"):
            other.do(f"line {word}")
            assert heard.get(timeout=20) == f"{word}\n".encode()
        if end == "die":
            other.kill()
        else:
            other.do(end)
        assert heard.get(timeout=20) == b"over"
    assert list(store.watch_folder(session_id).iterdir()) == []


def test_following_what_has_ended_is_reading_it(store: Store) -> None:
    meta = made(store, "running")
    with store.recording(meta, 1) as keep:
        keep(b"one")
    for turn in (2, 10):
        store.turn_file(meta, turn).write_bytes(b"%d\n" % turn)
    store.move(meta, "completed")
    assert b"".join(watch.follow(store, meta.id)) == b"one\n2\n10\n"


def test_a_reader_that_sleeps_or_has_gone_does_not_hold_up_the_writer(store: Store) -> None:
    meta = made(store, "running")
    folder = store.watch_folder(meta.id)
    folder.mkdir()
    os.mkfifo(folder / "gone")
    os.mkfifo(folder / "asleep")
    handle = os.open(folder / "asleep", os.O_RDWR | os.O_NONBLOCK)
    (folder / "link").symlink_to(meta_file(store, meta))
    before = meta_file(store, meta).read_bytes()
    try:
        for _ in range(3):
            while True:
                try:
                    os.write(handle, b"x" * 4096)
                except BlockingIOError:
                    break
            store.wake(meta.id)
    finally:
        os.close(handle)
    assert meta_file(store, meta).read_bytes() == before


def test_a_place_is_deleted_for_its_own_session_only(store: Store, tmp_path: Path) -> None:
    meta = made(store, "completed")
    folder = tmp_path / "zw-place"
    folder.mkdir(0o700)
    (folder / "repo").mkdir()
    meta = replace(meta, worktree=str(folder / "repo"))
    place.discard(meta)
    place.mark(folder, "somebody")
    place.discard(meta)
    assert folder.is_dir()
    place.mark(folder, meta.id)
    place.discard(meta)
    assert not folder.exists()
    place.discard(replace(meta, worktree=""))


def test_what_was_changed_is_told_while_it_lasts_and_after(store: Store, tmp_path: Path) -> None:
    repo = Repo.make(tmp_path / "repo", {"a.py": "one\n", "gone": "x\n"})
    user, folder = open_repository(repo.path), place.fresh()
    private = PrivateRepository.create(user, place.repository(folder))
    worktree = private.worktree(user.head, folder / "repo")
    meta = store.create(run="", task="", executor="codex", model="", worktree=str(worktree.path), base=user.head)
    place.mark(folder, meta.id)
    assert place.patch(store, meta, user) == b""
    (worktree.path / "a.py").write_text("one\ntwo\n")
    (worktree.path / "blob").write_bytes(b"\0\1")
    (worktree.path / "gone").unlink()
    text = place.patch(store, meta, user)
    assert [(c.path, c.added, c.removed) for c in place.changed(text, user)] == [
        ("a.py", 1, 0),
        ("blob", None, None),
        ("gone", 0, 1),
    ]
    assert len(list(place.repository(folder).glob("index-*"))) <= 1, "each look leaves nothing"
    store.move(store.move(meta, "running"), "completed")
    ending.end(store, meta.id, user, "passed", "")
    assert not folder.exists()
    assert place.patch(store, store.load(meta.id), user) == text
    with pytest.raises(UsageError, match="cannot go on"):
        place.reopen(store.load(meta.id), user)


def test_one_session_of_a_run_is_killed_and_the_run_goes_on(store: Store) -> None:
    meta = store.move(store.create(run="r1", task="t", executor="codex", model=""), "running", turn=1)
    with pytest.raises(UsageError, match="the run r1 does not heed") as deaf:
        watch.kill(store, meta.id)
    assert deaf.value.remedy == f"end all of it: kill -INT {os.getpid()}"

    def halt(reason: str) -> None:
        store.move(meta, "killed", reason=reason)

    with watch.heeding(store, meta.id, halt):
        assert watch.kill(store, meta.id).reason == "killed by a person"
    assert store.load(meta.id).state == "killed"
    assert not (store.folder(meta.id) / "ask").exists()
    with pytest.raises(UsageError, match="nothing to kill"):
        watch.kill(store, meta.id)


def test_a_run_that_heeds_and_does_not_obey_is_said(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_GRACE", 0.1)
    meta = store.create(run="r1", task="t", executor="codex", model="")
    heard: list[str] = []
    with watch.heeding(store, meta.id, heard.append), pytest.raises(UsageError, match=r"did not end within 0\.1 s"):
        watch.kill(store, meta.id)
    assert heard == ["killed by a person"]
    with watch.heeding(store, meta.id, heard.append):
        pass
    assert len(heard) == 1
