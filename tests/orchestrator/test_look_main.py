"""The room of our own, as root and as a user: what a process in it is and may, how it ends, and what is said where it cannot be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.confine.hosts import Host, as_another, as_me
from zwarm_ci.confine import discard
from zwarm_ci.orchestrator import look


@pytest.fixture(params=[as_me, as_another])
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    folder = Path(tempfile.mkdtemp(prefix="look-"))  # pytest's own folders are closed to other users
    try:
        yield request.param(folder)
    finally:
        discard(folder)


def room(host: Host, *more: look.Part, folder: Path | None = None) -> list[str]:
    """The prefix as it is for them: their interpreter, and the package where they see it."""
    parts = [*look._parts((), [host.folder]), *more]
    words = look.room("namespaces", parts, folder or host.folder)
    boot = words.index(look._BOOT)
    return [host.python, *words[1 : boot + 1], host.library, *words[boot + 2 :]]


def said(host: Host, script: str, *more: look.Part) -> tuple[int, list[str], str]:
    done = host.do([*room(host, *more), "/bin/sh", "-c", script])
    return done.returncode, done.stdout.splitlines(), done.stderr


def test_nobody_in_it_has_a_right_or_gets_one(host: Host) -> None:
    code, out, err = said(
        host,
        "grep -c '^Cap.*0000000000000000$' /proc/self/status; grep NoNewPrivs /proc/self/status;"
        "cat /proc/sys/user/max_user_namespaces; unshare --user true; cat /proc/1/environ",
    )
    assert (code, out) == (1, ["5", "NoNewPrivs:\t1", "0"])
    assert "unshare failed: No space left on device" in err
    assert "/proc/1/environ: Permission denied" in err


def test_all_of_it_is_read_only(host: Host) -> None:
    host.plant("file")
    _, out, err = said(
        host,
        "cat top/file; echo; echo 2 > top/file; mkdir top/new; cut -d' ' -f6 /proc/self/mountinfo | grep -cv '^ro,'",
    )
    assert out == ["1", "0"]
    assert err.count("Read-only file system") == 2
    assert (host.folder / "top" / "file").read_text() == "1"


def test_what_is_hidden_stays_hidden_where_something_in_it_is_shown(host: Host) -> None:
    top = host.plant("secret", "in/shown", "in/deep/secret")
    more: list[look.Part] = [("hide", top), ("show", top / "in"), ("hide", top / "in" / "deep")]
    _, out, err = said(host, "find top -type f; echo x > top/x; echo x > top/in/deep/x", *more)
    assert out == ["top/in/shown"]
    assert err.count("Read-only file system") == 2


def test_links_are_what_they_were_and_lead_to_what_is_shown_only(host: Host) -> None:
    top = host.plant("here", "away")
    host.do(["ln", "-s", "here", "top/near"])
    host.do(["ln", "-s", "/etc/hostname", "top/far"])
    _, out, err = said(host, f"readlink /bin; cat {top}/near; cat {top}/far")
    assert out[-1] == "1"
    assert "No such file" in err


def test_it_ends_as_the_command_does(host: Host) -> None:
    assert said(host, "exit 3")[0] == 3
    assert said(host, "kill -TERM $$")[0] == 128 + signal.SIGTERM
    assert said(host, "(setsid sleep 600 &) ; sleep 600 & echo end")[:2] == (0, ["end"])


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_whoever_made_it(host: Host, signum: signal.Signals) -> None:
    """All that is in it, whatever it heeds: the stream ends when the last of them has."""
    script = "trap '' INT TERM HUP; setsid sleep 600 & echo up; sleep 600"
    with subprocess.Popen(
        [*host.wrap, *room(host), "/bin/sh", "-c", script], cwd=host.folder, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"up\n"
            os.kill(process.pid, signum)
            rest, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, rest, err) == (-signum, b"", b"")


def test_a_machine_without_user_namespaces_is_said(host: Host) -> None:
    never = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    wrap = ["unshare", "--user", "--map-root-user", "sh", "-c", never, "sh"]
    done = host.do([*wrap, *room(host), "/bin/sh", "-c", "echo begun"])
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr == "zwarm-ci confine: unshare: No space left on device\n"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda words: [w if w != "--show" else "--see" for w in words], "--see: no option"),
        (lambda words: [*words[: words.index("--folder")], "--"], "--folder PATH and -- COMMAND"),
        (lambda words: [*words[:-1], "--show", "/nowhere", "--"], "/nowhere: No such file or directory"),
        (lambda words: [w if w != "--folder" else "--hide" for w in words], "--folder PATH and -- COMMAND"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_begins(
    host: Host, change: Callable[[list[str]], list[str]], why: str
) -> None:
    done = host.do([*change(room(host)), "/bin/sh", "-c", "echo begun"])
    assert (done.returncode, done.stdout) == (125, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("zwarm-ci confine: ")
    assert why in line


def test_a_folder_out_of_sight_is_said(host: Host) -> None:
    done = host.do([*room(host, folder=Path(sys.prefix).resolve() / "nowhere"), "/bin/sh", "-c", "echo begun"])
    assert (done.returncode, done.stdout) == (125, "")
    assert "nowhere: No such file or directory" in done.stderr
