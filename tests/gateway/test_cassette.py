"""A run recorded and given again: the same answers, no upstream, no money; and what is said where they part."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakemodel import Cut, Edit, Reply, Shell, Status, Write, scenario, serve
from tests.gateway.house import (
    ANTHROPIC_KEY,
    CODEX_MODEL,
    OPENAI_KEY,
    PATHS,
    body,
    call,
    dollars,
    gateway,
    opened,
    post,
)
from zwarm_ci.errors import BlockedError
from zwarm_ci.gateway import normal
from zwarm_ci.gateway.cassette import Player, Recorder
from zwarm_ci.task import Usage

ADAPTERS = ("codex", "claude")
USED = Usage(200, 10, 5, 50)


def recorded(
    folder: Path, adapter: str, *replies: Reply, texts: tuple[str, ...] = ("hello",), place: str = "/tmp/run-1/repo"
) -> list[bytes]:
    """Bodies of the answers to `texts`."""
    tools = [{"name": "Write"}, {"name": "Bash"}, {"name": "exec_command"}, {"type": "custom", "name": "apply_patch"}]
    got = []
    with serve(scenario(*replies)) as server, gateway(server, record=folder) as gate:
        endpoint = opened(gate, adapter, places=[place])
        for text in texts:
            with call(endpoint, PATHS[adapter], body(adapter, text, tools=tools)) as response:
                try:
                    got.append(response.read())
                except http.client.IncompleteRead as error:
                    got.append(error.partial)
    return got


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_the_same_answers_at_no_cost(adapter: str, tmp_path: Path) -> None:
    replies = (Reply("first", usage=USED), Reply("second", usage=USED, gzip=True))
    recorded(tmp_path / "c", adapter, *replies, texts=("hello", "go on"))
    with gateway(None, dollars(run="0", task="0", day="0"), replay=tmp_path / "c") as gate:
        assert gate.providers == {"codex", "claude"}
        endpoint = opened(gate, adapter)
        first, second = (post(endpoint, adapter, body(adapter, text)) for text in ("hello", "go on"))
        assert b"first" in first.data
        assert b"second" in second.data
        metered = gate.usage("s1")
        assert metered.total == USED + USED
        assert metered.replayed
        assert metered.cost_usd == gate.totals().spent == 0
        assert metered.calls == 2


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_folders_of_this_run_stand_for_those_of_that_one(adapter: str, tmp_path: Path) -> None:
    """The model's tool calls name files by absolute paths, cut to pieces in the stream."""
    path = "/tmp/run-1/repo/src/a.py"
    recorded(
        tmp_path / "c",
        adapter,
        Reply(f"I write {path}", [Write(path, "x = 1\n")], usage=USED),
        texts=(f"in {path}, please",),
    )
    kept = next((tmp_path / "c").iterdir()).read_text()
    assert "run-1" not in kept
    with gateway(None, replay=tmp_path / "c") as gate:
        endpoint = opened(gate, adapter, places=["/var/other/place"])
        answer = post(endpoint, adapter, body(adapter, "in /var/other/place/src/a.py, please"))
        assert answer.status == 200
        assert b"/var/other/place/src/a.py" in answer.data
        assert b"run-1" not in answer.data


def test_words_that_differ_by_chance_are_the_same_request(tmp_path: Path) -> None:
    recorded(
        tmp_path / "c",
        "codex",
        Reply("yes"),
        texts=("1 failed in 0.53s on Tue Nov 24 2026, /tmp/tmpab1c/x.py, id 0193-ab",),
    )
    with gateway(None, replay=tmp_path / "c") as gate:
        asked = "2 failed in 11.2s on Wed Dec 2 2026, /var/tmp/q/tmpzzzzzzzz/x.py, id 77fe-0000"
        assert post(opened(gate), "codex", body("codex", asked)).status == 200


def test_what_is_not_in_it(tmp_path: Path) -> None:
    recorded(tmp_path / "c", "codex", Reply("yes"), texts=("please repair the shop",))
    with gateway(None, replay=tmp_path / "c") as gate:
        endpoint = opened(gate)
        answer = post(endpoint, "codex", body("codex", "please repair the bank"))
        assert answer.status == 400
        assert answer.error.startswith("zwarm-ci: not in the cassette: message 1 says …")
        assert "the bank" in answer.error
        assert "the shop" in answer.error
        assert gate.usage("s1").denied == 1
        assert (
            "no POST /v1/responses for codex and task t2" in post(opened(gate, task="t2", session="s2"), "codex").error
        )
        assert post(endpoint, "codex", body("codex", "please repair the shop")).status == 200
        assert (
            "all 1 exchanges of task t1 were used"
            in post(endpoint, "codex", body("codex", "please repair the shop")).error
        )
        longer = body("codex") | {
            "input": [{"role": "user", "content": "please repair the shop"}, {"role": "user", "content": "x"}]
        }
        assert "used already" in post(endpoint, "codex", longer).error


def test_equal_requests_get_their_answers_in_order(tmp_path: Path) -> None:
    recorded(tmp_path / "c", "claude", Reply("one", fault=Status(429, 3.0)), Reply("two"), texts=("hello",) * 3)
    with gateway(None, replay=tmp_path / "c") as gate:
        endpoint = opened(gate, "claude")
        first, second, third = (post(endpoint, "claude") for _ in range(3))
        assert (first.status, first.headers["retry-after"]) == (429, "3")
        assert b'"one"' in second.data
        assert b'"two"' in third.data


def test_a_cut_stream_is_cut_again(tmp_path: Path) -> None:
    (partial,) = recorded(tmp_path / "c", "codex", Reply("words that came", fault=Cut(4)))
    with gateway(None, replay=tmp_path / "c") as gate:
        with (
            call(opened(gate), PATHS["codex"], body("codex")) as response,
            pytest.raises(http.client.IncompleteRead) as caught,
        ):
            response.read()
        assert caught.value.partial.count(b"event:") == partial.count(b"event:") - 1  # two pieces of one text are one
        assert gate.usage("s1").unmetered == 1


def test_our_own_refusals_come_again(tmp_path: Path) -> None:
    with serve(scenario(Reply("yes"))) as server, gateway(server, dollars(run="0"), record=tmp_path / "c") as gate:
        said = post(opened(gate), "codex").error
    with gateway(None, replay=tmp_path / "c") as gate:
        assert post(opened(gate), "codex").error == said
        assert gate.usage("s1").denial == said
        assert gate.usage("s1").over == 1


def test_no_key_token_or_id_is_kept(tmp_path: Path) -> None:
    secret = "ghp_" + "a1B2" * 9
    text = f"see {secret}, {OPENAI_KEY}, postgres://postgres:postgres@localhost/x"
    with serve(scenario(Reply(text, usage=USED))) as server, gateway(server, record=tmp_path / "c") as gate:
        endpoint = opened(gate)
        got = post(endpoint, "codex", body("codex", f"{text} {endpoint.token}"))
        assert secret.encode() in got.data
    (kept,) = (path.read_text() for path in (tmp_path / "c").iterdir())
    data = json.loads(kept)
    assert not [s for s in (secret, OPENAI_KEY, ANTHROPIC_KEY, endpoint.token, "authorization") if s in kept]
    assert "postgres:postgres@" in "".join(data["pieces"])  # a part of the work
    assert data["schema"] == 1
    assert [name for name, _ in data["headers"]] == ["content-type"]
    assert Usage(**data["usage"]) == USED


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    recorded(tmp_path / "c", "codex", Reply("yes"))
    with pytest.raises(BlockedError, match="has a cassette already"):
        Recorder(tmp_path / "c", [])
    (tmp_path / "file").write_text("")
    with pytest.raises(BlockedError, match="cannot be recorded into"):
        Recorder(tmp_path / "file", [])
    for garbage in (
        "",
        "{",
        "[]",
        "7",
        '{"schema": 1}',
        '{"schema": 2}',
        '{"schema": 1, "headers": 4, "request": []}',
        "\x00",
    ):
        (tmp_path / "bad").mkdir(exist_ok=True)
        (tmp_path / "bad/1.json").write_text(garbage)
        with pytest.raises(BlockedError, match=r"1\.json"):
            Player(tmp_path / "bad")


def test_pieces_of_one_text_are_joined(tmp_path: Path) -> None:
    replies = (Reply("some words in pieces", [Edit("a", "b", "c")], reasoning="hm hm"),)
    for adapter in ADAPTERS:
        recorded(tmp_path / adapter, adapter, *replies) if adapter == "codex" else recorded(
            tmp_path / adapter, adapter, Reply("some words in pieces", [Shell("ls")])
        )
        pieces = json.loads(next((tmp_path / adapter).iterdir()).read_text())["pieces"]
        deltas = [json.loads(p.split("data: ")[1]) for p in pieces if "text_delta" in p or "output_text.delta" in p]
        assert [d["delta"] if adapter == "codex" else d["delta"]["text"] for d in deltas] == ["some words in pieces"]


_VALUES = st.recursive(
    st.text() | st.integers() | st.none(),
    lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(), v, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(_VALUES, st.lists(st.sampled_from(["/a", "/a/b", "/tmp/x"]), max_size=3, unique=True))
def test_any_request_has_a_normal_form(messages: Any, places: list[str]) -> None:
    lines = normal.request_lines({"model": CODEX_MODEL, "input": messages}, places)
    assert lines == normal.request_lines({"model": CODEX_MODEL, "input": messages}, places)
    assert normal.difference(lines, lines)


@settings(deadline=None)
@given(st.text(), st.lists(st.sampled_from(["/a", "/a/b", "/tmp/x"]), max_size=3, unique=True))
def test_folders_come_back(text: str, places: list[str]) -> None:
    if "{{place" not in text:
        assert normal.lower(normal.lift(text, places), places) == text


def test_a_long_text_without_a_blank_takes_no_time() -> None:
    for text in ("x" * 3_000_000, "/x" * 1_000_000, "/" * 3_000_000, "1" * 3_000_000, "x-" * 1_000_000):
        normal.same_text(text)
