"""Processes end with everything that they started, and waiting is on events."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from zwarm_ci import proc
from zwarm_ci.errors import BlockedError, CommandError, InterruptedRunError
from zwarm_ci.proc import STOP, run, run_lines, run_logged
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


@pytest.fixture
def _lowered() -> Iterator[None]:
    yield
    STOP.clear()


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


@pytest.mark.usefixtures("_lowered")
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
