"""What the scripted model says: replies in the order of a conversation's calls, with tool calls, faults and prices of their own.

Tool calls are abstract (`Shell`, `Write`, `Edit`, `Patch`); tools.py maps them to whatever tool the CLI offers in the request,
so that one scenario drives both CLIs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.fakemodel.gate import Gate
from tests.fakemodel.usage import PLAIN, Derived
from zwarm_ci.task import Usage


@dataclass(frozen=True, slots=True)
class Shell:
    """Run a command line. The model waits `seconds` for its end, 0 = as long as the CLI's own tool does."""

    command: str
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Write:
    """Make a file. Claude wants an absolute path; codex takes one below its folder."""

    path: str
    content: str


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace `old`, whole lines, by `new`. Claude wants to have read the file first."""

    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Patch:
    """A patch in codex's own form; codex only."""

    text: str


@dataclass(frozen=True, slots=True)
class Tool:
    """A call of the tool `name` as it is; `arguments` as JSON, or as free text. `namespace` = codex's name of an MCP server."""

    name: str
    arguments: Mapping[str, Any] | str
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """Any output item of OpenAI's, e.g. a web search that ran at the provider; codex only."""

    item: Mapping[str, Any]


Call = Shell | Write | Edit | Patch | Tool | Item


@dataclass(frozen=True, slots=True)
class Status:
    """An HTTP error instead of an answer. `retry_after` in seconds; `type` "" = the usual one for the code."""

    code: int
    retry_after: float | None = None
    type: str = ""
    message: str = ""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection ends after `after` events of the stream; `clean` = with the end mark of the chunked body, as if it were whole."""

    after: int = 1
    clean: bool = False


@dataclass(frozen=True, slots=True)
class Stall:
    """Nothing comes any more after `after` events, until the client leaves; None = not even headers."""

    after: int | None = None


@dataclass(frozen=True, slots=True)
class Drop:
    """The connection is reset before any header."""


@dataclass(frozen=True, slots=True)
class StreamError:
    """An error told in the stream, after its first event; `code` as the provider names it."""

    code: str
    message: str = "injected"


Fault = Status | Cut | Stall | Drop | StreamError


@dataclass(frozen=True, slots=True)
class Pace:
    """The body leaves in pieces of `size` bytes, each after a step of `gate`; size 0 = an event a piece."""

    gate: Gate
    size: int = 1


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of the model.

    Attributes:
        usage: what it costs. model: that says it answered; "" = the one asked for.
        fault: comes instead, `times` times (-1 = always), and uses up no reply; then the reply is as written.
        hold: headers leave only when it lets them through. seconds: the model thinks so long. pace: see `Pace`.
        gzip: the body comes compressed, whether it was asked for or not.
        truncated: it ended because of the limit on its length.
        expect: what the request's body must match; `Request.expected` says whether it did.
        late: gives the calls when it is known what was said before, of the request's body as JSON; instead of `calls`.
    """

    text: str = ""
    calls: Sequence[Call] = ()
    reasoning: str = ""
    usage: Usage | Derived = PLAIN
    model: str = ""
    fault: Fault | None = None
    times: int = 1
    hold: Gate | None = None
    seconds: float = 0.0
    pace: Pace | None = None
    gzip: bool = False
    truncated: bool = False
    expect: str = ""
    late: Callable[[str], Sequence[Call]] | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """The replies of one conversation, one a call; `match` is searched in the user's text of its first call."""

    replies: Sequence[Reply]
    match: str = ""
    name: str = "default"
    loop: bool = False

    def at(self, number: int) -> Reply | None:
        """The reply to call `number` (from 0), None after the last."""
        if self.loop and self.replies:
            return self.replies[number % len(self.replies)]
        return self.replies[number] if number < len(self.replies) else None


@dataclass(frozen=True, slots=True)
class Scenario:
    """Scripts, the first that matches counts; `after_end` when a script is used up, `side` to calls beside the conversation."""

    scripts: Sequence[Script]
    after_end: Reply = Reply("(the script is used up)")
    side: Reply = Reply('{"title": "a title"}')

    def script_for(self, text: str) -> Script:
        """The script of a conversation whose first call has this user's text."""
        found = (s for s in self.scripts if re.search(s.match, text, re.DOTALL))
        return next(found, Script((), name="none"))


def scenario(*replies: Reply) -> Scenario:
    """One script for every conversation."""
    return Scenario((Script(replies),))
