"""What an audit hook sees of code that opens what lies elsewhere (`checks/probe/zwarm_ci_asks.py`), in real processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from zwarm_ci.checks.base import PROBE

_START = """
import sys
sys.path[:0] = [{probe!r}, {tree!r}]
import zwarm_ci_asks as asks
asks._ELSEWHERE = (*asks._ELSEWHERE, {top!r} + "/")
seen = asks.Asks({tree!r}, {{"tests/test_shop.py": ""}}, lambda name: None)
seen.own = tuple(place for place in seen.own if not {top!r}.startswith(place.rstrip("/")))
import shop
shop.total()
print(*sorted(seen.met), sep="\\n")
"""


def _seen(top: Path, source: str) -> str:
    """What is met while `source` is imported and its `total` called, where the interpreter keeps bytecode below `top`."""
    tree = top / "tree"
    (tree / "tests").mkdir(parents=True, exist_ok=True)
    (tree / "tests" / "test_shop.py").write_text("import shop\n")
    (tree / "shop.py").write_text(source)
    code = _START.format(probe=str(PROBE), tree=str(tree), top=str(top))
    return subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPYCACHEPREFIX": str(top / "bytecode"), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


IMPORTS = "import fractions\n\n\ndef total():\n    import wave\n    return fractions.Fraction(1), wave\n"


def test_an_import_of_what_was_compiled_before_is_no_look_elsewhere(tmp_path: Path) -> None:
    """The interpreter's bytecode is kept from run to run, so it is older than the second process, and in no place of its own."""
    assert _seen(tmp_path, IMPORTS) == ""
    assert list((tmp_path / "bytecode").rglob("fractions.*.pyc"))
    assert _seen(tmp_path, IMPORTS) == ""


@pytest.mark.parametrize("name", ["answers.json", "bytecode/answers.cpython-311.pyc", "bytecode/answers.json"])
def test_a_file_that_lay_there_before_is_one_wherever_it_lies(name: str, tmp_path: Path) -> None:
    place = tmp_path / name
    place.parent.mkdir(exist_ok=True)
    place.write_text("{}")
    assert _seen(tmp_path, f"def total():\n    return open({str(place)!r}).read()\n") == f"opens {place}: shop.py"


def test_no_more_than_bytecode_is_taken_for_bytecode(tmp_path: Path) -> None:
    import fractions

    place = tmp_path / "bytecode" / fractions.__file__.lstrip("/")
    place = place.with_suffix(".json")
    place.parent.mkdir(parents=True)
    place.write_text("{}")
    assert _seen(tmp_path, f"def total():\n    return open({str(place)!r}).read()\n") == f"opens {place}: shop.py"


def test_a_file_that_is_written_by_the_same_run_is_none(tmp_path: Path) -> None:
    place = tmp_path / "made.json"
    source = f"def total():\n    open({str(place)!r}, 'w').write('1')\n    return open({str(place)!r}).read()\n"
    assert _seen(tmp_path, source) == ""
