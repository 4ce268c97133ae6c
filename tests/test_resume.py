"""Runs that are killed with -9, or interrupted, and go on: the same end, no finished turn paid twice. Real processes, real git."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import Repo, Said, belongings, zwarm
from zwarm_ci import journal
from zwarm_ci.sessions import Store

#: Repairs the check that its prompt names; `second.txt` only after verification has refused its first edit. Writes down each turn
#: when it begins and when it has ended. Where a file `gate` lies beside it, its second turn waits there.
CODEX = """#!{python}
import json, os, re, sys
from pathlib import Path
here = Path(__file__).resolve().parent
def say(**event):
    print(json.dumps(event), flush=True)
def note(text):
    with (here / "turns").open("a") as file:
        file.write(text + "\\n")
if "--version" in sys.argv:
    print("codex-cli 0.169.0")
    sys.exit()
tree = Path(sys.argv[sys.argv.index("-C") + 1])
prompt = sys.stdin.read()
native = sys.argv[sys.argv.index("resume") + 1] if "resume" in sys.argv else ""
thread = native or "thread-" + re.search(r"grep -q \\w+ (\\w+)", prompt)[1]
name = thread.removeprefix("thread-")
rollouts = Path(os.environ["CODEX_HOME"], "sessions/2026/01/01")
rollouts.mkdir(parents=True, exist_ok=True)
known = rollouts / f"rollout-1-{{thread}}.jsonl"
assert bool(native) == known.exists(), "the conversation that goes on is there"
known.touch()
note(f"began {{name}} {{tree}}")
say(type="thread.started", thread_id=thread)
say(type="turn.started")
if native and (here / "gate").exists():
    say(type="item.completed", item=dict(id="1", type="agent_message", text="at the gate"))
    (here / "gate").open().read()
text = "wrong" if name == "second" and not native else "right"
assert not native or (tree / f"{{name}}.txt").read_text() == "wrong\\n", "the worktree is as the last turn left it"
(tree / f"{{name}}.txt").write_text(text + "\\n")
say(type="item.completed", item=dict(id="2", type="agent_message", text="done"))
say(type="turn.completed", usage=dict(input_tokens=2000 if native else 1000, cached_input_tokens=0, cache_write_input_tokens=0,
    output_tokens=200 if native else 100, reasoning_output_tokens=0))
note(f"ended {{name}}")
"""
#: What is a test comes after what is none.
CONFIG = """
[checks.first]
run = "grep -q right first.txt"
[checks.tests]
run = "grep -q right second.txt"
kind = "generic"
"""
PRICE = 0.00045  # dollars of 1000 tokens in and 100 out of gpt-5.1-codex-mini
CUT = Path(__file__).parent / "fakes" / "cut.py"


class Place:
    """A repository with two red checks, a fake CLI that repairs them in three turns, and a run of it."""

    def __init__(self, tmp: Path) -> None:
        self.tmp, self.gate = tmp, -1
        self.repo = Repo.make(tmp / "repo", {"first.txt": "red\n", "second.txt": "red\n", ".zwarm/config.toml": CONFIG})
        self.codex = tmp / "codex"
        self.codex.write_text(CODEX.format(python=sys.executable))
        self.codex.chmod(0o755)
        home = Path(os.environ["HOME"]) / ".codex"
        home.mkdir(exist_ok=True)
        (home / "auth.json").write_text('{"OPENAI_API_KEY": null, "tokens": {"access_token": "x"}}')
        (tmp / "tmp").mkdir()
        self.env = {"ZWARM_CI_CODEX": str(self.codex), "TMPDIR": str(tmp / "tmp")}
        # What is repaired is a file that a test reads, and nothing else; that is what it is for here.
        self.args = tuple(
            "fix-checks --executor codex:mini --yes --parallel 1 --branch zw/one --allow-test-edits --json".split()
        )

    def begin(self, when: str, kind: str, number: int = 1, *args: str) -> None:
        """Make the run and kill it there."""
        done = subprocess.run(
            [sys.executable, str(CUT), when, kind, str(number), *self.args, *args], cwd=self.repo.path,
            env={**os.environ, **self.env}, stdin=subprocess.DEVNULL, capture_output=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()

    def resume(self, *args: str) -> Said:
        return zwarm("resume", "--yes", "--json", *args, cwd=self.repo.path, **self.env)

    def gone_on(self, *args: str) -> dict[str, Any]:
        said = self.resume(*args)
        assert said.code == 0, said.err
        return said.json

    @property
    def turns(self) -> list[str]:
        """`began NAME`, `ended NAME` in order."""
        notes = (self.tmp / "turns").read_text().splitlines() if (self.tmp / "turns").exists() else []
        return [" ".join(note.split()[:2]) for note in notes]

    def run(self) -> Path:
        """The one run's folder."""
        (folder,) = (p for p in (self.repo.path / ".zwarm/runs").iterdir() if not p.is_symlink())
        return folder

    def records(self) -> list[dict[str, Any]]:
        return list(journal.read(self.run() / "journal.jsonl"))

    def end(self) -> tuple[str, str]:
        """What is on the branch: its tree, and the subjects and the trailers that are the same for the same facts."""
        log = self.repo.git("log", "--format=%s%n%b", "main..zw/one")
        kept = [line for line in log.splitlines() if not line.startswith(("Zwarm-Run", "Zwarm-Cost", "Zwarm-Verified"))]
        return self.repo.git("rev-parse", "zw/one^{tree}"), "\n".join(kept)


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    if made.gate >= 0:
        os.close(made.gate)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The end of a run that nobody interrupts."""
    tmp = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        place = Place(tmp)
        said = zwarm(*place.args, cwd=place.repo.path, **place.env)
        assert said.code == 0, said.err
        assert place.turns == THREE
        yield place.end()


THREE = ["began first", "ended first", "began second", "ended second", "began second", "ended second"]
#: Where it is killed -> the turns that were made by then.
POINTS = {
    ("after", "based", 1): 0,
    ("after", "surveyed", 1): 0,
    ("half", "surveyed", 1): 0,
    ("after", "turn_started", 1): 0,
    ("before", "turn_ended", 1): 1,
    ("half", "turn_ended", 3): 3,
    ("after", "turn_ended", 1): 1,
    ("before", "turn_left", 2): 2,
    ("after", "turn_left", 2): 2,
    ("half", "verdict", 2): 2,
    ("after", "verdict", 1): 1,
    ("after", "verdict", 3): 3,
    ("after", "delivering", 1): 3,
    ("before", "run_ended", 1): 3,
}


@pytest.mark.parametrize("point", POINTS, ids=lambda p: f"{p[0]}-{p[1]}-{p[2]}")
def test_killed_anywhere_it_comes_to_the_same_end(
    at: Place, whole: tuple[str, str], point: tuple[str, str, int]
) -> None:
    before = belongings(at.repo.path)
    at.begin(*point)
    assert at.turns == THREE[: 2 * POINTS[point]]
    outcome = at.gone_on()
    assert outcome["status"] == "fixed"
    assert at.turns == THREE, "each turn was made, and paid for, once"
    assert at.end() == whole
    assert outcome["cost_usd"] == pytest.approx(3 * PRICE)
    assert [len(t["attempts"]) for t in outcome["tasks"]] == [1, 2] if point[1] != "turn_started" else [2, 2]
    assert belongings(at.repo.path, but=("zw/one",)) == before
    assert list((at.tmp / "tmp").iterdir()) == [], "nothing of the killed process is left"
    assert list((at.repo.path / ".zwarm/resume").iterdir()) == []
    ended = [r["session"] for r in at.records() if r["kind"] == "turn_ended"]
    assert len(set(ended)) == 2, "no session twice"
    kinds = [r["kind"] for r in at.records()]
    assert (kinds.count("surveyed"), kinds.count("verdict")) == (1, 3), "nothing was looked at or judged twice"


def at_the_gate(at: Place) -> subprocess.Popen[bytes]:
    """A run whose third turn waits at a gate."""
    gate = at.tmp / "gate"
    os.mkfifo(gate)
    child = subprocess.Popen(
        [sys.executable, "-m", "zwarm_ci", *at.args], cwd=at.repo.path, env={**os.environ, **at.env},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    at.gate = os.open(
        gate, os.O_WRONLY
    )  # opens when the other end is; held, so that who reads does not come to its end
    return child


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGINT], ids=lambda s: s.name)
def test_cut_off_in_a_turn_just_that_turn_is_made_again(
    at: Place, whole: tuple[str, str], signum: signal.Signals
) -> None:
    child = at_the_gate(at)
    child.send_signal(signum)
    assert child.wait(60) == (-signum if signum == signal.SIGKILL else 130)
    (at.tmp / "gate").unlink()
    session = next(r["session"] for r in reversed(at.records()) if r["kind"] == "turn_started")
    outcome = at.gone_on()
    assert at.turns == [*THREE[:5], *THREE[4:]]
    assert at.end() == whole
    second = outcome["tasks"][1]
    assert [(a["session"], a["turn"], a["verdict"]) for a in second["attempts"]] == [
        (session, 1, "still_failing"), (session, 2, "interrupted"), (session, 2, "fixed")
    ]  # fmt: skip
    trees = [note.split()[2] for note in (at.tmp / "turns").read_text().splitlines() if note.startswith("began second")]
    assert len(set(trees)) == 1, "the CLI goes on in the folder that its conversation knows"
    if signum == signal.SIGKILL:
        assert second["attempts"][1]["cost_usd"] is None
        assert any("lower bound" in note for note in outcome["notes"])


def test_killed_again_and_again_it_still_comes_to_the_end(at: Place, whole: tuple[str, str]) -> None:
    at.begin("after", "turn_left", 1)
    for point in (("after", "verdict", 1), ("before", "turn_left", 1), ("after", "turn_started", 1)):
        done = subprocess.run(
            [sys.executable, str(CUT), *map(str, point), "resume", "--yes"], cwd=at.repo.path, env={**os.environ, **at.env},
            stdin=subprocess.DEVNULL, capture_output=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    outcome = at.gone_on()
    assert at.turns == THREE
    assert at.end() == whole
    assert sum("not made again" in note for note in outcome["notes"]) == 1


def test_uncommitted_work_is_the_base_though_the_tree_and_head_are_others_now(at: Place) -> None:
    at.repo.write({"notes.txt": "mine\n"})
    at.begin("after", "turn_left", 2)
    at.repo.write({"notes.txt": "newer\n"})
    at.repo.git("commit", "-q", "-a", "--allow-empty", "-m", "further")
    outcome = at.gone_on()
    assert outcome["status"] == "fixed"
    assert at.turns == THREE
    assert at.repo.git("show", "zw/one:notes.txt") == "mine"
    assert outcome["source_head"] == at.repo.git("rev-parse", "HEAD^")
    assert any(note.startswith("HEAD was") for note in outcome["notes"])


def test_the_money_that_was_spent_counts(at: Place) -> None:
    at.begin("after", "turn_left", 1, "--budget-usd", "0.0004")
    said = at.resume()
    assert said.code == 3, said.err
    assert at.turns == THREE[:2]
    assert said.json["status"] == "stopped"


def test_a_raised_limit_lets_it_go_on(at: Place) -> None:
    at.begin("after", "turn_left", 1, "--budget-usd", "0.0004")
    assert at.gone_on("--set", "budget.usd=1")["status"] == "fixed"


def test_other_settings_than_limits_are_refused_and_nothing_is_lost(at: Place, whole: tuple[str, str]) -> None:
    at.begin("after", "turn_left", 1)
    before = at.records()
    said = at.resume("--set", "loop.turns=7")
    assert said.code == 2
    assert "loop.turns is another than when the run began (--set)" in said.err
    assert at.records() == before
    at.gone_on()
    assert at.end() == whole


def test_what_cannot_go_on_is_refused_in_words(at: Place) -> None:
    said = at.resume()
    assert (said.code, "no run was cut off here" in said.err) == (2, True)
    assert zwarm(*at.args, cwd=at.repo.path, **at.env).code == 0
    said = at.resume(at.run().name)
    assert said.code == 2
    assert f"run {at.run().name} has ended: fixed (zwarm-ci report {at.run().name})" in said.err
    assert "no run begins with 'x'" in at.resume("x").err


def test_a_run_that_runs_is_not_made_twice(at: Place) -> None:
    child = at_the_gate(at)
    said = at.resume(at.run().name)
    assert (said.code, f"run {at.run().name} is running" in said.err) == (2, True)
    assert "no run was cut off here" in at.resume().err
    child.send_signal(signal.SIGINT)
    assert child.wait(60) == 130


def test_a_journal_that_is_not_ours_is_not_gone_on_with(at: Place) -> None:
    at.begin("after", "verdict", 1)
    path = at.run() / "journal.jsonl"
    text = path.read_text()
    lines = text.splitlines()
    forged = json.loads(lines[0]) | {"head": "0" * 40}
    path.write_text("\n".join([json.dumps(forged), *lines[1:]]) + "\n")
    said = at.resume()
    assert said.code == 2
    assert "was not written by you on this machine" in said.err
    other = at.run().with_name("20260101-000000-beef")
    shutil.copytree(at.run(), other)
    (other / "journal.jsonl").write_text(text)
    assert "was not written by you on this machine" in at.resume(other.name).err
    assert at.turns == THREE[:2]


def test_a_verdict_that_somebody_wrote_is_not_believed(at: Place, whole: tuple[str, str]) -> None:
    """What bears no seal is as if it were not there: the turn is judged."""
    at.begin("after", "verdict", 1)
    path = at.run() / "journal.jsonl"
    *before, last = path.read_text().splitlines()
    path.write_text("\n".join([*before, json.dumps(json.loads(last) | {"tree": "0" * 40})]) + "\n")
    at.gone_on()
    assert at.end() == whole
    assert sum(r["kind"] == "verdict" and r["task"] == "first-1" for r in at.records()) == 2


def test_what_was_kept_and_is_damaged_is_said(at: Place) -> None:
    at.begin("after", "turn_left", 1)
    (pack,) = (at.repo.path / ".zwarm/resume").glob("*/*.pack")
    pack.write_bytes(b"PACK")
    said = at.resume()
    assert (said.code, "what it had kept is damaged" in said.err) == (2, True)


def test_a_session_that_was_removed_is_said(at: Place) -> None:
    at.begin("after", "turn_left", 1)
    (meta,) = Store(at.repo.path / ".zwarm").all()[0]
    shutil.rmtree(Store(at.repo.path / ".zwarm").folder(meta.id))
    said = at.resume()
    assert (said.code, f"session {meta.id} has no meta.json" in said.err) == (2, True)


def test_without_the_old_scratch_folder_it_goes_on(at: Place, whole: tuple[str, str]) -> None:
    """A restart of the machine may have emptied it."""
    at.begin("after", "turn_left", 2)
    for folder in (at.tmp / "tmp").iterdir():
        shutil.rmtree(folder)
    at.gone_on()
    assert at.turns == THREE
    assert at.end() == whole
