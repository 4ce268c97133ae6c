"""What the gateway adds: to a call, and to each piece of a stream; beside the same server without it.

    python bench/gateway.py [--calls 300] [--pieces 2000] [--body 40000]

Prints n, median and 99th percentile in milliseconds, and what lies between. It judges itself by the pieces: the median one
leaves at most 5 ms after it came.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[1]))
from zwarm_ci.gateway.client import Gateway
from zwarm_ci.purse import Limits

MODEL = "gpt-5.1-codex-mini"
_USAGE = {"input_tokens": 100, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 10}
_LAST = json.dumps({"type": "response.completed", "response": {"model": MODEL, "usage": _USAGE}})
END = f"event: response.completed\ndata: {_LAST}\n\n".encode()
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_GAP = 0.002  # seconds between two pieces: dense for a model, and each is written by itself
LIMIT = 5.0  # milliseconds that a piece may take


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Whatever is asked: so many pieces as the body says, each with the time at which it left."""
    while True:
        head = b""
        while line := (await reader.readline()).strip():
            head += line.lower() + b"\n"
        if not head:
            break
        length = int(head.partition(b"content-length:")[2].split()[0])
        pieces = int(json.loads(await reader.readexactly(length))["metadata"])
        writer.write(_HEAD)
        for _ in range(pieces):
            data = json.dumps({"type": "response.output_text.delta", "delta": f"{time.perf_counter():.7f} " + "x" * 80})
            writer.write(_chunk(f"event: response.output_text.delta\ndata: {data}\n\n".encode()))
            await writer.drain()
            await asyncio.sleep(_GAP)
        writer.write(_chunk(END) + b"0\r\n\r\n")
        await writer.drain()
    writer.close()


def _upstream(port: multiprocessing.Queue[int]) -> None:
    async def run() -> None:
        server = await asyncio.start_server(_answer, "127.0.0.1", 0)
        port.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


class Caller:
    """One kept connection."""

    def __init__(self, url: str, token: str, size: int) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc)
        self._headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        self._text = "x" * size

    def call(self, pieces: int) -> list[float]:
        """Milliseconds: of each piece on its way, or of the whole call where there are none."""
        body = {"model": MODEL, "stream": True, "metadata": pieces, "input": self._text}
        began = time.perf_counter()
        self._connection.request("POST", "/v1/responses", json.dumps(body).encode(), self._headers)
        response = self._connection.getresponse()
        waits = []
        while line := response.readline():
            if line.startswith(b"data:") and b".delta" in line:
                waits.append((time.perf_counter() - float(json.loads(line[5:])["delta"].split()[0])) * 1000)
        return waits or [(time.perf_counter() - began) * 1000]


def row(name: str, values: list[float]) -> float:
    """Print a row; the median."""
    median, high = statistics.median(values), statistics.quantiles(values, n=100)[98]
    print(f"{name:22} n {len(values):5}  median {median:7.3f} ms  p99 {high:7.3f} ms")
    return median


def compare(what: str, direct: Callable[[], list[float]], ours: Callable[[], list[float]]) -> float:
    """Print both and the difference; the median through the gateway."""
    bare, through = direct(), ours()
    first, second = row(f"{what}, direct", bare), row(f"{what}, gateway", through)
    print(f"{what + ', added':22} median {second - first:+.3f} ms")
    return second


def main(argv: list[str]) -> int:
    """Measure and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("--calls", 300), ("--pieces", 2000), ("--body", 40_000)):
        parser.add_argument(name, type=int, default=default)
    args = parser.parse_args(argv)
    context = multiprocessing.get_context("spawn")
    port: multiprocessing.Queue[int] = context.Queue()
    upstream = context.Process(target=_upstream, args=(port,), daemon=True)
    upstream.start()
    url = f"http://127.0.0.1:{port.get()}"
    gate = Gateway.start({"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": f"{url}/v1"})
    gate.serve(Limits(Decimal(1000), None, None), day_file=None)
    endpoint = gate.open("bench", task="bench", adapter="codex", model=MODEL)
    direct, ours = Caller(url, "k", args.body), Caller(endpoint.url, endpoint.token, args.body)
    for caller in (direct, ours):
        caller.call(1)
    try:
        compare(
            "a call",
            lambda: [ms for _ in range(args.calls) for ms in direct.call(0)],
            lambda: [ms for _ in range(args.calls) for ms in ours.call(0)],
        )
        median = compare("a piece", lambda: direct.call(args.pieces), lambda: ours.call(args.pieces))
    finally:
        gate.close()
        upstream.kill()
    print("ok" if median <= LIMIT else "NOT ok")
    return 0 if median <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
