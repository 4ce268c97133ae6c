"""Keys leave the environment before anything else happens, and nobody but root finds them again."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from tests.fakemodel import Reply, scenario, serve
from tests.gateway.house import ANTHROPIC_KEY, OPENAI_KEY, body, dollars, environ, opened, post
from zwarm_ci.errors import BlockedError
from zwarm_ci.gateway import keys
from zwarm_ci.gateway.client import Gateway

ROOT = Path(__file__).parents[2]
KEYS = (OPENAI_KEY, ANTHROPIC_KEY)
NOBODY = 65534
IS_ROOT = os.getuid() == 0
#: Run as a user without any right; where we are one, as ourselves.
AS_USER = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if IS_ROOT else []
#: A command of ours: hands its keys over, says who it is and whom it has, and waits until it is told to go on.
PROGRAM = """
import json, os, signal, sys
sys.path[:0] = [{root!r}]
signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored where the tests run in a shell's background
from zwarm_ci.gateway.keys import hand_over
hand_over()
from zwarm_ci.gateway.client import Gateway
gate = Gateway.adopt()
out = open(os.environ["OUT"], "w") if "OUT" in os.environ else sys.stdout
print(json.dumps({{"pid": os.getpid(), "gateway": gate and gate.pid, "providers": sorted(gate.providers) if gate else None,
    "argv": sys.argv[1:], "names": sorted(os.environ)}}), file=out, flush=True)
if sys.stdin:
    sys.stdin.read()
"""


def program(where: Path) -> Path:
    path = where / "program.py"
    path.write_text(PROGRAM.format(root=str(where if (where / "zwarm_ci").exists() else ROOT)))
    return path


@contextmanager
def started(
    argv: list[str], env: dict[str, str], **more: Any
) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, Any]]]:
    with subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **more) as process:
        assert process.stdout
        try:
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


def gone(pid: object, seconds: float = 10.0) -> bool:
    try:
        handle = os.pidfd_open(int(str(pid)))
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], seconds)[0])
    finally:
        os.close(handle)


def holders(pid: int, keys_: tuple[str, ...] = KEYS) -> list[str]:
    """Where root finds a key in /proc/PID: its environment, its command line, its memory."""
    found = [
        n for n in ("environ", "cmdline") if any(k.encode() in Path(f"/proc/{pid}/{n}").read_bytes() for k in keys_)
    ]
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            start, end = (int(x, 16) for x in line.split()[0].split("-"))
            if "rw" in line.split()[1] and any(k.encode() in _read(memory, start, end) for k in keys_):
                found.append("mem")
    return found


def _read(memory: IO[bytes], start: int, end: int) -> bytes:
    """A span of memory; pages that cannot be read are nobody's."""
    found = bytearray()
    for page in range(start, end, 4096):
        with contextlib.suppress(OSError, OverflowError):
            memory.seek(page)
            found += memory.read(4096)
    return bytes(found)


def test_no_process_but_the_gateway_has_a_key(tmp_path: Path) -> None:
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "OTHER": "stays",
        **environ("http://me:login-of-mine@127.0.0.1:1"),
    }
    with started([sys.executable, str(program(tmp_path)), "a b", "--x"], env) as (process, said):
        assert said["pid"] == process.pid
        assert said["argv"] == ["a b", "--x"]
        assert said["providers"] == ["claude", "codex"]
        assert {"PATH", "HOME", "OTHER"} <= set(said["names"])
        assert not {n for n in said["names"] if "KEY" in n or "BASE_URL" in n or "ZWARM" in n}
        assert holders(process.pid, (*KEYS, "login-of-mine")) == []
        if not IS_ROOT:
            with pytest.raises(PermissionError):
                holders(said["gateway"])
            return
        assert set(holders(said["gateway"])) == {"mem"}  # where it has to be
        assert Path(f"/proc/{said['gateway']}/environ").read_bytes().count(b"=") <= 3


def test_without_a_key_nothing_is_started(tmp_path: Path) -> None:
    with started([sys.executable, str(program(tmp_path))], {"PATH": os.environ["PATH"]}) as (_, said):
        assert said["gateway"] is None
    with started(
        [sys.executable, str(program(tmp_path))], {"PATH": "/bin", "OPENAI_API_KEY": "", "ZWARM_CI_GATEWAY_FD": "1"}
    ) as (_, said):
        assert said["gateway"] is None
        assert "OPENAI_API_KEY" not in said["names"]


@pytest.mark.parametrize("how", ["end", "kill"])
def test_the_gateway_ends_with_its_owner(tmp_path: Path, how: str) -> None:
    with started([sys.executable, str(program(tmp_path))], {"PATH": "/bin", **environ("http://127.0.0.1:1")}) as (
        process,
        said,
    ):
        assert not gone(said["gateway"], 0)
        if how == "kill":
            process.kill()
        else:
            assert process.stdin
            process.stdin.close()
        assert gone(said["gateway"])


def test_it_ends_although_it_waits_for_a_file(tmp_path: Path) -> None:
    """The day's ledger is locked by somebody for ever, and a call wants to book."""
    day = tmp_path / "day.json"
    with serve(scenario(Reply("hi"))) as server:
        gate = Gateway.start(environ(server.url))
        gate.serve(dollars(day="1"), day_file=day)
        endpoint = opened(gate)
        assert post(endpoint, "codex").status == 200
        gate.usage("s1")
        with contextlib.ExitStack() as held:
            for lock in tmp_path.iterdir():
                fcntl.flock(held.enter_context(lock.open()), fcntl.LOCK_EX)
            connection = http.client.HTTPConnection(endpoint.url.removeprefix("http://"))
            connection.request(
                "POST", "/v1/responses", json.dumps(body("codex")), {"authorization": f"Bearer {endpoint.token}"}
            )
            gate.close()
            connection.close()
            assert gone(gate.pid, 0)


def test_a_terminals_interrupt_does_not_reach_it(tmp_path: Path) -> None:
    argv = [sys.executable, str(program(tmp_path))]
    with started(argv, {"PATH": "/bin", **environ("http://127.0.0.1:1")}, start_new_session=True) as (process, said):
        gateway = said["gateway"]
        assert os.getsid(gateway) == gateway
        os.kill(gateway, signal.SIGINT)
        os.killpg(process.pid, signal.SIGINT)
        process.wait(10)
        assert gone(gateway)  # by its owner's end, which came first


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", "<&-", ">&-"])
def test_closed_standard_streams(tmp_path: Path, closed: str) -> None:
    """The gateway's socket must not become somebody's standard output."""
    line = f'exec "{sys.executable}" "{program(tmp_path)}" {closed}'
    env = {"PATH": "/bin", "OUT": str(tmp_path / "out"), **environ("http://127.0.0.1:1")}
    subprocess.run(["sh", "-c", line], env=env, check=True, timeout=30, input=b"")
    assert json.loads((tmp_path / "out").read_text())["providers"] == ["claude", "codex"]


@pytest.fixture(scope="module")
def world() -> Iterator[Path]:
    """Our package and an interpreter where a user without any right can read them."""
    with tempfile.TemporaryDirectory(prefix="zw-keys-") as name:
        place = Path(name)
        place.chmod(0o755)
        shutil.copytree(ROOT / "zwarm_ci", place / "zwarm_ci", ignore=shutil.ignore_patterns("__pycache__"))
        yield place


def reader(pid: object) -> str:
    """What the same user reads of a process."""
    script = """
import os, sys
pid, said = sys.argv[1], []
for name in ("environ", "mem", "maps", "fd"):
    try:
        os.listdir(f"/proc/{pid}/fd") if name == "fd" else open(f"/proc/{pid}/{name}", "rb").read(1)
    except PermissionError:
        continue
    except OSError:
        pass
    said.append(name)
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
if libc.ptrace(16, int(pid), 0, 0) == 0: said.append("ptrace")
print(" ".join(said))
"""
    argv = [*AS_USER, python(), "-c", script, str(pid)]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


def python() -> str:
    """An interpreter that every user may run: ours without its environment where it lies openly, else the system's."""
    ours = Path(sys.executable).resolve()
    if all(place.stat().st_mode & 0o001 for place in (ours, *ours.parents)):
        return str(ours)
    return shutil.which("python3", path="/usr/bin:/usr/local/bin") or str(ours)


def test_the_same_user_cannot_look_into_it(world: Path) -> None:
    argv = [*AS_USER, python(), str(program(world))]
    with started(argv, {"PATH": "/usr/bin:/bin", **environ("http://127.0.0.1:1")}) as (process, said):
        assert Path(f"/proc/{said['gateway']}/status").read_text().split("Uid:")[1].split()[0] == str(
            NOBODY if IS_ROOT else os.getuid()
        )
        assert reader(said["gateway"]) == ""
        assert "environ" in reader(process.pid)  # the check can see what it is for
        assert holders(process.pid) == []


def test_no_core_file() -> None:
    gate = Gateway.start({"OPENAI_API_KEY": "k"})
    limits = Path(f"/proc/{gate.pid}/limits").read_text()
    assert [line.split()[4:6] for line in limits.splitlines() if line.startswith("Max core")] == [["0", "0"]]
    gate.close()
    assert gone(gate.pid, 0)


def test_a_gateway_that_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(BlockedError, match="ended before it was ready"):
        keys.launch({"OPENAI_API_KEY": "k"})
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(BlockedError, match="cannot be started"):
        keys.launch({"OPENAI_API_KEY": "k"})


def test_modules_never_come_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "aiohttp.py").write_text("raise SystemExit('the repository ran')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    gate = Gateway.start({"OPENAI_API_KEY": "k"})
    gate.serve(dollars(run="1"), day_file=None)
    assert gate.open("s", task="t", adapter="codex").url
    gate.close()
