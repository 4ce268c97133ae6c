"""Reviewers by the base's CODEOWNERS: GitHub's places, patterns of gitignore's kind without `!` and `[]`, the last match wins."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from zwarm_ci.scrub import decode

#: In the order in which GitHub looks; the first one that exists counts.
PLACES = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")
_LARGEST = 3 << 20  # bytes; GitHub ignores a larger file
_MOST = 15  # reviewers that GitHub takes
_USER = re.compile(r"@([A-Za-z0-9](?:[A-Za-z0-9-]{0,38}))")
_TEAM = re.compile(r"@([A-Za-z0-9][A-Za-z0-9-]{0,38})/([A-Za-z0-9_.-]{1,100})")


class Owners(NamedTuple):
    """Logins, and slugs of teams of the repository's organization."""

    users: tuple[str, ...]
    teams: tuple[str, ...]


def owners(read: Callable[[str], bytes | None], paths: Iterable[str], organization: str) -> Owners:
    """Who owns the changed paths, in the order of the file's lines; mail addresses and other organizations' teams are left out."""
    rows = _rows(next((text for place in PLACES if (text := read(place)) is not None), b""))
    names: dict[str, None] = {}
    for path in paths:
        own: Sequence[str] = next((who for pattern, who in reversed(rows) if pattern.match(path)), ())
        names.update(dict.fromkeys(own))
    users = [m[1] for name in names if (m := _USER.fullmatch(name))]
    teams = [m[2] for name in names if (m := _TEAM.fullmatch(name)) and m[1].lower() == organization.lower()]
    return Owners(tuple(users[:_MOST]), tuple(teams[: max(0, _MOST - len(users))]))


def _rows(text: bytes) -> list[tuple[re.Pattern[str], tuple[str, ...]]]:
    rows = []
    for line in decode(text).splitlines() if len(text) <= _LARGEST else ():
        words = _words(line)
        if words and not words[0].startswith("!") and "[" not in words[0]:
            rows.append((_pattern(words[0]), tuple(words[1:])))
    return rows


def _words(line: str) -> list[str]:
    """The words of a line up to its comment; a blank after a backslash belongs to the word."""
    words = [w.replace("\\ ", " ") for w in re.findall(r"(?:\\ |\\#|\S)+", line)]
    end = next((n for n, word in enumerate(words) if word.startswith("#")), len(words))
    return [w.removeprefix("\\") if w.startswith("\\#") else w for w in words[:end]]


def _pattern(glob: str) -> re.Pattern[str]:
    """A pattern's meaning: anchored where it has a slash before its end; a folder stands for all below it, `x/*` for its files alone."""
    body = glob.strip("/")
    anchored = glob.startswith("/") or "/" in body
    parts = re.split(r"(\*\*/|/\*\*$|\*\*|\*|\?)", body)
    meaning = {"**/": "(?:.*/)?", "/**": "/.*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    made = "".join(meaning.get(part, re.escape(part)) for part in parts)
    tail = "/.*" if glob.endswith("/") else "" if body.endswith("/*") else "(?:/.*)?"
    return re.compile(("" if anchored else "(?:.*/)?") + made + tail + r"\Z", re.DOTALL)
