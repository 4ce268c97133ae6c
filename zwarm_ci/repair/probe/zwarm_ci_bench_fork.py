"""Does a piece of work in a child process with a limit on its time, and ends what the child started."""

from __future__ import annotations

import json
import os
import select
import signal
import time
from typing import Any, Callable, Tuple


def forked(work: Callable[[], Any], cpu: float, wall: float) -> Tuple[Any, float]:
    """What `work()` returned, through JSON, and the seconds of CPU it took; None where it hung or died.

    It is ended after `cpu` seconds of its own time, which no load of the machine distorts, or after `wall` seconds, as it may sleep.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(reader)
            os.setpgid(0, 0)
            signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_VIRTUAL, cpu)
            value = json.dumps(work()).encode()
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            while value:
                value = value[os.write(writer, value) :]
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    said = _read(reader, time.monotonic() + wall)
    for end in (os.killpg, os.kill):
        try:
            end(pid, signal.SIGKILL)
        except OSError:
            pass
    usage = os.wait4(pid, 0)[2]
    try:
        return json.loads(said), usage.ru_utime + usage.ru_stime
    except ValueError:
        return None, usage.ru_utime + usage.ru_stime


def _read(reader: int, until: float) -> bytes:
    said = b""
    while True:
        left = until - time.monotonic()
        if left <= 0 or not select.select([reader], [], [], left)[0]:
            break
        data = os.read(reader, 1 << 16)
        if not data:
            break
        said += data
    os.close(reader)
    return said
