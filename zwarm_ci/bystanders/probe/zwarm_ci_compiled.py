"""Is compiled code what its source says? Runs in the repository's interpreter; standard library alone, and pytest for its rewriting.

Standard input: paths of .pyc files in a __pycache__, a line of JSON each. Standard output: those that hold something else.
"""

from __future__ import annotations

import ast
import json
import marshal
import os
import sys
from typing import Any, Iterable, Iterator

_HEADER = 16  # bytes, PEP 552
_OPTIMISED = {"opt-1": 1, "opt-2": 2}


def says_otherwise(path: str) -> bool:
    """Whether this interpreter would load code from there that the source beside it does not have."""
    folder, name = os.path.split(path)
    stem, _, rest = name.partition(".")
    tag, _, kind = rest[: -len(".pyc")].partition("-pytest-")
    parts = tag.split(".")
    source = os.path.join(os.path.dirname(folder), stem + ".py")
    if parts[0] != sys.implementation.cache_tag or not os.path.isfile(source):
        return False  # another interpreter's, or without a source: nobody here loads it
    try:
        with open(source, "rb") as file:
            text = file.read()
        with open(path, "rb") as file:
            code = marshal.loads(file.read()[_HEADER:])
        return bool(code != _compiled(text, source, _OPTIMISED.get(parts[-1], 0), rewritten=bool(kind)))
    except (OSError, ValueError, TypeError, EOFError, SyntaxError, ImportError):
        return True


def _compiled(text: bytes, source: str, optimised: int, rewritten: bool) -> Any:
    if not rewritten:
        return compile(text, source, "exec", dont_inherit=True, optimize=optimised)
    from _pytest.assertion.rewrite import rewrite_asserts

    tree = ast.parse(text, filename=source)
    rewrite_asserts(tree, text, source, None)
    return compile(tree, source, "exec", dont_inherit=True)


def wrong(lines: Iterable[str]) -> Iterator[str]:
    """Those of the paths whose code is not their source's."""
    for line in lines:
        path = json.loads(line)
        if says_otherwise(path):
            yield json.dumps(path)


if __name__ == "__main__":
    sys.path += sys.argv[1:]
    for said in wrong(sys.stdin):
        print(said)
