"""A run has a HOME of its own: nothing of the user's settings is in it, and tools still find their packages and caches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.checks.running import believed, plant, run_in
from zwarm_ci.checks.base import Around
from zwarm_ci.environment.home import own_home

SEES = """
import os, pathlib, subprocess
HOME = pathlib.Path.home()

def test_home():
    assert str(HOME) == os.environ["HOME"] and not (HOME / ".netrc").exists() and not (HOME / ".ssh").exists()
    assert (HOME / ".cache" / "tool").is_file()
    (HOME / ".mine").write_text("x")

def test_git(tmp_path):
    subprocess.run(["git", "init", "-q", "."], cwd=tmp_path, check=True)
    subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", "x"], cwd=tmp_path, check=True)
    said = subprocess.run(["git", "log", "-1", "--format=%an"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert said.stdout.strip() == "zwarm-ci"
    assert subprocess.run(["git", "config", "credential.helper"], cwd=tmp_path).returncode == 1
    branch = subprocess.run(["git", "symbolic-ref", "--short", "HEAD"], cwd=tmp_path, capture_output=True, text=True)
    assert branch.stdout.strip() == "trunk"

def test_where_compilers_look():
    assert os.environ["CARGO_HOME"].endswith("user/.cargo")
"""
GIT = (
    "[user]\n\tname = Somebody\n\temail = some@body\n[init]\n\tdefaultBranch = trunk\n[credential]\n\thelper = store\n"
)


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user with settings, credentials and caches."""
    files = {".netrc": "secret", ".ssh/id_rsa": "secret", ".cache/tool": "", ".cargo/x": "", ".gitconfig": GIT}
    home = plant(tmp_path / "user", files)
    monkeypatch.setenv("HOME", str(home))
    for name in ("CARGO_HOME", "GIT_CONFIG_GLOBAL", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    return home


def test_a_run_has_a_home_of_its_own(tmp_path: Path, user: Path) -> None:
    tree = plant(tmp_path / "tree", {"test_home.py": SEES})
    result = believed(run_in(tree))
    assert (result.failed, len(result.passed)) == ((), 3), result.failures
    assert not (user / ".mine").exists()


@pytest.mark.parametrize("options", [{"around": Around(own_home=False)}, {"env_names": ("HOME",)}])
def test_in_place_and_where_it_is_asked_for_it_is_the_users(
    tmp_path: Path, user: Path, options: dict[str, Any]
) -> None:
    test = f"import os\ndef test_home():\n    assert os.environ['HOME'] == {str(user)!r}\n"
    assert believed(run_in(plant(tmp_path / "tree", {"test_home.py": test}), **options)).green


def test_without_a_home_there_is_none_to_replace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "gone"))
    assert own_home(tmp_path / "made") == {}
