"""`mcp`."""

from __future__ import annotations

from pathlib import Path

import click

from zwarm_ci.cli.common import Common, common_options


@click.command(short_help="the orchestrator's tools over MCP (stdio)")
@click.option("--task", metavar="TEXT", help="What the run is for; what it names may be changed, tests included.")
@click.option("--run", metavar="RUN", help="Go on with a run that nobody serves any more; a prefix or `latest`.")
@click.option("--connect", type=click.Path(path_type=Path), metavar="SOCKET", hidden=True)
@click.option("--base", metavar="REF", help="Work on this commit rather than on the tree as it is.")
@click.option("--max-steps", type=click.IntRange(0), default=0, metavar="N", help="Calls at most; 0 = no limit [0].")
@common_options
def mcp(
    common: Common, task: str | None, run: str | None, connect: Path | None, base: str | None, max_steps: int
) -> int:
    """Serve delegate, wait, verify, accept, exit and the other tools to any MCP host over standard input and output.

    One run a server. `exit` ends it: accepted patches are verified together and land on one new branch. A server that dies can be
    started anew with --run; sessions go on meanwhile.
    """
    from zwarm_ci.orchestrator import relay, server

    if connect is not None:
        server.serve(relay.remote(connect))
        return 0
    if run is not None and (task is not None or base is not None):
        raise click.UsageError("--run goes on with what was asked for then; leave out --task and --base")
    from zwarm_ci import proc
    from zwarm_ci.orchestrator.hosted import Hosted, again
    from zwarm_ci.orchestrator.tools import Toolset
    from zwarm_ci.selection import Request

    asked = Request(
        "mcp", common.directory, base=base or "", config_file=common.config, sets=common.sets, words=task or ""
    )

    def make() -> Toolset:
        if known := run or again(common.directory):
            return Toolset.resume(common.directory, known, max_steps=max_steps, concludes=True)
        return Toolset.begin(asked, max_steps=max_steps, concludes=True)

    with proc.stoppable():
        tools = Hosted(make)
        try:
            server.serve(tools.call)
        finally:
            tools.close()
    return 0
