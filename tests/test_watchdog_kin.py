"""Whose processes are whose: what a guard shows of us, what it finds beside its own descendants, and what is detached from us."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.watched import gone, session
from zwarm_ci import proc, reap
from zwarm_ci.errors import BlockedError

#: Prints the environment of itself, of its parent and of its grandparent, as root may see them.
KIN = """
import json, os
from pathlib import Path
def up(pid): return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
me = os.getpid()
print(json.dumps([Path(f"/proc/{p}/environ").read_bytes().decode(errors="replace") for p in (me, up(me))]))
print(json.dumps(Path(f"/proc/{up(me)}/cmdline").read_bytes().decode()))
"""


def test_nothing_of_our_environment_is_in_the_guards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "hush-hush")
    monkeypatch.setenv("PLAIN", "hush-hush")
    _, lines = session(tmp_path, KIN, env={"PATH": os.environ["PATH"], "ZW_TOKEN": "worth-nothing"})
    (own, guards), command = json.loads(lines[0]), json.loads(lines[1])
    assert "worth-nothing" in own
    assert "reap.py" in command
    assert {entry.partition("=")[0] for entry in guards.split("\0") if entry} <= {proc.TAG, "LD_LIBRARY_PATH"}
    for text in (own, guards, command):
        assert "hush" not in text
    assert "worth-nothing" not in guards + command


#: Starts something through a helper that is not below the guard: only a mark in its environment tells whose it is.
FAR = """
import os, socket, sys, time
wire = socket.socket(socket.AF_UNIX)
wire.connect(sys.argv[1])
wire.sendall(b"go")
print("THREAD", wire.recv(20).decode(), flush=True)
time.sleep(300)
"""


@pytest.mark.parametrize("marked", [True, False])
def test_what_somebody_else_started_for_it_is_found_by_its_mark(tmp_path: Path, *, marked: bool) -> None:
    """As a daemon would: not a descendant, and without our tag. The mark becomes known while the session runs."""
    import socket

    far: list[subprocess.Popen[bytes]] = []
    marks: dict[str, str] = {"CODEX_THREAD_ID": ""}
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "wire"))
        listener.listen()

        def daemon() -> None:
            with listener.accept()[0] as wire:
                wire.recv(2)
                env = {"PATH": os.environ["PATH"], "CODEX_THREAD_ID": "0199-abc"}
                far.append(subprocess.Popen(["sleep", "300"], env=env))
                wire.sendall(str(far[0].pid).encode())

        def hear(line: bytes) -> None:
            if marked:
                marks["CODEX_THREAD_ID"] = "0199-abc"

        thread = threading.Thread(target=daemon)
        thread.start()
        session(tmp_path, FAR, str(tmp_path / "wire"), silence=1, marks=marks, on_line=hear)
        thread.join()
    if marked:
        assert far[0].wait(30) == -signal.SIGINT
    else:
        assert far[0].poll() is None
        far[0].kill()
        far[0].wait()


def test_a_mark_never_finds_those_that_we_descend_from() -> None:
    """A run below a session of the same name: the session is not ended by its own child."""
    code = "import os, sys; from zwarm_ci import reap; print([p for p, _ in reap.tagged('none', {'CLAUDE_CODE_SESSION_ID': 'x-1'})])"
    shell = f'"{sys.executable}" -c "{code}"; true'
    env = {**os.environ, "CLAUDE_CODE_SESSION_ID": "x-1"}
    assert subprocess.run(["sh", "-c", shell], env=env, capture_output=True, text=True, check=True).stdout == "[]\n"
    stranger = subprocess.Popen(["sleep", "300"], env=env)
    try:
        found = [pid for pid, _ in reap.tagged("none", {"CLAUDE_CODE_SESSION_ID": "x-1"})]
        assert found == [stranger.pid]
        assert reap.tagged("none", {"CLAUDE_CODE_SESSION_ID": "x", "OTHER": ""}) == []
    finally:
        stranger.kill()
        stranger.wait()


def test_a_program_that_is_just_being_started_is_found_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who starts it hears of its success before the kernel shows its environment; looked at then, a third had none."""
    env = {"PATH": os.environ["PATH"], proc.TAG: "zw.just.now"}
    for _ in range(100):
        with subprocess.Popen(["sleep", "300"], env=env) as child:
            monkeypatch.setattr(reap, "_pids", lambda pid=child.pid: iter([pid]))
            found = reap.tagged("zw.just.now")
            child.kill()
        assert found, "it was overlooked"


def test_a_number_that_was_reused_is_not_signalled() -> None:
    stranger = subprocess.Popen(["sleep", "300"])
    try:
        left = reap.end_all(iter([[(stranger.pid, "1")], []]).__next__)
        assert left == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize("garbage", [b"", b"{", b"nonsense\n", b"[]\n"])
def test_a_guard_that_hears_nonsense_ends(garbage: bytes) -> None:
    control, status = os.pipe(), os.pipe()
    guard = subprocess.Popen(
        [sys.executable, "-I", "-S", reap.__file__, "guard", str(control[0]), str(status[1])],
        pass_fds=(control[0], status[1]), stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.write(control[1], garbage)
    for descriptor in (*control, status[1]):
        os.close(descriptor)
    assert guard.wait(30) in {0, 1}
    assert os.read(status[0], 100) == b""
    os.close(status[0])


DETACHED = """
import os, sys, time
print(os.environ.get("ZWARM_CI_TAG"), os.environ["ODD"], flush=True)
heard = os.read(int(sys.argv[1]), 9)
print(heard.decode(), flush=True)
os.write(int(sys.argv[2]), heard)
time.sleep(300)
"""
DETACHER = """
import os, sys
from pathlib import Path
from zwarm_ci.proc import detach
started = detach([sys.executable, "-c", *sys.argv[1:]], cwd=Path.cwd(), env={**os.environ, "ODD": "a b"}, log=Path("log"),
    fds=tuple(map(int, sys.argv[2:])))
print(started.pid, started.start, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("how", ["in good order", "killed", "terminal"])
def test_what_is_detached_outlives_us(tmp_path: Path, how: str) -> None:
    (theirs, ours), (ack, back) = os.pipe(), os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", DETACHER, DETACHED, str(theirs), str(back)],
        cwd=tmp_path, env={**os.environ, proc.TAG: "zw.outer"}, pass_fds=(theirs, back), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as starter:  # fmt: skip
        os.close(theirs)
        os.close(back)
        assert starter.stdout
        pid, start = starter.stdout.readline().split()
        if how != "in good order":
            starter.send_signal(signal.SIGKILL if how == "killed" else signal.SIGHUP)
        starter.communicate()
    try:
        os.write(ours, b"word")
        assert os.read(ack, 9) == b"word"
        assert reap.start_time(int(pid)) == start
        assert os.getsid(int(pid)) == int(pid)
        assert proc.tagged("zw.outer") == [], "whoever ends the run that started it does not end it"
        assert (tmp_path / "log").read_text() == "None a b\nword\n"
    finally:
        os.kill(int(pid), signal.SIGKILL)
        os.close(ours)
        os.close(ack)
    assert gone(int(pid))


def test_what_cannot_be_detached_is_said(tmp_path: Path) -> None:
    with pytest.raises(BlockedError, match="no-such-program: not found"):
        proc.detach(["no-such-program"], cwd=tmp_path, env={}, log=tmp_path / "log")
