"""The gateway's process: closes itself to other processes first, is then given the keys, and serves until its owner is gone.

Started by `keys.launch` as a script, isolated and with an environment of two names. Nothing is imported before the door is shut.
"""

from __future__ import annotations

import json
import os
import sys

_PR_SET_DUMPABLE = 4  # prctl(2)


def harden() -> None:
    """Take away from all but root: /proc/PID/{environ,mem,fd,maps}, ptrace, core files (prctl(2), proc(5)).

    Raises:
        OSError: the kernel refused; then no key may be read.
    """
    import ctypes
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_DUMPABLE)")


def _line(channel: int, rest: bytes) -> tuple[bytes, bytes]:
    """The next line on a socket and what came after it; an empty line at its end."""
    while b"\n" not in rest:
        data = os.read(channel, 1 << 16)
        if not data:
            return b"", b""
        rest += data
    line, _, rest = rest.partition(b"\n")
    return line, rest


def main(channel: int) -> int:
    """Serve the owner at the other end of the socket `channel`."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run decides when calls end; its end ends us
    harden()
    os.set_inheritable(channel, False)  # noqa: FBT003 - positional only
    os.write(channel, b"r")
    said, rest = _line(channel, b"")
    if not said:
        return 0
    hello = json.loads(said)
    first, rest = _line(channel, rest)
    if not first:  # the command needed no gateway
        return 0
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(
        silence, 2
    )  # a detached session's gateway outlives the command: who reads that command's errors waits for their end
    os.close(silence)
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120 - pathlib is not loaded yet
    sys.path[:0] = [root]
    sys.path += [p for p in hello["path"] if p not in sys.path]
    from zwarm_ci.gateway.control import attend

    attend(channel, hello, first + b"\n" + rest)
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
