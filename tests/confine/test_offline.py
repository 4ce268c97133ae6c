"""A confined command is the same command, without a network; and what works here is found out by trying."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.confine.hosts import PATH, ROOT, Host, as_me
from zwarm_ci import confine
from zwarm_ci.confine import Means
from zwarm_ci.errors import InterruptedRunError
from zwarm_ci.proc import STOP, Exit, run


@pytest.fixture
def listener() -> Iterator[int]:
    """The port of a server of this machine that takes every caller."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]


def test_the_means_are_those_that_work(host: Host) -> None:
    is_root = host.do(["id", "-u"]).stdout == "0\n"
    assert host.means() == ("network namespace" if is_root else "user namespace")
    assert "nothing leads out, loopback is up" in confine.means().why


DIAL = """
import errno, socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:  # UDP: asks for the route, sends nothing
    print(errno.errorcode.get(out.connect_ex(("192.0.2.1", 9)), "a way out"))
with socket.socket() as to_machine:
    print(errno.errorcode.get(to_machine.connect_ex(("127.0.0.1", int(sys.argv[1]))), "reached the machine"))
with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
    server.accept()[0].sendall(b"served inside")
    print(client.recv(20).decode())
"""


def test_nothing_leads_out_and_loopback_carries(host: Host, offline: list[str], listener: int) -> None:
    dial = [host.python, "-c", DIAL, str(listener)]
    assert host.do([*offline, *dial]).stdout.splitlines() == ["ENETUNREACH", "ECONNREFUSED", "served inside"]
    assert host.do(dial).stdout.splitlines()[1:] == ["reached the machine", "served inside"]


def test_bubblewrap_does_the_same(host: Host, listener: int) -> None:
    prefix = host.offline("bubblewrap")
    assert prefix[0].endswith("/bwrap")
    dialled = host.do([*prefix, host.python, "-c", DIAL, str(listener)])
    assert dialled.stdout.splitlines() == ["ENETUNREACH", "ECONNREFUSED", "served inside"], dialled.stderr
    assert host.do([*prefix, "sh", "-c", "exit 3"]).returncode == 3
    assert confine.offline(Means("none", "")) == ()


def test_unix_sockets_reach_through(host: Host, offline: list[str]) -> None:
    path = host.folder / "sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        path.chmod(0o777)
        server.listen()
        code = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(b'hello')"
        assert host.do([*offline, host.python, "-c", code, str(path)]).returncode == 0
        with server.accept()[0] as heard:
            assert heard.recv(10) == b"hello"


PORTRAIT = """
import json, os, resource, sys
status = dict(line.rstrip().partition(":\\t")[::2] for line in open("/proc/self/status"))
rows = [r for r in status if r.startswith(("Cap", "Sig", "Shd", "NoNewPrivs", "Seccomp", "Uid", "Gid")) and r != "SigQ"]
print(json.dumps({
    "parent": os.getppid(), "cwd": os.getcwd(), "args": sys.argv[1:],
    "environ": sorted(open("/proc/self/environ").read().split("\\0")),
    "umask": os.umask(0), "groups": sorted(os.getgroups()), "session": os.getsid(0), "stdin": sys.stdin.read(),
    "folder": [oct(os.stat(".").st_mode), os.stat(".").st_uid, os.stat(".").st_gid, os.stat(".").st_mtime_ns],
    "limits": [resource.getrlimit(i) for i in range(16)],
    "files": [int(n) < 3 or os.readlink("/proc/self/fd/" + n) for n in sorted(os.listdir("/proc/self/fd"))[:-1]],
    **{r: status[r] for r in rows},
}))
"""


def portrait(host: Host, top: Path, *prefix: str) -> dict[str, Any]:
    process = subprocess.Popen(
        [*host.wrap, *prefix, host.python, "-I", "-S", "-c", PORTRAIT, "a b", "*", "", "--", "é"],
        cwd=top, env={"PATH": PATH, "EMPTY": "", "LINES": "a\nb"}, umask=0o027,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    out, _ = process.communicate("typed", timeout=60)
    assert process.returncode == 0
    said: dict[str, Any] = json.loads(out)
    return said


@pytest.mark.parametrize("kind", ["offline", "overlaid", "both"])
def test_the_command_is_the_command(host: Host, offline: list[str], kind: str) -> None:
    """Environment, folder, ids, signals, capabilities, limits and descriptors are what they are without us."""
    top = host.plant("file")
    over = host.overlaid(top, host.folder / "scratch")
    prefix = {"offline": offline, "overlaid": over, "both": [*over, *offline]}[kind]
    bare, confined = portrait(host, top), portrait(host, top, *prefix)
    assert confined == bare
    look = ["grep", "^S[ih]", "/proc/self/status"]  # Python ignores SIGPIPE whatever it was given
    assert host.do([*prefix, *look]).stdout.splitlines()[1:] == host.do(look).stdout.splitlines()[1:]
    assert bare["parent"] == os.getpid(), "the command is our own child: nothing stands between"
    assert bare["cwd"] == str(top)


def test_a_root_with_few_capabilities_gets_no_more(tmp_path: Path) -> None:
    """Root in most containers: in a user namespace of its own it would have them all."""
    few = ("setpriv", "--bounding-set", "-all,+chown,+setfcap", "--inh-caps", "-all")
    wrap = few if not os.geteuid() else ("unshare", "--user", "--map-root-user", *few)
    host = Host(wrap, sys.executable, str(ROOT), tmp_path)
    top = host.plant("file")
    bare, confined = portrait(host, top), portrait(host, top, *host.offline())
    assert host.means() == "user namespace"
    assert int(bare["CapEff"], 16) == 1 | 1 << 31
    assert confined == bare


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 3", 3), ("exit 125", 125), ("kill -TERM $$", -15), ("kill -KILL $$", -9)]
)
def test_exit_codes_and_signals_pass(host: Host, offline: list[str], script: str, code: int) -> None:
    over = host.overlaid(host.plant("file"), host.folder / "scratch")
    assert host.do([*over, *offline, "sh", "-c", script]).returncode == code


WAIT = """
import signal, sys
signal.signal(signal.SIGINT, lambda *_: sys.exit(7))
print("ready", flush=True)
signal.pause()
"""


def test_a_signal_from_outside_reaches_the_command(host: Host, offline: list[str]) -> None:
    process = subprocess.Popen([*host.wrap, *offline, host.python, "-c", WAIT], cwd=host.folder, stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 7


TOUCH = ["--", "touch", "begun"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--no-network", "--", "no-such-program"], "no-such-program: No such file or directory"),
        (["--no-network", "--", "/"], "/: Permission denied"),
        (["--network", *TOUCH], "--network: no option"),
        (["--overlay", "a", *TOUCH], "no option, or not whole"),
        (["--no-network"], "-- COMMAND"),
        (["--no-network", "--hold", *TOUCH], "-- COMMAND"),
        (["--join", "1", "1", *TOUCH], "holder 1 is"),
        (["--join", "999999999", "1", *TOUCH], "holder 999999999 is gone"),
        (["--overlay", ".", "no/upper", "no/work", *TOUCH], "lies inside of"),
        (["--overlay", ".", "../no-upper", "../no-work", *TOUCH], "No such file or directory"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_begins(host: Host, words: list[str], why: str) -> None:
    done = host.do([host.python, "-I", "-S", f"{host.library}/zwarm_ci/confine_main.py", *words])
    assert (done.returncode, done.stdout) == (125, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("zwarm-ci confine: ")
    assert why in line
    assert not (host.folder / "begun").exists()
    as_run = Exit((), ROOT, done.returncode, b"", done.stderr.encode(), 0.0)
    assert confine.trouble(as_run) == line.removeprefix("zwarm-ci confine: ")


def test_a_commands_own_125_is_no_trouble_of_ours(tmp_path: Path) -> None:
    prefix = confine.offline(confine.means())
    done = run([*prefix, "sh", "-c", "echo said >&2; exit 125"], cwd=tmp_path)
    assert (done.code, confine.trouble(done)) == (125, "")
    missing = run([*prefix, "no-such-program"], cwd=tmp_path)
    assert confine.trouble(missing) == "no-such-program: No such file or directory"


ESCAPES = r"""
import pathlib
from zwarm_ci import confine, proc
script = "setsid sh -c 'trap \"\" INT TERM; sleep 300' & sleep 300"
tag = proc.fresh_tag().rpartition(".")[0]
done = proc.run([*confine.offline(confine.means()), "sh", "-c", script], cwd=pathlib.Path.cwd(), timeout=1)
print(done.timed_out, proc.tagged(tag))
"""


def test_what_escapes_from_the_group_inside_is_ended_too(host: Host) -> None:
    assert host.py(ESCAPES) == "True []\n"


def test_a_stop_ends_a_confined_command(tmp_path: Path) -> None:
    prefix = confine.offline(confine.means())
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    def stop() -> None:
        fifo.read_bytes()  # it has begun
        STOP.set(signal.SIGINT)

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(InterruptedRunError):
        run([*prefix, "sh", "-c", "echo > fifo; sleep 300 & sleep 300"], cwd=tmp_path)
    thread.join(30)


#: Where no more namespaces may be made and nobody has a capability: what a container, or a careful machine, is like.
REFUSE = 'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set -all --inh-caps -all "$@"'
REFUSING = ("unshare", "--user", "--map-root-user", "sh", "-c", REFUSE, "sh")
MEANS = """
import os, sys
from zwarm_ci import confine
os.environ["PATH"] = sys.argv[1]
means = confine.means()
print(means.name, means.why, confine.offline(means), sep="|")
try:
    confine.Room.open(confine.Means("user namespace", ""))
except confine.BlockedError as error:
    print(error.line)
"""
FAKE_BWRAP = '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n'


@pytest.mark.parametrize(
    ("bwrap", "said"),
    [
        ("real", "bwrap: "),
        ("idle", "bwrap leaves the network as it is"),
        ("none", "bubblewrap is not installed"),
    ],
)
def test_where_all_is_refused_the_remedy_is_named(tmp_path: Path, bwrap: str, said: str) -> None:
    if bwrap == "idle":
        (tmp_path / "bwrap").write_text(FAKE_BWRAP)
        (tmp_path / "bwrap").chmod(0o755)
    elif bwrap == "real":
        (tmp_path / "bwrap").symlink_to(str(shutil.which("bwrap", path=PATH)))
    host = as_me(tmp_path)
    prefix = [*host.offline(), *REFUSING]  # so that "nothing leads out" is true without a means
    answer, room = host.py(MEANS, str(tmp_path), prefix=prefix).splitlines()
    name, why, found = answer.split("|")
    assert (name, found) == ("none", "()")
    assert "unshare: No space left on device" in why
    assert said in why
    assert why.endswith("remedy: sudo sysctl -w user.max_user_namespaces=10000")
    assert "unshare: No space left on device (remedy: sudo" in room


SECOND = """
import pathlib, sys
from zwarm_ci import confine
confine.MAIN = pathlib.Path(sys.argv[1])
means = confine.means()
print(means.name, means.why, confine.offline(means)[1], sep="|")
"""
#: Does all but what a namespace of our own takes.
REFUSER = """
import runpy, sys
if "--no-network" in sys.argv:
    sys.exit("zwarm-ci confine: refused here")
runpy.run_path(THE_REAL, run_name="__main__")
"""


def test_bubblewrap_is_the_second_choice(host: Host) -> None:
    script = host.folder / "refuser.py"
    script.write_text(REFUSER.replace("THE_REAL", f"'{host.library}/zwarm_ci/confine_main.py'"))
    name, why, option = host.py(SECOND, str(script)).strip().split("|")
    assert (name, option) == ("bubblewrap", "--dev-bind")
    assert why == "bwrap, as a namespace of our own is refused (refused here): nothing leads out, loopback is up"


@pytest.mark.parametrize(
    ("switch", "value", "named"),
    [
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "kernel.apparmor_restrict_unprivileged_userns=0"),
        ("kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
        ("user/max_user_namespaces", "0", "user.max_user_namespaces=10000"),
        ("user/max_net_namespaces", "0", "user.max_net_namespaces=10000"),
    ],
)
def test_the_switch_that_is_off_is_the_remedy(tmp_path: Path, switch: str, value: str, named: str) -> None:
    (tmp_path / switch).parent.mkdir()
    (tmp_path / switch).write_text(f"{value}\n")
    assert confine.remedy(tmp_path) == f"remedy: sudo sysctl -w {named}"
    (tmp_path / switch).write_text("7\n")
    assert "sysctl" not in confine.remedy(tmp_path)
