"""Whole runs with a trace: the exit code is the run's own, the repository chooses no receiver, and nobody loads what is not on."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import Repo, zwarm
from tests.tracing.receiver import read, receiving, refusing

CHECKS = """\
[checks.made]
run = "test -f made"
fix = "touch made"
[verify]
reruns = 1
burn_in = 1
"""


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repo:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    return Repo.make(tmp_path / "shop", {".zwarm/config.toml": CHECKS, "a.txt": "a\n"})


def test_a_run_and_a_verification_leave_a_trace_each(repo: Repo) -> None:
    with receiving() as made:
        fixed = zwarm("fix-checks", "--json", "--branch", "b", cwd=repo.path, OTEL_EXPORTER_OTLP_ENDPOINT=made.url)
        verified = zwarm("verify", "b", "--json", cwd=repo.path, OTEL_EXPORTER_OTLP_ENDPOINT=made.url)
    assert (fixed.code, verified.code) == (0, 0), (fixed, verified)
    for said, post in zip((fixed, verified), made.posts, strict=True):
        root, *below = post.spans
        given = read(root.attributes)
        assert (given["zwarm.run"], given["zwarm.status"]) == (said.json["run"], said.json["status"])
        assert not any("trace" in note for note in said.json["notes"])
        names = {s.name for s in below if s.parent_span_id != root.span_id}
        assert names <= {"attempt embedded", "attempt"}
    root, task, turn = made.posts[0].spans
    assert (read(task.attributes)["zwarm.method"], read(turn.attributes)["zwarm.verdict"]) == ("fixer", "fixed")
    (journal,) = repo.path.glob(f".zwarm/runs/{fixed.json['run']}/journal.jsonl")
    (begun,) = (r["at"] for r in map(json.loads, journal.read_text().splitlines()) if r["kind"] == "turn_started")
    assert turn.start_time_unix_nano == round(begun * 1_000_000_000)
    assert root.start_time_unix_nano <= task.start_time_unix_nano <= turn.start_time_unix_nano
    assert turn.end_time_unix_nano <= task.end_time_unix_nano <= root.end_time_unix_nano


def test_a_receiver_that_refuses_changes_no_runs_end(repo: Repo) -> None:
    with receiving(refusing(400)) as made:
        said = zwarm("fix-checks", "--json", cwd=repo.path, OTEL_EXPORTER_OTLP_ENDPOINT=made.url)
    assert (said.code, said.json["status"], len(made.posts)) == (0, "fixed", 1)
    assert said.json["notes"][-1] == "trace not sent to the OpenTelemetry endpoint: HTTP 400 Bad Request"
    assert said.json == json.loads((repo.path / ".zwarm/runs/latest/outcome.json").read_text())


def test_a_project_of_weaves_without_a_key_is_said_and_its_setting_is_checked(repo: Repo) -> None:
    said = zwarm("fix-checks", "--set", "weave.project=team/shop", cwd=repo.path)
    assert said.code == 0
    assert "weave.project has no effect: WANDB_API_KEY is not set" in said.out
    wrong = zwarm("fix-checks", "--set", "weave.project=shop", cwd=repo.path)
    assert wrong.code == 2
    assert "weave.project must be a project of Weave's: TEAM/NAME" in wrong.err


def test_the_repository_chooses_no_receiver(repo: Repo) -> None:
    with receiving() as made:
        lines = f"OTEL_EXPORTER_OTLP_ENDPOINT={made.url}\nWF_TRACE_SERVER_URL={made.url}\nWANDB_API_KEY=0123456789\n"
        listed = "OTEL_EXPORTER_OTLP_ENDPOINT", "WF_TRACE_SERVER_URL", "WANDB_API_KEY"
        asked = f"{CHECKS}[weave]\nproject = 'team/shop'\n".replace("[verify]", f"env = {json.dumps(listed)}\n[verify]")
        repo.commit("wishes", {".env": lines, ".zwarm/.env": lines, ".zwarm/config.toml": asked})
        said = zwarm("fix-checks", "--json", cwd=repo.path)
    assert said.code == 0, said
    assert said.json["notes"][-1] == "weave.project has no effect: WANDB_API_KEY is not set"
    assert made.posts == []


@pytest.mark.parametrize("on", [False, True], ids=["off", "on"])
def test_no_run_loads_opentelemetry_itself(repo: Repo, on: bool) -> None:
    with receiving() as made:
        env = {**os.environ, **({"OTEL_EXPORTER_OTLP_ENDPOINT": made.url} if on else {})}
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "zwarm_ci", "fix-checks"], cwd=repo.path, env=env,
            capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    loaded = set(re.findall(r"^import time:.*\|\s*([\w.]+)$", done.stderr, re.MULTILINE))
    assert "zwarm_ci.tracing.export" in loaded
    assert not {name for name in loaded if name.startswith("opentelemetry")}
    assert len(made.posts) == on
