"""A `codex` that repairs what it is told and writes down all that it can see: environments, processes, git's settings, the checkout's."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

_PROGRAM = """#!{python} -S
import glob, json, os, subprocess, sys
here = {folder!r}
if "--version" in sys.argv:
    print("codex-cli 0.169.0")
    sys.exit()
sys.stdin.read()
tree = sys.argv[sys.argv.index("-C") + 1] if "-C" in sys.argv else os.getcwd()
seen = ["ENVIRON " + json.dumps(dict(os.environ))]
for path in glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline"):
    try:
        seen.append(path + " " + open(path, "rb").read().decode("utf-8", "replace"))
    except OSError:
        pass
parent, line = os.getpid(), []
while parent > 1:
    line.append(parent)
    parent = int(open("/proc/%d/stat" % parent).read().rpartition(")")[2].split()[1])
seen.append("ANCESTORS " + json.dumps(line))
for folder in (tree, {checkout!r}):
    for command in (["config", "--list", "--show-origin"], ["remote", "-v"]):
        done = subprocess.run(["git", "-C", folder, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        seen.append("GIT " + folder + " " + done.stdout.decode("utf-8", "replace"))
alternates = subprocess.run(["git", "-C", tree, "rev-parse", "--git-common-dir"], stdout=subprocess.PIPE).stdout.decode().strip()
for path in glob.glob(alternates + "/config*") + [{checkout!r} + "/.git/config"] + glob.glob({temp!r} + "/**", recursive=True):
    if os.path.isfile(path):
        seen.append(path + " " + open(path, "rb").read().decode("utf-8", "replace"))
with open(here + "/seen", "a") as kept:
    kept.write("\\n".join(seen) + "\\n")
with open(tree + "/a.py", "w") as repaired:
    repaired.write("X = 1\\n")
for event in (dict(type="thread.started", thread_id="t"), dict(type="turn.started"),
        dict(type="item.completed", item=dict(id="i", type="agent_message", text="done")),
        dict(type="turn.completed", usage=dict(input_tokens=10, cached_input_tokens=0, cache_write_input_tokens=0, output_tokens=1,
            reasoning_output_tokens=0))):
    print(json.dumps(event), flush=True)
"""


@dataclass(frozen=True)
class Spy:
    """Where the program is, and what it saw."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, checkout: Path, temp: Path) -> Spy:
        folder.mkdir()
        program = folder / "codex"
        text = _PROGRAM.format(python=sys.executable, folder=str(folder), checkout=str(checkout), temp=str(temp))
        program.write_text(text)
        program.chmod(0o755)
        return cls(folder)

    @property
    def env(self) -> dict[str, str]:
        """What has it found."""
        return {"ZWARM_CI_CODEX": str(self.folder / "codex")}

    @property
    def seen(self) -> str:
        """All that it wrote down; "" = it was never started."""
        file = self.folder / "seen"
        return file.read_text(encoding="utf-8") if file.exists() else ""


def login() -> None:
    """A login of codex's own, so that no key is needed."""
    home = Path(os.environ["HOME"]) / ".codex"
    home.mkdir(exist_ok=True)
    (home / "auth.json").write_text('{"OPENAI_API_KEY": null, "tokens": {"access_token": "x"}}')
