"""Contracts over sessions: however a turn ends, it ends in time, with the right state, and nothing of it is alive."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

from tests.conformance.stage import Scene, Stage, alive
from tests.fakemodel import Cut, Gate, Reply, Shell, Stall, Status, refusing
from zwarm_ci import proc
from zwarm_ci.errors import InterruptedRunError
from zwarm_ci.executors.base import Report, Trouble
from zwarm_ci.task import Endpoint, Usage

USAGE = Usage(500, 400, 100, 50, 10)
NEVER = Reply("never", fault=Stall(), times=-1)
_ENDS = 90.0  # seconds: more than every retry of a command line takes together, less than the turn's own limit


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """What is inside takes no longer."""
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


def stubborn(mark: str) -> Shell:
    """A command that leaves a grandchild which ignores TERM in a session of its own, and waits for ever itself."""
    code = (
        "import os,signal;"
        "[signal.signal(s, signal.SIG_IGN) for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)];"
        "os.setsid() if os.fork() == 0 else os._exit(0);"
        "os.fork() and os._exit(0);"
        "open('grandchild', 'w').close();"
        "[signal.pause() for _ in iter(int, 1)]"
    )
    return Shell(f'{sys.executable} -IS -c "{code}" {mark}; exec tail -f /dev/null', _ENDS)


def _fault(stage: Stage, fault: Status | Cut | Stall, *, calls: int = 1) -> tuple[Scene, Report]:
    """A turn whose second call (`calls` good ones before it) meets the fault, again and again."""
    replies = [*(Reply("", [Shell("ls")], usage=USAGE) for _ in range(calls)), Reply("never", fault=fault, times=-1)]
    with stage.scene(*replies) as scene, within(_ENDS):
        return scene, scene.turn(silence=stage.patience)


def _ends(stage: Stage, fault: Status | Cut, trouble: Trouble) -> Report:
    scene, report = _fault(stage, fault)
    assert (report.state, report.trouble) == ("failed", trouble), report
    assert report.usage.cache_read_tokens == USAGE.cache_read_tokens, "what was paid is lost"
    assert report.usage == scene.billed[0] or report.lower_bound
    assert report.message
    return report


def a_refused_request_is_a_failure_in_the_providers_words(stage: Stage) -> None:
    report = _ends(stage, Status(400, message="the moon is in the wrong house"), "")
    assert "wrong house" in report.message


def our_own_denial_ends_the_turn_at_once(stage: Stage) -> None:
    text = "zwarm-ci: the task's limit of $3.00 is reached"
    scene, report = _fault(stage, Status(400, message=text))
    assert (report.state, report.trouble) == ("failed", "budget"), report
    assert text in report.message
    assert report.usage == scene.billed[0]
    if stage.live:
        assert len(scene.server.turns) == 2, "it was tried again"


def an_error_that_is_retried_is_not_the_end(stage: Stage) -> None:
    replies = (Reply("", [Shell("ls")], fault=Status(500)), Reply("done", fault=Status(429, retry_after=1)))
    with stage.scene(*replies) as scene:
        report = scene.turn()
        assert (report.state, report.message, report.trouble) == ("completed", "done", "")
        assert report.usage == scene.billed[0]


def a_rate_limit_with_a_time_to_wait(stage: Stage) -> None:
    _ends(stage, Status(429, retry_after=1), "rate_limit")


def a_rate_limit_without_a_time_to_wait(stage: Stage) -> None:
    _ends(stage, Status(429), "rate_limit")


def an_outage(stage: Stage) -> None:
    _ends(stage, Status(500), "outage")


def a_key_that_is_refused(stage: Stage) -> None:
    _ends(stage, Status(401, message="invalid x-api-key"), "credentials")


def a_stream_that_is_cut_every_time(stage: Stage) -> None:
    scene, report = _fault(stage, Cut(2))
    # Claude asks for one document where a stream was cut, and gets it.
    assert (report.state, report.trouble) in {("failed", "outage"), ("completed", "")}, report
    assert report.usage == scene.billed[0] or report.lower_bound


def a_stream_that_is_cut_once_is_asked_for_again(stage: Stage) -> None:
    with stage.scene(Reply("done", usage=USAGE, fault=Cut(2))) as scene:
        report = scene.turn()
        assert (report.state, report.message) == ("completed", "done")
        assert report.usage.cache_read_tokens >= USAGE.cache_read_tokens


def a_stall_before_the_headers(stage: Stage) -> None:
    _stalls(stage, Stall())


def a_stall_in_the_stream(stage: Stage) -> None:
    _stalls(stage, Stall(2))


def _stalls(stage: Stage, stall: Stall) -> None:
    scene, report = _fault(stage, stall)
    assert (report.state, report.trouble) in {("timed_out", ""), ("timed_out", "outage"), ("failed", "outage")}, report
    assert report.usage == scene.billed[0] or report.lower_bound
    assert report.usage.cache_read_tokens == USAGE.cache_read_tokens, "what was paid is lost"


def a_connection_that_is_refused(stage: Stage) -> None:
    with stage.scene(Reply("never")) as scene, refusing() as url, within(_ENDS):
        scene.order = replace(scene.order, endpoint=Endpoint(url, "zw-token"))
        report = scene.turn(silence=60.0)
        assert (report.state, report.trouble) in {("failed", "outage"), ("timed_out", "outage")}, report
        assert report.usage == Usage()


def the_time_limit_leaves_nothing_alive(stage: Stage) -> None:
    mark = f"{stage.place}/time"
    with stage.scene(Reply("", [stubborn(mark)], usage=USAGE), NEVER) as scene, within(stage.patience + 25):
        report = scene.turn(timeout=stage.patience)
        assert report.state == "timed_out", report
        assert (scene.worktree / "grandchild").exists(), "it never came so far"
        assert not alive(mark)
        assert report.lower_bound or report.usage == scene.billed[0]


def the_limit_on_silence_leaves_nothing_alive(stage: Stage) -> None:
    mark = f"{stage.place}/silence"
    with stage.scene(Reply("", [stubborn(mark)], usage=USAGE), NEVER) as scene, within(stage.patience + 35):
        report = scene.turn(silence=stage.patience / 2)
        assert report.state == "timed_out", report
        assert "no event" in report.message
        assert (scene.worktree / "grandchild").exists(), "it never came so far"
        assert not alive(mark)


def a_stop_leaves_nothing_alive(stage: Stage) -> None:
    mark = f"{stage.place}/stop"
    with stage.scene(Reply("I begin", [stubborn(mark)]), NEVER) as scene:
        came = threading.Event()

        def stop() -> None:
            came.wait(60)
            proc.STOP.set()

        threading.Thread(target=stop, daemon=True).start()
        try:
            with contextlib.suppress(InterruptedRunError), within(60):
                report = scene.turn(heard=lambda line: came.set() if b"tail -f" in line else None)
                assert report.state == "interrupted", report
        finally:
            proc.STOP.clear()
        assert came.is_set()
        assert not alive(mark)


def a_conversation_goes_on_after_its_limit(stage: Stage) -> None:
    replies = (Reply("I begin", [Shell("exec tail -f /dev/null", _ENDS)], usage=USAGE), Reply("after all", usage=USAGE))
    with stage.scene(*replies) as scene:
        first = scene.turn(timeout=stage.patience)
        assert first.state == "timed_out"
        assert first.native
        second = scene.turn("go on")
        assert (second.state, second.message, second.native) == ("completed", "after all", first.native)
        counted = first.usage + second.usage
        billed = scene.billed[0] + scene.billed[1]
        assert counted == billed or (counted.total < billed.total and first.lower_bound)


def a_signal_from_elsewhere_is_no_success(stage: Stage) -> None:
    with stage.scene(Reply("never said", hold=Gate())) as scene:
        report = scene.signalled_turn(signal.SIGINT)
        assert report.state != "completed", report
        assert report.message


def _program(stage: Stage, body: str) -> Report:
    """A turn of a program that is no real one."""
    head = "import os, sys\nif '--version' in sys.argv:\n    print('0.0.0')\n    sys.exit()\nsys.stdin.buffer.read()\n"
    stage.use(stage.script("program", head + body))
    with stage.scene(name="no recording") as scene:
        return scene.turn(timeout=30.0)


def an_end_without_a_result_is_a_failure(stage: Stage) -> None:
    report = _program(stage, "")
    assert report.state == "failed"
    assert report.message


def a_crash_without_output_shows_the_end_of_its_errors(stage: Stage) -> None:
    body = "sys.stderr.write('x' * 100000 + '\\nlibssl.so.3: cannot open shared object file\\n')\nsys.exit(127)\n"
    report = _program(stage, body)
    assert report.state == "failed"
    assert "libssl.so.3: cannot open shared object file" in report.message
    assert len(report.message) < 5000


def garbage_is_survived(stage: Stage) -> None:
    lines = b'\\xff\\xfe\\n\\0\\n[]\\nnull\\n{"type": "thread.started"}\\n{"type": []}\\n{"half a line'
    report = _program(stage, f"sys.stdout.buffer.write(b'{lines.decode()}')\n")
    assert report.state == "failed"


def a_kill_from_elsewhere_is_a_failure(stage: Stage) -> None:
    report = _program(stage, 'print(\'{"type":"turn.started"}\', flush=True)\nos.kill(os.getpid(), 9)\n')
    assert report.state in {"failed", "killed"}
    assert report.message


ENDS = (
    a_refused_request_is_a_failure_in_the_providers_words,
    our_own_denial_ends_the_turn_at_once,
    an_error_that_is_retried_is_not_the_end,
    a_rate_limit_with_a_time_to_wait,
    a_rate_limit_without_a_time_to_wait,
    an_outage,
    a_key_that_is_refused,
    a_stream_that_is_cut_every_time,
    a_stream_that_is_cut_once_is_asked_for_again,
    a_stall_before_the_headers,
    a_stall_in_the_stream,
    a_connection_that_is_refused,
    the_time_limit_leaves_nothing_alive,
    the_limit_on_silence_leaves_nothing_alive,
    a_stop_leaves_nothing_alive,
    a_conversation_goes_on_after_its_limit,
    a_signal_from_elsewhere_is_no_success,
    an_end_without_a_result_is_a_failure,
    a_crash_without_output_shows_the_end_of_its_errors,
    garbage_is_survived,
    a_kill_from_elsewhere_is_a_failure,
)
#: Those that are played by a program of the contract's own; there is nothing to record.
OWN_PROGRAM = frozenset(contract.__name__ for contract in ENDS[-4:])
