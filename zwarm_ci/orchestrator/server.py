"""The tools over MCP on standard streams, by the official SDK. Each call is answered with one JSON text.

Nothing is kept here: the tools are this process's own, or those of another one, to which calls are passed on.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from zwarm_ci import __version__
from zwarm_ci.errors import BlockedError, InterruptedRunError
from zwarm_ci.orchestrator.toolspec import INSTRUCTIONS, TOOLS
from zwarm_ci.stop import STOP

if TYPE_CHECKING:
    import anyio
    from mcp.server.lowlevel import Server

NAME = "zwarm"
Tool = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]
_HUNG_UP = (
    signal.SIGHUP
)  # what `STOP` is set to when nobody is at the other end any more, so that calls under way end too
_LONGEST = 1 << 24  # bytes of one message


def serve(call: Tool) -> None:
    """Serve until standard input ends or `STOP` is set. `call` may take its time; calls run side by side.

    Raises:
        BlockedError: the SDK is not installed. InterruptedRunError: `STOP` was set.
    """
    try:
        import mcp.server.stdio  # noqa: F401 - it is there, so the rest is
    except ModuleNotFoundError as error:
        raise BlockedError(
            f"the MCP server needs {error.name}", remedy="pip install 'zwarm-ci[orchestrate]'"
        ) from error
    asyncio.run(_serve(call))
    if STOP.signum == _HUNG_UP:
        STOP.clear()
    STOP.check()


async def _serve(call: Tool) -> None:
    from mcp.server.stdio import stdio_server

    server = _server(call)
    lines, out = await _wire()
    async with stdio_server(lines, out) as (read, write):
        await server.run(read, write, server.create_initialization_options())


def _server(call: Tool) -> Server[Any]:
    import mcp_types as types
    from mcp.server.lowlevel import Server

    listed = [
        types.Tool(
            name=name, description=spec.description, input_schema=spec.schema,
            annotations=types.ToolAnnotations(read_only_hint=spec.reads, destructive_hint=False, open_world_hint=False),
        )
        for name, spec in TOOLS.items()
    ]  # fmt: skip

    async def list_tools(_: Any, __: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=listed)

    async def call_tool(_: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        try:
            answer = await asyncio.to_thread(call, params.name, params.arguments or {})
        except InterruptedRunError as error:
            answer = {
                "success": False,
                "error": error.message,
                "hint": "the server was stopped; the run can be gone on with",
            }
        text = json.dumps(answer, ensure_ascii=False)
        return types.CallToolResult(content=[types.TextContent(text=text)], is_error=not answer["success"])

    return Server(
        NAME, version=__version__, instructions=INSTRUCTIONS, on_list_tools=list_tools, on_call_tool=call_tool
    )


async def _wire() -> tuple[anyio.AsyncFile[str], anyio.AsyncFile[str]]:
    """Standard streams for messages alone: whatever else is printed goes to standard error, and a stop ends the reading."""
    import anyio

    reader = asyncio.StreamReader(limit=_LONGEST)
    loop = asyncio.get_running_loop()
    source = os.fdopen(os.dup(0), "rb", buffering=0)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), source)
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout.flush()

    def stopped() -> None:
        loop.remove_reader(STOP.reader)
        reader.feed_eof()

    loop.add_reader(STOP.reader, stopped)
    # As much of an `AsyncFile` as is asked of it: to be iterated.
    return cast("anyio.AsyncFile[str]", _lines(reader)), anyio.wrap_file(out)


async def _lines(reader: asyncio.StreamReader) -> AsyncIterator[str]:
    while line := await reader.readline():
        yield line.decode("utf-8", "replace")
    STOP.set(_HUNG_UP)
