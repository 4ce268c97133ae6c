"""A question to a small model, through the gateway: it is metered and limited like every other call, and no key is in sight."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from zwarm_ci import staffing
from zwarm_ci.errors import ConfigError, ZwarmError
from zwarm_ci.executors.trajectory import read_event, text_at
from zwarm_ci.orchestrator.tools import Toolset
from zwarm_ci.orchestrator.watchers.base import Ask
from zwarm_ci.scrub import one_line
from zwarm_ci.task import Endpoint

_NAME = "watcher"  # the session's and the task's name with the gateway
_SECONDS = 15.0
_WORDS = 500  # tokens of an answer
_ANSWER = 1 << 20  # bytes of one
_VERSION = "2023-06-01"  # of Anthropic's API


def asker(toolset: Toolset) -> Ask | None:
    """Asks the model of `watchers.llm.model`; None = that watcher is off, or the gateway has no key for its provider.

    Raises:
        ConfigError: nobody knows whose model it is, or it has a name that its API does not know.
    """
    watchers, gateway = toolset.settings.watchers, toolset.gateway
    if "llm" not in watchers.enabled or not (model := watchers.llm.model):
        return None
    info = toolset.settings.registry().resolve(model)
    if info is None:
        raise ConfigError(
            f"watchers.llm.model: {model} is unknown", remedy=f'give [models."{model}"] its adapter and prices'
        )
    if info.adapter == "claude" and "-" not in model:
        raise ConfigError(
            f"watchers.llm.model: {model} is a name of the claude command line's",
            remedy="name it as the API does, see `zwarm-ci models`",
        )
    if gateway is None or not staffing.gateway_for(gateway, info.adapter):
        return None
    adapter = info.adapter

    def ask(question: str) -> str:
        endpoint = gateway.open(_NAME, task=_NAME, adapter=adapter, model=model)
        return _asked(adapter, model, endpoint, question)

    return ask


def _asked(adapter: str, model: str, endpoint: Endpoint, question: str) -> str:
    """The model's answer.

    Raises:
        ZwarmError: there is none.
    """
    if adapter == "claude":
        body: dict[str, Any] = {
            "model": model,
            "max_tokens": _WORDS,
            "messages": [{"role": "user", "content": question}],
        }
        said = _posted(
            f"{endpoint.url}/v1/messages", {"x-api-key": endpoint.token, "anthropic-version": _VERSION}, body
        )
        parts = said.get("content")
    else:
        body = {"model": model, "max_output_tokens": _WORDS, "input": question, "store": False}
        said = _posted(f"{endpoint.url}/v1/responses", {"authorization": f"Bearer {endpoint.token}"}, body)
        output = said.get("output")
        parts = [
            p
            for item in (output if isinstance(output, list) else [])
            if isinstance(item, dict)
            for p in item.get("content") or []
        ]
    return "".join(text_at(p, "text") for p in (parts if isinstance(parts, list) else []) if isinstance(p, dict))


def _posted(url: str, headers: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
    asked = urllib.request.Request(  # noqa: S310 - our own gateway's URL
        url, json.dumps(body).encode(), {**headers, "content-type": "application/json"}, method="POST"
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the gateway is on this machine
    try:
        with opener.open(asked, timeout=_SECONDS) as answer:
            return read_event(answer.read(_ANSWER))
    except urllib.error.HTTPError as error:
        said = read_event(error.read(_ANSWER))
        raise ZwarmError(one_line(text_at(said, "error", "message") or f"HTTP {error.code}", 300)) from error
    except OSError as error:
        raise ZwarmError(f"the model was not reached: {one_line(str(error), 200)}") from error
