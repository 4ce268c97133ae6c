"""Waiting for sessions of other processes, on events alone.

That a session is no longer run is told by the kernel: the lock of its process (`owner.lock`) is freed at each end of a turn, and by
a kill -9 too. That it has new lines is told through a FIFO that whoever follows puts into the session's folder: unlike inotify
it needs none of the few watches that a user has, and nothing but the file system; unlike a socket it needs no server that lives.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import selectors
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from zwarm_ci import reap
from zwarm_ci.errors import UsageError
from zwarm_ci.sessions.meta import Meta
from zwarm_ci.sessions.store import Store
from zwarm_ci.stop import STOP

_ASK = "ask"
_CHUNK = 1 << 20
_GRACE = (
    sum(seconds for _, seconds in reap.GRACE) + 4.0
)  # seconds that a session's process has to end its tree and say so


def until(store: Store, ids: Sequence[str], *, every: bool, timeout: float | None = None) -> list[str]:
    """Wait until one, or with `every` all, of the sessions' turns have ended; the ids whose turns have, in the order of their ends.

    After `timeout` seconds: those that have ended by then.

    Raises:
        UsageError: there is no such session. InterruptedRunError: `STOP` was set meanwhile.
    """
    ends = None if timeout is None else time.monotonic() + timeout
    ended = [i for i in dict.fromkeys(ids) if not store.load(i).live]
    waiting = [i for i in dict.fromkeys(ids) if i not in ended]
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as open_files:
        selector.register(STOP.reader, selectors.EVENT_READ, "")
        for session_id in waiting:
            selector.register(open_files.enter_context(_departure(store, session_id)), selectors.EVENT_READ, session_id)
        while waiting and (every or not ended):
            left = None if ends is None else ends - time.monotonic()
            if left is not None and left <= 0:
                break
            for key, _ in selector.select(left):
                STOP.check()
                selector.unregister(key.fd)
                ended.append(key.data)
                waiting.remove(key.data)
    return ended


@contextlib.contextmanager
def _departure(store: Store, session_id: str) -> Iterator[int]:
    """A descriptor that becomes readable (end of file) when nobody runs the session."""
    reader, writer = os.pipe()

    def look() -> None:
        with contextlib.suppress(OSError), store.owner_file(session_id).open() as file:  # removed: nobody runs it
            fcntl.flock(file, fcntl.LOCK_SH)
        os.close(writer)

    threading.Thread(target=look, daemon=True, name=f"wait-{session_id}").start()
    try:
        yield reader
    finally:
        os.close(reader)


@contextlib.contextmanager
def _news(store: Store, session_id: str) -> Iterator[int]:
    """A descriptor that becomes readable when the session's process has written something."""
    folder = store.watch_folder(session_id)
    folder.mkdir(exist_ok=True)
    fifo = folder / f"{os.getpid()}-{secrets.token_hex(4)}"
    os.mkfifo(fifo, 0o600)
    handle = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)  # both ways, so that no writer's leaving looks like news
    try:
        yield handle
    finally:
        os.close(handle)
        fifo.unlink(missing_ok=True)


def follow(store: Store, session_id: str) -> Iterator[bytes]:
    """The raw events of all turns in order, as bytes as they come, until nobody runs the session.

    Raises:
        UsageError: there is no such session. InterruptedRunError: `STOP` was set meanwhile.
    """
    tail = _Tail(store, session_id)
    with _news(store, session_id) as news, contextlib.ExitStack() as waiting:
        departure = -1
        while True:
            live = store.load(session_id).live  # looked at before the files: whatever is written after that wakes us
            yield from tail.fresh()
            if not live:
                return
            if departure < 0:
                departure = waiting.enter_context(_departure(store, session_id))
            with selectors.DefaultSelector() as selector:
                for handle in (news, departure, STOP.reader):
                    selector.register(handle, selectors.EVENT_READ)
                ready = {key.fd for key, _ in selector.select()}
            STOP.check()
            if news in ready:
                os.read(news, 4096)
            if departure in ready:  # another turn may begin at once
                waiting.close()
                departure = -1


def written(store: Store, session_id: str) -> Iterator[bytes]:
    """The raw events of all turns in order, as far as they are written."""
    return _Tail(store, session_id).fresh()


class _Tail:
    """What was not read yet of a session's turns."""

    def __init__(self, store: Store, session_id: str) -> None:
        self._store, self._id = store, session_id
        self._read: dict[Path, int] = {}

    def fresh(self) -> Iterator[bytes]:
        for path in self._store.turns(self._id):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                while data := file.read(_CHUNK):
                    yield data
                    self._read[path] = file.tell()


@contextlib.contextmanager
def heeding(store: Store, session_id: str, halt: Callable[[str], None]) -> Iterator[None]:
    """While inside, who kills the session from another process has `halt` called here, in a thread, with the reason.

    For a process that runs several sessions: a signal would end them all.
    """
    fifo = store.folder(session_id) / _ASK
    fifo.unlink(missing_ok=True)
    os.mkfifo(fifo, 0o600)
    handle = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    over, writer = os.pipe()

    def listen() -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(handle, selectors.EVENT_READ)
            selector.register(over, selectors.EVENT_READ)
            if over not in {key.fd for key, _ in selector.select()}:
                halt(os.read(handle, 4096).decode("utf-8", "replace"))

    listener = threading.Thread(target=listen, daemon=True, name=f"heed-{session_id}")
    listener.start()
    try:
        yield
    finally:
        os.close(writer)
        listener.join()
        os.close(over)
        os.close(handle)
        fifo.unlink(missing_ok=True)


def kill(store: Store, session_id: str) -> Meta:
    """End a session's turn and all that it started; the state is killed then. A run that it belongs to goes on.

    Raises:
        UsageError: it is not running, does not heed, or its process cannot be seen from here.
    """
    meta = store.load(session_id)
    if not meta.live:
        raise UsageError(f"session {meta.id} is {meta.state}; there is nothing to kill")
    if meta.worktree or not meta.run:  # it has a process of its own, whoever started it
        return _shoot(store, meta)
    if not _ask(store, meta):
        raise UsageError(f"the run {meta.run} does not heed", remedy=f"end all of it: kill -INT {meta.owner.pid}")
    if not until(store, [meta.id], every=True, timeout=_GRACE):
        raise UsageError(
            f"session {meta.id} did not end within {_GRACE:g} s", remedy=f"end the run: kill -INT {meta.owner.pid}"
        )
    return store.load(meta.id)


def _ask(store: Store, meta: Meta) -> bool:
    """Tell who heeds to end the session; False = nobody does."""
    try:
        handle = os.open(store.folder(meta.id) / _ASK, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        os.write(handle, b"killed by a person")
    finally:
        os.close(handle)
    return True


def _shoot(store: Store, meta: Meta) -> Meta:
    """End the process of a session that runs by itself: asked first, then killed."""
    handle = meta.owner.pidfd()
    if handle is None:
        raise UsageError(
            f"the process of session {meta.id} ({meta.owner.pid}) cannot be seen from here",
            remedy="kill it where it was started: on that host or in that container",
        )
    try:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGTERM)
        if not until(store, [meta.id], every=True, timeout=_GRACE):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            until(store, [meta.id], every=True)
    finally:
        os.close(handle)
    sweep(meta)
    return store.settle(meta.id, "killed", "it did not end when asked to, and was killed")


def sweep(meta: Meta) -> None:
    """End what the session's process started and left behind when it died."""
    if meta.tag:
        reap.end_all(lambda: reap.tagged(meta.tag))
