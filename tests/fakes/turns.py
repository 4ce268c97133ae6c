"""A `codex` that plays turns which a test wrote down: it edits files, says something, and keeps each prompt that it was given."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PROGRAM = """#!{python} -S
import json, os, sys
here = os.path.dirname(os.path.abspath(__file__))
def say(**event):
    print(json.dumps(event), flush=True)
if "--version" in sys.argv:
    print("codex-cli 0.169.0")
    sys.exit()
tree = sys.argv[sys.argv.index("-C") + 1] if "-C" in sys.argv else os.getcwd()
number = 1 + sum(name.startswith("prompt_") for name in os.listdir(here))
with open(os.path.join(here, "prompt_%d.txt" % number), "w") as kept:
    kept.write(sys.stdin.read())
seen, pid = [], os.getpid()
while pid > 1:
    try:
        seen.append(open("/proc/%d/environ" % pid, errors="replace").read())
        pid = int(open("/proc/%d/stat" % pid).read().rpartition(")")[2].split()[1])
    except OSError:
        break
with open(os.path.join(here, "environ_%d.txt" % number), "w") as kept:
    kept.write("\\0".join(seen))
turns = json.load(open(os.path.join(here, "turns.json")))
turn = turns[min(number, len(turns)) - 1]
thread = sys.argv[sys.argv.index("resume") + 1] if "resume" in sys.argv else "0199-thread-%d" % number
say(type="thread.started", thread_id=thread)
say(type="turn.started")
for name, text in turn["files"].items():
    path = os.path.join(tree, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    open(path, "w").write(text)
    say(type="item.completed", item=dict(id="item_0", type="file_change", changes=[dict(path=path, kind="update")], status="completed"))
say(type="item.completed", item=dict(id="item_1", type="agent_message", text=turn["says"]))
say(type="turn.completed", usage=dict(input_tokens=1000 * number, cached_input_tokens=0, cache_write_input_tokens=0,
    output_tokens=100 * number, reasoning_output_tokens=0))
"""


@dataclass(frozen=True)
class Turns:
    """The program's folder."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, *turns: tuple[Mapping[str, str], str]) -> Turns:
        """A program for these turns (files by path, and what it says), the last one again when they run out; its login is made too."""
        folder.mkdir()
        program = folder / "codex"
        program.write_text(_PROGRAM.format(python=sys.executable))
        program.chmod(0o755)
        told = [{"files": dict(files), "says": says} for files, says in turns]
        (folder / "turns.json").write_text(json.dumps(told))
        home = Path(os.environ["HOME"]) / ".codex"
        home.mkdir(exist_ok=True)
        (home / "auth.json").write_text('{"OPENAI_API_KEY": null, "tokens": {"access_token": "x"}}')
        return cls(folder)

    @property
    def env(self) -> dict[str, str]:
        """What names it."""
        return {"ZWARM_CI_CODEX": str(self.folder / "codex")}

    @property
    def prompts(self) -> Sequence[str]:
        """What it was told, turn by turn."""
        return [self._file("prompt", n).read_text() for n in range(1, self._count() + 1)]

    @property
    def environments(self) -> Sequence[str]:
        """What it could read of its own environment and those of the processes above it, turn by turn."""
        return [self._file("environ", n).read_text() for n in range(1, self._count() + 1)]

    def _count(self) -> int:
        return len(list(self.folder.glob("prompt_*.txt")))

    def _file(self, kind: str, number: int) -> Path:
        return self.folder / f"{kind}_{number}.txt"
