"""The MCP server as a host starts it: a process, the SDK's own client over its standard streams, every tool called."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.shared.exceptions import MCPError

from tests.orchestrator.yard import RIGHT_ADD, RIGHT_DOUBLE, Yard
from zwarm_ci import journal, reap
from zwarm_ci.orchestrator.relay import Listener, remote
from zwarm_ci.orchestrator.toolspec import TOOLS


class Host:
    """A host of MCP and the tools that it sees."""

    def __init__(self, session: ClientSession) -> None:
        self.session = session

    async def call(self, tool: str, **args: Any) -> dict[str, Any]:
        result = await self.session.call_tool(tool, args)
        (content,) = result.content
        answer: dict[str, Any] = json.loads(getattr(content, "text", ""))
        assert result.is_error is not answer["success"], "an error is one for the host too"
        return answer

    async def good(self, tool: str, **args: Any) -> dict[str, Any]:
        answer = await self.call(tool, **args)
        assert answer["success"], answer
        return answer


@asynccontextmanager
async def hosted(yard: Yard, *args: str) -> AsyncIterator[Host]:
    """A server with the environment that codex gives its servers, and what finds the program."""
    env = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    argv = ["-P", "-m", "zwarm_ci", "mcp", "-C", str(yard.repo.path), *args]
    server = StdioServerParameters(command=sys.executable, args=argv, env={**env, **yard.env}, cwd=yard.tmp)
    with (yard.tmp / "server.log").open("a") as log:
        async with stdio_client(server, errlog=log) as (read, write), ClientSession(read, write) as session:
            await session.initialize()
            yield Host(session)


def test_every_tool_over_mcp_from_delegate_to_exit(yard: Yard) -> None:
    async def drive() -> None:
        async with hosted(yard) as host:
            listed = (await host.session.list_tools()).tools
            assert [t.name for t in listed] == list(TOOLS)
            assert all(t.description and t.input_schema["type"] == "object" for t in listed)
            assert not (yard.repo.path / ".zwarm" / "runs").exists(), "no run before the first call"
            assert (await host.good("status"))["sessions"] == []
            first = (await host.good("delegate", task=f"{RIGHT_ADD}\n{RIGHT_DOUBLE}\nsay both"))["session_id"]
            waited = await host.good("wait")
            assert [e["session_id"] for e in waited["ended"]] == [first]
            assert (await host.good("peek_session", session_id=first[:4]))["latest_message"] == "both"
            assert (await host.good("check_session", session_id=first))["changed"] == [
                {"path": "calc.py", "added": 2, "removed": 2}
            ]
            steps = (await host.good("get_trajectory", session_id=first))["steps"]
            assert [s.split()[0] for s in steps] == ["told", "file", "file", "message"]
            refused = await host.call("accept", session_id=first)
            assert "was never verified" in refused["error"]
            assert "was not verified" in (await host.call("exit", summary="done"))["error"]
            seen = await host.good("bash", command="cat calc.py; echo x > calc.py", session_id=first)
            assert "a + b" in seen["stdout"]
            assert "Read-only file system" in seen["stderr"]
            assert (await host.good("chat", message="hello", wait_for_user_input=False))["answer"] is None
            assert (await host.good("sleep", seconds=0.01))["slept_seconds"] >= 0.01
            verified = await host.good("verify", session_id=first)
            assert (verified["accepted_by_judge"], verified["status"]) == (True, "fixed")
            assert (await host.good("accept", session_id=first))["accepted"] == [first]
            assert (await host.good("list_sessions"))["sessions"][0]["accepted"] is True
            second = (await host.good("delegate", task="say nothing", expects=[]))["session_id"]
            await host.good("wait", session_ids=[second], mode="all")
            assert (await host.good("converse", session_id=second, message="say more"))["turn"] == 2
            await host.good("wait", session_ids=[second])
            ended = await host.good("end_session", session_id=second, verdict="abandoned", reason="not needed")
            assert ended["verdict"] == "abandoned"
            end = await host.good("exit", summary="both repaired")
            assert (end["ended"], end["status"]) == (True, "fixed")
            assert "a + b" in yard.repo.git("show", f"{end['branch']}:calc.py")
            assert "has ended" in (await host.call("delegate", task="more"))["error"]

    asyncio.run(drive())
    (outcome,) = (yard.repo.path / ".zwarm" / "runs").glob("2*/outcome.json")
    record = json.loads(outcome.read_text())
    assert (record["command"], record["status"], record["exit_code"]) == ("mcp", "fixed", 0)
    assert [(t["status"], len(t["attempts"])) for t in record["tasks"]] == [("fixed", 1), ("already_green", 2)]
    assert list((yard.tmp / "tmp").iterdir()) == [], "nothing is left outside"


def served_by(yard: Yard) -> int:
    """The process that serves the newest run."""
    run = max((yard.repo.path / ".zwarm" / "runs").glob("2*"))
    return int([r for r in journal.read(run / "journal.jsonl") if "pid" in r][-1]["pid"])


def test_a_server_that_is_killed_is_started_anew_and_goes_on(yard: Yard) -> None:
    """As a host does it whose server has died: the same command, from the same process."""

    async def drive() -> None:
        with yard.gate() as gate:
            async with hosted(yard) as host:
                first = (await host.good("delegate", task=f"say at the gate\nhang {gate}\nsay through"))["session_id"]
                await asyncio.to_thread(yard.at_gate, first)
                waiting = asyncio.ensure_future(host.call("wait"))
                await host.good("peek_session", session_id=first)
                os.kill(served_by(yard), signal.SIGKILL)
                with pytest.raises(MCPError):
                    await waiting
            async with hosted(yard) as host:
                state = await host.good("status")
                assert [(s["session_id"], s["status"]) for s in state["sessions"]] == [(first, "running")]
                assert state["steps"] == 4
                waiting = asyncio.ensure_future(host.call("wait"))
                await host.good("list_sessions")
                os.kill(served_by(yard), signal.SIGTERM)
                with contextlib.suppress(MCPError):  # whether its last answer still gets out is nobody's promise
                    assert (await waiting)["error"] == "interrupted by SIGTERM"
        async with hosted(yard, "--run", "latest") as host:
            ended = (await host.good("wait", session_ids=[first]))["ended"]
            assert [(e["session_id"], e["latest_message"]) for e in ended] == [(first, "through")]
            await host.good("end_session", session_id=first)

    asyncio.run(drive())
    assert len(yard.store.ids()) == 1
    assert len(list((yard.repo.path / ".zwarm" / "runs").glob("2*"))) == 1


@pytest.mark.parametrize("how", ["end of input", "SIGTERM"])
def test_how_a_server_ends(yard: Yard, how: str) -> None:
    """By itself when its host is gone, in good order when it is asked to; sessions go on either way."""
    tools = [sys.executable, "-P", "-m", "zwarm_ci", "mcp", "-C", str(yard.repo.path)]
    with yard.gate() as gate:
        pipe = subprocess.PIPE
        child = subprocess.Popen(tools, stdin=pipe, stdout=pipe, stderr=pipe, env={**os.environ, **yard.env})
        assert child.stdin is not None
        assert child.stdout is not None

        def ask(number: int, method: str, **params: Any) -> dict[str, Any]:
            message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            child.stdin.write(json.dumps(message).encode() + b"\n")  # type: ignore[union-attr]
            child.stdin.flush()  # type: ignore[union-attr]
            answer: dict[str, Any] = json.loads(child.stdout.readline())  # type: ignore[union-attr]
            return answer

        who = {"name": "test", "version": "1"}
        hello = ask(1, "initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo=who)
        assert (hello["result"]["serverInfo"]["name"], "never write code" in hello["result"]["instructions"]) == (
            "zwarm",
            True,
        )
        child.stdin.write(b'{"jsonrpc": "2.0", "method": "notifications/initialized"}\n')
        task = f"say at the gate\nhang {gate}"
        answer = ask(2, "tools/call", name="delegate", arguments={"task": task})
        (session,) = yard.store.ids()
        assert json.loads(answer["result"]["content"][0]["text"])["session_id"] == session
        yard.at_gate(session)
        (state,) = (yard.repo.path / ".zwarm" / "runs").glob("2*/orchestrator/state.json")
        tag = json.loads(state.read_text())["state"]["tag"]
        waiting = {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "wait", "arguments": {}}}
        child.stdin.write(json.dumps(waiting).encode() + b"\n")
        ask(4, "tools/call", name="status", arguments={})
        if how == "SIGTERM":
            child.send_signal(signal.SIGTERM)
        else:
            child.stdin.close()
        assert child.wait(60) == (143 if how == "SIGTERM" else 0)
        child.stdin.close()
        child.stdout.close()
        said = child.stderr.read().decode() if child.stderr else ""
        if child.stderr:
            child.stderr.close()
        assert "Traceback" not in said
        assert reap.tagged(tag) == []
        assert yard.state(session) == "running"


def test_the_toolset_of_another_process(yard: Yard) -> None:
    """The server that `orchestrate` gives to its host: no keys, no state, replaced at will."""
    tools = yard.begin()
    path = tools.place / "tools.sock"

    async def drive() -> None:
        async with hosted(yard, "--connect", str(path)) as host:
            session = (await host.good("delegate", task="say x"))["session_id"]
            await host.good("wait")
            assert "no session begins" in (await host.call("peek_session", session_id="zz"))["error"]
        async with hosted(yard, "--connect", str(path)) as host:
            assert (await host.good("peek_session", session_id=session))["latest_message"] == "x"
            listening.__exit__(None, None, None)
            assert "is served no more" in (await host.call("status"))["error"]

    listening = Listener(tools.call, path)
    with listening:
        assert path.stat().st_mode & 0o077 == 0
        assert remote(path)("status", {})["success"]
        asyncio.run(drive())
