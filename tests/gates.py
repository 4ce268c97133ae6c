"""A gate that a scripted session waits at, and how a test sees that it has come there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zwarm_ci.sessions import Store, watch


@contextmanager
def gate(folder: Path) -> Iterator[Path]:
    """A FIFO that who reads it waits on until this block is left."""
    path = folder / f"gate-{len(list(folder.iterdir()))}"
    os.mkfifo(path)
    handle = os.open(path, os.O_RDWR)
    try:
        yield path
    finally:
        opened = path.with_suffix(".open")  # for who has said that it waits, and only then comes to wait
        opened.touch()
        opened.replace(path)
        os.close(handle)


def at_gate(store: Store, session_id: str) -> None:
    """Wait until the session has said that it is at a gate."""
    for data in watch.follow(store, session_id):
        if b"at the gate" in data:
            return
    raise AssertionError((store.folder(session_id) / "supervise.log").read_text())
