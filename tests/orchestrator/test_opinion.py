"""A question to a small model: in either provider's form, with the token that the gateway gave, and an error where there is no answer."""

from __future__ import annotations

import pytest

from tests.fakemodel import Reply, Status, key_hash, refusing, scenario, serve
from zwarm_ci.errors import ZwarmError
from zwarm_ci.orchestrator.opinion import _asked
from zwarm_ci.task import Endpoint

TOKEN = "zw-0123456789abcdef"
MODELS = {"claude": "claude-haiku-4-5", "codex": "gpt-5.1-codex-mini"}


@pytest.mark.parametrize("adapter", MODELS)
def test_the_answer_comes_in_words(adapter: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with serve(scenario(Reply('{"status": "ok"}'))) as server:
        assert _asked(adapter, MODELS[adapter], Endpoint(server.url, TOKEN), "how is it?") == '{"status": "ok"}'
        (request,) = server.turns
    assert request.users == ("how is it?",)
    assert request.body["model"] == MODELS[adapter]
    assert request.key == key_hash(TOKEN)


@pytest.mark.parametrize("adapter", MODELS)
def test_a_refusal_is_said_in_its_own_words(adapter: str) -> None:
    denied = Reply("never", fault=Status(400, message="zwarm-ci: the limit is reached"))
    with serve(scenario(denied)) as server, pytest.raises(ZwarmError, match="the limit is reached"):
        _asked(adapter, MODELS[adapter], Endpoint(server.url, TOKEN), "how is it?")


def test_nobody_there_is_an_error() -> None:
    with refusing() as url, pytest.raises(ZwarmError, match="was not reached"):
        _asked("claude", MODELS["claude"], Endpoint(url, TOKEN), "how is it?")
