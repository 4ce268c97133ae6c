"""`bash` looks and does nothing else: what a hostile command tries, and that nothing of it happens, by each of the means.

Means that do not work on this machine make their tests fail, with the reason: they are here to be tried.
"""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.orchestrator.yard import RIGHT_ADD, Yard, bad, done, good
from tests.support import belongings
from zwarm_ci import confine
from zwarm_ci.orchestrator import look
from zwarm_ci.orchestrator.tools import Toolset


@pytest.fixture(params=list(look.ROOMS))
def means(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> look.Means:
    """One of the means, as if it were the first that works here."""
    assert look.trouble(request.param) == ""
    found = look.Means(request.param)
    monkeypatch.setattr(look, "means", lambda: found)
    return found


@pytest.fixture
def tools(yard: Yard, means: look.Means) -> Toolset:
    yard.repo.write({".env": "API_KEY=hunter2hunter2\n", "untracked.pem": "secret\n"})
    home = Path(os.environ["HOME"])
    (home / ".config").mkdir()
    (home / ".config" / "token").write_text("hunter2hunter2")
    (yard.repo.path / "out").symlink_to(yard.repo.path / ".env")
    (yard.repo.path / "up").symlink_to(home)
    yard.repo.commit(
        "ignore", {".gitignore": ".zwarm/*\n!.zwarm/config.toml\n.env\n*.pem\n", "docs/ünï code.md": "seen\n"}
    )
    return yard.begin()


def run(tools: Toolset, command: str, **args: str) -> tuple[int, str, str]:
    answer = good(tools.call("bash", {"command": command, **args}))
    return answer["exit_code"], answer["stdout"], answer["stderr"]


def test_what_can_be_seen(tools: Toolset) -> None:
    assert run(tools, "cat docs/*; git log --format=%s; git status --short; git diff HEAD~1 --stat | tail -1")[:2] == (
        0, "seen\nignore\nfirst\n 4 files changed, 5 insertions(+)\n",
    )  # fmt: skip
    session = done(tools, RIGHT_ADD)
    assert "a + b" in run(tools, "cat calc.py", session_id=session)[1]
    assert "a - b" in run(tools, "cat calc.py")[1]
    code, out, err = run(tools, "ls nowhere; exit 3")
    assert (code, out, "No such file" in err) == (3, "", True)


WRITES = [
    "echo x > calc.py",
    "touch new",
    "rm -rf .",
    "git commit --allow-empty -m x",
    "git config user.name x",
    "git update-ref refs/heads/x HEAD",
    "git gc --prune=now",
    "echo x > {repo}/calc.py",
    "touch {home}/x",
    "touch /usr/x",
    "mount -o remount,rw / && touch new",
    "mount -o remount,bind,rw . && touch new",
    "umount -l . || umount -l /usr",
    "unshare --user --map-root-user --mount sh -c 'mount -o remount,bind,rw . && touch new'",
    "unshare --user --map-root-user --mount sh -c 'mount --bind . /tmp && touch /tmp/new'",
    "nsenter --target 1 --mount --user touch {repo}/new",
    "/usr/sbin/chroot /proc/1/root touch {repo}/new",
    "echo 9 > /proc/sys/user/max_user_namespaces",
    ": >> /proc/sys/kernel/core_pattern",  # opened, no more: it is the machine's
    "echo x > /proc/sys/kernel/hostname || hostname x",
    "echo x > /usr/x || echo x > /etc/ld.so.cache || ln -s x /etc/x",
    "chmod u+w . && touch new",
    "python3 -c \"open('calc.py', 'w')\"",
    "echo x > /tmp/x",
    "echo x > /dev/shm/x",
    "echo x > /x",
]


def test_nothing_is_written(tools: Toolset, yard: Yard) -> None:
    run(tools, "true")  # the copy is made
    before, inside, home = belongings(yard.repo.path), _contents(Path(tools.state.place)), Path(os.environ["HOME"])
    for command in WRITES:
        code, _, err = run(tools, command.format(repo=yard.repo.path, home=home))
        assert code not in {0, 127}, f"{command}: {err}"
        assert belongings(yard.repo.path) == before, command
        now = _contents(Path(tools.state.place))
        assert {k: v for k, v in now.items() if k in inside} == inside, command
        assert list(home.glob("x")) == [], command
    assert "a - b" in run(tools, "cat calc.py; ls new 2>/dev/null")[1]


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


READS = [
    "cat {repo}/.env {repo}/untracked.pem",
    "cat .env untracked.pem",
    "cat {home}/.codex/auth.json",
    "cat /proc/{pid}/environ",
    "cat /proc/*/environ | tr '\\0' '\\n' | grep -v hidden",
    "env",
    "cat out up/.env up/.config/token",
    "cat /proc/1/root{repo}/.env /proc/1/cwd/.env /proc/self/root{home}/.codex/auth.json",
    "cat /proc/1/environ /proc/1/mem | tr '\\0' '\\n'",
    "cat {home}/.config/token {repo}/.zwarm/sessions/*/meta.json {repo}/.zwarm/runs/*/outcome.json",
    "cat /etc/passwd /etc/shadow",
    "ls {repo}",
    "find / -name auth.json -o -name .env -o -name '*.pem' 2>/dev/null | grep -v ^/usr",
]


def test_no_secret_is_in_sight(tools: Toolset, yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIDDEN_VARIABLE", "hunter2hunter2")
    for command in READS:
        text = command.format(repo=yard.repo.path, home=os.environ["HOME"], pid=os.getpid())
        _, out, err = run(tools, text)
        for secret in ("hunter2", "access_token", "secret\n", "root:", "HIDDEN", "auth.json\n"):
            assert secret not in out + err.replace("No such file or directory", ""), f"{command}: {out}"
        assert "No such file" in err or command.startswith(("cat /proc/", "env", "find", "ls")), f"{command}: {err}"


@pytest.fixture
def listening() -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        yield server.getsockname()[:2]
        with pytest.raises(TimeoutError):
            server.accept()


def test_there_is_no_network(tools: Toolset, listening: tuple[str, int]) -> None:
    """Not even to this machine, where the gateway listens."""
    host, port = listening
    code, _, err = run(tools, f"exec 3<>/dev/tcp/{host}/{port} && echo hello >&3")
    assert (code, "refused" in err or "unreachable" in err) == (1, True), err


def test_no_socket_of_ours_is_in_reach(tools: Toolset, yard: Yard) -> None:
    """Neither one in a folder, as the tools and the gateway have, nor one without a folder."""
    for name in (str(yard.tmp / "tmp" / "s"), f"\0zwarm-look-{os.getpid()}"):
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(name)
            server.listen()
            code = f"import socket; socket.socket(socket.AF_UNIX).connect({name!r})"
            subprocess.run([sys.executable, "-c", code], check=True)
            shown = base64.b64encode(code.encode()).decode()
            _, out, err = run(tools, f'/usr/bin/python3 -c "$(echo {shown} | base64 -d)" && echo reached')
        assert (out, "FileNotFoundError" in err or "ConnectionRefusedError" in err) == ("", True), err


def test_other_processes_cannot_be_seen_or_ended(tools: Toolset) -> None:
    _, out, _ = run(tools, f"ls /proc | grep -c '^[0-9]'; kill -0 {os.getpid()} && echo reached")
    assert "reached" not in out
    assert int(out.split()[0]) <= 5


def left(mark: str) -> list[str]:
    """The processes of this machine that have `mark` in their command."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            found += [str(path)] if mark.encode() in path.read_bytes() else []
    return found


def test_no_process_is_left(tools: Toolset) -> None:
    """Neither one that holds our streams, nor one that left session, group and parent and heeds no signal."""
    mark = f"98{os.getpid()}"
    hidden = f"setsid nohup sh -c 'trap \"\" INT TERM HUP; sleep {mark}; sleep {mark}' > /dev/null 2>&1 &"
    out = run(
        tools, f"sleep {mark} & for i in 1 2 3; do (env -i {hidden}) ; done; sleep 0.2; ls /proc | grep -c ^[0-9]"
    )[1]
    assert int(out) >= 8, "they did run"
    assert left(mark) == []
    assert run(tools, "trap '' TERM; kill -TERM 0; kill -TERM -1; echo here")[:2] == (0, "here\n")


def test_what_multiplies_is_held_and_ended(tools: Toolset, monkeypatch: pytest.MonkeyPatch) -> None:
    (limit,) = [limit for limit in confine.limits() if limit.what == "processes"]
    assert limit.options, limit.means
    mark = f"99{os.getpid()}"
    monkeypatch.setattr(look, "SECONDS", 1.5)
    with few(limit):
        answer = good(tools.call("bash", {"command": f"f() {{ f | f & }}; f; exec sleep {mark}"}))
    assert (answer["exit_code"], answer["timed_out"]) == (None, True)
    assert "Resource temporarily unavailable" in answer["stderr"]
    assert left(mark) == []


@contextlib.contextmanager
def few(limit: confine.Limit) -> Iterator[None]:
    """Have no more than some processes, that a machine for others is not filled with thousands."""
    what, figure = limit.options
    few = 64 if what == "--group" else int(figure) - 4096 + 64
    with pytest.MonkeyPatch.context() as patch:
        if what == "--processes":
            held = tuple(replace(x, options=(what, str(few))) if x is limit else x for x in confine.limits())
            patch.setattr(confine, "limits", lambda: held)
        else:
            Path(figure, "pids.max").write_text(str(few))
        try:
            yield
        finally:
            if what == "--group":
                Path(figure, "pids.max").write_text("4096")


def test_a_checkout_among_the_systems_programs_is_out_of_sight(
    tools: Toolset, yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in images that keep it in /usr/src."""
    monkeypatch.setattr(look, "_SYSTEM", (*look._SYSTEM, str(yard.tmp), os.environ["HOME"]))
    repo, home = yard.repo.path, os.environ["HOME"]
    code, out, err = run(
        tools, f"git log --format=%s -1; cat {repo}/.env {home}/.codex/auth.json || touch {repo}/x {home}/x"
    )
    assert (code, out) == (1, "ignore\n")
    assert err.count("No such file") == 2
    assert err.count("Read-only file system") == 2


def test_a_look_is_short_and_its_output_bounded(tools: Toolset, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = good(tools.call("bash", {"command": "yes | head -c 5000000; echo end"}))
    assert answer["cut"] is True
    assert len(answer["stdout"]) < look.SHOWN + 100
    monkeypatch.setattr(look, "SECONDS", 0.5)
    answer = good(tools.call("bash", {"command": "sleep 600 & sleep 600"}))
    assert (answer["exit_code"], answer["timed_out"]) == (None, True)


def test_what_a_file_holds_is_said_without_secrets(tools: Toolset, yard: Yard) -> None:
    session = done(tools, "write found.txt ghp_" + "a1B2" * 9 + "\nwrite esc.txt a\x1b[31mred")
    out = run(tools, "cat found.txt esc.txt", session_id=session)[1]
    assert "ghp_" not in out
    assert out == "***\nared\n"


@pytest.fixture
def without_bubblewrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    git = shutil.which("git")
    assert git is not None
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").symlink_to(git)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    look.means.cache_clear()
    yield
    look.means.cache_clear()


@pytest.mark.usefixtures("without_bubblewrap")
def test_namespaces_of_ours_are_the_second_choice(yard: Yard) -> None:
    assert look.means() == look.Means("namespaces")
    assert run(yard.begin(), "git log --format=%s")[1] == "first\n"


@pytest.mark.usefixtures("without_bubblewrap")
def test_where_there_are_no_means_nothing_is_run(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = yard.begin()
    refuser = yard.tmp / "refuser"
    refuser.write_text("#!/bin/sh\necho 'zwarm-ci confine: refused here' >&2\nexit 125\n")
    refuser.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(refuser))
    never = yard.tmp / "never"
    said = bad(tools.call("bash", {"command": f"touch {never}"}))
    assert "no command can be run for looking here: bubblewrap is not installed (apt install bubblewrap); " in said
    assert "namespaces do not work here: refused here (remedy: " in said
    assert not never.exists()
