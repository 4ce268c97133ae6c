"""Files of installed modules that a run rewrites would be loaded by the next: the run that does it is no witness of anything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from zwarm_ci.checks.base import PROBE

_START = """
import os, shutil, sys
sys.path[:0] = [{probe!r}, {site!r}]
import judge
import zwarm_ci_witness as witness
witness.WITNESS.begin()
path = judge.__file__
{act}
print(*[name for name in witness.look("/nowhere") if "judge" in name], sep="\\n")
"""
_SAME_SIZE = (
    "was = os.stat(path)\nopen(path, 'r+').write('PASSES = 1')\nos.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))"
)


@pytest.mark.parametrize(
    ("act", "seen"),
    [
        ("open(path, 'a').write('# more')", True),
        (_SAME_SIZE, True),
        ("shutil.copy(path, path + 'x'); os.replace(path + 'x', path)", True),
        ("os.unlink(path)", True),
        ("os.link(path, path + 'x')", False),
        ("os.link(path, path + 'x'); open(path + 'x', 'a').write('# more')", True),
        ("open(path + 'c', 'w').close()", False),
        ("open(path).read()", False),
    ],
    ids=[
        "longer",
        "its times put back",
        "another inode",
        "gone",
        "linked",
        "linked and changed",
        "bytecode beside",
        "read",
    ],
)
def test_what_a_module_was_made_from_is_looked_at_again(act: str, *, seen: bool, tmp_path: Path) -> None:
    (tmp_path / "judge.py").write_text("PASSES = 0\n")
    code = _START.format(probe=str(PROBE), site=str(tmp_path), act=act)
    done = subprocess.run([sys.executable, "-B", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ("file of judge" if seen else "")
