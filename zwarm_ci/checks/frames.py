"""The repository's own frames in a text: traces of Python, pytest, JavaScript, Go and Rust. Only files that exist count."""

from __future__ import annotations

import re
from pathlib import Path

from zwarm_ci.checks.base import relative
from zwarm_ci.task import Place

_FRAME = re.compile(
    r"""
      ^[^\S\n]*File\ "(?P<python>[^"\n]+)",\ line\ (?P<python_line>\d+)
    | ^[^\S\n]*at\ .*?(?<![^\s():])(?P<js>(?:file://)?[^\s():]+\.[cm]?[jt]sx?):(?P<js_line>\d+)(?::\d+)?\)?\s*$
    | (?<![^\s:()'"])(?P<path>[^\s:()'"]+\.(?:py|go|rs|[cm]?[jt]sx?)):(?P<line>\d+)\b
    """,
    re.VERBOSE | re.MULTILINE,
)
_MOST = 60
_NOT_OWN = ("site-packages/", "node_modules/", "dist-packages/")


def frames_in(text: str, *, cwd: Path, tree: Path) -> tuple[Place, ...]:
    """The frames, outermost first, at most 60, each a line of an existing file below `tree`."""
    found: list[Place] = []
    innermost_first = False
    for match in _FRAME.finditer(text[: 256 * 1024]):
        path = match["python"] or match["js"] or match["path"]
        line = int(match["python_line"] or match["js_line"] or match["line"])
        name = relative(path.removeprefix("file://"), cwd=cwd, tree=tree)
        own = not Path(name).is_absolute() and not any(part in name for part in _NOT_OWN)
        innermost_first = innermost_first or bool(match["js"])  # what JavaScript calls a stack starts where it ends
        if own and (tree / name).is_file() and Place(name, line) not in found[-1:]:
            found.append(Place(name, line))
    return tuple(found[:_MOST][::-1] if innermost_first else found[-_MOST:])
