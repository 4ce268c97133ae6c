"""An orchestrated run leaves a trace: the host's turns and those of its sessions, in the run's own record of what they used."""

from __future__ import annotations

import pytest

from tests.orchestrator.hosts import CHECKS, JOB, Stage
from tests.orchestrator.yard import Yard
from tests.tracing.receiver import read, receiving


def test_host_and_sessions_are_spans_of_one_trace(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    yard.repo.commit("quick checks", {".zwarm/config.toml": CHECKS})
    stage = Stage(yard)
    stage.script(*JOB)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    with receiving() as made:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.url)
        said = stage.run("--set", "weave.project=team/shop")
    assert said.code == 0, said.err
    assert "weave.project has no effect: WANDB_API_KEY is not set" in said.json["notes"]
    (post,) = made.posts
    root, *below = post.spans
    assert (root.name, read(root.attributes)["zwarm.status"]) == ("invoke_workflow orchestrate", "fixed")
    turns = [read(s.attributes) for s in below if s.parent_span_id != root.span_id]
    assert sorted(str(t["gen_ai.agent.name"]) for t in turns) == ["claude", "codex", "codex"]
    listed = {(a["session"], a["usage"]["output_tokens"]) for t in said.json["tasks"] for a in t["attempts"]}
    assert {(t["gen_ai.conversation.id"], t["gen_ai.usage.output_tokens"]) for t in turns} == listed
    assert b"both are repaired" not in post.body
    assert b"repair add and double" not in post.body
