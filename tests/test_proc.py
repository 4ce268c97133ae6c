"""Processes end with everything that they started, and waiting is on events."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from zwarm_ci import proc
from zwarm_ci.errors import BlockedError, CommandError, InterruptedRunError
from zwarm_ci.proc import STOP, end_tagged, keep, leaving, run, run_lines, run_logged
from zwarm_ci.scrub import child_env
from zwarm_ci.streams import Capped, LineSink

ESCAPE = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(300)
    os._exit(0)
print("ready", flush=True)
time.sleep(float(sys.argv[1]))
"""


def leftovers() -> list[tuple[int, str]]:
    return proc.tagged(proc._run_tag)


def test_a_result_has_both_streams_and_the_code(tmp_path: Path) -> None:
    done = run(["sh", "-c", "cat; echo err >&2; exit 3"], cwd=tmp_path, stdin=b"in")
    assert (done.code, done.stdout, done.stderr) == (3, b"in", b"err\n")
    assert not done.ok


def test_a_failed_command_is_the_bug_report(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"`sh -c echo why >&2; exit 4` in .* ended with 4: why"):
        run(["sh", "-c", "echo why >&2; exit 4"], cwd=tmp_path, check=True)


def test_a_missing_program_is_the_environments_fault(tmp_path: Path) -> None:
    with pytest.raises(BlockedError, match="no-such-program: not found"):
        run(["no-such-program"], cwd=tmp_path)


@pytest.mark.parametrize("seconds", ["300", "0"])
def test_what_leaves_the_group_and_ignores_term_is_ended_too(tmp_path: Path, seconds: str) -> None:
    done = run([sys.executable, "-c", ESCAPE, seconds], cwd=tmp_path, timeout=1)
    assert done.timed_out == (seconds == "300")
    assert leftovers() == []


def test_a_grandchild_that_holds_the_pipe_does_not_hold_us(tmp_path: Path) -> None:
    started = time.monotonic()
    done = run(
        [sys.executable, "-c", "import os,time\nif os.fork()==0:\n os.setsid(); time.sleep(60)\nprint('x')"],
        cwd=tmp_path,
    )
    assert done.stdout == b"x\n"
    assert time.monotonic() - started < 30
    assert leftovers() == []


def test_a_stop_ends_every_wait_in_every_thread(tmp_path: Path) -> None:
    errors: list[BaseException] = []

    def wait() -> None:
        try:
            run(["sleep", "300"], cwd=tmp_path)
        except InterruptedRunError as error:
            errors.append(error)

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    STOP.set(signal.SIGTERM)
    for thread in threads:
        thread.join(30)
    assert [e.code for e in errors if isinstance(e, InterruptedRunError)] == [143, 143, 143]
    assert leftovers() == []
    with pytest.raises(InterruptedRunError):
        run(["true"], cwd=tmp_path)


def test_silence_ends_a_session_and_its_last_half_line_is_kept(tmp_path: Path) -> None:
    lines: list[bytes] = []
    done = run_lines(
        ["sh", "-c", "echo one; printf half; sleep 300"],
        cwd=tmp_path,
        env=child_env(),
        timeout=60,
        silence=0.5,
        on_line=lines.append,
    )
    assert done.silent
    assert done.code is None
    assert lines == [b"one", b"half"]


def test_a_session_reads_its_order_from_standard_input(tmp_path: Path) -> None:
    seen: list[bytes] = []
    done = run_lines(
        ["sh", "-c", "read line; echo got $line"],
        cwd=tmp_path,
        env=child_env(),
        timeout=60,
        silence=60,
        stdin=b"hello\n",
        on_line=seen.append,
    )
    assert done.ok
    assert seen == [b"got hello"]


@pytest.mark.parametrize("size", [10, 65536, 70000, 3_000_000])
def test_lines_of_any_length(size: int) -> None:
    lines: list[bytes] = []
    sink = LineSink(lines.append)
    data = b"a" * size + b"\n" + b"\0\xff\xfe" + b"\n" + b"end"
    for at in range(0, len(data), 4096):
        sink(data[at : at + 4096])
    sink.close()
    assert [len(x) for x in lines] == [size, 3, 3]


def test_a_cap_keeps_head_and_tail_and_counts_the_rest() -> None:
    sink = Capped(4, 3)
    for part in (b"01234", b"56", b"789"):
        sink(part)
    assert sink.value() == b"0123789"
    assert sink.dropped == 3


def test_a_log_is_whole_up_to_its_limit(tmp_path: Path) -> None:
    log = tmp_path / "log"
    done = run_logged(
        ["sh", "-c", "yes abcdefg | head -c 100000; echo end >&2"],
        cwd=tmp_path,
        env=child_env(),
        timeout=60,
        log=log,
        limit=50_000,
    )
    assert done.code == 0
    assert done.stdout.endswith(b"end\n")
    text = log.read_bytes()
    assert text.startswith(b"abcdefg\n")
    assert b"[log cut: 50004 more bytes were printed]" in text


def test_children_get_the_allow_list_and_no_git_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/elsewhere")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_x")
    printed = run(["env"], cwd=tmp_path).stdout.decode()
    names = {line.partition("=")[0] for line in printed.splitlines()}
    assert not names & {"GIT_DIR", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN"}
    assert {"PATH", "HOME", proc.TAG} <= names


def test_only_our_own_are_found(tmp_path: Path) -> None:
    stranger = subprocess.Popen(["sleep", "30"], env={**os.environ, proc.TAG: "zw.other"})
    try:
        run(["true"], cwd=tmp_path)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


#: A session of its own, an empty environment, and deaf: nothing marks it as ours, and only KILL ends it.
STRAY = "env -i setsid sh -c 'trap \"\" INT TERM; echo $$; while :; do sleep 60; done' &"


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] not in "ZX"


def test_what_a_command_leaves_stays_until_its_tag_is_ended(tmp_path: Path) -> None:
    started = time.monotonic()
    with leaving() as tag:
        # The stray holds both streams: a pipe of ours would be waited for, and then break under it.
        done = run(["sh", "-c", f"{STRAY} read line || echo no input >&2; sleep 0.2; exit 3"], cwd=tmp_path, leave=tag)
        assert time.monotonic() - started < 15
        assert (done.code, done.stderr) == (3, b"no input\n")
        stray = int(done.stdout)
        assert run(["true"], cwd=tmp_path, leave=tag).ok
        assert alive(stray)
        assert stray not in [pid for pid, _ in leftovers()], "its environment does not name us"
    assert not alive(stray)
    assert leftovers() == []


def test_one_tags_end_is_not_anothers(tmp_path: Path) -> None:
    with leaving() as mine, leaving() as yours:
        a = keep(["sleep", "300"], cwd=tmp_path, tag=mine, log=tmp_path / "log")
        b = keep(["sleep", "300"], cwd=tmp_path, tag=yours, log=tmp_path / "log")
        end_tagged(mine)
        assert (a.wait(), b.wait(0.05)) == (-signal.SIGINT, None)
    assert b.wait() == -signal.SIGINT


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", -9)])
def test_a_kept_command_says_how_it_ended(tmp_path: Path, script: str, code: int) -> None:
    with leaving() as tag:
        kept = keep(["sh", "-c", f"echo out; echo err >&2; {script}"], cwd=tmp_path, tag=tag, log=tmp_path / "log")
        assert kept.wait(30) == code
        assert kept.wait(0) == code
    assert (tmp_path / "log").read_text() == "out\nerr\n"


def test_a_kept_command_is_what_it_is_without_a_keeper(tmp_path: Path) -> None:
    look = ["sh", "-c", "env | sort; grep -E '^(Sig(Ign|Blk|Cgt)|Cap)' /proc/self/status; ls -l /proc/self/fd | wc -l"]
    env = {"PATH": os.environ["PATH"], "ODD": "a=b"}
    with leaving() as tag:
        kept = run(look, cwd=tmp_path, env=env, leave=tag)
    bare = run(look, cwd=tmp_path, env=env)
    assert len(kept.stdout.splitlines()) > 10
    assert [line for line in kept.stdout.splitlines() if b"TAG=" not in line] == [
        line for line in bare.stdout.splitlines() if b"TAG=" not in line
    ]


def test_a_starter_that_takes_too_long_is_ended_with_what_it_left(tmp_path: Path) -> None:
    with leaving() as tag:
        done = run(["sh", "-c", f"{STRAY} exec sleep 300"], cwd=tmp_path, leave=tag, timeout=1)
        assert (done.timed_out, done.code) == (True, None)
        assert not alive(int(done.stdout))


def test_a_program_that_cannot_be_kept_is_the_environments_fault(tmp_path: Path) -> None:
    with leaving() as tag:
        with pytest.raises(BlockedError, match="no-such-program: not found"):
            run(["no-such-program"], cwd=tmp_path, leave=tag)
        with pytest.raises(BlockedError, match="may not be run"):
            run([str(tmp_path)], cwd=tmp_path, leave=tag)
        with pytest.raises(BlockedError, match="no-folder: this folder is gone"):
            run(["true"], cwd=tmp_path / "no-folder", leave=tag)
        late = keep(["no-such-program"], cwd=tmp_path, tag=tag, log=tmp_path / "log")
        late._keeper.wait()
        with pytest.raises(BlockedError, match="no-such-program: not found"):
            late.wait()
    assert leftovers() == []


def test_a_stop_ends_what_was_left(tmp_path: Path) -> None:
    kept = []

    def serve() -> None:
        with leaving() as tag:
            kept.append(keep(["sleep", "300"], cwd=tmp_path, tag=tag, log=tmp_path / "log"))
            threading.Timer(0.2, STOP.set).start()
            run(["sleep", "300"], cwd=tmp_path, leave=tag)

    with pytest.raises(InterruptedRunError):
        serve()
    assert kept[0].pids() == []
    assert leftovers() == []
    with pytest.raises(InterruptedRunError), leaving() as tag:
        run(["true"], cwd=tmp_path, leave=tag)


def test_a_killed_keeper_still_leaves_nothing_that_carries_the_tag(tmp_path: Path) -> None:
    with leaving() as tag:
        kept = keep(
            ["sh", "-c", "trap '' INT TERM; sleep 300 & sleep 300"], cwd=tmp_path, tag=tag, log=tmp_path / "log"
        )
        assert kept.wait(0.3) is None
        below = kept.pids()
        os.kill(kept._keeper.pid, signal.SIGKILL)
        assert kept.wait(30) == -signal.SIGKILL
        assert any(alive(pid) for pid in below)
        kept.end()
        assert not any(alive(pid) for pid in below)


def test_whatever_else_carries_the_tag_is_ended_too(tmp_path: Path) -> None:
    with leaving() as tag:
        child = subprocess.Popen(["sleep", "300"], env={**os.environ, proc.TAG: f"{tag}.9"})
    assert child.wait(30) == -signal.SIGINT


def test_a_service_that_signals_its_group_does_not_end_its_keeper(tmp_path: Path) -> None:
    with leaving() as tag:
        argv = ["sh", "-c", "trap '' TERM; kill -TERM 0; exec sleep 300"]
        assert keep(argv, cwd=tmp_path, tag=tag, log=tmp_path / "log").wait(1) is None


def test_ending_from_another_thread_wakes_who_waits(tmp_path: Path) -> None:
    with leaving() as tag:
        kept = keep(["sleep", "300"], cwd=tmp_path, tag=tag, log=tmp_path / "log")
        timer = threading.Timer(0.2, kept.end)
        timer.start()
        assert kept.wait(60) == -signal.SIGINT
        timer.join()


def test_a_zombie_is_nobody_to_wait_for(tmp_path: Path) -> None:
    """A child that its parent never waits for cannot be ended; it is dead already."""
    code = "import os, time\nif not os.fork(): os._exit(0)\nprint('ready', flush=True)\ntime.sleep(300)"
    with leaving() as tag:
        kept = keep([sys.executable, "-S", "-c", code], cwd=tmp_path, tag=tag, log=tmp_path / "log")
        assert kept.wait(0.5) is None
        assert (tmp_path / "log").read_text() == "ready\n"
        assert len(kept.pids()) == 1
