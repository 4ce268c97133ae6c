"""A scripted model server for the real codex and claude: what it says is written beforehand, what it got is kept.

with serve(scenario(Reply("done", [Shell("pytest -q")]), Reply("fixed"))) as server:
    ...  # point a CLI at server.url
assert server.turns[1].users == ("repair it",)
"""

from tests.fakemodel.gate import Gate
from tests.fakemodel.log import Request, Sent, key_hash
from tests.fakemodel.scenario import (
    Call,
    Cut,
    Drop,
    Edit,
    Item,
    Pace,
    Patch,
    Reply,
    Scenario,
    Script,
    Shell,
    Stall,
    Status,
    StreamError,
    Tool,
    Write,
    scenario,
)
from tests.fakemodel.server import Server, refusing, serve
from tests.fakemodel.usage import Derived

__all__ = [
    "Call", "Cut", "Derived", "Drop", "Edit", "Gate", "Item", "Pace", "Patch", "Reply", "Request", "Scenario", "Script", "Sent", "Server",
    "Shell", "Stall", "Status", "StreamError", "Tool", "Write", "key_hash", "refusing", "scenario", "serve",
]  # fmt: skip
