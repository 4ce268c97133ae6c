"""A real command line that is given one MCP server's tools: it has these and none of its own, whatever its model asks for."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.stage import ADAPTERS, MODELS, TOKEN, Adapter
from tests.fakemodel import Reply, Scenario, Script, Server, Shell, Tool, Write, scenario, serve
from tests.fakemodel.scenario import Call
from tests.fakemodel.tools import offered
from tests.fakes import mcp_server
from tests.realcli import installed
from zwarm_ci.executors import EXECUTORS
from zwarm_ci.executors.base import Conduct, Order, Report, Tools, Workbench
from zwarm_ci.task import Endpoint, Task, Usage

pytestmark = [pytest.mark.realcli, pytest.mark.parametrize("adapter", ADAPTERS)]

#: What codex keeps of its own: they read nothing of this machine, and write nothing.
LEFT = {"list_mcp_resources", "list_mcp_resource_templates", "read_mcp_resource", "request_user_input", "update_plan"}
PROMPT = "You plan and delegate; the moon is made of cheese."


def call(adapter: Adapter, what: str) -> Tool:
    if adapter == "claude":
        return Tool("mcp__zwarm__look", {"what": what})
    return Tool("look", {"what": what}, "mcp__zwarm")


@dataclass
class House:
    """A place for one host: a folder to sit in, and what its turns need."""

    adapter: Adapter
    place: Path
    order: Order

    @property
    def calls(self) -> list[dict[str, Any]]:
        file = self.place / "calls.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def turn(self, server: Server, message: str, **changes: Any) -> Report:
        self.order = replace(self.order, endpoint=Endpoint(server.url, TOKEN), message=message, **changes)
        report = EXECUTORS[self.adapter]().turn(self.order, lambda _: None)
        self.order = replace(self.order, native=report.native, total=report.total, turn=self.order.turn + 1)
        return report


@pytest.fixture
def house(adapter: Adapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    for name, program in zip(("CODEX", "CLAUDE"), installed(), strict=True):
        monkeypatch.setenv(f"ZWARM_CI_{name}", str(program))
    for name in ("seat", "home", "scratch"):
        (tmp_path / name).mkdir()
    tools = Tools(
        "zwarm",
        ("look",),
        (sys.executable, mcp_server.__file__, str(tmp_path / "calls.jsonl"), "7"),
        (("MARK", "1"),),
        250.0,
    )
    task = Task("host", "plan", "", "", ())
    bench = Workbench(tmp_path, tmp_path, "", ())
    return House(adapter, tmp_path, Order(
        "host", 1, MODELS[adapter], task, "", tmp_path / "seat", bench, tmp_path / "home", tmp_path / "scratch", 120.0, 60.0,
        conduct=Conduct("read-only", instructions=PROMPT), tools=tools,
    ))  # fmt: skip


def names(server: Server) -> set[str]:
    return {name for request in server.turns for name in offered(request.body)}


def test_it_has_our_tools_and_none_of_its_own(adapter: Adapter, house: House) -> None:
    replies = [Reply("", [call(adapter, "the repository")], usage=Usage(500, 0, 0, 50)), Reply("nothing to do")]
    with serve(scenario(*replies)) as server:
        report = house.turn(server, "plan it")
        assert (report.state, report.message) == ("completed", "nothing to do"), report
        assert [c["call"]["arguments"] for c in house.calls] == [{"what": "the repository"}]
        assert not {"OPENAI_API_KEY", "ANTHROPIC_AUTH_TOKEN", "GITHUB_TOKEN"} & set(house.calls[0]["environ"])
        assert "MARK" in house.calls[0]["environ"]
        assert "seen: the repository" in server.turns[1].text
        if adapter == "claude":
            assert names(server) == {"mcp__zwarm__look"}
        else:
            assert names(server) - LEFT == {"mcp__zwarm", "look"}
        assert PROMPT in server.turns[0].instructions
        assert server.turns[0].users[-1] == "plan it"


def test_what_it_does_by_itself_does_not_happen(adapter: Adapter, house: House) -> None:
    target = house.place / "seat" / "written.txt"
    misdeeds: list[Call] = [Shell(f"echo x > {target}"), Write(str(target), "x")]
    replies = [Reply("", [misdeed]) for misdeed in misdeeds] + [Reply("", [call(adapter, "it")]), Reply("I tried")]
    with serve(scenario(*replies)) as server:
        report = house.turn(server, "write a file")
        assert report.state == "completed", report
        assert [c["call"]["arguments"] for c in house.calls] == [{"what": "it"}]
    assert list((house.place / "seat").iterdir()) == []


def test_it_goes_on_where_it_was(adapter: Adapter, house: House) -> None:
    replies = [
        Reply("", [call(adapter, "once")]),
        Reply("half done"),
        Reply("", [call(adapter, "twice")]),
        Reply("done"),
    ]
    with serve(scenario(*replies)) as server:
        assert house.turn(server, "begin").message == "half done"
        assert house.turn(server, "go on").message == "done"
        assert len({r.conversation for r in server.turns}) == 1
        assert "seen: once" in server.turns[-1].text
        assert [c["call"]["arguments"]["what"] for c in house.calls] == ["once", "twice"]
        assert PROMPT in server.turns[-1].instructions


def test_it_compacts_where_it_is_told_to_and_still_has_our_tools(adapter: Adapter, house: House) -> None:
    window, share = {"codex": (5000, 0.9), "claude": (100_000, 0.2)}[adapter]
    used = Usage(int(window * share) + 6000, 0, 0, 50)
    words = ("one", "two", "three")  # claude compacts from the second answer on
    replies = [*(Reply("", [call(adapter, word)], usage=used) for word in words), Reply("done")]
    summary = Reply("<summary>one and two were seen, three is to be looked at</summary>")
    with serve(Scenario([Script(replies)], side=summary)) as server:
        assert house.order.tools
        report = house.turn(server, "look at all", tools=replace(house.order.tools, context=window, share=share))
        assert report.state == "completed", report
        assert [r for r in server.requests if r.kind == "compaction"]
        assert [c["call"]["arguments"]["what"] for c in house.calls] == list(words)
        last = server.turns[-1]
        assert "three is to be looked at" in last.text
        assert "seen: one" not in last.text
        assert PROMPT in last.instructions
