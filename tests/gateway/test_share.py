"""One gateway for several processes: each has a channel of its own, and it lives until the last of them is closed."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading

import pytest

from tests.fakemodel import Reply, scenario, serve
from tests.gateway.house import environ, opened, post
from zwarm_ci.errors import UsageError, ZwarmError
from zwarm_ci.gateway.client import Gateway
from zwarm_ci.purse import Limits
from zwarm_ci.task import Usage

USED = Usage(100, 0, 0, 10)


def has_ended(gate: Gateway, seconds: float) -> bool:
    """Whether the gateway's process is gone, at the latest after so many seconds."""
    try:
        handle = os.pidfd_open(gate.pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], seconds)[0])
    finally:
        os.close(handle)


def test_who_shares_it_sees_the_same_counts_and_limits() -> None:
    with serve(scenario(*[Reply("hi", usage=USED)] * 4)) as server:
        first = Gateway.start(environ(server.url))
        early = Gateway(first.share())
        assert (first.serves, early.serves) == (False, False)
        first.serve(Limits(), day_file=None)
        second = Gateway(first.share())
        assert (second.pid, second.providers, second.serves) == (first.pid, first.providers, True)
        with pytest.raises(UsageError, match="serves already"):
            second.serve(Limits(), day_file=None)
        for gate, session in ((first, "s1"), (second, "s2")):
            assert post(opened(gate, session=session), "codex").status == 200
        assert (first.usage("s2").total, second.usage("s1").total) == (USED, USED)
        assert first.totals() == second.totals()
        first.leave()
        assert not has_ended(second, 0.2), "somebody has it still"
        assert second.totals().calls == 2
        early.leave()
        second.leave()
        assert has_ended(first, 30)


def test_questions_of_several_at_once_get_their_own_answers() -> None:
    with serve(scenario(*[Reply("hi", usage=USED)] * 4)) as server:
        gate = Gateway.start(environ(server.url))
        gate.serve(Limits(), day_file=None)
        channels = [Gateway(gate.share()) for _ in range(4)]
        wrong: list[str] = []

        def ask(own: Gateway, name: str) -> None:
            said = [(opened(own, session=name).url, own.usage(name).calls) for _ in range(50)]
            wrong.extend(name for one in said if one != (said[0][0], 0))

        threads = [threading.Thread(target=ask, args=(own, f"s{n}")) for n, own in enumerate(channels)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        for own in channels:
            own.leave()
        gate.close()
        assert has_ended(gate, 0)


def test_a_channel_ends_with_the_process_that_has_it() -> None:
    gate = Gateway.start(environ("http://127.0.0.1:9"))
    channel = gate.share()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(channel,))
    os.close(channel)
    gate.leave()
    assert not has_ended(gate, 0.2)
    child.kill()
    child.wait()
    if child.stdin:
        child.stdin.close()
    assert has_ended(gate, 30)


def test_a_gateway_that_is_gone_cannot_be_shared() -> None:
    gate = Gateway.start(environ("http://127.0.0.1:9"))
    gate.leave()
    with pytest.raises(ZwarmError, match="the gateway is gone"):
        gate.share()
