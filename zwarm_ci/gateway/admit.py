"""What a call may cost at most, known before it is made, and how its answer is kept to what is left. Pure.

A token is at least one byte, so a request has at most as many input tokens as bytes; its output is bounded by the limit that
it names. That holds only where all that the model reads and runs is in the request itself, so whatever points elsewhere is
refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from zwarm_ci import pricing
from zwarm_ci.gateway.meter import Api
from zwarm_ci.pricing import Registry
from zwarm_ci.task import Usage

#: Output tokens that no model of the table exceeds (the vendors' model pages say 128,000 at most).
CEILING = 128_000
#: A call that could answer with less is not worth its input: one tool call takes about this many tokens.
FLOOR = 256
#: With other calls under way, whose reservations come back, an answer of this many tokens is waited for.
DECENT = 16_384
_CLAMP_BYTES = len(',"max_output_tokens":') + len(str(CEILING))  # what `clamp` may add to a request
_LEAST_THINKING = 1024  # tokens, Anthropic's minimum for `thinking.budget_tokens`
_MILLION = 1_000_000
SEARCH_PRICE = Decimal("0.01")  # dollars for a web search: both vendors' price pages say 10 a thousand

_HOSTED = re.compile(
    r"(web_search|web_fetch|code_execution|file_search|code_interpreter|image_generation|computer_use|mcp)(_preview)?(_\d[\d_]*)?"
)
#: At the top of a request: what adds to it at the provider, or ends nowhere that we see.
_ELSEWHERE = ("previous_response_id", "conversation", "prompt", "mcp_servers", "container", "background")
#: Of a part of a message: what names something that is not there. A URL with its data in it is.
_NAMES = ("file_id", "file_url", "image_url", "url")
#: An entry that is kept for an hour costs more than others. In compact JSON: within a string quotes have a backslash before them.
_LONG_CACHE = re.compile(rb'(?<!\\)"cache_control":\{[^{}]*"ttl":"1h"')
_TIERS = frozenset({None, "auto", "default", "standard", "standard_only", "flex"})


class RefusedError(ValueError):
    """A request that we do not pass on; the message is for the CLI and the person behind it."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A model call that a session wants to make.

    Attributes:
        body: the request, as parsed. raw: the same as it goes out. size: most input tokens that it can have, clamped.
        wanted: output tokens that it asks for; None = it names no limit.
    """

    api: Api
    model: str
    body: dict[str, Any]
    raw: bytes
    size: int
    wanted: int | None

    @property
    def most(self) -> int:
        """Output tokens that it may get where nothing is clamped."""
        return CEILING if self.wanted is None else self.wanted

    @property
    def stream(self) -> bool:
        """Whether the answer is to come as events."""
        return self.body.get("stream") is True


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars at worst: for all that a request sends, and for each token of its answer."""

    sent: Decimal
    output: Decimal

    def cost(self, output: int) -> Decimal:
        """Of the call with an answer of so many tokens."""
        return self.sent + output * self.output

    def affords(self, amount: Decimal, most: int) -> int:
        """Output tokens that `amount` is enough for, at most `most`."""
        if not self.output:
            return most
        return min(most, int(((amount - self.sent) / self.output).to_integral_value(ROUND_FLOOR)))


def price_of(ask: Ask, models: Registry) -> Price | None:
    """The worst price of a request, at its size; None = its model's is unknown. Longer calls may have a higher one, never a lower."""
    size = ask.size
    hours = size if _LONG_CACHE.search(ask.raw) else 0
    sent = [
        pricing.cost(ask.model, usage, models, hour_writes=hours)
        for usage in (Usage(input_tokens=size), Usage(cache_read_tokens=size), Usage(cache_write_tokens=size))
    ]
    answered = pricing.cost(ask.model, Usage(input_tokens=size, output_tokens=_MILLION), models)
    known = [cost for cost in sent if cost is not None]
    if answered is None or not known or sent[0] is None:
        return None
    return Price(max(known), (answered - sent[0]) / _MILLION)


def read(api: Api, raw: bytes) -> Ask:
    """A request as it came.

    It is written anew, so that what goes out is what was looked at, whatever double keys or escapes it had.

    Raises:
        RefusedError: it is no JSON object, or names no model.
    """
    try:
        body = json.loads(raw, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise RefusedError("the request is not JSON") from error
    if not isinstance(body, dict) or not isinstance(body.get("model"), str):
        raise RefusedError("the request names no model")
    wanted = body.get("max_tokens" if api == "anthropic" else "max_output_tokens")
    if wanted is not None and (not isinstance(wanted, int) or isinstance(wanted, bool) or wanted < 0):
        raise RefusedError("the request's limit of output tokens is no number")
    sent = _written(body)
    return Ask(api, body["model"], body, sent, len(sent) + _CLAMP_BYTES, wanted)


def inspect(ask: Ask, *, limited: bool, hosted_ok: bool) -> None:
    """Look whether the bound holds for this request.

    Raises:
        RefusedError: it offers tools that run at the provider and are not allowed, or, with limits, refers to what is not in it
            or asks for a service that costs more than the table says.
    """
    hosted = next((kind for kind in _tool_kinds(ask.body) if _HOSTED.fullmatch(kind)), "")
    if hosted and not hosted_ok:
        raise RefusedError(
            f"the tool {hosted} runs at the provider and costs extra; executor.web_search = true allows it"
        )
    if not limited:
        return
    if elsewhere := next((key for key in _ELSEWHERE if ask.body.get(key)), "") or _pointer(ask.body):
        raise RefusedError(f"`{elsewhere}` refers to what is not in the request, so no limit on its cost can be kept")
    for key, sound in (("service_tier", _TIERS), ("speed", {None, "standard"}), ("inference_geo", {None, "global"})):
        if ask.body.get(key) not in sound:
            raise RefusedError(
                f"{key} = {ask.body[key]} costs more than the price that is known, so no limit can be kept"
            )


def _tool_kinds(body: dict[str, Any]) -> Iterator[str]:
    """Types of the tools that a request offers, also of those in a namespace and of those that come as an item of the input."""
    todo = [body, *_dicts(body.get("input"))]
    while todo:
        for tool in _dicts(todo.pop().get("tools")):
            todo.append(tool)
            yield str(tool.get("type"))


def _pointer(body: dict[str, Any]) -> str:
    """What in the messages stands for something outside of them; "" = nothing."""
    todo = _dicts(body.get("messages", body.get("input")))
    while todo:
        part = todo.pop()
        if part.get("type") == "item_reference":
            return "item_reference"
        for name in _NAMES:
            value = part.get(name)
            value = value.get("url") if isinstance(value, dict) else value
            if isinstance(value, str) and value and not value.startswith("data:"):
                return name
        todo += _dicts(part.get("content")) + _dicts(part.get("output")) + _dicts([part.get("source")])
    return ""


def _dicts(value: object) -> list[dict[str, Any]]:
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []


def clamp(ask: Ask, output: int) -> Ask:
    """The same request with at most `output` tokens to answer."""
    if output >= ask.most:
        return ask
    body = dict(ask.body)
    body["max_tokens" if ask.api == "anthropic" else "max_output_tokens"] = output
    thinking = body.get("thinking")
    if isinstance(thinking, dict) and isinstance(thinking.get("budget_tokens"), int):
        if output > _LEAST_THINKING:
            body["thinking"] = {**thinking, "budget_tokens": min(thinking["budget_tokens"], output - 1)}
        else:
            body["thinking"] = {"type": "disabled"}
    return replace(ask, body=body, raw=_written(body))


def counting_body(ask: Ask) -> bytes:
    """The request with which the provider counts the input tokens of `ask`."""
    keys = (
        ("model", "messages", "system", "tools", "tool_choice", "thinking")
        if ask.api == "anthropic"
        else ("model", "input", "instructions", "tools", "tool_choice", "text", "reasoning", "parallel_tool_calls")
    )
    return _written({key: ask.body[key] for key in keys if key in ask.body})


def counted(ask: Ask, tokens: int) -> Ask:
    """The request with the provider's own count as its bound; its vendor calls the count an estimate, hence a twentieth more."""
    return replace(ask, size=min(ask.size, tokens + tokens // 20 + 16))


def _written(body: dict[str, Any]) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can name and UTF-8 cannot hold
        return json.dumps(body, separators=(",", ":")).encode()


def _no_constant(name: str) -> Any:
    raise ValueError(name)
