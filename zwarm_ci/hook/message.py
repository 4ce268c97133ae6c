"""At a commit's message: trailers that git would not see as such are made ones again. It never says no.

Tools and merges of messages leave a blank line between trailers, or none before them; git then reads none, or just the last few.
Git itself is the judge: a message is changed only where it finds the same trailers afterwards, and more.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from zwarm_ci.errors import BlockedError, CommandError
from zwarm_ci.git import Git
from zwarm_ci.hook.asked import Asked, say
from zwarm_ci.scrub import decode

#: Ours, and those that nobody writes for anything else. A paragraph with one of them is meant as a block of trailers.
_KNOWN = re.compile(r"^(zwarm-[a-z-]+|[a-z-]+-by|change-id|fixes): ?\S", re.IGNORECASE)
_TRAILER = re.compile(r"^[A-Za-z0-9][A-Za-z0-9-]*: ?\S")
_SCISSORS = re.compile(r"^.{0,3} ?-{5,} ?>8 ?-{5,}$")


def keep_trailers(asked: Asked) -> int:
    """Put the trailers of the message file into one block at its end; always 0.

    Raises:
        InterruptedRunError: a person stopped it.
    """
    if len(asked.args) != 1:
        say("commit-msg: git names one file; nothing was done")
        return 0
    file = asked.directory / asked.args[0]
    try:
        _rewrite(file)
    except (OSError, BlockedError, CommandError) as error:
        say(f"commit-msg: {error}; the message stays as it is")
    return 0


def _rewrite(file: Path) -> None:
    git = Git(file.resolve().parent)
    raw = file.read_bytes()
    mark = git.ask("config", "core.commentChar")
    made = well_formed(raw.decode("utf-8", "surrogateescape"), mark if len(mark) == 1 else "#")
    data = made.encode("utf-8", "surrogateescape")
    if data == raw:
        return
    before, after = (_trailers(git, one) for one in (raw, data))
    if all(line in after for line in before) and len(after) > len(before):
        temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
        temporary.write_bytes(data)
        temporary.replace(file)


def _trailers(git: Git, message: bytes) -> list[str]:
    """What git takes for trailers; `--parse` keeps it from adding what settings would have added."""
    return decode(git.run("interpret-trailers", "--parse", stdin=message).stdout).splitlines()


def well_formed(message: str, mark: str = "#") -> str:
    """The message with its trailing trailers in one block after a blank line; comments at its end stay where they are."""
    lines = message.split("\n")
    end = _end_of_text(lines, mark)
    text, rest = lines[:end], lines[end:]
    start = _start_of_block(text)
    block = [line for line in text[start:] if line.strip()]
    if start < 1 or not block:
        return message
    body = text[:start]
    while body and not body[-1].strip():
        body.pop()
    return "\n".join([*body, "", *block, *rest])


def _end_of_text(lines: list[str], mark: str) -> int:
    """Where the text ends: before the scissors, and before comments and blank lines at the end."""
    cut = next((n for n, line in enumerate(lines) if line.startswith(mark) and _SCISSORS.match(line)), len(lines))
    while cut and (not lines[cut - 1].strip() or lines[cut - 1].startswith(mark)):
        cut -= 1
    return cut


def _start_of_block(text: list[str]) -> int:
    """The line from which on there is nothing but trailers, blank lines between; 0 = there are none.

    A paragraph belongs to them where it is all trailers, one of them known; of the one above these, what it ends with from a known
    trailer on.
    """
    start = len(text)
    while start > 1:
        paragraph = _paragraph_before(text, start)
        lines = text[paragraph:start]
        if not any(_KNOWN.match(line) for line in lines) or paragraph == 0 or not _all_trailers(lines):
            break
        start = paragraph
    end = start
    while end > 1 and not text[end - 1].strip():
        end -= 1
    above = end
    while above > 1 and _TRAILER.match(text[above - 1]):
        above -= 1
    start = next((n for n in range(above, end) if _KNOWN.match(text[n])), start)
    return start if start < len(text) else 0


def _paragraph_before(text: list[str], end: int) -> int:
    """Where the paragraph that ends before the line `end` begins."""
    at = end
    while at and not text[at - 1].strip():
        at -= 1
    while at and text[at - 1].strip():
        at -= 1
    return at


def _all_trailers(lines: list[str]) -> bool:
    """Whether all lines but blank ones are trailers or go on with one."""
    said = [line for line in lines if line.strip()]
    return bool(_TRAILER.match(said[0])) and all(_TRAILER.match(line) or line[:1] in " \t" for line in said)
