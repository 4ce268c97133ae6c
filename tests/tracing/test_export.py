"""Traces that really leave: to a collector, to Weave, to both; and receivers that refuse, are silent, or are not there."""

from __future__ import annotations

import base64
import json
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.outcomes import OUTCOMES
from tests.tracing.receiver import Handler, Receiver, read, receiving, refusing
from zwarm_ci import __version__, proc
from zwarm_ci.tracing import sending
from zwarm_ci.tracing.export import destinations, exported
from zwarm_ci.tracing.sending import SECONDS

OUTCOME = OUTCOMES["paid"]
KEY, TOKEN = "wandb-key-0123456789", "collector-token-0123456789"
NOTE = "trace not sent to the OpenTelemetry endpoint: "


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as made:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.url)
        yield made


@pytest.fixture
def weave(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as made:
        monkeypatch.setenv("WF_TRACE_SERVER_URL", made.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        yield made


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of this machine is between us and loopback."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")


def notes(folder: Path, project: str = "") -> tuple[str, ...]:
    """The notes that sending added to a run's."""
    found = exported(OUTCOME, folder, project)
    assert replace(found, notes=OUTCOME.notes) == OUTCOME, "nothing else of the run is another"
    assert found.notes[: len(OUTCOME.notes)] == OUTCOME.notes
    return found.notes[len(OUTCOME.notes) :]


def test_without_a_receiver_nothing_is_done(tmp_path: Path) -> None:
    assert destinations({}, "") == ([], [])
    assert exported(OUTCOME, tmp_path, "") is OUTCOME
    assert not list(tmp_path.iterdir())


def test_a_collector_gets_the_run_as_it_was(
    collector: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization=Bearer%20{TOKEN}")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=ci")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    lines = [
        {"schema": 1, "at": 1_000_000_000.25, "kind": "turn_started", "session": "s1", "turn": 1},
        {"schema": 1, "at": 5.0, "kind": "turn_ended", "session": "s1", "turn": 1},
        {"schema": 1, "at": "soon", "kind": "turn_started", "session": "s1", "turn": 1},
    ]
    (tmp_path / "journal.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert notes(tmp_path) == ()
    (post,) = collector.posts
    assert (post.path, post.headers["authorization"]) == ("/v1/traces", f"Bearer {TOKEN}")
    assert post.resource["service.name"] == "zwarm-ci"
    assert post.resource["service.version"] == __version__
    assert post.resource["deployment.environment.name"] == "ci"
    root, task, turn = post.spans
    assert [root.parent_span_id, task.parent_span_id, turn.parent_span_id] == [b"", root.span_id, task.span_id]
    assert root.trace_id == task.trace_id == turn.trace_id
    assert [s.status.code for s in post.spans] == [1, 1, 1]
    assert (turn.name, turn.start_time_unix_nano) == ("invoke_agent codex", 1_000_000_000_250_000_000)
    given = read(turn.attributes)
    assert given["gen_ai.usage.input_tokens"] == 6000
    assert given["gen_ai.request.model"] == "gpt-5.1-codex-mini"
    assert read(root.attributes)["zwarm.cost_usd"] == 0.0123
    assert KEY.encode() not in post.body
    assert KEY not in str(post.headers)


def test_a_service_has_the_name_that_its_owner_gave_it(
    collector: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "repairs")
    assert notes(tmp_path) == ()
    assert collector.posts[0].resource["service.name"] == "repairs"


def test_a_failed_run_is_an_error(collector: Receiver, tmp_path: Path) -> None:
    assert exported(OUTCOMES["not_fixed"], tmp_path, "") is OUTCOMES["not_fixed"]
    root, task, turn = collector.posts[0].spans
    assert [s.status.code for s in (root, task, turn)] == [2, 2, 2]
    assert read(root.attributes)["error.type"] == "not_fixed"


def test_weave_takes_the_same_and_is_told_nothing_of_another_receiver(
    collector: Receiver, weave: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"x-token={TOKEN}")
    assert notes(tmp_path, "team/my shop") == ()
    (post,), (other,) = weave.posts, collector.posts
    assert (post.path, post.headers["project_id"]) == ("/otel/v1/traces", "team/my shop")
    login = post.headers["authorization"].removeprefix("Basic ")
    assert base64.b64decode(login).decode() == f"api:{KEY}"
    assert (post.resource["wandb.entity"], post.resource["wandb.project"]) == ("team", "my shop")
    assert post.spans == other.spans
    assert "x-token" not in post.headers
    assert other.headers["x-token"] == TOKEN
    assert not {"authorization", "project_id"} & other.headers.keys()
    assert not any(secret.encode() in p.body for p in (post, other) for secret in (KEY, TOKEN, login))


def test_a_process_that_sends_knows_its_own_receiver_only() -> None:
    environ = {
        "WANDB_API_KEY": KEY, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": f"a={TOKEN}",
        "OPENAI_API_KEY": "sk-of-a-model", "https_proxy": "http://p", "PATH": "/bin", "PYTHONPATH": "/elsewhere",
    }  # fmt: skip
    (collector, weave), said = destinations(environ, "a/b")
    assert said == []
    assert collector.env.keys() == {
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        "https_proxy",
        "PATH",
    }
    names = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_RESOURCE_ATTRIBUTES"}
    assert weave.env.keys() == names | {"https_proxy", "PATH"}
    assert TOKEN not in str(weave.env)
    assert TOKEN in collector.secrets


@pytest.mark.parametrize(
    ("server", "url"),
    [
        ({}, "https://trace.wandb.ai/otel/v1/traces"),
        ({"WANDB_BASE_URL": "https://api.wandb.ai/"}, "https://trace.wandb.ai/otel/v1/traces"),
        ({"WANDB_BASE_URL": "https://acme.wandb.io/"}, "https://acme.wandb.io/traces/otel/v1/traces"),
        (
            {"WANDB_BASE_URL": "https://acme.wandb.io", "WF_TRACE_SERVER_URL": "https://t.example/"},
            "https://t.example/otel/v1/traces",
        ),
    ],
    ids=["cloud", "cloud, named", "own", "own server for traces"],
)
def test_where_weave_is_only_its_own_variables_say(server: dict[str, str], url: str) -> None:
    (to,), said = destinations({**server, "WANDB_API_KEY": KEY}, "a/b")
    assert (to.env["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"], said) == (url, [])


@pytest.mark.parametrize(
    ("environ", "project", "said"),
    [
        ({}, "a/b", "weave.project has no effect: WANDB_API_KEY is not set"),
        ({"WANDB_API_KEY": KEY, "OTEL_SDK_DISABLED": "True"}, "a/b", "weave.project has no effect: OTEL_SDK_DISABLED is true"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "",
            "trace not sent: OTEL_EXPORTER_OTLP_PROTOCOL is grpc, only http/protobuf is spoken",
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"}, "", ""),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x", "OTEL_TRACES_EXPORTER": "none"}, "", ""),
        ({"WANDB_API_KEY": KEY}, "", ""),
        ({"OTEL_SERVICE_NAME": "x"}, "", ""),
    ],
)  # fmt: skip
def test_what_is_asked_for_and_cannot_be_is_said(environ: dict[str, str], project: str, said: str) -> None:
    assert destinations(environ, project) == ([], [said] if said else [])


def test_a_note_is_in_the_record_on_disk_too(tmp_path: Path) -> None:
    (note,) = notes(tmp_path, "a/b")
    assert json.loads((tmp_path / "outcome.json").read_text())["notes"][-1] == note
    assert "has no effect" in (tmp_path / "summary.md").read_text().replace("\\_", "_")


def test_a_record_that_cannot_be_written_again_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "outcome.json").mkdir()
    (note,) = notes(tmp_path, "a/b")
    assert "WANDB_API_KEY" in note


@pytest.mark.parametrize(
    ("status", "said"), [(401, "HTTP 401 Unauthorized"), (503, "Service Unavailable")], ids=["at once", "after retries"]
)
def test_a_receiver_that_refuses_is_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, said: str
) -> None:
    with receiving(refusing(status)) as made:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{made.url}/here")
        assert notes(tmp_path) == (NOTE + said,)
    assert {p.path for p in made.posts} == {"/here"}
    assert (len(made.posts) > 1) == (status == 503)


def test_a_receiver_that_is_not_there_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{nobody.getsockname()[1]}")
        assert notes(tmp_path) == (NOTE + "Connection refused",)


def test_an_endpoint_that_is_none_is_a_note_without_the_secret_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"x-token={TOKEN}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"nowhere-{TOKEN}")
    (note,) = notes(tmp_path)
    assert note.startswith(NOTE)
    assert "Invalid URL 'nowhere-***" in note
    assert TOKEN not in note


def test_who_never_answers_and_who_never_ends_hold_a_run_up_together_for_one_time_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def waiting(_: Handler) -> None:
        silent.closing.wait()

    def dripping(handler: Handler) -> None:
        try:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nx-header: ")
            while not endless.closing.wait(0.25):
                handler.wfile.write(b"x")
        except OSError:
            gone.append("who asked is gone")

    gone: list[str] = []
    with receiving(waiting) as silent, receiving(dripping) as endless:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", silent.url)
        monkeypatch.setenv("WF_TRACE_SERVER_URL", endless.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        first, second = notes(tmp_path, "a/b")
    assert first == f"{NOTE}no answer within {SECONDS:g} seconds"
    assert second == f"trace not sent to Weave: no answer within {SECONDS:g} seconds"
    assert (len(silent.posts), len(endless.posts)) == (1, 1)


def test_a_stop_ends_the_wait_and_not_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopping(_: Handler) -> None:
        proc.STOP.set(signal.SIGINT)
        made.closing.wait()

    with receiving(stopping) as made:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.url)
        (note,) = notes(tmp_path)
    assert note.startswith(f"{NOTE}interrupted")


def test_the_trace_of_a_run_that_was_stopped_is_sent_too(collector: Receiver, tmp_path: Path) -> None:
    proc.STOP.set(signal.SIGTERM)
    assert notes(tmp_path) == ()
    assert len(collector.posts) == 1


def test_without_the_extra_its_name_is_said(tmp_path: Path) -> None:
    gone = f"import sys; sys.modules['opentelemetry'] = None; import {sending.__name__} as s; sys.exit(s.main())"
    done = proc.run([sys.executable, "-c", gone], cwd=tmp_path, stdin=b"[]")
    assert (done.code, done.stdout) == (1, b"")
    assert done.stderr == b"opentelemetry.exporter is not installed (pip install 'zwarm-ci[trace]')\n"
