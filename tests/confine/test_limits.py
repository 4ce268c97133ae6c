"""What runs wild is ended and is the check's own failure; what is applied is what was found to work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.checks.running import plant, run_in
from tests.confine.hosts import Host
from zwarm_ci import confine
from zwarm_ci.checks.base import Around

#: Each would take more than it may, though never all that this machine has.
WILD = {
    "memory": "kept = []\nfor _ in range(64):\n    kept.append(bytearray(32 << 20))\n",
    "file size": "with open('big', 'wb') as file:\n    for _ in range(256):\n        file.write(bytes(1 << 20))\n        file.flush()\n",
    "processes": (
        "import os, sys\nready, done = os.pipe()\nfor number in range(400):\n    if not os.fork():\n        os.close(done)\n"
        "        os.read(ready, 1)\n        os._exit(0)\nos.close(done)\nprint('forked', number)\n"
    ),
}
#: With these figures in place of the true ones.
FIGURES = {"--data": str(256 << 20), "--file-size": str(8 << 20)}
SAID = {"memory": "MemoryError", "file size": "File too large", "processes": "Resource temporarily unavailable"}


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A hundred processes in place of thousands."""
    monkeypatch.setattr(confine, "_PROCESSES", 100)
    confine.limits.cache_clear()
    yield
    confine.limits.cache_clear()


def options(what: str) -> tuple[str, ...]:
    """How a limit is applied here, with a small figure."""
    limit = next(limit for limit in confine.limits() if limit.what == what)
    if not limit.options:
        assert limit.means.startswith("none: ")
        return ()
    name, figure = limit.options
    return name, FIGURES.get(name, figure)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("what", WILD)
def test_what_runs_wild_is_ended_and_fails_as_itself(tmp_path: Path, what: str) -> None:
    tree = plant(tmp_path / "tree", {"wild.py": WILD[what], "test_wild.py": "def test_wild():\n    import wild\n"})
    applied = options(what)
    prefix = (*confine.limited(())[:4], *applied, "--")
    result = run_in(tree, "python -m pytest", around=Around(prefix))
    assert result.trouble == ""
    assert result.failed == (("test_wild.py::test_wild",) if applied else ())
    if applied:
        assert SAID[what] in result.failures[0].message
    assert run_in(plant(tmp_path / "free" / "tree", {"test_a.py": "def test_a(): pass\n"}), around=Around(prefix)).green


def test_limits_are_applied_without_a_process_more(host: Host) -> None:
    show = "import os, resource; print(os.getpid(), os.getppid(), resource.getrlimit(resource.RLIMIT_FSIZE)[0])"
    code = (
        "import os, pathlib, sys\nfrom zwarm_ci import confine, proc\n"
        "for prefix in (), confine.offline(confine.means()):\n"
        "    done = proc.run([*confine.limited(prefix), sys.executable, '-c', sys.argv[1]], cwd=pathlib.Path('/'))\n"
        "    print(os.getpid(), done.stdout.decode().strip(), done.stderr.decode())\n"
        "for limit in confine.limits():\n    print(limit.what + ':', limit.means)\n"
    )
    lines = host.py(code, show).splitlines()
    for line in lines[:2]:
        ours, own, parent, size = line.split()
        assert (parent, size) == (ours, str(16 << 30)), lines
        assert own != ours
    said = dict(line.split(": ", 1) for line in lines if ": " in line)
    assert set(said) == {"memory", "processes", "file size"}
    is_root = host.do(["id", "-u"]).stdout == "0\n"
    assert ("RLIMIT_NPROC, 4096 more" in said["processes"]) is not is_root, said


def test_a_limit_that_is_lower_already_stays() -> None:
    from zwarm_ci.proc import run

    inner = (*confine.limited(())[:4], "--file-size", "4096", "--")
    done = run([*inner, *confine.limited(()), "sh", "-c", "ulimit -f"], cwd=Path("/"))
    assert done.stdout.split() == [b"8"]
