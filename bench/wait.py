"""How long after a session's end `wait` has come back: through the MCP server, as a host sees it.

    python bench/wait.py [--sessions 30]

Starts the server as a host does, with the SDK's client; sessions of a program that stands in for codex and ends when it is told to.
Prints n, median, 95th percentile and the most, in milliseconds from the moment at which the session's record says that its turn
ended to the answer in the client. It judges itself by the median: at most 100 ms. Who polls instead waits half his interval on
average, and pays a model call for each look.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from zwarm_ci.sessions import Store

LIMIT = 100.0  # milliseconds
_PROGRAM = """#!{python} -S
import json, sys
if "--version" in sys.argv:
    print("codex-cli 0.169.0")
    sys.exit()
print(json.dumps({{"type": "thread.started", "thread_id": "t"}}), flush=True)
gate = sys.stdin.read().splitlines()[0]
open(gate).read()
print(json.dumps({{"type": "turn.completed", "usage": {{"input_tokens": 1, "output_tokens": 1}}}}), flush=True)
"""


def yard(folder: Path) -> dict[str, str]:
    """A repository, the program and a home with a login; the environment for the server."""
    home, program = folder / "home", folder / "codex"
    (home / ".codex").mkdir(parents=True)
    (home / ".codex" / "auth.json").write_text('{"OPENAI_API_KEY": null, "tokens": {"access_token": "x"}}')
    program.write_text(_PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    repo = folder / "repo"
    for argv in (("init", "-q", str(repo)), ("-C", str(repo), "commit", "-q", "--allow-empty", "-m", "first")):
        who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        subprocess.run(["git", *who, *argv], check=True, cwd=folder)
    (folder / "tmp").mkdir()
    return {
        "PATH": os.environ["PATH"], "HOME": str(home), "ZWARM_CI_CODEX": str(program), "TMPDIR": str(folder / "tmp"),
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }  # fmt: skip


async def call(session: ClientSession, tool: str, **args: object) -> dict[str, object]:
    """The answer of a tool."""
    (content,) = (await session.call_tool(tool, dict(args))).content
    answer: dict[str, object] = json.loads(getattr(content, "text", ""))
    if not answer["success"]:
        raise SystemExit(f"{tool}: {answer['error']}")
    return answer


async def one(session: ClientSession, store: Store, folder: Path, number: int) -> float:
    """Milliseconds for one session."""
    gate = folder / f"gate-{number}"
    os.mkfifo(gate)
    begun = await call(session, "delegate", task=str(gate), adapter="codex", model="gpt-5.1-codex-mini", expects=[])
    session_id = str(begun["session_id"])
    waiting = asyncio.ensure_future(call(session, "wait", session_ids=[session_id]))
    writer = await asyncio.to_thread(os.open, gate, os.O_WRONLY)  # comes back when the program reads
    os.close(writer)
    await waiting
    came = time.time()
    return (came - store.load(session_id).updated_at) * 1000


async def measure(sessions: int) -> list[float]:
    """Milliseconds for each of so many sessions."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        env = yard(folder)
        argv = ["-P", "-m", "zwarm_ci", "mcp", "-C", str(folder / "repo")]
        server = StdioServerParameters(command=sys.executable, args=argv, env=env)
        async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
            await session.initialize()
            store = Store(folder / "repo" / ".zwarm")
            return [await one(session, store, folder, number) for number in range(sessions)]


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=30)
    took = sorted(asyncio.run(measure(parser.parse_args().sessions)))
    median, late = statistics.median(took), took[int(len(took) * 0.95)]
    print(f"n {len(took)}   median {median:.1f} ms   95th percentile {late:.1f} ms   most {took[-1]:.1f} ms")
    good = median <= LIMIT
    print(f"{'ok' if good else 'too slow'}: the median is to be at most {LIMIT:g} ms")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
