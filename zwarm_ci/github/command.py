"""`/zwarm-ci fix [ARG]` and `/zwarm-ci stop` in a comment: on a line of their own, in text that its author says himself.

What stands in a code fence, an indented block, a quote, an HTML comment or an HTML block is somebody's text that is shown, not said. In
doubt there is no command.
"""

from __future__ import annotations

import re

_COMMAND = re.compile(r" {0,3}/zwarm-ci[ \t]+(fix|stop)(?:[ \t]+(\S.{0,199}?))?[ \t]*")
_OPENS = re.compile(r"\s*(?:[-*+]\s+|\d{1,9}[.)]\s+)*(?:(`{3,})[^`]*|(~{3,}).*)")
_CLOSES = re.compile(r" {0,3}(`{3,}|~{3,})[ \t]*")
_SHOWN = "pre code blockquote script style textarea template xmp".split()
_HTML = re.compile(rf"<(/?)({'|'.join(_SHOWN)})\b", re.IGNORECASE)


def command_in(text: str) -> tuple[str, str]:
    """The command and its argument; ("", "") = there is none. `stop` wins over everything else that is said."""
    found = [match for line in _said(text) if (match := _COMMAND.fullmatch(line))]
    for match in found:
        if match[1] == "stop":
            return "stop", ""
    return (found[0][1], found[0][2] or "") if found else ("", "")


def _said(text: str) -> list[str]:
    """The lines that are neither code nor quoted nor hidden."""
    lines: list[str] = []
    fence, quoted, commented, inside = "", False, False, 0
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if fence:
            closed = _CLOSES.fullmatch(line)
            if closed and closed[1][0] == fence[0] and len(closed[1]) >= len(fence):
                fence = ""
            continue
        if commented or "<!--" in line:
            commented = line.rfind("<!--") > line.rfind("-->") if "<!--" in line else "-->" not in line
            continue
        tags = _HTML.findall(line)
        inside = max(0, inside + sum(-1 if closing else 1 for closing, _ in tags))
        if inside or tags:
            continue
        if opened := _OPENS.fullmatch(line):
            fence, quoted = opened[1] or opened[2], False
            continue
        quoted = line.lstrip().startswith(">") or (quoted and bool(line.strip()))  # a paragraph goes on without its `>`
        if not quoted:
            lines.append(line)
    return lines
