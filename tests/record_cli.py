"""Makes the recordings in tests/data/cli/ anew: plays every contract with the real command lines and keeps what they said.

python -m tests.record_cli [CONTRACT…]
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.replay_cli import Ids, packed

#: Where the command lines keep a conversation, below a session's folder.
_RECORDS = ("sessions/*/*/*/rollout-*.jsonl", "projects/*/*.jsonl")
RECORDINGS = Path(__file__).parent / "data" / "cli"


def normal(text: str, places: dict[str, str], ids: Ids) -> str:
    """The text without what is of one machine and moment: places by their names, ids by their order, runs shortened."""
    for name, place in places.items():
        text = text.replace(place, f"{{{name}}}")
    return packed(ids.normal(text))


def turn_recording(captured: Path, places: dict[str, str], folder: Path, ids: Ids) -> dict[str, Any]:
    """What a turn's program said, by its files `captured.*`; `folder` is the session's, where its home is."""
    said = _text(captured.with_suffix(".out"))
    code, interrupted = (_number(captured.with_suffix(suffix)) for suffix in (".code", ".interrupted"))
    rest = None
    if code is None or interrupted is not None:
        cut = (
            len(said)
            if interrupted is None
            else len(said.encode(errors="surrogateescape")[:interrupted].decode(errors="surrogateescape"))
        )
        said, rest = said[:cut], normal(said[cut:], places, ids)
    turn: dict[str, Any] = {
        "stdout": normal(said, places, ids),
        "stderr": normal(_text(captured.with_suffix(".err")), places, ids),
        "interrupted": rest,
        "code": code,
        "home": {},
    }
    for path in sorted(p for pattern in _RECORDS for p in folder.rglob(pattern)):
        # Codex says what a turn cost here before it says it anywhere else; of claude's record it is asked only whether there is one.
        lines = [line for line in _text(path).splitlines() if '"token_count"' in line]
        top = next(p for p in path.parents if p.name in {"sessions", "projects"}).parent
        name = normal(path.relative_to(top).as_posix(), places, ids)
        turn["home"][name] = normal("".join(f"{line}\n" for line in lines), places, ids)
    return turn


def _number(path: Path) -> int | None:
    return int(path.read_text(encoding="utf-8")) if path.exists() else None


def _text(path: Path) -> str:
    return path.read_bytes().decode(errors="surrogateescape") if path.exists() else ""


def main(names: list[str]) -> None:
    """Record the contracts named, or all."""
    from tests.conformance.sessions import CONTRACTS, OWN_PROGRAM
    from tests.conformance.stage import ADAPTERS, Stage
    from tests.realcli import CLAUDE, CODEX, installed

    programs = dict(zip(ADAPTERS, installed(), strict=True))
    RECORDINGS.mkdir(parents=True, exist_ok=True)
    versions = {"codex": f"codex-cli {CODEX}", "claude": f"{CLAUDE} (Claude Code)"}
    (RECORDINGS / "version.json").write_text(json.dumps(versions) + "\n", encoding="utf-8")
    for adapter in ADAPTERS:
        for name in names or [c for c in CONTRACTS if c not in OWN_PROGRAM]:
            with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as environ:
                home = Path(place, "home")
                home.mkdir()
                for variable in set(os.environ):
                    environ.delenv(variable)
                environ.setenv("PATH", os.defpath)  # what `env` prints is recorded too
                environ.setenv("HOME", str(home))
                stage = Stage(
                    adapter, name, Path(place, "stage"), RECORDINGS, environ, programs[adapter], recording=True
                )
                try:
                    CONTRACTS[name](stage)
                except AssertionError as error:
                    print(f"{adapter} {name}: {error}", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
