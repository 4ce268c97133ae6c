"""`bash` looks and does nothing else: what a hostile command tries, and that nothing of it happens."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.orchestrator.yard import RIGHT_ADD, Yard, bad, done, good
from tests.support import belongings
from zwarm_ci.orchestrator import look
from zwarm_ci.orchestrator.tools import Toolset


@pytest.fixture
def tools(yard: Yard) -> Toolset:
    yard.repo.write({".env": "API_KEY=hunter2hunter2\n", "untracked.pem": "secret\n"})
    yard.repo.commit(
        "ignore", {".gitignore": ".zwarm/*\n!.zwarm/config.toml\n.env\n*.pem\n", "docs/ünï code.md": "seen\n"}
    )
    return yard.begin()


def run(tools: Toolset, command: str, **args: str) -> tuple[int, str, str]:
    answer = good(tools.call("bash", {"command": command, **args}))
    return answer["exit_code"], answer["stdout"], answer["stderr"]


def test_what_can_be_seen(tools: Toolset) -> None:
    assert run(tools, "cat docs/*; git log --format=%s; git status --short; git diff HEAD~1 --stat | tail -1")[:2] == (
        0, "seen\nignore\nfirst\n 2 files changed, 3 insertions(+)\n",
    )  # fmt: skip
    session = done(tools, RIGHT_ADD)
    assert "a + b" in run(tools, "cat calc.py", session_id=session)[1]
    assert "a - b" in run(tools, "cat calc.py")[1]
    code, out, err = run(tools, "ls nowhere; exit 3")
    assert (code, out, "No such file" in err) == (3, "", True)


@pytest.mark.parametrize(
    "command",
    [
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
        "chmod u+w . && touch new",
        "python3 -c \"open('calc.py', 'w')\"",
        "echo x > /tmp/x",
        "echo x > /dev/shm/x",
        "echo x > /x",
    ],
)
def test_nothing_is_written(tools: Toolset, yard: Yard, command: str) -> None:
    before, inside = belongings(yard.repo.path), _contents(Path(tools.state.place))
    code, _, err = run(tools, command.format(repo=yard.repo.path, home=os.environ["HOME"]))
    assert code != 0, err
    assert belongings(yard.repo.path) == before
    assert {k: v for k, v in _contents(Path(tools.state.place)).items() if k in inside} == inside
    assert list(Path(os.environ["HOME"]).glob("x")) == []
    assert "a - b" in run(tools, "cat calc.py; ls new 2>/dev/null")[1]


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    "command",
    [
        "cat {repo}/.env {repo}/untracked.pem",
        "cat .env untracked.pem",
        "cat {home}/.codex/auth.json",
        "cat /proc/{pid}/environ",
        "cat /proc/*/environ | tr '\\0' '\\n' | grep -v hidden",
        "env",
        "cat /etc/passwd /etc/shadow",
        "ls {repo}",
        "find / -name auth.json -o -name .env -o -name '*.pem' 2>/dev/null | grep -v ^/usr",
    ],
)
def test_no_secret_is_in_sight(tools: Toolset, yard: Yard, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIDDEN_VARIABLE", "hunter2hunter2")
    text = command.format(repo=yard.repo.path, home=os.environ["HOME"], pid=os.getpid())
    _, out, err = run(tools, text)
    for secret in ("hunter2", "access_token", "secret\n", "root:", "HIDDEN", "auth.json\n"):
        assert secret not in out + err.replace("No such file or directory", ""), out
    assert "No such file" in err or command.startswith(("cat /proc/*", "env", "find", "ls"))


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


def test_other_processes_cannot_be_seen_or_ended(tools: Toolset) -> None:
    _, out, _ = run(tools, f"ls /proc | grep -c '^[0-9]'; kill -0 {os.getpid()} && echo reached")
    assert "reached" not in out
    assert int(out.split()[0]) <= 5


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


def test_where_there_are_no_means_nothing_is_run(
    tools: Toolset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git = shutil.which("git")
    assert git is not None
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").symlink_to(git)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    look.means.cache_clear()
    said = bad(tools.call("bash", {"command": "touch /tmp/never"}))
    look.means.cache_clear()
    assert "no command can be run for looking here: bubblewrap is not installed" in said
