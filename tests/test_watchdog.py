"""A session below its guard: whatever it started is gone with it, at each limit, and when we are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.watched import WILD, alive, descriptors, gone, leftovers, session
from zwarm_ci import reap
from zwarm_ci.errors import BlockedError, InterruptedRunError
from zwarm_ci.proc import STOP, Exit, Halt, run, run_lines
from zwarm_ci.scrub import child_env


def test_a_session_is_what_it_is_without_a_guard(tmp_path: Path) -> None:
    look = "env | sort; grep -E '^(Sig(Ign|Blk|Cgt)|Cap)' /proc/self/status; ls -l /proc/self/fd | wc -l; cat; echo err >&2; exit 3"
    env = {"PATH": os.environ["PATH"], "ODD": "a=b\udcff", "EMPTY": ""}
    lines: list[bytes] = []
    done = run_lines(
        ["sh", "-c", look], cwd=tmp_path, env=env, timeout=60, silence=60, on_line=lines.append, stdin=b"prompt", supervised=True
    )  # fmt: skip
    bare = run(["sh", "-c", look], cwd=tmp_path, env=env, stdin=b"prompt")
    assert (done.code, done.stderr, done.ok) == (3, b"err\n", False)
    assert len(lines) > 10
    assert [x for x in lines if b"TAG=" not in x] == [x for x in bare.stdout.split(b"\n") if b"TAG=" not in x]
    assert lines[-1] == b"prompt", "its input came, and ended"
    assert leftovers() == []


@pytest.mark.parametrize("size", [0, 65537, 3_000_000])
def test_a_prompt_of_any_size_is_read_to_its_end(tmp_path: Path, size: int) -> None:
    code = "import sys; print(len(sys.stdin.buffer.read()))"
    done, lines = session(tmp_path, code, stdin=b"x" * size)
    assert (done.ok, lines) == (True, [str(size).encode()])


def test_a_prompt_that_nobody_reads_holds_nothing_up(tmp_path: Path) -> None:
    done, lines = session(tmp_path, "print(1)", stdin=b"x" * 3_000_000)
    assert (done.ok, lines) == (True, [b"1"])


@pytest.mark.parametrize("by", ["timeout", "silence", "halt", "exit", "crash"])
def test_whatever_ends_a_session_nothing_of_it_is_left(tmp_path: Path, by: str) -> None:
    ends = {"exit": "os._exit(7)", "crash": "os.kill(os.getpid(), 9)"}
    halt = Halt()
    options: dict[str, object] = {"timeout": {"timeout": 1}, "silence": {"silence": 1}}.get(by, {})  # type: ignore[assignment]
    pids: list[int] = []

    def hear(line: bytes) -> None:
        pids.extend(map(int, line.split()))
        if by == "halt":
            halt.set("enough")

    done, _ = session(tmp_path, WILD + ends.get(by, "time.sleep(300)"), halt=halt, on_line=hear, **options)
    assert (done.timed_out, done.silent, done.halted) == (
        by == "timeout", by == "silence", "enough" if by == "halt" else "",
    )  # fmt: skip
    assert done.code == {"exit": 7, "crash": -9}.get(by)
    assert len(pids) == 2
    assert not any(map(alive, pids))
    assert leftovers() == []


def test_a_session_that_ends_by_itself_is_not_timed_out_while_its_strays_are_ended(tmp_path: Path) -> None:
    done, _ = session(tmp_path, WILD + "os._exit(0)", timeout=2.5, silence=2.5)
    assert done.ok
    assert done.seconds > 2.5, "its stray took longer to end than the limit: the test says nothing else"


def test_a_stop_ends_all_sessions_at_once(tmp_path: Path) -> None:
    pids: list[int] = []
    errors: list[str] = []
    ready = threading.Barrier(4)

    def hear(line: bytes) -> None:
        pids.extend(map(int, line.split()))
        ready.wait(30)

    def work() -> None:
        try:
            session(tmp_path, WILD + "time.sleep(300)", on_line=hear)
        except InterruptedRunError as error:
            errors.append(error.message)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    ready.wait(30)
    STOP.set(signal.SIGTERM)
    for thread in threads:
        thread.join(40)  # less than their own limits
    assert not any(thread.is_alive() for thread in threads)
    assert errors == ["interrupted by SIGTERM"] * 3
    assert len(pids) == 6
    assert not any(map(alive, pids))
    with pytest.raises(InterruptedRunError):
        session(tmp_path, "print(1)")


POLITE = """
import signal, sys, time
def last(signum, frame):
    print("saved", signum, flush=True)
    sys.exit(0)
signal.signal(signal.SIGINT, last)
signal.signal(signal.SIGTERM, last)
print("ready", flush=True)
time.sleep(300)
"""


def test_a_session_may_save_its_state_and_is_heard(tmp_path: Path) -> None:
    done, lines = session(tmp_path, POLITE, silence=1)
    assert lines == [b"ready", b"saved 2"]
    assert (done.silent, done.code) == (True, None)


def test_one_that_ignores_int_gets_term(tmp_path: Path) -> None:
    done, lines = session(tmp_path, POLITE.replace("SIGINT, last", "SIGINT, signal.SIG_IGN"), silence=1)
    assert lines == [b"ready", b"saved 15"]
    assert done.silent


def test_one_that_prints_without_end_is_ended(tmp_path: Path) -> None:
    count = 0

    def hear(line: bytes) -> None:
        nonlocal count
        count += 1

    code = "import signal\nfor n in (2, 15): signal.signal(n, signal.SIG_IGN)\nwhile 1: print('x' * 9999)"
    done, _ = session(tmp_path, code, timeout=1, on_line=hear)
    assert done.timed_out
    assert count > 100
    assert leftovers() == []


def test_a_stray_that_prints_without_end_does_not_hold_an_unguarded_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zwarm_ci import pump

    monkeypatch.setattr(pump, "_FLOOD", 1.0)
    code = """
import os
reader, writer = os.pipe()
if not os.fork():
    os.setsid()
    os.write(writer, b"x")
    while True:
        os.write(1, b"x\\n" * 30000)
os.read(reader, 1)
"""
    heard: list[bytes] = []
    done = run_lines(
        [sys.executable, "-c", code], cwd=tmp_path, env=child_env(), timeout=60, silence=60, on_line=heard.append
    )
    assert done.ok
    assert len(heard) > 30000
    assert leftovers() == []


def test_a_halt_comes_before_during_and_after(tmp_path: Path) -> None:
    early = Halt()
    early.set("first")
    early.set("second")
    done, _ = session(tmp_path, "import time; time.sleep(300)", halt=early)
    assert (done.halted, done.code, done.ok) == ("first", None, False)
    late = Halt()
    done, _ = session(tmp_path, "print(1)", halt=late)
    late.set("too late")
    assert (done.halted, done.ok) == ("", True)
    with pytest.raises(ValueError, match="a reason"):
        Halt().set("")


def test_a_halt_ends_an_unguarded_one_too(tmp_path: Path) -> None:
    halt = Halt()
    done = run_lines(
        ["sh", "-c", "echo x; sleep 300"], cwd=tmp_path, env=child_env(), timeout=60, silence=60,
        on_line=lambda _: halt.set("enough"), halt=halt,
    )  # fmt: skip
    assert (done.halted, done.code) == ("enough", None)


def test_one_halt_ends_its_own_session_only(tmp_path: Path) -> None:
    halt, others = Halt(), Halt()
    threading.Timer(0.5, halt.set, ["enough"]).start()
    results: list[Exit] = []
    code = "import time; time.sleep(float(__import__('sys').argv[1]))"
    threads = [
        threading.Thread(target=lambda h=h, s=s: results.append(session(tmp_path, code, s, halt=h)[0]))
        for h, s in ((halt, "300"), (others, "3"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted((r.halted, r.ok) for r in results) == [("", True), ("enough", False)]


@pytest.mark.parametrize(("argv", "said"), [("no-such-program", "not found"), ("/", "may not be run")])
def test_what_cannot_be_started_is_the_environments_fault(tmp_path: Path, argv: str, said: str) -> None:
    options = {"env": child_env(), "timeout": 60.0, "silence": 60.0, "on_line": print, "supervised": True}
    with pytest.raises(BlockedError, match=said):
        run_lines([argv], cwd=tmp_path, **options)  # type: ignore[arg-type]
    with pytest.raises(BlockedError, match="no-folder: this folder is gone"):
        run_lines(["true"], cwd=tmp_path / "no-folder", **options)  # type: ignore[arg-type]
    assert leftovers() == []


def test_no_descriptor_of_ours_stays_open(tmp_path: Path) -> None:
    halt = Halt()
    session(tmp_path, "print(1)", halt=halt)
    before = descriptors()
    for code in ("print(1)", "import os; os._exit(3)"):
        session(tmp_path, code, halt=halt)
    with pytest.raises(BlockedError):
        run_lines(["nothing"], cwd=tmp_path, env={}, timeout=9, silence=9, on_line=print, supervised=True)
    assert descriptors() == before


#: A run of its own: one guarded session, its pids printed; then it waits to be killed.
ORCHESTRATOR = """
import sys
from pathlib import Path
from zwarm_ci.proc import run_lines
from zwarm_ci.scrub import child_env
run_lines([sys.executable, "-c", sys.argv[1]], cwd=Path.cwd(), env=child_env(), timeout=300, silence=300,
    on_line=lambda line: print(line.decode(), flush=True), supervised=True, marks=dict(m.split("=") for m in sys.argv[2:]))
"""


def test_nothing_survives_when_we_are_killed(tmp_path: Path) -> None:
    """What somebody else started for it neither: the mark in its environment is all that tells."""
    far = subprocess.Popen(["sleep", "300"], env={"PATH": os.environ["PATH"], "CODEX_THREAD_ID": "0199-killed"})
    ours = subprocess.Popen(
        [sys.executable, "-c", ORCHESTRATOR, WILD + "time.sleep(300)", "CODEX_THREAD_ID=0199-killed"],
        cwd=tmp_path, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert ours.stdout
    pids = [int(pid) for pid in ours.stdout.readline().split()]
    guards = [pid for pid, _ in reap.descendants(ours.pid) if pid not in pids]
    assert len(pids) == 2
    assert len(guards) == 1
    assert all(map(alive, pids))
    ours.kill()
    ours.communicate()
    assert gone(*pids, *guards)
    assert far.wait(30) in {-signal.SIGINT, -signal.SIGTERM}


def test_a_killed_guard_takes_its_session_with_it(tmp_path: Path) -> None:
    """What carries our tag is still found; the session itself dies with its guard."""
    pids: list[int] = []

    def hear(line: bytes) -> None:
        pids.extend(map(int, line.split()))
        os.kill(int(Path(f"/proc/{pids[0]}/stat").read_text().rpartition(")")[2].split()[1]), signal.SIGKILL)

    code = """
import os, subprocess, sys, time
stray = subprocess.Popen(["sleep", "300"], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(os.getpid(), stray.pid, flush=True)
time.sleep(300)
"""
    done, _ = session(tmp_path, code, on_line=hear)
    assert (done.code, done.ok) == (None, False)
    assert gone(*pids)
    assert leftovers() == []


def test_a_session_ends_although_both_were_killed(tmp_path: Path) -> None:
    """Nobody is left to end it: the kernel does."""
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(300)"
    with subprocess.Popen(
        [sys.executable, "-c", ORCHESTRATOR, code], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as ours:
        assert ours.stdout
        pid = int(ours.stdout.readline())
        (guard,) = (found for found, _ in reap.descendants(ours.pid) if found != pid)
        os.kill(guard, signal.SIGSTOP)
        ours.kill()
    assert alive(pid)
    os.kill(guard, signal.SIGKILL)
    assert gone(pid)


def test_waiting_costs_next_to_nothing(tmp_path: Path) -> None:
    """Four sessions that say something now and then: the process that waits for them is asleep."""
    code = "import time\nfor n in range(20):\n print(n, flush=True)\n time.sleep(0.1)"
    used = os.times()
    started = time.monotonic()
    threads = [threading.Thread(target=session, args=(tmp_path, code)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    now = os.times()
    busy = (now.user - used.user + now.system - used.system) / (time.monotonic() - started)
    assert busy < 0.25, "bench/overhead.py judges the real figure; a loop that polls takes a whole core"
