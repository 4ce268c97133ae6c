"""A log cut down to what a person or an executor needs: windows round assertions, errors and tracebacks, bounded.

The whole log stays in its file; this is a pure function of its text.
"""

from __future__ import annotations

import re

from zwarm_ci.scrub import plain

_MARKS = re.compile(
    r"^E  |^>  |^Traceback \(most recent call last\)|\b\w*(Error|Exception|Failure)\b|^(FAILED|ERROR|FAIL|panic)\b"
    r"|assert|^--- FAIL|\berror(\[\w+\])?:|panicked at|^\s+at .+:\d+|✕|✗|not ok\b"
)
_BEFORE, _AFTER = 2, 4
_LINE = 400  # characters of one line; what is longer is data, not a message
_HEAD_SHARE = 0.25


def reduce_log(text: str, limit: int = 6000) -> str:
    """`text` in at most `limit` characters: whole where it fits, else its start, its telling windows and its end."""
    if len(text) > 64 * limit:  # only head and tail can matter, and patterns over 200 MB would take minutes
        text = f"{text[: 16 * limit]}\n{_gap(len(text) - 32 * limit)}\n{text[-16 * limit :]}"
    lines = [_short(line) for line in plain(text).rstrip().split("\n")]
    whole = "\n".join(lines)
    if len(whole) <= limit:
        return whole
    head = _take(lines, int(limit * _HEAD_SHARE), last=False)
    tail = _take(lines[len(head) :], int(limit * _HEAD_SHARE), last=True)
    middle = lines[len(head) : len(lines) - len(tail)]
    room = limit - sum(len(line) + 1 for line in (*head, *tail)) - 120  # the gaps say how much is missing
    return _cut("\n".join([*head, *_windows(middle, room), *tail]), limit)


def _windows(lines: list[str], room: int) -> list[str]:
    """The marked lines of the middle with their neighbours, as many as fit, with gaps where something is left out."""
    keep: set[int] = set()
    left = room
    for number, line in enumerate(lines):
        if not _MARKS.search(line):
            continue
        new = [i for i in range(max(0, number - _BEFORE), min(len(lines), number + _AFTER + 1)) if i not in keep]
        cost = sum(len(lines[i]) + 1 for i in new)
        if cost > left:
            break
        left -= cost + 40
        keep.update(new)
    out: list[str] = []
    missing = 0
    for number, line in enumerate(lines):
        if number in keep:
            if missing:
                out.append(_gap(missing, "lines"))
                missing = 0
            out.append(line)
        else:
            missing += 1
    return [*out, _gap(missing, "lines")] if missing else out


def _take(lines: list[str], room: int, *, last: bool) -> list[str]:
    taken: list[str] = []
    for line in reversed(lines) if last else lines:
        room -= len(line) + 1
        if room < 0:
            break
        taken.append(line)
    return taken[::-1] if last else taken


def _short(line: str) -> str:
    return line if len(line) <= _LINE else f"{line[: _LINE - 20]} … {len(line)} characters"


def _gap(count: int, what: str = "characters") -> str:
    return f"[… {count} {what} left out]"


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
