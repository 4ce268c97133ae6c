"""How far parallel sessions pass a run's money limit: through the gateway, and as CLIs that look at their spend after each call.

    python bench/overshoot.py [--sessions 8] [--limit 0.20]

The server derives usage from each request: every byte of it a token, every output token that it asks for. It judges itself:
with the gateway the limit may not be passed at all, without it by at most one call a session.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.fakemodel import Derived, Reply, Scenario, Script, Server, serve
from zwarm_ci import pricing
from zwarm_ci.gateway.client import Gateway
from zwarm_ci.purse import Limits

MODELS = {"codex": "gpt-5.1-codex-mini", "claude": "claude-sonnet-4-5"}
PATHS = {"codex": "/v1/responses", "claude": "/v1/messages"}
OUTPUT = 2000  # tokens that each call asks for
CALLS = 200  # of a session at most; a limit that never comes is a failure


@dataclass(frozen=True, slots=True)
class Result:
    """Dollars, from the server's own count. `dearest` is one call's."""

    limit: Decimal
    spent: Decimal
    dearest: Decimal
    calls: int
    denied: int

    @property
    def over(self) -> Decimal:
        return max(Decimal(0), self.spent - self.limit)


def request(session: int, turn: int) -> tuple[str, bytes]:
    """Adapter and body of a session's call; conversations grow."""
    adapter = "codex" if session % 2 else "claude"
    message = {"role": "user", "content": f"session {session} " + "some more words " * 40 * (turn + 1)}
    body = {"model": MODELS[adapter], "stream": True}
    body |= (
        {"input": [message], "max_output_tokens": OUTPUT}
        if adapter == "codex"
        else {"messages": [message], "max_tokens": OUTPUT}
    )
    return adapter, json.dumps(body).encode()


def post(url: str, adapter: str, token: str, body: bytes) -> bool:
    """Make a call; False = it was refused."""
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url + PATHS[adapter], body, headers), timeout=60) as answer:
            answer.read()
    except urllib.error.HTTPError as error:
        with error:
            if error.code != 400:
                raise
        return False
    return True


def bill(server: Server) -> list[Decimal]:
    """Dollars of each call by the server's count."""
    return [cost for r in server.turns if r.usage and (cost := pricing.cost(str(r.body["model"]), r.usage)) is not None]


def with_gateway(sessions: int, limit: Decimal) -> Result:
    """Each session calls until it is refused."""
    with serve(Scenario([Script([Reply("ok", usage=Derived())], loop=True)])) as server:
        gate = Gateway.start(
            {
                "OPENAI_API_KEY": "k",
                "ANTHROPIC_API_KEY": "k",
                "OPENAI_BASE_URL": f"{server.url}/v1",
                "ANTHROPIC_BASE_URL": server.url,
            }
        )
        gate.serve(Limits(limit, None, None), day_file=None)

        def session(number: int) -> None:
            endpoint = gate.open(f"s{number}", task=f"t{number}", adapter=request(number, 0)[0], model="")
            for turn in range(CALLS):
                adapter, body = request(number, turn)
                if not post(endpoint.url, adapter, endpoint.token, body):
                    return

        together(session, sessions)
        denied = gate.totals().denied
        gate.close()
        costs = bill(server)
    return Result(limit, sum(costs, Decimal(0)), max(costs), len(costs), denied)


def without_gateway(sessions: int, limit: Decimal) -> Result:
    """Each session looks at what all have spent before its next call, as one does who reads the CLIs' own figures."""
    with serve(Scenario([Script([Reply("ok", usage=Derived())], loop=True)])) as server:

        def session(number: int) -> None:
            for turn in range(CALLS):
                if sum(bill(server), Decimal(0)) >= limit:
                    return
                adapter, body = request(number, turn)
                post(server.url, adapter, "k", body)

        together(session, sessions)
        costs = bill(server)
    return Result(limit, sum(costs, Decimal(0)), max(costs), len(costs), 0)


def together(session: object, count: int) -> None:
    """Run the sessions at once."""
    assert callable(session)
    threads = [threading.Thread(target=session, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main(argv: list[str]) -> int:
    """Print both and judge them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=8)
    parser.add_argument("--limit", type=Decimal, default=Decimal("0.20"))
    args = parser.parse_args(argv)
    results = {
        "with the gateway": with_gateway(args.sessions, args.limit),
        "without": without_gateway(args.sessions, args.limit),
    }
    for name, r in results.items():
        print(
            f"{name:17} limit ${r.limit}  spent ${r.spent:.6f}  over ${r.over:.6f}  calls {r.calls}  refused {r.denied}  dearest ${r.dearest:.6f}"
        )
    bare = results["without"]
    sound = results["with the gateway"].over == 0 and bare.over <= args.sessions * bare.dearest
    print("ok" if sound else "NOT ok")
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
