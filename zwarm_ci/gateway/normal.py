"""What of a request and an answer is the same in every run of the same task. Pure text work for cassettes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

_PATH = re.compile(r"(?:/[\w.@+~=-]+)+/")
# Each of these looks at a character a bounded number of times: a request may hold megabytes without a blank.
#: Ids, versions, times, sizes, ports, dates: words with a digit in them, names of temporary files, codex's chunk ids.
_CHANCE = re.compile(r"\btmp[a-z0-9_]{8}\b|(?<=Chunk ID: )\w+|(?<![A-Za-z_-])[A-Za-z_-]*\d[\w.:+-]*")
_DATE = re.compile(r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\b")
#: Made anew by the CLI in every run, or moved from message to message.
_DROPPED = frozenset(
    {"id", "cache_control", "internal_chat_message_metadata_passthrough", "metadata", "client_metadata"}
)
_PLACE = "{{place:%d}}"


def request_lines(body: dict[str, Any], places: Sequence[str]) -> tuple[str, ...]:
    """A model call as lines: the model, then each message. Instructions and tools are left out: they are the CLI's, not the task's."""
    messages = body.get("input", body.get("messages"))
    items = messages if isinstance(messages, list) else [messages]
    lines = [json.dumps(_normal(item, places), ensure_ascii=False, sort_keys=True) for item in items]
    return (f"model {body.get('model')}", *lines)


def _normal(value: Any, places: Sequence[str]) -> Any:
    if isinstance(value, str):
        return same_text(value, places)
    if isinstance(value, list):
        return [_normal(v, places) for v in value]
    if isinstance(value, dict):
        return {k: _normal(v, places) for k, v in value.items() if k not in _DROPPED}
    return value


def same_text(text: str, places: Sequence[str] = ()) -> str:
    """Without what chance, the clock and the machine put into it."""
    text = _PATH.sub("/…/", lift(text, places))
    return " ".join(_DATE.sub("#", _CHANCE.sub("#", text)).split())


def lift(text: str, places: Sequence[str]) -> str:
    """The session's folders as numbers; a folder inside of another one first."""
    for number in sorted(range(len(places)), key=lambda n: -len(places[n])):
        text = text.replace(places[number], _PLACE % number)
    return text


def lower(text: str, places: Sequence[str]) -> str:
    """The numbers as this session's folders."""
    for number, place in enumerate(places):
        text = text.replace(_PLACE % number, place)
    return text


def difference(asked: Sequence[str], kept: Sequence[str]) -> str:
    """Where two requests part, in a line."""
    for number, (ours, theirs) in enumerate(zip(asked, kept, strict=False)):
        if ours != theirs:
            at = next(
                (i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs))
            )
            start = max(0, at - 40)
            return f"message {number} says …{ours[start : at + 60]}… where the cassette has …{theirs[start : at + 60]}…"
    return f"{len(asked) - 1} messages where the cassette has {len(kept) - 1}"


def whole_events(text: str) -> tuple[str, ...]:
    """A stream of events as one piece an event, the many small pieces of one text joined.

    A provider cuts texts where it likes, through the middle of a folder's name too; joined, the name can be found.
    """
    found: list[str] = []
    last: tuple[Any, ...] = ()
    for raw in re.split(r"(?<=\n)\r?\n", text.replace("\r\n", "\n")):
        if not raw.strip():
            continue
        event = raw.rstrip("\n") + "\n\n"
        grows = _growing(event)
        if grows and grows[0] == last:
            found[-1] = _joined(found[-1], event)
        else:
            found.append(event)
        last = grows[0] if grows else ()
    return tuple(found)


def _growing(event: str) -> tuple[tuple[Any, ...], str, dict[str, Any]] | None:
    """Which text an event adds to, the text, and the event's data; None = it adds to none."""
    data = "\n".join(line[5:].removeprefix(" ") for line in event.splitlines() if line.startswith("data:"))
    try:
        value = json.loads(data)
    except ValueError:
        return None
    if not isinstance(value, dict) or not str(value.get("type", "")).endswith("delta"):
        return None
    place = tuple(value.get(k) for k in ("type", "index", "item_id", "output_index", "content_index", "summary_index"))
    delta = value.get("delta")
    if isinstance(delta, str):
        return place, delta, value
    if isinstance(delta, dict):
        texts = [k for k in ("text", "partial_json", "thinking") if isinstance(delta.get(k), str)]
        if len(texts) == 1:
            return (*place, texts[0]), delta[texts[0]], value
    return None


def _joined(first: str, second: str) -> str:
    one, two = _growing(first), _growing(second)
    assert one is not None
    assert two is not None
    value, delta = one[2], one[2]["delta"]
    value = {**value, "delta": one[1] + two[1] if isinstance(delta, str) else {**delta, one[0][-1]: one[1] + two[1]}}
    head = [line for line in first.splitlines() if line and not line.startswith("data:")]
    return "\n".join([*head, f"data: {json.dumps(value, ensure_ascii=False)}", "", ""])
