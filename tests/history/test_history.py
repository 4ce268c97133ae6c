"""`status`, `history`, `cost` and `clean` over runs that end, run, and were killed. Nothing that somebody holds is touched."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import Repo, Said, zwarm
from tests.test_resume import Place, at_the_gate
from zwarm_ci import proc
from zwarm_ci.daybook import opened
from zwarm_ci.reap import tagged


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    if made.gate >= 0:
        os.close(made.gate)


def said(at: Place, *args: str) -> Said:
    found = zwarm(*args, cwd=at.repo.path, **at.env)
    assert found.code == 0, found
    return found


def document(at: Place, *args: str) -> dict[str, Any]:
    found = said(at, *args, "--json").json
    assert found["schema"] == 1
    return found


def test_where_nothing_ever_ran_that_is_said(at: Place) -> None:
    assert said(at, "status").out == "Nothing is running, and nothing waits for you.\n"
    assert said(at, "history").out == "Nothing ran here yet.\n"
    assert said(at, "cost").out.startswith("today $0.00, 7 days $0.00, 30 days $0.00, all $0.00; at most $50.00 a day")
    assert said(at, "clean").out == "Nothing to remove.\n"
    assert document(at, "status") == {"schema": 1, "runs": [], "sessions": []}
    assert document(at, "history") == {"schema": 1, "history": []}
    wrong = zwarm("history", "--kind", "verify", cwd=at.repo.path, **at.env)
    assert (wrong.code, "nothing of the kind 'verify' ran here" in wrong.err) == (2, True)


def test_a_run_while_it_runs_when_it_was_killed_and_when_it_has_ended(at: Place) -> None:
    child = at_the_gate(at)
    run = at.run().name
    (line,) = [text for text in said(at, "status").out.splitlines() if text.startswith(run)]
    assert re.search(
        rf"fix-checks running: tests-1: turn 2 of codex; 1 of 2 tasks fixed, 2 turns, \S+; since .*process {child.pid}",
        line,
    )
    (live,) = document(at, "status")["runs"]
    assert (live["name"], live["state"], live["pid"], live["resumable"]) == (run, "running", child.pid, False)
    assert document(at, "status")["sessions"][0]["state"] == "running"
    assert document(at, "clean", "--keep-days", "0")["removed"] == [], "nothing of a run that runs is touched"
    child.kill()
    child.wait(60)
    (cut,) = document(at, "status")["runs"]
    assert (cut["state"], cut["pid"], cut["resumable"]) == ("cut off", None, True)
    assert f"zwarm-ci resume {run}" in said(at, "status").out
    (at.tmp / "gate").unlink()
    at.gone_on()
    assert document(at, "status")["runs"] == []
    (entry,) = document(at, "history")["history"]
    assert (entry["kind"], entry["name"], entry["state"], entry["exit_code"]) == ("fix-checks", run, "fixed", 0)
    assert (entry["tasks"], entry["solved"], entry["turns"], entry["branch"]) == (2, 2, 3, "zw/one")
    assert document(at, "history", "--kind", "fix-checks")["history"] == [entry]
    assert document(at, "history", "--kind", "session")["history"] == []
    assert "fixed  2/2" in said(at, "history").out


def test_what_happened_to_one_session(at: Place) -> None:
    at.begin("after", "delivering")
    assert document(at, "status")["sessions"] == [], "a run judges by itself what its sessions completed"
    session = next(r["session"] for r in at.records() if r["kind"] == "turn_ended" and r["task"] == "tests-1")
    events = document(at, "history", "--session", session[:6])["events"]
    kinds = [(e["source"], e["kind"]) for e in events if e["source"] == "run"]
    turn = [("run", kind) for kind in ("turn_started", "turn_ended", "turn_left", "verdict")]
    assert kinds == [*turn, *turn]
    assert not any("seal" in e or "document" in e for e in events)
    assert "state completed, turn 2" in said(at, "history", "--session", session).out


def test_cost_by_day_model_and_command(at: Place) -> None:
    assert zwarm(*at.args, cwd=at.repo.path, **at.env).code == 0
    found = document(at, "cost")
    assert found["today_usd"] == pytest.approx(3 * 0.00045)
    assert [d["usd"] for d in found["days"]] == [found["today_usd"]]
    (model,) = found["models"]
    assert (model["executor"], model["model"], model["sessions"], model["turns"]) == (
        "codex",
        "gpt-5.1-codex-mini",
        2,
        3,
    )
    assert model["cost_usd"] == pytest.approx(found["today_usd"])
    (command,) = found["commands"]
    assert (command["command"], command["runs"], command["tasks"], command["solved"]) == ("fix-checks", 1, 2, 2)
    assert command["usd_per_solved"] == pytest.approx(found["today_usd"] / 2)
    assert found["trouble"] is None
    assert "2 of 2" in said(at, "cost").out
    ledger = at.repo.path / ".zwarm/spend.json"
    with opened(ledger) as page:
        assert float(sum(page.days.values())) == pytest.approx(found["today_usd"])
    ledger.write_text("{")
    assert "is not a ledger of ours" in document(at, "cost")["trouble"]
    assert ledger.read_text() == "{", "what cannot be understood is not written over"


def test_clean_removes_what_a_killed_run_left_and_it_can_still_go_on(at: Place) -> None:
    at.begin("after", "turn_left", 2)
    (scratch,) = (at.tmp / "tmp").iterdir()
    foreign = at.tmp / "tmp" / "zw-foreign"
    foreign.mkdir(mode=0o700)
    (foreign / "held").write_bytes(os.fsencode(at.tmp / "another"))
    (at.tmp / "tmp" / "zw-link").symlink_to(scratch)
    before = document(at, "clean", "--dry-run")
    assert [(o["kind"], o["name"]) for o in before["removed"]] == [("worktrees", str(scratch))]
    assert before["bytes"] > 10_000
    assert scratch.is_dir(), "a dry run removes nothing"
    assert re.search(r"worktrees .*, [\d.]+ [kM]B\n[\d.]+ [kM]B freed\n$", said(at, "clean").out)
    assert sorted(p.name for p in (at.tmp / "tmp").iterdir()) == ["zw-foreign", "zw-link"]
    assert document(at, "clean")["removed"] == []
    assert at.gone_on()["status"] == "fixed"
    assert document(at, "clean")["removed"] == []


def test_processes_of_a_killed_run_are_found_and_ended(at: Place) -> None:
    at.begin("after", "surveyed")
    tag = next(r["tag"] for r in at.records() if r["kind"] == "run_started")
    left = subprocess.Popen(
        [sys.executable, "-c", "import signal; signal.pause()"], env={**os.environ, proc.TAG: f"{tag}.7"}
    )
    stranger = subprocess.Popen(
        [sys.executable, "-c", "import signal; signal.pause()"], env={**os.environ, proc.TAG: f"{tag}7"}
    )
    try:
        listed = document(at, "clean", "--dry-run")["removed"]
        assert [(o["kind"], o["count"]) for o in listed if o["kind"] == "processes"] == [("processes", 1)]
        said(at, "clean")
        assert left.wait(60) == -signal.SIGINT or left.returncode == 1
        assert tagged(tag) == []
        assert stranger.poll() is None
    finally:
        for child in (left, stranger):
            child.kill()
            child.wait(60)


def aged(folder: Path, days: float) -> None:
    """Make a run's journal say that it began that long ago."""
    path = folder / "journal.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    lines = [json.dumps({k: v for k, v in r.items() if k != "seal"} | {"at": r["at"] - days * 86400}) for r in records]
    path.write_text("\n".join(lines) + "\n")


def test_old_runs_go_but_those_whose_branch_is_there_and_the_latest(tmp_path: Path) -> None:
    repo = Repo.make(tmp_path / "repo", {"a.txt": "x\n", ".zwarm/config.toml": '[checks.a]\nrun = "true"\n'})
    (tmp_path / "tmp").mkdir()
    names = []
    for _ in range(3):
        found = zwarm("fix-checks", "--json", cwd=repo.path, TMPDIR=str(tmp_path / "tmp"))
        assert found.code == 0, found.err
        names.append(found.json["run"])
    runs = repo.path / ".zwarm/runs"
    for name in names:
        aged(runs / name, 40)
    kept = runs / names[1] / "journal.jsonl"
    kept.write_text(kept.read_text().replace('"branch": null', '"branch": "main"'))
    shutil.copytree(runs / names[0], runs / "20200101-000000-dead")
    (runs / "20200101-000000-dead" / "journal.jsonl").write_text("garbage\n")
    answer = zwarm("clean", "--json", cwd=repo.path).json
    assert [(o["kind"], Path(o["name"]).name, o["why"]) for o in answer["removed"]] == [
        ("run", names[0], "green, 40 days old")
    ]
    assert sorted(p.name for p in runs.iterdir()) == sorted([*names[1:], "latest", "20200101-000000-dead"])
    assert zwarm("clean", "--keep-days", "50", "--json", cwd=repo.path).json["removed"] == []
    states = {e["name"]: e["state"] for e in zwarm("history", "--json", cwd=repo.path).json["history"]}
    assert states["20200101-000000-dead"] == "damaged"


def test_a_place_whose_session_is_gone(at: Place) -> None:
    """Its record was removed by hand; the folder outside has nobody any more."""
    found = zwarm(
        "session",
        "start",
        "--executor",
        "codex:mini",
        "--yes",
        "--task",
        "grep -q right first.txt",
        "--wait",
        cwd=at.repo.path,
        **at.env,
    )
    assert found.code == 0, found.err
    session = found.out.split()[0]
    assert document(at, "clean")["removed"] == []
    shutil.rmtree(at.repo.path / ".zwarm/sessions" / session)
    (gone,) = document(at, "clean")["removed"]
    assert (gone["kind"], gone["why"]) == ("session place", f"session {session} is gone")
    assert list((at.tmp / "tmp").iterdir()) == []


def test_a_hostile_journal_shows_nothing_and_breaks_nothing(at: Place) -> None:
    folder = at.repo.path / ".zwarm/runs/20260101-000000-f00d"
    folder.mkdir(parents=True)
    odd: list[dict[str, Any]] = [
        {"kind": "run_started", "command": "x\x1b]0;evil\x07\n" * 99, "at": "soon", "pid": [], "tag": "zw"}, {"kind": []},
        {"kind": "turn_ended", "cost_usd": "1e999"}, {"kind": "turn_ended", "cost_usd": -5, "session": {}},
        {"kind": "run_ended", "at": 1e300, "tasks": "x"},
    ]  # fmt: skip
    (folder / "journal.jsonl").write_text("\n".join(json.dumps(r) for r in odd) + "\n[1]\nnull\n")
    for command in ("status", "history", "cost", "clean"):
        shown = said(at, command).out
        assert "\x1b" not in shown
        document(at, command)
