"""A program in a command line's place: it plays a recorded stream, or runs the real one and keeps what it says.

A stage (tests/conformance/stage.py) makes the script that starts it, and a folder for each scene, named after its worktree:

    version.txt   what `--version` prints             real.txt   the real program; where it is, we record
    DIGEST/recording.json   what is played, a turn at a time; `{…}` in its texts are filled in from places.json
    DIGEST/given_N.json     what turn N was given: arguments, environment, standard input, text files of its home
    DIGEST/captured_N.*     what the real program said in turn N; its exit code, where it ended by itself or when it was
                            interrupted; how much it had said when it was
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

_RUN = re.compile(r"(.)\1{999,}", re.DOTALL)
_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_TIMES = re.compile(r"\{times (\d+) (\d+)\}")
_HOMES = ("CODEX_HOME", "CLAUDE_CONFIG_DIR", "HOME")
_SMALL = 200_000  # bytes; a larger file of a home is no setting


class Ids:
    """Ids in the order in which they come, each with one in its place that is the same in every recording of this name."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._known: dict[str, str] = {}

    def normal(self, text: str) -> str:
        """The text with ids of ours."""
        return _UUID.sub(lambda m: self._known.setdefault(m[0], self._fresh()), text)

    def _fresh(self) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self._name} {len(self._known)}"))


def digest(worktree: Path) -> str:
    """The name of a scene's folder."""
    return hashlib.sha256(str(worktree.resolve()).encode()).hexdigest()[:16]


def packed(text: str) -> str:
    """The text with long runs of one character shortened."""
    return _RUN.sub(lambda m: f"{{times {len(m[0])} {ord(m[1])}}}", text)


def unpacked(text: str) -> str:
    """What `packed` had."""
    return _TIMES.sub(lambda m: chr(int(m[2])) * int(m[1]), text)


def filled(text: str, places: Mapping[str, str]) -> str:
    """The text with the places of this machine and moment in it."""
    for name, place in places.items():
        text = text.replace(f"{{{name}}}", place)
    return unpacked(text)


def main(folder: Path, argv: Sequence[str]) -> int:
    """Be the program; returns its exit code."""
    if "--version" in argv:
        print((folder / "version.txt").read_text(encoding="utf-8"))
        return 0
    scene = folder / digest(Path(argv[argv.index("-C") + 1]) if "-C" in argv else Path.cwd())
    number = len(list(scene.glob("given_*.json"))) + 1
    stdin = sys.stdin.buffer.read()
    given = {"argv": list(argv), "environ": dict(os.environ), "stdin": stdin.decode(), "home": _home()}
    (scene / f"given_{number}.json").write_text(json.dumps(given), encoding="utf-8")
    if (folder / "real.txt").exists():
        return _record([(folder / "real.txt").read_text(encoding="utf-8"), *argv], stdin, scene / f"captured_{number}")
    turn: dict[str, Any] = json.loads((scene / "recording.json").read_text(encoding="utf-8"))["turns"][number - 1]
    places: dict[str, str] = json.loads((scene / "places.json").read_text(encoding="utf-8"))
    return _play(turn, places | session_of(argv))


def session_of(argv: Sequence[str]) -> dict[str, str]:
    """The id that the conversation was given from outside."""
    named = [argv[argv.index(flag) + 1] for flag in ("--session-id", "--resume") if flag in argv]
    return {"session": named[0]} if named else {}


def _home() -> dict[str, str]:
    found = {}
    for home in {os.environ[name] for name in _HOMES if name in os.environ}:
        for path in Path(home).rglob("*"):
            if path.is_file() and not path.is_symlink() and path.stat().st_size < _SMALL:
                found[path.relative_to(home).as_posix()] = path.read_bytes().decode(errors="replace")
    return found


def _play(turn: Mapping[str, Any], places: Mapping[str, str]) -> int:
    for name, text in turn["files"].items():
        path = Path(places["worktree"], name)
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(filled(text, places), encoding="utf-8")
    for name, text in turn["home"].items():
        path = Path(next(os.environ[n] for n in _HOMES if n in os.environ), filled(name, places))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(filled(text, places), encoding="utf-8")
    for command in turn["started"]:
        subprocess.Popen(["sh", "-c", filled(command, places)], stdin=subprocess.DEVNULL, start_new_session=True)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    _say(sys.stderr.buffer, turn["stderr"], places)
    _say(sys.stdout.buffer, turn["stdout"], places)
    if turn["interrupted"] is None:
        return int(turn["code"])
    signal.sigwait({signal.SIGINT})  # it was still busy when it was ended
    _say(sys.stdout.buffer, turn["interrupted"], places)
    while turn["code"] is None:
        signal.pause()
    return int(turn["code"])


def _say(stream: IO[bytes], text: str, places: Mapping[str, str]) -> None:
    stream.write(filled(text, places).encode(errors="surrogateescape"))
    stream.flush()


def _record(argv: Sequence[str], stdin: bytes, to: Path) -> int:
    child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdin
    assert child.stdout
    assert child.stderr
    out = to.with_suffix(".out")
    copies = [
        threading.Thread(target=_copy, args=(child.stdout, sys.stdout.buffer, out)),
        threading.Thread(target=_copy, args=(child.stderr, sys.stderr.buffer, to.with_suffix(".err"))),
    ]
    # The child gets the signal too, with the rest of its group; what it says from now on is what it says to that.
    signal.signal(signal.SIGINT, lambda *_: to.with_suffix(".interrupted").write_text(str(out.stat().st_size)))
    for copy in copies:
        copy.start()
    child.stdin.write(stdin)
    child.stdin.close()
    code = child.wait()
    for copy in copies:
        copy.join()
    to.with_suffix(".code").write_text(str(code), encoding="utf-8")
    return code


def _copy(source: IO[bytes], target: IO[bytes], file: Path) -> None:
    with file.open("wb") as kept:
        for line in source:
            kept.write(line)
            kept.flush()
            target.write(line)
            target.flush()
