"""Services start, are waited for, and are gone afterwards, whatever becomes of them; with real servers."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.checks.running import plant
from zwarm_ci.checks.base import Around
from zwarm_ci.errors import ConfigError, InterruptedRunError
from zwarm_ci.reap import descendants
from zwarm_ci.scrub import child_env
from zwarm_ci.services import Services, Slot, Slots, fill, listening
from zwarm_ci.stop import STOP
from zwarm_ci.task import Check

PYTHON = sys.executable
SERVER = """
import os, socket, sys
family, address = (socket.AF_UNIX, "s.sock") if sys.argv[1] == "unix" else (socket.AF_INET, ("127.0.0.1", int(sys.argv[1])))
served = socket.socket(family)
served.bind(address)
print("serving for", os.environ.get("ZWARM_SLOT"), "in", os.environ.get("COMPOSE_PROJECT_NAME"), flush=True)
served.listen()
while True:
    served.accept()[0].close()
"""
#: Leaves its session and, as redis and postgres do, nothing of its environment in /proc.
DAEMON = """
import os, subprocess, sys
if os.fork() == 0:
    os.setsid()
    os.execve(sys.executable, [sys.executable, "server.py", sys.argv[1]], {})
"""
SILENT = "import time; print('never', flush=True); time.sleep(300)"
TELL = "import os; print(os.environ['A'], os.environ['B'], os.getcwd())"
FILES = {"server.py": SERVER, "daemon.py": DAEMON, "silent.py": SILENT, "tell.py": TELL, "sub/x": ""}
DATA = Path(__file__).parent / "data" / "services"


@pytest.fixture
def slot(request: pytest.FixtureRequest) -> Iterator[Slot]:
    with Slots(f"{request.node.nodeid} {os.getpid()}").held() as taken:
        yield taken


@pytest.fixture
def make(tmp_path: Path, slot: Slot) -> Iterator[Callable[..., Services]]:
    """Services in a small tree; whatever they left is a failure."""
    tree = plant(tmp_path / "tree", FILES)
    before = set(descendants(os.getpid()))

    def made(up: str, down: str = "", *, around: Around | None = None, limit: float = 60.0) -> Services:
        up, down = (command.replace("python ", f"{PYTHON} ") for command in (up, down))
        check = Check("tests", "true", services_up=up, services_down=down)
        around = around or Around(variables=slot.variables(), fill=partial(fill, slot=slot))
        return Services(
            check, tree, env=child_env(), log=tmp_path / "logs" / "services.log", around=around, limit=limit
        )

    yield made
    assert set(descendants(os.getpid())) <= before
    assert not any(listening(port) for port in range(slot.port_base, slot.port_base + 3))


def test_a_server_in_the_foreground_is_up_when_it_listens(
    make: Callable[..., Services], slot: Slot, tmp_path: Path
) -> None:
    services = make("python server.py {port+1}")
    assert services.up() == ""
    assert listening(slot.port_base + 1)
    assert services.down() == ""
    assert not listening(slot.port_base + 1)
    assert services.down() == ""
    assert f"serving for {slot.number} in {slot.project}" in (tmp_path / "logs" / "services.log").read_text()


def test_a_unix_socket_is_a_service_too(make: Callable[..., Services], tmp_path: Path) -> None:
    services = make("python server.py unix")
    assert services.up() == ""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(os.path.relpath(tmp_path / "tree" / "s.sock"))
    services.down()


def test_a_daemon_is_waited_for_and_ended(make: Callable[..., Services], slot: Slot) -> None:
    services = make("python daemon.py {port}")
    assert services.up() == ""
    assert listening(slot.port_base)
    services.down()
    assert not listening(slot.port_base)


def test_a_command_that_leaves_nothing_has_done_its_work(make: Callable[..., Services], tmp_path: Path) -> None:
    services = make("python -c 'print(1)'", down="python -c 'print(2)'")
    assert services.up() == ""
    assert services.down() == ""
    assert (tmp_path / "logs" / "services.log").read_text() == "1\n2\n"


def test_without_services_there_is_nothing_to_do(make: Callable[..., Services], tmp_path: Path) -> None:
    services = make("")
    assert services.up() == ""
    assert services.down() == ""
    assert not (tmp_path / "logs").exists()


@pytest.mark.parametrize(
    ("up", "said"),
    [
        ("python -c 'import sys; print(7); sys.exit(3)'", "ended with 3: 7 (run it by hand)"),
        ("python silent.py", "neither ended nor listened within 1 s: never (it must either end"),
        ("docker compose up", "docker"),
        ("no-such-program --port {port}", "cannot be started: no-such-program: not found (install it"),
        ("python -c 'import os; os.kill(os.getpid(), 11)'", "ended with -11"),
        ("python daemon.py no", "ended with 0, but what it started ended at once: "),
    ],
)  # fmt: skip
def test_what_does_not_come_up_is_trouble(make: Callable[..., Services], up: str, said: str) -> None:
    trouble = make(up, limit=1.0).up()
    assert trouble.startswith("environment: services.up `")
    assert said in trouble
    assert "\n" not in trouble


def test_a_daemon_that_ended_before_anybody_looked_is_missed_at_its_port(
    make: Callable[..., Services], slot: Slot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zwarm_ci.services.lifecycle._SETTLE", 0.3)
    trouble = make("python -c 'print()' {port+2}").up()
    assert f"ended with 0, but nothing listens on {slot.port_base + 2}" in trouble


def test_a_port_that_a_stranger_has_is_never_used(make: Callable[..., Services], slot: Slot, tmp_path: Path) -> None:
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", slot.port_base))
        stranger.listen()
        trouble = make("python server.py {port}").up()
        assert f"port {slot.port_base} is taken already" in trouble
        assert not (tmp_path / "logs").exists()
        quiet = make(f"python server.py {slot.port_base}").up()  # no place: what was told is done
    assert "Address already in use" in quiet
    assert "write {port} for it" in quiet


@pytest.mark.parametrize(
    ("file", "quoted", "remedy"),
    [
        ("docker-run-no-engine.txt", "Cannot connect to the Docker daemon at unix:///var/run/docker.sock", "no container engine runs here"),
        ("docker-ps-no-engine.txt", "Is the docker daemon running?", "no container engine runs here"),
        ("docker-compose-1-no-engine.txt", "Error while fetching server API version", "no container engine runs here"),
        ("docker-without-compose.txt", "unknown shorthand flag: 'd' in -d", "docker has no compose plugin here, and no container engine runs"),
    ],
)  # fmt: skip
def test_what_docker_says_without_an_engine(
    make: Callable[..., Services], tmp_path: Path, file: str, quoted: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path / "tree", {"docker": f"#!/bin/sh\ncat '{DATA / file}' >&2; exit 1\n"})
    (tmp_path / "tree" / "docker").chmod(0o755)
    monkeypatch.setattr("zwarm_ci.services.ports._ENGINE", str(tmp_path / "no.sock"))
    trouble = make("./docker compose up -d --wait redis").up()
    assert quoted in trouble
    assert remedy in trouble


def test_compose_in_the_foreground_is_told_to_detach(make: Callable[..., Services], tmp_path: Path) -> None:
    plant(tmp_path / "tree", {"docker-compose": "#!/bin/sh\nexec sleep 60\n"})
    (tmp_path / "tree" / "docker-compose").chmod(0o755)
    assert "(add -d --wait to it)" in make("./docker-compose up redis", limit=0.5).up()


def test_down_is_run_after_a_failed_start_too_and_its_failure_is_told(
    make: Callable[..., Services], tmp_path: Path
) -> None:
    services = make("python silent.py", down="touch downed", limit=0.5)
    assert services.up()
    assert (tmp_path / "tree" / "downed").exists()
    failing = make("true", down="python -c 'raise SystemExit(\"no\")'")
    assert failing.up() == ""
    assert failing.down().endswith("ended with 1: no")
    missing = make("true", down="no-such-program")
    assert missing.up() == ""
    assert "no-such-program: not found" in missing.down()


def test_a_shell_is_refused_and_nothing_runs(make: Callable[..., Services]) -> None:
    with pytest.raises(ConfigError):
        make("python server.py {port} &").up()
    with pytest.raises(ConfigError):
        make("python server.py {port+20}").up()


def test_the_prefix_goes_before_both_commands(make: Callable[..., Services], tmp_path: Path) -> None:
    services = make("echo up", down="echo down", around=Around(prefix=("env", "-u", "PATH", "/bin/echo", "joined")))
    assert (services.up(), services.down()) == ("", "")
    assert (tmp_path / "logs" / "services.log").read_text() == "joined echo up\njoined echo down\n"


def test_settings_and_folder_are_the_checks(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", FILES)
    check = Check("tests", "true", workdir="sub", services_up=f"A=1 {PYTHON} ../tell.py")
    services = Services(check, tree, env={**child_env(), "B": "2"}, log=tmp_path / "log")
    assert services.up() == ""
    services.down()
    assert (tmp_path / "log").read_text() == f"1 2 {tree / 'sub'}\n"


@pytest.mark.parametrize("up", ["python silent.py", "python server.py {port}"])
def test_a_stop_leaves_nothing(make: Callable[..., Services], up: str, tmp_path: Path) -> None:
    services = make(up, down="python -c \"open('ended', 'w')\"")
    if "silent" in up:
        log = tmp_path / "logs" / "services.log"

        def stop() -> None:
            until = time.monotonic() + 30
            while time.monotonic() < until and not (log.is_file() and log.stat().st_size):
                threading.Event().wait(0.02)
            STOP.set(signal.SIGTERM)

        thread = threading.Thread(target=stop)
        thread.start()
        with pytest.raises(InterruptedRunError):
            services.up()
        thread.join()
    else:
        assert services.up() == ""
        STOP.set(signal.SIGTERM)
        assert services.down() == ""
        assert list(tmp_path.rglob("ended")), "services.down runs although the run is stopped"


# -- redis itself, which forgets its environment


def redis(*args: str) -> str:
    done = subprocess.run(["redis-cli", *args], capture_output=True, text=True, timeout=30, check=False)
    return done.stdout.strip()


@pytest.mark.slow
@pytest.mark.parametrize("up", ["--daemonize yes", ""])
def test_redis(make: Callable[..., Services], slot: Slot, up: str) -> None:
    assert shutil.which("redis-server"), "apt-get install redis-server"
    services = make(f"redis-server --port {{port}} --save '' {up}")
    assert services.up() == ""
    assert redis("-p", str(slot.port_base), "ping") == "PONG"
    services.down()
    assert redis("-p", str(slot.port_base), "ping") == ""


@pytest.mark.slow
def test_two_worktrees_have_two_redis(tmp_path: Path) -> None:
    some = Slots("two worktrees")
    check = Check("tests", "true", services_up="redis-server --port {port} --save '' --daemonize yes")
    with some.held() as one, some.held() as other:
        a, b = (
            Services(check, tmp_path, env=child_env(), log=tmp_path / f"{s.number}.log", around=Around(fill=partial(fill, slot=s)))
            for s in (one, other)
        )  # fmt: skip
        try:
            assert (a.up(), b.up()) == ("", "")
            redis("-p", str(one.port_base), "set", "x", "1")
            assert redis("-p", str(other.port_base), "exists", "x") == "0"
        finally:
            a.down()
            b.down()
        assert not listening(one.port_base)
        assert not listening(other.port_base)


@pytest.mark.slow
@pytest.mark.parametrize("daemon", ["--daemonize yes", ""])
def test_redis_on_a_port_that_is_taken(make: Callable[..., Services], slot: Slot, daemon: str) -> None:
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", slot.port_base))
        stranger.listen()
        assert "is taken already" in make(f"redis-server --port {{port}} {daemon}").up()
        if not daemon:
            said = make(f"redis-server --port {slot.port_base} --save ''").up()
            assert "ended with 1" in said
            assert "Address already in use" in said


@pytest.mark.slow
def test_redis_that_was_killed_is_no_trouble_at_the_end(make: Callable[..., Services], slot: Slot) -> None:
    services = make("redis-server --port {port} --save '' --daemonize yes")
    assert services.up() == ""
    pid = redis("-p", str(slot.port_base), "info", "server").split("process_id:")[1].split()[0]
    os.kill(int(pid), signal.SIGKILL)
    assert services.down() == ""


@pytest.mark.slow
def test_redis_is_gone_when_the_program_is_killed(tmp_path: Path, slot: Slot) -> None:
    script = f"""
import sys
from pathlib import Path
from zwarm_ci.scrub import child_env
from zwarm_ci.services import Services
from zwarm_ci.task import Check
check = Check("tests", "true", services_up="redis-server --port {slot.port_base} --save '' --daemonize yes")
services = Services(check, Path("."), env=child_env(), log=Path("log"))
print(repr(services.up()), flush=True)
sys.stdin.read()
"""
    child = subprocess.Popen(
        [PYTHON, "-c", script], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin
    assert child.stdout
    with child.stdin, child.stdout:
        assert child.stdout.readline() == "''\n"
        assert listening(slot.port_base)
        child.kill()
        child.wait()
        until = time.monotonic() + 20
        while listening(slot.port_base) and time.monotonic() < until:
            threading.Event().wait(0.05)
    assert not listening(slot.port_base)
