"""The journal: torn lines, seals, documents, and who makes the run."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from zwarm_ci import journal
from zwarm_ci.journal import Journal

KEY = b"k" * 32


def test_lines_of_several_threads_do_not_mix(tmp_path: Path) -> None:
    written = Journal(tmp_path / "j")
    threads = [
        threading.Thread(target=written.write, args=(f"kind {n}",), kwargs={"text": "x" * 5000}) for n in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(r["kind"] for r in journal.read(tmp_path / "j")) == sorted(f"kind {n}" for n in range(20))


def test_a_torn_line_is_passed_over_and_what_follows_is_not(tmp_path: Path) -> None:
    path = tmp_path / "j"
    first = Journal(path, key=KEY)
    first.write("one")
    first.write("two")
    path.write_bytes(path.read_bytes()[:-20])
    second = Journal(path, key=KEY)
    assert second.hold()
    second.write("three")
    assert [r["kind"] for r in journal.read(path)] == [r["kind"] for r in journal.sealed(path, KEY)] == ["one", "three"]


def test_a_line_that_was_changed_bears_no_seal(tmp_path: Path) -> None:
    path = tmp_path / "j"
    Journal(path, key=KEY).write("one", number=1.25, text="ä\ud800", rows=[("a", None)])
    (record,) = journal.read(path)
    assert [r["kind"] for r in journal.sealed(path, KEY)] == ["one"]
    assert list(journal.sealed(path, b"x" * 32)) == list(journal.sealed(path, b"")) == []
    for changed in (record | {"number": 2}, record | {"more": 1}, record | {"seal": ""}, record | {"seal": 1},
                    {k: v for k, v in record.items() if k != "seal"}):  # fmt: skip
        path.write_text(json.dumps(changed) + "\n")
        assert list(journal.sealed(path, KEY)) == []


def test_a_document_is_what_was_written_or_nothing(tmp_path: Path) -> None:
    written = Journal(tmp_path / "j", key=KEY, documents=tmp_path / "docs")
    written.write("one", document={"a": [1]})
    written.write("two", document={"b": 2})
    one, two = journal.sealed(tmp_path / "j", KEY)
    assert json.loads(journal.document(tmp_path / "docs", one["document"])) == {"a": [1]}
    (tmp_path / "docs" / two["document"][0]).write_text('{"b": 3}')
    with pytest.raises(ValueError, match="was changed"):
        journal.document(tmp_path / "docs", two["document"])
    Journal(tmp_path / "k").write("one", document={"a": 1})
    (plain,) = journal.read(tmp_path / "k")
    assert "document" not in plain


def test_a_run_is_held_until_its_process_dies(tmp_path: Path) -> None:
    path = tmp_path / "j"
    code = f"import sys; from pathlib import Path; from zwarm_ci.journal import Journal; j = Journal(Path({str(path)!r}))\n"
    code += "print(j.hold(), flush=True); sys.stdin.read(1); import os; os.kill(os.getpid(), 9)"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout
    assert child.stdin
    assert child.stdout.readline() == b"True\n"
    assert journal.is_held(path)
    assert not Journal(path).hold()
    child.stdin.write(b"x")
    child.stdin.close()
    child.stdout.close()
    assert child.wait(60) == -9
    assert not journal.is_held(path)
    again = Journal(path)
    assert again.hold()
    assert journal.is_held(path)
    again.release()
    assert not journal.is_held(path)
    assert not journal.is_held(tmp_path / "none")


def test_the_key_is_the_users_own_and_each_run_has_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    first = journal.key_of("a")
    assert len(first) == 32
    assert journal.key_of("a") == first != journal.key_of("b")
    assert oct((tmp_path / "cache/zwarm-ci/seals").stat().st_mode & 0o077) == "0o0"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    assert journal.key_of("a") != first
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert journal.key_of("a") == b""
