"""Sessions below a guard, one that is hard to end, and who of its processes is alive."""

from __future__ import annotations

import sys
from pathlib import Path

from zwarm_ci import proc, reap
from zwarm_ci.proc import Exit, run_lines
from zwarm_ci.scrub import child_env

#: Deaf to INT and TERM, with a grandchild that left its session, forked twice and has an empty environment, and is as deaf.
WILD = """
import os, signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
reader, writer = os.pipe()
if not os.fork():
    os.setsid()
    if not os.fork():
        os.setsid()
        deaf = "import os, signal, time; [signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)]; os.write(%d, b'%%d' %% os.getpid()); time.sleep(300)"
        os.set_inheritable(writer, True)
        os.dup2(os.open(os.devnull, os.O_RDWR), 1)
        os.execve(sys.executable, [sys.executable, "-I", "-S", "-c", deaf % writer], {})
    os._exit(0)
stray = int(os.read(reader, 20))
print(os.getpid(), stray, flush=True)
"""


def session(tmp_path: Path, code: str, *args: str, **options: object) -> tuple[Exit, list[bytes]]:
    lines: list[bytes] = []
    given: dict[str, object] = {"timeout": 60, "silence": 60, "on_line": lines.append, "env": child_env(), **options}
    done = run_lines([sys.executable, "-c", code, *args], cwd=tmp_path, supervised=True, **given)  # type: ignore[arg-type]
    return done, lines


def alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def gone(*pids: int, within: float = 20) -> bool:
    """Waits for their exits, not for a time."""
    return all(reap._one_ended([(pid, reap.start_time(pid))], within) for pid in pids if alive(pid)) and not any(
        map(alive, pids)
    )


def leftovers() -> list[tuple[int, str]]:
    return proc.tagged(proc._run_tag)


def descriptors() -> set[str]:
    return {f"{path.name} {path.readlink()}" for path in Path("/proc/self/fd").iterdir() if path.is_symlink()}
