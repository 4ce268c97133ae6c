"""The real CLIs through the gateway: the same figures on all three sides, limits that stop them at once, a run given again."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.fakemodel import Cut, Derived, Pace, Reply, Scenario, Script, Server, Shell, scenario, serve
from tests.fakemodel.gate import Gate
from tests.gateway.house import ANTHROPIC_KEY, CLAUDE_MODEL, OPENAI_KEY, dollars, gateway, opened
from tests.realcli import Clis, installed
from zwarm_ci.gateway.client import Gateway
from zwarm_ci.task import Endpoint, Usage

pytestmark = pytest.mark.realcli

ADAPTERS = ("codex", "claude")
MODEL = {"codex": "gpt-5.5", "claude": CLAUDE_MODEL}
LOOK, EDIT = Shell("cat a.txt"), Shell("echo repaired > a.txt")


@pytest.fixture(scope="module")
def clis() -> Clis:
    return installed()


@dataclass(frozen=True, slots=True)
class Run:
    """What a CLI printed and did."""

    code: int
    events: list[dict[str, Any]]
    seconds: float

    @property
    def told(self) -> Usage:
        """The CLI's own total."""
        last = self.events[-1]
        if last["type"] == "turn.completed":
            u = last["usage"]
            read, write = u["cached_input_tokens"], u.get("cache_write_input_tokens", 0)
            return Usage(
                u["input_tokens"] - read - write, read, write, u["output_tokens"], u["reasoning_output_tokens"]
            )
        total = Usage()
        for u in last["modelUsage"].values():
            total += Usage(
                u["inputTokens"], u["cacheReadInputTokens"], u["cacheCreationInputTokens"], u["outputTokens"]
            )
        return total


class Cli:
    """Starts a CLI in a folder, with a home of its own."""

    def __init__(self, adapter: str, program: Path, place: Path) -> None:
        self.adapter, self._program, self.home, self.tree = adapter, program, place / "home", place / "repo"
        for folder in (self.home / ".codex", self.tree):
            folder.mkdir(parents=True)
        (self.tree / "a.txt").write_text("broken\n")

    def command(self, endpoint: Endpoint) -> tuple[list[str], dict[str, str]]:
        env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "NO_PROXY": "*"}
        if self.adapter == "claude":
            quiet = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "CLAUDE_CODE_MAX_RETRIES": "2"}
            argv = [
                "-p",
                "--output-format",
                "stream-json",
                "--verbose",
                "--model",
                MODEL["claude"],
                "--permission-mode",
                "acceptEdits",
            ]
            return [str(self._program), *argv, "--allowedTools", "Bash"], {
                **env,
                **quiet,
                "ANTHROPIC_BASE_URL": endpoint.url,
                "ANTHROPIC_API_KEY": endpoint.token,
            }
        provider = f'{{name="zw",base_url="{endpoint.url}/v1",env_key="ZW_TOKEN",wire_api="responses"}}'
        settings = [
            'model_provider="zw"',
            f"model_providers.zw={provider}",
            "analytics.enabled=false",
            'web_search="disabled"',
        ]
        argv = [
            "exec",
            "--json",
            "--skip-git-repo-check",
            "--sandbox",
            "danger-full-access",
            "-m",
            MODEL["codex"],
            "--disable",
            "plugins",
        ]
        return [str(self._program), *argv, *(x for s in settings for x in ("-c", s)), "-"], {
            **env,
            "CODEX_HOME": str(self.home / ".codex"),
            "ZW_TOKEN": endpoint.token,
        }

    def run(self, endpoint: Endpoint, text: str = "repair a.txt") -> Run:
        argv, env = self.command(endpoint)
        began = time.monotonic()
        done = subprocess.run(
            argv, cwd=self.tree, env=env, input=text.encode(), capture_output=True, check=False, timeout=120
        )
        events = [json.loads(line) for line in done.stdout.splitlines()]
        assert OPENAI_KEY.encode() not in done.stdout + done.stderr
        assert ANTHROPIC_KEY.encode() not in done.stdout + done.stderr
        return Run(done.returncode, events, time.monotonic() - began)


@pytest.fixture(params=ADAPTERS)
def cli(request: pytest.FixtureRequest, clis: Clis, tmp_path: Path) -> Cli:
    return Cli(request.param, getattr(clis, request.param), tmp_path / "first")


def _replies(**more: Any) -> tuple[Reply, ...]:
    usage = Usage(900, 300, 50, 70)
    return (
        Reply("I look", [LOOK], usage=usage),
        Reply("I repair", [EDIT], usage=usage, **more),
        Reply("done", usage=usage),
    )


def test_gateway_server_and_cli_count_the_same(cli: Cli) -> None:
    with serve(scenario(*_replies(gzip=True))) as server, gateway(server, dollars(run="100")) as gate:
        run = cli.run(opened(gate, cli.adapter))
        assert run.code == 0
        metered = gate.usage("s1")
        assert metered.total == server.billed() == run.told
        assert metered.calls == len(server.turns) == 3
        assert metered.unmetered == 0
        assert server.of_kind("websocket") == []
        assert (cli.tree / "a.txt").read_text() == "repaired\n"


def test_a_limit_stops_it_at_once_with_our_words(cli: Cli) -> None:
    with serve(scenario(*_replies())) as server, gateway(server, dollars(run="0.000001")) as gate:
        run = cli.run(opened(gate, cli.adapter))
        assert run.code == 1
        assert "zwarm-ci: the limit of" in json.dumps(run.events[-1])
        assert "budget.usd" in json.dumps(run.events[-1])
        assert gate.usage("s1").denied == 1
        assert server.turns == []


def test_a_token_that_opens_nothing_stops_it_at_once(cli: Cli) -> None:
    with serve(scenario(*_replies())) as server, gateway(server) as gate:
        run = cli.run(Endpoint(opened(gate, cli.adapter).url, "zw-nothing"))
        assert run.code == 1
        assert "this token opens nothing" in json.dumps(run.events[-1])
        assert server.requests == []


def test_a_cut_stream_is_tried_again(cli: Cli) -> None:
    with serve(scenario(*_replies(fault=Cut(3)))) as server, gateway(server) as gate:
        run = cli.run(opened(gate, cli.adapter))
        assert run.code == 0
        metered = gate.usage("s1")
        assert metered.unmetered == 1
        assert metered.calls == len(server.turns) == 4
        if cli.adapter == "claude":
            assert metered.total.input_tokens == server.billed().input_tokens


def test_bytes_one_by_one(cli: Cli) -> None:
    step = Gate()
    step.open()
    with (
        serve(scenario(Reply("é𝄞 done", pace=Pace(step, 1), usage=Usage(10, 0, 0, 5)))) as server,
        gateway(server) as gate,
    ):
        run = cli.run(opened(gate, cli.adapter))
        assert run.code == 0
        assert gate.usage("s1").total == run.told == server.billed()


def test_given_again_in_another_folder(cli: Cli, clis: Clis, tmp_path: Path) -> None:
    with serve(scenario(*_replies())) as server, gateway(server, record=tmp_path / "cassette") as gate:
        first = cli.run(opened(gate, cli.adapter, places=[str(cli.tree)]))
        used = gate.usage("s1")
        assert server.turns
    again = Cli(cli.adapter, getattr(clis, cli.adapter), tmp_path / "second")
    with gateway(None, dollars(run="0"), replay=tmp_path / "cassette") as gate:
        second = again.run(opened(gate, cli.adapter, places=[str(again.tree)]))
        metered = gate.usage("s1")
    assert metered.denial == ""
    assert (again.tree / "a.txt").read_text() == "repaired\n"
    assert second.code == first.code == 0
    assert metered.usage == used.usage
    assert metered.cost_usd == 0 < used.cost_usd
    assert [e["type"] for e in second.events] == [e["type"] for e in first.events]
    kept = "".join(path.read_text() for path in (tmp_path / "cassette").iterdir())
    assert str(tmp_path) not in kept


def test_parallel_sessions_of_both_do_not_pass_the_limit(clis: Clis, tmp_path: Path) -> None:
    """Each goes on until it is refused; the server counts a token for every byte, and every token of output that is asked for."""
    limit = Decimal(5)
    loop = Script([Reply("more", [LOOK], usage=Derived())], loop=True)
    with serve(Scenario([loop])) as server, gateway(server, dollars(run=limit)) as gate:
        runs = [Cli(adapter, getattr(clis, adapter), tmp_path / f"{n}") for n, adapter in enumerate(ADAPTERS * 2)]
        threads = [threading.Thread(target=_run, args=(gate, cli, f"s{n}")) for n, cli in enumerate(runs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        _check(gate, server, limit, len(runs))


def _run(gate: Gateway, cli: Cli, session: str) -> None:
    cli.run(opened(gate, cli.adapter, session=session, task=session))


def _check(gate: Gateway, server: Server, limit: Decimal, sessions: int) -> None:
    totals = gate.totals()
    used = sum((gate.usage(f"s{n}").total for n in range(sessions)), Usage())
    assert used == server.billed()
    assert 0 < totals.spent <= limit
    assert totals.denied >= sessions
