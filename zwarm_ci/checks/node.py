"""Node's processes, watched: a small file that NODE_OPTIONS loads into each of them tells which sources they read.

It needs no package and writes nothing into the tree. Node 18 and later show every module; older ones all but native ES modules.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zwarm_ci.checks.base import PROBE, Job
from zwarm_ci.streams import MIB

_HOOK = PROBE / "zwarm_ci_node.cjs"
_BUN = PROBE / "zwarm_ci_bun.mjs"
_ORDERS = "node.json"
_SEEN = "foreign.jsonl"
_MOST = 4 * MIB  # one line a file; a run that reads more foreign files than that has told enough


def watched(job: Job, args: Mapping[str, Mapping[str, list[str]]] | None = None, *, options: str = "") -> Job:
    """The job with the watch in every node process that it starts.

    Args:
        job: any check's; one that starts no node is as before.
        args: by runner ("vitest", "jest", "mocha"): `add` these words to its command line, after those of `plain` and of
            `valued` (which have a value) were taken off.
        options: further options for NODE_OPTIONS.
    """
    file = _orders(job, args or {})
    words = ("--require=" + quoted(str(_HOOK)), options, job.env.get("NODE_OPTIONS", ""))
    return job.with_env(ZWARM_CI_NODE=str(file), NODE_OPTIONS=" ".join(filter(None, words)))


def watched_bun(job: Job) -> Job:
    """The job with the watch in bun's test runner, which takes no notice of NODE_OPTIONS (bun 1.2.19 and later have BUN_OPTIONS)."""
    words = (f"--preload={_BUN}", job.env.get("BUN_OPTIONS", ""))
    return job.with_env(ZWARM_CI_NODE=str(_orders(job, {})), BUN_OPTIONS=" ".join(filter(None, words)))


def _orders(job: Job, args: Mapping[str, Mapping[str, list[str]]]) -> Path:
    file = job.folder / _ORDERS
    orders = {
        "out": str(job.folder),
        "tree": str(job.tree.resolve()),
        "top": str(job.top.resolve()),
        "args": args or {},
    }
    file.write_text(json.dumps(orders), encoding="utf-8")
    return file


def quoted(word: str) -> str:
    """A word as NODE_OPTIONS wants it (Node 12 and later take quotes; before, no path with a space could be named)."""
    return json.dumps(word) if any(c.isspace() or c in '"\\' for c in word) else word


def foreign(job: Job) -> tuple[str, ...]:
    """Source files of the original checkout, relative to its top, that a watched job read instead of this tree's."""
    files = (str(line["file"]) for line in _lines(job.folder / _SEEN) if isinstance(line.get("file"), str))
    return tuple(dict.fromkeys(files))


def _lines(file: Path) -> list[dict[str, Any]]:
    if not file.is_file():
        return []
    with file.open("rb") as stream:
        return [event for line in stream.read(_MOST).split(b"\n") if (event := _event(line))]


def _event(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
