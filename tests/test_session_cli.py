"""The `session` verbs as a user runs them: sessions in processes of their own, with a program that stands in for the CLI and obeys its prompt."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests import gates
from tests.support import Repo, Said, belongings, zwarm
from zwarm_ci import proc, reap
from zwarm_ci.sessions import Store, watch
from zwarm_ci.supervise import Begin

#: Obeys each line of its prompt. Everything that takes time is an event: a FIFO that somebody opens.
CODEX = """#!{python}
import json, os, signal, subprocess, sys
def say(**event):
    print(json.dumps(event), flush=True)
def item(**fields):
    say(type="item.completed", item=dict(id="item_0", **fields))
if "--version" in sys.argv:
    print("codex-cli 0.169.0")
    sys.exit()
tree = sys.argv[sys.argv.index("-C") + 1] if "-C" in sys.argv else os.getcwd()
thread = sys.argv[sys.argv.index("resume") + 1] if "resume" in sys.argv else "0199-thread"
say(type="thread.started", thread_id=thread)
say(type="turn.started")
for line in sys.stdin.read().splitlines():
    verb, _, rest = line.partition(" ")
    if verb == "write":
        name, _, text = rest.partition(" ")
        open(os.path.join(tree, name), "w").write(text + "\\n")
        item(type="file_change", changes=[dict(path=os.path.join(tree, name), kind="update")], status="completed")
    elif verb == "say":
        item(type="agent_message", text=rest)
    elif verb == "hang":
        open(rest).read()
    elif verb == "escape":
        code = "import os, signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGINT, signal.SIG_IGN)\\n"
        code += "open(sys.argv[1], 'w').write(str(os.getpid())); open(sys.argv[2]).read()"
        note, fifo = rest.split()
        ready = subprocess.Popen([sys.executable, "-c", code, note, fifo], start_new_session=True)
        item(type="command_execution", command="escape", aggregated_output="", exit_code=0, status="completed")
    elif verb == "fail":
        say(type="turn.failed", error=dict(message=rest))
        sys.exit(1)
    elif verb == "garbage":
        sys.stdout.buffer.write(b"\\xff\\x00 no json\\n")
        sys.stdout.flush()
say(type="turn.completed", usage=dict(input_tokens=1000, cached_input_tokens=0, cache_write_input_tokens=0, output_tokens=100,
    reasoning_output_tokens=0))
"""


class Place:
    """A repository, a fake CLI and the verbs."""

    def __init__(self, tmp: Path) -> None:
        self.tmp = tmp
        self.repo = Repo.make(tmp / "repo", {"a.py": "one\n", ".gitignore": ".zwarm/\n"})
        self.codex = tmp / "codex"
        self.codex.write_text(CODEX.format(python=sys.executable))
        self.codex.chmod(0o755)
        home = Path(os.environ["HOME"]) / ".codex"
        home.mkdir()
        (home / "auth.json").write_text('{"OPENAI_API_KEY": null, "tokens": {"access_token": "x"}}')
        (tmp / "tmp").mkdir()
        self.store = Store(self.repo.path / ".zwarm")

    @property
    def env(self) -> dict[str, str]:
        return {"ZWARM_CI_CODEX": str(self.codex), "TMPDIR": str(self.tmp / "tmp")}

    def run(self, *args: str) -> Said:
        return zwarm("session", *args, cwd=self.repo.path, **self.env)

    def ok(self, *args: str) -> Said:
        said = self.run(*args)
        assert said.code == 0, said
        return said

    def json(self, *args: str) -> dict[str, Any]:
        document = self.ok(*args, "--json").json
        assert document["schema"] == 1
        return document

    def start(self, task: str, *args: str) -> str:
        return self.ok("start", "--executor", "codex", "--task", task, *args).out.strip()

    def state(self, session_id: str) -> str:
        return self.store.load(session_id).state

    def gate(self) -> AbstractContextManager[Path]:
        """See `gates.gate`."""
        return gates.gate(self.tmp)

    def at_gate(self, session_id: str) -> None:
        """See `gates.at_gate`."""
        gates.at_gate(self.store, session_id)


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    for meta in made.store.all()[0]:  # whatever a test that failed left
        handle = meta.owner.pidfd() if meta.live and meta.owner.pid != os.getpid() else None
        if handle is not None:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            os.close(handle)
        watch.sweep(meta)


def test_a_session_that_is_started_awaited_looked_at_continued_and_ended(at: Place) -> None:
    before = belongings(at.repo.path)
    session_id = at.start("write a.py two\nsay did it")
    waited = at.json("wait", session_id[:5])
    assert [(m["id"], m["state"]) for m in waited["ended"]] == [(session_id, "completed")]
    assert belongings(at.repo.path) == before
    shown = at.json("show", session_id, "--patch")
    assert shown["session"]["attention"] is True
    assert shown["changed"] == [{"path": "a.py", "added": 1, "removed": 1}]
    assert "+two" in shown["patch"]
    assert at.ok("show", session_id, "--patch").out == shown["patch"]
    assert at.json("peek", session_id)["last"]["text"] == "did it"
    said = at.ok("converse", session_id, "write b.py three\nsay more", "--wait").out
    assert said == f"{session_id}  completed  more\n"
    steps = at.json("trajectory", session_id)["steps"]
    assert [s["kind"] for s in steps] == ["told", "file change", "message"] * 2
    assert steps[3]["text"] == "write b.py three\nsay more"
    meta = at.store.load(session_id)
    assert (meta.turn, meta.native) == (2, "0199-thread")
    place = Path(meta.worktree).parent
    ended = at.json("end", session_id, "--verdict", "passed", "--reason", "good")["sessions"][0]
    assert (ended["verdict"], ended["verdict_reason"], ended["attention"]) == ("passed", "good", False)
    assert not place.exists()
    assert "+three" in at.ok("show", session_id, "--patch").out
    refused = at.run("converse", session_id, "more")
    assert (refused.code, "was ended: passed" in refused.err) == (2, True)
    assert at.json("rm", session_id) == {"schema": 1, "removed": [session_id]}
    assert at.json("ls") == {"schema": 1, "sessions": [], "damaged": []}


def test_start_returns_while_it_runs_and_it_outlives_the_terminal(at: Place) -> None:
    with at.gate() as gate:
        session_id = at.start(f"say at the gate\nhang {gate}\nsay through")
        at.at_gate(session_id)
        meta = at.store.load(session_id)
        assert (meta.state, meta.owner.start) == ("running", reap.start_time(meta.owner.pid))
        assert os.getsid(meta.owner.pid) == meta.owner.pid
        os.kill(meta.owner.pid, signal.SIGHUP)
        assert at.run("wait", session_id, "--timeout", "0.1").code == 3
        assert at.run("rm", session_id).code == 2
        assert at.run("end", session_id, "--verdict", "failed").code == 2
        assert at.run("converse", session_id, "x").code == 2
        assert at.run("ack", session_id).code == 2
        assert at.state(session_id) == "running"
    assert watch.until(at.store, [session_id], every=True, timeout=60) == [session_id]
    assert at.store.load(session_id).reason == "through"
    assert "Traceback" not in (at.store.folder(session_id) / "supervise.log").read_text()


def test_kill_ends_it_and_all_that_escaped(at: Place) -> None:
    with at.gate() as gate:
        note = at.tmp / "pid"
        session_id = at.start(f"escape {note} {gate}\nwrite a.py half\nsay at the gate\nhang {gate}")
        at.at_gate(session_id)
        meta = at.store.load(session_id)
        assert len(reap.tagged(meta.tag)) >= 2
        killed = at.json("kill", session_id)["sessions"][0]
        assert (killed["state"], killed["attention"], killed["reason"]) == ("killed", False, "interrupted by SIGTERM")
        assert b"+half" in (at.store.folder(session_id) / "work.patch").read_bytes(), "it ended in good order"
        assert reap.tagged(meta.tag) == []
        assert "+half" in at.ok("show", session_id, "--patch").out
        assert at.run("kill", session_id).code == 2
    assert at.ok("converse", session_id, "say again", "--wait").code == 0


def test_an_owner_that_is_shot_leaves_nothing_alive_after_the_next_verb(at: Place) -> None:
    with at.gate() as gate:
        session_id = at.start(f"say at the gate\nhang {gate}")
        at.at_gate(session_id)
        meta = at.store.load(session_id)
        waiting = subprocess.Popen([sys.executable, "-m", "zwarm_ci", "session", "wait", session_id], cwd=at.repo.path)
        os.kill(meta.owner.pid, signal.SIGKILL)
        assert waiting.wait(60) == 1
        assert at.state(session_id) == "interrupted"
        assert "ended in turn 1 without a word" in at.ok("show", session_id).out
        at.ok("rm", session_id)
        assert reap.tagged(meta.tag) == []
    assert list((at.tmp / "tmp").iterdir()) == []


def test_an_owner_that_does_not_heed_is_killed(at: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_GRACE", 0.2)
    with at.gate() as gate:
        session_id = at.start(f"say at the gate\nhang {gate}")
        at.at_gate(session_id)
        meta = at.store.load(session_id)
        os.kill(meta.owner.pid, signal.SIGSTOP)
        killed = watch.kill(at.store, session_id)
        assert (killed.state, killed.reason) == ("killed", "it did not end when asked to, and was killed")
        assert reap.tagged(meta.tag) == []


def test_logs_follow_until_the_end_and_are_untouched(at: Place) -> None:
    with at.gate() as gate:
        session_id = at.start(f"garbage\nsay at the gate\nhang {gate}")
        at.at_gate(session_id)
        follower = subprocess.Popen(
            [sys.executable, "-m", "zwarm_ci", "session", "logs", "-f", session_id],
            cwd=at.repo.path,
            stdout=subprocess.PIPE,
        )
        assert follower.stdout is not None
        assert b"thread.started" in follower.stdout.readline()
    rest = follower.stdout.read()
    assert follower.wait(60) == 0
    follower.stdout.close()
    assert b"\xff\x00 no json\n" in rest
    assert b"turn.completed" in rest.splitlines()[-1]
    turns = at.json("logs", session_id)["turns"]
    assert [(t["turn"], t["bad_lines"]) for t in turns] == [(1, 1)]
    assert at.run("logs", "-f", "--json", session_id).code == 2


def test_a_turn_that_fails_says_why_and_asks_for_attention(at: Place) -> None:
    said = at.run("start", "--executor", "codex", "--task", "fail no such model", "--wait", "--json")
    assert said.code == 1
    (ended,) = said.json["ended"]
    session_id = ended["id"]
    assert (ended["state"], ended["attention"], "no such model" in ended["reason"]) == ("failed", True, True)
    assert at.ok("ls").out.splitlines()[1].startswith(f"!  {session_id}  failed")
    at.ok("ack", session_id)
    assert at.ok("ls").out.splitlines()[1].split()[:2] == [session_id, "failed"]
    assert at.json("gc")["removed"] == []
    assert at.json("gc", "--keep-days", "0")["removed"] == [session_id]


def test_two_that_talk_to_one_session_at_once(at: Place) -> None:
    session_id = at.start("say hi", "--wait").split()[0]
    with at.gate() as gate:
        argv = [sys.executable, "-m", "zwarm_ci", "session", "converse", session_id, f"hang {gate}"]
        both = [
            subprocess.Popen(argv, cwd=at.repo.path, env={**os.environ, **at.env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for _ in range(2)
        ]  # fmt: skip
        said = [child.communicate(timeout=60) for child in both]
        assert sorted(child.returncode for child in both) == [0, 2], said
        assert any(f"session {session_id} is running".encode() in err for _, err in said)
    assert watch.until(at.store, [session_id], every=True, timeout=60)
    assert at.store.load(session_id).turn == 2


def test_listing_reads_no_event_file(at: Place) -> None:
    """A FIFO in their place would hold up whoever opens it."""
    session_id = at.start("say hi", "--wait").split()[0]
    folder = at.store.folder(session_id)
    for file in (
        folder / "events.jsonl",
        folder / "turns/turn_1.jsonl",
        folder / "supervise.log",
        folder / "work.patch",
    ):
        file.unlink()
        os.mkfifo(file)
    done = subprocess.run(
        [sys.executable, "-m", "zwarm_ci", "session", "ls"],
        cwd=at.repo.path,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert session_id in done.stdout


def test_damage_is_said_and_the_rest_is_listed(at: Place) -> None:
    for name, text in (("0123456789ab", '{"id": "0123'), ("1123456789ab", "[]")):
        (at.store.root / name).mkdir(parents=True)
        (at.store.root / name / "meta.json").write_text(text)
    meta = at.store.create(run="r1", task="tests-1", executor="codex", model="m")
    listed = at.ok("ls").out
    assert meta.id in listed
    assert "? 0123456789ab  the meta.json of session 0123456789ab cannot be read" in listed
    assert [d["id"] for d in at.json("ls")["damaged"]] == ["0123456789ab", "1123456789ab"]
    assert at.run("show", "0123").code == 2
    at.ok("rm", "0123")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("show", "f00"), "no session begins with 'f00'"),
        (("wait", "f00"), "no session begins with 'f00'"),
        (("rm",), "name a session"),
        (("end", "--verdict", "great", "f00"), "great"),
        (("start", "--executor", "codex"), "say what is to be done"),
        (("start", "--task", "x", "--executor", "codex,claude"), "one rung"),
        (("start", "--task", "x", "--executor", "codex:mini", "--model", "max"), "names a model already"),
        (("start", "--task", "x"), "takes no task in words"),
        (("start", "--task", "x", "--base", "HEAD", "--from", "index"), "exclude each other"),
        (("start", "--task", "  "), "the task is empty"),
        (("nonsense",), "No such command"),
    ],
)  # fmt: skip
def test_wrong_usage_is_code_2_and_one_line(at: Place, args: tuple[str, ...], said: str) -> None:
    found = at.run(*args)
    assert found.code == 2, found
    assert said in found.err
    assert len(found.err.strip().splitlines()) == 1
    assert at.store.ids() == []
    assert list((at.tmp / "tmp").iterdir()) == []


def test_an_executor_that_is_not_there_is_blocked(at: Place) -> None:
    at.codex.unlink()
    found = at.run("start", "--executor", "codex", "--task", "x")
    assert (found.code, at.store.ids()) == (4, [])
    assert list(at.store.root.iterdir()) == [], "no log is left either"


def test_who_is_stopped_while_it_starts_one_has_started_none(at: Place) -> None:
    """^C on `start`: its end of the socket closes before the session has said that it runs."""
    order = Begin(str(at.repo.path), str(at.store.root.parent), "write a.py two", sets=("executor.adapter=codex",))
    at.store.root.mkdir(parents=True)
    log = at.store.root / ".start-x.log"
    log.touch()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        child = subprocess.Popen(
            [sys.executable, "-m", "zwarm_ci.supervise", str(theirs.fileno()), str(log)],
            pass_fds=(theirs.fileno(),),
            env={**os.environ, **at.env},
        )
        theirs.close()
        line = ours.makefile("rw", encoding="utf-8")
        line.write(json.dumps(asdict(order)) + "\n")
        line.flush()
        assert "ask" in json.loads(line.readline())
        line.write('{"yes": true}\n')
        line.close()
    assert child.wait(60) == 143
    (meta,), _ = at.store.all()
    assert meta.state == "killed"
    assert not at.store.turn_file(meta, 1).exists() or b"file_change" not in at.store.turn_file(meta, 1).read_bytes()
    assert at.json("show", meta.id)["changed"] == []


def test_waiting_for_nothing_is_done(at: Place) -> None:
    assert at.json("wait") == {"schema": 1, "ended": [], "running": [], "timed_out": False}
    assert at.ok("ls").out.split() == ["id", "state", "turn", "who", "cost", "what"]


def test_wait_any_comes_back_with_the_first(at: Place) -> None:
    with at.gate() as gate:
        slow = at.start(f"hang {gate}")
        quick = at.start("say quick")
        waited = at.json("wait", slow, quick, "--any")
        assert ([m["id"] for m in waited["ended"]], waited["running"], waited["timed_out"]) == ([quick], [slow], False)
        late = at.run("wait", "--timeout", "0.2", "--json")
        assert (late.code, late.json["running"], late.json["timed_out"]) == (3, [slow], True)
    assert at.run("wait", slow, quick).code == 0


def test_nothing_of_a_session_is_left_when_it_has_ended(at: Place) -> None:
    session_id = at.start("say hi", "--wait").split()[0]
    meta = at.store.load(session_id)
    assert reap.tagged(meta.tag) == []
    assert meta.owner.pidfd() is None or not at.store.is_run(session_id)
    assert proc.TAG not in os.environ


def test_standard_input_is_read_where_it_is_asked_for(at: Place) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "zwarm_ci", "session", "start", "--executor", "codex", "--task", "-", "--wait"], cwd=at.repo.path,
        env={**os.environ, **at.env}, input=b"say from standard input", capture_output=True, check=True,
    )  # fmt: skip
    assert b"completed  from standard input" in done.stdout
    assert at.json("show", done.stdout.split()[0].decode())["session"]["title"] == "say from standard input"
