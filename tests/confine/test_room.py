"""A room's network is shared by those who join it, and nothing in it outlives the room or whoever opened it."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.confine.hosts import ROOT, Host
from zwarm_ci import confine
from zwarm_ci.confine import Means, Room
from zwarm_ci.proc import keep, run

SERVE = """
import socket
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
while True:
    server.accept()[0].sendall(b"served")
"""
#: Leaves a server that nothing marks as ours: a session of its own, and an empty environment.
STARTER = """
import subprocess, sys
server = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE, start_new_session=True, env={})
print(server.stdout.readline().decode().strip())
"""
CALL = """
import socket, sys
try:
    print(socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5).recv(9).decode())
except OSError as error:
    print(error.strerror)
"""
ROOM = """
import pathlib, sys
from zwarm_ci import confine, proc
serve, starter, call = sys.argv[1:]
here = pathlib.Path.cwd()
def say(*prefix):
    print(proc.run([*prefix, sys.executable, "-c", call, port], cwd=here).stdout.decode().strip())
with confine.Room.open(confine.means()) as room:
    up = [*room.prefix, sys.executable, "-c", starter, serve]
    port = proc.run(up, cwd=here, leave=room.tag).stdout.decode().strip()
    say(*room.prefix)
    say(*room.prefix, *confine.overlaid(here, here.parent / "scratch"))
    say()
    say(*confine.offline(confine.means()))
    print(room.network)
gone = proc.run([*room.prefix, "echo", "whose network?"], cwd=here)
print(gone.code, gone.stdout, confine.trouble(gone).endswith(" is gone"), proc.tagged(room.tag))
"""


def test_a_room_is_shared_by_those_who_join_and_ends_with_all_in_it(host: Host) -> None:
    top = host.plant("file")
    said = host.py(ROOM, SERVE, STARTER, CALL, cwd=top).splitlines()
    refused = "Connection refused"
    assert said == ["served", "served", refused, refused, "False", "125 b'' True []"]
    assert not [name for name in Path("/proc").glob("[0-9]*/cmdline") if words(name).endswith(f"{SERVE}\0".encode())]


def words(name: Path) -> bytes:
    try:
        return name.read_bytes()
    except OSError:  # it has just ended
        return b""


def test_a_holders_number_that_somebody_else_has_is_not_joined(tmp_path: Path) -> None:
    with Room.open(confine.means()) as room:
        at = room.prefix.index("--join")
        forged = (*room.prefix[: at + 2], str(int(room.prefix[at + 2]) - 1), *room.prefix[at + 3 :])
        refused = run([*forged, "true"], cwd=tmp_path)
        assert run([*room.prefix, "true"], cwd=tmp_path).ok
    assert refused.code == 125
    assert confine.trouble(refused).endswith("its number is somebody else's")


@pytest.mark.parametrize("name", ["bubblewrap", "none"])
def test_without_means_of_our_own_a_room_has_the_machines_network(name: Any, tmp_path: Path) -> None:
    with Room.open(Means(name, "")) as room:
        assert (room.prefix, room.network) == ((), True)
        left = keep(["sleep", "300"], cwd=tmp_path, tag=room.tag, log=tmp_path / "log")
        assert left.wait(0) is None
    assert left.wait() == -2
    assert left.pids() == []


OPENER = """
import pathlib, sys
from zwarm_ci import confine, proc
room = confine.Room.open(confine.means())
service = "import os, signal; print(os.getpid(), flush=True); os.setsid(); signal.pause()"
argv = [*room.prefix, "env", "-i", sys.executable, "-c", "import os; os.fork() and os._exit(0); " + service]
proc.keep(argv, cwd=pathlib.Path.cwd(), tag=room.tag, log=pathlib.Path("log"))
print(room.prefix[room.prefix.index("--join") + 1], flush=True)
sys.stdin.read()
"""


def test_a_room_dies_with_whoever_opened_it(tmp_path: Path) -> None:
    """Killed, not stopped: nothing of ours runs any more that could clear up, and still nothing stays."""
    os.mkfifo(tmp_path / "log")
    reader = os.open(tmp_path / "log", os.O_RDONLY | os.O_NONBLOCK)
    child = subprocess.Popen(
        [sys.executable, "-c", OPENER], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdin is not None
    with child.stdout, child.stdin:
        holder = int(child.stdout.readline())
        assert select.select([reader], [], [], 30)[0]
        handles = [os.pidfd_open(pid) for pid in (holder, int(os.read(reader, 100)))]
        child.kill()
        child.wait()
    os.close(reader)
    for handle in handles:
        assert select.select([handle], [], [], 30)[0], "it lives on"
        os.close(handle)
