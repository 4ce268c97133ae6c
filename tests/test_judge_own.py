"""A verdict counts only where the code that the patch changes is the code that ran."""

from __future__ import annotations

from pathlib import Path

from tests.conformance.judge import Case, writes
from tests.support import Repo
from tests.test_environment import make_venv
from tests.test_judge import Bench

PYPROJECT = '[tool.pytest.ini_options]\ntestpaths = ["tests"]\n'
FILES = {
    "pyproject.toml": PYPROJECT,
    ".gitignore": ".venv/\n",
    "src/pkg/__init__.py": "VALUE = 1\n",
    "tests/test_pkg.py": "import pkg\n\n\ndef test_value():\n    assert pkg.VALUE == 2\n\n\ndef test_other():\n    assert pkg\n",
}


def test_an_installed_package_in_place_of_the_changed_one_is_no_proof(tmp_path: Path) -> None:
    repo = Repo.make(tmp_path / "repo", FILES)
    site = make_venv(repo.path)
    (site / "pkg").mkdir()
    (site / "pkg" / "__init__.py").write_text("import os\nVALUE = 2 if os.path.exists('solved') else 1\n")
    bench = Bench(repo, tmp_path / "w")
    assert bench.tasks, bench.court.baseline

    patch = writes({"solved": "x", "src/pkg/__init__.py": "VALUE = 2\n"})
    verdict = bench.says(Case("a copy", patch, frozenset({"unverifiable"})))
    assert verdict.status == "unverifiable", verdict.reason
    assert "an installed copy in place of this tree's src/pkg/__init__.py" in verdict.reason
