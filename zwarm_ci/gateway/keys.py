"""Provider keys leave our environment before anything else happens: they go to the gateway's process, and we begin anew without them.

Standard library only and little of it: this runs at the start of every command. It may start one process, the gateway, and
replace our own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

#: Variables that hold a provider's key, by adapter; the first one that is set counts.
KEY_NAMES: dict[str, tuple[str, ...]] = {"codex": ("CODEX_API_KEY", "OPENAI_API_KEY"), "claude": ("ANTHROPIC_API_KEY",)}
#: Variables that name a provider's URL where it is not the vendor's own. They may hold a login, so they go with the keys.
UPSTREAM_NAMES: dict[str, str] = {"codex": "OPENAI_BASE_URL", "claude": "ANTHROPIC_BASE_URL"}
FD_NAME = "ZWARM_CI_GATEWAY_FD"
#: How the gateway reaches the providers; both spellings of the proxies are in use.
_PROXY_NAMES = frozenset(f"{p}_PROXY" for p in ("HTTP", "HTTPS", "ALL", "NO"))
_NETWORK_NAMES = (
    *sorted(_PROXY_NAMES), *sorted(n.lower() for n in _PROXY_NAMES), "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
)  # fmt: skip
_OWN_ENV = ("PATH", "TZ")  # what the gateway's process itself is started with, where set
_FIRST_FREE = 3  # a descriptor below is a standard stream, even where it is closed now
READY = b"r"


def hand_over() -> None:
    """Give the keys and upstream URLs of our environment to a gateway, and start this program again without them.

    Does nothing where none of them is set. After it returned, no key was set; else the process is another one (same pid),
    whose environment names the gateway's socket in `ZWARM_CI_GATEWAY_FD`. Variables set to nothing are taken out too.

    Raises:
        BlockedError: the gateway could not be started; the keys are out of `os.environ` then.
    """
    names = {*UPSTREAM_NAMES.values(), *(name for several in KEY_NAMES.values() for name in several)}
    if not names & os.environ.keys():
        return
    env = {name: value for name, value in os.environ.items() if name not in names | {FD_NAME}}
    given = dict(os.environ)
    for name in names & os.environ.keys():
        del os.environ[name]
    if any(given.get(name) for name in names):
        ours = launch(given)
        os.set_inheritable(ours, True)  # noqa: FBT003 - positional only
        env[FD_NAME] = str(ours)
    argv = sys.orig_argv or [sys.executable, *sys.argv]
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os.execve(sys.executable or "/proc/self/exe", argv, env)  # noqa: S606 - no shell is meant


def launch(environ: Mapping[str, str]) -> int:
    """Start a gateway that knows the keys, upstreams and proxies of `environ`; our end of its socket, not inherited by children.

    The keys are sent when the process has said that nobody but root can look into it. It ends when every copy of our end
    is closed.

    Raises:
        BlockedError: it could not be started, or ended at once.
    """
    import json
    import socket

    from zwarm_ci.errors import BlockedError

    ours, theirs = (_above_streams(end.detach()) for end in socket.socketpair())
    try:
        pid = _start(theirs)
    except OSError as error:
        os.close(ours)
        raise BlockedError(f"the gateway cannot be started: {error.strerror}") from error
    finally:
        os.close(theirs)
    channel = socket.socket(fileno=ours)
    if channel.recv(1) != READY:
        channel.close()
        os.waitpid(pid, 0)
        raise BlockedError("the gateway ended before it was ready to hold keys", remedy="its standard error says why")
    channel.sendall(json.dumps(_hello(environ, pid)).encode() + b"\n")
    return channel.detach()


def _hello(environ: Mapping[str, str], pid: int) -> dict[str, object]:
    keys = {a: next((environ[n] for n in names if environ.get(n)), "") for a, names in KEY_NAMES.items()}
    here = _here()
    return {
        "pid": pid,
        "keys": {adapter: key.strip() for adapter, key in keys.items() if key.strip()},
        "upstreams": {a: environ[n].strip() for a, n in UPSTREAM_NAMES.items() if environ.get(n, "").strip()},
        "network": {name: environ[name] for name in _NETWORK_NAMES if environ.get(name)},
        # Never from the current folder: the repository there may have a module of the same name as one of ours.
        "path": [p for p in sys.path if p.startswith("/") and p != here],
    }


def _here() -> str:
    from pathlib import Path

    try:
        return str(Path.cwd())
    except FileNotFoundError:  # it was deleted under us
        return ""


def _above_streams(descriptor: int) -> int:
    """The same file under a number that no standard stream has."""
    import fcntl

    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE)
    finally:
        os.close(descriptor)


def _start(channel: int) -> int:
    """Start the gateway in a session of its own, so that a terminal's ^C does not reach it; its pid."""
    import signal
    from pathlib import Path

    env = {name: os.environ[name] for name in _OWN_ENV if name in os.environ}
    main = str(Path(__file__).with_name("main.py"))
    null = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1)]
    os.set_inheritable(channel, True)  # noqa: FBT003 - positional only
    try:
        return os.posix_spawn(
            sys.executable or "/proc/self/exe",
            [sys.executable, "-I", "-S", main, str(channel)],
            {**env, "LC_ALL": "C.UTF-8"},
            file_actions=null,
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGINT, signal.SIGTERM),
        )
    finally:
        os.set_inheritable(channel, False)  # noqa: FBT003 - positional only
